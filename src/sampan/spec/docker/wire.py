"""Base of all wire structs and the integer type of the wire."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Int = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
"""Go's int64: a larger number is an error, not a large number."""

Strings = list[str] | None
StringMap = dict[str, str | None] | None
Set = dict[str, dict[str, msgspec.Raw] | None] | None
"""Go's map[string]struct{}."""
Words = str | list[str] | None
"""A command: one string, or words."""


class Wire(msgspec.Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """snake_case here, PascalCase on the wire."""
