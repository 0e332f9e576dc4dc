"""Claims that wait for their pod's node, on a real server in memory, with a volume controller that does the least that one does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from sampan.api.kube.api import Api
from sampan.api.kube.request import User
from sampan.base.clock import SystemClock
from sampan.client.port import Ref
from sampan.control.controller import PODS
from sampan.control.scheduling import volumes
from sampan.control.scheduling.answers import Answers
from sampan.control.scheduling.binding import Binding
from sampan.control.scheduling.cluster import Cluster, Placement
from sampan.control.scheduling.events import Events
from sampan.control.scheduling.following import CLAIMS, CLASSES, VOLUMES
from sampan.control.scheduling.gangs import GROUPS
from sampan.control.scheduling.pods import seen
from sampan.control.scheduling.reports import Reports
from sampan.kube.status import ApiError
from sampan.schedule.node import Node
from sampan.schedule.place import Scheduler
from sampan.schedule.shape import amounts, pairs
from unit.control.live import Client, all_bound, client, events, has_failed, nodes, placed, pod, scheduling, until

_MERGE = "application/merge-patch+json"
GIVEN = "pv.kubernetes.io/bound-by-controller"


def volume(name: str, node: str, size: str = "1Gi", **spec) -> dict:
    term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}
    on = {"required": {"nodeSelectorTerms": [term]}}
    has = {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], "storageClassName": "local"}
    return {"metadata": {"name": name}, "spec": {**has, "local": {"path": "/x"}, "nodeAffinity": on, **spec}}


def claim(name: str, size: str = "1Gi") -> dict:
    asks = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, "storageClassName": "local"}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": asks}


def using(name: str, *claims: str, **spec) -> dict:
    uses = [{"name": f"d{place}", "persistentVolumeClaim": {"claimName": one}} for place, one in enumerate(claims)]
    return pod(name, volumes=uses, **spec)


async def local(api: Api, *objects: dict) -> None:
    """Make the class whose volumes nobody makes, and volumes of it that are available."""
    by = {"provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "WaitForFirstConsumer"}
    await client(api).create(CLASSES, {"metadata": {"name": "local"}, **by})
    for one in objects:
        await client(api).create(VOLUMES, one)
        await available(api, one["metadata"]["name"])


async def available(api: Api, name: str) -> None:
    told = {"status": {"phase": "Available"}}
    await client(api).patch(VOLUMES, "", name, told, media=_MERGE, subresource="status")


@contextlib.asynccontextmanager
async def binding(api: Api) -> AsyncIterator[None]:
    """Complete the bindings that volumes begin."""
    task = asyncio.create_task(_complete(client(api, "controller")))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _complete(api: Client) -> None:
    listed = await api.list(VOLUMES)
    async for event in api.watch(VOLUMES, listed.resource_version):
        spec, name = event.object["spec"], event.object["metadata"]["name"]
        if event.type == "MODIFIED" and "claimRef" in spec and event.object["status"]["phase"] == "Available":
            await _bound(api, name, spec["claimRef"]["name"])


async def _bound(api: Client, name: str, claimed_by: str) -> None:
    bound, where = {"status": {"phase": "Bound"}}, ("default", claimed_by)
    await api.patch(VOLUMES, "", name, bound, media=_MERGE, subresource="status")
    await api.patch(CLAIMS, *where, {"spec": {"volumeName": name}}, media=_MERGE)
    await api.patch(CLAIMS, *where, bound, media=_MERGE, subresource="status")


async def volumes_of(api: Api) -> dict[str, str]:
    """Return the claim that each volume is for."""
    listed = (await client(api).list(VOLUMES)).items
    return {one["metadata"]["name"]: one["spec"].get("claimRef", {}).get("name", "") for one in listed}


async def test_each_pod_goes_where_its_claim_finds_a_volume_of_its_own(api):
    """There are as many volumes as pods, all of which are asked for at once."""
    await local(api, *[volume(f"v{number}", f"n-{number % 2}") for number in range(4)])
    async with nodes(api, 3, pods="20"), scheduling(client(api)), binding(api):
        for number in range(4):
            await client(api).create(CLAIMS, claim(f"c{number}"))
            await client(api).create(PODS, using(f"p{number}", f"c{number}"))
        await until(lambda: all_bound(api))
        where, whose = await placed(api), await volumes_of(api)
        assert sorted(whose.values()) == ["c0", "c1", "c2", "c3"]
        for name, of in whose.items():
            assert where[of.replace("c", "p")] == f"n-{int(name[1]) % 2}"
        one = await client(api).get(VOLUMES, "", "v0")
        theirs = await client(api).get(CLAIMS, "default", one["spec"]["claimRef"]["name"])
        assert one["spec"]["claimRef"]["uid"] == theirs["metadata"]["uid"]
        assert one["metadata"]["annotations"][GIVEN] == "yes"
        assert "annotations" not in theirs["metadata"]


async def test_a_pod_that_finds_no_volume_is_told_so_and_goes_when_there_is_one(api):
    await local(api, volume("small", "n-1"))
    async with nodes(api, 2), scheduling(client(api)), binding(api):
        await client(api).create(CLAIMS, claim("c", "2Gi"))
        await client(api).create(PODS, using("p", "c"))
        await until(lambda: has_failed(api, "p"))
        assert (await events(api, "FailedScheduling"))[0]["note"] == (
            "0/2 nodes are available: 2 node(s) didn't find available persistent volumes to bind. preemption: 0/2 nodes are "
            "available: 2 Preemption is not helpful for scheduling. The smallest change that would fit: on n-0, make a volume "
            "of class local and 2Gi or more for claim default/c available that it can reach."
        )
        await client(api).create(VOLUMES, volume("large", "n-1", "3Gi"))
        await available(api, "large")
        await until(lambda: all_bound(api))
        assert await placed(api) == {"p": "n-1"}
        assert await volumes_of(api) == {"small": "", "large": "c"}


async def test_a_volume_that_names_the_claim_is_the_claims(api):
    preset = {"claimRef": {"namespace": "default", "name": "c"}}
    await local(api, volume("any", "n-0"), volume("mine", "n-1", "5Gi", **preset))
    async with nodes(api, 2), scheduling(client(api)), binding(api):
        await client(api).create(CLAIMS, claim("c"))
        await client(api).create(PODS, using("p", "c"))
        await until(lambda: all_bound(api))
        assert await placed(api) == {"p": "n-1"}
        mine = await client(api).get(VOLUMES, "", "mine")
        assert mine["spec"]["claimRef"]["uid"]
        assert GIVEN not in mine["metadata"].get("annotations", {})


class Late(Client):
    """The first that it reads of a volume is taken by somebody else before it writes."""

    raced = False

    async def get(self, ref: Ref, namespace: str, name: str):
        if ref == VOLUMES and not self.raced:
            self.raced = True
            other = {"claimRef": {"kind": "PersistentVolumeClaim", "namespace": "default", "name": "other", "uid": "o"}}
            found = await super().get(ref, namespace, name)
            await self.patch(VOLUMES, "", name, {"spec": other}, media=_MERGE)
            return found
        return await super().get(ref, namespace, name)


async def test_who_loses_a_volume_to_another_has_another_turn(api):
    await local(api, volume("v0", "n-0"), volume("v1", "n-1"))
    late = Late(api, User("late"), "late")
    await client(api).create(CLAIMS, claim("other"))
    async with nodes(api, 2), scheduling(late), binding(api):
        await client(api).create(CLAIMS, claim("c"))
        await client(api).create(PODS, using("p", "c"))
        await until(lambda: all_bound(api))
        assert late.raced
        [lost] = [name for name, of in (await volumes_of(api)).items() if of == "other"]
        assert (await placed(api))["p"] == {"v0": "n-1", "v1": "n-0"}[lost]


async def test_a_volume_that_is_taken_away_while_it_is_bound_sends_the_pod_elsewhere(api):
    """Nobody completes the binding, and the volume is given to another by hand; a scheduler that starts then knows no more."""
    await local(api, volume("v0", "n-0"), volume("v1", "n-1"))
    async with nodes(api, 2):
        await client(api).create(CLAIMS, claim("c"))
        async with scheduling(client(api)):
            await client(api).create(PODS, using("p", "c"))
            await until(lambda: _given(api, "v0", "c"))
            await until(lambda: has_failed(api, "p"))
            assert (await events(api, "FailedScheduling"))[-1]["note"] == (
                "persistentvolumeclaim c: is to be bound to volume v0"
            )
            other = {"name": "other", "uid": "o"}
            await client(api).patch(VOLUMES, "", "v0", {"spec": {"claimRef": other}}, media=_MERGE)
            await until(lambda: _given(api, "v1", "c"))
        async with scheduling(client(api)), binding(api):
            await client(api).patch(VOLUMES, "", "v1", {"metadata": {"labels": {"look": "again"}}}, media=_MERGE)
            await until(lambda: all_bound(api))
            assert await placed(api) == {"p": "n-1"}


async def _given(api: Api, volume: str, claim: str) -> bool:
    return (await volumes_of(api))[volume] == claim


@pytest.mark.parametrize("code", [409, 500])
async def test_a_claim_that_cannot_be_written_has_another_turn(api, code):
    await local(api, volume("v0", "n-0"))

    class Refused(Client):
        left = 1

        async def patch(self, ref: Ref, *where, **how):
            if ref == VOLUMES and self.left:
                self.left = 0
                raise ApiError(code, "Conflict" if code == 409 else "InternalError", "not now")
            return await super().patch(ref, *where, **how)

    async with nodes(api, 1), scheduling(Refused(api, User("one"), "one")), binding(api):
        await client(api).create(CLAIMS, claim("c"))
        await client(api).create(PODS, using("p", "c"))
        await until(lambda: all_bound(api))


@pytest.mark.parametrize("reach, goes", [("a", True), ("b", False)])
async def test_claims_that_others_bind_before_the_pod_is_bound_are_waited_for_and_looked_at(api, reach, goes):
    """Their volume may be another than the pod was placed by."""
    cluster, clock = Cluster(), SystemClock()
    core, answers, told = Scheduler(cluster.snapshot), Answers(client(api), clock), Events(client(api), clock, "here")
    binding = Binding(cluster, core, answers, told, Reports(cluster, core, answers, told, clock))
    cluster.node(
        "a", Node(name="a", allocatable=amounts({"cpu": 900, "pods": 9}), labels=pairs({"kubernetes.io/hostname": "a"}))
    )
    late = {"provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "WaitForFirstConsumer"}
    cluster.storage_class("local", volumes.storage_class(late))
    free = {**volume("v", "a"), "status": {"phase": "Available"}}
    cluster.volume("v", volumes.volume(free))
    cluster.volume("w", volumes.volume(volume("w", reach)))
    cluster.claim("default", "c", volumes.claim(claim("c")))
    made = await client(api).create(PODS, using("p", "c"))
    one = seen(made)
    assert one is not None
    cluster.pod(None, one)
    wanted = cluster.whole(one)
    assert core.place([wanted]).placements == {"default/p": "a"}
    cluster.assumed["default/p"] = "a"
    named = claim("c")
    named["spec"]["volumeName"] = "w"
    cluster.claim("default", "c", volumes.claim(named))
    binding.start()
    try:
        binding.bind(Placement(wanted, "a"))
        await until(lambda: _idle(binding))
        assert await placed(api) == {"p": ""}
        cluster.claim("default", "c", volumes.claim({**named, "status": {"phase": "Bound"}}))
        binding.look()
        await until(lambda: _idle(binding))
        assert await placed(api) == {"p": "a" if goes else ""}
        assert len(cluster.queue) == (not goes)
    finally:
        await binding.close()


async def _idle(binding: Binding) -> bool:
    return not binding.under_way


async def a_gang_that_waits_for_volumes(api: Api) -> None:
    """Make a gang of which two pods use claims, and one does not."""
    await local(api, *[volume(f"v{number}", f"n-{number}") for number in range(2)])
    least = {"schedulingPolicy": {"gang": {"minCount": 3}}}
    await client(api).create(GROUPS, {"metadata": {"name": "g", "namespace": "default"}, "spec": least})
    of = {"podGroupName": "g"}
    for number in range(2):
        await client(api).create(CLAIMS, claim(f"c{number}"))
        await client(api).create(PODS, using(f"p{number}", f"c{number}", schedulingGroup=of))
    await client(api).create(PODS, pod("plain", schedulingGroup=of))
    await until(lambda: _all_given(api))


async def _all_given(api: Api) -> bool:
    return sorted((await volumes_of(api)).values()) == ["c0", "c1"]


async def test_none_of_a_gang_is_bound_before_the_claims_of_all_are(api):
    async with nodes(api, 2), scheduling(client(api)):
        await a_gang_that_waits_for_volumes(api)
        for name, of in (await volumes_of(api)).items():
            await asyncio.sleep(0.2)
            assert not any((await placed(api)).values())
            await _bound(client(api), name, of)
        await until(lambda: all_bound(api))
        where = await placed(api)
        for name, of in (await volumes_of(api)).items():
            assert where[of.replace("c", "p")] == name.replace("v", "n-")


async def test_one_of_a_gang_whose_claim_goes_takes_the_others_with_it(api):
    async with nodes(api, 2), scheduling(client(api)):
        await a_gang_that_waits_for_volumes(api)
        await client(api).delete(CLAIMS, "default", "c0")
        await until(lambda: _is_said(api, "plain", "1 of its gang, such as default/p0, lost their places"))
        assert not any((await placed(api)).values())


async def _is_said(api: Api, name: str, what: str) -> bool:
    found = await events(api, "FailedScheduling")
    return any(event["regarding"]["name"] == name and what in event["note"] for event in found)
