"""A container's environment, and what pods may be told of themselves.

Spec: core/v1 EnvVar, EnvFromSource, ObjectFieldSelector, ResourceFieldSelector.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

from sampan.kube import quantity
from sampan.kube.fielderror import FieldError, invalid, not_supported, required
from sampan.kube.kinds import check, names
from sampan.kube.object import Object, at
from sampan.kube.reading import text

_OF_METADATA = ("metadata.name", "metadata.namespace", "metadata.uid")
ENV_FIELDS = (
    *_OF_METADATA,
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
VOLUME_FIELDS = ("metadata.annotations", "metadata.labels", *_OF_METADATA)
_READABLE = {*ENV_FIELDS, *VOLUME_FIELDS, "spec.restartPolicy", "spec.schedulerName", "status.phase", "spec.host"}
_ONE_OF_MANY = re.compile(r"(metadata\.(?:annotations|labels))\['(.*)'\]")
_RESOURCES = tuple(
    f"{kind}.{name}" for kind in ("limits", "requests") for name in ("cpu", "ephemeral-storage", "memory")
)


def _name(value: str) -> str:
    if not value or any(char == "=" or not char.isprintable() for char in value):
        return "a valid environment variable name must consist only of printable ASCII characters other than '='"
    return ""


def variables(found: list[Object], path: str) -> Iterator[FieldError]:
    for index, variable in enumerate(found):
        where = f"{path}[{index}]"
        yield from check.required_name(f"{where}.name", text(variable, "name"), _name)
        if isinstance(source := variable.get("valueFrom"), dict):
            yield from _source(variable, source, f"{where}.valueFrom")


def _source(variable: Object, source: Object, path: str) -> Iterator[FieldError]:
    kinds = [key for key in source if source[key] is not None]
    if not kinds:
        why = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
        yield invalid(path, "", why)
    elif len(kinds) > 1:
        yield invalid(path, "", "may not have more than one field specified at a time")
    if variable.get("value"):
        yield invalid(path, "", "may not be specified when `value` is not empty")
    for kind in ("configMapKeyRef", "secretKeyRef"):
        if isinstance(reference := source.get(kind), dict):
            for key in ("name", "key"):
                if not reference.get(key):
                    yield required(f"{path}.{kind}.{key}")
    if source.get("fieldRef") is not None:
        yield from field(source["fieldRef"], f"{path}.fieldRef", ENV_FIELDS)
    if source.get("resourceFieldRef") is not None:
        yield from resource(source["resourceFieldRef"], f"{path}.resourceFieldRef", volume=False)


def field(reference: Any, path: str, known: Collection[str]) -> Iterator[FieldError]:
    """Return the faults of an ObjectFieldSelector; `known`: the fields that may be told here."""
    said = text(reference, "fieldPath")
    if not said:
        yield required(f"{path}.fieldPath")
    elif (one := _ONE_OF_MANY.fullmatch(said)) is not None:
        yield from check.name(path, one[2].lower() if "annotations" in one[1] else one[2], names.qualified_name)
    elif said not in _READABLE:
        why = f"error converting fieldPath: field label not supported: {said}"
        yield invalid(f"{path}.fieldPath", said, why)
    elif said not in known and said != "spec.host":
        yield not_supported(f"{path}.fieldPath", said, tuple(sorted(known)))


def resource(reference: Any, path: str, *, volume: bool) -> Iterator[FieldError]:
    """Return the faults of a ResourceFieldSelector."""
    name = text(reference, "resource")
    if volume and not text(reference, "containerName"):
        yield required(f"{path}.containerName")
    if not name:
        yield required(f"{path}.resource")
    elif name not in _RESOURCES and not name.startswith(("limits.hugepages-", "requests.hugepages-")):
        yield not_supported(f"{path}.resource", name, _RESOURCES)
    divisor = at(reference, "divisor")
    try:
        wrong = divisor is not None and quantity.of(divisor).amount < 0
    except quantity.QuantityError:
        wrong = True
    if wrong:
        yield invalid(f"{path}.divisor", divisor, "must be greater than or equal to 0")


def sources(found: list[Object], path: str) -> Iterator[FieldError]:
    """Return the faults of envFrom."""
    for index, source in enumerate(found):
        kinds = [kind for kind in ("configMapRef", "secretRef") if source.get(kind)]
        if len(kinds) != 1:
            why = (
                "must specify one of: `configMapRef` or `secretRef`"
                if not kinds
                else "may not have more than one field specified at a time"
            )
            yield invalid(f"{path}[{index}]", "", why)
        elif not text(source, kinds[0], "name"):
            yield required(f"{path}[{index}].{kinds[0]}.name")
        if (prefix := text(source, "prefix")) and _name(prefix):
            yield invalid(f"{path}[{index}].prefix", prefix, _name(prefix))
