"""Load on an HTTP/1.1 server over loopback: many keep-alive connections, one request at a time on each.

    python -m bench.kube_load PORT CONNECTIONS SECONDS get PATH TOKEN
    python -m bench.kube_load PORT CONNECTIONS COUNT post PATH TOKEN FILE PREFIX

Over TLS where SAMPAN_BENCH_CA names the CA's certificate. Prints JSON: requests a second, p50 and p99 in ms, answers by status. It parses no more than a length, so that it costs the
other core less than the server costs its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path


class Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._transport: asyncio.Transport | None = None
        self._left = 0
        self._head = b""
        self._sent = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._next()

    def _next(self) -> None:
        request = self._load.next()
        if request is None:
            self._transport.close()
            return
        self._sent = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self._left:
            self._left -= len(data)
        else:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            place = self._head.find(b"Content-Length: ")
            length = int(self._head[place + 16 : self._head.find(b"\r\n", place)])
            self._load.statuses[int(self._head[9:12])] += 1
            self._left = end + 4 + length - len(self._head)
            self._head = b""
        if self._left <= 0:
            self._left = 0
            self._load.times.append(time.perf_counter() - self._sent)
            self._next()

    def connection_lost(self, error: Exception | None) -> None:
        self._load.ended()


class Load:
    """What all connections share."""

    def __init__(self, requests: Iterator[bytes], seconds: float, connections: int) -> None:
        self._requests = requests
        self._until = time.perf_counter() + seconds if seconds else 0.0
        self._open = connections
        self.times: list[float] = []
        self.statuses: Counter[int] = Counter()
        self.done = asyncio.get_running_loop().create_future()

    def next(self) -> bytes | None:
        if self._until and time.perf_counter() > self._until:
            return None
        return next(self._requests, None)

    def ended(self) -> None:
        self._open -= 1
        if not self._open:
            self.done.set_result(None)


def _get(path: str, token: str) -> Iterator[bytes]:
    request = (
        f"GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nAccept: application/json\r\n\r\n".encode()
    )
    while True:
        yield request


def _post(path: str, token: str, count: int, body: bytes, prefix: str) -> Iterator[bytes]:
    for number in range(count):
        sent = body.replace(b"NAME", f"{prefix}-{number:07}".encode())
        head = f"POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        yield f"{head}User-Agent: bench/1\r\nContent-Length: {len(sent)}\r\n\r\n".encode() + sent


async def main(argv: list[str]) -> None:
    port, connections, amount, verb, path, token, *more = argv
    if verb == "get":
        load = Load(_get(path, token), float(amount), int(connections))
    else:
        body = json.dumps(json.loads(Path(more[0]).read_text()), separators=(",", ":")).encode()
        load = Load(_post(path, token, int(amount), body, more[1]), 0.0, int(connections))
    loop = asyncio.get_running_loop()
    ca = os.environ.get("SAMPAN_BENCH_CA")
    secured = ssl.create_default_context(cafile=ca) if ca else None
    began = time.perf_counter()
    for _ in range(int(connections)):
        await loop.create_connection(lambda: Client(load), "127.0.0.1", int(port), ssl=secured)
    await load.done
    took = time.perf_counter() - began
    times = sorted(load.times)
    print(
        json.dumps(
            {
                "rate": len(times) / took,
                "p50": times[len(times) // 2] * 1e3,
                "p99": times[int(len(times) * 0.99)] * 1e3,
                "statuses": {str(code): count for code, count in load.statuses.items()},
            }
        )
    )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
