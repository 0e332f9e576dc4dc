"""Requests made at random from the catalog and its schemas: no answer is a 5xx by a defect, and each is a proper Status or object.

`SAMPAN_FUZZ_SEED` and `SAMPAN_FUZZ_REQUESTS` repeat and lengthen a run.
"""

from __future__ import annotations

import asyncio
import os

import pytest

from fuzz.answers import Run
from kube import ControlPlane, control_plane

SEED = int(os.environ.get("SAMPAN_FUZZ_SEED", "1"))
BATCH = 500


@pytest.fixture
def fuzzed(tmp_path):
    """A server of one's own: nothing is left of it as it was."""
    with control_plane(tmp_path / "plane") as plane:
        yield plane


def run(plane: ControlPlane, count: int) -> None:
    fuzzing = Run(plane.plain, plane.token, SEED)
    for _ in range(0, count, BATCH):
        asyncio.run(fuzzing.batch(BATCH))
        if len(fuzzing.report.failures) >= 20:
            break
    print(f"seed {SEED}: {fuzzing.report}")
    done = sum(found for code, found in fuzzing.report.statuses.items() if code < 300)
    assert done > count / 10, f"seed {SEED}: too few were let in: {fuzzing.report}"
    assert fuzzing.report.streams
    failures = fuzzing.report.failures
    assert not failures, f"seed {SEED}, {len(failures)} failures:\n" + "\n".join(failures[:20])
    assert "Traceback" not in plane.log.read_text(errors="replace"), plane.tail()
    assert plane.json("GET", "/api/v1/namespaces/default")["kind"] == "Namespace"


def test_random_requests(fuzzed):
    run(fuzzed, int(os.environ.get("SAMPAN_FUZZ_REQUESTS", "3000")))


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_many_random_requests(fuzzed):
    run(fuzzed, int(os.environ.get("SAMPAN_FUZZ_REQUESTS", "100000")))
