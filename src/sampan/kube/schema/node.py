"""Node: the schema of a value, whatever it came from."""

from __future__ import annotations

from enum import IntEnum
from typing import Any


class Kind(IntEnum):
    """What a value is."""

    OBJECT = 1  # named fields
    MAP = 2  # any keys, one element type
    ARRAY = 3
    STRING = 4
    INTEGER = 5
    NUMBER = 6
    BOOLEAN = 7
    INT_OR_STRING = 8
    QUANTITY = 9
    TIME = 10
    BYTES = 11  # base64
    ANY = 12


class Node:
    """Made once, shared and not changed. Definitions may be recursive: nodes are made before their parts are filled in."""

    __slots__ = (
        "bounds",
        "default",
        "definition",
        "element",
        "embedded",
        "enum",
        "format",
        "has_default",
        "kind",
        "list_map_keys",
        "list_type",
        "map_type",
        "memo",
        "nullable",
        "patch_merge_key",
        "patch_strategy",
        "preserve_unknown",
        "properties",
        "required",
        "rules",
    )

    def __init__(self, kind: Kind = Kind.ANY) -> None:
        self.kind = kind
        self.properties: dict[str, Node] = {}
        self.element: Node | None = None
        self.required: tuple[str, ...] = ()
        self.format = ""
        self.enum: tuple[Any, ...] = ()
        self.nullable = False
        self.has_default = False
        self.default: Any = None
        self.definition = ""
        """Name of the definition, such as io.k8s.api.core.v1.Pod; "" of an unnamed part."""
        self.list_type = ""  # "atomic", "set", "map"; "" is atomic
        self.list_map_keys: tuple[str, ...] = ()
        self.map_type = ""  # "granular", "atomic"; "" is granular
        self.patch_strategy: tuple[str, ...] = ()
        self.patch_merge_key = ""
        self.preserve_unknown = False
        self.embedded = False
        self.bounds: dict[str, Any] = {}
        """Further constraints of a custom resource's schema, under their JSON Schema names."""
        self.rules: tuple[dict[str, Any], ...] = ()
        """x-kubernetes-validations."""
        self.memo: dict[str, Any] = {}
        """What others compiled out of this node, by their own names."""

    def child(self, name: str) -> Node | None:
        """Return the schema of a field or map entry, None where there is none."""
        found = self.properties.get(name)
        return found if found is not None else self.element

    @property
    def type_name(self) -> str:
        """Return the last part of the definition's name: `Pod`."""
        return self.definition.rpartition(".")[2]

    @property
    def associative(self) -> bool:
        """Return whether it is a list whose items are told apart by keys."""
        return self.kind is Kind.ARRAY and self.list_type == "map"
