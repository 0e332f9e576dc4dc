"""Programs: a tree as closures over a frame. `compile` once, `evaluate` often; programs hold no state and may be shared."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

from sampan.kube.cel import library, macros, syntax
from sampan.kube.cel.fault import CelError, Exhausted, Fault
from sampan.kube.cel.frame import Frame, Run, constant
from sampan.kube.cel.syntax import Expression
from sampan.kube.cel.value import ABSENT, OPERATORS, Native, Optional, Type, at, no_overload

STEPS = 100_000
"""How many steps an expression may take: a few dozen milliseconds."""

_TYPES = {
    "bool": "bool", "bytes": "bytes", "double": "double", "int": "int", "list": "list", "map": "map",
    "null_type": "null_type", "string": "string", "type": "type", "uint": "uint",
}  # fmt: skip


class Program:
    """A compiled expression."""

    def __init__(self, text: str, tree: Expression, run: Run) -> None:
        self.text = text
        self.tree = tree
        self._run = run

    def evaluate(self, bindings: Mapping[str, Any], steps: int = STEPS) -> Any:
        """Return the value under these variables, all that were declared. The bindings are not changed.

        Raises:
            Fault: the expression failed; `Exhausted` where it takes more than `steps`.
        """
        return self.run(Frame(dict(bindings), steps))

    def run(self, frame: Frame) -> Any:
        """Return the value in a frame, whose steps tell afterwards what it took.

        Raises:
            Fault
        """
        try:
            return self._run(frame)
        except RecursionError:
            raise Fault("a value is nested too deep") from None


@lru_cache(maxsize=1024)
def _compiled(text: str, variables: frozenset[str]) -> Program:
    try:
        tree = syntax.parse(text)
        return Program(text, tree, Compiler(text, variables).run(tree))
    except RecursionError:
        raise CelError("expression is too deep", text, 0) from None


def compile(text: str, variables: Collection[str]) -> Program:  # noqa: A001  the field's word for it
    """Return the program of an expression that may use these variables.

    Raises:
        CelError: with the position, it is no expression, or uses a variable or function that is not there.
    """
    return _compiled(text, frozenset(variables))


class Compiler:
    """Makes closures of one text's tree. `variables` are those in scope."""

    def __init__(self, text: str, variables: frozenset[str]) -> None:
        self._text = text
        self.variables = variables

    def within(self, *names: str) -> Compiler:
        """Return the compiler of an inner scope."""
        return Compiler(self._text, self.variables | frozenset(names))

    def error(self, message: str, position: int) -> CelError:
        return CelError(message, self._text, position)

    def run(self, tree: Expression) -> Run:
        """Return the closure of a tree."""
        made: Run = _MAKE[type(tree)](self, tree)
        return made

    def literal(self, tree: syntax.Literal) -> Run:
        return constant(tree.value)

    def name(self, tree: syntax.Name) -> Run:
        name = tree.name
        if name in self.variables:
            return lambda frame: frame.values[name]
        if name in _TYPES:
            return constant(Type(_TYPES[name]))
        raise self.error(f"undeclared reference to '{name}' (in container '')", tree.position)

    def select(self, tree: syntax.Select) -> Run:
        if (type_ := _well_known(tree)) is not None:
            return constant(type_)
        of, field = self.run(tree.of), syntax.unescape(tree.field)
        if tree.optional:
            return lambda frame: maybe(of(frame), field)

        def select(frame: Frame) -> Any:
            value = of(frame)
            if type(value) is dict and field in value:
                return value[field]
            return _field(value, field)

        return select

    def index(self, tree: syntax.Index) -> Run:
        of, key = self.run(tree.of), self.run(tree.key)
        if tree.optional:
            return lambda frame: maybe(of(frame), key(frame))

        def index(frame: Frame) -> Any:
            value, wanted = of(frame), key(frame)
            return maybe(value, wanted) if isinstance(value, Optional) else at(value, wanted)

        return index

    def choice(self, tree: syntax.Choice) -> Run:
        condition, yes, no = self.run(tree.condition), self.run(tree.yes), self.run(tree.no)

        def choose(frame: Frame) -> Any:
            found = condition(frame)
            if found is True:
                return yes(frame)
            if found is False:
                return no(frame)
            raise no_overload("_?_:_", found)

        return choose

    def both(self, tree: syntax.Both) -> Run:
        return decided(self.run(tree.left), self.run(tree.right), tree.any)

    def list(self, tree: syntax.ListOf) -> Run:
        items = [(self.run(item), optional) for item, optional in tree.items]

        def make(frame: Frame) -> Any:
            frame.spend(len(items))
            made = []
            for item, optional in items:
                value = item(frame)
                if not optional:
                    made.append(value)
                elif _optional(value).present:
                    made.append(value.value)
            return made

        return make

    def map(self, tree: syntax.MapOf) -> Run:
        entries = [(self.run(key), self.run(value), optional) for key, value, optional in tree.entries]

        def make(frame: Frame) -> Any:
            frame.spend(len(entries))
            made: dict[Any, Any] = {}
            for key, value, optional in entries:
                name, found = key(frame), value(frame)
                if not isinstance(name, (str, int, bool)):
                    raise Fault("unsupported key type")
                if name in made:
                    raise Fault(f"duplicate key in map: {name}")
                if not optional:
                    made[name] = found
                elif _optional(found).present:
                    made[name] = found.value
            return made

        return make

    def call(self, tree: syntax.Call) -> Run:
        if (macro := macros.find(self, tree)) is not None:
            return macro
        if tree.target is None:
            if tree.name in OPERATORS:
                return self._operator(tree)
            return self._function(tree.name, tree)
        dotted = f"{_path(tree.target)}.{tree.name}"
        if dotted in library.FUNCTIONS and dotted.partition(".")[0] not in self.variables:
            return self._function(dotted, tree)
        return self._method(tree, tree.target)

    def _operator(self, tree: syntax.Call) -> Run:
        function, arguments = OPERATORS[tree.name], [self.run(each) for each in tree.arguments]
        if len(arguments) == 1:
            only = arguments[0]
            return lambda frame: function(only(frame))
        left, right = arguments

        def operate(frame: Frame) -> Any:
            first, second = left(frame), right(frame)
            frame.spend_on(first, second)
            return function(first, second)

        return operate

    def _function(self, name: str, tree: syntax.Call) -> Run:
        function = library.FUNCTIONS.get(name)
        if function is None:
            raise self.error(f"undeclared reference to '{name}' (in container '')", tree.position)
        self._fits(function, len(tree.arguments), name, tree.position)
        arguments = [self.run(each) for each in tree.arguments]

        def call(frame: Frame) -> Any:
            values = [each(frame) for each in arguments]
            frame.spend_on(*values)
            return called(function, name, values)

        return call

    def _method(self, tree: syntax.Call, target: Expression) -> Run:
        name = tree.name
        shared = library.METHODS.get(name)
        if shared is None and name not in library.NATIVE:
            raise self.error(f"undeclared reference to '{name}' (in container '')", tree.position)
        if shared is not None and name not in library.NATIVE:
            self._fits(shared, len(tree.arguments) + 1, name, tree.position)
        of, arguments = self.run(target), [self.run(each) for each in tree.arguments]

        def call(frame: Frame) -> Any:
            values = [of(frame), *(each(frame) for each in arguments)]
            frame.spend_on(*values)
            found = values[0]
            method = found.methods.get(name) if isinstance(found, Native) else shared
            if method is None:
                raise no_overload(name, *values)
            return called(method, name, values)

        return call

    def _fits(self, function: Callable[..., Any], count: int, name: str, position: int) -> None:
        try:
            inspect.signature(function).bind(*range(count))
        except TypeError:
            raise self.error(f"found no matching overload for '{name}'", position) from None


def called(function: Callable[..., Any], name: str, values: list[Any]) -> Any:
    """Call a function of the library; what it cannot take is an error value, not one of ours."""
    try:
        return function(*values)
    except (TypeError, AttributeError, KeyError, IndexError):
        raise no_overload(name, *values) from None
    except (ValueError, OverflowError, ArithmeticError) as error:
        raise Fault(str(error)) from None


def decided(left: Run, right: Run, any_: bool) -> Run:
    """Return `left || right` (`any_`) or `left && right`: a side that decides absorbs the other's failure."""

    def decide(frame: Frame) -> bool:
        try:
            first = left(frame)
            if first is any_:
                return bool(first)
            fault = None if isinstance(first, bool) else no_overload("_||_" if any_ else "_&&_", first)
        except Exhausted:
            raise
        except Fault as error:
            fault = error
        second = right(frame)
        if second is any_:
            return bool(second)
        if fault is not None:
            raise fault
        if not isinstance(second, bool):
            raise no_overload("_||_" if any_ else "_&&_", second)
        return second

    return decide


def maybe(value: Any, key: Any) -> Optional:
    """Return `value[?key]`."""
    if isinstance(value, Optional):
        return maybe(value.value, key) if value.present else ABSENT
    try:
        return Optional(True, _field(value, key) if isinstance(value, Native) else at(value, key))
    except Exhausted:
        raise
    except Fault:
        return ABSENT


def _field(value: Any, field: str) -> Any:
    if isinstance(value, dict):
        try:
            return value[field]
        except KeyError:
            raise Fault(f"no such key: {field}") from None
    if isinstance(value, Optional):
        return maybe(value, field)
    if isinstance(value, Native) and field in value.fields:
        return value.fields[field](value)
    raise no_overload(f"_.{field}", value)


def _optional(value: Any) -> Optional:
    if not isinstance(value, Optional):
        raise no_overload("_?_", value)
    return value


def _path(tree: Expression) -> str:
    if isinstance(tree, syntax.Name):
        return tree.name
    return f"{_path(tree.of)}.{tree.field}" if isinstance(tree, syntax.Select) else ""


def _well_known(tree: syntax.Select) -> Type | None:
    name = _path(tree)
    return Type(name) if name in ("google.protobuf.Duration", "google.protobuf.Timestamp") else None


_Make: TypeAlias = Callable[[Compiler, Any], Run]
_MAKE: Mapping[type, _Make] = {
    syntax.Literal: Compiler.literal,
    syntax.Name: Compiler.name,
    syntax.Select: Compiler.select,
    syntax.Index: Compiler.index,
    syntax.Call: Compiler.call,
    syntax.Both: Compiler.both,
    syntax.Choice: Compiler.choice,
    syntax.ListOf: Compiler.list,
    syntax.MapOf: Compiler.map,
}
