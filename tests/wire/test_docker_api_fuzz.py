"""Requests made at random from the route table: every answer is one of Docker's, and the daemon goes on.

No answer may be 500 or more, but 501 and 503 where the API says so; each refusal is JSON with a message. Afterwards the
daemon runs a container. `SAMPAN_FUZZ_SEED` and `SAMPAN_FUZZ_REQUESTS` repeat and lengthen a run.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from urllib.parse import quote

import pytest

from daemon import need_docker, running_daemon
from sampan.api.docker.routes import ROUTES, Route

SEED = int(os.environ.get("SAMPAN_FUZZ_SEED", "1"))
ALLOWED = {501, 503}
SLOW = ("/auth",)  # goes out to a registry

TEXTS = ("", "0", "1", "-1", "true", "x", "a/b", "../..", "é", "\U0001f6a2", "%", "a" * 3000, "10m", "99999999999999999999", " ", "\n", "{}", "null", "sha256:0", "[]", "busybox", "busybox:latest", "1.5", "SIGKILL", "/", "/etc/passwd", "/tmp", "all")  # fmt: skip
KEYS = "all limit size filters since until stdout stderr tail timestamps t signal condition name force v link h w ps_args path noOverwriteDirNonDir copyUIDGID container repo tag comment author pause changes names fromSrc message type platform detachKeys logs stream stdin one-shot noprune term scope digests verbose checkpoint".split()  # fmt: skip
FILTERS = (
    '{"label":["a"]}', '{"status":["running"]}', '{"nope":["x"]}', '{"until":["1h"]}', '{"name":["["]}', '{"label":{"a":true}}',
    '{"dangling":["maybe"]}', '{"exited":["x"]}', '{"health":["x"]}', '{"before":["zz"]}', '{"volume":["/x"]}', '{"type":["image"]}', "[", '{"a":1}', '{"id":[1]}',
)  # fmt: skip
JSON_VALUES = (None, True, False, 0, 1, -1, 2**63 - 1, 2**64, 1.5, "", "x", "80/tcp", "\x00", "é", [], [1], ["x"], [None], {}, {"a": 1}, {"a": "b"}, {"80/tcp": {}}, [{}], "a" * 5000)  # fmt: skip
RAW_BODIES = (b"", b"null", b"[]", b"{", b"\xff\xfe", b'{"a":NaN}', b'{"Image":"\\ud800"}', b"[" * 50_000, b'{"a":' * 3000 + b"1" + b"}" * 3000, b'{"Image":"busybox","Image":"busybox"}', b"true", b'"x"', b"0")  # fmt: skip
BODIES: dict[str, dict[str, object]] = {
    "/containers/create": {
        "Image": "busybox", "Cmd": ["sleep", "1000"], "Entrypoint": None, "Env": ["A=b"], "Labels": {"a": "b"}, "Tty": False,
        "OpenStdin": True, "User": "0", "WorkingDir": "/tmp", "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/v": {}},
        "Healthcheck": {"Test": ["CMD", "true"]}, "StopSignal": "TERM", "StopTimeout": 1, "Hostname": "h", "Shell": ["sh"],
        "HostConfig": {
            "Memory": 64 << 20, "NanoCpus": 10**9, "PidsLimit": 50, "CapAdd": ["NET_ADMIN"], "CapDrop": ["ALL"], "Binds": ["vol1:/b"],
            "Tmpfs": {"/run": ""}, "PortBindings": {"80/tcp": [{"HostPort": ""}]}, "RestartPolicy": {"Name": "no"}, "LogConfig": {"Type": "json-file"},
            "Mounts": [{"Type": "volume", "Source": "vol2", "Target": "/m"}], "SecurityOpt": ["no-new-privileges"], "Ulimits": [{"Name": "nofile", "Soft": 1000, "Hard": 2000}],
            "ExtraHosts": ["h:1.2.3.4"], "Dns": ["1.1.1.1"], "GroupAdd": ["1"], "ShmSize": 1 << 20, "Init": True, "ReadonlyRootfs": True, "AutoRemove": False,
            "Runtime": "", "IpcMode": "private", "CgroupnsMode": "private", "NetworkMode": "bridge", "Annotations": {"a": "b"}, "OomScoreAdj": 100, "CpusetCpus": "0",
        },
        "NetworkingConfig": {"EndpointsConfig": {"bridge": {"Aliases": ["x"], "IPAMConfig": {}}}},
    },
    "/containers/{name}/update": {"Memory": 64 << 20, "MemorySwap": -1, "PidsLimit": 10, "RestartPolicy": {"Name": "no"}, "CpuShares": 100},
    "/containers/{name}/exec": {"Cmd": ["true"], "AttachStdout": True, "Tty": False, "Env": ["A=b"], "User": "0", "WorkingDir": "/", "DetachKeys": "ctrl-a"},
    "/exec/{name}/start": {"Detach": True, "Tty": False, "ConsoleSize": [10, 20]},
    "/networks/create": {"Name": "net1", "Driver": "bridge", "Internal": False, "Labels": {"a": "b"}, "Options": {}, "EnableIPv6": False, "IPAM": {"Config": [{"Subnet": "10.231.5.0/24"}]}},
    "/networks/{name}/connect": {"Container": "fuzz1", "EndpointConfig": {"Aliases": ["x"]}},
    "/networks/{name}/disconnect": {"Container": "fuzz1", "Force": True},
    "/volumes/create": {"Name": "vol3", "Driver": "local", "Labels": {"a": "b"}, "DriverOpts": {}},
    "/commit": {"Cmd": ["x"], "Env": ["A=b"]},
}  # fmt: skip
LIFE = (
    "/containers/create", "/containers/{name}/start", "/containers/{name}/exec", "/containers/{name}/kill", "/containers/{name}/stop",
    "/containers/{name}", "/containers/{name}/update", "/containers/{name}/json", "/networks/{name}/connect", "/containers/{name}/top",
)  # fmt: skip
NEVER_CHANGED = {"NetworkMode", "Binds", "Source", "Devices"}  # could reach the machine that the test runs on


class Fuzzer:
    def __init__(self, socket: str, seed: int) -> None:
        self.socket = socket
        self.random = random.Random(seed)
        self.names = ["fuzz1", "fuzz2", "busybox", "nope", "net1", "vol1", "bridge", "none", "host"]
        self.failures: list[str] = []
        self.statuses: dict[int, int] = {}
        handlers: dict[object, list[Route]] = {}
        for route in ROUTES:
            if route.path not in SLOW:
                handlers.setdefault(route.handler, []).append(route)
        self.groups = list(handlers.values())
        self.life = [route for route in ROUTES if route.path in LIFE]

    def mutate(self, value: object, depth: int = 0) -> object:
        """Return `value` with about one place in six replaced."""
        if depth and self.random.random() < 0.05:
            return self.random.choice(JSON_VALUES)
        if isinstance(value, dict):
            changed = {
                k: v if k in NEVER_CHANGED else self.mutate(v, depth + 1)
                for k, v in value.items()
                if self.random.random() < 0.85
            }
            if self.random.random() < 0.05:
                changed[self.random.choice(("X", "", "a b"))] = self.random.choice(JSON_VALUES)
            return changed
        if isinstance(value, list):
            return [self.mutate(item, depth + 1) for item in value]
        return value

    def body(self, path: str) -> bytes:
        if self.random.random() < 0.15:
            return self.random.choice(RAW_BODIES)
        template = BODIES.get(path)
        whole = self.random.random() < 0.5
        return b"" if template is None else json.dumps(template if whole else self.mutate(template)).encode()

    def query(self) -> str:
        pairs = []
        for _ in range(self.random.choice((0, 1, 1, 2, 4))):
            key = self.random.choice(KEYS)
            value = self.random.choice(FILTERS) if key == "filters" else self.random.choice((*TEXTS, *self.names))
            pairs.append(f"{key}={quote(value, safe='%' if self.random.random() < 0.05 else '')}")
        return "&".join(pairs)

    def request(self) -> tuple[str, str, bytes]:
        living = self.random.random() < 0.4
        route = self.random.choice(self.life if living else self.random.choice(self.groups))
        names = ("fuzz1", "fuzz2") if living else self.names if self.random.random() < 0.8 else TEXTS
        path = route.path.replace("{name}", quote(self.random.choice(names) or "x", safe="")).replace(
            "{name*}", quote(self.random.choice(names) or "x", safe="/")
        )
        path = path.replace("{rest*}", "x")
        prefix = self.random.choice(("", "/v1.51", "/v1.41", "/v1.24"))
        query = self.query()
        if route.path == "/containers/create" and self.random.random() < 0.5:
            query = f"name={self.random.choice(('fuzz1', 'fuzz2', 'fuzz3'))}"
        if route.path.endswith(("/stop", "/restart")):
            query = f"t=0&{query}"
        return route.method, f"{prefix}{path}?{query}" if query else prefix + path, self.body(route.path)

    async def send(self, method: str, target: str, body: bytes) -> None:
        reader, writer = await asyncio.open_unix_connection(self.socket)
        try:
            head = f"{method} {target} HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            await self.check(reader, method, target, body)
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError) as error:
            self.failures.append(f"{method} {target[:300]} {body[:300]!r}: {error!r}")
        finally:
            writer.close()

    async def check(self, reader: asyncio.StreamReader, method: str, target: str, body: bytes) -> None:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
        status = int(head.split()[1])
        self.statuses[status] = self.statuses.get(status, 0) + 1
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        raw = await asyncio.wait_for(reader.readexactly(length), 10) if length and method != "HEAD" else b""
        bad = status >= 500 and status not in ALLOWED
        if status >= 400 and method != "HEAD":
            bad = bad or b"Traceback" in raw or not json.loads(raw).get("message")
        if bad:
            self.failures.append(f"{method} {target[:300]} {body[:600]!r}: {status} {raw[:400]!r}")


async def fuzz(fuzzer: Fuzzer, count: int) -> None:
    requests = iter([fuzzer.request() for _ in range(count)])

    async def worker() -> None:
        for request in requests:
            await fuzzer.send(*request)

    await asyncio.gather(*(worker() for _ in range(4)))


def run(daemon, count: int) -> None:
    before = len(daemon.log.read_text(errors="replace"))
    fuzzer = Fuzzer(daemon.socket, SEED)
    for _ in range(0, count, 250):
        daemon.load("busybox")  # it may have been removed or renamed meanwhile
        asyncio.run(fuzz(fuzzer, 250))
    text = daemon.log.read_text(errors="replace")[before:]
    print(f"seed {SEED}, {count} requests, answers {dict(sorted(fuzzer.statuses.items()))}")
    assert fuzzer.failures == [], "\n".join(fuzzer.failures[:20])
    assert "Traceback" not in text, text[:4000]
    daemon.remove_everything()
    daemon.load("busybox")
    assert daemon.out("run", "--rm", "busybox", "echo", "alive") == "alive"


@pytest.fixture
def daemon(tmp_path):
    """A daemon of one's own: it loses its images here."""
    need_docker()
    with running_daemon(tmp_path) as daemon:
        yield daemon


def test_random_requests(daemon):
    run(daemon, int(os.environ.get("SAMPAN_FUZZ_REQUESTS", "1000")))


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_many_random_requests(daemon):
    run(daemon, int(os.environ.get("SAMPAN_FUZZ_REQUESTS", "40000")))
