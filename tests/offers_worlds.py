"""Small worlds for hypothesis: an allocator's state that was led through random steps.

All is made from a seed, so that worlds are rich; hypothesis shrinks the number of steps.
"""

from __future__ import annotations

import random

from hypothesis import strategies as st

from sampan.base.errors import SampanError
from sampan.kube.selector import Requirement
from sampan.schedule.node import Node, Taint
from sampan.schedule.offers.allocate import allocate
from sampan.schedule.offers.answer import accept, decline, finish
from sampan.schedule.offers.framework import Capability, Framework
from sampan.schedule.offers.offer import Launch, Reserve, Unreserve
from sampan.schedule.offers.state import Rules, State
from sampan.schedule.offers.vector import Dimensions
from sampan.schedule.place import Scheduler
from sampan.schedule.pod import Pod
from sampan.schedule.shape import DeviceAsk, Shape, amounts, pairs
from sampan.schedule.snapshot import Snapshot

REGION = "topology.kubernetes.io/region"
ROLES = ["*", "a", "a/x", "a/y", "a/y/q", "b", "b/z"]
DIMENSIONS = Dimensions(("cpu", "memory", "gpu"), frozenset({"gpu"}))


def node(source: random.Random, name: str) -> Node:
    has = {"cpu": source.randint(0, 12), "memory": source.randint(0, 12), "pods": 20}
    region = source.choice([{}, {REGION: "near"}, {REGION: "near"}, {REGION: "far"}])
    return Node(
        name=name,
        allocatable=amounts(has),
        labels=pairs({"disk": source.choice(["ssd", "hdd"])} | region),
        devices=(("gpu", (1000, 1000)),) if source.random() < 0.3 else (),
        unschedulable=source.random() < 0.1,
        taints=(Taint("t"),) if source.random() < 0.1 else (),
    )


def framework(source: random.Random, name: str) -> Framework:
    able = {one for one in Capability if source.random() < 0.6}
    roles = source.sample(ROLES, 2 if Capability.MULTI_ROLE in able else 1)
    nodes = (Requirement("disk", "In", ("ssd",)),) if source.random() < 0.2 else ()
    return Framework(name, tuple(roles), frozenset(able), nodes)


STEPS = [
    "allocate",
    "allocate",
    "accept",
    "accept",
    "decline",
    "decline",
    "finish",
    "weight",
    "quota",
    "quota",
    "reserve",
    "unreserve",
    "keep",
    "lend",
    "suppress",
    "revive",
    "leave",
    "join",
    "pod",
    "gone",
    "node",
]


class World:
    def __init__(self, seed: int, count: int) -> None:
        self.seed, self.count = seed, count
        source = random.Random(seed)
        self.rules = Rules(
            minimum=source.choice([((("cpu", 1),), (("memory", 2),)), (), ((("cpu", 3), ("memory", 1)),)]),
            scarce=source.choice([(), ("gpu",)]),
            region=source.choice(["", "near"]),
            lasting_s=source.choice([None, None, 3.0]),
        )
        self.nodes = [node(source, f"n{number}") for number in range(source.randint(1, 5))]
        self.spare = [node(source, f"n{number}") for number in range(6)]
        self.members = [framework(source, f"f{number}") for number in range(source.randint(1, 6))]
        some = source.choices(STEPS, [source.random() ** 2 for _ in STEPS], k=12)  # each world has its own ways
        self.todo = [
            (source.choice(some + STEPS), source.randrange(1000), source.randrange(10), source.randrange(10))
            for _ in range(count)
        ]
        self.now_s = 0.0

    def __repr__(self) -> str:
        return f"World({self.seed}, {self.count})"

    def state(self, *, backwards: bool = False) -> State:
        """Return the state after all steps. `backwards`: nodes are listed in the other order."""
        self.now_s = 0.0
        snapshot = Snapshot(list(reversed(self.nodes)) if backwards else self.nodes)
        found = State(Scheduler(snapshot), DIMENSIONS, self.rules)
        found.settle()
        for member in self.members:
            found.subscribe(member)
        for count, step in enumerate(self.todo):
            try:
                self._do(found, count, *step)
            except SampanError:
                pass  # such a step is refused, and changed nothing
        found.settle()
        return found

    def _do(self, state: State, count: int, what: str, which: int, one: int, two: int) -> None:
        role = ROLES[which % len(ROLES)]
        member = self.members[which % len(self.members)]
        name = f"n{which % 6}"
        offers = sorted(state.offers)
        offer = state.offers[offers[which % len(offers)]] if offers else None
        if what == "allocate":
            allocate(state, self.now_s)
            self.now_s += 1
        elif what == "accept" and offer:
            reserved = tuple((r, DIMENSIONS.amounts(v)) for r, v in offer.parts.reserved) if one % 2 else ()
            lent = DIMENSIONS.amounts(offer.parts.revocable) if two % 2 and offer.parts.revocable else ()
            of_reserved = dict.fromkeys(DIMENSIONS.names, 0)
            for _, some in reserved:
                for key, amount in some:
                    of_reserved[key] += amount
            asks = {
                key: of_reserved[key] + min(one if key != "gpu" else 1, offer.parts.bare[place])
                for place, key in enumerate(DIMENSIONS.names)
            }
            gpus = asks.pop("gpu")
            shape = Shape(requests=amounts(asks), devices=(DeviceAsk("gpu", gpus),) if gpus else ())
            launch = Launch(Pod(f"t/{count}", shape), reserved, lent)
            accept(state, offer.framework, [offer.id], [launch], self.now_s, float(two))
        elif what == "decline" and offer:
            decline(state, offer.framework, [offer.id], self.now_s, float(two))
        elif what == "keep" and offer:
            some = DIMENSIONS.amounts([amount * one // 9 for amount in offer.parts.bare])
            operations = [Reserve(offer.role, some)]
            operations += [Unreserve(r, DIMENSIONS.amounts(v)) for r, v in offer.parts.reserved]
            accept(state, offer.framework, [offer.id], operations, self.now_s, float(two))
        elif what == "finish" and state.tasks:
            finish(state, sorted(state.tasks)[which % len(state.tasks)])
        elif what == "weight":
            state.roles.set_weight(role, [0.5, 1, 2, 4][one % 4])
        elif what == "quota":
            limits = {"cpu": one + two, "memory": one + two} if which % 3 == 0 else {}
            state.roles.set_quota(role, {"cpu": one} | ({"memory": two} if which % 2 else {}), limits)
        elif what == "reserve":
            state.reserve(name, role, {"cpu": one % 4, "memory": two % 4, "gpu": which % 2})
        elif what == "unreserve":
            state.unreserve(name, role, {"cpu": one % 4, "memory": two % 4})
        elif what == "lend":
            state.set_revocable(name, {"cpu": one})
        elif what == "suppress":
            state.suppress(member.id, [member.roles[0]])
        elif what == "revive":
            state.revive(member.id)
        elif what == "leave" and member.id in state.frameworks:
            state.unsubscribe(member.id)
        elif what == "join":
            state.subscribe(member)
        elif what == "pod":
            shape = Shape(requests=amounts({"cpu": one, "memory": two}))
            pod = Pod(f"d/{count}", shape)
            state.scheduler.place([pod])
        elif what == "gone":
            mine = sorted(key for key in state.snapshot.pods.slots if key.startswith("d/"))
            if mine:
                state.snapshot.remove(mine[which % len(mine)])
        elif what == "node":
            if one % 4 == 0:
                state.snapshot.remove_node(name)
            else:
                state.snapshot.set_node(self.spare[which % 6])


def placements(state: State) -> list[tuple]:
    """Return offers that are out, comparable."""
    return [tuple(offer) for offer in state.offers.values()]


worlds = st.builds(World, st.integers(0, 1 << 32), st.integers(0, 40))
