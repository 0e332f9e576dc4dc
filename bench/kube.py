"""The Kubernetes API's speed: `python -m bench.kube [NAME…]`. The control process has one core for itself, the load the other.

Plain loopback HTTP with a bearer token, roles, strict validation, defaults, a quota in the namespace and an idle watch. The
peer of writes is a real etcd (from PATH or SAMPAN_CLIENTS), driven by as many clients in the same run. A line is a table's row;
JSON lines go to build/bench/NAME.jsonl like those of `python -m bench`.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from bench.result import Result, save
from bench.stats import median

ROOT = Path(__file__).parents[1]
OBJECTS = ROOT / "bench/objects"
CLIENTS = 64
RUNS = 5
PODS = 150_000
WATCHES = 10_000
TOKEN = "bench"
NAMESPACE = "bench"
ALONE = "--no-scheduler"
"""Rates and lists are the API's own: pods that nobody can place are not tried meanwhile. `up` and `idle-memory` have all."""


class Server:
    """A control process on core 0. `flags`: what it is started with besides."""

    def __init__(self, home: Path, *flags: str) -> None:
        self.home = home
        self.flags = flags
        self.port, self.plain = _free_port(), _free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start it; returns the seconds until it was ready."""
        control = self.home / "control"
        control.mkdir(parents=True, exist_ok=True)
        (control / "tokens.csv").write_text(f"{TOKEN},bench,1,benchers\nroot,root,2,system:masters\n")
        argv = [sys.executable, "-m", "sampan.cmd.control", "--data-root", str(self.home), "--log-level", "warning"]
        argv += ["--listen", f"127.0.0.1:{self.port}", "--plain-listen", f"127.0.0.1:{self.plain}"]
        argv += self.flags
        began = time.perf_counter()
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(["taskset", "-c", "0", *argv], stdout=log, stderr=log)
        while not self._ready():
            if self.process.poll() is not None:
                raise RuntimeError((self.home / "log").read_text())
            time.sleep(0.005)
        return time.perf_counter() - began

    def _ready(self) -> bool:
        with contextlib.suppress(OSError):
            return self.call("GET", "/readyz")[0] == 200
        return False

    def call(self, method: str, path: str, body: object = None, token: str = "root") -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.plain, timeout=60)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        found = answer.status, answer.read()
        connection.close()
        return found

    def prepare(self) -> None:
        """Make the namespace, the rights, a quota and one object."""
        rbac = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
        group = {"kind": "Group", "name": "benchers", "apiGroup": "rbac.authorization.k8s.io"}
        role = {"kind": "ClusterRole", "name": "admin", "apiGroup": "rbac.authorization.k8s.io"}
        self.call("POST", rbac, {"metadata": {"name": "benchers"}, "roleRef": role, "subjects": [group]})
        self.call("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        base = f"/api/v1/namespaces/{NAMESPACE}"
        self.call(
            "POST", f"{base}/resourcequotas", {"metadata": {"name": "q"}, "spec": {"hard": {"count/pods": "1000000"}}}
        )
        self.call("POST", f"{base}/configmaps", {"metadata": {"name": "one"}, "data": {"a": "b" * 200}})
        while self.call("GET", f"{base}/serviceaccounts/default")[0] != 200:
            time.sleep(0.02)

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)

    def pss_mb(self) -> float:
        text = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        return int(next(line for line in text.splitlines() if line.startswith("Pss:")).split()[1]) / 1024

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid


@contextlib.contextmanager
def served(*flags: str) -> Iterator[Server]:
    home = Path(tempfile.mkdtemp(prefix="sampan-bench-kube-", dir="/var/tmp"))
    server = Server(home, *flags)
    try:
        server.start()
        server.prepare()
        yield server
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


def load(server: Server, *words: str, tls: bool = False) -> dict:
    port = server.port if tls else server.plain
    argv = ["taskset", "-c", "1", sys.executable, "-m", "bench.kube_load", str(port), str(CLIENTS), *words]
    env = {**os.environ, **({"SAMPAN_BENCH_CA": str(server.home / "control/pki/ca.crt")} if tls else {})}
    found = json.loads(subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, check=True).stdout)
    bad = {code for code in found["statuses"] if code not in ("200", "201")}
    assert not bad, found
    return found


def _rates(measure: str, take: Callable[[int], dict], peer: tuple[str, list[float]] | None = None) -> list[Result]:
    take(0)  # does not count
    taken = [take(number) for number in range(1, RUNS + 1)]
    value, p99 = median([found["rate"] for found in taken]), median([found["p99"] for found in taken])
    line = Result(measure=measure, unit="1/s", value=value, runs=RUNS)
    print(f"{measure:20} {value:10.0f}/s   p99 {p99:.1f} ms", flush=True)
    if peer is not None:
        name, values = peer
        line = msgspec.structs.replace(line, peer=name, peer_value=median(values), ratio=value / median(values))
        print(f"{'':20} {median(values):10.0f}/s   {name}: {value / median(values):.2f}x", flush=True)
    return [line]


def get() -> list[Result]:
    with served(ALONE) as server, watching(server):
        words = ("3", "get", f"/api/v1/namespaces/{NAMESPACE}/configmaps/one", TOKEN)
        lines = _rates("get", lambda _: load(server, *words))
        return lines + _rates("get-tls", lambda _: load(server, *words, tls=True))


def create(kind: str, file: str, count: int) -> list[Result]:
    name, path = f"create-{kind[:-1]}", f"/api/v1/namespaces/{NAMESPACE}/{kind}?fieldValidation=Strict"
    words = (str(count), "post", path, TOKEN, str(OBJECTS / file))
    with served(ALONE) as server, watching(server):
        lines = _rates(name, lambda number: load(server, *words, f"c{number}"), etcd_rate())
        return lines + _rates(f"{name}-tls", lambda number: load(server, *words, f"t{number}", tls=True))


def etcd_rate() -> tuple[str, list[float]] | None:
    """Return how many puts of 1 KB a second a real etcd takes from as many clients; None where there is no etcd."""
    found = shutil.which(
        "etcd", path=f"{os.environ.get('SAMPAN_CLIENTS', '')}/bin:/opt/clients/bin:{os.environ['PATH']}"
    )
    if found is None:
        print("(peer left out: no etcd in PATH or SAMPAN_CLIENTS)")
        return None
    home = Path(tempfile.mkdtemp(prefix="sampan-bench-etcd-", dir="/var/tmp"))
    client, peer = _free_port(), _free_port()
    argv = [found, "--data-dir", str(home), "--listen-client-urls", f"http://127.0.0.1:{client}"]
    argv += ["--advertise-client-urls", f"http://127.0.0.1:{client}", "--listen-peer-urls", f"http://127.0.0.1:{peer}"]
    argv += [
        "--initial-advertise-peer-urls",
        f"http://127.0.0.1:{peer}",
        "--initial-cluster",
        f"default=http://127.0.0.1:{peer}",
    ]
    process = subprocess.Popen(["taskset", "-c", "0", *argv, "--log-level", "error"], stderr=subprocess.DEVNULL)
    try:
        rates = [asyncio.run(_puts(client, f"r{number}", 4000)) for number in range(RUNS + 1)]
        return "etcd 3.5, puts of 1 KB by gRPC", rates[1:]
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(home, ignore_errors=True)


async def _puts(port: int, prefix: str, count: int) -> float:
    """Put values of 1 KB from as many clients; returns puts a second."""
    from sampan.base.clock import SystemClock
    from sampan.base.errors import Unavailable
    from sampan.store.kv.etcd import EtcdStore
    from sampan.store.kv.etcd_address import Address
    from sampan.store.kv.port import Op

    value = os.urandom(300) + b"x" * 724
    numbers = iter(range(count))
    store = None
    for _ in range(200):  # it may be about to start
        with contextlib.suppress(Unavailable):
            store = await EtcdStore.open(Address((f"127.0.0.1:{port}",)), SystemClock(), history_s=0)
            break
        await asyncio.sleep(0.05)
    assert store is not None
    try:

        async def work() -> None:
            for number in numbers:
                await store.commit([Op(f"/bench/{prefix}/{number}", value)])

        began = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(CLIENTS)))
        return count / (time.perf_counter() - began)
    finally:
        await store.close()


@contextlib.contextmanager
def watching(server: Server) -> Iterator[None]:
    """Keep one idle watch of another namespace open."""
    with socket.create_connection(("127.0.0.1", server.plain)) as connection:
        path = "/api/v1/namespaces/default/pods?watch=1&resourceVersion=1"
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer root\r\n\r\n".encode())
        yield


def up() -> list[Result]:
    """From the start of `sampan daemon` on empty roots to the first answer that kubectl gets; and the control process alone."""
    kubectl = shutil.which(
        "kubectl", path=f"{os.environ.get('SAMPAN_CLIENTS', '')}/bin:/opt/clients/bin:{os.environ['PATH']}"
    )
    taken = [_control_up() for _ in range(RUNS)]
    print(f"{'up-control':20} {median(taken):10.2f} s    control process, cold, to /readyz", flush=True)
    lines = [Result(measure="up-control", unit="s", value=median(taken), runs=RUNS)]
    if kubectl is None:
        print("(up left out: no kubectl in PATH or SAMPAN_CLIENTS)")
        return lines
    taken = [_daemon_up(kubectl, number) for number in range(RUNS)]
    print(f"{'up':20} {median(taken):10.2f} s    sampan daemon, cold, to kubectl", flush=True)
    return [Result(measure="up", unit="s", value=median(taken), runs=RUNS), *lines]


def _control_up() -> float:
    home = Path(tempfile.mkdtemp(prefix="sampan-bench-kube-", dir="/var/tmp"))
    server = Server(home)
    try:
        return server.start()
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


def _daemon_up(kubectl: str, number: int) -> float:
    home = Path(tempfile.mkdtemp(prefix="sampan-bench-up-", dir="/var/tmp"))
    sampan = str(Path(sys.executable).parent / "sampan")
    roots = ["--data-root", f"{home}/data", "--exec-root", f"{home}/run", "--bridge", f"spk{os.getpid()}"]
    flags = [*roots, "--bip", f"10.203.{number}.1/24", "--api-listen", f"127.0.0.1:{_free_port()}"]
    config, address = home / "kubeconfig", home / "data/control/address"
    began = time.perf_counter()
    with (home / "log").open("wb") as log:
        daemon = subprocess.Popen([sampan, "daemon", *flags], stdout=log, stderr=log)
    try:
        while True:
            if daemon.poll() is not None or time.perf_counter() - began > 60:
                raise RuntimeError((home / "log").read_text())
            if not address.exists():
                time.sleep(0.01)
                continue
            if not config.exists():
                config.write_bytes(
                    subprocess.run([sampan, "kubeconfig", *roots[:2]], capture_output=True, check=True).stdout
                )
            env = {**os.environ, "KUBECONFIG": str(config), "HOME": str(home)}
            if (
                subprocess.run([kubectl, "get", "namespaces"], env=env, capture_output=True, check=False).returncode
                == 0
            ):
                return time.perf_counter() - began
    finally:
        daemon.terminate()
        daemon.wait(30)
        subprocess.run([sampan, "down", *flags, "--purge", "--yes"], capture_output=True, check=False)
        shutil.rmtree(home, ignore_errors=True)


def idle_memory() -> list[Result]:
    taken = []
    for _ in range(RUNS):
        with served() as server:
            server.call("GET", "/api/v1/namespaces")
            time.sleep(1)
            taken.append(server.pss_mb())
    print(f"{'idle-memory':20} {median(taken):10.1f} MB   PSS")
    return [Result(measure="idle-memory", unit="MB", value=median(taken), runs=RUNS)]


def fill(server: Server) -> None:
    """Put 150,000 pods into the store of a server that is stopped, as the server would have."""
    body = json.loads((OBJECTS / "pod.json").read_text())
    body["metadata"]["name"] = "template"
    code, raw = server.call("POST", f"/api/v1/namespaces/{NAMESPACE}/pods", body)
    assert code == 201, raw
    server.stop()
    asyncio.run(_fill(server.home, json.loads(raw)))
    server.start()


async def _fill(home: Path, pod: dict) -> None:
    from sampan.base.clock import SystemClock
    from sampan.kube import stored
    from sampan.store.kv.port import Op
    from sampan.store.kv.sqlite import SqliteStore

    store = SqliteStore(home / "control" / "state.db", SystemClock())
    value = stored.encode(pod).replace(b'"template"', b'"NAME"', 1)
    print(f"(pods of {len(value)} bytes)")
    for start in range(0, PODS, 500):
        await store.commit(
            [
                Op(f"/core/pods/{NAMESPACE}/p-{number:06}", value.replace(b'"NAME"', b'"p-%06d"' % number, 1))
                for number in range(start, min(PODS, start + 500))
            ]
        )
    await store.close()


def list_150k() -> list[Result]:
    with served(ALONE) as server:
        fill(server)
        connection = http.client.HTTPConnection("127.0.0.1", server.plain, timeout=60)
        taken, pages = [], []
        for _ in range(3):
            began, token, count = time.perf_counter(), "", 0
            while True:
                page = time.perf_counter()
                more = f"&continue={token}" if token else ""
                connection.request("GET", f"/api/v1/pods?limit=500{more}", headers={"Authorization": "Bearer root"})
                body = connection.getresponse().read()
                pages.append(time.perf_counter() - page)
                head = body[:2000]
                place = head.find(b'"continue":"')
                count += body.count(b'"kind":"Pod"')
                if place < 0:
                    break
                token = head[place + 12 : head.find(b'"', place + 12)].decode()
            taken.append(time.perf_counter() - began)
            assert count == PODS + 1, count
        memory = server.pss_mb()
        lines = [Result(measure="list-150k", unit="s", value=median(taken), runs=3)]
        print(
            f"{'list-150k':20} {median(taken):10.2f} s    {memory:.0f} MB PSS; a page {median(pages) * 1e3:.1f} ms",
            flush=True,
        )
        lines.append(Result(measure="list-150k-memory", unit="MB", value=memory, runs=1))
        return [*lines, *_create_under_list(server)]


def _create_under_list(server: Server) -> list[Result]:
    """p99 of one client's creates while another lists everything, over and over."""
    lister = subprocess.Popen(
        ["taskset", "-c", "1", sys.executable, "-c", _LISTER, str(server.plain)], stdout=subprocess.DEVNULL
    )
    try:
        time.sleep(1)
        connection = http.client.HTTPConnection("127.0.0.1", server.plain, timeout=60)
        headers = {"Authorization": "Bearer root", "Content-Type": "application/json"}
        times = []
        for number in range(500):
            body = json.dumps({"metadata": {"name": f"u-{number}"}, "data": {"a": "b" * 900}})
            began = time.perf_counter()
            connection.request("POST", f"/api/v1/namespaces/{NAMESPACE}/configmaps", body, headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 201
            times.append(time.perf_counter() - began)
    finally:
        lister.kill()
        lister.wait()
    times.sort()
    value = times[int(len(times) * 0.99)] * 1e3
    print(f"{'create-under-list':20} {value:10.1f} ms   p99; median {times[len(times) // 2] * 1e3:.1f} ms", flush=True)
    return [
        Result(measure="create-under-list", unit="ms", value=times[len(times) // 2] * 1e3, p99=value, runs=len(times))
    ]


_LISTER = """
import http.client, sys
while True:
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=60)
    token = ""
    while True:
        more = f"&continue={token}" if token else ""
        connection.request("GET", f"/api/v1/pods?limit=500{more}", headers={"Authorization": "Bearer root"})
        head = connection.getresponse().read()[:2000]
        place = head.find(b'"continue":"')
        if place < 0:
            break
        token = head[place + 12 : head.find(b'"', place + 12)].decode()
"""


def watch_10k() -> list[Result]:
    with served(ALONE) as server:
        lines = [_open_watches(server, "watch-10k", server.plain, WATCHES, tls=False)]
        lines.append(_fan_out(server))
    with served(ALONE) as server:
        lines.append(_open_watches(server, "watch-10k-tls", server.port, WATCHES, tls=True))
    return lines


def _open_watches(server: Server, name: str, port: int, count: int, *, tls: bool) -> Result:
    """Open idle watches from other processes; returns the server's memory then."""
    before = server.pss_mb()
    each = 5000
    ca = str(server.home / "control/pki/ca.crt") if tls else ""
    holders = [
        subprocess.Popen(
            [sys.executable, "-c", _HOLDER, str(port), str(each), ca], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(count // each)
    ]
    try:
        for holder in holders:
            assert holder.stdout.readline() == b"open\n"
        time.sleep(1)
        memory = server.pss_mb()
    finally:
        for holder in holders:
            holder.kill()
            holder.wait()
    print(f"{name:20} {memory:10.1f} MB   {count} watches; {(memory - before) * 1024 / count:.1f} KiB each", flush=True)
    return Result(measure=name, unit="MB", value=memory, runs=1)


_HOLDER = """
import resource, socket, ssl, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (20000, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
port, count, ca = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
context = ssl.create_default_context(cafile=ca) if ca else None
request = b"GET /api/v1/namespaces/bench/configmaps?watch=1&resourceVersion=1 HTTP/1.1\\r\\nHost: a\\r\\nAuthorization: Bearer root\\r\\n\\r\\n"
held = []
for _ in range(count):
    connection = socket.create_connection(("127.0.0.1", port))
    if context:
        connection = context.wrap_socket(connection, server_hostname="127.0.0.1")
    connection.sendall(request)
    assert connection.recv(12) == b"HTTP/1.1 200"
    held.append(connection)
print("open", flush=True)
sys.stdin.read()
"""


def _fan_out(server: Server) -> Result:
    """The time from the first to the last of 1,000 watchers being told of one event, as their kernel buffers have it."""
    import select

    _, raw = server.call("GET", f"/api/v1/namespaces/{NAMESPACE}/configmaps?limit=1")
    revision = json.loads(raw)["metadata"]["resourceVersion"]
    held = []
    request = (
        f"GET /api/v1/namespaces/{NAMESPACE}/configmaps?watch=1&resourceVersion={revision} HTTP/1.1\r\nHost: a\r\n"
    )
    for _ in range(1000):
        connection = socket.create_connection(("127.0.0.1", server.plain))
        connection.sendall(f"{request}Authorization: Bearer root\r\n\r\n".encode())
        assert b"200" in connection.recv(4096)
        held.append(connection)
    spans = []
    for number in range(20):
        poller = select.epoll()
        for connection in held:
            poller.register(connection.fileno(), select.EPOLLIN)
        server.call("POST", f"/api/v1/namespaces/{NAMESPACE}/configmaps", {"metadata": {"name": f"e{number}"}})
        first, left = 0.0, len(held)
        while left:
            for descriptor, _ in poller.poll(5):
                first = first or time.perf_counter()
                poller.unregister(descriptor)
                left -= 1
        spans.append(time.perf_counter() - first)
        for connection in held:
            connection.recv(65536)
        poller.close()
    for connection in held:
        connection.close()
    value = median(spans) * 1e3
    print(f"{'watch-fan-out':20} {value:10.2f} ms   one event to 1,000 watchers", flush=True)
    return Result(measure="watch-fan-out", unit="ms", value=value, runs=len(spans))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


MEASURES: dict[str, Callable[[], list[Result]]] = {
    "up": up,
    "idle-memory": idle_memory,
    "get": get,
    "create-configmap": lambda: create("configmaps", "configmap.json", 10_000),
    "create-pod": lambda: create("pods", "pod.json", 6_000),
    "list-150k": list_150k,
    "watch-10k": watch_10k,
}


def main(names: list[str]) -> int:
    for name in names or list(MEASURES):
        if name not in MEASURES:
            print(f"no measure {name}: there are {', '.join(MEASURES)}")
            return 2
        save(name, MEASURES[name]())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
