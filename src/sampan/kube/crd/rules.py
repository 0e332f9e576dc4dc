"""x-kubernetes-validations: rules in CEL on any part of a custom resource.

Spec: Kubernetes documentation, "CRD validation rules".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from sampan.kube.cel import library, types
from sampan.kube.cel.fault import CelError, Exhausted, Fault
from sampan.kube.cel.frame import Frame
from sampan.kube.cel.program import STEPS, Program
from sampan.kube.cel.program import compile as compiled
from sampan.kube.cel.value import ABSENT, Optional
from sampan.kube.fielderror import Fault as Kind
from sampan.kube.fielderror import FieldError, invalid
from sampan.kube.object import Object
from sampan.kube.schema.node import Kind as Shape
from sampan.kube.schema.node import Node

VARIABLES = frozenset({"self", "oldSelf"})
BUDGET = 3 * STEPS
"""Steps that all rules of one object may take."""
_REASONS = {
    "FieldValueRequired": Kind.REQUIRED,
    "FieldValueForbidden": Kind.FORBIDDEN,
    "FieldValueDuplicate": Kind.DUPLICATE,
}
_OLD = re.compile(r"\boldSelf\b")
_TYPE_NAMES = {Shape.OBJECT: "object", Shape.MAP: "object", Shape.ARRAY: "array"}


class Rule(NamedTuple):
    program: Program
    message: str
    message_program: Program | None
    kind: Kind
    field: str
    transition: bool
    optional_old: bool


class _Spend:
    """The steps that are left for an object. When it is over, no further rule is run."""

    def __init__(self) -> None:
        self.left = BUDGET
        self.over = False


class Rules:
    """The rules of a schema and of all that is below it."""

    def __init__(self, node: Node) -> None:
        """Compile them.

        Raises:
            CelError
        """
        self._node = node
        self._own = [rule_of(each) for each in node.rules]
        self._fields = {name: made for name, child in node.properties.items() if (made := _below(child)) is not None}
        self._element = _below(node.element) if node.element is not None else None

    @property
    def any(self) -> bool:
        return bool(self._own or self._fields or self._element)

    def judge(self, new: Object, old: Object | None = None) -> list[FieldError]:
        """Return what an object breaks; `old`: what it was, None for a new one. What is as it was may be wrong as it was."""
        faults: list[FieldError] = []
        self.walk(new, old, "", faults, _Spend())
        return faults

    def walk(
        self, value: Any, old: Any, path: str, faults: list[FieldError], spend: _Spend, *, same: bool = False
    ) -> None:
        """`same`: what it is a part of has not changed, even if it cannot be said which part it was."""
        if value is None or spend.over:
            return
        same = same if old is None else old == value
        for rule in self._own:
            if (old is not None or rule.optional_old) if rule.transition else not same:
                _run(rule, self._node, value, old, path, faults, spend)
        for name, child in self._fields.items():
            if isinstance(value, dict) and name in value:
                before = old.get(name) if isinstance(old, dict) else None
                child.walk(value[name], before, f"{path}.{name}" if path else name, faults, spend, same=same)
        if self._element is not None:
            for key, item, before in _elements(self._node, value, old):
                self._element.walk(item, before, f"{path}[{key}]", faults, spend, same=same)


def _below(node: Node) -> Rules | None:
    made = Rules(node)
    return made if made.any else None


def _elements(node: Node, value: Any, old: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Yield each item with its key and what it was: by key in maps and in lists of type map, else unknown."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key not in node.properties:
                yield key, item, old.get(key) if isinstance(old, dict) else None
    elif isinstance(value, list):
        known: dict[bytes, Any] = {}
        if node.associative and isinstance(old, list):
            known = {_key(node, item): item for item in old if isinstance(item, dict)}
        for index, item in enumerate(value):
            yield index, item, known.get(_key(node, item)) if known and isinstance(item, dict) else None


def _key(node: Node, item: Object) -> bytes:
    return msgspec.json.encode([item.get(key) for key in node.list_map_keys])


def _run(rule: Rule, node: Node, value: Any, old: Any, path: str, faults: list[FieldError], spend: _Spend) -> None:
    if spend.over:
        return
    bindings = {"self": typed(node, value)}
    if rule.transition:
        before = typed(node, old) if old is not None else None
        bindings["oldSelf"] = (ABSENT if old is None else Optional(True, before)) if rule.optional_old else before
    frame = Frame(bindings, min(STEPS, spend.left))
    given = frame.left
    try:
        held = rule.program.run(frame)
        why = "" if held is True else _message(rule, bindings)
    except Fault as error:
        spend.over = isinstance(error, Exhausted)
        why = _failure(rule, error, all_=given < STEPS)
    spend.left -= given - max(frame.left, 0) + 1
    if why:
        shown = _TYPE_NAMES.get(node.kind, value)
        faults.append(FieldError(rule.kind, f"{path}{rule.field}".removeprefix(".") or "<nil>", why, shown))


def _failure(rule: Rule, error: Fault, *, all_: bool) -> str:
    """Return what is said of a rule that could not be evaluated. `all_`: what was left for all of them was too little."""
    what = rule.message or rule.program.text.strip()
    if isinstance(error, Exhausted) and all_:
        return "validation failed due to running out of cost budget, no further validation rules will be run"
    if isinstance(error, Exhausted):
        return f"no further validation rules will be run due to call cost exceeds limit for rule: {what}"
    if str(error).startswith("no such overload:"):
        return f"call arguments did not match a supported operator, function or macro signature for rule: {what}"
    return f"{error} evaluating rule: {what}"


def _message(rule: Rule, bindings: Mapping[str, Any]) -> str:
    if rule.message_program is not None:
        try:
            found = rule.message_program.evaluate(bindings)
        except Fault:
            found = ""
        if isinstance(found, str) and found.strip() and "\n" not in found and len(found) <= 5120:
            return found.strip()
    return rule.message or f"failed rule: {rule.program.text}"


def rule_of(said: Object) -> Rule:
    """Return a rule compiled.

    Raises:
        CelError
    """
    program = compiled(str(said.get("rule") or ""), VARIABLES)
    expression = said.get("messageExpression")
    return Rule(
        program,
        str(said.get("message") or "").strip(),
        compiled(expression, VARIABLES) if expression else None,
        _REASONS.get(str(said.get("reason") or ""), Kind.INVALID),
        str(said.get("fieldPath") or ""),
        bool(_OLD.search(program.text)),
        bool(said.get("optionalOldSelf")),
    )


# --- values by their schema -------------------------------------------------------------------------------------------


def typed(node: Node, value: Any) -> Any:
    """Return a value as rules see it: times, durations and bytes are values of their own. Copied only where needed."""
    if not _special(node):
        return value
    if isinstance(value, str) and node.format in _TYPED:
        try:
            return library.FUNCTIONS[_TYPED[node.format]](value)
        except (Fault, ValueError):
            return value
    if node.kind is Shape.NUMBER and isinstance(value, int):
        return float(value)
    if isinstance(value, list) and node.element is not None:
        return [typed(node.element, item) for item in value]
    if isinstance(value, dict):
        return {key: typed(child, item) if (child := node.child(key)) else item for key, item in value.items()}
    return value


_TYPED = {"date-time": "timestamp", "date": "timestamp", "duration": "duration", "byte": "base64.decode"}


def _special(node: Node) -> bool:
    """Return whether anything in a schema is not seen as it is written."""
    if "cel.special" not in node.memo:
        node.memo["cel.special"] = False  # of a schema within itself
        below = [*node.properties.values(), *([node.element] if node.element is not None else ())]
        node.memo["cel.special"] = (
            node.format in _TYPED or node.kind is Shape.NUMBER or any(_special(child) for child in below)
        )
    return bool(node.memo["cel.special"])


# --- what is wrong with rules themselves --------------------------------------------------------------------------------


def faults(path: str, node: Node, said: list[Any], lost: str = "") -> Iterator[FieldError]:
    """Yield what is wrong with the rules of one node. `lost`: within what it is not known which value was which before."""
    for index, each in enumerate(said):
        where = f"{path}[{index}]"
        if not isinstance(each, dict) or not str(each.get("rule") or "").strip():
            yield FieldError(Kind.REQUIRED, f"{where}.rule", "rule is not specified")
            continue
        for field in ("rule", "messageExpression"):
            if each.get(field):
                optional = bool(each.get("optionalOldSelf"))
                yield from _compiles(f"{where}.{field}", node, str(each[field]), field, optional=optional)
        message = str(each.get("message") or "")
        if "\n" in message.strip():
            yield invalid(f"{where}.message", message, "message must not contain line breaks")
        if lost and not each.get("optionalOldSelf") and _OLD.search(str(each["rule"])):
            why = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {lost}"
            yield invalid(f"{where}.rule", {"rule": each["rule"]}, why)
        if each.get("optionalOldSelf") is not None and not _OLD.search(str(each["rule"])):
            why = "may not be set if oldSelf is not used in rule"
            yield invalid(f"{where}.optionalOldSelf", each["optionalOldSelf"], why)


def _compiles(path: str, node: Node, text: str, field: str, *, optional: bool) -> Iterator[FieldError]:
    wanted, name = (types.BOOL, "rule") if field == "rule" else (types.STRING, "messageExpression")
    of = types.of_node(node)
    why = ""
    try:
        program = compiled(text, VARIABLES)
        found = types.check(program.tree, {"self": of, "oldSelf": types.DYN if optional else of}, text)
    except CelError as error:
        why = f"{name} compilation failed: {error}"
    else:
        if found not in (wanted, types.DYN):
            why = f"{name} compilation failed: must evaluate to a {wanted}"
    if why:
        yield invalid(path, text if field == "messageExpression" else {"rule": text}, why)
