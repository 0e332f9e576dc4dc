"""Figures: counted by what is served and by nothing that clients can invent; the text is what Prometheus reads."""

from __future__ import annotations

import pytest

from sampan.api.kube.access import Attempt
from sampan.api.kube.api import Served
from sampan.api.kube.metrics.requests import BUCKETS_S, RequestFigures
from sampan.api.kube.metrics.text import Family, Sample, render
from sampan.api.kube.request import ANONYMOUS, Request, Response
from sampan.api.kube.server import registry


def test_the_text():
    families = [
        Family("b", "gauge", "two\nlines", [Sample((), 1.5), Sample((("le", 'a"\\\n'),), 2.0, "_bucket")]),
        Family("a", "counter", "first", []),
    ]
    assert render(families) == (
        "# HELP a first\n# TYPE a counter\n"
        '# HELP b two\\nlines\n# TYPE b gauge\nb 1.5\nb_bucket{le="a\\"\\\\\\n"} 2\n'
    )  # fmt: skip


@pytest.fixture
def figures():
    return RequestFigures(registry(), lambda: {"mutating": 1, "readOnly": 2})


def told(figures, **attempt):
    headers, query = attempt.pop("headers", {}), attempt.pop("query", "")
    response = attempt.pop("response", Response())
    seconds = attempt.pop("seconds", 0.01)
    figures(Served(Request("GET", "/", query, headers), Attempt(ANONYMOUS, **attempt), response, seconds, None))
    total = figures.families()[0]
    return [dict(sample.labels) | {"=": sample.value} for sample in total.samples]


def test_a_request_is_counted_by_what_it_names(figures):
    pods = {"verb": "patch", "version": "v1", "resource": "pods", "namespace": "x", "name": "p"}
    apply = {"content-type": "application/apply-patch+yaml"}
    [sample] = told(figures, **pods, subresource="status", headers=apply, query="dryRun=All")
    assert sample == {
        "=": 1, "code": "200", "component": "apiserver", "dry_run": "All", "group": "", "resource": "pods", "scope": "resource",
        "subresource": "status", "verb": "APPLY", "version": "v1",
    }  # fmt: skip
    assert told(figures, **{**pods, "verb": "list", "name": ""})[-1]["scope"] == "namespace"


def test_clients_make_no_labels(figures):
    for number in range(100):
        told(figures, verb="get", group=f"g{number}", version="v1", resource="x")
        told(figures, verb=f"verb{number}", path=f"/x/{number}")
        told(figures, verb="get", version="v1", resource="pods", name="a", subresource=f"s{number}")
    assert len(figures.families()[0].samples) == 3


def test_times_add_up_and_watches_have_none(figures):
    for seconds in (0.004, 0.005, 0.03, 100.0):
        told(figures, verb="get", version="v1", resource="pods", name="p", namespace="x", seconds=seconds)
    told(figures, verb="watch", version="v1", resource="pods", response=Response(stream=lambda sink: None))
    samples = figures.families()[1].samples
    buckets = [sample.value for sample in samples if sample.suffix == "_bucket"]
    assert buckets[:3] == [2, 2, 3]
    assert (buckets[-2], buckets[-1], len(buckets)) == (3, 4, len(BUCKETS_S) + 1)
    assert [sample.value for sample in samples if sample.suffix in ("_sum", "_count")] == [pytest.approx(100.039), 4]
