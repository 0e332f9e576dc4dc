"""Hollow nodes for tests: `sampan sim nodes` on a control process of the tests."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator

from kube import ROOT, ControlPlane


@contextlib.contextmanager
def hollow_nodes(plane: ControlPlane, count: int, *flags: str) -> Iterator[subprocess.Popen[str]]:
    """Give nodes that are ready; they are removed at the end."""
    argv = [str(ROOT / ".venv/bin/sampan"), "sim", "nodes", str(count), "--kubeconfig", str(plane.kubeconfig), *flags]
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
