"""The catalog holds every kind of the API that 1.37 serves in a stable version, or says why not; docs/kinds.md tells it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sampan.kube.catalog import RESOURCES, STRATEGIES
from sampan.kube.printing.printers import PRINTERS
from sampan.kube.resource import Resource
from sampan.kube.schema import builtin
from unit.kube.whole import kinds

DOC = Path(__file__).parents[3] / "docs" / "kinds.md"

NOT_RESOURCES = {
    ("", "APIGroup"): "an answer of discovery",
    ("", "APIVersions"): "an answer of discovery",
    ("", "Status"): "an answer",
    ("autoscaling", "Scale"): "the body of /scale",
    ("authentication.k8s.io", "TokenRequest"): "the body of serviceaccounts/token",
    ("policy", "Eviction"): "the body of pods/eviction",
}
"""Kinds that no collection is of."""

SERVED = {(resource.group, resource.version, resource.kind) for resource in RESOURCES}
STABLE = sorted(
    (group, version, kind)
    for group, version, kind in kinds()
    if "alpha" not in version
    and "beta" not in version
    and not kind.endswith("List")
    and kind not in ("DeleteOptions", "WatchEvent")
)


@pytest.mark.parametrize(("group", "version", "kind"), STABLE)
def test_every_stable_kind_is_served(group: str, version: str, kind: str) -> None:
    absent = (group, kind) in NOT_RESOURCES
    assert ((group, version, kind) in SERVED) is not absent


def kept(resource: Resource) -> bool:
    """Return whether there are objects of it; reviews are only answered."""
    return "get" in resource.verbs


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: f"{resource.plural}.{resource.group}")
def test_every_resource_has_all_that_serving_it_takes(resource: Resource) -> None:
    assert resource.definition in builtin.names()
    assert resource.singular == resource.kind.lower()
    if kept(resource):
        strategy, printer = STRATEGIES[resource.group, resource.kind], PRINTERS[resource.group, resource.kind]
        assert strategy.printer is printer
        assert strategy.has_status is (resource.subresource("status") is not None)


def test_nothing_is_named_that_is_not_there() -> None:
    known = {(group, kind) for group, _, kind in SERVED} | set(NOT_RESOURCES)
    assert set(PRINTERS) <= known
    assert set(STRATEGIES) <= known


ANSWERED_WITH_THE_OBJECT = {
    "": {
        "Namespace",
        "PersistentVolume",
        "PersistentVolumeClaim",
        "Pod",
        "PodTemplate",
        "ResourceQuota",
        "Service",
        "ServiceAccount",
    },
    "resource.k8s.io": {"DeviceClass", "ResourceClaim", "ResourceClaimTemplate", "ResourceSlice"},
    "storage.k8s.io": {"CSIDriver", "CSINode", "StorageClass", "VolumeAttachment", "VolumeAttributesClass"},
}
"""What DELETE answers with, as the typed clients of 1.37 have it; a namespace, because it outlives the request."""


def test_deletes_answer_as_typed_clients_expect() -> None:
    found = {(group, kind) for (group, kind), strategy in STRATEGIES.items() if strategy.answers_with_object}
    assert found == {(group, kind) for group, kinds_ in ANSWERED_WITH_THE_OBJECT.items() for kind in kinds_}


def table() -> list[str]:
    """Return the table of docs/kinds.md."""
    lines = [
        "| group and version | kind | name | short | in a namespace | parts |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for resource in RESOURCES:
        cells = (
            resource.api_version,
            resource.kind,
            resource.plural,
            " ".join(resource.short_names),
            "yes" if resource.namespaced else "no",
            " ".join(part.name for part in resource.subresources),
        )
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def test_docs() -> None:
    found = [line.rstrip() for line in DOC.read_text().splitlines() if line.startswith("|")]
    assert found == [line.rstrip() for line in table()], "docs/kinds.md should have:\n" + "\n".join(table())
