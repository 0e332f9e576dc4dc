"""Webhooks: programs elsewhere that change or refuse writes, asked over HTTPS.

Spec: admissionregistration.k8s.io/v1 MutatingWebhookConfiguration, ValidatingWebhookConfiguration; Kubernetes
documentation, "Dynamic Admission Control".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec

from sampan.api.kube.access import Authorizer
from sampan.api.kube.admission import Attributes
from sampan.api.kube.dynamic.authorizer import Asking
from sampan.api.kube.dynamic.matcher import Matcher
from sampan.api.kube.dynamic.reinvocation import Rounds
from sampan.api.kube.view import View
from sampan.api.kube.webhook import Caller
from sampan.base import log
from sampan.base.errors import SampanError
from sampan.kube import object as objects
from sampan.kube import status
from sampan.kube.admission import matching, review
from sampan.kube.admission.ask import Ask, Matched
from sampan.kube.admission.expression import CONDITION_VARIABLES, conditions_hold, seen
from sampan.kube.admission.review import Verdict
from sampan.kube.cel.fault import Fault
from sampan.kube.object import Object
from sampan.kube.patch import json as json_patch
from sampan.kube.patch.merge import copied
from sampan.kube.reading import items, mapping, number, text

_TIMEOUT_S = 10
_encode = msgspec.json.Encoder().encode
_log = log.get("kube.webhooks")


class Hook(NamedTuple):
    """One webhook; `uid` tells it from all others, `place` is its index in its configuration."""

    configuration: str
    place: int
    name: str
    said: Object

    @property
    def uid(self) -> str:
        return f"{self.configuration}/{self.name}/{self.place}"

    @property
    def lenient(self) -> bool:
        """Return whether the write goes on where the webhook does not answer."""
        return text(self.said, "failurePolicy") == "Ignore"


class Failed(Exception):
    """A webhook gave no answer that can be used."""


class Hooks:
    """The webhooks of all configurations of one kind, in the order of their names, and how they are asked."""

    def __init__(
        self,
        configurations: View,
        matcher: Matcher,
        authorizer: Authorizer,
        caller: Caller,
        new_uid: Callable[[], str],
    ) -> None:
        self._configurations = configurations
        self.matcher = matcher
        self._authorizer = authorizer
        self._caller = caller
        self._new_uid = new_uid
        self._known: list[Hook] | None = None
        configurations.on_change(lambda _: self._forget())

    def _forget(self) -> None:
        self._known = None

    def all(self) -> list[Hook]:
        if self._known is None:
            found = sorted(self._configurations, key=objects.name)
            self._known = [hook for configuration in found for hook in _of(configuration)]
        return self._known

    async def about(self, hook: Hook, ask: Ask, attributes: Attributes) -> Matched | None:
        """Return the write as this webhook is asked about it, None where it is not.

        Raises:
            ApiError: 403, its conditions cannot be evaluated.
        """
        matched = await self.matcher.match(matching.of_webhook(hook.said), ask)
        conditions = items(hook.said, "matchConditions")
        if matched is None or not conditions:
            return matched
        values = seen(matched, Asking(self._authorizer, attributes.user, ask))
        try:
            return matched if conditions_hold(conditions, values, CONDITION_VARIABLES) else None
        except Fault as error:
            if hook.lenient:
                _log.warning("match conditions of %s failed, it is not asked: %s", hook.name, error)
                return None
            resource = attributes.resource
            raise status.forbidden(resource.plural, resource.group, attributes.name, str(error)) from error

    async def call(self, hook: Hook, matched: Matched, *, mutating: bool) -> Verdict:
        """Return what a webhook says about a write.

        Raises:
            Failed
        """
        if not review.speaks(hook.said):
            raise Failed("webhook does not accept known AdmissionReview versions (v1)")
        uid, timeout_s = self._new_uid(), number(hook.said, "timeoutSeconds") or _TIMEOUT_S
        try:
            config, asked = mapping(hook.said, "clientConfig"), review.question(matched, uid)
            answer = await self._caller.post(config, asked, timeout_s, query=f"timeout={timeout_s}s")
        except SampanError as error:
            raise Failed(f"failed to call webhook: {error}") from error
        try:
            return review.verdict(hook.name, answer, uid, mutating=mutating)
        except (review.Malformed, status.ApiError) as error:
            raise Failed(f"received invalid webhook response: {error}") from error


def _of(configuration: Object) -> Iterator[Hook]:
    for place, hook in enumerate(items(configuration, "webhooks")):
        yield Hook(objects.name(configuration), place, text(hook, "name"), hook)


def failure(hook: Hook, error: Failed) -> status.ApiError:
    return status.internal(f'failed calling webhook "{hook.name}": {error}')


def _tell(hook: Hook, verdict: Verdict, attributes: Attributes) -> None:
    """Pass on a webhook's warnings and its annotations for the audit log."""
    attributes.warnings.extend(verdict.warnings)
    for key, value in verdict.annotations.items():
        attributes.audit[f"{hook.name}/{key}"] = value


class MutatingWebhooks:
    """One after the other, each sees what those before it made. What changed is checked and defaulted again."""

    name = "MutatingAdmissionWebhook"

    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks

    async def mutate(self, attributes: Attributes) -> None:
        hooks = self._hooks.all()
        if not hooks or (ask := self._hooks.matcher.ask(attributes)) is None:
            return
        rounds = Rounds.of(attributes, self.name)
        for place, hook in enumerate(hooks):
            if rounds.skips(attributes, hook.uid):
                continue
            if (matched := await self._hooks.about(hook, ask, attributes)) is None:
                continue
            changed = await self._one(hook, matched, attributes, place)
            if changed:
                ask = self._hooks.matcher.ask(attributes) or ask
            again = text(hook.said, "reinvocationPolicy") == "IfNeeded"
            rounds.tell(attributes, hook.uid, changed=changed, again=again)
        rounds.end(attributes)

    async def validate(self, attributes: Attributes) -> None:
        pass

    async def _one(self, hook: Hook, matched: Matched, attributes: Attributes, place: int) -> bool:
        """Ask one; returns whether it changed the object."""
        mark = f"mutation.webhook.admission.k8s.io/round_{int(attributes.again)}_index_{place}"
        try:
            verdict = await self._hooks.call(hook, matched, mutating=True)
            _tell(hook, verdict, attributes)
            if verdict.refusal is not None:
                raise verdict.refusal
            changed = await self._patched(matched, verdict, attributes)
        except Failed as error:
            if not hook.lenient:
                raise failure(hook, error) from error
            _log.warning("%s is left out: %s", hook.name, error)
            attributes.audit[f"failed-open.{mark}"] = hook.name
            return False
        told = {"configuration": hook.configuration, "webhook": hook.name, "mutated": changed}
        attributes.audit[mark] = _encode(told).decode()
        return changed

    async def _patched(self, matched: Matched, verdict: Verdict, attributes: Attributes) -> bool:
        if not verdict.patch:
            return False
        if matched.ask.object is None:
            raise Failed("webhook attempted to modify the object, which is not supported for this operation")
        try:
            changed = json_patch.apply(copied(matched.ask.object), verdict.patch)
        except status.ApiError as error:
            raise Failed(f"its patch cannot be applied: {error}") from error
        if not isinstance(changed, dict):
            raise Failed("its patch leaves no object")
        return await self._hooks.matcher.take(attributes, matched, changed)


class ValidatingWebhooks:
    """All at once; the first refusal in their order is the answer."""

    name = "ValidatingAdmissionWebhook"

    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks

    async def mutate(self, attributes: Attributes) -> None:
        pass

    async def validate(self, attributes: Attributes) -> None:
        hooks = self._hooks.all()
        if not hooks or (ask := self._hooks.matcher.ask(attributes)) is None:
            return
        concerned = [(hook, await self._hooks.about(hook, ask, attributes)) for hook in hooks]
        asked = [(hook, matched) for hook, matched in concerned if matched is not None]
        said = await asyncio.gather(
            *(self._one(hook, matched, attributes, place) for place, (hook, matched) in enumerate(asked))
        )
        if (refusal := next((each for each in said if each is not None), None)) is not None:
            raise refusal

    async def _one(self, hook: Hook, matched: Matched, attributes: Attributes, place: int) -> status.ApiError | None:
        try:
            verdict = await self._hooks.call(hook, matched, mutating=False)
        except Failed as error:
            if not hook.lenient:
                return failure(hook, error)
            _log.warning("%s is left out: %s", hook.name, error)
            mark = f"failed-open.validating.webhook.admission.k8s.io/round_0_index_{place}"
            attributes.audit[mark] = hook.name
            return None
        _tell(hook, verdict, attributes)
        return verdict.refusal
