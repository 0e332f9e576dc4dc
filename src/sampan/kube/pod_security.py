"""Pod security standards: what a pod may not say at the levels baseline and restricted. Pure; of the newest version.

Spec: Kubernetes "Pod Security Standards".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from sampan.kube.object import Object
from sampan.kube.reading import flag, items, mapping, number, text, words

LEVELS = ("privileged", "baseline", "restricted")
_CAPABILITIES = frozenset(
    (
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
    )
) | {"SETPCAP", "SETUID", "SYS_CHROOT"}
_SYSCTLS = frozenset(
    (
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_wmem",
    )
)
_SELINUX = ("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")
_VOLUMES = frozenset(
    (
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
        "image",
    )
)


class Level(NamedTuple):
    """What a namespace asks for, such as `restricted:latest`."""

    level: str
    version: str

    def __str__(self) -> str:
        return f"{self.level}:{self.version}"


class Pod(NamedTuple):
    """A pod as the checks see it."""

    metadata: Object
    spec: Object
    containers: list[Object]
    windows: bool


def violations(level: str, metadata: Object, spec: Object) -> list[str]:
    """Return what a pod does that its level does not allow, each as messages have it."""
    if level not in ("baseline", "restricted"):
        return []
    containers = [
        item for kind in ("initContainers", "containers", "ephemeralContainers") for item in items(spec, kind)
    ]
    pod = Pod(metadata, spec, containers, text(spec, "os", "name") == "windows")
    checks = _BASELINE if level == "baseline" else _RESTRICTED
    found = [f"{what} ({why})" for check in checks for what, why in check(pod)]
    return sorted(found)


_Check = Callable[[Pod], Iterator[tuple[str, str]]]


def _security(container: Object) -> Object:
    return mapping(container, "securityContext")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _containers(names: list[str]) -> str:
    return f"container{'s' if len(names) > 1 else ''} {_listed(names)}"


def _where(pod: Pod, bad: Callable[[Object], bool]) -> list[str]:
    return [text(item, "name") for item in pod.containers if bad(item)]


# --- baseline ---------------------------------------------------------------------------------------------------------


def _host_namespaces(pod: Pod) -> Iterator[tuple[str, str]]:
    if used := [f"{name}=true" for name in ("hostNetwork", "hostPID", "hostIPC") if flag(pod.spec, name)]:
        yield "host namespaces", ", ".join(used)


def _privileged(pod: Pod) -> Iterator[tuple[str, str]]:
    if names := _where(pod, lambda item: flag(_security(item), "privileged")):
        yield "privileged", f"{_containers(names)} must not set securityContext.privileged=true"


def _capabilities(pod: Pod) -> Iterator[tuple[str, str]]:
    def more(item: Object) -> list[str]:
        return [name for name in words(_security(item), "capabilities", "add") if name not in _CAPABILITIES]

    if names := _where(pod, lambda item: bool(more(item))):
        added = sorted({name for item in pod.containers for name in more(item)})
        yield (
            "non-default capabilities",
            f"{_containers(names)} must not include {_listed(added)} in securityContext.capabilities.add",
        )


def _host_paths(pod: Pod) -> Iterator[tuple[str, str]]:
    if names := [text(item, "name") for item in items(pod.spec, "volumes") if "hostPath" in item]:
        yield "hostPath volumes", f"volume{'s' if len(names) > 1 else ''} {_listed(names)}"


def _host_ports(pod: Pod) -> Iterator[tuple[str, str]]:
    def used(item: Object) -> list[int]:
        return [number(port, "hostPort") for port in items(item, "ports") if number(port, "hostPort")]

    if names := _where(pod, lambda item: bool(used(item))):
        ports = sorted({port for item in pod.containers for port in used(item)})
        word = "hostPorts" if len(ports) > 1 else "hostPort"
        verb = "use" if len(names) > 1 else "uses"
        yield "hostPort", f"{_containers(names)} {verb} {word} {', '.join(map(str, ports))}"


def _host_probes(pod: Pod) -> Iterator[tuple[str, str]]:
    def named(item: Object) -> bool:
        handlers = [item.get(kind) for kind in ("livenessProbe", "readinessProbe", "startupProbe")]
        handlers += [mapping(item, "lifecycle").get(kind) for kind in ("postStart", "preStop")]
        return any(text(handler, kind, "host") for handler in handlers if handler for kind in ("httpGet", "tcpSocket"))

    if names := _where(pod, named):
        yield "probe or lifecycle host", f"{_containers(names)} must not set host in probes or lifecycle handlers"


def _app_armor(pod: Pod) -> Iterator[tuple[str, str]]:
    bad = [
        f'{key}="{value}"'
        for key, value in sorted(mapping(pod.metadata, "annotations").items())
        if key.startswith("container.apparmor.security.beta.kubernetes.io/")
        and value not in ("", "runtime/default")
        and not str(value).startswith("localhost/")
    ]
    if bad:
        yield f"forbidden AppArmor profile{'s' if len(bad) > 1 else ''}", ", ".join(bad)
    profiles = [_security(item) for item in [pod.spec, *pod.containers]]
    if any(text(item, "appArmorProfile", "type") == "Unconfined" for item in profiles):
        yield "forbidden AppArmor profile", 'must not set AppArmor profile type to "Unconfined"'


def _selinux(pod: Pod) -> Iterator[tuple[str, str]]:
    options = [mapping(_security(item), "seLinuxOptions") for item in [pod.spec, *pod.containers]]
    bad = sorted({text(item, "type") for item in options if text(item, "type") not in _SELINUX})
    whose = [name for name in ("user", "role") if any(text(item, name) for item in options)]
    said = [f"type {_listed(bad)}"] if bad else []
    said += [f"{name} may not be set" for name in whose]
    if said:
        yield "seLinuxOptions", "; ".join(said)


def _proc_mount(pod: Pod) -> Iterator[tuple[str, str]]:
    if names := _where(pod, lambda item: text(_security(item), "procMount") not in ("", "Default")):
        yield "procMount", f'{_containers(names)} must not set securityContext.procMount to "Unmasked"'


def _seccomp(pod: Pod) -> Iterator[tuple[str, str]]:
    if text(_security(pod.spec), "seccompProfile", "type") == "Unconfined":
        yield "seccompProfile", 'pod must not set securityContext.seccompProfile.type to "Unconfined"'
    elif names := _where(pod, lambda item: text(_security(item), "seccompProfile", "type") == "Unconfined"):
        yield "seccompProfile", f'{_containers(names)} must not set securityContext.seccompProfile.type to "Unconfined"'


def _sysctls(pod: Pod) -> Iterator[tuple[str, str]]:
    bad = sorted(
        text(item, "name")
        for item in items(_security(pod.spec), "sysctls")
        if text(item, "name").replace("/", ".") not in _SYSCTLS
    )
    if bad:
        yield "forbidden sysctls", ", ".join(bad)


def _host_process(pod: Pod) -> Iterator[tuple[str, str]]:
    def own(item: Any) -> bool:
        return flag(_security(item), "windowsOptions", "hostProcess")

    names = _where(pod, own)
    if own(pod.spec):
        yield "hostProcess", "pod must not set securityContext.windowsOptions.hostProcess=true"
    elif names:
        yield "hostProcess", f"{_containers(names)} must not set securityContext.windowsOptions.hostProcess=true"


# --- restricted -------------------------------------------------------------------------------------------------------


def _escalation(pod: Pod) -> Iterator[tuple[str, str]]:
    if pod.windows:
        return
    if names := _where(pod, lambda item: _security(item).get("allowPrivilegeEscalation") is not False):
        yield (
            "allowPrivilegeEscalation != false",
            f"{_containers(names)} must set securityContext.allowPrivilegeEscalation=false",
        )


def _drops_all(pod: Pod) -> Iterator[tuple[str, str]]:
    if pod.windows:
        return
    said = []
    if names := _where(pod, lambda item: "ALL" not in words(_security(item), "capabilities", "drop")):
        said.append(f'{_containers(names)} must set securityContext.capabilities.drop=["ALL"]')

    def more(item: Object) -> list[str]:
        return [name for name in words(_security(item), "capabilities", "add") if name != "NET_BIND_SERVICE"]

    if names := _where(pod, lambda item: bool(more(item))):
        added = sorted({name for item in pod.containers for name in more(item)})
        said.append(f"{_containers(names)} must not include {_listed(added)} in securityContext.capabilities.add")
    if said:
        yield "unrestricted capabilities", "; ".join(said)


def _volume_types(pod: Pod) -> Iterator[tuple[str, str]]:
    found = {
        text(item, "name"): sorted(key for key in item if key != "name" and key not in _VOLUMES)
        for item in items(pod.spec, "volumes")
    }
    if names := [name for name, kinds in found.items() if kinds]:
        kinds = sorted({kind for of in found.values() for kind in of})
        many = len(names) > 1
        uses = f"{'s' if many else ''} {_listed(names)} {'use' if many else 'uses'}"
        types = f"type{'s' if len(kinds) > 1 else ''} {_listed(kinds)}"
        yield "restricted volume types", f"volume{uses} restricted volume {types}"


def _not_root(pod: Pod) -> Iterator[tuple[str, str]]:
    if pod.spec.get("hostUsers") is False:
        return  # root in a namespace of its own
    whole = _security(pod.spec).get("runAsNonRoot")
    bad = _where(pod, lambda item: _security(item).get("runAsNonRoot") is False)
    if bad:
        yield "runAsNonRoot != true", f"{_containers(bad)} must not set securityContext.runAsNonRoot=false"
    unset = _where(pod, lambda item: _security(item).get("runAsNonRoot") is None)
    if whole is not True and unset and not bad:
        why = "pod must not set securityContext.runAsNonRoot=false"
        if whole is None:
            why = f"pod or {_containers(unset)} must set securityContext.runAsNonRoot=true"
        yield "runAsNonRoot != true", why


def _not_user_zero(pod: Pod) -> Iterator[tuple[str, str]]:
    if pod.spec.get("hostUsers") is False:
        return
    if _security(pod.spec).get("runAsUser") == 0:
        yield "runAsUser=0", "pod must not set runAsUser=0"
    elif names := _where(pod, lambda item: _security(item).get("runAsUser") == 0):
        yield "runAsUser=0", f"{_containers(names)} must not set runAsUser=0"


def _seccomp_set(pod: Pod) -> Iterator[tuple[str, str]]:
    if pod.windows:
        return
    good = ("RuntimeDefault", "Localhost")
    whole = text(_security(pod.spec), "seccompProfile", "type")
    bad = _where(pod, lambda item: text(_security(item), "seccompProfile", "type") not in ("", *good))
    if bad:
        yield "seccompProfile", f'{_containers(bad)} must not set securityContext.seccompProfile.type to "Unconfined"'
        return
    unset = _where(pod, lambda item: not text(_security(item), "seccompProfile", "type"))
    if whole in good or not unset:
        return
    if whole:
        yield "seccompProfile", f'pod must not set securityContext.seccompProfile.type to "{whole}"'
    else:
        wanted = 'securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
        yield "seccompProfile", f"pod or {_containers(unset)} must set {wanted}"


_COMMON: tuple[_Check, ...] = (
    _host_namespaces, _privileged, _host_ports, _host_probes, _app_armor, _selinux, _proc_mount, _sysctls, _host_process,
)  # fmt: skip
_BASELINE: tuple[_Check, ...] = (*_COMMON, _capabilities, _host_paths, _seccomp)
_RESTRICTED: tuple[_Check, ...] = (
    *_COMMON, _escalation, _drops_all, _volume_types, _not_root, _not_user_zero, _seccomp_set,
)  # fmt: skip
