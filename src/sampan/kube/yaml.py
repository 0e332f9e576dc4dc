"""YAML bodies: one document, as JSON would say it. Aliases are allowed within bounds: a few lines must not become gigabytes.

Spec: sigs.k8s.io/yaml (YAML 1.1 booleans, no timestamps, string keys).
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from sampan.kube.object import Object

MOST_NODES = 200_000
MOST_DEPTH = 100
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class YamlError(ValueError):
    """The text is no YAML, or no map, or too large when its aliases are followed."""


class _JsonLoader(_Loader):  # type: ignore[misc, valid-type]
    """Resolves plain scalars as JSON has them; 2026-01-02 and 1_000 stay text."""


_JsonLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:null")]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}
_JsonLoader.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile(r"[-+]?(?:0|[1-9][0-9]*|0[0-7]+|0o[0-7]+|0x[0-9a-fA-F]+|0b[01]+)$"),
    list("-+0123456789"),
)
_JsonLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$"),
    list("-+0123456789."),
)
_MERGE = "tag:yaml.org,2002:merge"


def load(text: bytes) -> tuple[Object, list[str]]:
    """Return the document as JSON has it, and `duplicate field "x"` for each key that came twice.

    Raises:
        YamlError
    """
    try:
        loader = _JsonLoader(text)
        try:
            root = loader.get_single_node()
            reader = _Reader(loader)
            value = reader.value(root, "", 0) if root is not None else None
        finally:
            loader.dispose()
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise YamlError(str(error).replace("\n", " ")) from error
    if not isinstance(value, dict):
        raise YamlError("the document is no map")
    return value, reader.duplicates


def dump(value: Any) -> bytes:
    """Return JSON data as YAML, its keys in order: texts that could be read as something else are quoted."""
    text: str = yaml.dump(value, Dumper=_Dumper, default_flow_style=False, sort_keys=True, allow_unicode=True)
    return text.encode()


class _Reader:
    def __init__(self, loader: Any) -> None:
        self._loader = loader
        self._left = MOST_NODES
        self.duplicates: list[str] = []

    def value(self, node: Any, path: str, depth: int) -> Any:
        """Return a node's value; a node behind several aliases is made anew for each."""
        self._left -= 1
        if self._left < 0 or depth > MOST_DEPTH:
            raise YamlError("the document is too large or too deep when its aliases are followed")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(node.value)]
        out: Object = {}
        merged: Object = {}
        for key_node, item in node.value:
            if key_node.tag == _MERGE:
                merged |= self._merged(item, path, depth)
                continue
            key = self._key(key_node)
            inner = f"{path}.{key}" if path else key
            if key in out:
                self.duplicates.append(f'duplicate field "{inner}"')
            out[key] = self.value(item, inner, depth + 1)
        return {**merged, **out} if merged else out

    def _merged(self, node: Any, path: str, depth: int) -> Object:
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        out: Object = {}
        for part in reversed(parts):
            value = self.value(part, path, depth + 1)
            if not isinstance(value, dict):
                raise YamlError("<< needs a map")
            out |= value
        return out

    def _key(self, node: Any) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise YamlError("a key is a map or a list")
        value = self._scalar(node)
        if isinstance(value, bool):
            return "true" if value else "false"
        return "null" if value is None else str(value)

    def _scalar(self, node: Any) -> Any:
        tag, text = node.tag.rpartition(":")[2], node.value
        if tag == "null":
            return None
        if tag == "bool":
            return text.lower() in ("y", "yes", "true", "on")
        if tag == "int":
            return _integer(text)
        if tag == "float":
            number = float(text)
            if number != number or number in (float("inf"), float("-inf")):  # noqa: PLR0124  (NaN)
                raise YamlError(f"{text} is no number that JSON has")
            return number
        return text


def _integer(text: str) -> int:
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-")
    if digits.startswith(("0x", "0o", "0b")):
        return sign * int(digits, 0)
    if len(digits) > 1 and digits.startswith("0"):
        return sign * int(digits, 8)
    return sign * int(digits)
