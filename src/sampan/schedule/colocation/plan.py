"""The plan for one node: what best-effort pods may use until the next plan, who of them goes, and why.

Nothing is done here. What the plan says, a node agent carries out; what it must remember is in `kept`. Plans are made every
minute or so, from what was seen since the last one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from sampan.schedule.colocation.action import Action, Rule, Verb
from sampan.schedule.colocation.limits import LEAST_MILLI, GroupLimits, PodLimits
from sampan.schedule.colocation.policy import Policy
from sampan.schedule.colocation.victims import BatchPod, victims

_MIB = 1 << 20


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A node as it is. `cpu_used_milli`, `memory_used_bytes`: of all but the best-effort pods, the most since the last plan.

    `cpus`: those that best-effort pods may run on at all (not what is pinned to others), first those to give first;
    siblings stand side by side.
    """

    node: str
    cpu_milli: int
    memory_bytes: int
    cpus: tuple[int, ...]
    cpu_used_milli: int
    memory_used_bytes: int
    pods: tuple[BatchPod, ...] = ()


class Kept(msgspec.Struct, frozen=True):
    """What the next plan must know of this one."""

    ceiling_milli: int
    lowered_s: float = float("-inf")  # when the ceiling last fell
    evicted_s: float = float("-inf")  # when somebody had to go last
    starving_s: float | None = None  # since when
    tight: bool = False


class NodePlan(NamedTuple):
    """`pods`: of those that stay. `evicted`: keys, in order. Actions tell what is new.

    `closed`: the node takes no more best-effort pods for now, as who had to go would come back and go again.
    """

    group: GroupLimits
    pods: Mapping[str, PodLimits]
    evicted: tuple[str, ...]
    closed: bool
    actions: tuple[Action, ...]
    kept: Kept


def plan(seen: Seen, kept: Kept | None, policy: Policy, now_s: float) -> NodePlan:
    """Return the plan. Best-effort CPU and what others use are no more than the node has.

    The more CPU others use, the lower the ceiling and the less CPU those that stay ask for; the more memory others use, the
    less those that need not go for CPU have in use. Of equal priority, over their request and age, the smaller key goes first.
    """
    target = max(int(seen.cpu_milli * (1 - policy.cpu_headroom)) - seen.cpu_used_milli, 0)
    before = kept or Kept(target)
    ceiling = _ceiling(before, target, seen.cpu_milli, policy, now_s)
    evictions = _short_of_memory(seen, policy)
    gone = {action.subject for action in evictions}
    stay = [pod for pod in seen.pods if pod.key not in gone]
    starving_s, starved = _starved(stay, ceiling, before, policy, now_s)
    evictions += starved
    gone |= {action.subject for action in starved}
    stay = [pod for pod in stay if pod.key not in gone]
    tight = _tight(seen, stay, before, policy)
    group = GroupLimits(ceiling, seen.cpus[: -(-ceiling // 1000) or 1])
    after = Kept(
        ceiling_milli=ceiling,
        lowered_s=now_s if ceiling < before.ceiling_milli else before.lowered_s,
        evicted_s=now_s if evictions else before.evicted_s,
        starving_s=starving_s,
        tight=tight,
    )
    changes = _changes(seen, stay, before, after, group, target)
    pods = {pod.key: _limits(pod, tight=tight) for pod in stay}
    evicted = tuple(action.subject for action in evictions)
    closed = now_s - after.evicted_s < policy.hold_s
    return NodePlan(group, pods, evicted, closed, (*evictions, *changes), after)


def _ceiling(before: Kept, target: int, cpu_milli: int, policy: Policy, now_s: float) -> int:
    """Fall at once; rise late, by steps, and not for a trifle."""
    if target <= before.ceiling_milli:
        return target
    rise = target - before.ceiling_milli
    if now_s - before.lowered_s < policy.hold_s or rise <= policy.step * cpu_milli:
        return before.ceiling_milli
    return before.ceiling_milli + min(rise, int(policy.raise_by * cpu_milli))


def _short_of_memory(seen: Seen, policy: Policy) -> list[Action]:
    used = _memory(seen, seen.pods)
    if used <= policy.memory_short * seen.memory_bytes:
        return []
    needed = used - int(policy.memory_relief * seen.memory_bytes)
    return [
        Action(
            Verb.EVICT,
            pod.key,
            Rule.MEMORY_SHORT,
            (
                ("node MiB in use", used // _MIB),
                ("of", seen.memory_bytes // _MIB),
                ("to be freed", needed // _MIB),
                ("this pod has", pod.memory_used_bytes // _MIB),
                ("over its request by", pod.over_bytes // _MIB),
                ("priority", pod.priority),
            ),
        )
        for pod in victims(seen.pods, needed, lambda pod: pod.memory_used_bytes)
    ]


def _starved(
    pods: list[BatchPod], ceiling: int, before: Kept, policy: Policy, now_s: float
) -> tuple[float | None, list[Action]]:
    """Return since when pods starve, and who goes so that the others need not."""
    asked = sum(pod.cpu_milli for pod in pods)
    if ceiling >= policy.starved * asked:
        return None, []
    since_s = now_s if before.starving_s is None else before.starving_s
    if now_s - since_s < policy.patience_s:
        return since_s, []
    needed = asked - int(ceiling / policy.fed)
    numbers = (
        ("millicores left to best-effort pods", ceiling),
        ("asked for by them", asked),
        ("seconds since they starve", now_s - since_s),
    )
    return None, [
        Action(Verb.EVICT, pod.key, Rule.STARVED, (*numbers, ("this pod asks for", pod.cpu_milli)))
        for pod in victims(pods, needed, lambda pod: pod.cpu_milli)
    ]


def _tight(seen: Seen, pods: list[BatchPod], before: Kept, policy: Policy) -> bool:
    """Tight above the mark, and until it is a step below."""
    mark = policy.memory_tight - (policy.step if before.tight else 0)
    return _memory(seen, pods) > mark * seen.memory_bytes


def _memory(seen: Seen, pods: tuple[BatchPod, ...] | list[BatchPod]) -> int:
    return seen.memory_used_bytes + sum(pod.memory_used_bytes for pod in pods)


def _limits(pod: BatchPod, *, tight: bool) -> PodLimits:
    most = pod.memory_bytes if pod.memory_limit_bytes is None else pod.memory_limit_bytes
    return PodLimits(pod.cpu_milli, min(pod.memory_bytes, most) if tight else most, most)


def _changes(
    seen: Seen, stay: list[BatchPod], before: Kept, after: Kept, group: GroupLimits, target: int
) -> list[Action]:
    """Return what the node's best-effort pods feel from now on: a ceiling above all that they ask for is none."""
    found: list[Action] = []
    if not seen.pods:
        return found
    asked = sum(pod.cpu_milli for pod in seen.pods)
    felt = min(before.ceiling_milli, after.ceiling_milli) < max(asked, LEAST_MILLI)
    numbers = (
        ("ceiling from", before.ceiling_milli),
        ("to", after.ceiling_milli),
        ("asked for", asked),
        ("others use", seen.cpu_used_milli),
        ("millicores of", seen.cpu_milli),
    )
    if felt and after.ceiling_milli < before.ceiling_milli:
        verb = Verb.FREEZE if group.frozen else Verb.LOWER
        found.append(Action(verb, seen.node, Rule.USE_ROSE, numbers))
    elif felt and after.ceiling_milli > before.ceiling_milli:
        thaws = GroupLimits(before.ceiling_milli, ()).frozen
        found.append(Action(Verb.THAW if thaws else Verb.RAISE, seen.node, Rule.USE_FELL, (*numbers, ("goal", target))))
    if after.tight != before.tight:
        verb, rule = (Verb.SQUEEZE, Rule.MEMORY_TIGHT) if after.tight else (Verb.RELEASE, Rule.MEMORY_EASY)
        memory = (("node MiB in use then", _memory(seen, stay) // _MIB), ("of", seen.memory_bytes // _MIB))
        found.append(Action(verb, seen.node, rule, memory))
    return found
