"""Ask: a write as those outside of the server are asked about it. Spec: admission.k8s.io/v1 AdmissionRequest."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from sampan.kube.object import Object


class Kind(NamedTuple):
    group: str
    version: str
    kind: str

    def told(self) -> Object:
        return self._asdict()


class Place(NamedTuple):
    """A resource in one version. Spec: meta/v1 GroupVersionResource."""

    group: str
    version: str
    resource: str

    def told(self) -> Object:
        return self._asdict()


NAMESPACES = Place("", "v1", "namespaces")


class Ask(msgspec.Struct, frozen=True):
    """`namespace` of a namespace is its own name. `object` and `old` are of `kind`; None where there is none."""

    operation: str  # CREATE, UPDATE, DELETE, CONNECT
    kind: Kind
    resource: Place
    subresource: str
    namespace: str
    name: str
    object: Object | None
    old: Object | None
    user: Object  # authentication.k8s.io/v1 UserInfo
    dry_run: bool
    options: Object

    @property
    def namespaced(self) -> bool:
        """Return whether what is asked about lies in a namespace. A namespace does not."""
        return bool(self.namespace) and not self.of_namespace

    @property
    def of_namespace(self) -> bool:
        return self.resource == NAMESPACES


class Matched(NamedTuple):
    """A write as a rule is about it: in the version that the rule names, which may be another than was asked for."""

    ask: Ask
    asked_kind: Kind
    asked_resource: Place


def as_asked(ask: Ask) -> Matched:
    return Matched(ask, ask.kind, ask.resource)


def request(matched: Matched, uid: str) -> dict[str, Any]:
    """Return an AdmissionRequest without its objects, which is also what expressions see as `request`."""
    ask = matched.ask
    told: dict[str, Any] = {
        "uid": uid,
        "kind": ask.kind.told(),
        "resource": ask.resource.told(),
        "subResource": ask.subresource,
        "requestKind": matched.asked_kind.told(),
        "requestResource": matched.asked_resource.told(),
        "requestSubResource": ask.subresource,
        "name": ask.name,
        "namespace": ask.namespace,
        "operation": ask.operation,
        "userInfo": ask.user,
        "dryRun": ask.dry_run,
        "options": ask.options,
    }
    return {key: value for key, value in told.items() if value != ""}
