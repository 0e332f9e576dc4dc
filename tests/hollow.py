"""Hollow nodes for tests: `sampan sim nodes` on a control process of the tests, and clusters of them that are scheduled."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from kube import ROOT, ControlPlane, control_plane, eventually

SMALL = "cpu=4,memory=8Gi,pods=20"


@contextlib.contextmanager
def hollow_nodes(
    plane: ControlPlane, count: int, *flags: str, capacity: str = SMALL
) -> Iterator[subprocess.Popen[str]]:
    """Give nodes that are ready; they are removed at the end."""
    argv = [str(ROOT / ".venv/bin/sampan"), "sim", "nodes", str(count), "--kubeconfig", str(plane.kubeconfig)]
    argv += ["--capacity", capacity, *flags]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith(f"{count} nodes are ready"), line
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        finally:
            process.kill()
            process.wait()


@contextlib.contextmanager
def scheduled(home: Path, count: int, *flags: str, policy: str = "", **classes: int) -> Iterator[ControlPlane]:
    """Give a control process that schedules, with small nodes, and priority classes by name and value."""
    options = {"scheduler_policy": policy} if policy else {}
    with control_plane(home, scheduler=True, **options) as plane, hollow_nodes(plane, count, *flags):
        for name, value in classes.items():
            plane.json(
                "POST", "/apis/scheduling.k8s.io/v1/priorityclasses", {"metadata": {"name": name}, "value": value}
            )
        eventually(lambda: plane.call("GET", "/api/v1/namespaces/default/serviceaccounts/default")[0] == 200)
        yield plane
