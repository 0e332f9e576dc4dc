"""exec: `docker exec C true` by the CLI, and exec-api: the same by the API."""

from __future__ import annotations

import time

from bench.result import Result
from bench.session import Session
from bench.side import LONG, Side


def measure(session: Session) -> list[Result]:
    containers = {side.label: side.create(LONG) for side in session.sides}
    for side in session.sides:
        side.start(containers[side.label])

    def by_cli(side: Side) -> float:
        began = time.perf_counter()
        side.cli("exec", containers[side.label], "true")
        return (time.perf_counter() - began) * 1000

    def by_api(side: Side) -> float:
        began = time.perf_counter()
        side.exec(containers[side.label])
        return (time.perf_counter() - began) * 1000

    lines = session.results("exec", "ms", session.sampled(by_cli))
    lines += session.results("exec-api", "ms", session.sampled(by_api))
    for side in session.sides:
        side.remove(containers[side.label], force=True)
    return lines
