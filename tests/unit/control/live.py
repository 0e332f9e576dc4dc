"""A server in memory with hollow nodes and schedulers on it: what tests of the live scheduler begin with."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from sampan.api.kube.api import Api
from sampan.api.kube.local import LocalClient
from sampan.api.kube.request import User
from sampan.base.clock import SystemClock
from sampan.client.port import Ref
from sampan.control.controller import PODS
from sampan.control.scheduler import PodScheduler
from sampan.control.scheduling.events import EVENTS
from sampan.kube.status import ApiError
from sampan.sim.hollow import HollowNodes, Wish


class Client(LocalClient):
    """`refuse`: what is not done, by a part of its path, once each."""

    refuse: dict[str, ApiError] = {}

    async def create(self, ref: Ref, obj, *, subresource: str = "", name: str = ""):
        if (error := self.refuse.pop(f"{subresource} {name}", None)) is not None:
            raise error
        return await super().create(ref, obj, subresource=subresource, name=name)


def client(api: Api, name: str = "tester") -> Client:
    return Client(api, User(name), name)


@contextlib.asynccontextmanager
async def scheduling(*clients: Client) -> AsyncIterator[list[PodScheduler]]:
    running = [PodScheduler(one, SystemClock(), "here") for one in clients]
    for one in running:
        await one.start()
    try:
        yield running
    finally:
        for one in running:
            await one.close()


@contextlib.asynccontextmanager
async def nodes(api: Api, count: int, **capacity: str) -> AsyncIterator[HollowNodes]:
    wish = Wish(count=count, prefix="n", capacity={"cpu": "4", "memory": "8Gi", "pods": "10", **capacity})
    made = HollowNodes(client(api, "hollow"), SystemClock(), wish)
    await made.start()
    try:
        yield made
    finally:
        await made.close()


def pod(name: str, cpu: str = "100m", **spec) -> dict:
    container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu}}}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": {"containers": [container], **spec}}


async def until(holds: Callable, seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not await holds():
            await asyncio.sleep(0.01)


async def placed(api: Api) -> dict[str, str]:
    found = (await client(api).list(PODS)).items
    return {one["metadata"]["name"]: one["spec"].get("nodeName", "") for one in found}


async def events(api: Api, reason: str) -> list[dict]:
    return [event for event in (await client(api).list(EVENTS)).items if event["reason"] == reason]


async def all_bound(api: Api) -> bool:
    return all((await placed(api)).values())


async def counted(api: Api, reason: str, count: int) -> bool:
    return len(await events(api, reason)) == count


async def are_bound(api: Api, *names: str) -> bool:
    found = await placed(api)
    return all(found[name] for name in names)


async def has_failed(api: Api, name: str) -> bool:
    return any(event["regarding"]["name"] == name for event in await events(api, "FailedScheduling"))
