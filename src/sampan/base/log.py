"""Logging for daemons: one line a record, `level area message key=value`, on stderr."""

from __future__ import annotations

import logging
import sys


def setup(level: str = "info") -> None:
    """Send records of `level` and above to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


def get(area: str) -> logging.Logger:
    """Return the logger of an area (`engine`, `network` …)."""
    return logging.getLogger(f"sampan.{area}")
