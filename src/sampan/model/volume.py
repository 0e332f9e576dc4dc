"""Volume: named data that outlives containers."""

from __future__ import annotations

from sampan.model.container import Struct


class Volume(Struct, frozen=True, kw_only=True):
    """`mountpoint` is the host directory that holds the data."""

    name: str
    driver: str = "local"
    mountpoint: str = ""
    created_at_ns: int = 0
    labels: dict[str, str] = {}
    options: dict[str, str] = {}
    anonymous: bool = False
