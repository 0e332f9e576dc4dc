"""cycle-8: how many full cycles a second eight clients get done together. A sample is one block of cycles."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from bench.result import Result
from bench.session import Session
from bench.side import Side

CLIENTS = 8
BLOCK = 24  # cycles in a sample


def measure(session: Session) -> list[Result]:
    return session.results("cycle-8", "cycles/s", session.sampled(_rate), tail=False)


def _rate(side: Side) -> float:
    began = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(lambda _: _client(side), range(CLIENTS)))
    return BLOCK / (time.perf_counter() - began)


def _client(side: Side) -> None:
    with side.daemon.client() as client:
        for _ in range(BLOCK // CLIENTS):
            side.cycle(client)
