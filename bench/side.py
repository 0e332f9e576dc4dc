"""Side: one column of a measure: a daemon, the OCI runtime it is asked for, and the calls that are timed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.client import Client
from bench.daemon import Daemon
from bench.image import NAME

LOGS = {"LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "5"}}}
LIMITS: dict[str, Any] = {
    **LOGS,
    "Memory": 64 << 20,
    "MemorySwap": 64 << 20,
    "MemoryReservation": 32 << 20,
    "CpuShares": 512,
    "CpuPeriod": 100_000,
    "CpuQuota": 100_000,
    "CpusetCpus": f"0-{(os.cpu_count() or 1) - 1}",
    "PidsLimit": 64,
    "Ulimits": [{"Name": "nofile", "Soft": 1024, "Hard": 1024}],
}
LONG = ("sleep", "100000")


class Side:
    """`label` names it in tables; `runtime` "" is the daemon's default."""

    def __init__(self, label: str, daemon: Daemon, runtime: str = "") -> None:
        self.label = label
        self.daemon = daemon
        self.runtime = runtime
        self.client = daemon.client()

    def create(self, command: Sequence[str], host: dict[str, Any] = LOGS, client: Client | None = None) -> str:
        """Create a container on the default bridge and return its id."""
        host = {**host, "Runtime": self.runtime} if self.runtime else host
        body = {"Image": NAME, "Cmd": list(command), "HostConfig": host}
        container: str = (client or self.client).call("POST", "/v1.41/containers/create", body)["Id"]
        return container

    def start(self, container: str, client: Client | None = None) -> None:
        (client or self.client).call("POST", f"/v1.41/containers/{container}/start")

    def wait(self, container: str, client: Client | None = None) -> int:
        """Return the exit code once the container has ended."""
        code: int = (client or self.client).call("POST", f"/v1.41/containers/{container}/wait")["StatusCode"]
        return code

    def remove(self, container: str, *, force: bool = False, client: Client | None = None) -> None:
        (client or self.client).call("DELETE", f"/v1.41/containers/{container}?force={int(force)}&v=1")

    def cycle(self, client: Client | None = None) -> None:
        """Create, start, wait and remove one container."""
        container = self.create(["/bin/true"], client=client)
        self.start(container, client)
        code = self.wait(container, client)
        assert code == 0, f"{self.label}: /bin/true ended with {code}"
        self.remove(container, client=client)

    def exec(self, container: str) -> None:
        """Run `true` in a running container, by the API."""
        body = {"Cmd": ["true"], "AttachStdout": True, "AttachStderr": True}
        session = self.client.call("POST", f"/v1.41/containers/{container}/exec", body)["Id"]
        with self.daemon.client() as stream:
            stream.stream(f"/v1.41/exec/{session}/start", {"Detach": False, "Tty": False})

    def launch(self, count: int) -> list[str]:
        """Start long-running containers one after another and return their ids."""
        containers = []
        for _ in range(count):
            containers.append(self.create(LONG))
            self.start(containers[-1])
        return containers

    def remove_all(self, containers: Sequence[str]) -> None:
        """Remove containers, running or not, eight at a time."""

        def remove(container: str) -> None:
            with self.daemon.client() as client:
                self.remove(container, force=True, client=client)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(remove, containers))

    def running(self) -> int:
        """Return how many containers the daemon says are running."""
        return len(self.client.call("GET", "/v1.41/containers/json"))

    def load(self, archive: Path | str) -> None:
        self.client.upload("/v1.41/images/load?quiet=1", str(archive))

    def cli(self, *arguments: str) -> None:
        """Run the docker CLI against this side. The same binary for all, with no configuration of the user's."""
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.daemon.fence.root),
            "DOCKER_HOST": f"unix://{self.daemon.socket}",
        }
        subprocess.run(
            [docker_cli(), *arguments], env=env, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )

    def cli_run(self) -> None:
        """`docker run --rm IMAGE /bin/true`."""
        options = ["--runtime", self.runtime] if self.runtime else []
        self.cli("run", "--rm", *options, NAME, "/bin/true")


def docker_cli() -> str:
    """Return the docker CLI that all sides are driven by."""
    path = os.environ.get("SAMPAN_BENCH_DOCKER") or shutil.which("docker")
    if path is None:
        raise FileNotFoundError("no docker CLI in PATH: install docker-cli or docker.io, or set SAMPAN_BENCH_DOCKER")
    return path
