"""MutatingAdmissionPolicy: changes by expressions in CEL, as a configuration to apply or as a JSON patch.

Spec: Kubernetes documentation, "Mutating Admission Policy".
"""

from __future__ import annotations

from sampan.api.kube.admission import Attributes
from sampan.api.kube.dynamic.policies import Evaluation, Policies
from sampan.api.kube.dynamic.reinvocation import Rounds
from sampan.base import log
from sampan.kube import object as objects
from sampan.kube import status
from sampan.kube.admission.change import applied, patched
from sampan.kube.admission.expression import BODY_VARIABLES, compiled_here
from sampan.kube.cel.fault import Fault
from sampan.kube.object import Object
from sampan.kube.patch.merge import copied
from sampan.kube.reading import items, text

_log = log.get("kube.policies")


class MutatingPolicies:
    """One after the other, each sees what those before it made. What changed is checked and defaulted again."""

    name = "MutatingAdmissionPolicy"

    def __init__(self, policies: Policies) -> None:
        self._policies = policies

    async def mutate(self, attributes: Attributes) -> None:
        bound = self._policies.bound()
        if not bound or attributes.object is None:
            return
        rounds = Rounds.of(attributes, self.name)
        for policy, bindings in bound:
            for binding in bindings:
                await self._one(policy, binding, attributes, rounds)
        rounds.end(attributes)

    async def validate(self, attributes: Attributes) -> None:
        pass

    async def _one(self, policy: Object, binding: Object, attributes: Attributes, rounds: Rounds) -> None:
        uid = f"{objects.name(policy)}/{objects.name(binding)}"
        ask = self._policies.matcher.ask(attributes)
        if ask is None or rounds.skips(attributes, uid):
            return
        async for evaluation in self._policies.evaluations(policy, [binding], ask, attributes):
            try:
                changed = await self._changed(evaluation, attributes)
            except (Fault, status.ApiError) as error:
                if not evaluation.lenient:
                    raise _refusal(evaluation, str(error)) from error
                _log.warning("the policy %s is left out: %s", uid, error)
                continue
            again = text(policy, "spec", "reinvocationPolicy") == "IfNeeded"
            rounds.tell(attributes, uid, changed=changed, again=again)

    async def _changed(self, evaluation: Evaluation, attributes: Attributes) -> bool:
        """Change the object as a policy says; returns whether anything is different then.

        Raises:
            Fault: an expression failed, or what it came to cannot be applied.
            ApiError: the object would be none of its kind.
        """
        if evaluation.fault:
            raise Fault(evaluation.fault)
        matched, matcher = evaluation.matched, self._policies.matcher
        served = matcher.served(matched.ask.resource)
        if matched.ask.object is None or not evaluation.conditions():
            return False
        made = copied(matched.ask.object)
        for mutation in items(evaluation.policy, "spec", "mutations"):
            field = "applyConfiguration" if text(mutation, "patchType") == "ApplyConfiguration" else "jsonPatch"
            expression = text(mutation, field, "expression")
            variables = evaluation.variables.about(made)
            try:
                said = evaluation.budget.run(compiled_here(expression, BODY_VARIABLES), variables.values)
            except Fault as error:
                raise Fault(f"expression '{expression.strip()}' resulted in error: {error}") from error
            node = served.node if served is not None and not matched.ask.subresource else None
            made = applied(node, made, said) if field == "applyConfiguration" else patched(made, said)
        return await matcher.take(attributes, matched, made)


def _refusal(evaluation: Evaluation, why: str) -> status.ApiError:
    bound = f" with binding '{objects.name(evaluation.binding)}'" if evaluation.binding is not None else ""
    return status.ApiError(403, "Invalid", f"policy '{objects.name(evaluation.policy)}'{bound} denied request: {why}")
