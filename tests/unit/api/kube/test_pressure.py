"""Events are the first to go when there are more writes than the server keeps up with."""

from __future__ import annotations

import asyncio

from sampan.api.kube.api import PRESSURE
from sampan.api.kube.local import LocalClient
from sampan.api.kube.request import User
from sampan.base.clock import ManualClock
from sampan.client.port import Ref
from sampan.control.controller import CONFIG_MAPS, EVENTS
from sampan.kube.status import ApiError
from unit.control.server import server

NEWER = Ref("events.k8s.io", "v1", "events")


def named(name):
    return {"metadata": {"name": name, "namespace": "default"}}


def event(name):
    return {**named(name), "involvedObject": {"kind": "Pod", "namespace": "default", "name": "p"}, "reason": "Seen"}


async def code(call):
    try:
        await call
    except ApiError as error:
        return error.code
    return 200


async def test_events_give_way_to_other_writes() -> None:
    async with server(ManualClock()) as api:
        client = LocalClient(api, User("tester"), "tester")
        await client.create(EVENTS, event("before"))
        writes = [code(client.create(CONFIG_MAPS, named(f"c{number}"))) for number in range(PRESSURE + 1)]
        told = [code(client.create(ref, event(f"e{number}"))) for number, ref in enumerate((EVENTS, NEWER))]
        codes = await asyncio.gather(*writes, *told, code(client.get(EVENTS, "default", "before")))
        assert codes == [200] * (PRESSURE + 1) + [429, 429, 200]
        assert await code(client.create(EVENTS, event("after"))) == 200
