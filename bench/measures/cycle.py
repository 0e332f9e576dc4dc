"""cycle: API create, start, wait and remove of one container on the bridge, logs on."""

from __future__ import annotations

import time

from bench.result import Result
from bench.session import Session
from bench.side import Side


def measure(session: Session) -> list[Result]:
    return session.results("cycle", "ms", session.sampled(_timed, floor=True))


def _timed(side: Side) -> float:
    began = time.perf_counter()
    side.cycle()
    return (time.perf_counter() - began) * 1000
