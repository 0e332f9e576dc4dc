"""`stats`: what containers use, live or once."""

from __future__ import annotations

import json
import select

from sampan.cli.containers import FORMAT, NO_TRUNC
from sampan.cli.flags import BOOL, Flag, Given
from sampan.cli.http import Answer, Client, quote
from sampan.cli.table import show
from sampan.cli.units import human_binary_size, human_size
from sampan.cli.verb import Verb

Sample = dict[str, dict[str, object]]
_COLUMNS = (("CONTAINER ID", "ID"), ("NAME", "Name"), ("CPU %", "CPUPerc"), ("MEM USAGE / LIMIT", "MemUsage"),
            ("MEM %", "MemPerc"), ("NET I/O", "NetIO"), ("BLOCK I/O", "BlockIO"), ("PIDS", "PIDs"))  # fmt: skip


def stats(client: Client, given: Given) -> int:
    names = given.words or _running(client, everything=given.on("all"))
    if given.on("no-stream"):
        samples = [client.get(f"/containers/{quote(name)}/stats?stream=false") for name in names]
        _print([sample for sample in samples if isinstance(sample, dict)], given)
        return 0
    streams = {name: client.request("GET", f"/containers/{quote(name)}/stats?stream=true") for name in names}
    return _follow(streams, given)


def _running(client: Client, *, everything: bool) -> list[str]:
    found = client.get(f"/containers/json?all={int(everything)}")
    return [str(one["Id"]) for one in found] if isinstance(found, list) else []


def _follow(streams: dict[str, Answer], given: Given) -> int:
    """Redraw whenever a sample arrives, until every stream ends or the user stops it."""
    lines = {name: answer.lines() for name, answer in streams.items()}
    poller = select.poll()
    by_fd = {answer.connection.fileno(): name for name, answer in streams.items()}
    for fd in by_fd:
        poller.register(fd, select.POLLIN)
    latest: dict[str, Sample] = {}
    while by_fd:
        for fd, _ in poller.poll():
            line = next(lines[by_fd[fd]], None)
            if line is None:
                poller.unregister(fd)
                del latest[by_fd.pop(fd)]
            else:
                latest[by_fd[fd]] = json.loads(line)
        print("\x1b[H\x1b[J", end="")
        _print(list(latest.values()), given)
    return 0


def _print(samples: list[Sample], given: Given) -> None:
    show([row(sample, whole=given.on("no-trunc")) for sample in samples], _COLUMNS, given.text("format"))


def row(sample: Sample, *, whole: bool = False) -> dict[str, object]:
    """Return a sample as the fields of the table; percentages as docker counts them."""
    memory, used, limit = sample.get("memory_stats") or {}, _used(sample), _number(sample, "memory_stats", "limit")
    networks = (sample.get("networks") or {}).values()
    received, sent = (
        sum(int(one[key]) for one in networks if isinstance(one, dict)) for key in ("rx_bytes", "tx_bytes")
    )
    identity = str(sample["id"])
    return {
        "ID": identity if whole else identity[:12],
        "Name": str(sample["name"]).lstrip("/"),
        "CPUPerc": f"{_cpu_percent(sample):.2f}%",
        "MemUsage": f"{human_binary_size(used)} / {human_binary_size(limit)}",
        "MemPerc": f"{100 * used / limit if limit and memory else 0:.2f}%",
        "NetIO": f"{human_size(received)} / {human_size(sent)}",
        "BlockIO": " / ".join(human_size(_block(sample, word)) for word in ("read", "write")),
        "PIDs": _number(sample, "pids_stats", "current"),
    }


def _number(sample: Sample, group: str, name: str) -> int:
    return int(str((sample.get(group) or {}).get(name) or 0))


def _used(sample: Sample) -> int:
    """Memory without the page cache that the kernel can take back."""
    inner = (sample.get("memory_stats") or {}).get("stats")
    inner = inner if isinstance(inner, dict) else {}
    cache = inner.get("total_inactive_file", inner.get("inactive_file"))
    return _number(sample, "memory_stats", "usage") - int(str(cache or 0))


def _cpu_percent(sample: Sample) -> float:
    def total(group: str) -> int:
        usage = (sample.get(group) or {}).get("cpu_usage")
        return int(usage.get("total_usage", 0)) if isinstance(usage, dict) else 0

    used = total("cpu_stats") - total("precpu_stats")
    whole = _number(sample, "cpu_stats", "system_cpu_usage") - _number(sample, "precpu_stats", "system_cpu_usage")
    return 100.0 * used / whole * _number(sample, "cpu_stats", "online_cpus") if used > 0 and whole > 0 else 0.0


def _block(sample: Sample, word: str) -> int:
    rows = (sample.get("blkio_stats") or {}).get("io_service_bytes_recursive") or []
    assert isinstance(rows, list)  # noqa: S101  the API's shape
    return sum(int(one["value"]) for one in rows if str(one["op"]).lower() == word)


STATS = Verb(
    stats, "[OPTIONS] [CONTAINER...]", "Show what containers use, live.",
    (Flag("no-stream", BOOL, "Show one sample and end"), Flag("all", BOOL, "Also those that do not run", "a"), FORMAT, NO_TRUNC),
    (0, None),
)  # fmt: skip
