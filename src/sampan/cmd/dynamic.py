"""Dynamic admission, put together: what others put between the server's own plugins and its quotas."""

from __future__ import annotations

from collections.abc import Callable

from sampan.api.kube.access import Authorizer
from sampan.api.kube.admission import Plugin
from sampan.api.kube.dynamic.matcher import Matcher
from sampan.api.kube.dynamic.mutating_policies import MutatingPolicies
from sampan.api.kube.dynamic.policies import Parameters, Policies
from sampan.api.kube.dynamic.python_policies import PythonPolicies
from sampan.api.kube.dynamic.validating_policies import ValidatingPolicies
from sampan.api.kube.dynamic.webhooks import Hooks, MutatingWebhooks, ValidatingWebhooks
from sampan.api.kube.records import Records
from sampan.api.kube.served import Registry
from sampan.api.kube.webhook import Caller
from sampan.cmd.views import Views


def plugins(
    views: Views,
    records: Records,
    served: Registry,
    authorizer: Authorizer,
    caller: Caller,
    new_uid: Callable[[], str],
    matcher: Matcher,
    policies_in_python: PythonPolicies,
) -> list[Plugin]:
    """Return the plugins in their order: what changes comes before what only refuses."""
    parameters = Parameters(served, records)

    def hooks(plural: str) -> Hooks:
        return Hooks(views[plural], matcher, authorizer, caller, new_uid)

    def policies(kind: str) -> Policies:
        kept, bindings = views[f"{kind}admissionpolicies"], views[f"{kind}admissionpolicybindings"]
        return Policies(kept, bindings, matcher, authorizer, parameters)

    return [
        MutatingPolicies(policies("mutating")),
        MutatingWebhooks(hooks("mutatingwebhookconfigurations")),
        policies_in_python,
        ValidatingPolicies(policies("validating")),
        ValidatingWebhooks(hooks("validatingwebhookconfigurations")),
    ]
