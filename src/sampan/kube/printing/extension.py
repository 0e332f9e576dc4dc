"""Rows of kinds that extend the API: admission, API services, migrations of what is stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sampan.kube.object import Object, at
from sampan.kube.printing.cell import NAME, UNSET, condition, name, printer
from sampan.kube.reading import items, text
from sampan.kube.strategy import Column, Printer


def _param_kind(obj: Object) -> str:
    kind = at(obj, "spec", "paramKind")
    return f"{text(kind, 'apiVersion')}/{text(kind, 'kind')}" if isinstance(kind, dict) else UNSET


def _policy(count: str) -> Callable[[Object], list[Any]]:
    return lambda obj: [len(items(obj, "spec", count)), _param_kind(obj)]


def _param_ref(obj: Object) -> str:
    ref = at(obj, "spec", "paramRef")
    if not isinstance(ref, dict):
        return UNSET
    return "/".join(part for part in (text(ref, "namespace"), text(ref, "name")) if part)


def _service(api: Object) -> str:
    service = at(api, "spec", "service")
    return f"{text(service, 'namespace')}/{text(service, 'name')}" if isinstance(service, dict) else "Local"


def _available(api: Object) -> str:
    found = condition(api, "Available")
    status, reason = text(found, "status", missing="Unknown"), text(found, "reason")
    return f"{status} ({reason})" if status != "True" and reason else status


def _migrated(obj: Object) -> str:
    return f"{text(obj, 'spec', 'resource', 'resource')}.{text(obj, 'spec', 'resource', 'group')}"


WEBHOOKS = printer(
    Column("Webhooks", "integer", description="How many webhooks it has."),
    cells=lambda obj: [len(items(obj, "webhooks"))],
)
"""Of ValidatingWebhookConfiguration and MutatingWebhookConfiguration."""

_PARAM_KIND = Column("ParamKind", description="The kind of objects that fill in its parameters.")
VALIDATING_POLICY = printer(
    Column("Validations", "integer", description="How many rules it has."), _PARAM_KIND, cells=_policy("validations")
)
MUTATING_POLICY = printer(
    Column("Mutations", "integer", description="How many changes it makes."), _PARAM_KIND, cells=_policy("mutations")
)
POLICY_BINDING = printer(
    Column("PolicyName", description="The policy that is bound."),
    Column("ParamRef", description="The object that fills in its parameters."),
    cells=lambda obj: [text(obj, "spec", "policyName"), _param_ref(obj)],
)
"""Of ValidatingAdmissionPolicyBinding and MutatingAdmissionPolicyBinding."""

API_SERVICE = printer(
    Column("Service", description="What serves this group and version."),
    Column("Available", description="Whether it is served now."),
    cells=lambda obj: [_service(obj), _available(obj)],
)
STORAGE_VERSION_MIGRATION = Printer(
    (NAME, Column("Resource", description="The resource whose objects are written anew.")),
    lambda obj, _now_s: [name(obj), _migrated(obj)],
)
