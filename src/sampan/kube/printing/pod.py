"""The row of a pod: one word for all that its containers are going through.

Spec: Kubernetes documentation, "Pod Lifecycle"; the columns are those of kubectl 1.37.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sampan.kube.object import Object, at
from sampan.kube.printing import age as ages
from sampan.kube.printing.cell import AGE, NAME, NONE, age, condition, deleting, holds, name
from sampan.kube.reading import flag, items, number, text
from sampan.kube.strategy import Column, Printer


class Containers(NamedTuple):
    """What the statuses of a group of containers come to. `reason` is "" where they have nothing to say."""

    reason: str = ""
    ready: int = 0
    restarts: int = 0
    last_restart_s: float = 0.0
    pending: bool = False  # an init container that holds the others up


def _cells(pod: Object, now_s: float) -> list[Any]:
    sidecars = {text(each, "name") for each in items(pod, "spec", "initContainers") if _sidecar(each)}
    init, found = _summary(pod, sidecars)
    total = len(items(pod, "spec", "containers")) + len(sidecars)
    gates = items(pod, "spec", "readinessGates")
    open_gates = sum(holds(pod, text(gate, "conditionType")) for gate in gates)
    return [
        name(pod),
        f"{init.ready + found.ready}/{total}",
        _status(pod, found.reason),
        _restarts(found, now_s),
        age(pod, now_s),
        next((text(each, "ip") for each in items(pod, "status", "podIPs")), "") or NONE,
        text(pod, "spec", "nodeName", missing=NONE),
        text(pod, "status", "nominatedNodeName", missing=NONE),
        f"{open_gates}/{len(gates)}" if gates else NONE,
    ]


def _sidecar(container: Any) -> bool:
    return text(container, "restartPolicy") == "Always"


def _summary(pod: Object, sidecars: set[str]) -> tuple[Containers, Containers]:
    """Return the init containers' part, and the whole with the reason and restarts to show."""
    init = _init(pod, sidecars)
    if init.pending and not holds(pod, "Initialized"):
        return init, init._replace(ready=0)
    kept = [each for each in items(pod, "status", "initContainerStatuses") if text(each, "name") in sidecars]
    main = _main(pod, init.reason)
    return init, main._replace(
        restarts=main.restarts + sum(number(each, "restartCount") for each in kept),
        last_restart_s=max([main.last_restart_s, *map(_last_restart_s, kept)]),
    )


def _init(pod: Object, sidecars: set[str]) -> Containers:
    """Look at init containers in order, up to the first that has neither ended well nor started as a sidecar."""
    ready, restarts, last_s = 0, 0, 0.0
    for index, status in enumerate(items(pod, "status", "initContainerStatuses")):
        restarts += number(status, "restartCount")
        last_s = max(last_s, _last_restart_s(status))
        ended = at(status, "state", "terminated")
        if isinstance(ended, dict) and number(ended, "exitCode") == 0:
            continue
        if text(status, "name") in sidecars and flag(status, "started"):
            ready += flag(status, "ready")
            continue
        waiting = text(status, "state", "waiting", "reason")
        if isinstance(ended, dict):
            reason = f"Init:{_end(ended)}"
        elif waiting not in ("", "PodInitializing"):
            reason = f"Init:{waiting}"
        else:
            reason = f"Init:{index}/{len(items(pod, 'spec', 'initContainers'))}"
        return Containers(reason, ready, restarts, last_s, pending=True)
    return Containers("", ready)


def _main(pod: Object, before: str) -> Containers:
    """Look at the containers from the last to the first, whose word counts most."""
    reason, error, ready, restarts, last_s = before, "", 0, 0, 0.0
    for status in reversed(items(pod, "status", "containerStatuses")):
        restarts += number(status, "restartCount")
        last_s = max(last_s, _last_restart_s(status))
        waiting = text(status, "state", "waiting", "reason")
        ended = at(status, "state", "terminated")
        if waiting:
            reason = waiting
        elif isinstance(ended, dict):
            reason = _end(ended)
            if number(ended, "exitCode"):
                error = reason
        elif flag(status, "ready") and isinstance(at(status, "state", "running"), dict):
            ready += 1
    if reason == "Completed":
        if ready and holds(pod, "Ready"):
            reason = "Running"
        elif error or ready:
            reason = error or "NotReady"
    return Containers(reason, ready, restarts, last_s)


def _end(ended: Any) -> str:
    """Return why a container ended: its reason, signal or exit code."""
    if signal := number(ended, "signal"):
        return text(ended, "reason", missing=f"Signal:{signal}")
    return text(ended, "reason", missing=f"ExitCode:{number(ended, 'exitCode')}")


def _last_restart_s(status: Any) -> float:
    return ages.moment(at(status, "lastState", "terminated", "finishedAt")) or 0.0


def _status(pod: Object, reason: str) -> str:
    phase, why = text(pod, "status", "phase"), text(pod, "status", "reason")
    if deleting(pod) and why == "NodeLost":
        return "Unknown"
    if deleting(pod) and phase not in ("Succeeded", "Failed"):
        return "Terminating"
    if reason:
        return reason
    gated = condition(pod, "PodScheduled").get("reason") == "SchedulingGated"
    return "SchedulingGated" if gated else why or phase


def _restarts(found: Containers, now_s: float) -> str:
    if not found.restarts or not found.last_restart_s:
        return str(found.restarts)
    return f"{found.restarts} ({ages.human(now_s - found.last_restart_s)} ago)"


_ENDED = {"Succeeded": "The pod has completed successfully.", "Failed": "The pod failed."}


def _row_conditions(pod: Object) -> list[Object]:
    """Return that a pod has ended, so that clients may leave it out."""
    phase = text(pod, "status", "phase")
    if phase not in _ENDED:
        return []
    return [{"type": "Completed", "status": "True", "reason": phase, "message": _ENDED[phase]}]


POD = Printer(
    (
        NAME,
        Column("Ready", description="How many of the pod's containers are ready."),
        Column("Status", description="What the pod's containers are doing, in one word."),
        Column("Restarts", description="How often containers were restarted, and when the last one was."),
        AGE,
        Column("IP", description="The pod's first address.", priority=1),
        Column("Node", description="The node that the pod is bound to.", priority=1),
        Column("Nominated Node", description="The node on which room is being made for the pod.", priority=1),
        Column("Readiness Gates", description="How many of the pod's readiness gates are open.", priority=1),
    ),
    _cells,
    conditions=_row_conditions,
)
