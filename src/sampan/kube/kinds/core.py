"""core/v1, but for pods and events: defaults, validation, what a change may not touch."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from sampan.kube import quantity
from sampan.kube.fielderror import Fault, FieldError, duplicate, forbidden, invalid, not_supported, required
from sampan.kube.kinds import check, names, podspec
from sampan.kube.object import Object, at, metadata
from sampan.kube.reading import text
from sampan.kube.strategy import Strategy

MOST_DATA_BYTES = 1024 * 1024
_KEY_BYTES = 253
_SERVICE_TYPES = ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")
_PROTOCOLS = ("TCP", "UDP", "SCTP")
_AFFINITY_S = 10_800
_ACCESS_MODES = ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod")


def _spec(obj: Object) -> Object:
    found = obj.get("spec")
    if not isinstance(found, dict):
        found = obj["spec"] = {}
    return found


# --- ConfigMap, Secret ------------------------------------------------------------------------------------------------


def _data_key(key: str) -> str:
    if not key or len(key) > _KEY_BYTES or key in (".", "..") or key.startswith(".."):
        return "a valid config key must be no more than 253 characters, not '.', and not start with '..'"
    if not all(char.isascii() and (char.isalnum() or char in "-_.") for char in key):
        return (
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',"
            "  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
        )
    return ""


def _validate_config_map(obj: Object) -> list[FieldError]:
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    faults = [invalid(f"data[{key}]", key, why) for key in data if (why := _data_key(key))]
    faults += [invalid(f"binaryData[{key}]", key, why) for key in binary if (why := _data_key(key))]
    faults += [invalid(f"data[{key}]", key, "duplicate of key present in binaryData") for key in data if key in binary]
    size = sum(len(value) for value in data.values()) + sum(len(value) * 3 // 4 for value in binary.values())
    if size > MOST_DATA_BYTES:
        faults.append(FieldError(Fault.TOO_LONG, "", f"may not be more than {MOST_DATA_BYTES} bytes"))
    return faults


def _frozen(*keys: str) -> Any:
    """Return the check that what was made immutable stays as it is."""

    def validate(new: Object, old: Object) -> list[FieldError]:
        if not old.get("immutable"):
            return []
        faults = []
        if not new.get("immutable"):
            faults.append(forbidden("immutable", "field is immutable when `immutable` is set"))
        faults += [
            forbidden(key, "field is immutable when `immutable` is set") for key in keys if new.get(key) != old.get(key)
        ]
        return faults

    return validate


def _default_secret(obj: Object) -> None:
    if not obj.get("type"):
        obj["type"] = "Opaque"
    plain = obj.pop("stringData", None)
    if isinstance(plain, dict) and plain:
        data = obj.get("data") or {}
        obj["data"] = {**data, **{key: base64.b64encode(str(value).encode()).decode() for key, value in plain.items()}}


_SECRET_KEYS = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}


def _validate_secret(obj: Object) -> list[FieldError]:
    data = obj.get("data") or {}
    faults = [invalid(f"data[{key}]", key, why) for key in data if (why := _data_key(key))]
    if sum(len(value) * 3 // 4 for value in data.values()) > MOST_DATA_BYTES:
        faults.append(FieldError(Fault.TOO_LONG, "data", f"may not be more than {MOST_DATA_BYTES} bytes"))
    faults += [required(f"data[{key}]") for key in _SECRET_KEYS.get(str(obj.get("type")), ()) if key not in data]
    if obj.get("type") == "kubernetes.io/service-account-token":
        key = "kubernetes.io/service-account.name"
        if not (metadata(obj).get("annotations") or {}).get(key):
            faults.append(required(f"metadata.annotations[{key}]"))
    if obj.get("type") == "kubernetes.io/basic-auth" and not {"username", "password"} & set(data):
        faults += [required("data[username]"), required("data[password]")]
    return faults


def _validate_secret_update(new: Object, old: Object) -> list[FieldError]:
    return [*check.immutable("type")(new, old), *_frozen("data")(new, old)]


# --- Namespace, Node, ServiceAccount ----------------------------------------------------------------------------------


def _default_namespace(obj: Object) -> None:
    meta = metadata(obj)
    labels = meta.get("labels")
    if meta.get("name") and (labels is None or isinstance(labels, dict)):
        meta["labels"] = {**(labels or {}), "kubernetes.io/metadata.name": meta["name"]}


def _prepare_namespace(obj: Object) -> None:
    obj["status"] = {"phase": "Active"}
    finalizers = _spec(obj).setdefault("finalizers", [])
    if "kubernetes" not in finalizers:
        finalizers.append("kubernetes")


def _prepare_namespace_update(new: Object, old: Object) -> None:
    new["spec"], new["status"] = old.get("spec") or {}, old.get("status") or {}


def _default_node(obj: Object) -> None:
    _spec(obj)


def _validate_node(obj: Object) -> list[FieldError]:
    faults: list[FieldError] = []
    seen: set[tuple[Any, Any]] = set()
    for index, taint in enumerate(at(obj, "spec", "taints") or []):
        path = f"spec.taints[{index}]"
        faults += check.required_name(f"{path}.key", str(taint.get("key") or ""), names.qualified_name)
        if why := names.label_value(str(taint.get("value") or "")):
            faults.append(invalid(f"{path}.value", taint.get("value"), why))
        faults += check.one_of(f"{path}.effect", taint.get("effect"), ("NoSchedule", "PreferNoSchedule", "NoExecute"))
        if (key := (taint.get("key"), taint.get("effect"))) in seen:
            faults.append(duplicate(path, taint))
        seen.add(key)
    for index, cidr in enumerate(at(obj, "spec", "podCIDRs") or []):
        faults += check.cidr(f"spec.podCIDRs[{index}]", cidr)
    return faults


def _validate_node_update(new: Object, old: Object) -> list[FieldError]:
    before, after = at(old, "spec", "podCIDRs"), at(new, "spec", "podCIDRs")
    faults = []
    if before and before != after:
        faults.append(forbidden("spec.podCIDRs", 'node updates may not change podCIDR except from "" to valid'))
    provider = at(old, "spec", "providerID")
    if provider and provider != at(new, "spec", "providerID"):
        faults.append(forbidden("spec.providerID", 'node updates may not change providerID except from "" to valid'))
    return faults


# --- Service, Endpoints -----------------------------------------------------------------------------------------------


def _default_service(obj: Object) -> None:
    spec = _spec(obj)
    spec.setdefault("sessionAffinity", "None")
    kind = spec.setdefault("type", "ClusterIP")
    if spec["sessionAffinity"] == "ClientIP" and not at(spec, "sessionAffinityConfig", "clientIP", "timeoutSeconds"):
        spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": _AFFINITY_S}}
    for port in spec.get("ports") or ():
        if isinstance(port, dict):
            port.setdefault("protocol", "TCP")
            if port.get("targetPort") in (None, 0, "") and "port" in port:
                port["targetPort"] = port["port"]
    if kind != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
        spec.setdefault("ipFamilyPolicy", "SingleStack")
        spec.setdefault("ipFamilies", ["IPv4"])
    if kind in ("NodePort", "LoadBalancer"):
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if kind == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)


def _prepare_service(obj: Object) -> None:
    obj["status"] = {"loadBalancer": {}}


def _validate_service(obj: Object) -> list[FieldError]:
    spec = _spec(obj)
    kind, ports = spec.get("type"), spec.get("ports") or []
    faults = [*check.one_of("spec.type", kind, _SERVICE_TYPES)]
    if kind == "ExternalName":
        if not spec.get("externalName"):
            faults.append(required("spec.externalName"))
        else:
            faults += check.name(
                "spec.externalName", str(spec["externalName"]).lower().rstrip("."), names.dns_subdomain
            )
        if spec.get("clusterIP") not in (None, "", "None"):
            faults.append(forbidden("spec.clusterIPs", "may not be set for ExternalName services"))
    elif not ports and spec.get("clusterIP") != "None":
        faults.append(required("spec.ports"))
    faults += _service_ports(ports)
    faults += check.labels("spec.selector", spec.get("selector"))
    faults += check.one_of("spec.sessionAffinity", spec.get("sessionAffinity"), ("ClientIP", "None"))
    if spec.get("clusterIP") not in (None, "", "None"):
        faults += check.ip("spec.clusterIPs[0]", spec["clusterIP"])
    for index, address in enumerate(spec.get("externalIPs") or []):
        faults += check.ip(f"spec.externalIPs[{index}]", address)
    return faults


def _service_ports(ports: list[Object]) -> Iterator[FieldError]:
    seen_names: set[str] = set()
    seen: set[tuple[Any, Any]] = set()
    for index, port in enumerate(ports):
        path = f"spec.ports[{index}]"
        label = port.get("name") or ""
        if not label and len(ports) > 1:
            yield required(f"{path}.name")
        elif label:
            yield from check.name(f"{path}.name", label, names.dns_label)
            if label in seen_names:
                yield duplicate(f"{path}.name", label)
            seen_names.add(label)
        yield from check.port(f"{path}.port", port.get("port") or 0)
        yield from check.one_of(f"{path}.protocol", port.get("protocol"), _PROTOCOLS)
        yield from podspec.port_or_name(port.get("targetPort"), f"{path}.targetPort")
        if port.get("nodePort"):
            yield from check.port(f"{path}.nodePort", port["nodePort"])
        if (key := (port.get("port"), port.get("protocol"))) in seen:
            yield duplicate(path, {"port": port.get("port"), "protocol": port.get("protocol")})
        seen.add(key)


def _prepare_service_update(new: Object, old: Object) -> None:
    """Keep the address that was given, where the client leaves it out and the service still has one."""
    after, before = _spec(new), old.get("spec") or {}
    if after.get("type") == "ExternalName" or before.get("type") == "ExternalName":
        return
    for key in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "healthCheckNodePort"):
        if not after.get(key) and before.get(key):
            after[key] = before[key]
    given = {(port.get("port"), port.get("protocol")): port.get("nodePort") for port in before.get("ports") or []}
    if after.get("type") in ("NodePort", "LoadBalancer"):
        for port in after.get("ports") or []:
            if not port.get("nodePort") and (kept := given.get((port.get("port"), port.get("protocol")))):
                port["nodePort"] = kept


def _validate_service_update(new: Object, old: Object) -> list[FieldError]:
    before, after = at(old, "spec", "clusterIP"), at(new, "spec", "clusterIP")
    if at(old, "spec", "type") == "ExternalName" or at(new, "spec", "type") == "ExternalName":
        return []
    if before and before != after:
        return [invalid("spec.clusterIPs[0]", after or "", "may not change once set")]
    return []


def _default_endpoints(obj: Object) -> None:
    for subset in obj.get("subsets") or ():
        for port in (subset.get("ports") if isinstance(subset, dict) else None) or ():
            if isinstance(port, dict):
                port.setdefault("protocol", "TCP")


def _validate_endpoints(obj: Object) -> list[FieldError]:
    faults: list[FieldError] = []
    for index, subset in enumerate(obj.get("subsets") or []):
        path = f"subsets[{index}]"
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            faults.append(required(path, "must specify `addresses` or `notReadyAddresses`"))
        for kind in ("addresses", "notReadyAddresses"):
            for place, address in enumerate(subset.get(kind) or []):
                faults += check.ip(f"{path}.{kind}[{place}].ip", str(address.get("ip") or ""))
        for place, port in enumerate(subset.get("ports") or []):
            faults += check.port(f"{path}.ports[{place}].port", port.get("port") or 0)
    return faults


# --- volumes ----------------------------------------------------------------------------------------------------------


def _default_volume(obj: Object) -> None:
    spec = _spec(obj)
    spec.setdefault("volumeMode", "Filesystem")
    if "persistentVolumeReclaimPolicy" not in spec:
        spec["persistentVolumeReclaimPolicy"] = "Retain"
    if isinstance(path := spec.get("hostPath"), dict):
        path.setdefault("type", "")


def _default_claim(obj: Object) -> None:
    _spec(obj).setdefault("volumeMode", "Filesystem")


def _pending(obj: Object) -> None:
    obj["status"] = {"phase": "Pending"}


def _access_modes(spec: Object) -> Iterator[FieldError]:
    if not spec.get("accessModes"):
        yield required("spec.accessModes", "at least 1 access mode is required")
    for mode in spec.get("accessModes") or []:
        if mode not in _ACCESS_MODES:
            yield not_supported("spec.accessModes", mode, _ACCESS_MODES)


_VOLUME_FIELDS = {
    "accessModes", "capacity", "claimRef", "mountOptions", "nodeAffinity", "persistentVolumeReclaimPolicy",
    "storageClassName", "volumeMode", "volumeAttributesClassName",
}  # fmt: skip


def _validate_volume(obj: Object) -> list[FieldError]:
    spec = _spec(obj)
    faults = [*_access_modes(spec)]
    if not at(spec, "capacity"):
        faults.append(required("spec.capacity"))
    elif set(spec["capacity"]) != {"storage"}:
        faults.append(not_supported("spec.capacity", sorted(spec["capacity"]), ("storage",)))
    sources = [key for key in spec if key not in _VOLUME_FIELDS]
    if not sources:
        faults.append(required("spec", "must specify a volume type"))
    faults += [forbidden(f"spec.{key}", "may not specify more than 1 volume type") for key in sources[1:]]
    policies = ("Delete", "Recycle", "Retain")
    faults += check.one_of("spec.persistentVolumeReclaimPolicy", spec.get("persistentVolumeReclaimPolicy"), policies)
    return faults


def _validate_volume_update(new: Object, old: Object) -> list[FieldError]:
    before = {key: value for key, value in (old.get("spec") or {}).items() if key not in _VOLUME_FIELDS}
    after = {key: value for key, value in (new.get("spec") or {}).items() if key not in _VOLUME_FIELDS}
    faults = []
    if before != after:
        faults.append(
            forbidden("spec.persistentvolumesource", "spec.persistentvolumesource is immutable after creation")
        )
    return [*faults, *check.immutable("spec.volumeMode")(new, old)]


def _validate_claim(obj: Object) -> list[FieldError]:
    spec = _spec(obj)
    faults = [*_access_modes(spec), *check.label_selector("spec.selector", spec.get("selector"))]
    amount = at(spec, "resources", "requests", "storage")
    if amount is None:
        faults.append(required("spec.resources[storage]"))
    elif quantity.of(amount).amount <= 0:
        faults.append(invalid("spec.resources[storage]", amount, "must be greater than zero"))
    if spec.get("storageClassName"):
        faults += check.name("spec.storageClassName", spec["storageClassName"], names.dns_subdomain)
    return faults


_CLAIM = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"


def _validate_claim_update(new: Object, old: Object) -> list[FieldError]:
    after, before = dict(new.get("spec") or {}), dict(old.get("spec") or {})
    for key in ("resources", "volumeAttributesClassName"):
        after.pop(key, None)
        before.pop(key, None)
    if not before.get("volumeName"):
        before.pop("volumeName", None)
        after.pop("volumeName", None)
    if before.get("storageClassName") is None:
        after.pop("storageClassName", None)
        before.pop("storageClassName", None)
    if after != before:
        return [forbidden("spec", _CLAIM)]
    asked, had = (at(obj, "spec", "resources", "requests", "storage") for obj in (new, old))
    if asked is not None and had is not None and quantity.of(asked).amount < quantity.of(had).amount:
        return [forbidden("spec.resources.requests.storage", "field can not be less than status.capacity")]
    return []


# --- ReplicationController, LimitRange, ResourceQuota -----------------------------------------------------------------


def _default_replication(obj: Object) -> None:
    spec = _spec(obj)
    spec.setdefault("replicas", 1)
    template = spec.get("template")
    podspec.default_template(template)
    labels = at(template, "metadata", "labels")
    if isinstance(labels, dict) and labels:
        spec.setdefault("selector", dict(labels))
        meta = metadata(obj)
        if not meta.get("labels"):
            meta["labels"] = dict(labels)


def _validate_replication(obj: Object) -> list[FieldError]:
    spec = _spec(obj)
    faults: list[FieldError] = []
    if not spec.get("selector"):
        faults.append(required("spec.selector"))
    if (spec.get("replicas") or 0) < 0:
        faults.append(invalid("spec.replicas", spec["replicas"], "must be greater than or equal to 0"))
    if not spec.get("template"):
        return [*faults, required("spec.template")]
    labels = at(spec, "template", "metadata", "labels") or {}
    if any(labels.get(key) != value for key, value in (spec.get("selector") or {}).items()):
        faults.append(invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"))
    return [*faults, *podspec.validate_template(spec["template"], "spec.template")]


def _default_limits(obj: Object) -> None:
    for limit in at(obj, "spec", "limits") or ():
        if not isinstance(limit, dict) or limit.get("type") != "Container":
            continue
        default = limit.setdefault("default", {})
        for key, value in (limit.get("max") or {}).items():
            default.setdefault(key, value)
        requests = limit.setdefault("defaultRequest", {})
        for source in (default, limit.get("min") or {}):
            for key, value in source.items():
                requests.setdefault(key, value)


def _validate_limits(obj: Object) -> list[FieldError]:
    faults: list[FieldError] = []
    order = ("min", "defaultRequest", "default", "max")
    for index, limit in enumerate(at(obj, "spec", "limits") or []):
        path = f"spec.limits[{index}]"
        if not limit.get("type"):
            faults.append(required(f"{path}.type"))
        known = [kind for kind in order if limit.get(kind)]
        for place, low in enumerate(known):
            for high in known[place + 1 :]:
                for key, amount in limit[low].items():
                    top = limit[high].get(key)
                    if top is not None and quantity.of(amount).amount > quantity.of(top).amount:
                        faults.append(
                            invalid(
                                f"{path}.{low}[{key}]",
                                amount,
                                f"{low} value {amount} is greater than {high} value {top}",
                            )
                        )
    return faults


def _validate_quota(obj: Object) -> list[FieldError]:
    faults = []
    for key, amount in (at(obj, "spec", "hard") or {}).items():
        if why := names.qualified_name(key):
            faults.append(invalid(f"spec.hard[{key}]", key, why))
        elif quantity.of(amount).amount < 0:
            faults.append(invalid(f"spec.hard[{key}]", amount, "must be greater than or equal to 0"))
    return faults


def _empty_status(obj: Object) -> None:
    obj.setdefault("status", {})


STRATEGIES: dict[str, Strategy] = {
    "Binding": Strategy(),
    "ComponentStatus": Strategy(),
    "ConfigMap": Strategy(validate=_validate_config_map, validate_update=_frozen("data", "binaryData")),
    "Endpoints": Strategy(default=_default_endpoints, validate=_validate_endpoints),
    "LimitRange": Strategy(default=_default_limits, validate=_validate_limits),
    "Namespace": Strategy(
        default=_default_namespace,
        prepare_create=_prepare_namespace,
        prepare_update=_prepare_namespace_update,
        fields={"status.phase": lambda obj: text(obj, "status", "phase")},
        has_status=True,
        validate_name=names.dns_label,
        answers_with_object=True,
    ),
    "Node": Strategy(
        default=_default_node,
        prepare_create=_empty_status,
        validate=_validate_node,
        validate_update=_validate_node_update,
        fields={"spec.unschedulable": lambda obj: "true" if at(obj, "spec", "unschedulable") else "false"},
        has_status=True,
    ),
    "PersistentVolume": Strategy(
        default=_default_volume,
        prepare_create=_pending,
        validate=_validate_volume,
        validate_update=_validate_volume_update,
        has_status=True,
        answers_with_object=True,
    ),
    "PersistentVolumeClaim": Strategy(
        default=_default_claim,
        prepare_create=_pending,
        validate=_validate_claim,
        validate_update=_validate_claim_update,
        has_status=True,
        answers_with_object=True,
    ),
    "ReplicationController": Strategy(
        default=_default_replication,
        prepare_create=lambda obj: obj.__setitem__("status", {"replicas": 0}),
        validate=_validate_replication,
        fields={"status.replicas": lambda obj: str(at(obj, "status", "replicas") or 0)},
        has_status=True,
        has_generation=True,
        validate_name=names.dns_subdomain,
    ),
    "ResourceQuota": Strategy(
        prepare_create=_empty_status, validate=_validate_quota, has_status=True, answers_with_object=True
    ),
    "Secret": Strategy(
        default=_default_secret,
        validate=_validate_secret,
        validate_update=_validate_secret_update,
        fields={"type": lambda obj: text(obj, "type")},
    ),
    "Service": Strategy(
        default=_default_service,
        prepare_create=_prepare_service,
        prepare_update=_prepare_service_update,
        validate=_validate_service,
        validate_update=_validate_service_update,
        fields={
            "spec.clusterIP": lambda obj: text(obj, "spec", "clusterIP"),
            "spec.type": lambda obj: text(obj, "spec", "type"),
        },
        has_status=True,
        validate_name=names.dns_1035_label,
        answers_with_object=True,
    ),
    "ServiceAccount": Strategy(answers_with_object=True),
}
