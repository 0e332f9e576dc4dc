"""Finding: one line of `sampan doctor`."""

from __future__ import annotations

from typing import NamedTuple

OK, WARN, FAIL = "ok", "warn", "fail"


class Finding(NamedTuple):
    """How it stands, what was found, and what to do about it."""

    state: str
    what: str
    fix: str = ""
