"""Policies by name for the simulator: those that know the workload beforehand, and all that the scheduler can use."""

from __future__ import annotations

from collections.abc import Sequence

from sampan.base.errors import InvalidArgument
from sampan.cmd import scheduling_policies
from sampan.schedule.node import Node
from sampan.schedule.profile import Profile
from sampan.sim import gpu_policy, gpu_score
from sampan.sim.gpu import Workload


def profile(text: str, nodes: Sequence[Node], workload: Workload) -> Profile:
    """Return the profile that a name stands for, for these nodes and pods of these shapes.

    Raises:
        InvalidArgument: there is none, or it cannot be used.
    """
    if text in gpu_policy.POLICIES:
        return gpu_score.profile(text, nodes, workload)
    try:
        return scheduling_policies.profile(text)
    except InvalidArgument as error:
        if text.isidentifier():
            raise InvalidArgument(f"{error}; in simulation also {', '.join(gpu_policy.POLICIES)}") from error
        raise
