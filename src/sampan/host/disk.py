"""A full disk as an error for people."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from sampan.base.errors import Exhausted

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextmanager
def told_when_full(what: str) -> Iterator[None]:
    """Turn "no space left" into `Exhausted`; `what` says what could not be done."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise Exhausted(
                f"{what}: no space left on the disk of the data root; remove containers, images or volumes and try again"
            ) from error
        raise
