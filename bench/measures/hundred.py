"""hundred: 100 long-running containers started one after another; memory-100: what the daemon and monitors then hold."""

from __future__ import annotations

import time

from bench.result import Result, Samples
from bench.session import Session
from bench.stats import rounds

COUNT, QUICK_COUNT = 100, 5
ROUNDS = 20


def measure(session: Session) -> list[Result]:
    count = QUICK_COUNT if session.quick else COUNT
    seconds: Samples = {}
    megabytes: Samples = {}
    for _, side in rounds(session.sides, min(ROUNDS, session.runs)):
        began = time.perf_counter()
        containers = side.launch(count)
        seconds.setdefault(side.label, []).append(time.perf_counter() - began)
        megabytes.setdefault(side.label, []).append(side.daemon.pss_bytes() / 1e6)
        running = side.running()
        assert running == count, f"{side.label}: {running} of {count} run"
        side.remove_all(containers)
    lines = session.results("hundred", "s", seconds, tail=False)
    return lines + session.results("memory-100", "MB", megabytes, tail=False)
