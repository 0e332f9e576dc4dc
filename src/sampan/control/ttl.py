"""Finished jobs with `ttlSecondsAfterFinished` are deleted when their time has come. Spec: batch/v1 JobSpec."""

from __future__ import annotations

from sampan.base.clock import Clock
from sampan.client.informer import Informer, Key
from sampan.client.port import Client
from sampan.control.controller import JOBS
from sampan.kube import object as objects
from sampan.kube import rfc3339
from sampan.kube.object import Object
from sampan.kube.status import ApiError
from sampan.reconcile.loop import Loop


class TtlAfterFinished:
    name = "ttl-after-finished"

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._jobs = Informer(client, JOBS)
        self._loop: Loop[Key] = Loop(self.name, self._reconcile)

    async def start(self) -> None:
        def changed(old: Object | None, new: Object | None) -> None:
            if new is not None and due_s(new) is not None:
                self._loop.queue.add(Key(objects.namespace(new), objects.name(new)))

        self._jobs.on_change(changed)
        self._jobs.start()
        self._loop.start()

    async def close(self) -> None:
        await self._loop.close()
        await self._jobs.close()

    async def _reconcile(self, key: Key) -> float | None:
        job = self._jobs.get(*key)
        due = due_s(job) if job is not None and not objects.deleting(job) else None
        if job is None or due is None:
            return None
        left_s = due - self._clock.now_ns() / 1e9
        if left_s > 0:
            return left_s
        wanted = {"propagationPolicy": "Foreground", "preconditions": {"uid": objects.uid(job)}}
        try:
            await self._client.delete(JOBS, key.namespace, key.name, wanted)
        except ApiError as error:
            if error.code not in (404, 409):
                raise
        return None


def due_s(job: Object) -> float | None:
    """Return when a job is to be deleted, in seconds since the epoch; None when it has not finished or stays."""
    ttl = objects.at(job, "spec", "ttlSecondsAfterFinished")
    if not isinstance(ttl, int):
        return None
    for condition in objects.at(job, "status", "conditions") or []:
        if condition.get("type") in ("Complete", "Failed") and condition.get("status") == "True":
            ended = objects.at(job, "status", "completionTime") or condition.get("lastTransitionTime")
            return rfc3339.parse(str(ended)) + ttl
    return None
