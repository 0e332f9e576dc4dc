"""Default roles: made whole where something is missing, left alone where somebody says so."""

from __future__ import annotations

import copy

import pytest

from sampan.kube import catalog
from sampan.kube.rbac_defaults import BINDINGS, ROLES, reconciled

VIEW = next(role for role in ROLES if role["metadata"]["name"] == "system:aggregate-to-view")
MASTERS = BINDINGS[0]


@pytest.mark.parametrize("obj", [*ROLES, *BINDINGS], ids=lambda obj: f"{obj['kind']}-{obj['metadata']['name']}")
def test_every_default_is_valid_and_stays(obj) -> None:
    resource = next(item for item in catalog.RESOURCES if item.kind == obj["kind"])
    strategy, fresh = catalog.strategy(resource), copy.deepcopy(obj)
    strategy.default(fresh)
    assert strategy.validate(fresh) == []
    assert reconciled(fresh, obj) is None


def test_every_binding_names_a_role() -> None:
    names = {role["metadata"]["name"] for role in ROLES}
    assert len(names) == len(ROLES)
    assert {binding["roleRef"]["name"] for binding in BINDINGS} <= names


def test_what_is_missing_is_added_and_what_was_added_stays() -> None:
    own = {"verbs": ["get"], "apiGroups": ["own"], "resources": ["things"]}
    live = {**copy.deepcopy(VIEW), "rules": [own, VIEW["rules"][0]]}
    live["metadata"]["labels"] = {"mine": "1"}
    changed = reconciled(live, VIEW)
    assert changed is not None
    assert changed["rules"] == [own, *VIEW["rules"]]
    assert changed["metadata"]["labels"] == {**VIEW["metadata"]["labels"], "mine": "1"}
    assert reconciled(changed, VIEW) is None


def test_subjects_come_back() -> None:
    ann = {"kind": "User", "name": "ann"}
    changed = reconciled({**copy.deepcopy(MASTERS), "subjects": [ann]}, MASTERS)
    assert changed is not None
    assert changed["subjects"] == [ann, *MASTERS["subjects"]]


def test_rules_that_a_controller_writes_stay() -> None:
    view = next(role for role in ROLES if role["metadata"]["name"] == "view")
    assert (
        reconciled(
            {**copy.deepcopy(view), "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]}, view
        )
        is None
    )


def test_who_wishes_to_keep_a_role_as_it_is_may() -> None:
    live = {**copy.deepcopy(VIEW), "rules": []}
    live["metadata"]["annotations"]["rbac.authorization.kubernetes.io/autoupdate"] = "false"
    assert reconciled(live, VIEW) is None
