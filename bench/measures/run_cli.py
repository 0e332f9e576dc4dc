"""run-cli: `docker run --rm IMAGE /bin/true` on the default bridge, by the same docker CLI."""

from __future__ import annotations

import time

from bench.result import Result
from bench.session import Session
from bench.side import Side


def measure(session: Session) -> list[Result]:
    return session.results("run-cli", "ms", session.sampled(_timed, floor=True))


def _timed(side: Side) -> float:
    began = time.perf_counter()
    side.cli_run()
    return (time.perf_counter() - began) * 1000
