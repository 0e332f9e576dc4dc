"""core/v1, but for pods, services, volumes and events: defaults, validation, what a change may not touch."""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from sampan.kube import quantity
from sampan.kube.fielderror import Fault, FieldError, duplicate, forbidden, invalid, required
from sampan.kube.kinds import check, names, podspec, resourcequota
from sampan.kube.object import Object, at, metadata, spec_of
from sampan.kube.reading import mapping, text
from sampan.kube.strategy import Strategy

MOST_DATA_BYTES = 1024 * 1024
_KEY_BYTES = 253
_LIMITED = ("Container", "PersistentVolumeClaim", "Pod")


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
    faults += _registry_login(str(obj.get("type")), data)
    if obj.get("type") == "kubernetes.io/service-account-token":
        key = "kubernetes.io/service-account.name"
        if not (metadata(obj).get("annotations") or {}).get(key):
            faults.append(required(f"metadata.annotations[{key}]"))
    if obj.get("type") == "kubernetes.io/basic-auth" and not {"username", "password"} & set(data):
        faults += [required("data[username]"), required("data[password]")]
    return faults


def _registry_login(kind: str, data: Object) -> list[FieldError]:
    """Judge the files that docker keeps logins in: they are JSON. What they say is not shown."""
    key = {"kubernetes.io/dockercfg": ".dockercfg", "kubernetes.io/dockerconfigjson": ".dockerconfigjson"}.get(kind)
    if key is None or key not in data:
        return []
    try:
        msgspec.json.decode(base64.b64decode(data[key]))
    except (msgspec.MsgspecError, ValueError):
        return [invalid(f"data[{key}]", "<secret contents redacted>", "is no JSON")]
    return []


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
    finalizers = spec_of(obj).setdefault("finalizers", [])
    if "kubernetes" not in finalizers:
        finalizers.append("kubernetes")


def _prepare_namespace_update(new: Object, old: Object) -> None:
    new["spec"], new["status"] = old.get("spec") or {}, old.get("status") or {}


def _default_node(obj: Object) -> None:
    spec_of(obj)


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


# --- ReplicationController, LimitRange, ResourceQuota -----------------------------------------------------------------


def _default_replication(obj: Object) -> None:
    spec = spec_of(obj)
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
    spec = spec_of(obj)
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


def _limit_type(limit: Object, path: str) -> list[FieldError]:
    kind = text(limit, "type")
    faults = [*check.required_name(f"{path}.type", kind, names.qualified_name)]
    if not faults and "/" not in kind and kind not in _LIMITED:
        faults.append(invalid(f"{path}.type", kind, "must be a standard limit type or fully qualified"))
    if kind == "Pod":
        faults += [
            forbidden(f"{path}.{field}", "may not be specified when `type` is 'Pod'")
            for field in ("default", "defaultRequest")
            if limit.get(field)
        ]
    if kind == "PersistentVolumeClaim" and not any("storage" in mapping(limit, field) for field in ("min", "max")):
        why = "either minimum or maximum storage value is required, but neither was provided"
        faults.append(required(f"{path}.limits", why))
    for name, ratio in mapping(limit, "maxLimitRequestRatio").items():
        if quantity.of(ratio).amount < 1:
            faults.append(invalid(f"{path}.maxLimitRequestRatio[{name}]", ratio, f"ratio {ratio} is less than 1"))
    return faults


def _validate_limits(obj: Object) -> list[FieldError]:
    faults: list[FieldError] = []
    kinds: list[Any] = []
    order = ("min", "defaultRequest", "default", "max")
    for index, limit in enumerate(at(obj, "spec", "limits") or []):
        path = f"spec.limits[{index}]"
        faults += _limit_type(limit, path)
        if (kind := limit.get("type")) in kinds:
            faults.append(duplicate(f"{path}.type", kind))
        kinds.append(kind)
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


def _empty_status(obj: Object) -> None:
    obj.setdefault("status", {})


STRATEGIES: dict[str, Strategy] = {
    "Binding": Strategy(),
    "ComponentStatus": Strategy(),
    "ConfigMap": Strategy(validate=_validate_config_map, validate_update=_frozen("data", "binaryData")),
    "LimitRange": Strategy(default=_default_limits, validate=_validate_limits, update_creates=True),
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
        prepare_create=lambda obj: obj.setdefault("status", {}),
        born_with_status=True,
        validate=_validate_node,
        validate_update=_validate_node_update,
        fields={"spec.unschedulable": lambda obj: "true" if at(obj, "spec", "unschedulable") else "false"},
        has_status=True,
    ),
    "ReplicationController": Strategy(
        default=_default_replication,
        prepare_create=lambda obj: obj.__setitem__("status", {"replicas": 0}),
        validate=_validate_replication,
        fields={"status.replicas": lambda obj: str(at(obj, "status", "replicas") or 0)},
        has_status=True,
        has_generation=True,
        orphans=True,
        validate_name=names.dns_subdomain,
    ),
    "ResourceQuota": Strategy(
        prepare_create=_empty_status, validate=resourcequota.validate, has_status=True, answers_with_object=True
    ),
    "Secret": Strategy(
        default=_default_secret,
        validate=_validate_secret,
        validate_update=_validate_secret_update,
        fields={"type": lambda obj: text(obj, "type")},
    ),
    "ServiceAccount": Strategy(answers_with_object=True),
}
