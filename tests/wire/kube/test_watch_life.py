"""How watches begin and end: after a restart, behind a conversion that fails, of what is served no more."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from collections.abc import Iterator

import pytest

from kube import ControlPlane, control_plane, eventually


@contextlib.contextmanager
def watching(plane: ControlPlane, path: str) -> Iterator[http.client.HTTPResponse]:
    """Open a watch; what it tells is read line by line, b"" at its end."""
    connection = http.client.HTTPConnection("127.0.0.1", plane.plain, timeout=15)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {plane.token}"})
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        yield answer
    finally:
        connection.close()


def shared_watches(plane: ControlPlane) -> int:
    """Return how many watches share their feeds."""
    lines = plane.call("GET", "/metrics")[1].decode().splitlines()
    return next(int(float(line.split()[-1])) for line in lines if line.startswith("apiserver_longrunning_requests{"))


def test_who_comes_back_after_a_restart_shares_again(tmp_path) -> None:
    """Those who begin before what the server remembers are told all of it, once, and then are like all others."""
    with control_plane(tmp_path / "plane") as plane:
        maps = "/api/v1/namespaces/default/configmaps"
        since = plane.json("POST", maps, {"metadata": {"name": "before"}})["metadata"]["resourceVersion"]
        for number in range(30):
            plane.json("POST", maps, {"metadata": {"name": f"m{number}"}})
            plane.json("POST", "/api/v1/namespaces", {"metadata": {"name": f"n{number}"}})
        plane.restart()
        before = shared_watches(plane)
        with contextlib.ExitStack() as stack:
            paths = [maps, f"{maps}?fieldSelector=metadata.name%3Dm7", "/api/v1/configmaps"]
            opened = [
                stack.enter_context(
                    watching(
                        plane, f"{path}{'&' if '?' in path else '?'}watch=1&resourceVersion={since}&timeoutSeconds=20"
                    )
                )
                for path in paths
            ]
            eventually(lambda: shared_watches(plane) == before + len(paths))
            plane.json(
                "PATCH", f"{maps}/m7", {"data": {"a": "b"}}, headers={"Content-Type": "application/merge-patch+json"}
            )
            told = [[] for _ in opened]
            for lines, answer in zip(told, opened, strict=True):
                while not lines or lines[-1] != ("MODIFIED", "m7"):
                    event = json.loads(answer.readline())
                    if event["object"]["metadata"].get("namespace") == "default":
                        lines.append((event["type"], event["object"]["metadata"]["name"]))
        every = [("ADDED", f"m{number}") for number in range(30)]
        assert told[0] == [*every, ("MODIFIED", "m7")]
        assert told[1] == [("ADDED", "m7"), ("MODIFIED", "m7")]
        assert [item for item in told[2] if item[1] != "kube-root-ca.crt"] == [*every, ("MODIFIED", "m7")]


def crd(group: str, **conversion) -> dict:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    versions = [{"name": name, "served": True, "storage": name == "v1", "schema": schema} for name in ("v1", "v2")]
    return {
        "metadata": {"name": f"buoys.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "buoys", "kind": "Buoy"},
            "versions": versions,
            **({"conversion": conversion} if conversion else {}),
        },
    }


CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture
def group(plane, namespace) -> Iterator[str]:
    name = f"{namespace}.life.example.org"
    yield name
    plane.call("DELETE", f"{CRDS}/buoys.{name}")


def test_a_watch_ends_with_its_definition(plane, namespace, group) -> None:
    plane.json("POST", CRDS, crd(group))
    plane.kubectl("wait", "--for=condition=Established", f"crd/buoys.{group}", "--timeout=10s")
    path = f"/apis/{group}/v1/namespaces/{namespace}/buoys"
    plane.json("POST", path, {"apiVersion": f"{group}/v1", "kind": "Buoy", "metadata": {"name": "one"}})
    with watching(plane, f"{path}?watch=1&resourceVersion=0") as answer:
        assert json.loads(answer.readline())["type"] == "ADDED"
        plane.json("DELETE", f"{CRDS}/buoys.{group}")
        types = [json.loads(line)["type"] for line in iter(answer.readline, b"")]
        assert types[-1] == "DELETED"


def test_the_garbage_collector_forgets_what_is_served_no_more(plane, namespace, group) -> None:
    """It would ask for it every few seconds, for ever."""

    def asked() -> int:
        return plane.log.read_text().count(f"watch of {plural}")

    plural = f"r{namespace}s"
    made = crd(group)
    made["metadata"]["name"], made["spec"]["names"] = f"{plural}.{group}", {"plural": plural, "kind": "Raft"}
    plane.json("POST", CRDS, made)
    plane.kubectl("wait", "--for=condition=Established", f"crd/{plural}.{group}", "--timeout=10s")
    path = f"/apis/{group}/v1/namespaces/{namespace}/{plural}"
    plane.json("POST", path, {"apiVersion": f"{group}/v1", "kind": "Raft", "metadata": {"name": "one"}})
    plane.json("DELETE", f"{CRDS}/{plural}.{group}")
    eventually(lambda: plane.call("GET", path)[0] == 404)
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        assert asked() < 4
        time.sleep(0.1)


def test_a_watch_ends_with_an_error_where_nothing_converts(plane, namespace, group) -> None:
    """Else its client would wait for what it is never told."""
    nowhere = {"url": "https://127.0.0.1:1/convert"}
    webhook = {"conversionReviewVersions": ["v1"], "clientConfig": nowhere}
    plane.json("POST", CRDS, crd(group, strategy="Webhook", webhook=webhook))
    plane.kubectl("wait", "--for=condition=Established", f"crd/buoys.{group}", "--timeout=10s")
    path = f"/apis/{group}/{{}}/namespaces/{namespace}/buoys"
    since = plane.json("GET", path.format("v1"))["metadata"]["resourceVersion"]
    with watching(plane, f"{path.format('v2')}?watch=1&resourceVersion={since}") as answer:
        for name in ("one", "two"):
            plane.json(
                "POST", path.format("v1"), {"apiVersion": f"{group}/v1", "kind": "Buoy", "metadata": {"name": name}}
            )
        lines = [json.loads(line) for line in iter(answer.readline, b"")]
        assert [line["type"] for line in lines] == ["ERROR"]
        assert "conversion webhook" in lines[0]["object"]["message"]
