"""Rows of apps/v1 and batch/v1."""

from __future__ import annotations

from typing import Any

from sampan.kube.object import Object, at
from sampan.kube.printing import age as ages
from sampan.kube.printing.cell import (
    AGE,
    NAME,
    NONE,
    SELECTOR,
    TEMPLATE,
    UNSET,
    age,
    deleting,
    holds,
    labels,
    name,
    printer,
    selector,
    template,
)
from sampan.kube.reading import items, number, text
from sampan.kube.strategy import Column, Printer


def _pods(obj: Object) -> list[Any]:
    """Return containers, images and selector of a kind with a pod template."""
    return [*template(at(obj, "spec", "template", "spec")), selector(at(obj, "spec", "selector"))]


def _ready(obj: Object) -> str:
    return f"{number(obj, 'status', 'readyReplicas')}/{number(obj, 'spec', 'replicas')}"


def _deployment(obj: Object, now_s: float) -> list[Any]:
    updated, available = number(obj, "status", "updatedReplicas"), number(obj, "status", "availableReplicas")
    return [name(obj), _ready(obj), updated, available, age(obj, now_s), *_pods(obj)]


def _stateful_set(obj: Object, now_s: float) -> list[Any]:
    return [name(obj), _ready(obj), age(obj, now_s), *template(at(obj, "spec", "template", "spec"))]


def _replica_set(obj: Object, now_s: float) -> list[Any]:
    return [
        name(obj),
        number(obj, "spec", "replicas"),
        number(obj, "status", "replicas"),
        number(obj, "status", "readyReplicas"),
        age(obj, now_s),
        *_pods(obj),
    ]


_COUNTS = (
    "desiredNumberScheduled",
    "currentNumberScheduled",
    "numberReady",
    "updatedNumberScheduled",
    "numberAvailable",
)


def _daemon_set(obj: Object, now_s: float) -> list[Any]:
    counts = [number(obj, "status", count) for count in _COUNTS]
    nodes = labels(at(obj, "spec", "template", "spec", "nodeSelector"))
    return [name(obj), *counts, nodes, age(obj, now_s), *_pods(obj)]


def _controller_revision(obj: Object) -> list[Any]:
    owner = next((each for each in items(obj, "metadata", "ownerReferences") if each.get("controller")), None)
    if owner is None:
        return [NONE, number(obj, "revision")]
    group = text(owner, "apiVersion").rpartition("/")[0]
    kind = ".".join(part for part in (text(owner, "kind"), group) if part).lower()
    return [f"{kind}/{text(owner, 'name')}", number(obj, "revision")]


def _job_status(job: Object) -> str:
    for condition, status in (("Complete", "Complete"), ("Failed", "Failed")):
        if holds(job, condition):
            return status
    if deleting(job):
        return "Terminating"
    return next((each for each in ("Suspended", "FailureTarget", "SuccessCriteriaMet") if holds(job, each)), "Running")


def _completions(job: Object) -> str:
    done, wanted = number(job, "status", "succeeded"), at(job, "spec", "completions")
    if isinstance(wanted, int):
        return f"{done}/{wanted}"
    parallelism = number(job, "spec", "parallelism")
    return f"{done}/1 of {parallelism}" if parallelism > 1 else f"{done}/1"


def _duration(job: Object, now_s: float) -> str:
    start_s = ages.moment(at(job, "status", "startTime"))
    if start_s is None:
        return ""
    end_s = ages.moment(at(job, "status", "completionTime"))
    return ages.human((now_s if end_s is None else end_s) - start_s)


def _job(job: Object, now_s: float) -> list[Any]:
    return [
        name(job),
        _job_status(job),
        _completions(job),
        _duration(job, now_s),
        age(job, now_s),
        *_pods(job),
    ]


def _cron_job(obj: Object, now_s: float) -> list[Any]:
    suspend, last = at(obj, "spec", "suspend"), at(obj, "status", "lastScheduleTime")
    job = at(obj, "spec", "jobTemplate", "spec")
    return [
        name(obj),
        text(obj, "spec", "schedule"),
        text(obj, "spec", "timeZone", missing=NONE),
        str(suspend) if isinstance(suspend, bool) else UNSET,
        len(items(obj, "status", "active")),
        NONE if last is None else ages.since(last, now_s),
        age(obj, now_s),
        *template(at(job, "template", "spec")),
        selector(at(job, "selector")),
    ]


DEPLOYMENT = Printer(
    (
        NAME,
        Column("Ready", description="Pods that are ready, of those wanted."),
        Column("Up-to-date", description="Pods of the current template."),
        Column("Available", description="Pods that have been ready for long enough."),
        AGE,
        *TEMPLATE,
        SELECTOR,
    ),
    _deployment,
)
STATEFUL_SET = Printer(
    (NAME, Column("Ready", description="Pods that are ready, of those wanted."), AGE, *TEMPLATE),
    _stateful_set,
)
REPLICA_SET = Printer(
    (
        NAME,
        Column("Desired", "integer", description="Pods that are wanted."),
        Column("Current", "integer", description="Pods that there are."),
        Column("Ready", "integer", description="Pods that are ready."),
        AGE,
        *TEMPLATE,
        SELECTOR,
    ),
    _replica_set,
)
DAEMON_SET = Printer(
    (
        NAME,
        Column("Desired", "integer", description="Nodes that should run the pod."),
        Column("Current", "integer", description="Nodes that run the pod and should."),
        Column("Ready", "integer", description="Nodes whose pod is ready."),
        Column("Up-to-date", "integer", description="Nodes whose pod is of the current template."),
        Column("Available", "integer", description="Nodes whose pod has been ready for long enough."),
        Column("Node Selector", description="The labels of the nodes that should run the pod."),
        AGE,
        *TEMPLATE,
        SELECTOR,
    ),
    _daemon_set,
)
CONTROLLER_REVISION = printer(
    Column("Controller", description="The object whose history this is."),
    Column("Revision", description="Its place in that history."),
    cells=_controller_revision,
)
JOB = Printer(
    (
        NAME,
        Column("Status", description="What has become of the job."),
        Column("Completions", description="Pods that succeeded, of those wanted."),
        Column("Duration", description="How long it took, or has taken."),
        AGE,
        *TEMPLATE,
        SELECTOR,
    ),
    _job,
)
CRON_JOB = Printer(
    (
        NAME,
        Column("Schedule", description="When it runs, as cron has it."),
        Column("Timezone", description="Where that time is meant."),
        Column("Suspend", "boolean", description="Whether it starts nothing now."),
        Column("Active", "integer", description="Jobs that run now."),
        Column("Last Schedule", description="Time since a job was started."),
        AGE,
        *TEMPLATE,
        SELECTOR,
    ),
    _cron_job,
)
