"""/metrics and /openapi/v2, as a scraper and an old client see them."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import pytest

_LINE = re.compile(r'([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\]|\\.)*",?)*)\})? ([0-9.e+-]+|\+Inf)')


def scraped(plane, **options):
    code, headers, raw = plane.exchange("GET", "/metrics", **options)
    assert (code, headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    found: dict[str, float] = {}
    for line in raw.decode().splitlines():
        if not line.startswith("#"):
            match = _LINE.fullmatch(line)
            assert match, line
            assert f"{match[1]}{match[2]}" not in found, f"twice: {line}"
            found[match[1] + (match[2] or "")] = float(match[3])
    return found


def total(figures, name, **labels):
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    return sum(value for key, value in figures.items() if key.startswith(name) and all(each in key for each in wanted))


def test_requests_are_counted(plane, namespace):
    before = scraped(plane)
    path = f"/api/v1/namespaces/{namespace}/secrets"
    for number in range(3):
        plane.json("POST", path, {"metadata": {"name": f"s{number}"}})
    plane.refused("POST", path, {"metadata": {"name": "s0"}})
    plane.json("GET", path)
    plane.refused("GET", f"/apis/{namespace}.example.org/v1/things")
    after = scraped(plane)

    def more(name, **labels):
        return total(after, name, **labels) - total(before, name, **labels)

    assert more("apiserver_request_total", resource="secrets", verb="POST", code="201") == 3
    assert more("apiserver_request_total", resource="secrets", verb="POST", code="409") == 1
    assert more("apiserver_request_duration_seconds_count", resource="secrets", verb="LIST", scope="namespace") == 1
    assert more("apiserver_request_duration_seconds_bucket", resource="secrets", verb="LIST", le="+Inf") == 1
    assert total(after, "apiserver_current_inflight_requests", request_kind="readOnly") >= 1
    assert not [name for name in after if f"{namespace}.example.org" in name]


def test_figures_of_store_and_process(plane):
    figures = scraped(plane)
    assert figures['apiserver_resource_objectsgroup="",resource="namespaces"'] >= 4
    assert figures['etcd_debugging_mvcc_current_revisionstore="main"'] > 10
    assert figures['apiserver_longrunning_requestsverb="WATCH"'] >= 0


def test_figures_of_the_process(plane):
    figures = scraped(plane)
    pid = plane.process.pid
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    assert figures["process_resident_memory_bytes"] == pytest.approx(pages * os.sysconf("SC_PAGE_SIZE"), rel=0.2)
    assert 0 < figures["process_cpu_seconds_total"] < 3600
    assert abs(figures["process_start_time_seconds"] - time.time()) < 3600
    assert 5 < figures["process_open_fds"] < figures["process_max_fds"]
    assert (figures["apiserver_storage_size_bytes"] > 0) == (not plane.store)


def test_who_may_scrape(plane):
    assert plane.call("GET", "/metrics", token="")[0] == 403
    assert plane.call("POST", "/metrics")[0] == 405


def test_openapi_v2(plane):
    code, headers, raw = plane.exchange("GET", "/openapi/v2")
    document = json.loads(raw)
    assert (code, document["swagger"]) == (200, "2.0")
    patch = document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]
    assert "application/strategic-merge-patch+json" in patch["consumes"]
    assert patch["x-kubernetes-group-version-kind"] == {"group": "apps", "version": "v1", "kind": "Deployment"}
    spec = document["definitions"]["io.k8s.api.apps.v1.Deployment"]["properties"]["spec"]
    assert spec["$ref"] == "#/definitions/io.k8s.api.apps.v1.DeploymentSpec"
    assert "description" in spec
    lost = set(re.findall(r'"#/definitions/([^"]+)"', raw.decode())) - set(document["definitions"])
    assert not lost
    assert b"#/components" not in raw
    assert plane.call("GET", "/openapi/v2", headers={"If-None-Match": headers["etag"]})[0] == 304
    assert plane.call("GET", "/openapi/v2", headers={"Accept": "text/html"})[0] == 406
    only_protobuf = {"Accept": "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"}
    code, headers, packed = plane.exchange("GET", "/openapi/v2", headers=only_protobuf)
    assert (code, headers["content-type"]) == (200, "application/com.github.proto-openapi.spec.v2.v1.0+protobuf")
    assert b"io.k8s.api.apps.v1.DeploymentSpec" in packed  # that it is right, kubectl says, which reads it for lists


def test_every_reference_of_openapi_v3_leads_somewhere(plane):
    for name in plane.json("GET", "/openapi/v3")["paths"]:
        raw = plane.call("GET", f"/openapi/v3/{name}")[1]
        lost = set(re.findall(r'"#/components/schemas/([^"]+)"', raw.decode())) - set(json.loads(raw)["components"]["schemas"])  # fmt: skip
        assert not lost, name
