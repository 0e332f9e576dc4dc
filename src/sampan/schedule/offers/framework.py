"""Framework: a scheduler of its own that is offered resources, and its subscription to each of its roles.

Spec: Mesos FrameworkInfo, FrameworkInfo.Capability.
"""

from __future__ import annotations

from enum import Enum

import msgspec

from sampan.schedule.offers.vector import Vector, minus, plus
from sampan.schedule.shape import Selector


class Capability(Enum):
    """What a framework knows how to handle; without it such resources are not offered."""

    GPU_RESOURCES = "GPU_RESOURCES"  # nodes that have scarce devices
    REGION_AWARE = "REGION_AWARE"  # nodes of other regions than the cluster's own
    REVOCABLE_RESOURCES = "REVOCABLE_RESOURCES"  # what may be taken back
    MULTI_ROLE = "MULTI_ROLE"  # more than one role


class Framework(msgspec.Struct, frozen=True):
    """`nodes`: requirements on the labels of the nodes it is offered (offer constraints); none: every node."""

    id: str
    roles: tuple[str, ...] = ("*",)
    capabilities: frozenset[Capability] = frozenset()
    nodes: Selector = ()


class Subscription:
    """One framework in one role. `held`: what it has, offers that are out among it; `bare`: of that, what quotas count.

    One that is not `active` any more lasts as long as it has `tasks`.
    """

    __slots__ = ("active", "bare", "framework", "held", "number", "role", "suppressed", "tasks")

    def __init__(self, number: int, framework: Framework, role: str, zero: Vector) -> None:
        self.number = number
        self.framework = framework
        self.role = role
        self.held = zero
        self.bare = zero
        self.tasks = 0
        self.active = True
        self.suppressed = False

    @property
    def wants(self) -> bool:
        """Whether it is to get offers."""
        return self.active and not self.suppressed

    def gain(self, total: Vector, bare: Vector) -> None:
        self.held = plus(self.held, total)
        self.bare = plus(self.bare, bare)

    def lose(self, total: Vector, bare: Vector) -> None:
        self.held = minus(self.held, total)
        self.bare = minus(self.bare, bare)
