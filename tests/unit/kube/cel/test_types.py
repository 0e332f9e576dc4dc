"""Types of expressions: what cannot work is told with its place; what may work is let be."""

from __future__ import annotations

import pytest

from sampan.kube.cel import types
from sampan.kube.cel.fault import CelError
from sampan.kube.cel.program import compile as compiled
from sampan.kube.schema import structural

TEXT = {"type": "string"}
SCHEMA = {
    "type": "object",
    "properties": {
        "s": TEXT,
        "n": {"type": "integer"},
        "d": {"type": "number"},
        "b": {"type": "boolean"},
        "t": {"type": "string", "format": "date-time"},
        "span": {"type": "string", "format": "duration"},
        "m": {"type": "object", "additionalProperties": {"type": "integer"}},
        "l": {"type": "array", "items": TEXT},
        "o": {"type": "object", "properties": {"x": TEXT}},
        "any": {"x-kubernetes-preserve-unknown-fields": True},
        "port": {"x-kubernetes-int-or-string": True},
    },
}
NODE = structural.node_of(SCHEMA)
NODE.embedded = True  # the root of a resource


def judged(text: str) -> types.Of:
    return types.check(compiled(text, {"self"}).tree, {"self": types.of_node(NODE)}, text)


@pytest.mark.parametrize(
    ("text", "is_a"),
    [
        ("self.metadata.name.startsWith('a')", types.BOOL),
        ("self.kind == 'X' && self.apiVersion != ''", types.BOOL),
        ("self.n + 1 == 2", types.BOOL),
        ("self.n > self.d", types.BOOL),
        ("self.n == self.d", types.BOOL),
        ("self.s + 'x'", types.STRING),
        ("self.t - self.t", types.DURATION),
        ("self.t + self.span", types.TIMESTAMP),
        ("self.t > timestamp('2020-01-01T00:00:00Z')", types.BOOL),
        ("self.m.all(key, key != '' && self.m[key] > 0)", types.BOOL),
        ("self.l.map(x, size(x)).all(n, n > 1)", types.BOOL),
        ("self.l.filter(x, x.startsWith('a')).size() > 0", types.BOOL),
        ("self.l + ['a'] == self.l", types.BOOL),
        ("self.l[0] + 'a'", types.STRING),
        ("self.b ? self.n : 1", types.INT),
        ("self.b ? self.n : 'x'", types.DYN),
        ("self.?s.orValue('x') == 'x'", types.BOOL),
        ("cel.bind(x, self.n, x + 1 > 2)", types.BOOL),
        ("self.any.whatever + 1", types.DYN),
        ("self.port == 80 || self.port == 'web'", types.BOOL),
        ("self.o == self.o || self.s == null", types.BOOL),
        ("isURL(self.s)", types.DYN),
        ("-self.n", types.INT),
    ],
)
def test_what_an_expression_comes_to(text: str, is_a: types.Of) -> None:
    assert judged(text) == is_a


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("self.x", "undefined field 'x'"),
        ("self.o.y", "undefined field 'y'"),
        ("has(self.o.y)", "undefined field 'y'"),
        ("self.metadata.labels", "undefined field 'labels'"),
        ("self.s.length", "type 'string' does not support field selection"),
        ("self.s + 1", "found no matching overload for '_+_' applied to '(string, int)'"),
        ("self.n + self.d", "found no matching overload for '_+_' applied to '(int, double)'"),
        ("self.l.exists(x, x == 3)", "found no matching overload for '_==_' applied to '(string, int)'"),
        ("self.s > self.n", "found no matching overload for '_>_' applied to '(string, int)'"),
        ("!self.n", "found no matching overload for '!_' applied to '(int)'"),
        ("self.n || self.b", "found no matching overload for '_||_' applied to '(int, bool)'"),
        ("self.n ? 1 : 2", "found no matching overload for '_?_:_' applied to '(int)'"),
        ("self.n.startsWith('a')", "found no matching overload for 'startsWith' applied to 'int.(string)'"),
        ("size(self.n)", "found no matching overload for 'size' applied to '(int)'"),
        ("self.n in self.s", "found no matching overload for '@in' applied to '(int, string)'"),
        ("self.l.all(x, x)", "found no matching overload for '_&&_' applied to '(bool, string)'"),
        ("self.n.all(x, true)", "expression of type 'int' cannot be range of a comprehension"),
        ("self.t == 'x'", "applied to '(google.protobuf.Timestamp, string)'"),
    ],
)
def test_what_can_never_work(text: str, why: str) -> None:
    with pytest.raises(CelError) as caught:
        judged(text)
    assert why in str(caught.value)
