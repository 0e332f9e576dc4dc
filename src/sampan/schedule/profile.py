"""Profiles: which plugins there are, in which order, with which weights. This list is the one place.

The order of filters is that in which a node's reason is looked for. Spec: kube-scheduler's default plugins.
"""

from __future__ import annotations

from typing import NamedTuple

from sampan.schedule.plugin import FilterPlugin, ScorePlugin
from sampan.schedule.plugins.balanced_allocation import NodeResourcesBalancedAllocation
from sampan.schedule.plugins.devices import Devices
from sampan.schedule.plugins.image_locality import ImageLocality
from sampan.schedule.plugins.inter_pod_affinity import InterPodAffinity
from sampan.schedule.plugins.interference import Interference
from sampan.schedule.plugins.node_affinity import NodeAffinity
from sampan.schedule.plugins.node_name import NodeName
from sampan.schedule.plugins.node_ports import NodePorts
from sampan.schedule.plugins.resources_fit import NodeResourcesFit
from sampan.schedule.plugins.taint_toleration import NodeUnschedulable, TaintToleration
from sampan.schedule.plugins.topology_spread import PodTopologySpread
from sampan.schedule.plugins.volumes import NodeVolumeLimits, VolumeBinding, VolumeMatching, VolumeRestrictions


class Profile(NamedTuple):
    filters: tuple[FilterPlugin, ...]
    scores: tuple[tuple[ScorePlugin, int], ...]


FILTERS: tuple[FilterPlugin, ...] = (
    NodeUnschedulable(),
    NodeName(),
    TaintToleration(),
    NodeAffinity(),
    NodePorts(),
    NodeResourcesFit(),
    Devices(),
    VolumeRestrictions(),
    NodeVolumeLimits(),
    VolumeBinding(),
    VolumeMatching(),
    PodTopologySpread(),
    InterPodAffinity(),
    Interference(),
)

_WISHES: tuple[tuple[ScorePlugin, int], ...] = ((TaintToleration(), 3), (NodeAffinity(), 2), (InterPodAffinity(), 2))

WISHES: tuple[tuple[ScorePlugin, int], ...] = (*_WISHES, (PodTopologySpread(defaults=False), 2))
"""What pods wish for, and mild taints: nothing of it for a pod that says nothing."""

DEFAULT = Profile(
    FILTERS,
    (
        *_WISHES,
        (PodTopologySpread(), 2),
        (NodeResourcesFit(), 1),
        (NodeResourcesBalancedAllocation(), 1),
        (ImageLocality(), 1),
    ),
)
"""kube-scheduler's: spreads."""

PACKING = Profile(FILTERS, ((NodeResourcesFit(most=True), 1),))
"""Fills nodes one after another, so that others stay whole."""
