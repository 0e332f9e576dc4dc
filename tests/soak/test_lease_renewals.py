"""5,000 nodes renew their leases, 500 writes a second, beside other work: all are taken in time, and the others do not wait.

Everything is due at a time of its own and is timed from then, so that a server which falls behind shows. The bounds are loose: the
machine may have other work. Prints what it measured.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time

import pytest

from kube import control_plane
from sampan.kube import rfc3339

NODES, RENEWALS_S, OTHERS_S, SECONDS = 5000, 500, 150, 8
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
MAPS = "/api/v1/namespaces/default/configmaps"
pytestmark = pytest.mark.soak


class Connections:
    """A few kept connections over plain HTTP; each request takes the first that is free."""

    def __init__(self, port: int, token: str) -> None:
        self._port, self._token = port, token
        self._free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        self._all: list[asyncio.StreamWriter] = []

    async def open(self, count: int) -> Connections:
        for _ in range(count):
            pair = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 22)
            self._all.append(pair[1])
            self._free.put_nowait(pair)
        return self

    async def close(self) -> None:
        for writer in self._all:
            writer.close()
            await writer.wait_closed()

    async def ask(self, method: str, path: str, body: object = None) -> int:
        raw = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self._token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(raw)}\r\n\r\n"
        )
        reader, writer = pair = await self._free.get()
        try:
            writer.write(head.encode() + raw)
            answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            await reader.readexactly(int(answer.split("content-length:")[1].split("\r\n")[0]))
        finally:
            self._free.put_nowait(pair)
        return int(answer.split()[1])


def lease(number: int) -> dict:
    spec = {
        "holderIdentity": f"node-{number}",
        "leaseDurationSeconds": 40,
        "renewTime": rfc3339.render_micro(time.time_ns() // 1000),
    }
    return {"metadata": {"name": f"node-{number}", "namespace": "kube-node-lease"}, "spec": spec}


async def paced(rate: int, ask, took: list[float]) -> None:
    """Ask `rate` times a second, whether answers come or not; `took`: seconds from when each was due."""
    loop = asyncio.get_running_loop()
    began, tasks = loop.time(), []

    async def one(number: int, due: float) -> None:
        assert await ask(number) in (200, 201)
        took.append(loop.time() - due)

    for number in range(rate * SECONDS):
        due = began + number / rate
        if (left := due - loop.time()) > 0:
            await asyncio.sleep(left)
        tasks.append(asyncio.create_task(one(number, due)))
    await asyncio.gather(*tasks)


def told(name: str, took: list[float]) -> float:
    """Print percentiles; returns the 99th, in milliseconds."""
    ordered = sorted(took)
    p50, p90, p99 = (ordered[int(len(ordered) * part)] * 1000 for part in (0.5, 0.9, 0.99))
    print(f"{name:24} n={len(took):5} p50={p50:6.2f} p90={p90:6.2f} p99={p99:6.2f} ms")
    return p99


def test_renewals_beside_other_work(tmp_path) -> None:
    with control_plane(tmp_path / "plane") as plane:
        asyncio.run(measure(plane.plain, plane.token))


async def measure(port: int, token: str) -> None:
    nodes, others = await Connections(port, token).open(16), await Connections(port, token).open(8)
    numbers = iter(range(NODES))

    async def make() -> None:
        for number in numbers:
            assert await nodes.ask("POST", LEASES, lease(number)) == 201

    await asyncio.gather(*(make() for _ in range(16)))
    made = itertools.count()
    assert await others.ask("POST", MAPS, {"metadata": {"name": "read"}, "data": {"a": "x" * 900}}) == 201

    async def other(number: int) -> int:
        if number % 3:
            return await others.ask("GET", f"{MAPS}/read")
        return await others.ask("POST", MAPS, {"metadata": {"name": f"made-{next(made)}"}, "data": {"a": "x" * 900}})

    async def renew(number: int) -> int:
        return await nodes.ask("PUT", f"{LEASES}/node-{number % NODES}", lease(number % NODES))

    alone, beside, renewals = [], [], []
    await paced(OTHERS_S, other, alone)
    await asyncio.gather(paced(RENEWALS_S, renew, renewals), paced(OTHERS_S, other, beside))
    before, after, late = told("others, alone", alone), told("others, beside", beside), told("renewals", renewals)
    assert len(renewals) == RENEWALS_S * SECONDS
    assert late < 1000, "a renewal is due every ten seconds, and a node is given up after forty"
    assert after < 10 * before + 100
    await nodes.close()
    await others.close()
