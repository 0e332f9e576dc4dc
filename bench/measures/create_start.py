"""create-start: API create and start of one container: bridge, every kind of limit, logs on."""

from __future__ import annotations

import time

from bench.result import Result
from bench.session import Session
from bench.side import LIMITS, Side


def measure(session: Session) -> list[Result]:
    return session.results("create-start", "ms", session.sampled(_timed, floor=True))


def _timed(side: Side) -> float:
    began = time.perf_counter()
    container = side.create(["/bin/true"], LIMITS)
    side.start(container)
    took = time.perf_counter() - began
    side.wait(container)
    side.remove(container)
    return took * 1000
