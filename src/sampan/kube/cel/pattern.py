"""Regular expressions, by RE2: the syntax of Kubernetes' own, in time linear in the text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sampan.base.remember import of_short_texts
from sampan.kube.cel.fault import Fault


@of_short_texts(512)
def compiled(text: str) -> Any:
    """Return a pattern.

    Raises:
        Fault: it is none.
    """
    import re2  # only when the first pattern comes

    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    try:
        return re2.compile(text, options)
    except re2.error as error:
        why = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        raise Fault(f"error parsing regexp: {why}") from None


def matches(text: str, pattern: str) -> bool:
    """Return whether a pattern is found anywhere in a text."""
    if not isinstance(text, str) or not isinstance(pattern, str):
        raise TypeError
    return compiled(pattern).search(text) is not None


def _find(text: str, pattern: str) -> str:
    found = compiled(pattern).search(text)
    return str(found[0]) if found is not None else ""


def _find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    found = [match[0] for match in compiled(pattern).finditer(text)]
    return found if limit < 0 else found[:limit]


METHODS: Mapping[str, Callable[..., Any]] = {"find": _find, "findAll": _find_all}
