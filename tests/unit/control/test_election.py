"""Two contenders for a lease on a real server in memory: at most one leads at any time, and one does as soon as it may."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from sampan.api.kube.api import Api
from sampan.api.kube.local import LocalClient
from sampan.api.kube.request import User
from sampan.base.clock import SystemClock
from sampan.control.controller import LEASES
from sampan.control.elected import Elected
from sampan.control.election import Election
from sampan.kube.status import ApiError
from unit.control.server import server

LEASE_S, RENEW_S, RETRY_S = 1, 0.6, 0.02
NAMESPACE, NAME = "kube-system", "of-the-test"


class Client(LocalClient):
    """Can be cut off: then it asks, and is never answered."""

    cut = False

    async def _answer(self, *words, **options):
        while self.cut:
            await asyncio.sleep(0.01)
        return await super()._answer(*words, **options)


class Contender:
    def __init__(self, api: Api, name: str) -> None:
        self.name = name
        self.client = Client(api, User(name), name)
        self.election = Election(
            self.client,
            SystemClock(),
            name=NAME,
            namespace=NAMESPACE,
            identity=name,
            lease_s=LEASE_S,
            renew_s=RENEW_S,
            retry_s=RETRY_S,
        )

    @property
    def leads(self) -> bool:
        return not self.election.lost.is_set()

    async def spec(self) -> dict:
        return (await self.client.get(LEASES, NAMESPACE, NAME))["spec"]


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with server(SystemClock()) as api:
        yield api


@pytest.fixture
async def two(api) -> AsyncIterator[tuple[Contender, Contender]]:
    first, second = Contender(api, "first"), Contender(api, "second")
    yield first, second
    for contender in (first, second):
        contender.client.cut = False
        await contender.election.close()


async def test_one_leads_and_the_other_takes_over_what_is_given_back(two) -> None:
    first, second = two
    async with asyncio.timeout(5):
        await first.election.lead()
        waiting = asyncio.create_task(second.election.lead())
        await asyncio.sleep(LEASE_S * 1.2)  # renewed meanwhile
        assert (first.leads, second.leads) == (True, False)
        assert (await first.spec())["holderIdentity"] == "first"
        await first.election.close()
        began = asyncio.get_running_loop().time()
        await waiting
    assert asyncio.get_running_loop().time() - began < LEASE_S / 2, "a lease that is given back is not waited for"
    assert (first.leads, second.leads) == (False, True)
    spec = await second.spec()
    assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("second", 1)


async def test_a_leader_that_is_cut_off_stops_before_another_begins(two) -> None:
    first, second = two
    async with asyncio.timeout(8):
        await first.election.lead()
        loop = asyncio.get_running_loop()
        first.client.cut = True
        cut = loop.time()
        waiting = asyncio.create_task(second.election.lead())
        await first.election.lost.wait()
        assert not second.leads
        stopped = loop.time() - cut
        await waiting
        taken = loop.time() - cut
    assert stopped < LEASE_S * 0.9, "nobody answers it, and still it sees that its time is over"
    assert taken >= LEASE_S * 0.9


async def test_a_leader_whose_lease_was_taken_stops_at_once(two) -> None:
    first, second = two
    async with asyncio.timeout(5):
        await first.election.lead()
        while True:
            lease = await second.client.get(LEASES, NAMESPACE, NAME)
            lease["spec"]["holderIdentity"] = "somebody"
            try:
                await second.client.update(LEASES, lease)
            except ApiError:
                continue  # it was renewed in between
            break
        began = asyncio.get_running_loop().time()
        await first.election.lost.wait()
    assert asyncio.get_running_loop().time() - began < RENEW_S / 2


async def test_a_write_with_an_old_fence_is_refused(two) -> None:
    first, second = two
    await first.election.lead()
    fence = first.election.fence
    assert fence
    lease = await first.client.get(LEASES, NAMESPACE, NAME)
    await first.election.close()
    assert first.election.fence == ""
    await second.election.lead()
    lease["metadata"]["resourceVersion"] = fence
    with pytest.raises(ApiError) as refused:
        await first.client.update(LEASES, lease)
    assert refused.value.reason == "Conflict"


async def test_of_many_that_come_and_go_one_works_at_a_time(api) -> None:
    """Controllers are told of in the order of their starts and ends; two that work at once would show."""
    dice, told = random.Random(4), []

    class Worker:
        name = "worker"

        def __init__(self, who: str) -> None:
            self.who = who

        async def start(self) -> None:
            told.append(("start", self.who))

        async def close(self) -> None:
            await asyncio.sleep(0.02)
            told.append(("close", self.who))

    def elected(number: int) -> tuple[Contender, Elected]:
        contender = Contender(api, f"c{number}")
        return contender, Elected(contender.election, lambda: [Worker(contender.name)])

    running = [elected(number) for number in range(3)]
    for _, each in running:
        await each.start()
    for number in range(3, 9):
        while not any(contender.leads for contender, _ in running):
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.05)
        running.sort(key=lambda pair: pair[0].leads)
        contender, leaving = running.pop()
        if dice.random() < 0.3:
            contender.client.cut = True
            await contender.election.lost.wait()
            contender.client.cut = False
        await leaving.close()
        running.append(elected(number))
        await running[-1][1].start()
    for _, each in running:
        await each.close()
    starts, closes = told[::2], told[1::2]
    assert [who for _, who in starts] == [who for _, who in closes]
    assert {what for what, _ in starts} == {"start"}
    assert len(starts) >= 6
