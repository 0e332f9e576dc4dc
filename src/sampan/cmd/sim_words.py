"""Arguments of `sampan sim`: what each may be, told before anything runs."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path


def whole(least: int, most: int = 2**31 - 1) -> Callable[[str], int]:
    """Return what reads a whole number of this range."""

    def read(text: str) -> int:
        try:
            found = int(text)
        except ValueError:
            found = least - 1
        if not least <= found <= most:
            raise argparse.ArgumentTypeError(f"{text!r}: a whole number from {least} to {most} is wanted")
        return found

    return read


def number(least: float, most: float) -> Callable[[str], float]:
    """Return what reads a number of this range; infinite ones count."""

    def read(text: str) -> float:
        try:
            found = float(text)
        except ValueError:
            found = math.nan
        if not least <= found <= most:
            raise argparse.ArgumentTypeError(f"{text!r}: a number from {least:g} to {most:g} is wanted")
        return found

    return read


def new_file(text: str) -> Path:
    """Return the path of a file that is to be written, when its folder is there: a run may take minutes."""
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r}: name a file in a folder that is there")
    return path
