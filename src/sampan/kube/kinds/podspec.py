"""PodSpec, alone and in templates: defaults and validation.

Spec: core/v1 PodSpec, Container, Volume, Probe; k8s.io/kubernetes/pkg/apis/core/v1 defaults.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import msgspec

from sampan.kube import quantity
from sampan.kube.fielderror import FieldError, duplicate, forbidden, invalid, not_found, not_supported, required
from sampan.kube.kinds import check, names
from sampan.kube.object import Object, at

Spec = dict[str, Any]
RESTART_POLICIES = ("Always", "OnFailure", "Never")
_DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_PROTOCOLS = ("TCP", "UDP", "SCTP")
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_DEFAULT_MODE = 420  # 0644
_REMEMBERED_BYTES = 16 * 1024
"""Of specs; hundreds of larger ones would fill the memory."""
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Object).decode

# --- defaults ---------------------------------------------------------------------------------------------------------


def default(spec: Spec) -> None:
    """Fill in what was left out. Idempotent."""
    put = spec.setdefault
    put("restartPolicy", "Always")
    put("terminationGracePeriodSeconds", 30)
    put("dnsPolicy", "ClusterFirst")
    put("securityContext", {})
    put("schedulerName", "default-scheduler")
    if account := spec.get("serviceAccountName") or spec.get("serviceAccount"):
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    host_network = spec.get("hostNetwork")
    for kind in _CONTAINERS:
        for container in spec.get(kind) or ():
            if isinstance(container, dict):
                _default_container(container, host_network=bool(host_network))
    for volume in spec.get("volumes") or ():
        if isinstance(volume, dict):
            _default_volume(volume)
    for constraint in spec.get("topologySpreadConstraints") or ():
        if isinstance(constraint, dict):
            constraint.setdefault("nodeAffinityPolicy", "Honor")
            constraint.setdefault("nodeTaintsPolicy", "Ignore")


def default_of_pod(spec: Spec) -> None:
    """Fill in what only pods get, not templates."""
    spec.setdefault("enableServiceLinks", True)


def _default_container(container: Spec, *, host_network: bool) -> None:
    put = container.setdefault
    put("terminationMessagePath", "/dev/termination-log")
    put("terminationMessagePolicy", "File")
    put("resources", {})
    if not container.get("imagePullPolicy"):
        container["imagePullPolicy"] = (
            "Always" if _tag(str(container.get("image") or "")) == "latest" else "IfNotPresent"
        )
    for port in container.get("ports") or ():
        if isinstance(port, dict):
            port.setdefault("protocol", "TCP")
            if host_network and not port.get("hostPort"):
                port["hostPort"] = port.get("containerPort", 0)
    for name in _PROBES:
        if isinstance(probe := container.get(name), dict):
            _default_probe(probe)
    for hook in (container.get("lifecycle") or {}).values():
        if isinstance(hook, dict):
            _default_handler(hook)
    for variable in container.get("env") or ():
        if isinstance(reference := at(variable, "valueFrom", "fieldRef"), dict):
            reference.setdefault("apiVersion", "v1")
    resources = container["resources"]
    if isinstance(limits := resources.get("limits"), dict) and limits:
        requests = resources.setdefault("requests", {})
        for name, amount in limits.items():
            requests.setdefault(name, amount)


def _tag(image: str) -> str:
    """Return an image's tag: `latest` where none is given, "" for one by digest."""
    if "@" in image:
        return ""
    return image.rpartition("/")[2].partition(":")[2] or "latest"


def _default_probe(probe: Spec) -> None:
    for key, value in (("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)):
        if not probe.get(key):
            probe[key] = value
    _default_handler(probe)


def _default_handler(handler: Spec) -> None:
    if isinstance(get := handler.get("httpGet"), dict):
        if not get.get("path"):
            get["path"] = "/"
        get.setdefault("scheme", "HTTP")
    if isinstance(grpc := handler.get("grpc"), dict):
        grpc.setdefault("service", "")


def _default_volume(volume: Spec) -> None:
    if len(volume) <= 1:
        volume["emptyDir"] = {}
        return
    for source in ("secret", "configMap", "downwardAPI", "projected"):
        if isinstance(found := volume.get(source), dict):
            found.setdefault("defaultMode", _DEFAULT_MODE)
            _default_references(found.get("items"))
            for part in found.get("sources") or ():
                _default_projection(part)
    if isinstance(path := volume.get("hostPath"), dict):
        path.setdefault("type", "")
    if isinstance(template := at(volume, "ephemeral", "volumeClaimTemplate", "spec"), dict):
        template.setdefault("volumeMode", "Filesystem")


def _default_projection(part: Any) -> None:
    if isinstance(token := at(part, "serviceAccountToken"), dict):
        token.setdefault("expirationSeconds", 3600)
    _default_references(at(part, "downwardAPI", "items"))


def _default_references(entries: Any) -> None:
    for entry in entries or ():
        if isinstance(reference := at(entry, "fieldRef"), dict):
            reference.setdefault("apiVersion", "v1")


# --- validation -------------------------------------------------------------------------------------------------------


def validate(spec: Spec, path: str) -> Iterator[FieldError]:
    """Return the faults of a pod's spec at `path`. Of many pods that are alike, the first is judged."""
    raw = _encode(spec)
    return iter(()) if len(raw) <= _REMEMBERED_BYTES and _faultless(raw) else _faults(spec, path)


@lru_cache(maxsize=512)
def _faultless(raw: bytes) -> bool:
    return next(_faults(_decode(raw), "spec"), None) is None


def _faults(spec: Spec, path: str) -> Iterator[FieldError]:
    yield from _volumes(spec.get("volumes") or [], f"{path}.volumes")
    volumes = {str(volume.get("name")) for volume in spec.get("volumes") or []}
    containers = spec.get("containers") or []
    if not containers:
        yield required(f"{path}.containers")
    seen: set[str] = set()
    for kind in _CONTAINERS:
        for index, container in enumerate(spec.get(kind) or []):
            where = f"{path}.{kind}[{index}]"
            yield from _container(container, where, volumes, seen, init=kind == "initContainers")
    yield from check.one_of(f"{path}.restartPolicy", spec.get("restartPolicy"), RESTART_POLICIES)
    yield from check.one_of(f"{path}.dnsPolicy", spec.get("dnsPolicy"), _DNS_POLICIES)
    if spec.get("dnsPolicy") == "None" and not at(spec, "dnsConfig", "nameservers"):
        yield required(
            f"{path}.dnsConfig.nameservers", "must provide at least one DNS nameserver when `dnsPolicy` is None"
        )
    if (seconds := spec.get("activeDeadlineSeconds")) is not None and not 1 <= seconds < 1 << 31:
        yield invalid(f"{path}.activeDeadlineSeconds", seconds, "must be between 1 and 2147483647, inclusive")
    if (seconds := spec.get("terminationGracePeriodSeconds")) is not None and seconds < 0:
        yield invalid(f"{path}.terminationGracePeriodSeconds", seconds, "must be greater than or equal to 0")
    for key, rule in (
        ("nodeName", names.dns_subdomain),
        ("serviceAccountName", names.dns_subdomain),
        ("hostname", names.dns_label),
        ("subdomain", names.dns_label),
        ("runtimeClassName", names.dns_subdomain),
        ("priorityClassName", names.dns_subdomain),
    ):
        if spec.get(key):
            yield from check.name(f"{path}.{key}", spec[key], rule)
    yield from check.labels(f"{path}.nodeSelector", spec.get("nodeSelector"))
    yield from _tolerations(spec.get("tolerations") or [], f"{path}.tolerations")
    yield from _affinity(spec.get("affinity") or {}, f"{path}.affinity")
    yield from _spread(spec.get("topologySpreadConstraints") or [], f"{path}.topologySpreadConstraints")
    yield from _host_ports(containers, f"{path}.containers")


def _container(container: Spec, path: str, volumes: set[str], seen: set[str], *, init: bool) -> Iterator[FieldError]:
    name = str(container.get("name") or "")
    yield from check.required_name(f"{path}.name", name, names.dns_label)
    if name and name in seen:
        yield duplicate(f"{path}.name", name)
    seen.add(name)
    image = str(container.get("image") or "")
    if not image:
        yield required(f"{path}.image")
    elif image != image.strip():
        yield invalid(f"{path}.image", image, "must not have leading or trailing whitespace")
    yield from check.one_of(f"{path}.imagePullPolicy", container.get("imagePullPolicy"), _PULL_POLICIES)
    yield from _ports(container.get("ports") or [], f"{path}.ports")
    yield from _environment(container.get("env") or [], f"{path}.env")
    yield from _sources(container.get("envFrom") or [], f"{path}.envFrom")
    yield from _mounts(container.get("volumeMounts") or [], f"{path}.volumeMounts", volumes)
    yield from resources(container.get("resources") or {}, f"{path}.resources")
    restartable = container.get("restartPolicy") == "Always"
    for probe in _PROBES:
        if (found := container.get(probe)) is None:
            continue
        if init and not restartable:
            yield forbidden(f"{path}.{probe}", "may not be set for init containers without restartPolicy=Always")
        yield from _probe(found, f"{path}.{probe}", once=probe != "readinessProbe")
    for hook, handler in (container.get("lifecycle") or {}).items():
        if isinstance(handler, dict):
            yield from _handler(handler, f"{path}.lifecycle.{hook}", (*_HANDLERS[:3], "sleep"))
    if init and container.get("restartPolicy") not in (None, "Always"):
        yield not_supported(f"{path}.restartPolicy", container["restartPolicy"], ("Always",))


def _ports(ports: list[Spec], path: str) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, port in enumerate(ports):
        where = f"{path}[{index}]"
        if name := port.get("name"):
            yield from check.name(f"{where}.name", name, names.port_name)
            if name in seen:
                yield duplicate(f"{where}.name", name)
            seen.add(name)
        if not port.get("containerPort"):
            yield required(f"{where}.containerPort")
        else:
            yield from check.port(f"{where}.containerPort", port["containerPort"])
        if port.get("hostPort"):
            yield from check.port(f"{where}.hostPort", port["hostPort"])
        yield from check.one_of(f"{where}.protocol", port.get("protocol"), _PROTOCOLS)


def _host_ports(containers: list[Spec], path: str) -> Iterator[FieldError]:
    seen: set[tuple[Any, ...]] = set()
    for index, container in enumerate(containers):
        for number, port in enumerate(container.get("ports") or []):
            if not port.get("hostPort"):
                continue
            key = (port.get("protocol"), port.get("hostIP"), port["hostPort"])
            if key in seen:
                shown = "/".join(str(part or "") for part in key)
                yield duplicate(f"{path}[{index}].ports[{number}].hostPort", shown)
            seen.add(key)


def _env_name(name: str) -> str:
    if not name or any(char == "=" or not char.isprintable() for char in name):
        return "a valid environment variable name must consist only of printable ASCII characters other than '='"
    return ""


def _environment(variables: list[Spec], path: str) -> Iterator[FieldError]:
    for index, variable in enumerate(variables):
        where = f"{path}[{index}]"
        yield from check.required_name(f"{where}.name", str(variable.get("name") or ""), _env_name)
        source = variable.get("valueFrom")
        if source is None:
            continue
        kinds = [key for key in source if source[key] is not None]
        if not kinds:
            yield invalid(
                f"{where}.valueFrom",
                "",
                "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`",
            )
        elif len(kinds) > 1:
            yield invalid(f"{where}.valueFrom", "", "may not have more than one field specified at a time")
        if variable.get("value"):
            yield invalid(f"{where}.valueFrom", "", "may not be specified when `value` is not empty")
        for kind in ("configMapKeyRef", "secretKeyRef"):
            if isinstance(reference := source.get(kind), dict):
                for key in ("name", "key"):
                    if not reference.get(key):
                        yield required(f"{where}.valueFrom.{kind}.{key}")
        if isinstance(reference := source.get("fieldRef"), dict) and not reference.get("fieldPath"):
            yield required(f"{where}.valueFrom.fieldRef.fieldPath")


def _sources(sources: list[Spec], path: str) -> Iterator[FieldError]:
    for index, source in enumerate(sources):
        kinds = [kind for kind in ("configMapRef", "secretRef") if source.get(kind)]
        if len(kinds) != 1:
            text = (
                "must specify one of: `configMapRef` or `secretRef`"
                if not kinds
                else "may not have more than one field specified at a time"
            )
            yield invalid(f"{path}[{index}]", "", text)
        elif not source[kinds[0]].get("name"):
            yield required(f"{path}[{index}].{kinds[0]}.name")


def _mounts(mounts: list[Spec], path: str, volumes: set[str]) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, mount in enumerate(mounts):
        where = f"{path}[{index}]"
        name, target = mount.get("name"), str(mount.get("mountPath") or "")
        if not name:
            yield required(f"{where}.name")
        elif name not in volumes:
            yield not_found(f"{where}.name", name)
        if not target:
            yield required(f"{where}.mountPath")
        elif target in seen:
            yield invalid(f"{where}.mountPath", target, "must be unique")
        seen.add(target)
        for key in ("subPath", "subPathExpr"):
            if sub := mount.get(key):
                if sub.startswith("/"):
                    yield invalid(f"{where}.{key}", sub, "must be a relative path")
                elif ".." in sub.split("/"):
                    yield invalid(f"{where}.{key}", sub, "must not contain '..'")


def resources(value: Spec, path: str) -> Iterator[FieldError]:
    """Return the faults of ResourceRequirements."""
    limits, requests = value.get("limits") or {}, value.get("requests") or {}
    for kind, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            if why := names.qualified_name(name):
                yield invalid(f"{path}.{kind}[{name}]", name, why)
            elif quantity.of(amount).amount < 0:
                yield invalid(f"{path}.{kind}[{name}]", amount, "must be greater than or equal to 0")
            elif (
                "/" not in name
                and name not in ("cpu", "memory", "ephemeral-storage")
                and not name.startswith("hugepages-")
            ):
                yield invalid(f"{path}.{kind}[{name}]", name, "must be a standard resource type or fully qualified")
    for name, amount in requests.items():
        limit = limits.get(name)
        if limit is not None and quantity.of(amount).amount > quantity.of(limit).amount:
            yield invalid(f"{path}.requests", amount, f"must be less than or equal to {name} limit of {limit}")
        elif limit is not None and "/" in name and quantity.of(amount).amount != quantity.of(limit).amount:
            yield invalid(f"{path}.requests", amount, f"must be equal to {name} limit of {limit}")


def _probe(probe: Spec, path: str, *, once: bool) -> Iterator[FieldError]:
    yield from _handler(probe, path, _HANDLERS)
    for key in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"):
        if (value := probe.get(key)) is not None and value < 0:
            yield invalid(f"{path}.{key}", value, "must be greater than or equal to 0")
    if once and probe.get("successThreshold", 1) != 1:
        yield invalid(f"{path}.successThreshold", probe["successThreshold"], "must be 1")


def _handler(handler: Spec, path: str, kinds: Iterable[str]) -> Iterator[FieldError]:
    given = [kind for kind in kinds if handler.get(kind) is not None]
    if not given:
        yield required(path, "must specify a handler type")
    for kind in given[1:]:
        yield forbidden(f"{path}.{kind}", "may not specify more than 1 handler type")
    if isinstance(command := at(handler, "exec"), dict) and not command.get("command"):
        yield required(f"{path}.exec.command")
    for kind in ("httpGet", "tcpSocket"):
        if isinstance(found := handler.get(kind), dict):
            yield from port_or_name(found.get("port"), f"{path}.{kind}.port")


def port_or_name(value: Any, path: str) -> Iterator[FieldError]:
    """Return what is wrong with a port given by number or name."""
    if isinstance(value, str):
        yield from check.name(path, value, names.port_name)
    else:
        yield from check.port(path, value if isinstance(value, int) else 0)


def _volumes(volumes: list[Spec], path: str) -> Iterator[FieldError]:
    found: set[str] = set()
    for index, volume in enumerate(volumes):
        where = f"{path}[{index}]"
        name = str(volume.get("name") or "")
        yield from check.required_name(f"{where}.name", name, names.dns_label)
        if name in found:
            yield duplicate(f"{where}.name", name)
        found.add(name)
        sources = [key for key in volume if key != "name" and volume[key] is not None]
        for source in sources[1:]:
            yield forbidden(f"{where}.{source}", "may not specify more than 1 volume type")
        yield from _volume(volume, where)


_NEEDED = {
    "hostPath": ("path",),
    "secret": ("secretName",),
    "configMap": ("name",),
    "nfs": ("server", "path"),
    "persistentVolumeClaim": ("claimName",),
    "csi": ("driver",),
    "iscsi": ("targetPortal", "iqn"),
}


def _volume(volume: Spec, path: str) -> Iterator[FieldError]:
    for source, keys in _NEEDED.items():
        if isinstance(found := volume.get(source), dict):
            for key in keys:
                if not found.get(key):
                    yield required(f"{path}.{source}.{key}")
    for source in ("secret", "configMap", "downwardAPI", "projected"):
        mode = at(volume, source, "defaultMode")
        if isinstance(mode, int) and not 0 <= mode <= 0o777:
            yield invalid(
                f"{path}.{source}.defaultMode", mode, "must be a number between 0 and 0777 (octal), both inclusive"
            )


def _tolerations(tolerations: list[Spec], path: str) -> Iterator[FieldError]:
    for index, toleration in enumerate(tolerations):
        where = f"{path}[{index}]"
        operator = toleration.get("operator") or "Equal"
        if key := toleration.get("key"):
            yield from check.name(f"{where}.key", key, names.qualified_name)
        elif operator != "Exists":
            yield invalid(
                f"{where}.operator",
                operator,
                'operator must be Exists when `key` is empty, which means "match all values and all keys"',
            )
        if operator not in ("Equal", "Exists", "Lt", "Gt"):
            yield not_supported(f"{where}.operator", operator, ("Equal", "Exists"))
        elif operator == "Exists" and toleration.get("value"):
            yield invalid(f"{where}.operator", toleration, "value must be empty when `operator` is 'Exists'")
        effect = toleration.get("effect")
        if effect and effect not in _EFFECTS:
            yield not_supported(f"{where}.effect", effect, _EFFECTS)
        if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
            yield invalid(f"{where}.effect", effect or "", "effect must be 'NoExecute' when `tolerationSeconds` is set")


def _affinity(affinity: Spec, path: str) -> Iterator[FieldError]:
    for kind in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(kind) or {}
        for index, term in enumerate(rules.get("requiredDuringSchedulingIgnoredDuringExecution") or []):
            where = f"{path}.{kind}.requiredDuringSchedulingIgnoredDuringExecution[{index}]"
            yield from _affinity_term(term, where)
        for index, weighted in enumerate(rules.get("preferredDuringSchedulingIgnoredDuringExecution") or []):
            where = f"{path}.{kind}.preferredDuringSchedulingIgnoredDuringExecution[{index}]"
            yield from _weight(weighted, where)
            yield from _affinity_term(weighted.get("podAffinityTerm") or {}, f"{where}.podAffinityTerm")
    node = affinity.get("nodeAffinity") or {}
    if (needed := node.get("requiredDuringSchedulingIgnoredDuringExecution")) is not None:
        where = f"{path}.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
        if not needed.get("nodeSelectorTerms"):
            yield required(where, "must have at least one node selector term")
    for index, weighted in enumerate(node.get("preferredDuringSchedulingIgnoredDuringExecution") or []):
        yield from _weight(weighted, f"{path}.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[{index}]")


def _weight(weighted: Spec, path: str) -> Iterator[FieldError]:
    weight = weighted.get("weight") or 0
    if not 1 <= weight <= 100:
        yield invalid(f"{path}.weight", weight, "must be in the range 1-100")


def _affinity_term(term: Spec, path: str) -> Iterator[FieldError]:
    key = term.get("topologyKey")
    if not key:
        yield required(f"{path}.topologyKey", "can not be empty")
    else:
        yield from check.name(f"{path}.topologyKey", key, names.qualified_name)
    yield from check.label_selector(f"{path}.labelSelector", term.get("labelSelector"))


def _spread(constraints: list[Spec], path: str) -> Iterator[FieldError]:
    seen: set[tuple[Any, Any]] = set()
    for index, constraint in enumerate(constraints):
        where = f"{path}[{index}]"
        if (constraint.get("maxSkew") or 0) <= 0:
            yield invalid(f"{where}.maxSkew", constraint.get("maxSkew") or 0, "must be greater than zero")
        key, action = constraint.get("topologyKey"), constraint.get("whenUnsatisfiable")
        if not key:
            yield required(f"{where}.topologyKey", "can not be empty")
        yield from check.one_of(f"{where}.whenUnsatisfiable", action, ("DoNotSchedule", "ScheduleAnyway"))
        if (key, action) in seen:
            yield duplicate(f"{where}.{{topologyKey, whenUnsatisfiable}}", f"{{{key}, {action}}}")
        seen.add((key, action))
        yield from check.label_selector(f"{where}.labelSelector", constraint.get("labelSelector"))


# --- templates --------------------------------------------------------------------------------------------------------


def default_template(template: Any) -> None:
    """Fill in a PodTemplateSpec."""
    if isinstance(template, dict):
        template.setdefault("metadata", {})
        if isinstance(spec := template.setdefault("spec", {}), dict):
            default(spec)


def validate_template(template: Object, path: str, *, restart: tuple[str, ...] = ("Always",)) -> Iterator[FieldError]:
    """Return the faults of a PodTemplateSpec; `restart`: the restart policies that its owner can have."""
    yield from check.labels(f"{path}.metadata.labels", at(template, "metadata", "labels"))
    spec = template.get("spec") or {}
    yield from validate(spec, f"{path}.spec")
    if spec.get("restartPolicy") in RESTART_POLICIES and spec["restartPolicy"] not in restart:
        yield not_supported(f"{path}.spec.restartPolicy", spec["restartPolicy"], restart)
