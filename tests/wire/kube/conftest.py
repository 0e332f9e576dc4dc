from __future__ import annotations

import contextlib
import itertools
import os

import pytest

from etcd import etcd
from kube import COMMANDS, ControlPlane, control_plane

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def plane(tmp_path_factory) -> ControlPlane:
    """One control process for all tests of a worker; each takes a namespace of its own. SAMPAN_TEST_STORE=etcd: on an etcd."""
    with contextlib.ExitStack() as stack:
        url = ""
        if os.environ.get("SAMPAN_TEST_STORE") == "etcd":
            url = stack.enter_context(etcd(tmp_path_factory.mktemp("store") / "etcd")).url
        yield stack.enter_context(control_plane(tmp_path_factory.mktemp("kube"), store=url))


@pytest.fixture
def namespace(plane) -> str:
    name = f"t{next(_numbers)}"
    plane.json("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    return name


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many commands of real clients were checked."""
    if COMMANDS:
        counts = ", ".join(f"{count} of {program}" for program, count in sorted(COMMANDS.items()))
        terminalreporter.write_line(f"commands checked: {counts}")
