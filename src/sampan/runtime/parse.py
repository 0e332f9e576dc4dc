r"""The monitor's log lines, and what runtimes say when they fail. Pure.

A log line is `2026-11-24T21:40:01.123456789+00:00 stdout F text\\n`: F ends a line of the program's, P is a piece of one.
Spec: Kubernetes CRI logging format, as conmon's k8s-file driver writes it (time zone UTC by our choice).
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator

import msgspec

from sampan.runtime.port import LogLine

PREFIX_BYTES = 45
"""Length of everything ahead of the text: time, stream ("stdout" and "stderr" are equally long) and tag."""
JOINED_BYTES = 16384
"""A line longer than this comes in partial pieces, as Docker's."""

_LINE = re.compile(rb"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{9})([+-])(\d\d):(\d\d) (stdout|stderr) ([FP]) ")


def log_line(line: bytes) -> tuple[int, str, bool, bytes] | None:
    """Return (time, stream, partial, text with its newline) of one line; None when it is torn."""
    match = _LINE.match(line)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(match[index]) for index in range(1, 7))
    zone = (int(match[9]) * 3600 + int(match[10]) * 60) * (-1 if match[8] == b"-" else 1)
    seconds = calendar.timegm((year, month, day, hour, minute, second)) - zone
    partial = match[12] == b"P"
    text = line[match.end() :]
    return seconds * 1_000_000_000 + int(match[7]), match[11].decode(), partial, text[:-1] if partial else text


class LineJoiner:
    """Puts the pieces of a line together again, a stream at a time."""

    def __init__(self) -> None:
        self._pending: dict[str, tuple[int, list[bytes], int]] = {}

    def feed(self, line: bytes) -> Iterator[LogLine]:
        """Yield the lines that are complete with this one."""
        parsed = log_line(line)
        if parsed is None:
            return
        time_ns, stream, partial, text = parsed
        first_ns, pieces, size = self._pending.pop(stream, (time_ns, [], 0))
        pieces.append(text)
        size += len(text)
        if partial and size < JOINED_BYTES:
            self._pending[stream] = (first_ns, pieces, size)
        else:
            yield LogLine(time_ns=first_ns, stream=stream, data=b"".join(pieces), partial=partial)

    def flush(self) -> Iterator[LogLine]:
        """Yield what has not ended with a newline."""
        for stream, (time_ns, pieces, _) in self._pending.items():
            yield LogLine(time_ns=time_ns, stream=stream, data=b"".join(pieces), partial=True)
        self._pending.clear()


def logged_bytes(data: bytes) -> int:
    """Return how many bytes the log grows by when the monitor reads `data` at once."""
    lines = data.count(b"\n")
    torn = not data.endswith(b"\n")
    return len(data) + PREFIX_BYTES * (lines + torn) + torn


# --- failures ---------------------------------------------------------------------------------------------------------

_NOT_FOUND = re.compile(r"executable file [`'\"](.+?)['`\"] not found|exec: \"(.+?)\": executable file not found")


class Failure(msgspec.Struct, frozen=True):
    """What a runtime's failure means: docker's words for it, and docker's exit code."""

    text: str
    exit_code: int


def failure(output: str, program: str) -> Failure:
    """Read a runtime's error output. `program` is argv[0] of what should have been started.

    127 is "not found", 126 "cannot be invoked"; docker's client reads the same from the words.
    """
    text = _messages(output) or "the runtime said nothing"
    if not program:  # an update or a pause: its words are about no program
        return Failure(text, 125)
    lower = text.lower()
    if match := _NOT_FOUND.search(text):
        return Failure(f'exec: "{match[1] or match[2]}": executable file not found in $PATH', 127)
    if "no such file or directory" in lower and ("exec" in lower or "executable" in lower or program in text):
        return Failure(f'exec: "{program}": stat {program}: no such file or directory', 127)
    # crun says "open executable" up to 1.8 and "exists but it is not executable" later
    not_executable = "open executable" in lower or "exists but it is not executable" in lower
    if not_executable or ("permission denied" in lower and ("exec" in lower or program in text)):
        return Failure(f'exec: "{program}": permission denied', 126)
    if "is a directory" in lower or "is not a regular file" in lower:
        return Failure(f'exec: "{program}": is a directory', 126)
    if "exec format error" in lower:
        return Failure(f'exec: "{program}": exec format error', 126)
    return Failure(text, 125)


def _messages(output: str) -> str:
    """Return the error texts of plain, JSON and logfmt output, joined."""
    found = []
    for line in output.splitlines():
        stripped = line.strip()
        if stripped.startswith("{"):
            try:
                document = msgspec.json.decode(stripped)
            except msgspec.DecodeError:
                document = {}
            if isinstance(document, dict) and document.get("level") in ("error", "fatal", None) and document.get("msg"):
                found.append(str(document["msg"]))
                continue
        if match := re.search(r'level=(?:error|fatal) msg="((?:[^"\\]|\\.)*)"', stripped):
            found.append(match[1].replace('\\"', '"'))
        elif stripped and "level=warning" not in stripped:
            found.append(re.sub(r"^\d{4}-\d\d-\d\dT[\d:.]+Z: ", "", stripped))
    return ": ".join(dict.fromkeys(found))
