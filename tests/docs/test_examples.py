"""The programs in docs/examples do what their first lines say."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from wire.cli_daemon import SAMPAN, reason_to_skip

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(reason_to_skip()), reason=reason_to_skip() or "can run")]


def output(name: str, *argv: str) -> str:
    done = subprocess.run(
        [sys.executable, EXAMPLES / name, *argv], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_unpack_image():
    text = output("unpack_image.py")
    assert "Loaded image: busybox:latest" in text
    assert "bin dev etc" in text
    assert "added /tmp/mine" in text


def test_give_network():
    text = output("give_network.py")
    assert "over the bridge: hello 10.213.0.1, from inside" in text


def test_place_pods():
    lines = output("place_pods.py").splitlines()
    assert lines[0] == "default/small-0 -> node-0"
    assert lines[9] == "default/huge 0/3 nodes are available: 3 Insufficient cpu."


def test_simulate():
    lines = output("simulate.py").splitlines()
    assert lines[0] == "    0 s: web/0 starts on n0"
    assert lines[-1] == "  120 s: web/3 ends on n1"
    assert sum("is evicted, as its node failed" in line for line in lines) == 4


def test_own_daemon(tmp_path_factory):
    home = tmp_path_factory.mktemp("own")
    environ = {**os.environ, "SAMPAN_HOST": f"unix://{home}/docker.sock"}

    def sampan(*argv: str) -> subprocess.CompletedProcess:
        return subprocess.run([SAMPAN, *argv], env=environ, capture_output=True, text=True, timeout=60, check=False)

    with subprocess.Popen(
        [sys.executable, EXAMPLES / "own_daemon.py", home], stdout=subprocess.PIPE, text=True
    ) as daemon:
        try:
            assert daemon.stdout.readline() == f"export DOCKER_HOST=unix://{home}/docker.sock\n"
            assert sampan("image", "bootstrap", "busybox").returncode == 0
            assert sampan("run", "--rm", "busybox", "echo", "hi").stdout == "hi\n"
            refused = sampan("run", "--rm", "--privileged", "busybox", "true")
            assert refused.returncode == 125
            assert "no privileged containers on this machine" in refused.stderr
        finally:
            daemon.send_signal(signal.SIGTERM)
            assert daemon.wait(20) == 0
            (home / "data" / "tag").write_text("0decaf\n")  # by which `down --purge` finds what is on the host
            gone = sampan("down", "--purge", "--yes", "--data-root", f"{home}/data", "--exec-root", f"{home}/run")
            assert gone.returncode == 0, gone.stderr


def test_every_example_is_tested():
    tests = "".join(path.read_text() for path in Path(__file__).parents[1].rglob("test_*.py"))
    assert [path.name for path in EXAMPLES.glob("*.py") if path.name not in tests] == []
