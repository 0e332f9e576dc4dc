"""A trial: a policy is asked about a made-up cluster before it is used, so that what is wrong is said at once."""

from __future__ import annotations

import numpy as np

from sampan.base.errors import InvalidArgument
from sampan.schedule.arrays import NOWHERE
from sampan.schedule.node import Node, Taint
from sampan.schedule.pod import Pod
from sampan.schedule.policy import profile_of
from sampan.schedule.profile import Profile
from sampan.schedule.shape import DeviceAsk, Shape, amounts, pairs
from sampan.schedule.snapshot import Snapshot
from sampan.schedule.standing import Standing

_SHAPES = (
    Shape(labels=pairs({"app": "web"}), requests=amounts({"cpu": 500, "memory": 1 << 30})),
    Shape(),
    Shape(namespace="other", requests=amounts({"cpu": 3000, "example.com/boats": 1})),
    Shape(labels=pairs({"app": "learn"}), requests=amounts({"cpu": 100}), devices=(DeviceAsk("gpu", 1, 500),)),
)
_ROUNDS = 5


def tried(policy: object) -> Profile:
    """Return the profile that a policy makes, once it has answered for a made-up cluster.

    Raises:
        PluginFailed: it did not answer, or with what cannot be used.
        InvalidArgument: what it says of itself cannot be, or is not so.
    """
    profile = profile_of(policy)
    snapshot = Snapshot(_nodes())
    snapshot.settle()
    standings = [Standing(snapshot, snapshot.ask(shape), profile) for shape in _SHAPES]
    for number in range(_ROUNDS):
        for place, standing in enumerate(standings):
            _same_as_fresh(standing, profile, type(policy).__name__)
            row = standing.best()
            if row >= 0:
                snapshot.assume(Pod(f"default/trial-{number}-{place}", standing.ask.shape), row, standing.ask)
    return profile


def _same_as_fresh(standing: Standing, profile: Profile, name: str) -> None:
    """Check that what was kept of a policy's answers, node by node, is what it answers now for all of them."""
    kept = standing.totals().copy()
    fresh = Standing(standing.snapshot, standing.ask, profile).totals()
    ones = [standing.fits(row) for row in range(len(kept))]
    if not (np.array_equal(kept, fresh) and ones == (fresh > NOWHERE).tolist()):
        raise InvalidArgument(
            f"policy {name} answers otherwise for the same nodes when it is asked again or about other nodes beside them: "
            'take reach = "node" out of it if it compares nodes, and clocks, random numbers and counters in any case'
        )


def _nodes() -> list[Node]:
    """Return nodes of all sorts: small and large, with and without labels, devices, memory."""
    found = []
    for number in range(12):
        labels = {"kubernetes.io/hostname": f"trial-{number:02}"}
        if number % 4:
            labels["topology.kubernetes.io/zone"] = "pqr"[number % 3]
        has = {"cpu": 1000 * (number % 5 + 1), "pods": 1 + number % 7}
        if number % 6:
            has["memory"] = (number % 3 + 1) << 30
        if number % 5 == 0:
            has["example.com/boats"] = 2
        found.append(
            Node(
                name=f"trial-{number:02}",
                allocatable=amounts(has),
                labels=pairs(labels),
                taints=(Taint("mild", "", "PreferNoSchedule"),) if number % 7 == 3 else (),
                unschedulable=number == 11,
                devices=(("gpu", (1000,) * (number % 3)),) if number % 2 else (),
            )
        )
    return found
