"""Events about pods, as kube-scheduler tells them: each sentence once, with a count when it is said again.

Events are told beside the work, by few workers: who binds pods never waits for them.

Spec: events.k8s.io/v1 Event; client-go tools/events (series).
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import NamedTuple

from sampan.base import log
from sampan.base.clock import Clock
from sampan.base.errors import SampanError
from sampan.client.port import Client, Ref
from sampan.control.scheduling.pods import SCHEDULER
from sampan.kube import rfc3339
from sampan.kube.object import Object

EVENTS = Ref("events.k8s.io", "v1", "events")
_WORKERS = 16
_MOST = 100_000
"""Events that wait to be told; what comes on top is dropped."""
_REMEMBERED = 4096
_QUIET_S = 60.0
"""How often a sentence that is said again and again is counted in the API."""
_MERGE = "application/merge-patch+json"

_log = log.get("scheduler")


class Said(NamedTuple):
    """What is said of whom: the same words of the same pod are one event."""

    key: str
    uid: str
    reason: str
    note: str


class _Series:
    def __init__(self, name: str, now_s: float) -> None:
        self.name = name
        self.count = 1
        self.told_s = now_s - _QUIET_S  # the second time is told at once


class Events:
    def __init__(self, client: Client, clock: Clock, host: str) -> None:
        self._client = client
        self._clock = clock
        self._instance = f"{SCHEDULER}-{host}"
        self._waiting: deque[tuple[Said, str, str]] = deque()
        self._wake = asyncio.Event()
        self._series: dict[Said, _Series] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._last = 0

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._work(), name=f"events {number}") for number in range(_WORKERS)]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def say(self, key: str, uid: str, reason: str, note: str, *, action: str, type_: str = "Normal") -> None:
        """Tell an event of a pod; returns at once."""
        if len(self._waiting) < _MOST:
            self._waiting.append((Said(key, uid, reason, note[:1024]), action, type_))
            self._wake.set()

    async def _work(self) -> None:
        while True:
            while not self._waiting:
                self._wake.clear()
                await self._wake.wait()
            said, action, type_ = self._waiting.popleft()
            try:
                await self._tell(said, action, type_)
            except SampanError as error:
                _log.info("event %s of %s was not told: %s", said.reason, said.key, error)

    async def _tell(self, said: Said, action: str, type_: str) -> None:
        namespace = said.key.partition("/")[0]
        now_s = self._clock.monotonic_s()
        series = self._series.get(said)
        if series is None:
            obj = self._event(said, action, type_)
            if type_ != "Normal":  # what is said once is not remembered
                self._series[said] = _Series(obj["metadata"]["name"], now_s)
                if len(self._series) > _REMEMBERED:
                    del self._series[next(iter(self._series))]
            await self._client.create(EVENTS, obj)
            return
        series.count += 1
        if now_s - series.told_s < _QUIET_S:
            return
        series.told_s = now_s
        again = {"count": series.count, "lastObservedTime": rfc3339.render_micro(self._clock.now_ns() // 1000)}
        try:
            await self._client.patch(EVENTS, namespace, series.name, {"series": again}, media=_MERGE)
        except SampanError:
            self._series.pop(said, None)  # it is gone, perhaps of age: told anew next time
            raise

    def _event(self, said: Said, action: str, type_: str) -> Object:
        namespace, _, name = said.key.partition("/")
        now = self._clock.now_ns()
        self._last = max(now, self._last + 1)  # names differ
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": f"{name}.{self._last:x}", "namespace": namespace},
            "eventTime": rfc3339.render_micro(now // 1000),
            "reportingController": SCHEDULER,
            "reportingInstance": self._instance,
            "action": action,
            "reason": said.reason,
            "regarding": {"kind": "Pod", "namespace": namespace, "name": name, "uid": said.uid, "apiVersion": "v1"},
            "note": said.note,
            "type": type_,
        }
