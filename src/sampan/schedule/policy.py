"""Policies in Python: a class with `filter`, `score` or both becomes a profile.

    class Quiet:
        def filter(self, pod, nodes):
            return nodes.label("noise") != "loud"

        def score(self, pod, nodes):
            return 100 * nodes.left("memory")

`pod` is a PolicyPod, `nodes` PolicyNodes; both methods answer for all the nodes they are shown, by array operations. `filter`
returns bools, [nodes], and may only take nodes away: what a pod asks for holds whatever it says. `score` returns numbers,
[nodes]: the node with the highest is best. They come beside what pods wish for (preferred affinity, soft spread, mild
taints: 0 to 100 times 2 or 3) and in place of kube-scheduler's own opinion. The class may say more:

| attribute | means | when not given |
| --- | --- | --- |
| `reach` | "node": the answer for a node depends on that node and the pod only; "cluster": on anything shown | "cluster" |
| `weight` | times which the points count | 1 |
| `base` | whose points are added: "wishes", "default" (all of kube-scheduler's), "packing" | "wishes"; without `score`, "default" |
| `reason` | why a node was refused, after a number of nodes | node(s) were refused by policy NAME |

With "cluster" a policy is asked about all nodes for each pod, so that every choice is exact whatever it looks at. With "node"
it is asked about nodes that changed, and batches are fast. The same cluster and pod must get the same answer: no clock, no
random, no memory of calls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from sampan.base.errors import InvalidArgument
from sampan.schedule.arrays import Floats, Mask
from sampan.schedule.ask import Ask
from sampan.schedule.plugin import Filter, Normal, PluginFailed, Reach, Score, ScorePlugin
from sampan.schedule.policy_view import PolicyNodes, PolicyPod
from sampan.schedule.profile import DEFAULT, FILTERS, PACKING, WISHES, Profile
from sampan.schedule.snapshot import Snapshot
from sampan.schedule.view import Nodes

MOST_POINTS = 1e6
"""Points that a policy may give a node, up or down: so that sums stay exact."""

_BASES: dict[str, tuple[tuple[ScorePlugin, int], ...]] = {
    "wishes": WISHES,
    "default": DEFAULT.scores,
    "packing": PACKING.scores,
}
_REACHES = {"node": Reach.NODE, "cluster": Reach.CLUSTER}

Answer = Callable[[PolicyPod, PolicyNodes], object]


def profile_of(policy: object) -> Profile:
    """Return the profile that a policy makes; `policy` is an object with `filter` or `score`.

    Raises:
        InvalidArgument: it says something of itself that cannot be.
    """
    plugin = PolicyPlugin(policy)
    base = getattr(policy, "base", "wishes" if plugin.score else "default")
    if base not in _BASES:
        raise InvalidArgument(f"policy {plugin.name}: base is {base!r}: write one of {', '.join(_BASES)}")
    weight = getattr(policy, "weight", 1)
    if not isinstance(weight, int) or not 0 < weight <= 1000:
        raise InvalidArgument(f"policy {plugin.name}: weight is {weight!r}: write a whole number, 1 to 1000")
    filters = (*FILTERS, plugin) if plugin.filter else FILTERS
    return Profile(filters, (*_BASES[base], (plugin, weight)) if plugin.score else _BASES[base])


class PolicyPlugin:
    """A policy as the core asks it."""

    def __init__(self, policy: object) -> None:
        """Raises InvalidArgument where it has neither `filter` nor `score`, or says what cannot be of itself."""
        self.name = type(policy).__name__
        self.filter: Answer | None = _method(policy, "filter")
        self.score: Answer | None = _method(policy, "score")
        if not self.filter and not self.score:
            raise InvalidArgument(
                f"policy {self.name} has neither filter(self, pod, nodes) nor score(self, pod, nodes): write one of them"
            )
        reach = getattr(policy, "reach", "cluster")
        if reach not in _REACHES:
            raise InvalidArgument(f'policy {self.name}: reach is {reach!r}: write "node" or "cluster"')
        self.reach = _REACHES[reach]
        self.reason = str(getattr(policy, "reason", f"node(s) were refused by policy {self.name}"))

    def prefilter(self, ask: Ask, snapshot: Snapshot) -> Filter | None:
        return None if self.filter is None else PolicyFilter(self, self.filter, ask)

    def prescore(self, ask: Ask, snapshot: Snapshot) -> Score | None:
        return None if self.score is None else PolicyScore(self, self.score, ask)


def _method(policy: object, name: str) -> Answer | None:
    found = getattr(policy, name, None)
    return cast("Answer", found) if callable(found) else None


class _Rule:
    """A policy's method, asked for one ask."""

    def __init__(self, plugin: PolicyPlugin, answer: Answer, ask: Ask) -> None:
        self.reach = plugin.reach
        self.foresees = (
            plugin.reach is Reach.NODE and not ask.special
        )  # devices that the next pod would get are not shown
        self._plugin = plugin
        self._answer = answer
        self._pod = PolicyPod(ask.shape)

    def _asked(self, nodes: Nodes, check: Callable[[np.ndarray[Any, Any]], str]) -> np.ndarray[Any, Any]:
        """Return the answer for these nodes. One with the reach of the cluster is always shown all of it."""
        shown = nodes if self.reach is Reach.NODE or nodes.rows is None else Nodes(nodes.snapshot, nodes.ask)
        if not len(shown):
            return np.zeros(0)
        try:
            with np.errstate(all="ignore"):
                found = self._answer(self._pod, PolicyNodes(shown))
        except Exception as error:
            raise PluginFailed(f"{self._who()} failed{_where(error)}: {type(error).__name__}: {error}") from error
        if not isinstance(found, np.ndarray):
            raise PluginFailed(f"{self._who()} returned {type(found).__name__}: return an array, one value a node")
        if found.shape != (len(shown),):
            want = f"return one value a node, ({len(shown)},)"
            raise PluginFailed(f"{self._who()} returned an array of shape {found.shape} for {len(shown)} nodes: {want}")
        if wrong := check(found):
            raise PluginFailed(f"{self._who()} returned {wrong}")
        return found if shown is nodes else nodes.pick(found)

    def _who(self) -> str:
        return f"policy {self._plugin.name}: {getattr(self._answer, '__name__', 'its method')}"


class PolicyFilter(_Rule):
    def passes(self, nodes: Nodes) -> Mask | None:
        return self._asked(nodes, _not_bools).astype(np.bool_, copy=False)

    def reasons(self, nodes: Nodes) -> Sequence[tuple[str, Mask]]:
        found = self.passes(nodes)
        return [(self._plugin.reason, np.zeros(len(nodes), np.bool_) if found is None else ~found)]


class PolicyScore(_Rule):
    normal: Normal | None = None

    def points(self, nodes: Nodes) -> Floats:
        return self._asked(nodes, _not_points).astype(np.float64, copy=False)

    def counted(self) -> Mask | None:
        return None


def _not_bools(found: np.ndarray[Any, Any]) -> str:
    return "" if found.dtype == np.bool_ else f"{found.dtype}: return bools, as a comparison does"


def _not_points(found: np.ndarray[Any, Any]) -> str:
    if found.dtype.kind not in "iuf":
        return f"{found.dtype}: return numbers"
    if bool((np.abs(found) <= MOST_POINTS).all()):
        return ""
    if not np.isfinite(found).all():
        return "nan or inf for some nodes, as divisions by 0 give: return a number for each"
    return f"points beyond {MOST_POINTS:,.0f}: scale them, 0 to 100 is usual"


def _where(error: Exception) -> str:
    """Return the line of the policy that an error came through last, in its own file."""
    trace = error.__traceback__
    trace = None if trace is None else trace.tb_next  # the first is ours
    if trace is None:
        return ""
    path, line = trace.tb_frame.f_code.co_filename, trace.tb_lineno
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == path:
            line = trace.tb_lineno
        trace = trace.tb_next
    return f" ({path.rpartition('/')[2]}:{line})"
