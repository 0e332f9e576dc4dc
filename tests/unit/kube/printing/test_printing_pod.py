"""READY, STATUS and RESTARTS of pods in all their states, as `kubectl get pods` shows them."""

from __future__ import annotations

from typing import Any

import pytest

from sampan.kube.printing.pod import POD
from sampan.kube.printing.table import row

NOW_S = 1_704_067_200 + 3600  # 2024-01-01T01:00:00Z

RUNNING = {"running": {"startedAt": "2024-01-01T00:00:00Z"}}


def done(code: int = 0, reason: str = "", signal: int = 0) -> dict[str, Any]:
    ended: dict[str, Any] = {"exitCode": code}
    if reason:
        ended["reason"] = reason
    if signal:
        ended["signal"] = signal
    return {"terminated": ended}


def waiting(reason: str) -> dict[str, Any]:
    return {"waiting": {"reason": reason}}


def status(
    name: str, state: dict[str, Any], *, ready: bool = False, restarts: int = 0, last: str = "", **more: Any
) -> Any:
    found = {"name": name, "state": state, "ready": ready, "restartCount": restarts, **more}
    if last:
        found["lastState"] = {"terminated": {"exitCode": 1, "finishedAt": last}}
    return found


def pod(
    phase: str,
    *containers: Any,
    init: tuple[Any, ...] = (),
    sidecars: tuple[str, ...] = (),
    reason: str = "",
    conditions: tuple[tuple[str, str], ...] = (),
    deleting: bool = False,
    scheduled: str = "",
    count: int | None = None,
) -> Any:
    names = [each["name"] for each in containers] or [f"c{i}" for i in range(count or 1)]
    obj: Any = {
        "metadata": {"name": "web", "creationTimestamp": "2024-01-01T00:00:00Z"},
        "spec": {
            "containers": [{"name": name} for name in names],
            "initContainers": [
                {"name": each["name"], **({"restartPolicy": "Always"} if each["name"] in sidecars else {})}
                for each in init
            ],
        },
        "status": {
            "phase": phase,
            "containerStatuses": list(containers),
            "initContainerStatuses": list(init),
            "conditions": [{"type": name, "status": value} for name, value in conditions],
        },
    }
    if reason:
        obj["status"]["reason"] = reason
    if scheduled:
        obj["status"]["conditions"].append({"type": "PodScheduled", "status": "False", "reason": scheduled})
    if deleting:
        obj["metadata"]["deletionTimestamp"] = "2024-01-01T00:59:00Z"
    return obj


READY = (("Ready", "True"), ("Initialized", "True"))

CASES: list[tuple[str, Any, str]] = [
    ("new", pod("Pending"), "web 0/1 Pending 0 60m"),
    ("gated", pod("Pending", scheduled="SchedulingGated"), "web 0/1 SchedulingGated 0 60m"),
    ("creating", pod("Pending", status("a", waiting("ContainerCreating"))), "web 0/1 ContainerCreating 0 60m"),
    ("runs", pod("Running", status("a", RUNNING, ready=True), conditions=READY), "web 1/1 Running 0 60m"),
    ("not ready", pod("Running", status("a", RUNNING)), "web 0/1 Running 0 60m"),
    ("half", pod("Running", status("a", RUNNING, ready=True), status("b", RUNNING)), "web 1/2 Running 0 60m"),
    ("pull", pod("Pending", status("a", waiting("ImagePullBackOff"))), "web 0/1 ImagePullBackOff 0 60m"),
    (
        "loop",
        pod("Running", status("a", waiting("CrashLoopBackOff"), restarts=3, last="2024-01-01T00:55:00Z")),
        "web 0/1 CrashLoopBackOff 3 (5m ago) 60m",
    ),
    (
        "latest restart counts",
        pod(
            "Running",
            status("a", RUNNING, ready=True, restarts=1, last="2024-01-01T00:10:00Z"),
            status("b", RUNNING, ready=True, restarts=2, last="2024-01-01T00:59:30Z"),
        ),
        "web 2/2 Running 3 (30s ago) 60m",
    ),
    ("restarts of unknown time", pod("Running", status("a", RUNNING, ready=True, restarts=4)), "web 1/1 Running 4 60m"),
    ("completed", pod("Succeeded", status("a", done(reason="Completed"))), "web 0/1 Completed 0 60m"),
    ("error", pod("Failed", status("a", done(1, "Error"))), "web 0/1 Error 0 60m"),
    ("oom", pod("Failed", status("a", done(137, "OOMKilled"))), "web 0/1 OOMKilled 0 60m"),
    ("code", pod("Failed", status("a", done(3))), "web 0/1 ExitCode:3 0 60m"),
    ("signal", pod("Failed", status("a", done(137, signal=9))), "web 0/1 Signal:9 0 60m"),
    (
        "one done, one runs",
        pod("Running", status("a", done(reason="Completed")), status("b", RUNNING, ready=True), conditions=READY),
        "web 1/2 Running 0 60m",
    ),
    (
        "one done, one runs, pod not ready",
        pod("Running", status("a", done(reason="Completed")), status("b", RUNNING, ready=True)),
        "web 1/2 NotReady 0 60m",
    ),
    (
        "one done, one failed",
        pod("Running", status("a", done(reason="Completed")), status("b", done(2, "Error"))),
        "web 0/2 Error 0 60m",
    ),
    ("evicted", pod("Failed", reason="Evicted"), "web 0/1 Evicted 0 60m"),
    ("leaving", pod("Running", status("a", RUNNING, ready=True), deleting=True), "web 1/1 Terminating 0 60m"),
    (
        "done and leaving",
        pod("Succeeded", status("a", done(reason="Completed")), deleting=True),
        "web 0/1 Completed 0 60m",
    ),
    ("node lost", pod("Running", status("a", RUNNING), reason="NodeLost", deleting=True), "web 0/1 Unknown 0 60m"),
    (
        "init 0",
        pod("Pending", init=(status("i", RUNNING), status("j", waiting("PodInitializing")))),
        "web 0/1 Init:0/2 0 60m",
    ),
    ("init 1", pod("Pending", init=(status("i", done()), status("j", RUNNING))), "web 0/1 Init:1/2 0 60m"),
    ("init error", pod("Pending", init=(status("i", done(1, "Error"), restarts=2),)), "web 0/1 Init:Error 2 60m"),
    ("init code", pod("Pending", init=(status("i", done(4)),)), "web 0/1 Init:ExitCode:4 0 60m"),
    ("init signal", pod("Pending", init=(status("i", done(137, signal=9)),)), "web 0/1 Init:Signal:9 0 60m"),
    (
        "init loop",
        pod("Pending", init=(status("i", waiting("CrashLoopBackOff"), restarts=2, last="2024-01-01T00:58:00Z"),)),
        "web 0/1 Init:CrashLoopBackOff 2 (2m ago) 60m",
    ),
    (
        "init over",
        pod("Pending", status("a", waiting("PodInitializing")), init=(status("i", done()),)),
        "web 0/1 PodInitializing 0 60m",
    ),
    (
        "restarts of init containers are forgotten",
        pod("Running", status("a", RUNNING, ready=True), init=(status("i", done(), restarts=5),), conditions=READY),
        "web 1/1 Running 0 60m",
    ),
    (
        "sidecar",
        pod(
            "Running",
            status("a", RUNNING, ready=True),
            init=(status("s", RUNNING, ready=True, started=True, restarts=1, last="2024-01-01T00:50:00Z"),),
            sidecars=("s",),
            conditions=READY,
        ),
        "web 2/2 Running 1 (10m ago) 60m",
    ),
    (
        "sidecar starts",
        pod(
            "Pending",
            init=(status("s", RUNNING, started=False), status("i", waiting("PodInitializing"))),
            sidecars=("s",),
        ),
        "web 0/2 Init:0/2 0 60m",
    ),
    (
        "sidecar ready, then init",
        pod("Pending", init=(status("s", RUNNING, started=True, ready=True), status("i", RUNNING)), sidecars=("s",)),
        "web 1/2 Init:1/2 0 60m",
    ),
    (
        "sidecar broke later",
        pod(
            "Running",
            status("a", RUNNING, ready=True),
            init=(status("s", waiting("CrashLoopBackOff"), restarts=1),),
            sidecars=("s",),
            conditions=READY,
        ),
        "web 1/2 Init:CrashLoopBackOff 1 60m",
    ),
]


@pytest.mark.parametrize(("obj", "line"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_row(obj: Any, line: str) -> None:
    cells = POD.cells(obj, NOW_S)
    assert " ".join(cells[:5]) == line
    assert len(cells) == len(POD.columns)


def test_wide() -> None:
    obj = pod("Running", conditions=(("a", "True"), ("b", "False")))
    assert POD.cells(obj, NOW_S)[5:] == ["<none>", "<none>", "<none>", "<none>"]
    obj["spec"] |= {"nodeName": "n1", "readinessGates": [{"conditionType": each} for each in "abc"]}
    obj["status"] |= {"podIPs": [{"ip": "10.0.0.7"}, {"ip": "fd00::7"}], "nominatedNodeName": "n2"}
    assert POD.cells(obj, NOW_S)[5:] == ["10.0.0.7", "n1", "n2", "1/3"]


@pytest.mark.parametrize("phase", ["Pending", "Running", "Unknown"])
def test_rows_of_pods_that_have_not_ended_say_nothing_else(phase: str) -> None:
    assert "conditions" not in row(POD, pod(phase), now_s=NOW_S)


def test_rows_say_that_a_pod_has_ended() -> None:
    ended = {"type": "Completed", "status": "True"}
    done = {**ended, "reason": "Succeeded", "message": "The pod has completed successfully."}
    assert row(POD, pod("Succeeded"), now_s=NOW_S)["conditions"] == [done]
    failed = {**ended, "reason": "Failed", "message": "The pod failed."}
    assert row(POD, pod("Failed"), now_s=NOW_S)["conditions"] == [failed]
