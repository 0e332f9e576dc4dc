"""The scheduler through the API and the store: api-NAME.

The API server and its store have core 0 for themselves; the scheduler, as a process of its own over plain HTTP, and the
creator of the pods share core 1. Nodes are there without kubelets, as in scheduler_perf. The clock runs from the first create
to the last binding, each pod's Scheduled event told; `-before`: the pods were created beforehand, and the clock runs from when
the scheduler has read the cluster. `-whole`: as many pods as upstream's workload has.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from bench import process
from bench.kube import Server
from bench.result import Result
from bench.stats import median

ROOT = Path(__file__).parents[2]
CONNECTIONS = 16
ZONE, HOST = "topology.kubernetes.io/zone", "kubernetes.io/hostname"
_WAIT_S = 300.0
_LOOK_S = 0.05
_KUBECONFIG = """\
current-context: c
contexts: [{{name: c, context: {{cluster: c, user: u}}}}]
clusters: [{{name: c, cluster: {{server: "http://127.0.0.1:{port}"}}}}]
users: [{{name: u, user: {{token: root}}}}]
"""


class Load(msgspec.Struct, frozen=True):
    """`init`: (namespace, pods of the measured sort) that are placed beforehand; `floor`: upstream's, in pods/s."""

    floor: int
    nodes: int
    init: Sequence[tuple[str, int]]
    measured: tuple[str, int]
    pod: dict[str, Any] = {}
    zone: str = "zone1"
    before: bool = False


def _apart(term: dict[str, Any], kind: str) -> dict[str, Any]:
    return {"affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}


_BLUE = {"labelSelector": {"matchLabels": {"color": "blue"}}, "topologyKey": ZONE, "namespaces": ["sched-1", "sched-0"]}
_GREEN = {
    "labelSelector": {"matchLabels": {"color": "green"}},
    "topologyKey": HOST,
    "namespaceSelector": {"matchLabels": {"team": "devops"}},
}
LOADS = {
    "api-basic": Load(810, 5000, [("init", 5000)], ("measured", 10_000)),
    "api-basic-before": Load(810, 5000, [("init", 5000)], ("measured", 10_000), before=True),
    "api-basic-whole": Load(810, 5000, [("init", 5000)], ("measured", 50_000)),
    "api-affinity": Load(
        35,
        5000,
        [("sched-0", 5000)],
        ("sched-1", 5000),
        {"labels": {"color": "blue"}, "spec": _apart(_BLUE, "podAffinity")},
    ),
    "api-ns-antiaffinity": Load(
        24,
        6000,
        [(f"init-ns-{number}", 40) for number in range(100)],
        ("measure-ns-0", 2000),
        {"labels": {"color": "green"}, "spec": _apart(_GREEN, "podAntiAffinity")},
    ),
}


class Run:
    """One server, one scheduler, one workload."""

    def __init__(self, server: Server, load: Load) -> None:
        self.server = server
        self.load = load
        self.scheduler: subprocess.Popen[bytes] | None = None
        self.log = server.home / "scheduler.log"
        self.config = server.home / "kubeconfig"

    def prepare(self) -> None:
        """Make nodes and namespaces; place the first pods."""
        nodes(self.server, self.load)
        self.config.write_text(_KUBECONFIG.format(port=self.server.plain))
        for name in dict.fromkeys([name for name, _ in self.load.init] + [self.load.measured[0]]):
            body = {"metadata": {"name": name, "labels": {"team": "devops"}}}
            assert self.server.call("POST", "/api/v1/namespaces", body)[0] == 201
            while self.server.call("GET", f"/api/v1/namespaces/{name}/serviceaccounts/default")[0] != 200:
                time.sleep(0.01)
        self.start()
        count = 0
        for name, pods in self.load.init:
            self.create(name, pods)
            count += pods
        self.until(count)

    def start(self) -> None:
        """Start the scheduler; returns when it has read the cluster."""
        argv = ["taskset", "-c", "1", sys.executable, "-m", "sampan.cmd.scheduler", "--kubeconfig", str(self.config)]
        env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        with self.log.open("wb") as log:
            self.scheduler = subprocess.Popen([*argv, "--no-leader-election"], stdout=log, stderr=log, env=env)
        deadline = time.monotonic() + _WAIT_S
        while b"schedules:" not in self.log.read_bytes():
            assert self.scheduler.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def stop(self) -> None:
        if self.scheduler is not None:
            self.scheduler.terminate()
            self.scheduler.wait(30)
            self.scheduler = None

    def measure(self) -> float:
        """Return how many of the measured pods were placed in a second."""
        name, count = self.load.measured
        bound = self.bound()[0]
        if self.load.before:
            self.stop()
            self.create(name, count)
            self.start()
        began = time.perf_counter()
        if not self.load.before:
            self.create(name, count)
        self.until(bound + count)
        return count / (time.perf_counter() - began)

    def create(self, namespace: str, count: int) -> None:
        file = self.server.home / "pod.json"
        file.write_text(json.dumps(pod(self.load)))
        path = f"/api/v1/namespaces/{namespace}/pods"
        argv = ["taskset", "-c", "1", sys.executable, "-m", "bench.kube_load", str(self.server.plain), str(CONNECTIONS)]
        argv += [str(count), "post", path, "root", str(file), "pod"]
        found = json.loads(subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
        assert set(found["statuses"]) == {"201"}, found

    def bound(self) -> tuple[int, int]:
        """Return how many bindings and events the server has taken."""
        text = self.server.call("GET", "/metrics")[1].decode()
        return _count(text, "pods", "binding"), _count(text, "events", "")

    def until(self, count: int) -> None:
        """Return when so many pods are bound and have their event."""
        began = time.monotonic()
        first = done = min(self.bound())
        while done < count:
            assert self.scheduler is not None
            assert self.scheduler.poll() is None, self.log.read_text()
            took = time.monotonic() - began
            assert took < _WAIT_S, (self.bound(), count, self.log.read_text()[-2000:])
            # a look costs the server 10 ms: it is seldom but towards the end
            time.sleep(min(1.0, max(_LOOK_S, took * (count - done) / max(1, done - first) / 2)))
            done = min(self.bound())

    def memory_mb(self) -> float:
        assert self.scheduler is not None
        return process.pss_bytes(self.scheduler.pid) / (1 << 20)


def _count(metrics: str, resource: str, subresource: str) -> int:
    lines = re.findall(r"^apiserver_request_total\{(.*)\} (\S+)$", metrics, re.MULTILINE)
    wanted = ('code="201"', 'verb="POST"', f'resource="{resource}"', f'subresource="{subresource}"')
    return int(sum(float(value) for labels, value in lines if all(part in labels for part in wanted)))


def pod(load: Load) -> dict[str, Any]:
    asks = {"cpu": "100m", "memory": "500Mi"}
    container = {"name": "pause", "image": "registry.k8s.io/pause:3.10", "ports": [{"containerPort": 80}]}
    container["resources"] = {"requests": asks, "limits": asks}
    meta = {"name": "NAME", "labels": load.pod.get("labels", {})}
    return {"metadata": meta, "spec": {"containers": [container], **load.pod.get("spec", {})}}


def nodes(server: Server, load: Load) -> None:
    """Put nodes into the store of a server, as it would have them once they are ready."""
    offered = {"cpu": "4", "memory": "32Gi", "pods": "110"}
    body = {"metadata": {"name": "NODE", "labels": {HOST: "NODE", ZONE: load.zone}}}
    assert (
        server.call("POST", "/api/v1/nodes", {**body, "metadata": {**body["metadata"], "name": "template"}})[0] == 201
    )
    node = json.loads(server.call("GET", "/api/v1/nodes/template")[1])
    assert server.call("DELETE", "/api/v1/nodes/template")[0] == 200
    node["metadata"]["name"] = "NODE"
    node["spec"] = {}
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
    node["status"] = {"capacity": offered, "allocatable": offered, "conditions": [ready]}
    server.stop()
    asyncio.run(_fill(server.home, node, load.nodes))
    server.start()


async def _fill(home: Path, node: dict[str, Any], count: int) -> None:
    from sampan.base.clock import SystemClock
    from sampan.kube import stored
    from sampan.store.kv.port import Op
    from sampan.store.kv.sqlite import SqliteStore

    store = SqliteStore(home / "control" / "state.db", SystemClock())
    value = stored.encode(node)
    names = [f"node-{number:05}" for number in range(count)]
    for start in range(0, count, 500):
        some = names[start : start + 500]
        await store.commit([Op(f"/core/nodes/{name}", value.replace(b"NODE", name.encode())) for name in some])
    await store.close()


@contextlib.contextmanager
def served() -> Iterator[Server]:
    """Give a control process on core 0 that schedules nothing itself."""
    home = Path(tempfile.mkdtemp(prefix="sampan-bench-sched-", dir="/var/tmp"))
    server = Server(home, "--no-scheduler")
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


def take(load: Load) -> tuple[float, float, float]:
    """Return (pods/s, the scheduler's PSS, the server's PSS in MB) of one run."""
    with served() as server:
        run = Run(server, load)
        try:
            run.prepare()
            return run.measure(), run.memory_mb(), server.pss_mb()
        finally:
            run.stop()


def measure(name: str, runs: int) -> list[Result]:
    load = LOADS[name]
    taken = [take(load) for _ in range(runs)]
    rates = [rate for rate, _, _ in taken]
    told = f"{load.nodes} nodes, {load.measured[1]} pods; scheduler {taken[-1][1]:.0f} MB, server {taken[-1][2]:.0f} MB"
    print(f"{name:24} {median(rates):8.0f}/s   {told}; runs {', '.join(f'{rate:.0f}' for rate in rates)}", flush=True)
    return [Result(measure=name, unit="1/s", value=median(rates), runs=runs)]


MEASURES: dict[str, Callable[[int], list[Result]]] = {name: partial(measure, name) for name in LOADS}
