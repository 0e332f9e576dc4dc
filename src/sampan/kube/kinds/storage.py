"""storage.k8s.io: classes, drivers and attachments of volumes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sampan.kube.fielderror import FieldError, duplicate, forbidden, invalid, required, too_long
from sampan.kube.kinds import check, names
from sampan.kube.object import Object, at
from sampan.kube.reading import items, mapping, text, words
from sampan.kube.strategy import Strategy

_PARAMETERS, _PARAMETERS_BYTES = 512, 256 * 1024
_NODE_ID_BYTES = 256
_ERROR_BYTES = 1024
_METADATA_BYTES = 256 * 1024
_TOKEN_LEAST_S, _TOKEN_MOST_S = 600, 1 << 32


# --- StorageClass, VolumeAttributesClass ------------------------------------------------------------------------------


def _default_storage_class(obj: Object) -> None:
    for field, value in (("reclaimPolicy", "Delete"), ("volumeBindingMode", "Immediate")):
        if obj.get(field) is None:
            obj[field] = value


def _storage_class(obj: Object) -> list[FieldError]:
    faults = list(check.required_name("provisioner", text(obj, "provisioner").lower(), names.qualified_name))
    faults += _parameters(obj.get("parameters"))
    faults += check.one_of("reclaimPolicy", obj.get("reclaimPolicy"), ("Delete", "Retain"))
    faults += check.one_of("volumeBindingMode", obj.get("volumeBindingMode"), ("Immediate", "WaitForFirstConsumer"))
    for index, term in enumerate(items(obj, "allowedTopologies")):
        faults += _topology(f"allowedTopologies[{index}]", term)
    return faults


def _parameters(parameters: Any) -> Iterator[FieldError]:
    found = mapping(parameters)
    if len(found) > _PARAMETERS:
        yield too_long("parameters", _PARAMETERS)
        return
    if "" in found:
        yield invalid("parameters", "", "field can not be empty.")
    if sum(len(key) + len(str(value)) for key, value in found.items()) > _PARAMETERS_BYTES:
        yield too_long("parameters", _PARAMETERS_BYTES)


def _topology(path: str, term: Object) -> Iterator[FieldError]:
    expressions = items(term, "matchLabelExpressions")
    yield from check.unique(f"{path}.matchLabelExpressions", [text(one, "key") for one in expressions], "key")
    for index, expression in enumerate(expressions):
        where, key, values = (
            f"{path}.matchLabelExpressions[{index}]",
            text(expression, "key"),
            words(expression, "values"),
        )
        if not values:
            yield required(f"{where}.values")
        yield from check.unique(f"{where}.values", values)
        yield from check.name(f"{where}.key", key, names.qualified_name)


_FROZEN = ("parameters", "provisioner", "reclaimPolicy")


def _frozen(new: Object, old: Object, fields: tuple[str, ...]) -> list[FieldError]:
    return [
        forbidden(field, f"updates to {field} are forbidden.")
        for field in fields
        if (new.get(field) or None) != (old.get(field) or None)
    ]


def _change_storage_class(new: Object, old: Object) -> list[FieldError]:
    return [*_frozen(new, old, _FROZEN), *check.immutable("volumeBindingMode")(new, old)]


def _attributes_class(obj: Object) -> list[FieldError]:
    faults = list(check.required_name("driverName", text(obj, "driverName"), names.dns_subdomain))
    faults += _parameters(obj.get("parameters"))
    if not mapping(obj, "parameters"):
        faults.append(required("parameters", "must contain at least one key/value pair"))
    return faults


def _change_attributes_class(new: Object, old: Object) -> list[FieldError]:
    return _frozen(new, old, ("driverName", "parameters"))


# --- CSIDriver --------------------------------------------------------------------------------------------------------

_DRIVER_DEFAULTS: dict[str, Any] = {
    "attachRequired": True,
    "podInfoOnMount": False,
    "storageCapacity": False,
    "fsGroupPolicy": "ReadWriteOnceWithFSType",
    "requiresRepublish": False,
    "seLinuxMount": False,
}


def _default_driver(obj: Object) -> None:
    spec = at(obj, "spec")
    if not isinstance(spec, dict):
        return
    for field, value in _DRIVER_DEFAULTS.items():
        if spec.get(field) is None:
            spec[field] = value
    if not spec.get("volumeLifecycleModes"):
        spec["volumeLifecycleModes"] = ["Persistent"]


def _driver(obj: Object) -> list[FieldError]:
    spec = mapping(obj, "spec")
    faults = list(
        check.optional("spec.fsGroupPolicy", spec.get("fsGroupPolicy"), ("File", "None", "ReadWriteOnceWithFSType"))
    )
    faults += _token_requests(items(spec, "tokenRequests"))
    for mode in words(spec, "volumeLifecycleModes"):
        faults += check.one_of("spec.volumeLifecycleModes", mode, ("Persistent", "Ephemeral"))
    period = spec.get("nodeAllocatableUpdatePeriodSeconds")
    if isinstance(period, int) and period < 10:
        why = "must be greater than or equal to 10 seconds"
        faults.append(invalid("spec.nodeAllocatableUpdatePeriodSeconds", period, why))
    return faults


def _token_requests(requests: list[Object]) -> Iterator[FieldError]:
    yield from check.unique("spec.tokenRequests", [text(each, "audience") for each in requests], "audience")
    for index, request in enumerate(requests):
        seconds, path = request.get("expirationSeconds"), f"spec.tokenRequests[{index}].expirationSeconds"
        if isinstance(seconds, int) and seconds < _TOKEN_LEAST_S:
            yield invalid(path, seconds, "may not specify a duration less than 10 minutes")
        elif isinstance(seconds, int) and seconds > _TOKEN_MOST_S:
            yield invalid(path, seconds, "may not specify a duration larger than 2^32 seconds")


_DRIVER_FROZEN = check.immutable(
    "spec.attachRequired", "spec.fsGroupPolicy", "spec.podInfoOnMount", "spec.volumeLifecycleModes"
)


# --- CSINode, CSIStorageCapacity --------------------------------------------------------------------------------------


def _node(obj: Object) -> list[FieldError]:
    drivers = items(obj, "spec", "drivers")
    faults = list(check.unique("spec.drivers", [text(driver, "name") for driver in drivers], "name"))
    for index, driver in enumerate(drivers):
        faults += _node_driver(f"spec.drivers[{index}]", driver)
    return faults


def _node_driver(path: str, driver: Object) -> Iterator[FieldError]:
    yield from check.required_name(f"{path}.name", text(driver, "name"), names.dns_subdomain)
    node_id, keys = text(driver, "nodeID"), words(driver, "topologyKeys")
    if not node_id:
        yield required(f"{path}.nodeID")
    elif len(node_id) > _NODE_ID_BYTES:
        yield invalid(f"{path}.nodeID", node_id, f"must be {_NODE_ID_BYTES} characters or less")
    count = at(driver, "allocatable", "count")
    if isinstance(count, int) and count < 0:
        yield invalid(f"{path}.allocatable.count", count, "must be greater than or equal to 0")
    for index, key in enumerate(keys):
        if key in keys[:index]:
            yield duplicate(path, key)
        yield from check.required_name(path, key, names.qualified_name)


def _change_node(new: Object, old: Object) -> list[FieldError]:
    before = {text(driver, "name"): driver for driver in items(old, "spec", "drivers")}
    return [
        invalid("CSINodeDriver", driver, check.IMMUTABLE)
        for driver in items(new, "spec", "drivers")
        if before.get(text(driver, "name"), driver) != driver
    ]


def _capacity(obj: Object) -> list[FieldError]:
    faults = list(check.label_selector("nodeTopology", obj.get("nodeTopology")))
    faults += check.name("storageClassName", text(obj, "storageClassName"), names.dns_subdomain)
    for field in ("capacity", "maximumVolumeSize"):
        if obj.get(field) is not None:
            faults += check.amount(field, obj[field])
    return faults


# --- VolumeAttachment -------------------------------------------------------------------------------------------------


def _attachment(obj: Object) -> list[FieldError]:
    faults = list(check.required_name("spec.attacher", text(obj, "spec", "attacher"), names.dns_subdomain))
    faults += _source(mapping(obj, "spec", "source"))
    faults += check.name("spec.nodeName", text(obj, "spec", "nodeName"), names.dns_subdomain)
    return [*faults, *_attachment_status(obj, obj)]


def _source(source: Any) -> Iterator[FieldError]:
    volume, inline = source.get("persistentVolumeName"), source.get("inlineVolumeSpec")
    either = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
    if volume is None and inline is None:
        yield required("spec.source", either)
    elif volume is not None and inline is not None:
        yield forbidden("spec.source", either)
    elif volume == "":
        yield required("spec.source.persistentVolumeName", "must specify non empty persistentVolumeName")
    elif volume is not None:
        yield from check.name("spec.source.persistentVolumeName", volume, names.dns_subdomain)


def _attachment_status(new: Object, old: Object) -> list[FieldError]:
    metadata = mapping(new, "status", "attachmentMetadata")
    faults = [
        too_long(f"status.{field}.message", _ERROR_BYTES)
        for field in ("attachError", "detachError")
        if len(text(new, "status", field, "message")) > _ERROR_BYTES
    ]
    if sum(len(key) + len(str(value)) for key, value in metadata.items()) > _METADATA_BYTES:
        faults.append(too_long("status.attachmentMetadata", _METADATA_BYTES))
    return faults


STRATEGIES: dict[str, Strategy] = {
    "StorageClass": Strategy(
        default=_default_storage_class,
        validate=_storage_class,
        validate_update=_change_storage_class,
        answers_with_object=True,
    ),
    "VolumeAttributesClass": Strategy(
        validate=_attributes_class,
        validate_update=_change_attributes_class,
        answers_with_object=True,
    ),
    "CSIDriver": Strategy(
        default=_default_driver,
        validate=_driver,
        validate_update=_DRIVER_FROZEN,
        has_generation=True,
        update_names_version=True,
        answers_with_object=True,
    ),
    "CSINode": Strategy(
        validate=_node, validate_update=_change_node, update_names_version=True, answers_with_object=True
    ),
    "CSIStorageCapacity": Strategy(
        validate=_capacity,
        validate_update=check.immutable("nodeTopology", "storageClassName"),
        update_names_version=True,
    ),
    "VolumeAttachment": Strategy(
        validate=_attachment,
        validate_update=check.immutable("spec"),
        validate_status=_attachment_status,
        has_status=True,
        update_names_version=True,
        answers_with_object=True,
    ),
}
