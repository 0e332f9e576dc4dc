"""How much is told about a request: the first rule of a policy that fits it. Spec: audit.k8s.io/v1 Policy."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import msgspec

from sampan.api.kube.access import Attempt
from sampan.base.errors import InvalidArgument
from sampan.kube import yaml

API_VERSION = "audit.k8s.io/v1"


class Level(IntEnum):
    """Each tells more than the one before it."""

    NONE = 0
    METADATA = 1
    REQUEST = 2
    REQUEST_RESPONSE = 3


LEVELS = {"None": Level.NONE, "Metadata": Level.METADATA, "Request": Level.REQUEST}
LEVELS["RequestResponse"] = Level.REQUEST_RESPONSE
_CONFIDENTIAL = {("", "secrets", ""), ("", "serviceaccounts", "token"), ("authentication.k8s.io", "tokenreviews", "")}
"""(group, resource, subresource) whose bodies are never told, whatever a policy says."""


def confidential(attempt: Attempt) -> bool:
    """Return whether nothing of the bodies of a request and its answer may be told."""
    return (attempt.group, attempt.resource, attempt.subresource) in _CONFIDENTIAL


class Resources(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    group: str = ""
    resources: tuple[str, ...] = ()
    resource_names: tuple[str, ...] = ()


class Rule(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What is left out fits everything."""

    level: str
    users: tuple[str, ...] = ()
    user_groups: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    resources: tuple[Resources, ...] = ()
    namespaces: tuple[str, ...] = ()
    non_resource_urls: tuple[str, ...] = msgspec.field(default=(), name="nonResourceURLs")
    omit_stages: tuple[str, ...] = ()
    omit_managed_fields: bool | None = None

    def fits(self, attempt: Attempt) -> bool:
        user = attempt.user
        if self.users and user.name not in self.users:
            return False
        if self.user_groups and not set(self.user_groups) & set(user.groups):
            return False
        if self.verbs and attempt.verb not in self.verbs:
            return False
        if attempt.path:
            return (
                _fits_path(self.non_resource_urls, attempt.path) if self.non_resource_urls else not self._of_resources
            )
        if self.non_resource_urls and not self._of_resources:
            return False
        if self.namespaces and attempt.namespace not in self.namespaces:
            return False
        return not self.resources or any(_fits(item, attempt) for item in self.resources)

    @property
    def _of_resources(self) -> bool:
        return bool(self.resources or self.namespaces)


class Policy(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    rules: tuple[Rule, ...]
    api_version: str = API_VERSION
    kind: str = "Policy"
    metadata: dict[str, object] = {}
    omit_stages: tuple[str, ...] = ()
    omit_managed_fields: bool = False

    def judge(self, attempt: Attempt, stage: str) -> tuple[Level, bool]:
        """Return how much is told about a request at a stage (nothing where no rule fits), and whether managedFields go."""
        rule = next((rule for rule in self.rules if rule.fits(attempt)), None)
        if rule is None or stage in self.omit_stages or stage in rule.omit_stages:
            return Level.NONE, True
        level = LEVELS[rule.level]
        if confidential(attempt):
            level = min(level, Level.METADATA)
        return level, self.omit_managed_fields if rule.omit_managed_fields is None else rule.omit_managed_fields


def parse(text: bytes) -> Policy:
    """Return the policy of a YAML or JSON document.

    Raises:
        InvalidArgument: it is none.
    """
    try:
        policy = msgspec.convert(yaml.load(text)[0], Policy)
    except (yaml.YamlError, msgspec.ValidationError) as error:
        raise InvalidArgument(f"the audit policy is malformed: {error}") from None
    if (policy.api_version, policy.kind) != (API_VERSION, "Policy"):
        raise InvalidArgument(f"the audit policy must be a Policy of {API_VERSION}")
    if not policy.rules:
        raise InvalidArgument("the audit policy has no rules")
    for rule in policy.rules:
        if rule.level not in LEVELS:
            raise InvalidArgument(f"the audit policy has a level {rule.level!r}: known are {', '.join(LEVELS)}")
    return policy


def _fits_path(urls: Sequence[str], path: str) -> bool:
    return any(url in ("*", path) or (url.endswith("*") and path.startswith(url[:-1])) for url in urls)


def _fits(wanted: Resources, attempt: Attempt) -> bool:
    if wanted.group != attempt.group:
        return False
    if wanted.resource_names and attempt.name not in wanted.resource_names:
        return False
    if not wanted.resources:
        return True
    whole = f"{attempt.resource}/{attempt.subresource}" if attempt.subresource else attempt.resource
    fitting = {whole, "*"}
    if attempt.subresource:
        fitting |= {f"{attempt.resource}/*", f"*/{attempt.subresource}"}
    return not fitting.isdisjoint(wanted.resources)
