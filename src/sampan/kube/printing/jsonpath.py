r"""Simple JSONPath: where a CRD's column or selectable field is, as `.spec.replicas` or `.status.conditions[?(@.type=="Ready")].status`.

Understood are fields (also quoted, `['a.b']`, and escaped, `.a\.b`), indexes, slices, `*` and filters that compare one path
with one literal. Spec: Kubernetes documentation, "JSONPath Support"; k8s.io/client-go/util/jsonpath.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

Step = Callable[[Any], Iterable[Any]]
"""From one value to those that are one step on; none where there are none."""

_TOKEN = re.compile(
    r"""
      \.?\[\s*\?\(\s*(?P<filter>.*?)\s*\)\s*\]
    | \.?\[\s*(?P<quote>['"])(?P<quoted>.*?)(?P=quote)\s*\]
    | \.?\[\s*(?P<star>\*)\s*\]
    | \.?\[\s*(?P<slice>-?\d*\s*:\s*-?\d*)\s*\]
    | \.?\[\s*(?P<index>-?\d+)\s*\]
    | \.(?P<wild>\*)
    | \.(?P<field>(?:\\.|[^.\[\]\\\s])+)
    """,
    re.VERBOSE,
)
_FILTER = re.compile(r"@(?P<path>[^=!<>\s]*)\s*(?:(?P<operator>==|!=|<=|>=|<|>)\s*(?P<literal>.+))?$")
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


class Path:
    """A compiled path. Reading never raises: what is not there or of another type is not found."""

    def __init__(self, text: str) -> None:
        """Compile a path.

        Raises:
            ValueError: it is no path of this kind.
        """
        self._steps = list(_steps(text))

    def find(self, obj: Any) -> list[Any]:
        """Return all values that the path leads to, in order."""
        found = [obj]
        for step in self._steps:
            found = [value for each in found for value in step(each)]
        return found


def _steps(text: str) -> Iterator[Step]:
    text = text.strip()
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1].strip()
    position = len("$") if text.startswith("$") else 0
    if text[position:] in ("", "."):
        return
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            raise ValueError(f"unrecognized character in a JSONPath at {text[position:]!r}")
        yield _step(token)
        position = token.end()


def _step(token: re.Match[str]) -> Step:
    kind, value = token.lastgroup or "", token.group(token.lastgroup or 0)
    if kind == "field":
        return _field(re.sub(r"\\(.)", r"\1", value))
    if kind == "quoted":
        return _field(value)
    if kind == "index":
        return _index(int(value))
    if kind == "slice":
        return _slice(*(int(part) if part.strip() else None for part in value.split(":")))
    return _filter(value) if kind == "filter" else _all


def _field(name: str) -> Step:
    return lambda value: (value[name],) if isinstance(value, dict) and name in value else ()


def _index(index: int) -> Step:
    return lambda value: value[index:][:1] if isinstance(value, list) and -len(value) <= index else ()


def _slice(start: int | None, end: int | None) -> Step:
    return lambda value: value[start:end] if isinstance(value, list) else ()


def _all(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _filter(text: str) -> Step:
    parts = _FILTER.match(text)
    if parts is None:
        raise ValueError(f"unrecognized filter in a JSONPath: {text!r}")
    path = Path(parts["path"])
    if parts["operator"] is None:
        return lambda value: [each for each in _list(value) if path.find(each)]
    compare, literal = _OPERATORS[parts["operator"]], _literal(parts["literal"].strip())
    return lambda value: [each for each in _list(value) if any(_holds(compare, v, literal) for v in path.find(each))]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _literal(text: str) -> Any:
    if len(text) > 1 and text[0] in "'\"" and text[-1] == text[0]:
        return text[1:-1]
    if text in ("true", "false"):
        return text == "true"
    try:
        return float(text)
    except ValueError as error:
        raise ValueError(f"unrecognized literal in a JSONPath: {text!r}") from error


def _holds(compare: Callable[[Any, Any], Any], value: Any, literal: Any) -> bool:
    """Compare values of one type; true and false are no numbers here."""
    if isinstance(value, bool) != isinstance(literal, bool):
        return False
    try:
        return bool(compare(value, literal))
    except TypeError:
        return False
