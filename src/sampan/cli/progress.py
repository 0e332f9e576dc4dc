"""Progress of a pull, push or load: bars on a terminal, one line a step elsewhere."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import TextIO

from sampan.cli.errors import CliError
from sampan.cli.units import human_size


def show(lines: Iterator[bytes], out: TextIO, *, quiet: bool = False) -> list[object]:
    """Print a stream of progress documents; returns their `aux` values.

    Raises:
        CliError: the stream told an error.
    """
    screen, aux = _Screen(out) if out.isatty() else None, []
    for line in lines:
        message = json.loads(line)
        if "error" in message:
            raise CliError(str((message.get("errorDetail") or {}).get("message") or message["error"]))
        if "aux" in message:
            aux.append(message["aux"])
        elif not quiet:
            _show_one(message, out, screen)
    return aux


def _show_one(message: dict[str, object], out: TextIO, screen: _Screen | None) -> None:
    if "stream" in message:
        out.write(str(message["stream"]))
        out.flush()
        return
    status, identity = str(message.get("status", "")), str(message.get("id", ""))
    detail = message.get("progressDetail")
    detail = detail if isinstance(detail, dict) else {}
    text = f"{identity}: {status}" if identity else status
    if screen and identity:
        screen.set(identity, text + _bar(detail))
    elif not detail.get("current"):
        print(text, file=out, flush=True)


def _bar(detail: dict[str, object]) -> str:
    current, total = int(str(detail.get("current") or 0)), int(str(detail.get("total") or 0))
    if not current:
        return ""
    if total <= 0:
        return f"  {human_size(current)}"
    filled = min(24, 24 * current // total)
    return f"  {'━' * filled}{' ' * (24 - filled)}  {human_size(current)}/{human_size(total)}"


class _Screen:
    """One line for each id, rewritten in place."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._rows: dict[str, int] = {}

    def set(self, identity: str, text: str) -> None:
        width = os.get_terminal_size(self._out.fileno()).columns
        if identity not in self._rows:
            self._rows[identity] = len(self._rows)
            self._out.write("\n")
        up = len(self._rows) - self._rows[identity]
        self._out.write(f"\x1b[{up}A\r\x1b[2K{text[: width - 1]}\x1b[{up}B\r")
        self._out.flush()
