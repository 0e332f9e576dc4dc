"""admissionregistration.k8s.io: webhooks here, policies and their bindings in `admissionpolicy.py`."""

from __future__ import annotations

from collections.abc import Iterator

from sampan.kube.fielderror import FieldError, invalid, required
from sampan.kube.kinds import admissionpolicy, admissionrule, check, names
from sampan.kube.object import Object, at
from sampan.kube.reading import items, text, words
from sampan.kube.strategy import Prepare, Strategy

_REVIEWS = ("v1", "v1beta1")
_SIDE_EFFECTS = ("None", "NoneOnDryRun")
_TIMEOUT_S = 10
_HTTPS_PORT = 443


def _default_hook(hook: Object) -> None:
    admissionrule.fill(hook, failurePolicy="Fail", matchPolicy="Equivalent", timeoutSeconds=_TIMEOUT_S)
    admissionrule.fill(hook, namespaceSelector={}, objectSelector={})
    admissionrule.default_rules(items(hook, "rules"))
    service = at(hook, "clientConfig", "service")
    if isinstance(service, dict):
        admissionrule.fill(service, port=_HTTPS_PORT)


def _default_validating(obj: Object) -> None:
    for hook in items(obj, "webhooks"):
        _default_hook(hook)


def _default_mutating(obj: Object) -> None:
    for hook in items(obj, "webhooks"):
        _default_hook(hook)
        admissionrule.fill(hook, reinvocationPolicy="Never")


def _webhooks(obj: Object) -> list[FieldError]:
    hooks = items(obj, "webhooks")
    faults = [fault for index, hook in enumerate(hooks) for fault in _hook(f"webhooks[{index}]", hook)]
    return [*faults, *check.unique("webhooks", [text(hook, "name") for hook in hooks], "name")]


def _hook(path: str, hook: Object) -> Iterator[FieldError]:
    yield from check.fully_qualified(f"{path}.name", text(hook, "name"))
    for index, rule in enumerate(items(hook, "rules")):
        yield from admissionrule.rule(f"{path}.rules[{index}]", rule)
    yield from check.optional(f"{path}.failurePolicy", hook.get("failurePolicy"), admissionrule.FAILURE_POLICIES)
    yield from check.optional(f"{path}.matchPolicy", hook.get("matchPolicy"), admissionrule.MATCH_POLICIES)
    if hook.get("sideEffects") is None:
        yield required(f"{path}.sideEffects", f"must specify one of {', '.join(_SIDE_EFFECTS)}")
    yield from check.optional(f"{path}.sideEffects", hook.get("sideEffects"), _SIDE_EFFECTS)
    timeout = hook.get("timeoutSeconds")
    if isinstance(timeout, int) and not 1 <= timeout <= 30:
        yield invalid(f"{path}.timeoutSeconds", timeout, "the timeout value must be between 1 and 30 seconds")
    for field in ("namespaceSelector", "objectSelector"):
        yield from check.label_selector(f"{path}.{field}", hook.get(field))
    yield from check.optional(f"{path}.reinvocationPolicy", hook.get("reinvocationPolicy"), admissionrule.REINVOCATION)
    yield from check.client_config(f"{path}.clientConfig", hook.get("clientConfig"))
    yield from admissionrule.match_conditions(f"{path}.matchConditions", items(hook, "matchConditions"))
    yield from _reviews(f"{path}.admissionReviewVersions", words(hook, "admissionReviewVersions"))


def _reviews(path: str, versions: list[str]) -> Iterator[FieldError]:
    if not versions:
        yield required(path, f"must specify one of {', '.join(_REVIEWS)}")
        return
    for index, version in enumerate(versions):
        if version in versions[:index]:
            yield invalid(f"{path}[{index}]", version, "duplicate version")
        else:
            yield from check.name(f"{path}[{index}]", version, names.dns_1035_label)
    if not set(versions) & set(_REVIEWS):
        yield invalid(path, versions, f"must include at least one of {', '.join(_REVIEWS)}")


def _configuration(default: Prepare) -> Strategy:
    return Strategy(default=default, validate=_webhooks, has_generation=True, update_names_version=True)


STRATEGIES: dict[str, Strategy] = {
    "ValidatingWebhookConfiguration": _configuration(_default_validating),
    "MutatingWebhookConfiguration": _configuration(_default_mutating),
    **admissionpolicy.STRATEGIES,
}
