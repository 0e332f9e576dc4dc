"""Action: one thing that a plan changes, with the rule and the numbers that it comes of."""

from __future__ import annotations

from enum import Enum

import msgspec


class Verb(Enum):
    LOWER = "lower"  # best-effort pods get less CPU
    RAISE = "raise"  # more
    FREEZE = "freeze"  # none at all
    THAW = "thaw"  # some again
    SQUEEZE = "squeeze"  # memory: held to what they asked for
    RELEASE = "release"  # no longer
    EVICT = "evict"


class Rule(Enum):
    USE_ROSE = "latency-critical use rose"
    USE_FELL = "latency-critical use fell"
    MEMORY_TIGHT = "memory is tight"
    MEMORY_EASY = "memory is no longer tight"
    MEMORY_SHORT = "memory is short"
    STARVED = "starved of CPU for too long"


class Action(msgspec.Struct, frozen=True):
    """`subject`: a pod's key, or the name of the node whose best-effort pods it is about. `numbers` in the order of reading."""

    verb: Verb
    subject: str
    rule: Rule
    numbers: tuple[tuple[str, float], ...]

    def message(self) -> str:
        """Return the sentence that an event has."""
        told = ", ".join(f"{name} {number:g}" for name, number in self.numbers)
        return f"{self.verb.value} {self.subject}: {self.rule.value}: {told}"
