"""What names a daemon: made once, kept in its data root."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from sampan.base.ids import random_id


def identity(path: Path) -> str:
    """Return the text at `path`, made once: an id that outlives the process."""
    with contextlib.suppress(FileNotFoundError):
        if text := path.read_text().strip():
            return text
    text = random_id()
    temporary = path.with_suffix(".new")
    temporary.write_text(text + "\n")
    os.replace(temporary, path)
    return text


def tag_of(data_root: Path) -> str:
    """Return the daemon's tag: six hex digits in the name of everything it makes on the host."""
    return identity(data_root / "tag")[:6]
