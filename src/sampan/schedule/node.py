"""Node: what a machine offers. Spec: Kubernetes Node (core/v1)."""

from __future__ import annotations

import msgspec

from sampan.schedule.shape import Amounts, Pairs

NO_SCHEDULE, PREFER_NO_SCHEDULE, NO_EXECUTE = "NoSchedule", "PreferNoSchedule", "NoExecute"
UNSCHEDULABLE_TAINT = "node.kubernetes.io/unschedulable"
HOSTNAME = "kubernetes.io/hostname"


class Taint(msgspec.Struct, frozen=True):
    key: str
    value: str = ""
    effect: str = NO_SCHEDULE


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """Units as in `Shape`. `devices` gives, of each kind, the thousandths that each device has (1,000: a whole one)."""

    name: str
    allocatable: Amounts
    labels: Pairs = ()
    taints: tuple[Taint, ...] = ()
    unschedulable: bool = False
    images: tuple[tuple[str, int], ...] = ()  # name, size in bytes
    attachable: Amounts = ()  # volumes of each driver; a driver that is not named has no limit
    devices: tuple[tuple[str, tuple[int, ...]], ...] = ()
