"""A pytest plugin for suites that make a cluster of their own: they get the one that is there. Read by scripts/client-suites."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
from pathlib import Path

import pytest


class Cluster:
    """What kr8s' tests need of theirs."""

    def __init__(self) -> None:
        self.kubeconfig_path = Path(os.environ["KUBECONFIG"])
        self.kubectl_path = shutil.which("kubectl")

    def kubectl(self, *argv: str) -> str:
        return subprocess.run([str(self.kubectl_path), *argv], check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="session", autouse=True)
def k8s_cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def ensure_gc():
    gc.collect()
    yield
    gc.collect()
