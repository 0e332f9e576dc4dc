"""Session: the sides of one run of the bench, started when first asked for and all cleaned away at its end."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable
from functools import cached_property, partial
from types import TracebackType
from typing import Self

import msgspec

from bench import daemon, image, peers
from bench.daemon import Daemon
from bench.fence import Fence
from bench.floor import Floor, runtimes
from bench.result import Result, Samples, compared
from bench.side import Side
from bench.stats import median, percentile, rounds


class Session:
    """`runs` samples a side. `quick` marks what it measures as no more than a smoke test."""

    def __init__(self, *, runs: int, quick: bool = False, ours: bool = True, second: bool = True) -> None:
        self.runs = runs
        self.quick = quick
        self._ours = ours
        self._second = second
        self._at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        self._stack = contextlib.ExitStack()

    @cached_property
    def sampan(self) -> list[Side]:
        """Our sides: one daemon, asked for its default runtime and for the other one."""
        if not self._ours:
            return []
        served = self._started(daemon.sampan(self._fence("sampan")))
        info = served.client().call("GET", "/v1.41/info")
        default = str(info["DefaultRuntime"])
        others = [name for name in ("crun", "runc") if name in info["Runtimes"] and name != default]
        return [Side(f"sampan {default}", served), *(Side(f"sampan {name}", served, name) for name in others)]

    @cached_property
    def dockers(self) -> list[Side]:
        """The peers that can be had here."""
        sources = [peers.newest, peers.debian] if self._second else [peers.newest]
        found = [peer for peer in (_had(source) for source in sources) if peer]
        return [Side(peer.label, self._started(daemon.docker(self._fence("docker"), peer))) for peer in found]

    @cached_property
    def docker_restoring(self) -> Side | None:
        """The first peer once more, with live-restore on."""
        peer = _had(peers.newest)
        if peer is None:
            return None
        served = daemon.docker(self._fence("docker"), peer, live_restore=True)
        return Side(f"{peer.label} live-restore", self._started(served))

    def open(self) -> None:
        """Start all sides, so that what is missing is told before anything is measured.

        Raises:
            Missing: there is no Sampan here.
            DaemonFailed: a daemon does not answer.
        """
        print("sides: " + ", ".join(side.label for side in self.sides), flush=True)

    @property
    def sides(self) -> list[Side]:
        return [*self.sampan, *self.dockers]

    @cached_property
    def floor(self) -> Floor:
        return Floor(self._fence("floor").root / "bundle")

    def sampled(self, timed: Callable[[Side], float], *, floor: bool = False) -> Samples:
        """Return `runs` samples of each side, interleaved, after one of each that does not count.

        `floor` adds the bare runtimes: what is left when everything but the runtime is taken away.
        """
        columns = [(side.label, partial(timed, side)) for side in self.sides]
        columns += [(f"{name} run", partial(self.floor.run, name)) for name in (runtimes() if floor else [])]
        samples: Samples = {label: [] for label, _ in columns}
        for number, (label, sample) in rounds(columns, self.runs + 1):
            taken = sample()
            if number:
                samples[label].append(taken)
        return samples

    def results(self, measure: str, unit: str, samples: Samples, *, tail: bool = True) -> list[Result]:
        """Print the samples of each side and return our sides' lines beside each of the others."""
        print(f"\n{measure} [{unit}]")
        for label, values in samples.items():
            spread = f"p99 {percentile(values, 99):.1f}  min {min(values):.1f}" if tail else f"min {min(values):.1f}"
            print(f"  {label:<28} median {median(values):8.1f}  {spread}  n={len(values)}", flush=True)
        ours = {side.label: side.label.split()[-1] for side in self.sampan}
        others = [label for label in samples if label not in ours]
        lines = compared(measure, unit, samples, ours=ours, peers=others, tail=tail)
        return [msgspec.structs.replace(line, at=self._at, quick=self.quick) for line in lines]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _fence(self, name: str) -> Fence:
        return self._stack.enter_context(Fence(name))

    def _started(self, served: Daemon) -> Daemon:
        served.start()
        self._stack.callback(served.stop)
        Side(served.label, served).load(image.busybox())
        return served


def _had(source: Callable[[], peers.Peer]) -> peers.Peer | None:
    try:
        return source()
    except peers.Missing as missing:
        print(f"(peer left out: {missing})")
        return None
