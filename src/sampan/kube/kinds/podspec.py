"""PodSpec, alone and in templates: defaults and validation.

Spec: core/v1 PodSpec, Container; k8s.io/kubernetes/pkg/apis/core/v1 defaults.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import Any

import msgspec

from sampan.kube import quantity
from sampan.kube.fielderror import FieldError, duplicate, forbidden, invalid, not_found, not_supported, required
from sampan.kube.kinds import check, names, placing, podenv, podnetwork, podvolumes, probes, securitycontext
from sampan.kube.object import Object, at
from sampan.kube.reading import items, mapping, text

Spec = dict[str, Any]
RESTART_POLICIES = ("Always", "OnFailure", "Never")
_DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
_NEVER_EPHEMERAL = ("ports", *probes.PROBES, "lifecycle", "resources", "resizePolicy")
_COMPUTE = ("cpu", "memory", "ephemeral-storage")
_HUGE = "hugepages-"
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
    for name in probes.PROBES:
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


def validate(spec: Spec, path: str, claims: Collection[str] = ()) -> Iterator[FieldError]:
    """Return the faults of a pod's spec at `path`. Of many pods that are alike, the first is judged.

    `claims`: volumes that it will have besides.
    """
    if claims:
        return _faults(spec, path, claims)
    raw = _encode(spec)
    return iter(()) if len(raw) <= _REMEMBERED_BYTES and _faultless(raw) else _faults(spec, path)


@lru_cache(maxsize=512)
def _faultless(raw: bytes) -> bool:
    return next(_faults(_decode(raw), "spec"), None) is None


def _faults(spec: Spec, path: str, claims: Collection[str] = ()) -> Iterator[FieldError]:
    yield from podvolumes.volumes(items(spec, "volumes"), f"{path}.volumes")
    volumes = podvolumes.names_of(spec) | set(claims)
    if not spec.get("containers"):
        yield required(f"{path}.containers")
    seen: set[str] = set()
    for kind in _CONTAINERS:
        for index, container in enumerate(items(spec, kind)):
            where = f"{path}.{kind}[{index}]"
            yield from _container(container, where, volumes, seen, init=kind == "initContainers")
            if kind == "ephemeralContainers":
                yield from _ephemeral(container, where, seen)
    yield from check.one_of(f"{path}.restartPolicy", spec.get("restartPolicy"), RESTART_POLICIES)
    yield from check.one_of(f"{path}.dnsPolicy", spec.get("dnsPolicy"), _DNS_POLICIES)
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
    if (system := spec.get("os")) is not None:
        yield from check.one_of(f"{path}.os.name", text(system, "name"), ("linux", "windows"))
    yield from securitycontext.of_pod(spec, path)
    yield from check.labels(f"{path}.nodeSelector", spec.get("nodeSelector"))
    yield from placing.tolerations(items(spec, "tolerations"), f"{path}.tolerations")
    yield from placing.affinity(spec.get("affinity"), f"{path}.affinity")
    yield from placing.spread(items(spec, "topologySpreadConstraints"), f"{path}.topologySpreadConstraints")
    yield from podnetwork.of_pod(spec, path)
    yield from _gates(spec, path)
    yield from _claims(items(spec, "resourceClaims"), f"{path}.resourceClaims")


def _ephemeral(container: Spec, path: str, names_: set[str]) -> Iterator[FieldError]:
    for field in _NEVER_EPHEMERAL:
        if container.get(field):
            yield forbidden(f"{path}.{field}", "field not allowed for an ephemeral container")
    if (target := text(container, "targetContainerName")) and target not in names_:
        yield not_found(f"{path}.targetContainerName", target)


def _gates(spec: Spec, path: str) -> Iterator[FieldError]:
    gates = [text(gate, "name") for gate in items(spec, "schedulingGates")]
    for index, name in enumerate(gates):
        yield from check.name(f"{path}.schedulingGates[{index}]", name, names.qualified_name)
    yield from check.unique(f"{path}.schedulingGates", gates)
    for index, gate in enumerate(items(spec, "readinessGates")):
        where = f"{path}.readinessGates[{index}].conditionType"
        yield from check.name(where, text(gate, "conditionType"), names.qualified_name)


def _claims(claims: list[Spec], path: str) -> Iterator[FieldError]:
    yield from check.unique(path, [text(claim, "name") for claim in claims], "name")
    for index, claim in enumerate(claims):
        where = f"{path}[{index}]"
        yield from check.required_name(f"{where}.name", text(claim, "name"), names.dns_label)
        given = [key for key in ("resourceClaimName", "resourceClaimTemplateName") if claim.get(key) is not None]
        if len(given) > 1:
            why = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            yield invalid(where, claim, why)
        elif not given:
            yield invalid(where, claim, "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`")


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
    policies = ("FallbackToLogsOnError", "File")
    yield from check.one_of(f"{path}.terminationMessagePolicy", container.get("terminationMessagePolicy"), policies)
    yield from podnetwork.ports(items(container, "ports"), f"{path}.ports")
    yield from podenv.variables(items(container, "env"), f"{path}.env")
    yield from podenv.sources(items(container, "envFrom"), f"{path}.envFrom")
    yield from podvolumes.mounts(container, path, volumes)
    yield from resources(mapping(container, "resources"), f"{path}.resources")
    yield from probes.of_container(container, path, once=init and container.get("restartPolicy") != "Always")
    yield from securitycontext.of_container(container.get("securityContext"), f"{path}.securityContext")
    if init and container.get("restartPolicy") not in (None, "Always"):
        yield not_supported(f"{path}.restartPolicy", container["restartPolicy"], ("Always",))


def resources(value: Spec, path: str) -> Iterator[FieldError]:
    """Return the faults of ResourceRequirements."""
    limits, requests = mapping(value, "limits"), mapping(value, "requests")
    for kind, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            where = f"{path}.{kind}[{name}]"
            if why := names.qualified_name(name):
                yield invalid(where, name, why)
            elif quantity.of(amount).amount < 0:
                yield invalid(where, amount, "must be greater than or equal to 0")
            elif "/" not in name and name not in _COMPUTE and not name.startswith(_HUGE):
                yield invalid(where, name, "must be a standard resource type or fully qualified")
            elif _whole(name) and quantity.of(amount).amount % 1:
                yield invalid(where, amount, "must be an integer")
    for name, amount in requests.items():
        limit = limits.get(name)
        if limit is None and _whole(name):
            yield required(f"{path}.limits", "Limit must be set for non overcommitable resources")
        elif limit is not None and _whole(name) and quantity.of(amount).amount != quantity.of(limit).amount:
            yield invalid(f"{path}.requests", amount, f"must be equal to {name} limit of {limit}")
        elif limit is not None and quantity.of(amount).amount > quantity.of(limit).amount:
            yield invalid(f"{path}.requests", amount, f"must be less than or equal to {name} limit of {limit}")
    asked = {*limits, *requests}
    if any(name.startswith(_HUGE) for name in asked) and not {"cpu", "memory"} & asked:
        yield forbidden(path, "HugePages require cpu or memory")


def _whole(name: str) -> bool:
    """Return whether a resource is handed out in pieces, and never more of them than there are."""
    return name.startswith(_HUGE) or ("/" in name and not name.partition("/")[0].endswith("kubernetes.io"))


# --- templates --------------------------------------------------------------------------------------------------------


def default_template(template: Any) -> None:
    """Fill in a PodTemplateSpec."""
    if isinstance(template, dict):
        template.setdefault("metadata", {})
        if isinstance(spec := template.setdefault("spec", {}), dict):
            default(spec)


def validate_template(
    template: Object, path: str, *, restart: tuple[str, ...] = ("Always",), claims: Collection[str] = ()
) -> Iterator[FieldError]:
    """Return the faults of a PodTemplateSpec.

    `restart`: the restart policies that its owner can have. `claims`: volumes that its owner gives to each pod.
    """
    yield from check.labels(f"{path}.metadata.labels", at(template, "metadata", "labels"))
    spec = template.get("spec") or {}
    yield from validate(spec, f"{path}.spec", claims)
    if spec.get("ephemeralContainers"):
        yield forbidden(f"{path}.spec.ephemeralContainers", "ephemeral containers not allowed in pod template")
    if spec.get("restartPolicy") in RESTART_POLICIES and spec["restartPolicy"] not in restart:
        yield not_supported(f"{path}.spec.restartPolicy", spec["restartPolicy"], restart)
