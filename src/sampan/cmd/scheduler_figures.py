"""The scheduler's figures for /metrics. Spec: Kubernetes Metrics Reference, scheduler_*."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain

from sampan.api.kube.metrics.text import CONTENT_TYPE, Family, Sample, histogram, render
from sampan.api.kube.request import Request, Response
from sampan.control.scheduling.figures import Figures
from sampan.control.scheduling.pods import SCHEDULER

_PROFILE = ("profile", SCHEDULER)
_QUEUES = ("active", "backoff", "gated", "unschedulable")


def scheduler_figures(figures: Figures) -> Callable[[], list[Family]]:
    """Return what tells the figures of this process' scheduler."""
    return lambda: [*_turns(figures), _waiting(figures), *_preemption(figures)]


def _turns(figures: Figures) -> list[Family]:
    attempts = [Sample((_PROFILE, ("result", result)), count) for result, count in figures.attempts.items()]
    attempt_s = (histogram((_PROFILE, ("result", result)), times) for result, times in figures.attempt_s.items())
    sli_s = (histogram((("attempts", tries),), times) for tries, times in sorted(figures.sli_s.items()))
    return [
        Family("scheduler_schedule_attempts_total", "counter", "Turns of pods, by how they ended.", attempts),
        Family(
            "scheduler_scheduling_attempt_duration_seconds",
            "histogram",
            "From the beginning of a pod's turn to its refusal, or to the answer to its binding.",
            list(chain.from_iterable(attempt_s)),
        ),
        Family(
            "scheduler_pod_scheduling_sli_duration_seconds",
            "histogram",
            "From when a pod that may be scheduled was seen to the answer to its binding, by number of turns.",
            list(chain.from_iterable(sli_s)),
        ),
    ]


def _waiting(figures: Figures) -> Family:
    pending = figures.pending()
    return Family(
        "scheduler_pending_pods",
        "gauge",
        "Pods that wait: for their turn, for the end of a pause, for their gates, for something to change.",
        [Sample((("queue", queue),), pending.get(queue, 0)) for queue in _QUEUES],
    )


def _preemption(figures: Figures) -> list[Family]:
    return [
        Family(
            "scheduler_preemption_attempts_total",
            "counter",
            "How often room for a pod was looked for among pods of lower priority.",
            [Sample((), figures.preemptions)],
        ),
        Family(
            "scheduler_preemption_victims",
            "histogram",
            "Pods that were evicted for one.",
            histogram((), figures.victims),
        ),
    ]


def pages(families: Callable[[], list[Family]]) -> Callable[[Request], Response]:
    """Return what answers /metrics and /healthz, /livez and /readyz of a process that serves nothing else."""

    def page(request: Request) -> Response:
        plain = "text/plain; charset=utf-8"
        if request.method not in ("GET", "HEAD"):
            return Response(405, b"only GET\n", plain, (("Allow", "GET, HEAD"),))
        if request.path == "/metrics":
            return Response(200, render(families()).encode(), CONTENT_TYPE)
        if request.path in ("/healthz", "/livez", "/readyz"):
            return Response(200, b"ok", plain)
        return Response(404, b"there are /metrics, /healthz, /livez and /readyz\n", plain)

    return page
