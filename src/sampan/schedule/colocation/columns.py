"""Columns: CPU and memory of pods or of nodes, side by side."""

from __future__ import annotations

from typing import NamedTuple

from sampan.schedule.arrays import Ints


class Columns(NamedTuple):
    """Millicores and bytes, [pods] or [nodes] each: what they have, ask for, use, or what is reclaimed there."""

    cpu: Ints
    memory: Ints
