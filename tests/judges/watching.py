"""What a watch promises, judged on what it told beside what the store holds.

Ordered: revisions never go back. Unique: no event twice. Reliable: none missing in between. Atomic: a revision is told whole.
Bookmarkable: what a bookmark says was told. Resumable: going on from any revision tells the rest, no more and no less.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple


class Told(NamedTuple):
    """One delivery."""

    events: Sequence[tuple[int, str, bytes | None]]  # revision, key, value
    revision: int


def faults(deliveries: Sequence[Told], truth: Sequence[tuple[int, str, bytes | None]], after: int) -> list[str]:
    """Return what a watch that began after a revision got wrong; `truth` is all changes, in order."""
    found = []
    told = [event for delivery in deliveries for event in delivery.events]
    revisions = [event[0] for event in told]
    if revisions != sorted(revisions):
        found.append("not ordered")
    if len(set(told)) < len(told):
        found.append("not unique")
    last = deliveries[-1].revision if deliveries else after
    expected = [event for event in truth if after < event[0] <= last]
    if sorted(told) != sorted(expected):
        found.append(f"not reliable: {len(expected) - len(told)} missing")
    seen: set[int] = set()
    for delivery in deliveries:
        mine = {event[0] for event in delivery.events}
        if mine & seen:
            found.append("not atomic")
        seen |= mine
        if any(revision > delivery.revision for revision in mine):
            found.append("not bookmarkable")
    if any(first.revision > second.revision for first, second in itertools.pairwise(deliveries)):
        found.append("bookmarks go back")
    return found
