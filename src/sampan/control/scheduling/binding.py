"""Binding: what was placed is told to the API, many at a time; what the API does not take has another turn.

A placement is checked again by every rule just before it is told: the cluster may have changed since. A pod whose claims wait
for its node holds its place, and the volumes that it was given, until the claims are bound. The scheduler says of a volume whose it is,
or of a claim for which node to make one. That they are bound is the volume controller's alone to say, as upstream: it also takes back
what does not go together, and two writers of one field would undo each other's work.

Spec: kube-scheduler VolumeBinding (PreBind: BindPodVolumes).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import msgspec

from sampan.base import log
from sampan.base.errors import SampanError
from sampan.control.scheduling.answers import Answers
from sampan.control.scheduling.cluster import Cluster, Placement
from sampan.control.scheduling.events import Events
from sampan.control.scheduling.reports import Reports
from sampan.kube.status import ApiError
from sampan.schedule.place import Scheduler
from sampan.schedule.plugin import PluginFailed
from sampan.schedule.pod import Pod

_WORKERS = 32
_AT_ONCE = 64
"""Pods of a gang that are checked without a pause: the loop is the API server's too."""

_log = log.get("scheduler")


class _Provided:
    """A pod that has its node, and waits for the volumes of its claims there.

    `given`: volumes that are there already, by claim; `told`: the claims of the others are known to say so; `together`: the
    pod, and those that are bound with it.
    """

    def __init__(self, pod: Pod, uid: str, node: str, given: Mapping[str, str], together: Sequence[Placement]) -> None:
        self.pod = pod
        self.uid = uid
        self.node = node
        self.given = given
        self.together = together
        self.told = False


class Binding:
    """`freed` is called when a binding has ended, well or not; `bound` with the key of a pod that has its node, `failed` else."""

    def __init__(self, cluster: Cluster, core: Scheduler, answers: Answers, events: Events, reports: Reports) -> None:
        self._cluster = cluster
        self._core = core
        self._answers = answers
        self._events = events
        self._reports = reports
        self._waiting: deque[tuple[Placement, ...]] = deque()
        self._for_claims: dict[str, _Provided] = {}
        self._wake = asyncio.Event()
        self._busy = 0
        self._tasks: list[asyncio.Task[None]] = []
        self.freed: Callable[[], None] = lambda: None
        self.bound: Callable[[str], None] = lambda _: None
        self.failed: Callable[[str], None] = lambda _: None

    @property
    def under_way(self) -> int:
        return len(self._waiting) + self._busy

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._work(), name=f"binding {number}") for number in range(_WORKERS)]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def bind(self, *together: Placement) -> None:
        """Bind pods that are assumed on their nodes, as soon as all of them hold their places; returns at once."""
        self._waiting.append(together)
        self._wake.set()

    async def _work(self) -> None:
        while True:
            while not self._waiting:
                self._wake.clear()
                await self._wake.wait()
            together = self._waiting.popleft()
            self._busy += 1
            try:
                if len(together) > 1:
                    await self._let_through(together)
                else:
                    await self._bind(*together[0])
            except SampanError as error:
                for pod, node in together:
                    _log.info("%s was not bound to %s: %s", pod.key, node, error)
                    self._failed(pod, node, error)
            except Exception:
                for pod, _ in together:
                    _log.exception("binding %s failed by a defect of ours", pod.key)
                    self.failed(pod.key)
                    self.again(pod)
            finally:
                self._busy -= 1
                self.freed()

    async def _let_through(self, gang: tuple[Placement, ...]) -> None:
        """Go on with each of a gang, where all hold their places: what becomes of one after this does not concern the others."""
        for pod, _ in gang:
            await self._reports.hush(pod.key)
        lost: list[str] = []
        for start in range(0, len(gang), _AT_ONCE):
            lost += [pod.key for pod, node in gang[start : start + _AT_ONCE] if not self._holds(pod, node)]
            await asyncio.sleep(0)
        if lost:
            self._give_back(gang, lost)
            return
        wait = [await self._waits_for_volumes(pod, node, gang) for pod, node in gang]
        if any(wait):
            return
        for pod, _ in gang:
            self._cluster.provisional.discard(pod.key)
        self._waiting.extendleft((one,) for one in reversed(gang))
        self._wake.set()
        self._cluster.moved = True  # more of the gang may be bound by themselves now

    def _give_back(self, together: Sequence[Placement], lost: Sequence[str]) -> None:
        """Give all of those who are bound together another turn, as some of them have no place any more."""
        why = f"{len(lost)} of its gang, such as {lost[0]}, lost their places, and the others gave theirs back"
        for pod, node in together:
            self._for_claims.pop(pod.key, None)
            if self._cluster.assumed.get(pod.key) == node:
                self.again(pod, why if len(together) > 1 else "")

    def _holds(self, pod: Pod, node: str) -> bool:
        seen = self._cluster.known.get(pod.key)
        here = seen is not None and not seen.deleting and self._cluster.assumed.get(pod.key) == node
        return here and self.still_fits(pod)

    async def _bind(self, pod: Pod, node: str) -> None:
        cluster = self._cluster
        await self._reports.hush(pod.key)
        seen = cluster.known.get(pod.key)
        if seen is None or cluster.assumed.get(pod.key) != node:
            return  # gone, or placed otherwise meanwhile
        if not self.still_fits(pod):
            self.again(pod)
            return
        if seen.claims and await self._waits_for_volumes(pod, node, (Placement(pod, node),)):
            return
        await self._answers.bind(pod.key, seen.uid, node)
        self.bound(pod.key)
        self._reports.forget(pod.key)
        cluster.queue.discard(pod.key)
        note = f"Successfully assigned {pod.key} to {node}"
        self._events.say(pod.key, seen.uid, "Scheduled", note, action="Binding")

    async def _waits_for_volumes(self, pod: Pod, node: str, together: Sequence[Placement]) -> bool:
        """Return whether a pod's claims are not bound yet: `look` binds those that are together when all claims are."""
        cluster = self._cluster
        seen, placed = cluster.known.get(pod.key), cluster.placed_as(pod.key)
        if seen is None or placed is None or not seen.claims:
            return False
        wanted, there = cluster.wanted(seen), placed[0]
        if wanted.to_select:
            given = cluster.snapshot.volumes.given(pod.key)
            await self._ask_for_volumes(_Provided(there, seen.uid, node, given, together), wanted.to_select)
            return True
        # its claims are being bound by others, or were, perhaps to volumes elsewhere
        if wanted.fault or there.shape.unbound:
            self._for_claims[pod.key] = _Provided(there, seen.uid, node, {}, together)
            self.look()
            return True
        return False

    async def _ask_for_volumes(self, one: _Provided, claims: Sequence[str]) -> None:
        """Tell of each claim which volume it is to have, or for which node one is to be made."""
        pod, namespace = one.pod, one.pod.shape.namespace
        self._for_claims[pod.key] = one
        said = self._cluster.volumes.awaited(namespace, claims, one.node, one.given)
        made = tuple(name for name in claims if f"{namespace}/{name}" not in one.given)
        await self._answers.claim_volumes(pod.shape.unbound, one.given)
        await self._answers.select_node(namespace, made, one.node)
        self._reports.unfit(pod, said)

    def look(self) -> None:
        """Go on with pods that wait for their volumes, where these are there, or will not come to their node."""
        for key, one in list(self._for_claims.items()):
            if self._for_claims.get(key) is not one:
                continue  # it gave its place back
            seen = self._cluster.known.get(key)
            if seen is None or seen.uid != one.uid or self._cluster.assumed.get(key) != one.node:
                self._give_back(one.together, [key])
                continue
            volumes, namespace = self._cluster.volumes, seen.pod.shape.namespace
            claims = [volumes.claims.get((namespace, name)) for name in seen.claims]
            theirs = [claim for claim in claims if claim is not None and not claim.deleting]
            selected = all(
                claim.volume or claim.selected == one.node
                for name, claim in zip(seen.claims, theirs, strict=False)
                if f"{namespace}/{name}" not in one.given
            )
            lost = len(theirs) < len(claims) or (one.told and not selected) or not self._keeps(one)
            if lost or not self.still_fits(one.pod):
                self._give_back(one.together, [key])
                continue
            one.told = selected
            wanted = self._cluster.wanted(seen)
            if all(claim.bound for claim in theirs) and not wanted.fault:
                del self._for_claims[key]
                pod = msgspec.structs.replace(one.pod, shape=wanted.shape)
                self._cluster.snapshot.add(pod, one.node)
                if not any(other.key in self._for_claims for other, _ in one.together):
                    self.bind(*one.together)

    def _keeps(self, one: _Provided) -> bool:
        """Return whether the volumes that a pod's claims were given are theirs still, or nobody's."""
        volumes = self._cluster.snapshot.volumes
        wanted = {claim.key: claim for claim in one.pod.shape.unbound}
        return all(volumes.is_for(wanted[claim], volume) for claim, volume in one.given.items())

    def still_fits(self, pod: Pod) -> bool:
        """Return whether the pod would be let onto its node as the cluster is now: it may have waited for long."""
        if pod.key not in self._cluster.snapshot.pods:
            return False
        try:
            return self._core.still_fits(pod.key)
        except PluginFailed:
            return False  # its next turn says what failed

    def _failed(self, pod: Pod, node: str, error: SampanError) -> None:
        self.failed(pod.key)
        # gone, bound by others, being deleted: that is told by the watch, and no word on how the pod fits
        other = isinstance(error, ApiError) and error.code in (404, 409)
        self.again(pod, "" if other else f'binding rejected: running Bind plugin "DefaultBinder": {error}')

    def again(self, pod: Pod, why: str = "") -> None:
        """Forget where a pod was placed, and give it another turn unless it is gone or placed by others. `why`: told of it."""
        self._for_claims.pop(pod.key, None)
        self._cluster.forget(pod.key)
        seen = self._cluster.known.get(pod.key)
        if seen is not None and not seen.node and not seen.deleting:
            if why:
                self._reports.unfit(pod, why)
            self._reports.park(seen.pod)
