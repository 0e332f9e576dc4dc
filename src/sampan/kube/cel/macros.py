"""Macros: calls whose arguments are expressions under variables of their own.

Spec: cel-spec "Macros"; cel-go ext "Bindings", "TwoVarComprehensions", optional types.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from sampan.kube.cel import syntax
from sampan.kube.cel.fault import Exhausted, Fault
from sampan.kube.cel.frame import Frame, Run, constant
from sampan.kube.cel.value import ABSENT, Native, Optional, no_overload

if TYPE_CHECKING:
    from sampan.kube.cel.program import Compiler


class Loop(NamedTuple):
    """What a macro over a list or map goes through. `names`: one variable, or two (index or key, and value)."""

    over: Run
    names: tuple[str, ...]
    bodies: tuple[Run, ...]

    def rounds(self, frame: Frame) -> Iterator[Any]:
        """Set the variables for each item in turn, yield the item (the key, with two variables), and put them back."""
        values, names = frame.values, self.names
        before = [values.get(name, _NOTHING) for name in names]
        try:
            for first, second in _pairs(self.over(frame), two=len(names) == 2):
                frame.spend()
                values[names[0]] = first
                if len(names) == 2:
                    values[names[1]] = second
                yield first
        finally:
            for name, value in zip(names, before, strict=True):
                if value is _NOTHING:
                    values.pop(name, None)
                else:
                    values[name] = value


_NOTHING = object()


def _pairs(over: Any, *, two: bool) -> Iterator[tuple[Any, Any]]:
    if isinstance(over, dict):
        yield from over.items()
    elif isinstance(over, list):
        yield from enumerate(over) if two else ((item, None) for item in over)
    else:
        raise no_overload("comprehension", over)


def find(compiler: Compiler, tree: syntax.Call) -> Run | None:
    """Return what a macro does, None when the call is none."""
    if tree.target is None:
        return _has(compiler, tree) if tree.name == "has" and len(tree.arguments) == 1 else None
    if tree.name == "bind" and isinstance(tree.target, syntax.Name) and tree.target.name == "cel":
        return _bind(compiler, tree)
    if tree.name in ("optMap", "optFlatMap") and len(tree.arguments) == 2:
        return _opt_map(compiler, tree, tree.target)
    form = _FORMS.get((tree.name, len(tree.arguments)))
    if form is None:
        return None
    names = tuple(_variable(compiler, each) for each in tree.arguments[: form.variables])
    inner = compiler.within(*names)
    bodies = tuple(inner.run(each) for each in tree.arguments[form.variables :])
    return form.make(Loop(compiler.run(tree.target), names, bodies))


def _variable(compiler: Compiler, tree: syntax.Expression) -> str:
    if not isinstance(tree, syntax.Name):
        raise compiler.error("argument must be a simple name", tree.position)
    return tree.name


def _has(compiler: Compiler, tree: syntax.Call) -> Run:
    asked = tree.arguments[0]
    if not isinstance(asked, syntax.Select):
        raise compiler.error("invalid argument to has() macro", tree.position)
    of, field = compiler.run(asked.of), syntax.unescape(asked.field)

    def has(frame: Frame) -> bool:
        value = of(frame)
        if isinstance(value, Optional):
            value = value.value if value.present else {}
        if isinstance(value, dict):
            return field in value
        if isinstance(value, Native):
            return field in value.fields
        raise no_overload("has", value)

    return has


def _bind(compiler: Compiler, tree: syntax.Call) -> Run:
    if len(tree.arguments) != 3:
        raise compiler.error("found no matching overload for 'cel.bind'", tree.position)
    name = _variable(compiler, tree.arguments[0])
    return _with(name, compiler.run(tree.arguments[1]), compiler.within(name).run(tree.arguments[2]))


def _with(name: str, value: Run, body: Run) -> Run:
    def bind(frame: Frame) -> Any:
        frame.spend()
        bound = value(frame)
        before = frame.values.get(name, _NOTHING)
        frame.values[name] = bound
        try:
            return body(frame)
        finally:
            if before is _NOTHING:
                del frame.values[name]
            else:
                frame.values[name] = before

    return bind


def _opt_map(compiler: Compiler, tree: syntax.Call, target: syntax.Expression) -> Run:
    name = _variable(compiler, tree.arguments[0])
    of, flat = compiler.run(target), tree.name == "optFlatMap"
    body = compiler.within(name).run(tree.arguments[1])

    def opt_map(frame: Frame) -> Any:
        found = of(frame)
        if not isinstance(found, Optional):
            raise no_overload(tree.name, found)
        if not found.present:
            return ABSENT
        made = _with(name, constant(found.value), body)(frame)
        return made if flat else Optional(True, made)

    return opt_map


# --- over lists and maps ----------------------------------------------------------------------------------------------


def _quantifier(*, decides: bool) -> Callable[[Loop], Run]:
    """Return `exists` (an item decides by being true) or `all` (by being false): it absorbs failures of other items."""

    def make(loop: Loop) -> Run:
        body = loop.bodies[0]

        def run(frame: Frame) -> bool:
            fault: Fault | None = None
            for _ in loop.rounds(frame):
                try:
                    found = body(frame)
                except Exhausted:
                    raise
                except Fault as error:
                    fault = error
                    continue
                if isinstance(found, bool) and found is decides:
                    return decides
                if not isinstance(found, bool):
                    fault = no_overload("_?_:_", found)
            if fault is not None:
                raise fault
            return not decides

        return run

    return make


def _true(value: Any) -> bool:
    if not isinstance(value, bool):
        raise no_overload("_?_:_", value)
    return value


def _exists_one(loop: Loop) -> Run:
    body = loop.bodies[0]
    return lambda frame: sum(_true(body(frame)) for _ in loop.rounds(frame)) == 1


def _filter(loop: Loop) -> Run:
    body = loop.bodies[0]
    return lambda frame: [item for item in loop.rounds(frame) if _true(body(frame))]


def _map(loop: Loop) -> Run:
    if len(loop.bodies) == 1:
        body = loop.bodies[0]
        return lambda frame: [body(frame) for _ in loop.rounds(frame)]
    chosen, body = loop.bodies
    return lambda frame: [body(frame) for _ in loop.rounds(frame) if _true(chosen(frame))]


def _transform_map(loop: Loop) -> Run:
    *chosen, body = loop.bodies
    return lambda frame: {key: body(frame) for key in loop.rounds(frame) if all(_true(each(frame)) for each in chosen)}


class _Form(NamedTuple):
    variables: int
    make: Callable[[Loop], Run]


_FORMS: Mapping[tuple[str, int], _Form] = {
    ("all", 2): _Form(1, _quantifier(decides=False)),
    ("exists", 2): _Form(1, _quantifier(decides=True)),
    ("exists_one", 2): _Form(1, _exists_one),
    ("existsOne", 2): _Form(1, _exists_one),
    ("filter", 2): _Form(1, _filter),
    ("map", 2): _Form(1, _map),
    ("map", 3): _Form(1, _map),
    ("all", 3): _Form(2, _quantifier(decides=False)),
    ("exists", 3): _Form(2, _quantifier(decides=True)),
    ("existsOne", 3): _Form(2, _exists_one),
    ("exists_one", 3): _Form(2, _exists_one),
    ("transformList", 3): _Form(2, _map),
    ("transformList", 4): _Form(2, _map),
    ("transformMap", 3): _Form(2, _transform_map),
    ("transformMap", 4): _Form(2, _transform_map),
}
