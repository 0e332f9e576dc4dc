"""Sends random requests and judges what comes back: none may fail by a defect, each answer is what it says it is."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections import Counter
from dataclasses import dataclass, field

from fuzz.requests import DEFINITION, Asked, Requests
from sampan.kube import protobuf

EXPECTED = {501, 503, 504}
BY_OTHERS = ("failed calling webhook", "conversion webhook for", "more than one PodDisruptionBudget")
"""How 500s begin that Kubernetes gives, too: they are the fault of what was created, not of the server."""
SLOW_S, STREAM_S = 10.0, 0.15
WORKERS = 6
CLEARED = (
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations", "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
    "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies", "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies",
    "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings", "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings",
    "/api/v1/namespaces/fuzz/resourcequotas", "/api/v1/namespaces/fuzz/limitranges", "/api/v1/namespaces/default/resourcequotas", "/api/v1/namespaces/default/limitranges",
    "/apis/policy/v1/namespaces/fuzz/poddisruptionbudgets", "/apis/networking.k8s.io/v1/servicecidrs",
)  # fmt: skip
"""What may refuse everything that comes after it; it goes between batches."""


@dataclass
class Report:
    """What came of the requests."""

    statuses: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    streams: int = 0
    slowest: tuple[float, str] = (0.0, "")
    seconds: float = 0.0

    def __str__(self) -> str:
        classes = Counter[str]()
        for code, count in self.statuses.items():
            classes[f"{code // 100}xx"] += count
        total = sum(self.statuses.values())
        return (
            f"{total} requests in {self.seconds:.0f} s ({self.streams} watches): {dict(sorted(classes.items()))}, in full "
            f"{dict(sorted(self.statuses.items()))}; slowest {self.slowest[0]:.2f} s: {self.slowest[1][:200]}"
        )


class Wire:
    """One connection to the server, made again when it has ended."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._authorization = f"Authorization: Bearer {token}\r\n"
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, asked: Asked) -> tuple[int, dict[str, str], bytes]:
        """Send a request; return status, headers and body, of a stream what came in a moment.

        Raises:
            ConnectionError, EOFError: the connection was cut. TimeoutError.
        """
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 26)
        reader, writer = self._streams
        headers = "".join(f"{key}: {value}\r\n" for key, value in asked.headers.items())
        head = f"{asked.method} {asked.target} HTTP/1.1\r\nHost: f\r\n{self._authorization}{headers}Content-Length: {len(asked.body)}\r\n\r\n"
        writer.write(head.encode() + asked.body)
        lines = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SLOW_S)).decode("latin-1").split("\r\n")
        found = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:-2])}
        body = b"" if asked.method == "HEAD" else await self._body(reader, found)
        if found.get("connection") == "close" or "transfer-encoding" in found:  # a stream may go on
            self.close()
        return int(lines[0].split()[1]), found, body

    async def _body(self, reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
        if "content-length" in headers:
            return await asyncio.wait_for(reader.readexactly(int(headers["content-length"])), SLOW_S)
        whole = b""
        try:
            while True:
                size = int(await asyncio.wait_for(reader.readuntil(b"\r\n"), STREAM_S), 16)
                chunk = await asyncio.wait_for(reader.readexactly(size + 2), SLOW_S)
                if not size:
                    return whole
                whole += chunk[:-2]
        except TimeoutError:
            return whole

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def fault(asked: Asked, code: int, headers: dict[str, str], body: bytes) -> str:
    """Return what is wrong with an answer, "" if nothing is."""
    if asked.method == "HEAD" or code == 304:
        return "" if code < 500 or code in EXPECTED else "a 5xx"
    media = headers.get("content-type", "")
    if headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    if code >= 400:
        return _refusal_fault(code, media, body)
    try:
        if media.startswith("application/vnd.kubernetes.protobuf"):
            return "" if protobuf.decode(body).get("kind") else "protobuf of no kind"
        if not media.startswith("application/json"):
            return ""  # health, metrics
        if "transfer-encoding" in headers:
            events = [json.loads(line) for line in body.splitlines()]
            return (
                "" if all({"type", "object"} <= set(event) for event in events) else "an event without type or object"
            )
        found = json.loads(body)
    except Exception as error:
        return f"cannot be read: {error!r}"
    return "" if isinstance(found, dict) else "no object"


def _refusal_fault(code: int, media: str, body: bytes) -> str:
    try:
        status = json.loads(body)
    except ValueError as error:
        return f"no JSON: {error}" if not media.startswith("text/plain") or code >= 500 else ""
    if code >= 500 and code not in EXPECTED and not any(words in status.get("message", "") for words in BY_OTHERS):
        return "a 5xx"
    named = (status.get("kind"), status.get("apiVersion"), status.get("status"), status.get("code"))
    if named != ("Status", "v1", "Failure", code):
        return f"no Status of this code: {named}"
    if not isinstance(status.get("message"), str) or not status["message"] or not status.get("reason"):
        return "a Status without message or reason"
    return ""


class Run:
    """Asks and judges. One for a server."""

    def __init__(self, port: int, token: str, seed: int) -> None:
        self.requests = Requests(seed)
        self.report = Report()
        self._port, self._token = port, token

    async def batch(self, count: int) -> None:
        """Clear what would refuse everything, then send `count` requests."""
        began = time.monotonic()
        await self._prepare()
        # made beforehand, so that the same seed makes the same requests whatever the answers are
        left = iter([self.requests.next() for _ in range(count)])

        async def worker() -> None:
            wire = Wire(self._port, self._token)
            for asked in left:
                await self._send(wire, asked)
            wire.close()

        await asyncio.gather(*(worker() for _ in range(WORKERS)))
        self.report.seconds += time.monotonic() - began

    async def _prepare(self) -> None:
        wire = Wire(self._port, self._token)
        json_type = {"Content-Type": "application/json"}
        for path in CLEARED:
            await wire.ask(Asked("DELETE", path, {}, b""))
        for path, obj in (
            ("/api/v1/namespaces", {"metadata": {"name": "fuzz"}}),
            ("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", DEFINITION),
        ):
            await wire.ask(Asked("POST", path, json_type, json.dumps(obj).encode()))
        wire.close()

    async def _send(self, wire: Wire, asked: Asked) -> None:
        began = time.monotonic()
        try:
            code, headers, body = await wire.ask(asked)
        except (ConnectionError, EOFError, TimeoutError, asyncio.IncompleteReadError) as error:
            self.report.failures.append(f"{asked}: {error!r}")
            wire.close()
            return
        taken = time.monotonic() - began
        if "transfer-encoding" in headers:
            self.report.streams += 1
        else:
            self.report.slowest = max(self.report.slowest, (taken, str(asked)))
        self.report.statuses[code] += 1
        if wrong := fault(asked, code, headers, body):
            self.report.failures.append(f"{asked}: {code} {wrong}: {body[:600]!r}")
        elif b'"continue":"' in body[:400]:
            self.requests.continues.append(body.split(b'"continue":"')[1].split(b'"')[0].decode())
