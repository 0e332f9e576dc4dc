"""ValidatingAdmissionPolicy: refusals, warnings and audit annotations by expressions in CEL.

Spec: Kubernetes documentation, "Validating Admission Policy".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from sampan.api.kube.admission import Attributes
from sampan.api.kube.dynamic.policies import Evaluation, Policies
from sampan.kube import object as objects
from sampan.kube import status
from sampan.kube.admission.expression import BODY_VARIABLES, EXHAUSTED, compiled_here
from sampan.kube.cel.fault import Exhausted, Fault
from sampan.kube.cel.value import type_of
from sampan.kube.object import Object
from sampan.kube.reading import items, text, words

_CODES = {"Unauthorized": 401, "Forbidden": 403, "RequestEntityTooLarge": 413}
_MOST_MESSAGE = 5 * 1024
_MOST_ANNOTATION = 10 * 1024
_FAILURES = "validation.policy.admission.k8s.io/validation_failure"


class Broken(NamedTuple):
    """A validation that does not hold, or an expression that failed."""

    evaluation: Evaluation
    message: str
    reason: str = "Invalid"
    place: int = 0

    @property
    def who(self) -> str:
        """Return whose it is, as messages name it."""
        policy, binding = self.evaluation.policy, self.evaluation.binding
        bound = f" with binding '{objects.name(binding)}'" if binding is not None else ""
        return f"ValidatingAdmissionPolicy '{objects.name(policy)}'{bound}"

    @property
    def actions(self) -> list[str]:
        binding = self.evaluation.binding
        return words(binding, "spec", "validationActions") if binding is not None else ["Deny"]


class ValidatingPolicies:
    name = "ValidatingAdmissionPolicy"

    def __init__(self, policies: Policies) -> None:
        self._policies = policies

    async def mutate(self, attributes: Attributes) -> None:
        pass

    async def validate(self, attributes: Attributes) -> None:
        bound = self._policies.bound()
        if not bound or (ask := self._policies.matcher.ask(attributes)) is None:
            return
        denied: list[Broken] = []
        failures: list[Object] = []
        for policy, bindings in bound:
            annotations: dict[str, list[str]] = {}
            async for evaluation in self._policies.evaluations(policy, bindings, ask, attributes):
                for broken in _judged(evaluation, annotations):
                    denied += [broken] if "Deny" in broken.actions else []
                    _tell(broken, attributes, failures)
            for key, values in annotations.items():
                attributes.audit[f"{objects.name(policy)}/{key}"] = ", ".join(values)
        if failures:
            attributes.audit[_FAILURES] = msgspec.json.encode(failures).decode()
        if denied:
            raise _refusal(denied[0], attributes)


def _tell(broken: Broken, attributes: Attributes, failures: list[Object]) -> None:
    """Warn of a failure, or note it for the audit log, as its binding says."""
    evaluation = broken.evaluation
    if "Warn" in broken.actions:
        attributes.warnings.append(f"Validation failed for {broken.who}: {broken.message}")
    if "Audit" in broken.actions:
        failures.append({
            "message": broken.message,
            "policy": objects.name(evaluation.policy),
            "binding": objects.name(evaluation.binding or {}),
            "expressionIndex": broken.place,
            "validationActions": broken.actions,
        })  # fmt: skip


def _refusal(broken: Broken, attributes: Attributes) -> status.ApiError:
    resource, message = attributes.resource, f"{broken.who} denied request: {broken.message}"
    error = status.forbidden(resource.plural, resource.group, attributes.name, message)
    error.reason, error.code = broken.reason, _CODES.get(broken.reason, 422)
    error.details = {**(error.details or {}), "causes": [{"message": message}]}
    return error


def _judged(evaluation: Evaluation, annotations: dict[str, list[str]]) -> Iterator[Broken]:
    """Yield what a write breaks; what a policy wants in the audit log is added to `annotations`."""
    if evaluation.fault:
        yield from _failed(evaluation, evaluation.fault)
        return
    try:
        if not evaluation.conditions():
            return
    except Fault as error:
        yield from _failed(evaluation, str(error))
        return
    try:
        for place, validation in enumerate(items(evaluation.policy, "spec", "validations")):
            yield from _validated(evaluation, validation, place)
        for annotation in items(evaluation.policy, "spec", "auditAnnotations"):
            yield from _annotated(evaluation, annotation, annotations)
    except Exhausted:
        yield from _failed(evaluation, EXHAUSTED)


def _failed(evaluation: Evaluation, why: str, place: int = 0) -> Iterator[Broken]:
    if not evaluation.lenient:
        yield Broken(evaluation, why, place=place)


def _value(evaluation: Evaluation, expression: str, *types: type) -> Any:
    """Return what an expression comes to.

    Raises:
        Fault: it failed, or it is of no such type.
    """
    found = evaluation.budget.run(compiled_here(expression, BODY_VARIABLES), evaluation.variables.values)
    if not isinstance(found, types):
        raise Fault(f"it must evaluate to {' or '.join(each.name for each in (type_of(kind()) for kind in types))}")
    return found


def _validated(evaluation: Evaluation, validation: Object, place: int) -> Iterator[Broken]:
    expression = text(validation, "expression").strip()
    try:
        holds = _value(evaluation, expression, bool)
    except Exhausted as error:
        if str(error) == EXHAUSTED:
            raise
        yield from _failed(evaluation, f"expression '{expression}' resulted in error: {error}", place)
    except Fault as error:
        yield from _failed(evaluation, f"expression '{expression}' resulted in error: {error}", place)
    else:
        if not holds:
            reason = text(validation, "reason", missing="Invalid")
            yield Broken(evaluation, _message(evaluation, validation, expression), reason, place)


def _message(evaluation: Evaluation, validation: Object, expression: str) -> str:
    """Return what a policy says of a failure: by an expression, in words, or the expression that failed."""
    if said := text(validation, "messageExpression"):
        try:
            found: str = _value(evaluation, said, str)
        except Fault:
            found = ""
        if found.strip() and len(found) <= _MOST_MESSAGE and "\n" not in found.strip():
            return found.strip()
    return text(validation, "message").strip() or f"failed expression: {expression}"


def _annotated(evaluation: Evaluation, said: Object, annotations: dict[str, list[str]]) -> Iterator[Broken]:
    expression = text(said, "valueExpression").strip()
    try:
        value = _value(evaluation, expression, str, type(None))
    except Exhausted:
        raise
    except Fault as error:
        yield from _failed(evaluation, f"valueExpression '{expression}' resulted in error: {error}")
        return
    values = annotations.setdefault(text(said, "key"), [])
    if value is not None and (short := value.strip()[:_MOST_ANNOTATION]) and short not in values:
        values.append(short)
    if not values:
        del annotations[text(said, "key")]
