"""A pytest plugin: one line for programs on the console for each test, and how many tests there are."""

from __future__ import annotations

import json
import os

import pytest

_phases: dict[str, list[pytest.TestReport]] = {}


def _say(**fields: object) -> None:
    os.write(1, f"\n@check {json.dumps(fields)}\n".encode())


def pytest_collection_finish(session: pytest.Session) -> None:
    _say(collected=len(session.items))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    phases = _phases.setdefault(report.nodeid, [])
    phases.append(report)
    if report.when != "teardown":
        return
    bad = [phase for phase in phases if phase.failed]
    skipped = [phase for phase in phases if phase.skipped]
    outcome = "failed" if bad else "skipped" if skipped else "passed"
    detail = "\n".join(str(phase.longrepr) for phase in bad or skipped)[-6000:]
    _say(check=report.nodeid, outcome=outcome, seconds=round(sum(p.duration for p in phases), 2), detail=detail)
