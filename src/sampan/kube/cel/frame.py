"""Frame: the variables of one evaluation, and how many steps it has left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from sampan.kube.cel.fault import Exhausted

_SIZED = (str, bytes, list, dict)
_PER_STEP = 10
"""Characters or items that one step covers."""


class Frame:
    __slots__ = ("left", "values")

    def __init__(self, values: dict[str, Any], steps: int) -> None:
        self.values = values
        self.left = steps

    def spend(self, steps: int = 1) -> None:
        """Count steps.

        Raises:
            Exhausted
        """
        self.left -= steps
        if self.left < 0:
            raise Exhausted("operation cancelled: actual cost limit exceeded")

    def spend_on(self, *values: Any) -> None:
        """Count one step, and more for long values."""
        steps = 1
        for value in values:
            if isinstance(value, _SIZED):
                steps += len(value) // _PER_STEP
        self.left -= steps
        if self.left < 0:
            raise Exhausted("operation cancelled: actual cost limit exceeded")


Run: TypeAlias = Callable[[Frame], Any]


def constant(value: Any) -> Run:
    def run(frame: Frame) -> Any:
        return value

    return run
