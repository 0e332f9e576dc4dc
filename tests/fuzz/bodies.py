"""Bodies for random requests: valid ones by their schemas, the same with places changed, and what is no object at all."""

from __future__ import annotations

import base64
import copy
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from backports import zstd

from fuzz.valid import VALID
from sampan.kube import protobuf
from sampan.kube.resource import Resource
from sampan.kube.schema import builtin
from sampan.kube.schema.node import Kind, Node

JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
NAMES = (*("a",) * 4, *("b",) * 2, "a.b", "kubernetes", "default")
WORDS = (
    "a",
    "b",
    "TCP",
    "Always",
    "app",
    "x-y",
    "1",
    "80",
    "http",
    "Filesystem",
    "ReadWriteOnce",
    "Exists",
    "In",
    "Equal",
)
ODD_TEXTS = (
    "", " ", "\n", "é", "\U0001f6a2", "\x00", "\u2028", "%00", "a" * 300, "a" * 70_000, "-a", "A_b", "../..", "a/b/c", "true", "null", "1e400",
    "9" * 400, "0x10", "10Mi", "1e3", "-1m", "2026-01-02T03:04:05Z", "2026-13-40T99:00:00Z", "0001-01-01T00:00:00Z", "[::1]", "10.0.0.300",
    "10.96.0.0/12", "fd00::/8", "*", "*.example.org", "(((((", "(a+)+$", "{{", "self.a", "[" * 50, "Zm9v", "====", "99999999999999999999Gi",
)  # fmt: skip
ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), 2**64, 10**40, 0.1, -1.5, 1e308, *ODD_TEXTS, [], {}, [None], [[]], [{}], [1],
    ["x"], ["x", "x"], {"": ""}, {"a": None}, {"a": {"b": []}}, {"a": 1}, {"name": "a"}, [{"name": "a"}, {"name": "a"}], [{"name": 1}],
)  # fmt: skip
KEYS = ("metadata", "spec", "status", "name", "namespace", "labels", "kind", "apiVersion", "x", "", "$patch", "uid", "managedFields", "items", "é", "ownerReferences", "finalizers")  # fmt: skip


def _deep(opening: str, middle: str, closing: str, depth: int) -> bytes:
    return (opening * depth + middle + closing * depth).encode()


RAW = (
    b"", b"null", b"[]", b"{}", b"{", b"}", b'"x"', b"0", b"true", b"\xff\xfe", b"\x00", b"k8s\x00", b"k8s\x00\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
    b'{"a":NaN}', b'{"metadata":null}', b'{"metadata":[]}', b'{"metadata":{"name":"\\ud800"}}', b'{"metadata":{"name":1e999}}', b"\xef\xbb\xbf{}",
    b'{"metadata":{"labels":{"a":"1","a":"2"}}}', b'{"kind":"List","items":[{}]}', b"a: *a", b"a: &a [*a, *a]", b"? [a]: b", b"--- a\n--- b", b"- a",
    b"a: !!python/object:os.system x", b"a: 0o777", b"a: 2026-01-02", b"{a: 1, a: 2}", b"<<: {a: b}", b"a: &x {b: 1}\nc: {<<: *x}", b"!!binary x",
    _deep("[", "", "]", 600), _deep('{"a":', "1", "}", 600), _deep("[", "", "]", 60_000), _deep('{"spec":', "{}", "}", 90), b'{"a":"' + b"x" * 200_000 + b'"}',
    b"a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d]",
)  # fmt: skip

VALID_METADATA = {kind: obj["metadata"] for kind, obj in VALID.items() if "metadata" in obj}


def golden() -> dict[str, Any]:
    """Return `core.v1.Pod` -> an object with every field set."""
    packed = (Path(__file__).parents[1] / "golden/kube/objects.json.zst").read_bytes()
    return {name: found["json"] for name, found in json.loads(zstd.decompress(packed)).items()}


class Bodies:
    """Makes bodies of what `random` says, and of nothing else."""

    def __init__(self, chance: random.Random) -> None:
        self.random = chance
        self._golden = golden()
        self._scalars: dict[Kind, Callable[[Node], Any]] = {
            Kind.INTEGER: lambda _: chance.choice((0, 1, 2, 3, 80, 443, 1000)),
            Kind.NUMBER: lambda _: chance.choice((0, 0.5, 2)),
            Kind.BOOLEAN: lambda _: chance.random() < 0.5,
            Kind.INT_OR_STRING: lambda _: chance.choice((1, "http", "25%")),
            Kind.QUANTITY: lambda _: chance.choice(("1", "100m", "1Gi", 2)),
            Kind.TIME: self._time,
            Kind.BYTES: lambda _: base64.b64encode(chance.randbytes(6)).decode(),
            Kind.ANY: lambda _: chance.choice(({}, {"a": "b"}, "x", 1, None)),
        }

    # --- values

    def of(self, resource: Resource, definition: str, name: str, namespace: str) -> dict[str, Any]:
        """Return an object: most often a valid one, else one that its schema allows, of random fields or with all of them."""
        obj = self._fields(resource, definition)
        obj["apiVersion"], obj["kind"] = resource.api_version, resource.kind
        metadata: dict[str, Any] = {"name": name, "labels": {"app": self.random.choice(WORDS)}}
        if resource.namespaced:
            metadata["namespace"] = namespace
        if self.random.random() < 0.05:
            metadata |= {"generateName": "g-", "name": ""}
        if self.random.random() < 0.1:
            metadata["finalizers"] = ["example.org/held"]
        given = obj.get("metadata") or {}
        obj["metadata"] = (
            {**given, **metadata}
            if self.random.random() < 0.2
            else {**metadata, **VALID_METADATA.get(resource.kind, {})}
        )
        return obj

    def _fields(self, resource: Resource, definition: str) -> dict[str, Any]:
        fate = self.random.random()
        if fate < 0.75 and (valid := VALID.get(resource.kind)) is not None:
            return copy.deepcopy(valid)
        whole = self._golden.get(f"{resource.group or 'core'}.{resource.version}.{resource.kind}")
        if fate > 0.9 and whole is not None:
            return copy.deepcopy(whole)
        node = builtin.find(definition)
        made = self._value(node, 0) if node is not None else {}
        return made if isinstance(made, dict) else {}

    def _value(self, node: Node, depth: int) -> Any:
        if node.enum:
            return self.random.choice(node.enum)
        if (scalar := self._scalars.get(node.kind)) is not None:
            return scalar(node)
        if node.kind is Kind.OBJECT:
            share = 0.5 if depth < 3 else 0.25 if depth < 6 else 0.0
            return {
                key: self._value(child, depth + 1)
                for key, child in node.properties.items()
                if key in node.required or self.random.random() < share
            }
        if node.kind is Kind.ARRAY and node.element is not None:
            return [self._value(node.element, depth + 1) for _ in range(self.random.choice((0, 1, 1, 2)))]
        if node.kind is Kind.MAP and node.element is not None:
            return {self.random.choice(WORDS): self._value(node.element, depth + 1)}
        return self.random.choice(WORDS)

    def _time(self, node: Node) -> str:
        return "2026-01-02T03:04:05.000006Z" if node.format == "micro-time" else "2026-01-02T03:04:05Z"

    def odd(self) -> Any:
        return self.random.choice(ODD)

    def mutate(self, value: Any, rate: float) -> Any:
        """Return `value` with about `rate` of its places changed, left out or added."""
        if self.random.random() < rate:
            return self.odd()
        if isinstance(value, dict):
            changed = {k: self.mutate(v, rate) for k, v in value.items() if self.random.random() > rate}
            if self.random.random() < rate:
                changed[self.random.choice(KEYS)] = self.odd()
            return changed
        if isinstance(value, list):
            items = [self.mutate(item, rate) for item in value]
            return items * 2 if self.random.random() < rate else items
        return value

    # --- bytes

    def encode(self, obj: Any) -> tuple[bytes, str]:
        """Return an object as bytes and their media type: JSON, YAML or protobuf; now and then damaged."""
        form = self.random.random()
        body, media = json.dumps(obj).encode(), JSON
        if form < 0.1:
            body, media = self._yaml(obj), YAML
        elif form < 0.25 and isinstance(obj, dict):
            body, media = self._protobuf(obj) or body, PROTOBUF
        return self.damage(body), media

    def damage(self, body: bytes) -> bytes:
        """Return a body as it is, or cut, or with other bytes in it, or something else."""
        fate = self.random.random()
        if fate > 0.1:
            return body
        if fate < 0.03:
            return self.random.choice(RAW)
        if fate < 0.05:
            return body[: self.random.randrange(len(body) + 1)]
        if fate < 0.06:
            return body.replace(b'":', b'" :', 3) + b" \n"
        if fate < 0.07 and body[:1] == b"{":
            return b'{"metadata":{"name":"a"},' + body[1:]  # what was given is given twice
        noisy = bytearray(body)
        for _ in range(self.random.choice((1, 2, 8))):
            noisy[self.random.randrange(len(noisy) or 1) : 1] = self.random.randbytes(self.random.choice((0, 1, 4)))
        return bytes(noisy)

    def _yaml(self, obj: Any) -> bytes:
        try:
            text: str = yaml.dump(obj, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), allow_unicode=True)
        except (yaml.YAMLError, UnicodeEncodeError):
            return json.dumps(obj).encode()
        return text.encode("utf-8", "surrogatepass")

    def _protobuf(self, obj: dict[str, Any]) -> bytes:
        try:
            return protobuf.encode(obj)
        except Exception:  # our encoder takes what was checked, and this was not
            return protobuf.MAGIC + json.dumps(obj).encode()[:500]
