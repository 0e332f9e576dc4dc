"""Expressions of webhooks and policies: which variables they see, and how much they may take together.

Spec: Kubernetes documentation, "Validating Admission Policy", "Matching requests: matchConditions".
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sampan.kube.admission.ask import Matched, request
from sampan.kube.cel import library
from sampan.kube.cel.fault import CelError, Exhausted, Fault
from sampan.kube.cel.frame import Frame
from sampan.kube.cel.program import STEPS, Program
from sampan.kube.cel.program import compile as compiled
from sampan.kube.cel.value import Native
from sampan.kube.object import Object

CONDITION_VARIABLES = frozenset({"object", "oldObject", "request", "authorizer"})
POLICY_VARIABLES = CONDITION_VARIABLES | {"namespaceObject", "params"}
BODY_VARIABLES = POLICY_VARIABLES | {"variables"}
BUDGET = 4 * STEPS
"""Steps that all expressions of one policy may take for one write and one parameter object."""
CONDITION_BUDGET = BUDGET // 4
"""The same of all match conditions of one webhook or policy."""
EXHAUSTED = "validation failed due to running out of cost budget, no further validation rules will be run"


class Budget:
    """Steps that are left for several expressions."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def run(self, program: Program, values: Mapping[str, Any]) -> Any:
        """Return what an expression comes to.

        Raises:
            Fault: it failed; `Exhausted` where it, or all of them together, took too much.
        """
        if self.left <= 0:
            raise Exhausted(EXHAUSTED)
        frame = Frame(dict(values), min(STEPS, self.left))
        given = frame.left
        try:
            return program.run(frame)
        except Exhausted as error:
            raise Exhausted(EXHAUSTED if given < STEPS else str(error)) from None
        finally:
            self.left -= given - max(frame.left, 0) + 1


class Variables(Native):
    """The variables of a policy, each evaluated once, when it is first used."""

    type_name = "kubernetes.variables"

    def __init__(self, said: Iterable[tuple[str, str]], values: Mapping[str, Any], budget: Budget) -> None:
        """`said`: name and expression. `values`: what the expressions see; `variables` is added to it."""
        self._said = list(said)
        self._values = {**values, "variables": self}
        self._budget = budget
        self._known: dict[str, Any] = {}
        self.fields = {name: self._reader(name, text) for name, text in self._said}

    @property
    def values(self) -> Mapping[str, Any]:
        """Return all that expressions of this policy see."""
        return self._values

    def about(self, obj: Object) -> Variables:
        """Return the same with another `object`, evaluated anew."""
        return Variables(self._said, {**self._values, "object": obj}, self._budget)

    def _reader(self, name: str, text: str) -> Callable[[Any], Any]:
        def read(_: Any) -> Any:
            if name not in self._known:
                try:
                    self._known[name] = self._budget.run(compiled_here(text, BODY_VARIABLES), self._values)
                except Exhausted:
                    raise
                except Fault as error:
                    self._known[name] = Fault(f'composited variable "{name}" fails to evaluate: {error}')
            found = self._known[name]
            if isinstance(found, Fault):
                raise found
            return found

        return read


def compiled_here(text: str, variables: frozenset[str]) -> Program:
    """Return the program of an expression that was kept before it could be judged.

    Raises:
        Fault: it is none.
    """
    try:
        return compiled(text, variables)
    except CelError as error:
        raise Fault(f"compilation failed: {error}") from None


def plain(value: Any) -> Any:
    """Return a value as JSON has it.

    Raises:
        Fault: it is nothing of that kind.
    """
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if value is None or isinstance(value, (str, bool, float)):
        return value
    return int(value) if isinstance(value, int) else library.to_string(value)


def seen(matched: Matched, authorizer: Native, **more: Any) -> dict[str, Any]:
    """Return the variables of a write. `more`: `namespaceObject` and `params` where they are seen."""
    return {
        "object": matched.ask.object,
        "oldObject": matched.ask.old,
        "request": request(matched, ""),
        "authorizer": authorizer,
        **more,
    }


def conditions_hold(conditions: list[Object], values: Mapping[str, Any], variables: frozenset[str]) -> bool:
    """Return whether all match conditions are true. One that is false decides, even where another fails.

    Raises:
        Fault: none is false, and one failed.
    """
    budget, failed = Budget(CONDITION_BUDGET), ""
    for condition in conditions:
        try:
            found = budget.run(compiled_here(str(condition.get("expression")), variables), values)
        except Fault as error:
            failed = failed or f"expression '{condition.get('expression')}' resulted in error: {error}"
            continue
        if found is False:
            return False
        if found is not True:
            failed = failed or f"expression '{condition.get('expression')}' resulted in error: it is no bool"
    if failed:
        raise Fault(failed)
    return True
