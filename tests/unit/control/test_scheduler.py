"""The scheduler on a real server in memory: two at a time, refusals of the API, nodes that go, hollow nodes."""

from __future__ import annotations

import asyncio

from sampan.api.kube.api import Api
from sampan.api.kube.request import User
from sampan.base.clock import SystemClock
from sampan.client.port import Ref
from sampan.control.controller import PODS
from sampan.control.scheduler import PodScheduler
from sampan.control.scheduling.figures import Figures
from sampan.control.scheduling.following import NODES
from sampan.kube.status import ApiError
from sampan.schedule.ask import Ask
from sampan.schedule.plugin import Reach
from sampan.schedule.policy import profile_of
from sampan.schedule.profile import DEFAULT, FILTERS, Profile
from sampan.schedule.snapshot import Snapshot
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


async def test_two_at_once_place_each_pod_once(api):
    async with nodes(api, 3, pods="20"), scheduling(client(api, "one"), client(api, "two")):
        for number in range(30):
            await client(api).create(PODS, pod(f"p{number}"))
        await until(lambda: all_bound(api))
        await until(lambda: counted(api, "Scheduled", 30))
        await asyncio.sleep(0.3)  # whoever came too late says nothing of it
        for one in (await client(api).list(PODS)).items:
            [scheduled] = [item for item in one["status"]["conditions"] if item["type"] == "PodScheduled"]
            assert scheduled["status"] == "True"
        assert not await events(api, "FailedScheduling")


async def test_a_binding_that_is_refused_has_another_turn(api):
    one = client(api, "one")
    one.refuse = {"binding p": ApiError(500, "InternalError", "not now")}
    async with nodes(api, 1), scheduling(one):
        await client(api).create(PODS, pod("p"))
        await until(lambda: all_bound(api))
        [failed] = await events(api, "FailedScheduling")
        assert failed["note"] == 'binding rejected: running Bind plugin "DefaultBinder": not now'


class Slow(Client):
    """What is said of pods' states arrives when `arrives` is set."""

    def __init__(self, api: Api) -> None:
        super().__init__(api, User("slow"), "slow")
        self.arrives = asyncio.Event()

    async def patch(self, *where, subresource: str = "", **how):
        if subresource == "status":
            await self.arrives.wait()
        return await super().patch(*where, subresource=subresource, **how)


async def test_that_a_pod_did_not_fit_is_not_told_after_it_was_bound(api):
    slow = Slow(api)
    async with scheduling(slow):
        await client(api).create(PODS, pod("p"))
        await until(lambda: has_failed(api, "p"))
        async with nodes(api, 1):
            await asyncio.sleep(2)  # longer than it backs off
            assert await placed(api) == {"p": ""}
            slow.arrives.set()
            await until(lambda: all_bound(api))
            await asyncio.sleep(0.2)
            [found] = (await client(api).list(PODS)).items
            states = {item["type"]: item["status"] for item in found["status"]["conditions"]}
            assert states["PodScheduled"] == "True"


class Deaf(Client):
    """Its watches end at what is told while it is deaf; what they missed is too old to be told when they begin again."""

    def __init__(self, api: Api) -> None:
        super().__init__(api, User("deaf"), "deaf")
        self.deaf = False
        self.missed: list[Ref] = []
        self.reading: list[Ref] = []

    async def watch(self, ref: Ref, *where, **how):
        while self.deaf:
            await asyncio.sleep(0.01)
        if ref in self.missed:
            self.missed.remove(ref)
            self.reading.append(ref)
            raise ApiError(410, "Expired", "too old resource version")
        if ref in self.reading:
            self.reading.remove(ref)
        async for event in super().watch(ref, *where, **how):
            if self.deaf:
                self.missed.append(ref)
                return
            yield event

    async def behind(self, count: int) -> bool:
        return len(self.missed) + len(self.reading) == count


async def test_what_was_missed_for_too_long_is_read_again(api):
    deaf, tester, merge = Deaf(api), client(api), "application/merge-patch+json"
    async with nodes(api, 2), scheduling(deaf):
        for name in ("gone", "same"):
            await tester.create(PODS, pod(name, "2"))
        await until(lambda: all_bound(api))
        deaf.deaf = True
        for name in ("gone", "same"):
            await tester.delete(PODS, "default", name, {"gracePeriodSeconds": 0})
        await tester.create(PODS, pod("same", "3", schedulerName="mine"))
        binding = {"metadata": {"name": "same", "namespace": "default"}, "target": {"kind": "Node", "name": "n-0"}}
        await tester.create(PODS, binding, subresource="binding", name="same")
        await tester.patch(NODES, "", "n-1", {"spec": {"unschedulable": True}}, media=merge)
        await until(lambda: deaf.behind(2))  # pods and nodes
        deaf.deaf = False
        await until(lambda: deaf.behind(0))
        await tester.create(PODS, pod("p", "4"))
        await until(lambda: has_failed(api, "p"))
        [failed] = await events(api, "FailedScheduling")
        assert "1 Insufficient cpu, 1 node(s) were unschedulable" in failed["note"]
        await tester.patch(NODES, "", "n-1", {"spec": {"unschedulable": None}}, media=merge)
        await until(lambda: all_bound(api))
        assert await placed(api) == {"same": "n-0", "p": "n-1"}


class Broken:
    """A rule with a defect: it fails on pods of the label `bad`."""

    name, reach = "Broken", Reach.FIXED

    def prefilter(self, ask: Ask, snapshot: Snapshot) -> None:
        assert "bad" not in dict(ask.shape.labels)


async def test_a_pod_that_a_defect_is_about_holds_up_no_others(api):
    bad = pod("bad", priority=1)
    bad["metadata"]["labels"] = {"bad": "yes"}
    for one in (pod("first", priority=2), bad, pod("last")):
        await client(api).create(PODS, one)
    profile = Profile((*FILTERS, Broken()), DEFAULT.scores)
    async with nodes(api, 1):
        running = PodScheduler(client(api, "one"), SystemClock(), "here", profile)
        await running.start()
        try:
            await until(lambda: counted(api, "Scheduled", 2))
            assert await placed(api) == {"first": "n-0", "bad": "", "last": "n-0"}
        finally:
            await running.close()


class Picky:
    """A policy that fails on pods of the label `bad`, and wants others beside a database where they ask for it."""

    def filter(self, pod, nodes):
        if "bad" in pod.labels:
            raise ValueError("not this one")
        return nodes.pods({"app": "db"}) > 0 if "near" in pod.labels else nodes.free("cpu") >= 0


def labelled(name: str, **labels: str) -> dict:
    made = pod(name)
    made["metadata"]["labels"] = labels
    return made


async def test_a_pod_that_a_policy_fails_on_is_told_and_waits(api):
    figures = Figures()
    await client(api).create(PODS, labelled("bad", bad="yes"))
    await client(api).create(PODS, labelled("near", near="db"))
    async with nodes(api, 2):
        running = PodScheduler(client(api, "one"), SystemClock(), "here", profile_of(Picky()), figures)
        await running.start()
        try:
            await until(lambda: counted(api, "FailedScheduling", 2))
            told = {event["regarding"]["name"]: event["note"] for event in await events(api, "FailedScheduling")}
            assert told["bad"].startswith("policy Picky: filter failed (test_scheduler.py:")
            assert told["bad"].endswith("ValueError: not this one")
            assert told["near"].startswith("0/2 nodes are available: 2 node(s) were refused by policy Picky.")
            await client(api).create(PODS, labelled("db", app="db"))
            await until(lambda: are_bound(api, "db", "near"))  # a placement helps whom a policy refused
            found = await placed(api)
            assert found["near"] == found["db"]
            assert not found["bad"]
        finally:
            await running.close()
    assert figures.attempts["scheduled"] == 2
    assert figures.attempts["unschedulable"] >= 2
    assert figures.attempts["error"] == 0


async def test_what_it_does_is_counted(api):
    figures = Figures()
    one = client(api, "one")
    one.refuse = {"binding p0": ApiError(500, "InternalError", "not now")}
    async with nodes(api, 1):
        running = PodScheduler(one, SystemClock(), "here", DEFAULT, figures)
        await running.start()
        try:
            for number in range(3):
                await client(api).create(PODS, pod(f"p{number}", "1", priority=1))
            await until(lambda: all_bound(api))
            await client(api).create(PODS, pod("gated", schedulingGates=[{"name": "example.com/wait"}]))
            await client(api).create(PODS, pod("big", "5"))
            await until(lambda: has_failed(api, "big"))
            assert figures.pending() == {"active": 0, "backoff": 0, "unschedulable": 1, "gated": 1}
            await client(api).create(PODS, pod("vip", "3", priority=5))
            await until(lambda: are_bound(api, "vip"))
        finally:
            await running.close()
    assert figures.attempts == {"scheduled": 4, "unschedulable": figures.attempts["unschedulable"], "error": 1}
    assert figures.attempts["unschedulable"] >= 2
    assert sum(figures.attempt_s["scheduled"].counts) == 3  # vip waited for its victims to end
    assert 0 < figures.attempt_s["scheduled"].sum < 60
    assert {tries: sum(times.counts) for tries, times in figures.sli_s.items()} == {"1": 3, "2": 1}
    assert figures.sli_s["2"].sum > 1.0  # p0 rested a second
    assert (figures.victims.sum, sum(figures.victims.counts)) == (2, 1)
    assert figures.preemptions >= 2
    assert figures.pending() == {}


async def test_with_a_pod_at_most_so_many(api):
    async with nodes(api, 2), scheduling(client(api, "one")):
        for number in range(2):
            calm = labelled(f"calm{number}", app="calm")
            calm["metadata"]["annotations"] = {"sampan.dev/at-most": "1 of app=noisy; 0 of app=calm"}
            await client(api).create(PODS, calm)
        await until(lambda: all_bound(api))
        assert sorted((await placed(api)).values()) == ["n-0", "n-1"]
        for number in range(3):
            await client(api).create(PODS, labelled(f"noisy{number}", app="noisy"))
        await until(lambda: counted(api, "Scheduled", 4))
        await until(lambda: counted(api, "FailedScheduling", 1))
        [event] = await events(api, "FailedScheduling")
        assert event["note"] == (
            "0/2 nodes are available: 2 node(s) had pods that allow no more such pods beside them. "
            "preemption: 0/2 nodes are available: 2 No preemption victims found for incoming pod. "
            "The smallest change that would fit: on n-0, move the pods that allow no more such pods beside them."
        )
        calm = labelled("calm2", app="calm")
        calm["metadata"]["annotations"] = {"sampan.dev/at-most": "0 of app in (noisy, calm)"}
        await client(api).create(PODS, calm)
        await until(lambda: has_failed(api, "calm2"))
        told = [event["note"] for event in await events(api, "FailedScheduling")]
        assert any("2 node(s) had more pods than the pod allows beside it." in note for note in told)
        odd = labelled("odd")
        odd["metadata"]["annotations"] = {"sampan.dev/at-most": "two of app=noisy"}
        await client(api).create(PODS, odd)
        await until(lambda: has_failed(api, "odd"))
        told = [event["note"] for event in await events(api, "FailedScheduling")]
        assert any('"two of app=noisy": write it as "2 of app=noisy"' in note for note in told)


async def test_a_node_that_goes_takes_no_pods(api):
    async with scheduling(client(api, "one")):
        async with nodes(api, 1):
            await client(api).create(PODS, pod("a"))
            await until(lambda: all_bound(api))
        await client(api).create(PODS, pod("b"))
        await until(lambda: counted(api, "FailedScheduling", 1))
        [failed] = await events(api, "FailedScheduling")
        assert failed["note"] == "no nodes available to schedule pods"
        assert (failed["reportingController"], failed["type"], failed["action"]) == (
            "default-scheduler",
            "Warning",
            "Scheduling",
        )
        async with nodes(api, 1):
            await until(lambda: all_bound(api))


async def test_pods_of_higher_priority_have_their_turn_first(api):
    for number in range(4):
        await client(api).create(PODS, pod(f"low{number}", "3", priority=1))
    await client(api).create(PODS, pod("high", "3", priority=5))
    async with nodes(api, 1), scheduling(client(api, "one")):
        await until(lambda: counted(api, "Scheduled", 1))
        assert (await placed(api))["high"] == "n-0"
        assert not await events(api, "Preempted")


async def test_who_makes_room_for_a_pod_that_goes_is_counted_again(api):
    async with nodes(api, 1), scheduling(client(api, "one")):
        finalized = pod("victim", "3", priority=1)
        finalized["metadata"]["finalizers"] = ["example.com/look"]
        await client(api).create(PODS, finalized)
        await until(lambda: all_bound(api))
        await client(api).create(PODS, pod("vip", "3", priority=5))
        await until(lambda: counted(api, "Preempted", 1))
        await client(api).delete(PODS, "default", "vip", {"gracePeriodSeconds": 0})
        await client(api).create(PODS, pod("late", "3", priority=1))
        await until(lambda: has_failed(api, "late"))  # the victim has not ended
        release = {"metadata": {"finalizers": None}}
        await client(api).patch(PODS, "default", "victim", release, media="application/merge-patch+json")
        await until(lambda: all_bound(api))
        assert (await placed(api)) == {"late": "n-0"}


async def test_hollow_nodes_are_ready_and_leave_nothing(api):
    async with nodes(api, 5):
        found = (await client(api).list(NODES)).items
        assert [node["status"]["conditions"][-1]["type"] for node in found] == 5 * ["Ready"]
        assert not any(node["spec"].get("taints") for node in found)
    assert not (await client(api).list(NODES)).items
