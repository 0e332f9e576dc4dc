"""Gangs whose pods have to wait: none is bound before all of them can be, and where one loses its place all give theirs back."""

from __future__ import annotations

import asyncio

import pytest

from sampan.api.kube.api import Api
from sampan.api.kube.request import User
from sampan.client.port import Ref
from sampan.control.controller import PODS
from sampan.control.scheduling.following import NODES
from sampan.control.scheduling.gangs import GROUPS
from sampan.kube.status import ApiError
from unit.control.live import (
    Client,
    all_bound,
    are_bound,
    client,
    counted,
    events,
    has_failed,
    nodes,
    placed,
    pod,
    scheduling,
    until,
)

MERGE = "application/merge-patch+json"
NOW = {"gracePeriodSeconds": 0}


async def group(api: Api, name: str, least: int) -> None:
    spec = {"schedulingPolicy": {"gang": {"minCount": least}}}
    await client(api).create(GROUPS, {"metadata": {"name": name, "namespace": "default"}, "spec": spec})


async def make(api: Api, *pods: dict) -> None:
    for one in pods:
        await client(api).create(PODS, one)


def member(name: str, cpu: str = "3", of: str = "g", priority: int = 5, **spec) -> dict:
    return pod(name, cpu, priority=priority, schedulingGroup={"podGroupName": of}, **spec)


def on(node: str) -> dict:
    return {"kubernetes.io/hostname": node}


async def held_up(api: Api, *where: str, cpu: str = "3") -> None:
    """Put a pod of low priority on each of these nodes, `low-NODE`, that does not end before it is let go."""
    for node in where:
        low = pod(f"low-{node}", cpu, priority=1, nodeSelector=on(node))
        low["metadata"]["finalizers"] = ["example.com/look"]
        await make(api, low)
    await until(lambda: are_bound(api, *(f"low-{node}" for node in where)))


async def let_go(api: Api, *where: str) -> None:
    for node in where:
        await client(api).patch(PODS, "default", f"low-{node}", {"metadata": {"finalizers": None}}, media=MERGE)


async def cordon(api: Api, node: str, *, cordoned: bool = True) -> None:
    await client(api).patch(NODES, "", node, {"spec": {"unschedulable": cordoned or None}}, media=MERGE)


async def ending(api: Api) -> set[str]:
    """Return the pods that are being deleted."""
    found = (await client(api).list(PODS)).items
    return {one["metadata"]["name"] for one in found if "deletionTimestamp" in one["metadata"]}


async def nominated(api: Api) -> dict[str, str]:
    found = (await client(api).list(PODS)).items
    return {
        one["metadata"]["name"]: one["status"]["nominatedNodeName"]
        for one in found
        if "nominatedNodeName" in one["status"]
    }


async def waits(api: Api, *names: str, evicts: int = 1) -> None:
    """Return when a gang's room is being made; none of it is bound then, nor soon after."""
    await until(lambda: counted(api, "Preempted", evicts))
    await none_is_bound(api, *names)


async def none_is_bound(api: Api, *names: str) -> None:
    await asyncio.sleep(0.2)
    found = await placed(api)
    assert [found[name] for name in names] == ["" for _ in names]


async def two_that_wait(api: Api) -> None:
    """Make a gang of `a` and `b` for one of which a pod on n-0 has to end, and does not yet."""
    await held_up(api, "n-0")
    await group(api, "g", 2)
    await make(api, member("a"), member("b"))
    await waits(api, "a", "b")


async def test_none_is_bound_before_the_victims_of_all_have_ended(api):
    async with nodes(api, 3), scheduling(client(api, "one")):
        await held_up(api, "n-0", "n-1")
        await group(api, "g", 3)
        await make(api, member("a"), member("b"), member("c"))  # one of them needs no eviction
        await waits(api, "a", "b", "c", evicts=2)
        assert sorted((await nominated(api)).values()) == ["n-0", "n-1", "n-2"]
        await let_go(api, "n-0")
        await none_is_bound(api, "a", "b", "c")
        await let_go(api, "n-1")
        await until(lambda: all_bound(api))
        assert sorted((await placed(api)).values()) == ["n-0", "n-1", "n-2"]


async def test_while_they_wait_they_say_so(api):
    async with nodes(api, 2), scheduling(client(api, "one")):
        await two_that_wait(api)
        last = {event["regarding"]["name"]: event["note"] for event in await events(api, "FailedScheduling")}
        assert sorted(last) == ["a", "b"]
        assert "gang default/g: room is made for 1 of its 2 pods" in last.values()
        await let_go(api, "n-0")
        await until(lambda: all_bound(api))


async def test_one_that_loses_its_place_takes_the_others_with_it(api):
    async with nodes(api, 2), scheduling(client(api, "one")):
        await two_that_wait(api)
        await make(api, pod("vip", "4", priority=9, nodeSelector=on("n-1")))
        await until(lambda: are_bound(api, "vip"))  # nobody had to end for it
        await until(lambda: has_said(api, "1 of at least 2 pods fit", "a", "b"))
        await make(api, pod("single", "4"))
        await none_is_bound(api, "a", "b", "single")  # the victim has not ended
        await let_go(api, "n-0")
        await until(lambda: are_bound(api, "single"))  # what the gang gave back
        found = await placed(api)
        assert (found["a"], found["b"], found["vip"], found["single"]) == ("", "", "n-1", "n-0")
        await client(api).delete(PODS, "default", "vip", NOW)
        await client(api).delete(PODS, "default", "single", NOW)
        await until(lambda: all_bound(api))


async def test_a_node_that_was_cordoned_meanwhile_is_one_too_few(api):
    async with nodes(api, 2), scheduling(client(api, "one")):
        await two_that_wait(api)
        await cordon(api, "n-1")
        await let_go(api, "n-0")
        await none_is_bound(api, "a", "b")
        assert await has_said(api, "1 of its gang, such as default/", "a", "b")
        await cordon(api, "n-1", cordoned=False)
        await until(lambda: all_bound(api))


class Refusing(Client):
    """Pods of the names `kept` are not deleted."""

    def __init__(self, api: Api, error: Exception, *kept: str) -> None:
        super().__init__(api, User("refusing"), "refusing")
        self.error, self.kept = error, set(kept)

    async def delete(self, ref: Ref, namespace: str, name: str, options=None):
        if name in self.kept:
            raise self.error
        return await super().delete(ref, namespace, name, options)


@pytest.mark.parametrize("error", [ApiError(403, "Forbidden", "it is kept"), RuntimeError("a defect")])
async def test_a_victim_that_cannot_be_evicted_leaves_all_without_their_places(api, error):
    one = Refusing(api, error, "low-n-0")
    async with nodes(api, 2), scheduling(one):
        await held_up(api, "n-0")
        await group(api, "g", 2)
        await make(api, member("a"), member("b"))
        await until(lambda: has_said(api, "no room could be made", "a", "b"))
        assert not await nominated(api)
        await make(api, pod("single", "4"))
        await until(lambda: are_bound(api, "single"))  # what the gang gave back
        found = await placed(api)
        assert (found["a"], found["b"], found["low-n-0"], found["single"]) == ("", "", "n-0", "n-1")
        await client(api).delete(PODS, "default", "single", NOW)
        one.kept = set()
        await let_go(api, "n-0")
        await until(lambda: all_bound(api))


async def has_said(api: Api, what: str, *names: str) -> bool:
    found = await events(api, "FailedScheduling")
    return {event["regarding"]["name"] for event in found if what in event["note"]} >= set(names)


class Halting(Client):
    """Whatever it is to say of the pod `held` waits for `go_on`."""

    def __init__(self, api: Api, held: str) -> None:
        super().__init__(api, User("halting"), "halting")
        self.held, self.halted, self.go_on = held, asyncio.Event(), asyncio.Event()

    async def patch(self, ref: Ref, namespace: str, name: str, body, **how):
        if name == self.held and "conditions" in body.get("status", {}):
            self.halted.set()
            await self.go_on.wait()
        return await super().patch(ref, namespace, name, body, **how)


async def test_who_was_not_evicted_yet_stays_when_the_room_is_not_needed_any_more(api):
    halting = Halting(api, "low-n-0")
    async with nodes(api, 2), scheduling(halting):
        await held_up(api, "n-0", "n-1")
        await group(api, "g", 2)
        await make(api, member("a"), member("b"))
        await halting.halted.wait()
        await client(api).delete(PODS, "default", "a", NOW)
        await until(lambda: has_said(api, "1 of at least 2 pods are there", "b"))
        halting.go_on.set()
        await until(lambda: counted(api, "Preempted", 1))
        await asyncio.sleep(0.3)
        assert await ending(api) == {"low-n-0"}


async def test_who_was_not_evicted_yet_stays_when_the_pod_that_needed_the_room_has_gone(api):
    halting = Halting(api, "low0")
    async with nodes(api, 1), scheduling(halting):
        await make(api, *(pod(f"low{number}", "2", priority=1) for number in range(2)))
        await until(lambda: all_bound(api))
        await make(api, pod("vip", "4", priority=5))
        await halting.halted.wait()
        await client(api).delete(PODS, "default", "vip", NOW)
        await asyncio.sleep(0.2)
        halting.go_on.set()
        await until(lambda: counted(api, "Preempted", 1))
        await asyncio.sleep(0.3)
        assert "low1" in await placed(api)
        assert not await ending(api)


async def test_one_that_comes_while_its_gang_waits_is_bound_after_it(api):
    async with nodes(api, 3), scheduling(client(api, "one")):
        await held_up(api, "n-0")
        await group(api, "g", 2)
        await make(api, member("a", nodeSelector=on("n-0")), member("b", nodeSelector=on("n-1")))
        await waits(api, "a", "b")
        await make(api, member("late", nodeSelector=on("n-2")))
        await until(lambda: has_failed(api, "late"))
        await asyncio.sleep(0.2)
        assert not (await placed(api))["late"]
        await let_go(api, "n-0")
        await until(lambda: all_bound(api))
        await make(api, member("later", "1"))
        await until(lambda: all_bound(api))
        assert not await has_failed(api, "later")


async def test_one_that_is_evicted_in_its_own_turn_takes_the_others_with_it(api):
    await group(api, "g", 2)
    await make(api, member("a", priority=1), pod("single", "3", priority=5), member("b", priority=9))
    async with nodes(api, 2), scheduling(client(api, "one")):
        await until(lambda: are_bound(api, "single"))
        await asyncio.sleep(0.3)
        found = await placed(api)
        assert (found["a"], found["b"]) == ("", "")
        await client(api).delete(PODS, "default", "single", NOW)
        await until(lambda: all_bound(api))


async def test_the_next_scheduler_takes_up_the_room_of_a_gang(api):
    async with nodes(api, 3):
        async with scheduling(client(api, "one")):
            await held_up(api, "n-0")
            await make(api, pod("half", "2", priority=2, nodeSelector=on("n-1")))
            await until(lambda: all_bound(api))
            await group(api, "g", 3)
            await make(api, member("a", "4"), member("b", "2"), member("c", "2"))
            await waits(api, "a", "b", "c")
            before = await nominated(api)
            assert set(before) == {"a", "b", "c"}
        async with scheduling(client(api, "two")):
            await none_is_bound(api, "a", "b", "c")
            assert await nominated(api) == before
            await let_go(api, "n-0")
            await until(lambda: are_bound(api, "a", "b", "c"))
            found = await placed(api)
            assert {name: found[name] for name in "abc"} == before
            assert len(await events(api, "Preempted")) == 1, "nobody is evicted besides"


async def test_the_next_scheduler_goes_on_with_evictions_that_were_begun(api):
    halting = Halting(api, "low-n-1")
    async with nodes(api, 2):
        async with scheduling(halting):
            await held_up(api, "n-0", "n-1")
            await group(api, "g", 2)
            await make(api, member("a"), member("b"))
            await halting.halted.wait()
            assert await ending(api) == {"low-n-0"}
        async with scheduling(client(api, "two")):
            await until(lambda: counted(api, "Preempted", 2))
            assert await ending(api) == {"low-n-0", "low-n-1"}
            await let_go(api, "n-0")
            await none_is_bound(api, "a", "b")
            await let_go(api, "n-1")
            await until(lambda: all_bound(api))
            assert len(await events(api, "Preempted")) == 2


async def test_a_binding_that_is_refused_leaves_the_others_where_they_are(api):
    one = client(api, "one")
    one.refuse = {"binding b": ApiError(409, "Conflict", "not this time")}
    await group(api, "g", 3)
    await make(api, member("a"), member("b"), member("c"))
    async with nodes(api, 3), scheduling(one):
        await until(lambda: are_bound(api, "a", "c"))
        assert not (await placed(api))["b"]
        await until(lambda: all_bound(api))  # by itself: the others run
        assert sorted((await placed(api)).values()) == ["n-0", "n-1", "n-2"]


async def test_a_binding_to_a_node_that_is_gone_leaves_the_others_where_they_are(api):
    one = client(api, "one")
    one.refuse = {"binding b": ApiError(404, "NotFound", 'nodes "n-1" not found')}
    await group(api, "g", 2)
    async with nodes(api, 2), scheduling(one):
        await make(api, member("a", nodeSelector=on("n-0")), member("b", nodeSelector=on("n-1")))
        await until(lambda: are_bound(api, "a"))
        await client(api).delete(NODES, "", "n-1")
        await until(lambda: has_failed(api, "b"))
        assert (await placed(api))["b"] == ""
        assert (await placed(api))["a"] == "n-0", "it runs on"
