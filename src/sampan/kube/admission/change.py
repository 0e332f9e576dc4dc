"""Changes that policies make: a configuration merged by the schema, or a JSON patch.

Spec: admissionregistration.k8s.io/v1 Mutation, ApplyConfiguration, JSONPatch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from sampan.kube import status
from sampan.kube.admission.expression import plain
from sampan.kube.apply.extract import below, granular
from sampan.kube.apply.merging import merge
from sampan.kube.cel.fault import Fault
from sampan.kube.cel.value import type_of
from sampan.kube.object import Object
from sampan.kube.patch import json as json_patch
from sampan.kube.schema.node import Node


def applied(node: Node | None, obj: Object, said: Any) -> Object:
    """Return an object with what a configuration says; lists and maps that are merged only as a whole may not be in it.

    Raises:
        Fault
    """
    config = plain(said)
    if not isinstance(config, dict):
        raise Fault(f"unsupported return type from ApplyConfiguration expression: {type_of(said).name}")
    if node is not None and (atomic := ", ".join(_atomic(node, config, ""))):
        why = f"may not mutate atomic arrays, maps or structs: {atomic}"
        raise Fault(f"error applying patch: invalid ApplyConfiguration: {why}")
    try:
        made: Object = merge(node, obj, config)
    except (KeyError, ValueError) as error:
        raise Fault(f"error applying patch: {error}") from error
    return made


def _atomic(node: Node, value: Any, path: str) -> Iterator[str]:
    """Yield the paths of what cannot be merged part by part."""
    if not isinstance(value, (dict, list)):
        return
    if path and not granular(node, value):
        yield path
    elif isinstance(value, dict):
        for name, item in value.items():
            if (field := below(node, name)) is not None:
                yield from _atomic(field, item, f"{path}.{name}")
    elif node.list_type == "map" and node.element is not None:
        for place, item in enumerate(value):
            yield from _atomic(node.element, item, f"{path}[{place}]")


def patched(obj: Object, said: Any) -> Object:
    """Return an object changed by a list of JSONPatch values; as it was where a test in it does not hold.

    Raises:
        Fault
    """
    operations = plain(said)
    if not isinstance(operations, list):
        raise Fault("type mismatch: JSONPatchType.expression should evaluate to array")
    try:
        made = json_patch.apply(obj, json_patch.parse(msgspec.json.encode(operations)))
    except status.ApiError as error:
        if ": testing value " in str(error):
            return obj
        raise Fault(f"JSON Patch: {error}") from error
    if not isinstance(made, dict):
        raise Fault("JSON Patch: it leaves no object")
    return made
