"""Warnings: what an answer says besides. Spec: RFC 7234 section 5.5, "Warning"."""

from __future__ import annotations

from collections.abc import Iterable

_MOST = 2000
"""Characters of one warning."""


def headers(warnings: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return the headers, each warning once."""
    return tuple(("Warning", f"299 - {_quoted(text)}") for text in dict.fromkeys(warnings))


def _quoted(text: str) -> str:
    clean = "".join(char if char.isprintable() and ord(char) < 256 else "?" for char in text[:_MOST])
    return '"' + clean.replace("\\", "\\\\").replace('"', '\\"') + '"'
