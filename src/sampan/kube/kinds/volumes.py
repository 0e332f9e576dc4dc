"""core/v1 PersistentVolume and PersistentVolumeClaim: defaults, validation, what a change may not touch."""

from __future__ import annotations

from collections.abc import Iterator

from sampan.kube import quantity
from sampan.kube.fielderror import FieldError, forbidden, invalid, not_supported, required
from sampan.kube.kinds import check, names, placing, podvolumes
from sampan.kube.object import Object, at, spec_of
from sampan.kube.reading import mapping, words
from sampan.kube.strategy import Strategy

_ACCESS_MODES = ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod")


def _default_volume(obj: Object) -> None:
    spec = spec_of(obj)
    spec.setdefault("volumeMode", "Filesystem")
    if "persistentVolumeReclaimPolicy" not in spec:
        spec["persistentVolumeReclaimPolicy"] = "Retain"
    if isinstance(path := spec.get("hostPath"), dict):
        path.setdefault("type", "")


def _default_claim(obj: Object) -> None:
    spec_of(obj).setdefault("volumeMode", "Filesystem")


def _pending(obj: Object) -> None:
    obj["status"] = {"phase": "Pending"}


def _access_modes(spec: Object) -> Iterator[FieldError]:
    if not spec.get("accessModes"):
        yield required("spec.accessModes", "at least 1 access mode is required")
    for mode in spec.get("accessModes") or []:
        if mode not in _ACCESS_MODES:
            yield not_supported("spec.accessModes", mode, _ACCESS_MODES)
    if "ReadWriteOncePod" in (modes := words(spec, "accessModes")) and len(modes) > 1:
        yield forbidden("spec.accessModes", "may not use ReadWriteOncePod with other access modes")
    yield from check.optional("spec.volumeMode", spec.get("volumeMode"), ("Block", "Filesystem"))


_VOLUME_FIELDS = {
    "accessModes", "capacity", "claimRef", "mountOptions", "nodeAffinity", "persistentVolumeReclaimPolicy",
    "storageClassName", "volumeMode", "volumeAttributesClassName",
}  # fmt: skip


def _validate_volume(obj: Object) -> list[FieldError]:
    spec = spec_of(obj)
    faults = [*_access_modes(spec)]
    if not at(spec, "capacity"):
        faults.append(required("spec.capacity"))
    elif set(spec["capacity"]) != {"storage"}:
        faults.append(not_supported("spec.capacity", sorted(spec["capacity"]), ("storage",)))
    sources = [key for key in spec if key not in _VOLUME_FIELDS]
    if not sources:
        faults.append(required("spec", "must specify a volume type"))
    faults += [forbidden(f"spec.{key}", "may not specify more than 1 volume type") for key in sources[1:]]
    faults += podvolumes.host_path(spec.get("hostPath"), "spec.hostPath")
    if (needed := at(spec, "nodeAffinity", "required")) is not None:
        faults += placing.node_selector(needed, "spec.nodeAffinity.required")
    for name, amount in mapping(spec, "capacity").items():
        if quantity.of(amount).amount <= 0:
            faults.append(invalid(f"spec.capacity[{name}]", amount, "must be greater than zero"))
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
    spec = spec_of(obj)
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


STRATEGIES: dict[str, Strategy] = {
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
}
