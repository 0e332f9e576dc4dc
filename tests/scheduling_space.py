"""A namespace of a test whose pods a scheduler places, and what kubectl, explain and whatif say of them."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
from collections.abc import Iterator

from kube import ROOT, ControlPlane, eventually

HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
_numbers = itertools.count(1)


def spread(topology: str, of: str, **more: str) -> dict:
    """Return a hard constraint that pods with the label `set` of this value are spread evenly."""
    pods = {"matchLabels": {"set": of}}
    return {"maxSkew": 1, "topologyKey": topology, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": pods, **more}


@contextlib.contextmanager
def space_of(plane: ControlPlane) -> Iterator[Space]:
    """Give a namespace of its own; its pods are gone at the end, so that the next test finds the nodes empty."""
    name = f"s{next(_numbers)}"
    plane.json("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": {"team": name}}})
    eventually(lambda: plane.call("GET", f"/api/v1/namespaces/{name}/serviceaccounts/default")[0] == 200)
    yield Space(plane, name)
    plane.kubectl("delete", "namespace", name, "--timeout=20s")


class Space:
    def __init__(self, plane: ControlPlane, name: str) -> None:
        self.plane = plane
        self.name = name
        self.path = f"/api/v1/namespaces/{name}/pods"

    def k(self, words: str, *, check: bool = True) -> str:
        return self.plane.kubectl("-n", self.name, *words.split(), check=check)

    def pod(self, name: str, cpu: str = "100m", *, labels: dict | None = None, **spec) -> dict:
        container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu}}}
        meta = {"name": name, "labels": {"app": name, **(labels or {})}}
        body = {"metadata": meta, "spec": {"terminationGracePeriodSeconds": 1, "containers": [container], **spec}}
        return self.plane.json("POST", self.path, body)

    def ready(self, *names: str) -> None:
        self.k(f"wait --for=condition=Ready --timeout=10s {' '.join(f'pod/{name}' for name in names)}")

    def get(self, name: str) -> dict:
        return self.plane.json("GET", f"{self.path}/{name}")

    def node(self, name: str) -> str:
        return self.get(name)["spec"].get("nodeName", "")

    def events(self, name: str, reason: str) -> list[dict]:
        found = self.plane.json(
            "GET", f"/api/v1/namespaces/{self.name}/events?fieldSelector=involvedObject.name={name}"
        )
        return [event for event in found["items"] if event["reason"] == reason]

    def refusal(self, name: str) -> str:
        """Return why a pod was not placed, as soon as it is told."""
        eventually(lambda: self.events(name, "FailedScheduling"))
        return self.events(name, "FailedScheduling")[-1]["message"]


def condition(pod: dict, type_: str) -> dict:
    return next((item for item in pod["status"].get("conditions", []) if item["type"] == type_), {})


def sampan(space: Space, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [str(ROOT / ".venv/bin/sampan"), *words, "--kubeconfig", str(space.plane.kubeconfig)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)


def explained(space: Space, what: str) -> subprocess.CompletedProcess[str]:
    return sampan(space, "explain", what, "-n", space.name)
