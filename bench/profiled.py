"""Profiled: runs `sampan daemon` in this process under a recorder. Started by bench.profile, not by people.

`python -m bench.profiled cpu|wall FILE daemon …`. Recording begins at SIGUSR2, so that start-up is not in it, and FILE is
written when the daemon ends.
"""

from __future__ import annotations

import asyncio
import cProfile
import pstats
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Protocol

import msgspec

INTERVAL_S = 0.001
SOURCE = f"{Path(__file__).absolute().parents[1] / 'src'}/"


class Recorder(Protocol):
    def begin(self) -> None: ...

    def save(self, path: str) -> None: ...


class CpuRecorder:
    """cProfile of the main thread and, where Python lets more than one profiler run (before 3.12), of all others."""

    def __init__(self) -> None:
        self._main = cProfile.Profile()
        self._others: list[cProfile.Profile] = []
        if sys.version_info < (3, 12):
            threading.setprofile(self._thread)

    def begin(self) -> None:
        self._main.enable()

    def save(self, path: str) -> None:
        self._main.disable()
        statistics = pstats.Stats(self._main)
        for profile in self._others:
            profile.disable()
            if profile.getstats():
                statistics.add(profile)
        statistics.dump_stats(path)

    def _thread(self, frame: FrameType, event: str, argument: Any) -> None:
        profile = cProfile.Profile()
        self._others.append(profile)
        profile.enable()


class WallRecorder:
    """Samples, once a millisecond, where each task waits and where each thread is, and adds up the time since the last look."""

    def __init__(self) -> None:
        self._main = threading.get_ident()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._seen: dict[tuple[str, ...], float] = {}
        self._seconds = 0.0

    def begin(self) -> None:
        self._loop = asyncio.get_event_loop_policy().get_event_loop()
        sys.setswitchinterval(INTERVAL_S / 2)  # or the sampler would wait out each piece of work on the loop
        threading.Thread(target=self._run, daemon=True).start()

    def save(self, path: str) -> None:
        chains = [[list(chain), seconds] for chain, seconds in self._seen.items()]
        record = {"seconds": self._seconds, "chains": chains}
        Path(path).write_bytes(msgspec.json.encode(record))

    def _run(self) -> None:
        me = threading.get_ident()
        before = time.perf_counter()
        while True:
            time.sleep(INTERVAL_S)
            stacks = {ident: _stack(frame) for ident, frame in sys._current_frames().items() if ident != me}  # noqa: SLF001
            now = time.perf_counter()
            for chain in self._chains(stacks):
                self._seen[chain] = self._seen.get(chain, 0.0) + now - before
            self._seconds += now - before
            before = now

    def _chains(self, stacks: dict[int, list[str]]) -> Iterator[tuple[str, ...]]:
        """Yield one chain for each task and each busy thread, outermost frame first; only our own frames count."""
        try:
            tasks = list(asyncio.all_tasks(self._loop))
        except RuntimeError:  # the set changed meanwhile: this sample has no tasks
            tasks = []
        for task in tasks:
            chain, running = _awaits(task.get_coro())
            if running:
                inside = (name for name in stacks.get(self._main, []) if not name.startswith(("cmd/", "__main__")))
                chain = [*inside, "(on the loop)"]
            if chain:
                yield tuple(chain)
        for ident, stack in stacks.items():
            if ident != self._main and stack:
                yield ("(thread)", *stack)


def _awaits(coroutine: Any) -> tuple[list[str], bool]:
    """Return the chain of awaits inside a coroutine and whether it runs at this moment."""
    chain: list[str] = []
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        if getattr(coroutine, "cr_running", False):
            return chain, True
        if frame is not None:
            chain += _name(frame.f_code, frame.f_lineno)
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
    return chain, False


def _stack(frame: FrameType | None) -> list[str]:
    names: list[str] = []
    while frame is not None:
        names = [*_name(frame.f_code, frame.f_lineno), *names]
        frame = frame.f_back
    return names


def _name(code: CodeType, line: int | None) -> list[str]:
    if not code.co_filename.startswith(SOURCE):
        return []
    return [f"{code.co_filename.removeprefix(SOURCE).removeprefix('sampan/')}:{line} {code.co_qualname}"]


def main() -> int:
    mode, path, *arguments = sys.argv[1:]
    recorder: Recorder = CpuRecorder() if mode == "cpu" else WallRecorder()
    signal.signal(signal.SIGUSR2, lambda *_: recorder.begin())
    from sampan.cmd.main import main as sampan  # after the recorder: it has to see the threads

    try:
        return int(sampan(arguments))
    finally:
        recorder.save(path)


if __name__ == "__main__":
    sys.exit(main())
