"""Named crash points: `SAMPAN_CRASH=point:n` ends the process at once, the n-th time that point is passed.

A point stands before and after every durable write and every mount, netns, veth, rule and runtime call. With the
variable unset a point costs one attribute test. `SAMPAN_CRASH_LIST=file` appends each point's name the first time it
is passed, so that a test can learn which points an operation has.
"""

from __future__ import annotations

import os

EXIT_CODE = 86
"""The exit status of a process that a crash point ended."""


class _Plan:
    def __init__(self, crash: str | None, list_file: str | None) -> None:
        name, _, count = (crash or "").partition("@")
        self.name = name
        self.left = int(count) if count else 1
        self.list_file = list_file
        self.seen: set[str] = set()
        self.active = bool(name or list_file)


def _parse(value: str | None) -> str | None:
    """Turn `point:n` (points may hold colons) into `point@n`."""
    if not value:
        return None
    name, separator, count = value.rpartition(":")
    return f"{name}@{count}" if separator and count.isdigit() else value


_plan = _Plan(_parse(os.environ.get("SAMPAN_CRASH")), os.environ.get("SAMPAN_CRASH_LIST"))


def point(name: str) -> None:
    """Pass the crash point `name` (`area.step.before` or `area.step.after`)."""
    if _plan.active:
        _pass(name)


def _pass(name: str) -> None:
    if _plan.list_file and name not in _plan.seen:
        _plan.seen.add(name)
        with open(_plan.list_file, "a") as listing:
            listing.write(name + "\n")
    if name == _plan.name:
        _plan.left -= 1
        if _plan.left <= 0:
            os._exit(EXIT_CODE)
