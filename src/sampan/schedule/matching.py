"""Matching: each wish gets one of the things that would do for it, nothing is given twice.

kube-scheduler gives each claim, the smallest first, the smallest volume that is left, and misses ways that exist: one claim
takes what another cannot do without. Here a way is found where there is one, and it is the same where that one would do.

Spec: bipartite matching by augmenting paths (Kuhn).
"""

from __future__ import annotations

from collections.abc import Sequence


def assign(wishes: Sequence[Sequence[str]]) -> list[str | None]:
    """Return what each wish gets, None where it goes without; as many as can be are met, and the earlier before the later.

    Each lists what would do for it, what it would rather have first.
    """
    got: list[str | None] = [None] * len(wishes)
    owner: dict[str, int] = {}
    for wish in range(len(wishes)):
        free = next((thing for thing in wishes[wish] if thing not in owner), None)
        if free is not None:
            owner[free], got[wish] = wish, free
        else:
            _displace(wishes, wish, got, owner, set())
    return got


def _displace(
    wishes: Sequence[Sequence[str]], wish: int, got: list[str | None], owner: dict[str, int], seen: set[str]
) -> bool:
    """Give a wish something that another has who can have something else. Returns whether that was found."""
    for thing in wishes[wish]:
        if thing in seen:
            continue
        seen.add(thing)
        if thing not in owner or _displace(wishes, owner[thing], got, owner, seen):
            owner[thing], got[wish] = wish, thing
            return True
    return False
