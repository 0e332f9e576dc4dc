"""What is said of pods that do not fit: kube-scheduler's sentences, and the smallest change that would help. Pure.

Spec: kube-scheduler FitError, DefaultPreemption.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from sampan.schedule.arrays import Rows
from sampan.schedule.node import NO_EXECUTE, NO_SCHEDULE, Node
from sampan.schedule.plugin import PluginFailed
from sampan.schedule.plugins import (
    inter_pod_affinity,
    interference,
    node_affinity,
    node_name,
    node_ports,
    taint_toleration,
    topology_spread,
    volumes,
)
from sampan.schedule.plugins.resources_fit import Fit
from sampan.schedule.plugins.taint_toleration import tolerated
from sampan.schedule.pod import Pod
from sampan.schedule.refusal import Refusal, refusal
from sampan.schedule.resources import PODS
from sampan.schedule.shape import UnboundClaim
from sampan.schedule.snapshot import Snapshot
from sampan.schedule.standing import Standing
from sampan.schedule.view import Nodes

NOT_HELPFUL = "Preemption is not helpful for scheduling"
NO_VICTIMS = "No preemption victims found for incoming pod"
_HELD = "not eligible due to a terminating pod on the nominated node."
_NEVER = "not eligible due to preemptionPolicy=Never."


def fault(nodes: int, why: str) -> str:
    """Return the sentence for a pod that may run nowhere, whatever the nodes."""
    return f"0/{nodes} nodes are available: {why}. preemption: 0/{nodes} nodes are available: {nodes} {NOT_HELPFUL}."


def unfit(standing: Standing, pod: Pod, refused: Refusal, *, held: bool = False) -> str:
    """Return why a pod fits nowhere, why evictions do not help, and what would.

    `held`: victims of this pod are about to end, so that it may not ask for more.
    """
    told = refused.message()
    if refused.note or not refused.nodes:
        return told
    try:
        return f"{told} preemption: {_preemption(standing, pod, held=held)}{_hint(standing)}"
    except PluginFailed as error:
        return f"{told} {error}"


def crowded(standing: Standing) -> str:
    """Return why an ask fits nowhere on the snapshot as it is now, while room is made for it."""
    try:
        return f"{refusal(Nodes(standing.snapshot, standing.ask), standing.filters).message()}{_hint(standing)}"
    except PluginFailed as error:
        return str(error)


def _preemption(standing: Standing, pod: Pod, *, held: bool) -> str:
    if held:
        return _HELD
    if not pod.may_preempt:
        return _NEVER
    count = len(standing.snapshot.nodes)
    helpless = ~standing.possible()
    counts = Counter({NOT_HELPFUL: int(helpless.sum()), NO_VICTIMS: int((~helpless).sum())})
    said = sorted(f"{number} {reason}" for reason, number in counts.items() if number)
    return f"0/{count} nodes are available: {', '.join(said)}."


# --- the smallest change ----------------------------------------------------------------------------------------------

_WISHES = {
    taint_toleration.UNSCHEDULABLE: "uncordon it",
    node_name.REASON: "name a node that is there",
    node_affinity.REASON: "let the pod's node affinity or selector match it",
    node_ports.REASON: "free the host ports",
    inter_pod_affinity.AFFINITY: "run what the pod's affinity asks for in its domain",
    inter_pod_affinity.ANTI_AFFINITY: "move what the pod's anti-affinity keeps away from",
    inter_pod_affinity.EXISTING: "move the pods whose anti-affinity keeps it away",
    interference.OWN: "move pods that the pod allows no more of beside it",
    interference.EXISTING: "move the pods that allow no more such pods beside them",
    volumes.ELSEWHERE: "claim a volume that can be reached from it",
    volumes.TOO_MANY: "attach fewer volumes to it",
    volumes.IN_USE: "end the pod that uses the claim",
    topology_spread.UNLABELLED: "give the node the label that the pod's topology spread names",
}


_LIGHT = (taint_toleration.UNSCHEDULABLE, taint_toleration.UNTOLERATED)


def _hint(standing: Standing) -> str:
    said = smallest_change(standing)
    return f" The smallest change that would fit: {said}." if said else ""


def smallest_change(standing: Standing) -> str:
    """Return what would have to be different for the ask to fit on the node that lacks least; "" where there are no nodes.

    Fewest rules first; of those, cordons, taints and resources before what the pod itself rules out; then the least
    lack, summed over resources as shares of what the node has, then the smallest name.
    """
    snapshot = standing.snapshot
    nodes = Nodes(snapshot, standing.ask)
    if not len(nodes):
        return ""
    failed = np.zeros(len(nodes))
    lack = np.zeros(len(nodes))
    for rule in standing.filters:
        mask = rule.passes(nodes)
        if mask is None:
            continue
        failed += ~mask
        if not isinstance(rule, Fit):
            lack += sum(fails & ~mask for reason, fails in rule.reasons(nodes) if reason not in _LIGHT)
        else:
            for number, amount in rule.demand:
                short = np.clip(amount - snapshot.resources.free[number], 0, amount)
                lack += short / np.maximum(snapshot.resources.allocatable[number], 1)
    row = int(np.lexsort((lack, failed))[0])
    if not failed[row]:
        return ""
    return f"on {snapshot.nodes[row].name}, {' and '.join(_wishes(standing, row))}"


def _wishes(standing: Standing, row: int) -> Iterator[str]:
    snapshot = standing.snapshot
    here: Rows = np.array([row], np.intp)
    nodes = Nodes(snapshot, standing.ask, here)
    for rule in standing.filters:
        mask = rule.passes(nodes)
        if mask is None or mask[0]:
            continue
        if isinstance(rule, Fit):
            yield from _lacks(snapshot, rule, row)
            continue
        reason = next((text for text, fails in rule.reasons(nodes) if fails[0]), "")
        if reason == taint_toleration.UNTOLERATED:
            yield f"tolerate {_taints(snapshot.nodes[row], standing)}"
        elif isinstance(rule, volumes.Matched):
            yield f"make {' and '.join(map(_volume, rule.lacking(row)))} that it can reach"
        elif reason == topology_spread.SKEWED and isinstance(rule, topology_spread.Evenly):
            yield " and ".join(f"allow a maxSkew of {skew} over {topology}" for topology, skew in rule.skews(row))
        else:
            yield _WISHES.get(reason, f"change that {reason}")


def _lacks(snapshot: Snapshot, rule: Fit, row: int) -> Iterator[str]:
    names = {number: name for name, number in snapshot.resources.numbers.items()}
    for number, amount in rule.demand:
        free = int(snapshot.resources.free[number][row])
        if free >= amount:
            continue
        if number == PODS:
            yield "run one pod less there"
        elif free <= 0:  # more may be taken than there is: what asks for none fits all the same
            yield f"ask for no {names[number]}"
        else:
            yield f"ask for {written(names[number], amount - free)} {names[number]} less"


def _volume(claim: UnboundClaim) -> str:
    """Return what volume a claim lacks."""
    wish = claim.wish
    size = f" and {written('storage', wish.size_bytes)} or more" if wish.size_bytes else ""
    return f"a volume of class {wish.storage_class}{size} for claim {claim.key} available"


def _taints(node: Node, standing: Standing) -> str:
    against = [taint for taint in node.taints if taint.effect in (NO_SCHEDULE, NO_EXECUTE)]
    open_ = [taint for taint in against if not tolerated(standing.ask.shape.tolerations, taint)]
    return ", ".join(f"{taint.key}{f'={taint.value}' if taint.value else ''}:{taint.effect}" for taint in open_)


def written(resource: str, amount: int) -> str:
    """Return an amount as people write it: `500m`, `2`, `1536Mi`."""
    if resource == "cpu":
        return f"{amount}m" if amount % 1000 else str(amount // 1000)
    if resource == "memory" or "storage" in resource or resource.startswith("hugepages-"):
        for suffix, size in (("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)):
            if amount >= size and not amount % size:
                return f"{amount // size}{suffix}"
    return str(amount)
