"""Event: something that happened to an object, in the order in which it happened."""

from __future__ import annotations

from sampan.model.container import Struct


class Event(Struct, frozen=True, kw_only=True):
    """`kind` is container, image, network, volume or daemon; `action` is past or a plain verb as users know it."""

    kind: str
    action: str  # "start", "die", "exec_create: sh" …
    id: str
    attributes: dict[str, str] = {}
    time_ns: int = 0
    scope: str = "local"
