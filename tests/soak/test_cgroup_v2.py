"""The engine on pure cgroup v2, what Debian 13 and Ubuntu give: in an emulated machine with Debian's stock cloud kernel.

The checks run in the machine (soak/microvm/guest/checks.py, and the runtime's own suite); each says on the console what
came of it. One boot for all.
"""

from __future__ import annotations

import ast
import time
from collections import defaultdict
from typing import Any

import pytest

from soak.microvm import machine
from soak.microvm.image import CACHE, prepared
from soak.microvm.tree import GUEST, ROOT

TIMEOUT_S = 5400
pytestmark = [pytest.mark.soak, pytest.mark.root, pytest.mark.timeout(TIMEOUT_S + 600)]

CHECKS = f"{GUEST}/checks.py"
SUITE = "tests/host/test_runtime_oci.py"
NAMES = [
    node.name
    for node in ast.walk(ast.parse((ROOT / CHECKS).read_text()))
    if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
]


class Reports:
    """What the machine said."""

    def __init__(self) -> None:
        self.said: dict[str, Any] = {}
        self.checks: list[dict[str, Any]] = []
        self.by_name: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.console: list[str] = []

    def take(self, line: str) -> None:
        found = machine.report(line)
        if found is None:
            self.console.append(line)
        elif "check" in found:
            self.checks.append(found)
            path, _, rest = found["check"].partition("::")
            self.by_name[rest.partition("[")[0].rpartition("::")[2] if path == CHECKS else path].append(found)
        else:
            self.said |= found

    def tail(self) -> str:
        return "\n".join(self.console[-40:])


@pytest.fixture(scope="module")
def reports(request: pytest.FixtureRequest) -> Reports:
    chosen = request.config.option.markexpr
    if "soak" not in chosen or "not soak" in chosen:
        pytest.skip("takes minutes: run by make soak")
    reports = Reports()
    with prepared(["-q", "--color=no", "-rN", "--tb=short", "--timeout", "900", CHECKS, SUITE]) as boot:
        began = time.monotonic()
        with (CACHE / "console.log").open("w", buffering=1) as log:
            for line in machine.lines(boot, TIMEOUT_S):
                log.write(f"{line}\n")
                reports.take(line)
    print(
        f"microvm: up in {reports.said.get('booted_s')} s of its own time, {len(reports.checks)} checks, "
        f"{time.monotonic() - began:.0f} s in all"
    )
    return reports


def test_all_checks_reported_and_the_machine_went_off(reports):
    assert "exit" in reports.said, reports.tail()
    assert len(reports.checks) == reports.said["collected"], reports.tail()
    assert set(NAMES) <= set(reports.by_name), reports.tail()
    assert reports.said["exit"] == int(any(row["outcome"] == "failed" for row in reports.checks)), reports.tail()


@pytest.mark.parametrize("name", NAMES)
def test_on_v2(reports, name):
    rows = reports.by_name[name]
    assert rows, f"no report:\n{reports.tail()}"
    bad = [f"{row['check']}: {row['outcome']}\n{row['detail']}" for row in rows if row["outcome"] != "passed"]
    assert not bad, "\n\n".join(bad)


def test_the_runtime_suite_on_v2(reports):
    rows = reports.by_name[SUITE]
    assert rows, f"no report:\n{reports.tail()}"
    bad = [f"{row['check']}: {row['outcome']}\n{row['detail']}" for row in rows if row["outcome"] == "failed"]
    assert not bad, "\n\n".join(bad)
