"""Numbers, lines and verdicts of the bench."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from bench import result, stats, table
from bench.bars import reached
from bench.result import Result, compared


def test_median_of_even_and_odd_counts() -> None:
    assert stats.median([3, 1, 2]) == 2
    assert stats.median([4, 1, 2, 3]) == 2.5


def test_p99_of_few_samples_is_the_largest() -> None:
    assert stats.percentile([1.0, 9.0, 3.0], 99) == 9.0
    assert stats.percentile(list(range(1, 201)), 99) == 198


def test_rounds_take_turns_in_going_first() -> None:
    assert list(stats.rounds(["a", "b"], 3)) == [(0, "a"), (0, "b"), (1, "b"), (1, "a"), (2, "a"), (2, "b")]


def test_every_runtime_stands_beside_every_peer() -> None:
    samples = {"sampan crun": [10.0, 20.0, 30.0], "sampan runc": [40.0], "dockerd": [200.0, 100.0, 300.0]}
    ours = {"sampan crun": "crun", "sampan runc": "runc"}
    first, second = compared("cycle", "ms", samples, ours=ours, peers=["dockerd"])
    assert (first.value, first.p99, first.peer_value, first.ratio, first.runs) == (20.0, 30.0, 200.0, 0.1, 3)
    assert (second.runtime, second.ratio, second.runs) == ("runc", 0.2, 1)


def test_no_peer_gives_a_line_without_ratio() -> None:
    (line,) = compared("cycle", "ms", {"sampan crun": [1.0]}, ours={"sampan crun": "crun"}, peers=[])
    assert (line.peer, line.ratio) == ("", None)
    assert reached(line) is None


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        ({"measure": "cycle", "ratio": 0.14}, True),
        ({"measure": "cycle", "ratio": 0.15}, False),
        ({"measure": "cycle-8", "ratio": 6.0}, True),
        ({"measure": "cycle-8", "ratio": 5.9}, False),
        ({"measure": "create-start", "ratio": 0.1, "p99": 50.0, "peer_p99": 170.0}, True),
        ({"measure": "create-start", "ratio": 0.1, "p99": 60.0, "peer_p99": 170.0}, False),
        ({"measure": "restart-100", "value": 0.9}, True),
        ({"measure": "restart-100", "value": 1.1}, False),
        ({"measure": "cycle", "ratio": 0.1, "runtime": "runc"}, None),
        ({"measure": "cycle", "ratio": 0.1, "peer": "crun run"}, None),
        ({"measure": "load-200mb-peak", "ratio": 1.0}, None),
    ],
)
def test_bars(line: dict[str, object], verdict: bool | None) -> None:
    assert (
        reached(msgspec.convert({"unit": "", "value": 0.0, "runs": 20, "peer": "dockerd 1", **line}, Result)) is verdict
    )


def test_the_contract_of_a_line() -> None:
    line = msgspec.to_builtins(Result(measure="cycle", unit="ms", value=1.0, runs=3))
    assert {"measure", "unit", "value", "p99", "peer", "peer_value", "ratio", "runs"} <= set(line)


def test_last_prefers_newer_and_full_runs(tmp_path: Path) -> None:
    base = Result(measure="cycle", unit="ms", value=1.0, runs=25, runtime="crun", peer="d", at="1")
    result.save("cycle", [base, msgspec.structs.replace(base, value=2.0, at="2")], tmp_path)
    result.save("cycle", [msgspec.structs.replace(base, value=3.0, at="3", quick=True)], tmp_path)
    assert [line.value for line in result.last(tmp_path)] == [2.0]


def test_compare_tells_reach_and_verdict() -> None:
    line = Result(
        measure="cycle", unit="ms", value=20.0, runs=25, runtime="crun", peer="dockerd", peer_value=250.0, ratio=0.08
    )
    text = table.compare([line])
    assert "1/12.5" in text
    assert text.splitlines()[-1].endswith("<= 1/7 of dockerd  yes")
