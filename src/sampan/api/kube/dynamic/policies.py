"""Policies with their bindings and parameters: what validating and mutating ones share.

Spec: admissionregistration.k8s.io/v1 ValidatingAdmissionPolicy, MutatingAdmissionPolicy, ParamRef.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

from sampan.api.kube.access import Authorizer
from sampan.api.kube.admission import Attributes
from sampan.api.kube.dynamic.authorizer import Asking
from sampan.api.kube.dynamic.matcher import Matcher
from sampan.api.kube.records import Records
from sampan.api.kube.served import Registry, Served
from sampan.api.kube.view import View
from sampan.kube import object as objects
from sampan.kube.admission import matching
from sampan.kube.admission.ask import Ask, Matched
from sampan.kube.admission.expression import (
    BUDGET,
    POLICY_VARIABLES,
    Budget,
    Variables,
    conditions_hold,
    seen,
)
from sampan.kube.kinds.scale import selects
from sampan.kube.object import Object
from sampan.kube.reading import items, mapping, text


class Misconfigured(Exception):
    """A policy or binding refers to what is not there."""


class Evaluation(NamedTuple):
    """One policy under one binding with one parameter, about to be evaluated for a write."""

    policy: Object
    binding: Object | None
    """None: the policy itself is at fault, whatever binds it."""
    matched: Matched
    variables: Variables
    budget: Budget
    fault: str = ""
    """What is wrong with the policy or the binding; nothing is evaluated then."""

    @property
    def uid(self) -> str:
        return f"{objects.name(self.policy)}/{objects.name(self.binding or {})}"

    @property
    def lenient(self) -> bool:
        """Return whether the write goes on where the policy fails."""
        return text(self.policy, "spec", "failurePolicy") == "Ignore"

    def conditions(self) -> bool:
        """Return whether the policy's match conditions hold.

        Raises:
            Fault
        """
        conditions = items(self.policy, "spec", "matchConditions")
        return not conditions or conditions_hold(conditions, self.variables.values, POLICY_VARIABLES)


class Policies:
    """The policies of one kind in the order of their names, each with its bindings in theirs."""

    def __init__(
        self, policies: View, bindings: View, matcher: Matcher, authorizer: Authorizer, parameters: Parameters
    ) -> None:
        self._policies = policies
        self._bindings = bindings
        self.matcher = matcher
        self._authorizer = authorizer
        self._parameters = parameters
        self._known: list[tuple[Object, list[Object]]] | None = None
        for view in (policies, bindings):
            view.on_change(lambda _: self._forget())

    def _forget(self) -> None:
        self._known = None

    def bound(self) -> list[tuple[Object, list[Object]]]:
        """Return the policies that something binds."""
        if self._known is None:
            bindings: dict[str, list[Object]] = {}
            for binding in sorted(self._bindings, key=objects.name):
                bindings.setdefault(text(binding, "spec", "policyName"), []).append(binding)
            found = [
                (policy, bindings.get(objects.name(policy), [])) for policy in sorted(self._policies, key=objects.name)
            ]
            self._known = [(policy, binding) for policy, binding in found if binding]
        return self._known

    async def evaluations(
        self, policy: Object, bindings: list[Object], ask: Ask, attributes: Attributes
    ) -> AsyncIterator[Evaluation]:
        """Yield one policy's evaluations for a write: for each binding that is about it and each of its parameters."""
        constraints = matching.of_resources(mapping(policy, "spec", "matchConstraints"), ruled=True)
        matched = await self.matcher.match(constraints, ask)
        if matched is None:
            return
        nothing = Variables((), {}, Budget(0))
        try:
            kind = self._parameters.kind(policy)
        except Misconfigured as error:
            why = f"failed to configure policy: {error}"
            yield Evaluation(policy, None, matched, nothing, Budget(0), why)
            return
        for binding in bindings:
            narrowed = mapping(binding, "spec", "matchResources")
            if narrowed and await self.matcher.match(matching.of_resources(narrowed, ruled=False), ask) is None:
                continue
            try:
                parameters = await self._parameters.of(kind, binding, ask)
            except Misconfigured as error:
                why = f"failed to configure binding: {error}"
                yield Evaluation(policy, binding, matched, nothing, Budget(0), why)
                continue
            for parameter in parameters:
                if matched.ask.kind != matched.asked_kind:  # a copy, which does not see what was changed meanwhile
                    matched = await self.matcher.match(constraints, ask) or matched
                yield await self._evaluation(policy, binding, matched, parameter, attributes)

    async def _evaluation(
        self, policy: Object, binding: Object, matched: Matched, parameter: Object | None, attributes: Attributes
    ) -> Evaluation:
        ask, budget = matched.ask, Budget(BUDGET)
        space = await self.matcher.namespace(ask.namespace) if ask.namespaced else None
        asking = Asking(self._authorizer, attributes.user, ask)
        said = [(text(each, "name"), text(each, "expression")) for each in items(policy, "spec", "variables")]
        variables = Variables(said, seen(matched, asking, namespaceObject=space, params=parameter), budget)
        return Evaluation(policy, binding, matched, variables, budget)


class Parameters:
    """Finds the objects that bindings give their policies as `params`, as they are stored now."""

    def __init__(self, registry: Registry, records: Records) -> None:
        self._registry = registry
        self._records = records

    def kind(self, policy: Object) -> Served | None:
        """Return the resource of a policy's parameters, None where it takes none.

        Raises:
            Misconfigured: it is not served.
        """
        said = mapping(policy, "spec", "paramKind")
        if not said:
            return None
        group, _, version = text(said, "apiVersion").rpartition("/")
        found = self._registry.by_kind(group, version, text(said, "kind"))
        if found is None:
            which = f"{text(said, 'apiVersion')}, Kind={text(said, 'kind')}"
            raise Misconfigured(f"failed to find resource referenced by paramKind: '{which}'")
        return found

    async def of(self, kind: Served | None, binding: Object, ask: Ask) -> list[Object | None]:
        """Return the parameters of a binding, for each of which its policy is evaluated; [None] where it takes none.

        Raises:
            Misconfigured: there are none, and that is to refuse the write.
        """
        ref = mapping(binding, "spec", "paramRef")
        if kind is None or not ref:
            return [None]
        found = await self._found(kind, ref, self._namespace(kind, ref, ask))
        if not found and text(ref, "parameterNotFoundAction") != "Allow":
            raise Misconfigured("no params found for policy binding with `Deny` parameterNotFoundAction")
        return list(await kind.conversion.from_storage(found)) if kind.conversion and found else list(found)

    def _namespace(self, kind: Served, ref: Object, ask: Ask) -> str:
        said = text(ref, "namespace")
        if not kind.resource.namespaced:
            if said:
                raise Misconfigured("paramRef.namespace must not be provided for a cluster-scoped `paramKind`")
            return ""
        if not said and not ask.namespace:
            raise Misconfigured(
                "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
            )
        return said or ask.namespace

    async def _found(self, kind: Served, ref: Object, namespace: str) -> list[Object]:
        if name := text(ref, "name"):
            one = await self._records.get(kind.resource, namespace, name)
            return [one] if one is not None else []
        found, _ = await self._records.list(kind.resource, namespace)
        return [obj for obj in found if selects(ref.get("selector"), obj)]
