"""Observer: what is told of a simulation as it goes on. Each method may be left out; none may change the simulation."""

from __future__ import annotations

from collections.abc import Sequence

from sampan.sim.task import Instance


class Observer:
    """Times are those of the simulation's clock. Sequences are of one task's or several tasks' pods."""

    def passing(self, until_s: float) -> None:
        """Nothing happened from the last moment until now; something will."""

    def arrived(self, instances: Sequence[Instance]) -> None:
        """Pods of a task came and wait."""

    def started(self, instances: Sequence[Instance]) -> None:
        """Pods run, each on its `node`, from now on."""

    def ended(self, instances: Sequence[Instance]) -> None:
        """Pods have done their work, and are on no node any more; `node` is still the one that they were on."""

    def evicted(self, instance: Instance, reason: str) -> None:
        """A pod was taken off its `node`; its work so far is `lost_s` (added up) and it will wait again."""

    def settled(self, now_s: float) -> None:
        """All of this moment has happened, the scheduler's turn too."""
