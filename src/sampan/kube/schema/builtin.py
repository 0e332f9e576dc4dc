"""The schemas of the built-in kinds, out of published definitions. A definition is made into nodes when first asked for."""

from __future__ import annotations

import sys
from functools import lru_cache
from importlib.resources import files
from typing import Any

import msgspec

from sampan.kube.schema.node import Kind, Node

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_META = "io.k8s.apimachinery.pkg.apis.meta.v1"
_SPECIAL = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": Kind.INT_OR_STRING,
    "io.k8s.apimachinery.pkg.api.resource.Quantity": Kind.QUANTITY,
    f"{_META}.Time": Kind.TIME,
    f"{_META}.MicroTime": Kind.TIME,
    f"{_META}.FieldsV1": Kind.ANY,
    "io.k8s.apimachinery.pkg.runtime.RawExtension": Kind.ANY,
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON": Kind.ANY,
}
_SCALARS = {"string": Kind.STRING, "integer": Kind.INTEGER, "number": Kind.NUMBER, "boolean": Kind.BOOLEAN}

_nodes: dict[str, Node] = {}


@lru_cache(maxsize=1)
def _raw() -> dict[str, msgspec.Raw]:
    packed = files("sampan.kube.data").joinpath("definitions.json.zst").read_bytes()
    return msgspec.json.decode(zstd.decompress(packed), type=dict[str, msgspec.Raw])


def names() -> list[str]:
    """Return the names of all definitions."""
    return sorted(_raw())


def published(name: str) -> dict[str, Any]:
    """Return a definition as it was published, in OpenAPI's terms; `$ref` is a definition's name.

    Raises:
        KeyError: there is none of that name.
    """
    found: dict[str, Any] = msgspec.json.decode(_raw()[name])
    return found


def definition(name: str) -> Node:
    """Return the schema of that name, such as `io.k8s.api.core.v1.Pod`.

    Raises:
        KeyError: there is none of that name.
    """
    node = _nodes.get(name)
    if node is None:
        node = Node()
        schema = published(name)
        _nodes[name] = node  # before its parts: they may refer to it
        node.definition = name
        if name in _SPECIAL:
            node.kind = _SPECIAL[name]
            node.format = "micro-time" if name.endswith("MicroTime") else ""
        else:
            _fill(node, schema)
    return node


def find(name: str) -> Node | None:
    """Return the schema of that name, None when there is none."""
    return definition(name) if name in _raw() else None


def _node(schema: dict[str, Any]) -> Node:
    if "$ref" in schema:
        target = definition(schema["$ref"])
        if not any(key.startswith("x-kubernetes-") for key in schema):
            return target
        node = Node()
        for slot in Node.__slots__:
            setattr(node, slot, getattr(target, slot))
        node.memo = {}
        _extensions(node, schema)
        return node
    node = Node()
    _fill(node, schema)
    return node


def _fill(node: Node, schema: dict[str, Any]) -> None:
    kind = schema.get("type")
    if kind == "array":
        node.kind, node.element = Kind.ARRAY, _node(schema["items"])
    elif kind == "object" and "additionalProperties" in schema:
        node.kind, node.element = Kind.MAP, _node(schema["additionalProperties"])
    elif kind == "object" and "properties" in schema:
        node.kind = Kind.OBJECT
        node.properties = {sys.intern(name): _node(child) for name, child in schema["properties"].items()}
    elif kind == "string" and schema.get("format") == "byte":
        node.kind = Kind.BYTES
    elif kind == "string" and schema.get("format") == "date-time":
        node.kind = Kind.TIME
    else:
        node.kind = _SCALARS.get(kind or "", Kind.ANY)
    if "protocol" in node.properties and "ort" in "".join(node.properties):
        _give_protocol(node)
    node.required = tuple(schema.get("required", ()))
    node.format = schema.get("format", "")
    _extensions(node, schema)


def _give_protocol(node: Node) -> None:
    """Write down the one default that lists are keyed by, and that the published definitions leave out."""
    text = Node(Kind.STRING)
    text.has_default, text.default = True, "TCP"
    node.properties["protocol"] = text


def _extensions(node: Node, schema: dict[str, Any]) -> None:
    node.list_type = schema.get("x-kubernetes-list-type", node.list_type)
    node.list_map_keys = tuple(schema.get("x-kubernetes-list-map-keys", node.list_map_keys))
    node.map_type = schema.get("x-kubernetes-map-type", node.map_type)
    strategy = schema.get("x-kubernetes-patch-strategy")
    node.patch_strategy = tuple(strategy.split(",")) if strategy else node.patch_strategy
    node.patch_merge_key = schema.get("x-kubernetes-patch-merge-key", node.patch_merge_key)
