from __future__ import annotations

import pytest

from sampan.base.errors import Conflict, InvalidArgument, NotFound
from sampan.schedule.node import Node
from sampan.schedule.offers import stale
from sampan.schedule.offers.allocate import allocate
from sampan.schedule.offers.answer import accept, decline, finish
from sampan.schedule.offers.framework import Capability, Framework
from sampan.schedule.offers.offer import Launch, Offer, Reserve, Unreserve
from sampan.schedule.offers.state import Rules, State
from sampan.schedule.offers.vector import Dimensions
from sampan.schedule.place import Scheduler, place
from sampan.schedule.pod import Pod
from sampan.schedule.shape import DeviceAsk, HostPort, Shape, amounts
from sampan.schedule.snapshot import Snapshot

CPU = Dimensions(("cpu",))


def node(name: str, cpu: int = 10, **more) -> Node:
    return Node(name=name, allocatable=amounts({"cpu": cpu, "pods": 50}), **more)


def state(*nodes: Node, members: tuple[str, ...] = ("f",), dimensions: Dimensions = CPU, **rules) -> State:
    found = State(Scheduler(Snapshot(nodes or [node("a")])), dimensions, Rules(minimum=(), **rules))
    for member in members:
        found.subscribe(Framework(member, (f"role-{member}",)))
    return found


def pod(key: str, cpu: int = 1, **more) -> Pod:
    return Pod(key, Shape(requests=amounts({"cpu": cpu}), **more))


def one(found: State, now_s: float = 0) -> Offer:
    (offer,) = allocate(found, now_s).offers
    return offer


def told(found: State, now_s: float = 0) -> list[tuple[str, str, int]]:
    return [(o.framework, o.node, o.parts.total()[0]) for o in allocate(found, now_s).offers]


class TestAccept:
    def test_it_is_placed_on_the_snapshot_that_pods_are_placed_on(self):
        found = state()
        answered = accept(found, "f", [one(found).id], [Launch(pod("t/0", 4)), Launch(pod("t/1", 4))], 0, 0)
        assert answered.placements == {"t/0": "a", "t/1": "a"}
        assert place(found.snapshot, [pod("d/p", 3)]).reasons["d/p"].message() == (
            "0/1 nodes are available: 1 Insufficient cpu."
        )
        assert told(found) == [("f", "a", 2)]
        finish(found, "t/0")
        assert found.subscription("f", "role-f").held == (6,)

    def test_a_pod_came_first(self):
        found = state()
        offer = one(found)
        assert place(found.snapshot, [pod("d/p", 7)]).placements
        answered = accept(found, "f", [offer.id], [Launch(pod("t/0", 4)), Launch(pod("t/1", 3))], 0, 0)
        assert [(r.reason, r.stale) for r in answered.refused] == [
            ("node a is no longer as it was offered: Insufficient cpu", True)
        ]
        assert answered.placements == {"t/1": "a"}

    def test_rules_of_pods_hold(self):
        found = state()
        offer = one(found)
        place(found.snapshot, [pod("d/p", 1, ports=(HostPort(80),))])
        answered = accept(found, "f", [offer.id], [Launch(pod("t/0", 1, ports=(HostPort(80),)))], 0, 0)
        assert answered.refused[0].reason == (
            "node a is no longer as it was offered: node(s) didn't have free ports for the requested pod ports"
        )

    def test_more_than_offered(self):
        found = state()
        offer = one(found)
        odd = Launch(Pod("t/1", Shape(requests=(("example.com/x", 1),))))
        answered = accept(found, "f", [offer.id], [Launch(pod("t/0", 11)), odd], 0, 0)
        assert [(r.reason, r.stale) for r in answered.refused] == [
            ("t/0 asks for more cpu than is offered", False),
            ("example.com/x is not offered", False),
        ]

    def test_an_offer_is_good_once(self):
        found = state()
        offer = one(found)
        accept(found, "f", [offer.id], [], 0, 0)
        answered = accept(found, "f", [offer.id], [Launch(pod("t/0"))], 0, 0)
        assert [(r.reason, r.stale) for r in answered.refused] == [("offer 1 is no longer valid", True)]

    def test_of_another_framework(self):
        found = state(members=("f", "g"))
        offer = one(found)
        assert accept(found, "g", [offer.id], [Launch(pod("t/0"))], 0).refused
        assert offer.id in found.offers

    def test_several_of_one_node(self):
        found = state()
        first = one(found)
        accept(found, "f", [first.id], [Launch(pod("t/0", 5))], 0, 0)
        second = one(found)
        finish(found, "t/0")
        third = one(found)
        answered = accept(found, "f", [second.id, third.id], [Launch(pod("t/1", 9))], 0, 0)
        assert answered.placements == {"t/1": "a"}

    def test_of_several_nodes(self):
        found = state(node("a"), node("b"))
        ids = [offer.id for offer in allocate(found, 0).offers]
        with pytest.raises(InvalidArgument, match="of one node"):
            accept(found, "f", ids, [], 0)
        assert len(found.offers) == 2


class TestFilters:
    def test_declined_until_its_time_is_over(self):
        found = state()
        decline(found, "f", [one(found).id], now_s=0, refuse_s=5)
        assert told(found, 4.9) == []
        assert told(found, 5) == [("f", "a", 10)]

    def test_the_unused_part_counts_as_declined(self):
        found = state()
        accept(found, "f", [one(found).id], [Launch(pod("t/0", 6))], 0, 5)
        assert told(found, 1) == []
        finish(found, "t/0")
        assert told(found, 1) == [("f", "a", 10)]  # more than was declined

    def test_another_framework_gets_it(self):
        found = state(members=("f", "g"))
        decline(found, "f", [one(found).id], 0, 5)
        assert told(found, 1) == [("g", "a", 10)]

    def test_revive(self):
        found = state()
        decline(found, "f", [one(found).id], 0, 1e9)
        found.suppress("f")
        assert told(found, 1) == []
        found.revive("f")
        assert told(found, 1) == [("f", "a", 10)]

    def test_a_negative_time_is_the_default_and_the_longest_is_a_year(self):
        found = state()
        decline(found, "f", [one(found).id], 0, -1)
        assert told(found, 4.9) == []
        decline(found, "f", [one(found, 5).id], 5, 1e12)
        assert told(found, 5 + 365 * 86400) == [("f", "a", 10)]

    def test_it_stays_with_its_node_when_rows_change(self):
        found = state(node("b"))
        decline(found, "f", [one(found).id], 0, 5)
        found.snapshot.set_node(node("a"))
        assert told(found, 1) == [("f", "a", 10)]


class TestRescind:
    def test_pods_took_it(self):
        found = state(node("a"), node("b"))
        first, second = allocate(found, 0).offers
        place(found.snapshot, [pod("d/p", 9)])
        cycle = allocate(found, 1)
        assert cycle.rescinded == [(first, stale.TAKEN)]
        assert [(o.node, o.parts.bare) for o in cycle.offers] == [("a", (1,))]
        assert second.id in found.offers

    def test_the_node_goes(self):
        found = state()
        offer = one(found)
        found.snapshot.set_node(node("a", unschedulable=True))
        cycle = allocate(found, 1)
        assert cycle.rescinded == [(offer, stale.GONE)]
        assert cycle.offers == []

    def test_nobody_answers(self):
        found = state(lasting_s=10)
        offer = one(found)
        assert not allocate(found, 9).rescinded
        assert allocate(found, 10).rescinded == [(offer, stale.OVER)]

    def test_a_guarantee_comes_before_hoarders(self):
        found = state(node("a"), node("b"), node("c"), members=("f",))
        assert len(allocate(found, 0).offers) == 3
        found.subscribe(Framework("g", ("role-g",)))
        found.roles.set_quota("role-g", {"cpu": 15}, {})
        cycle = allocate(found, 1)
        assert [(o.node, why) for o, why in cycle.rescinded] == [("b", stale.NEEDED), ("c", stale.NEEDED)]
        assert [(o.framework, o.node, o.parts.bare) for o in cycle.offers] == [
            ("g", "b", (10,)),
            ("g", "c", (5,)),
            ("f", "c", (5,)),
        ]

    def test_nobody_loses_what_it_is_guaranteed_itself(self):
        found = state(node("a"), members=("f",))
        found.roles.set_quota("role-f", {"cpu": 10}, {})
        one(found)
        found.subscribe(Framework("g", ("role-g",)))
        found.roles.set_quota("role-g", {"cpu": 10}, {})
        assert not allocate(found, 1).rescinded

    def test_less_can_be_lent(self):
        found = state(node("a"), members=())
        found.subscribe(Framework("f", ("r",), frozenset({Capability.REVOCABLE_RESOURCES})))
        found.set_revocable("a", {"cpu": 4})
        offer = one(found)
        assert offer.parts.revocable == (4,)
        found.set_revocable("a", {"cpu": 2})
        assert allocate(found, 1).rescinded == [(offer, stale.LENT)]


class TestQuota:
    def test_a_limit_is_for_all_below_it(self):
        found = state(node("a"), node("b"), members=())
        found.subscribe(Framework("f", ("r/x",)))
        found.subscribe(Framework("g", ("r/y",)))
        found.roles.set_quota("r", {}, {"cpu": 12})
        assert told(found) == [("f", "a", 10), ("g", "b", 2)]

    def test_headroom_is_kept_for_who_is_away(self):
        found = state(node("a"), members=("f",))
        found.roles.set_quota("later", {"cpu": 7}, {})
        assert told(found) == [("f", "a", 3)]

    @pytest.mark.parametrize(
        ("role", "guarantee", "limit"),
        [
            ("*", {"cpu": 1}, {}),
            ("r", {"cpu": 2}, {"cpu": 1}),
            ("p/c", {"cpu": 5}, {}),
            ("p", {"cpu": 1}, {}),
            ("r", {"gpu": 1}, {}),
            ("r", {"cpu": -1}, {}),
            ("r//x", {}, {}),
        ],
    )
    def test_what_cannot_be(self, role, guarantee, limit):
        found = state()
        found.roles.set_quota("p", {"cpu": 4}, {})
        found.roles.set_quota("p/d", {"cpu": 2}, {})
        before = dict(found.roles.guarantees), dict(found.roles.limits)
        with pytest.raises(InvalidArgument):
            found.roles.set_quota(role, guarantee, limit)
        assert (found.roles.guarantees, found.roles.limits) == before


class TestReservations:
    def test_neither_pods_nor_other_roles_get_it(self):
        found = state(members=("f", "g"))
        found.reserve("a", "role-g", {"cpu": 6})
        assert not place(found.snapshot, [pod("d/p", 5)]).placements
        offers = allocate(found, 0).offers
        assert [(o.framework, o.parts.bare, o.parts.reserved) for o in offers] == [
            ("f", (4,), ()),
            ("g", (0,), (("role-g", (6,)),)),
        ]
        launch = Launch(pod("t/0", 6), reserved=(("role-g", amounts({"cpu": 6})),))
        assert accept(found, "g", [offers[1].id], [launch], 0, 0).placements
        assert found.snapshot.resources.free[0].tolist() == [4]
        finish(found, "t/0")
        assert found.snapshot.resources.free[0].tolist() == [4]

    def test_roles_below_may_use_it(self):
        found = state(members=())
        found.subscribe(Framework("f", ("r/x/y",)))
        found.reserve("a", "r", {"cpu": 6})
        assert one(found).parts.reserved == (("r", (6,)),)

    def test_of_an_offer(self):
        found = state()
        assert not accept(found, "f", [one(found).id], [Reserve("role-f", amounts({"cpu": 4}))], 0, 0).refused
        offer = one(found)
        assert (offer.parts.bare, offer.parts.reserved) == ((6,), (("role-f", (4,)),))
        back = accept(
            found,
            "f",
            [offer.id],
            [
                Unreserve("role-f", amounts({"cpu": 5})),
                Unreserve("role-f", amounts({"cpu": 4})),
                Launch(pod("t/0", 10)),
                Reserve("other", amounts({"cpu": 1})),
            ],
            0,
            0,
        )
        assert back.placements == {"t/0": "a"}
        assert [r.reason for r in back.refused] == [
            "more is to be unreserved than is reserved and offered",
            "an offer in role role-f cannot be reserved for other",
        ]

    def test_the_operators_own_stay(self):
        found = state()
        found.reserve("a", "role-f", {"cpu": 4})
        back = accept(found, "f", [one(found).id], [Unreserve("role-f", amounts({"cpu": 4}))], 0, 0)
        assert back.refused[0].reason == "what is reserved for role-f on node a is reserved by the operator"
        found.unreserve("a", "role-f", {"cpu": 4})
        assert found.snapshot.resources.free[0].tolist() == [10]

    def test_what_is_not_there(self):
        found = state()
        with pytest.raises(Conflict):
            found.reserve("a", "r", {"cpu": 11})
        with pytest.raises(NotFound):
            found.reserve("z", "r", {"cpu": 1})
        with pytest.raises(InvalidArgument):
            found.reserve("a", "*", {"cpu": 1})
        found.reserve("a", "role-f", {"cpu": 3})
        one(found)
        with pytest.raises(Conflict, match="not in use"):
            found.unreserve("a", "role-f", {"cpu": 1})


class TestFrameworks:
    def test_nodes_that_only_some_can_handle(self):
        dimensions = Dimensions(("cpu", "gpu"), frozenset({"gpu"}))
        machines = [node("g", devices=(("gpu", (1000, 1000)),)), node("h", labels=(("region", "far"),))]
        found = state(
            *machines, members=("f",), dimensions=dimensions, scarce=("gpu",), region="near", region_label="region"
        )
        # a node without the label is in the cluster's own region; "g" has none
        assert told(found) == []
        able = frozenset({Capability.GPU_RESOURCES})
        found.subscribe(Framework("f", ("role-f",), able))
        offer = one(found)
        assert (offer.node, offer.parts.bare) == ("g", (10, 2))
        shape = Shape(requests=amounts({"cpu": 1}), devices=(DeviceAsk("gpu", 1),))
        assert accept(found, "f", [offer.id], [Launch(Pod("t/0", shape))], 0, 0).placements
        assert one(found).parts.bare == (9, 1)
        found.subscribe(Framework("f", ("role-f",), frozenset({Capability.REGION_AWARE})))
        assert [o.node for o in allocate(found, 0).offers] == ["h"]

    def test_several_roles_need_a_capability(self):
        found = state()
        with pytest.raises(InvalidArgument, match="MULTI_ROLE"):
            found.subscribe(Framework("g", ("x", "y")))

    def test_one_that_leaves_keeps_its_tasks_until_they_end(self):
        found = state()
        accept(found, "f", [one(found).id], [Launch(pod("t/0", 4))], 0, 0)
        one(found)
        found.unsubscribe("f")
        assert not found.offers
        assert found.subscription("f", "role-f").held == (4,)
        finish(found, "t/0")
        with pytest.raises(NotFound):
            found.subscription("f", "role-f")

    def test_an_evicted_task_is_finished(self):
        found = state()
        accept(found, "f", [one(found).id], [Launch(pod("t/0", 4))], 0, 0)
        found.snapshot.remove("t/0")
        finish(found, "t/0")
        assert told(found) == [("f", "a", 10)]
