"""Types: what an expression comes to, as far as schemas tell it; and what can never work is found before it runs.

Where a type is not known (DYN) nothing is said: a wrong refusal is worse than one that comes later, from running.

Spec: cel-spec "Gradual Type Checking"; Kubernetes documentation, "CRD validation rules", "Type checking".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from sampan.kube.cel import syntax
from sampan.kube.cel.fault import CelError
from sampan.kube.cel.syntax import Expression
from sampan.kube.cel.value import Uint
from sampan.kube.schema.node import Kind, Node


class Of(NamedTuple):
    """A type. `node`: the schema of an object, a map or a list; `element`: the type of a list's items or a map's values."""

    name: str
    element: Of | None = None
    node: Node | None = None

    def __str__(self) -> str:
        if self.name == "list":
            return f"list({self.element or DYN})"
        if self.name == "map":
            return f"map(string, {self.element or DYN})"
        return self.name


DYN = Of("dyn")
BOOL, INT, UINT, DOUBLE, STRING, BYTES, NULL = map(Of, ("bool", "int", "uint", "double", "string", "bytes", "null"))
TIMESTAMP, DURATION = Of("google.protobuf.Timestamp"), Of("google.protobuf.Duration")
Scope = Mapping[str, Of]

_NUMBERS = (INT, UINT, DOUBLE)
_ORDERED = (BOOL, STRING, BYTES, TIMESTAMP, DURATION)
_FORMATS = {"date-time": TIMESTAMP, "date": TIMESTAMP, "duration": DURATION, "byte": BYTES}
_SCALARS = {
    Kind.INTEGER: INT,
    Kind.NUMBER: DOUBLE,
    Kind.BOOLEAN: BOOL,
    Kind.TIME: TIMESTAMP,
    Kind.BYTES: BYTES,
}
_LITERALS = {bool: BOOL, int: INT, Uint: UINT, float: DOUBLE, str: STRING, bytes: BYTES, type(None): NULL}
_RELATIONS = ("<", "<=", ">", ">=")
_SUMS: Mapping[tuple[str, Of, Of], Of] = {
    **{("+", each, each): each for each in (INT, UINT, DOUBLE, STRING, BYTES, DURATION)},
    **{("-", each, each): each for each in (INT, UINT, DOUBLE, DURATION)},
    **{(sign, each, each): each for sign in "*/" for each in _NUMBERS},
    **{("%", each, each): each for each in (INT, UINT)},
    ("+", TIMESTAMP, DURATION): TIMESTAMP,
    ("+", DURATION, TIMESTAMP): TIMESTAMP,
    ("-", TIMESTAMP, DURATION): TIMESTAMP,
    ("-", TIMESTAMP, TIMESTAMP): DURATION,
}
_RESULTS = {
    "size": INT, "int": INT, "uint": UINT, "double": DOUBLE, "bool": BOOL, "string": STRING, "bytes": BYTES,
    "duration": DURATION, "timestamp": TIMESTAMP, "matches": BOOL, "has": BOOL,
}  # fmt: skip
_METHODS = {
    "startsWith": BOOL, "endsWith": BOOL, "matches": BOOL, "lowerAscii": STRING, "upperAscii": STRING, "trim": STRING,
    "replace": STRING, "substring": STRING, "charAt": STRING, "split": Of("list", STRING),
}  # fmt: skip
"""Of texts only."""
_SIZED = ("string", "bytes", "list", "map", "object")
_QUANTIFIERS = ("all", "exists", "exists_one", "existsOne")
_MACROS = (*_QUANTIFIERS, "filter", "map", "transformList", "transformMap", "optMap", "optFlatMap")


def of_node(node: Node | None) -> Of:
    """Return the type of what a schema describes."""
    if node is None:
        return DYN
    if node.kind is Kind.STRING:
        return _FORMATS.get(node.format, STRING)
    if node.kind is Kind.OBJECT:
        return Of("object", node=node)
    if node.kind in (Kind.MAP, Kind.ARRAY):
        return Of("map" if node.kind is Kind.MAP else "list", of_node(node.element), node)
    return _SCALARS.get(node.kind, DYN)


def _metadata() -> Node:
    """Return the schema of all that rules see of an object's metadata."""
    node, text = Node(Kind.OBJECT), Node(Kind.STRING)
    node.properties = {"name": text, "generateName": text}
    return node


_OF_RESOURCES: Scope = {"apiVersion": STRING, "kind": STRING, "metadata": Of("object", node=_metadata())}
"""What every resource has, whatever its schema says."""


def check(tree: Expression, scope: Scope, text: str) -> Of:
    """Return the type of an expression whose variables are of these types; others are not known.

    `scope` may have `name.field`, too, for a variable that is no object.

    Raises:
        CelError: it uses a field that a schema has not, or an operator on types that it does not take.
    """
    return _Checker(text).of(tree, scope)


class _Checker:
    def __init__(self, text: str) -> None:
        self._text = text

    def of(self, tree: Expression, scope: Scope) -> Of:
        if isinstance(tree, syntax.Literal):
            return _LITERALS.get(type(tree.value), DYN)
        if isinstance(tree, syntax.Name):
            return scope.get(tree.name, DYN)
        if isinstance(tree, syntax.Select):
            if isinstance(tree.of, syntax.Name) and (known := scope.get(f"{tree.of.name}.{tree.field}")) is not None:
                return DYN if tree.optional else known
            return self._selected(tree, self.of(tree.of, scope))
        if isinstance(tree, syntax.Index):
            of = self.of(tree.of, scope)
            self.of(tree.key, scope)
            return DYN if tree.optional or of.element is None else of.element
        if isinstance(tree, syntax.Call):
            return self._called(tree, scope)
        if isinstance(tree, syntax.Both):
            self._need_bools("_||_" if tree.any else "_&&_", (tree.left, tree.right), scope, tree.position)
            return BOOL
        if isinstance(tree, syntax.Choice):
            return self._chosen(tree, scope)
        for part in _parts(tree):
            self.of(part, scope)
        return Of("list") if isinstance(tree, syntax.ListOf) else DYN

    def _selected(self, tree: syntax.Select, of: Of) -> Of:
        node, name = of.node, syntax.unescape(tree.field)
        if node is None:
            if of in (BOOL, *_NUMBERS, STRING, BYTES):
                raise self._error(f"type '{of}' does not support field selection", tree.position)
            return DYN
        if node.embedded and name in _OF_RESOURCES:
            return DYN if tree.optional else _OF_RESOURCES[name]
        child = node.child(name)
        if child is not None:
            return DYN if tree.optional else of_node(child)
        if of.name == "object" and not node.preserve_unknown:
            raise self._error(f"undefined field '{name}'", tree.position)
        return DYN

    def _chosen(self, tree: syntax.Choice, scope: Scope) -> Of:
        self._need_bools("_?_:_", (tree.condition,), scope, tree.position)
        yes, no = self.of(tree.yes, scope), self.of(tree.no, scope)
        return yes if yes == no else DYN

    def _need_bools(self, name: str, parts: tuple[Expression, ...], scope: Scope, position: int) -> None:
        found = [self.of(part, scope) for part in parts]
        if any(each not in (BOOL, DYN) for each in found):
            raise self._no_overload(name, found, position)

    def _called(self, tree: syntax.Call, scope: Scope) -> Of:
        if tree.target is not None:
            return self._method(tree, tree.target, scope)
        if tree.name in ("!x", "-x"):
            [operand] = [self.of(part, scope) for part in tree.arguments]
            if operand not in ((BOOL, DYN) if tree.name == "!x" else (INT, DOUBLE, DURATION, DYN)):
                raise self._no_overload("!_" if tree.name == "!x" else "-_", [operand], tree.position)
            return BOOL if tree.name == "!x" else operand
        found = [self.of(part, scope) for part in tree.arguments]
        if len(found) == 2 and not tree.name[0].isalpha():
            return self._operated(tree, found[0], found[1])
        if tree.name == "in" and len(found) == 2:
            if found[1].name not in ("list", "map", "object", "dyn"):
                raise self._no_overload("@in", found, tree.position)
            return BOOL
        if tree.name == "size" and len(found) == 1 and found[0].name not in (*_SIZED, "dyn"):
            raise self._no_overload("size", found, tree.position)
        return _RESULTS.get(tree.name, DYN)

    def _operated(self, tree: syntax.Call, left: Of, right: Of) -> Of:
        name = tree.name
        if name in ("==", "!="):
            if not _comparable(left, right):
                raise self._no_overload(f"_{name}_", [left, right], tree.position)
            return BOOL
        if name in _RELATIONS:
            both = DYN in (left, right) or (left in _NUMBERS and right in _NUMBERS)
            if not both and not (left == right and left in _ORDERED):
                raise self._no_overload(f"_{name}_", [left, right], tree.position)
            return BOOL
        if name == "+" and left.name == right.name == "list":
            return left
        if DYN in (left, right):
            return DYN
        made = _SUMS.get((name, left, right))
        if made is None:
            raise self._no_overload(f"_{name}_", [left, right], tree.position)
        return made

    def _method(self, tree: syntax.Call, target: Expression, scope: Scope) -> Of:
        of, arguments = self.of(target, scope), tree.arguments
        if tree.name in _MACROS and len(arguments) > 1:
            return self._macro(tree, of, scope)
        if tree.name == "bind" and len(arguments) == 3 and isinstance(arguments[0], syntax.Name):
            inner = {**scope, arguments[0].name: self.of(arguments[1], scope)}
            return self.of(arguments[2], inner)
        found = [self.of(part, scope) for part in arguments]
        if tree.name in _METHODS:
            if of not in (STRING, DYN):
                raise self._no_overload(tree.name, found, tree.position, f"{of}.")
            return _METHODS[tree.name]
        if tree.name == "size" and not arguments:
            if of.name not in (*_SIZED, "dyn"):
                raise self._no_overload("size", found, tree.position, f"{of}.")
            return INT
        return DYN

    def _macro(self, tree: syntax.Call, of: Of, scope: Scope) -> Of:
        names = [each.name for each in tree.arguments[:-1] if isinstance(each, syntax.Name)]
        if of.name in ("bool", "int", "uint", "double", "string", "bytes") and not tree.name.startswith("opt"):
            why = f"expression of type '{of}' cannot be range of a comprehension (must be list, map, or dynamic)"
            raise self._error(why, tree.position)
        inner = {**scope, **dict.fromkeys(names, DYN)}
        if len(names) == 1 and of.name == "list" and of.element is not None:
            inner[names[0]] = of.element
        elif len(names) == 1 and of.name == "map":
            inner[names[0]] = STRING
        found = [self.of(part, inner) for part in tree.arguments[1:]]
        if tree.name in (*_QUANTIFIERS, "filter") and found[-1] not in (BOOL, DYN):
            raise self._no_overload("_&&_", [BOOL, found[-1]], tree.position)
        if tree.name in _QUANTIFIERS:
            return BOOL
        if tree.name == "filter":
            return of if of.name == "list" else DYN
        return Of("list", found[-1]) if tree.name == "map" else DYN

    def _error(self, message: str, position: int) -> CelError:
        return CelError(message, self._text, position)

    def _no_overload(self, name: str, found: list[Of], position: int, target: str = "") -> CelError:
        shown = f"{target}({', '.join(map(str, found))})"
        return self._error(f"found no matching overload for '{name}' applied to '{shown}'", position)


def _comparable(left: Of, right: Of) -> bool:
    """Return whether two values can be equal, or told apart at all."""
    loose = ("dyn", "null", "object", "map", "list")
    return left.name in loose or right.name in loose or left == right or (left in _NUMBERS and right in _NUMBERS)


def _parts(tree: Expression) -> Iterator[Expression]:
    if isinstance(tree, syntax.ListOf):
        yield from (item for item, _ in tree.items)
    elif isinstance(tree, syntax.MapOf):
        for key, value, _ in tree.entries:
            yield from (key, value)
