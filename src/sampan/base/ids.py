"""Identifiers. A container's id names everything of it on the host, so it is made before any side effect."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable

IdSource = Callable[[], str]

_ADJECTIVES = (
    "able amber brave brisk calm clear clever coral dapper deft eager fair fleet fresh gentle glad golden grand happy "
    "hardy honest jolly keen kind lively lucky mellow merry mighty neat nimble noble placid plucky polite proud quick "
    "quiet ready rosy sandy sharp shiny silent silver smart snug solid spry steady stout sunny swift tidy tranquil "
    "trim trusty upbeat valiant vivid warm wise witty zesty"
).split()
_BOATS = (
    "ark barge bark brig canoe caravel catboat clipper coracle cutter cog corvette cruiser currach dhow dinghy dory "
    "felucca ferry frigate galley galleon gondola gulet jangada junk kayak ketch knarr launch longship lugger nao "
    "outrigger packet pinnace pirogue planche pram proa punt raft reefer sampan schooner scow shallop skiff skipjack "
    "sloop smack tartane tender trawler trireme tug umiak whaler wherry xebec yacht yawl"
).split()


def random_id() -> str:
    """Return 64 random lowercase hex digits."""
    return secrets.token_hex(32)


def random_uid() -> str:
    """Return a random UUID as text (RFC 9562, version 4): what `uuid.uuid4` gives, in half its time."""
    raw = bytearray(secrets.token_bytes(16))
    raw[6] = raw[6] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x80
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def random_name(taken: Iterable[str] = ()) -> str:
    """Return a readable name such as `brave_sampan` that is not in `taken`."""
    used = taken if isinstance(taken, (set, dict)) else set(taken)
    for attempt in range(1000):
        suffix = "" if attempt < 10 else str(secrets.randbelow(10_000))
        name = f"{secrets.choice(_ADJECTIVES)}_{secrets.choice(_BOATS)}{suffix}"
        if name not in used:
            return name
    return f"sampan_{random_id()[:12]}"
