"""Result: one line of a table, kept as a JSON line in build/bench/NAME.jsonl."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from bench.stats import median, percentile, ratio

RESULTS = Path("build/bench")


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """A measure of Sampan beside one peer. `value` is the median of `runs` samples, `p99` None where it says nothing."""

    measure: str
    unit: str
    value: float
    p99: float | None = None
    peer: str = ""
    peer_value: float | None = None
    ratio: float | None = None
    runs: int
    runtime: str = ""  # OCI runtime under Sampan
    peer_p99: float | None = None
    at: str = ""  # start of the run, UTC, the same for every line of it
    quick: bool = False


Samples = dict[str, list[float]]
"""Samples by the label of a side."""


def compared(
    measure: str, unit: str, samples: Samples, *, ours: dict[str, str], peers: Iterable[str], tail: bool = True
) -> list[Result]:
    """Return a line for each of our sides beside each peer.

    `ours` maps the label of a side to its OCI runtime. With no peer there is one line a side, with no ratio.
    A measure whose samples say nothing about a tail (sizes, rates) passes `tail=False`.
    """
    lines = []
    for label, runtime in ours.items():
        if not samples.get(label):
            continue
        mine = samples[label]
        value, p99 = median(mine), percentile(mine, 99) if tail else None
        base = Result(measure=measure, unit=unit, value=value, p99=p99, runs=len(mine), runtime=runtime)
        measured = [peer for peer in peers if samples.get(peer)]
        lines += [_beside(base, peer, samples[peer], tail=tail) for peer in measured] or [base]
    return lines


def _beside(line: Result, peer: str, theirs: list[float], *, tail: bool) -> Result:
    value = median(theirs)
    p99 = percentile(theirs, 99) if tail else None
    return msgspec.structs.replace(
        line,
        peer=peer,
        peer_value=value,
        peer_p99=p99,
        ratio=ratio(line.value, value),
        runs=min(line.runs, len(theirs)),
    )


def save(name: str, lines: Iterable[Result], folder: Path = RESULTS) -> Path:
    """Append the lines to NAME.jsonl and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.jsonl"
    with path.open("ab") as file:
        file.writelines(msgspec.json.encode(line) + b"\n" for line in lines)
    return path


def last(folder: Path = RESULTS) -> list[Result]:
    """Return the newest line of each (measure, runtime, peer) in all files; a full run counts before a quick one."""
    decoder = msgspec.json.Decoder(Result)
    found: dict[tuple[str, str, str], Result] = {}
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_bytes().splitlines():
            new = decoder.decode(line)
            key = (new.measure, new.runtime, new.peer)
            old = found.get(key)
            if old is None or (not new.quick, new.at) >= (not old.quick, old.at):
                found[key] = new
    return list(found.values())
