"""No object breaks a strategy: what decoding did not see, admission may have made."""

from __future__ import annotations

import pytest

from sampan.kube.kinds import (
    admissionregistration,
    apiextensions,
    apiregistration,
    authentication,
    authorization,
    certificates,
    coordination,
    flowcontrol,
    networking,
    node,
    rbac,
    resource,
    scheduling,
    storage,
    storagemigration,
)
from sampan.kube.strategy import Strategy
from unit.kube.kinds.edits import run
from unit.kube.whole import broken, kinds, whole

GROUPS: dict[str, dict[str, Strategy]] = {
    "admissionregistration.k8s.io": admissionregistration.STRATEGIES,
    "apiextensions.k8s.io": apiextensions.STRATEGIES,
    "apiregistration.k8s.io": apiregistration.STRATEGIES,
    "authentication.k8s.io": authentication.STRATEGIES,
    "authorization.k8s.io": authorization.STRATEGIES,
    "certificates.k8s.io": certificates.STRATEGIES,
    "coordination.k8s.io": coordination.STRATEGIES,
    "flowcontrol.apiserver.k8s.io": flowcontrol.STRATEGIES,
    "networking.k8s.io": networking.STRATEGIES,
    "node.k8s.io": node.STRATEGIES,
    "rbac.authorization.k8s.io": rbac.STRATEGIES,
    "resource.k8s.io": resource.STRATEGIES,
    "scheduling.k8s.io": scheduling.STRATEGIES,
    "storage.k8s.io": storage.STRATEGIES,
    "storagemigration.k8s.io": storagemigration.STRATEGIES,
}
DEFINITIONS = kinds()
EVERY = [(group, kind) for group, strategies in GROUPS.items() for kind in strategies]
COUNT = 150


@pytest.mark.parametrize(("group", "kind"), EVERY)
def test_whole_and_empty_objects(group: str, kind: str) -> None:
    definition = DEFINITIONS[group, "v1", kind]
    for obj in (whole(definition), {}, {"metadata": {}}, {"metadata": {}, "spec": {}}, {"spec": None, "status": None}):
        run(GROUPS[group][kind], obj)


@pytest.mark.parametrize(("group", "kind"), EVERY)
def test_wrong_types(group: str, kind: str) -> None:
    for obj in broken(whole(DEFINITIONS[group, "v1", kind]), COUNT, f"{group}/{kind}"):
        run(GROUPS[group][kind], obj)
