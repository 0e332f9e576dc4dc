"""JSON merge patch. Spec: RFC 7386."""

from __future__ import annotations

from typing import Any


def apply(target: Any, patch: Any) -> Any:
    """Return `target` changed by `patch`: maps are merged, null takes out, everything else replaces.

    Neither is changed. The result shares with `target` what the patch leaves alone, and nothing with the patch.
    """
    if not isinstance(patch, dict):
        return copied(patch)
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = apply(merged.get(key), value)
    return merged


def copied(value: Any) -> Any:
    """Return a value that shares no map and no list with the one given."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    return [copied(item) for item in value] if isinstance(value, list) else value
