"""Functions of strings. Spec: cel-go ext "Strings"."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from sampan.kube.cel.fault import Fault
from sampan.kube.cel.value import Duration, Timestamp, Type

_LONGEST = 1 << 20
"""Characters of a string that a function makes."""


def double(value: float) -> str:
    """Return a double as `string()` and `%s` write it."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return repr(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def quote(value: str) -> str:
    """Return a string as a literal that means it."""
    names = {
        "\a": "\\a",
        "\b": "\\b",
        "\f": "\\f",
        "\n": "\\n",
        "\r": "\\r",
        "\t": "\\t",
        "\v": "\\v",
        "\\": "\\\\",
        '"': '\\"',
    }
    return '"' + "".join(names.get(each, each) for each in value) + '"'


def _bounded(length: int) -> None:
    if length > _LONGEST:
        raise Fault("a string grows too long")


def _char_at(text: str, index: int) -> str:
    if not 0 <= index <= len(text):
        raise Fault(f"index out of range: {index}")
    return _text(text)[index : index + 1]


def _index_of(text: Any, part: Any, start: int = 0) -> int:
    if isinstance(text, list):
        from sampan.kube.cel.lists import index_of

        return index_of(text, part)
    if not 0 <= start <= len(text):
        raise Fault(f"index out of range: {start}")
    return int(text.find(part, start))


def _last_index_of(text: Any, part: Any, start: int | None = None) -> int:
    if isinstance(text, list):
        from sampan.kube.cel.lists import last_index_of

        return last_index_of(text, part)
    if start is None:
        return int(text.rfind(part))
    if not 0 <= start <= len(text):
        raise Fault(f"index out of range: {start}")
    return int(text.rfind(part, 0, start + len(part)))


def _replace(text: str, old: str, new: str, limit: int = -1) -> str:
    _bounded(len(text) + len(new) * (text.count(old) if limit < 0 else limit))
    return text.replace(old, new, limit)


def _split(text: str, by: str, limit: int = -1) -> list[str]:
    if limit == 0:
        return []
    if not by:
        parts = list(text)
        return parts if limit < 0 or limit >= len(parts) else [*parts[: limit - 1], "".join(parts[limit - 1 :])]
    return text.split(by, limit - 1 if limit > 0 else -1)


def _join(items: list[str], by: str = "") -> str:
    _bounded(sum(map(len, items)) + len(by) * len(items))
    return by.join(items)


def _substring(text: str, start: int, end: int | None = None) -> str:
    stop = len(text) if end is None else end
    if not 0 <= start <= stop <= len(text):
        raise Fault(f"invalid substring range. start: {start}, end: {stop}")
    return _text(text)[start:stop]


def _ascii(change: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: "".join(change(each) if each.isascii() else each for each in text)


def _reverse(value: Any) -> Any:
    if not isinstance(value, (str, list)):
        raise TypeError
    return value[::-1]


# --- format -----------------------------------------------------------------------------------------------------------


def _format(text: str, arguments: list[Any]) -> str:
    out: list[str] = []
    at, used = 0, 0
    while at < len(text):
        if text[at] != "%":
            out.append(text[at])
            at += 1
            continue
        at += 1
        if text[at : at + 1] == "%":
            out.append("%")
            at += 1
            continue
        precision = None
        if text[at : at + 1] == ".":
            stop = at + 1
            while text[stop : stop + 1].isdecimal():
                stop += 1
            precision, at = min(int(text[at + 1 : stop] or 0), 100), stop
        verb = text[at : at + 1]
        if used >= len(arguments):
            raise Fault(f"index {used} out of range")
        out.append(_verb(verb, precision, arguments[used]))
        used, at = used + 1, at + 1
        _bounded(sum(map(len, out[-1:])))
    return "".join(out)


def _verb(verb: str, precision: int | None, value: Any) -> str:
    if verb == "s":
        return shown(value)
    real = isinstance(value, (int, float)) and not isinstance(value, bool)
    whole = real and isinstance(value, int)
    if verb == "d" and whole:
        return str(int(value))
    if verb == "f" and real:
        return f"{value:.{6 if precision is None else precision}f}"
    if verb == "e" and real:
        return f"{value:.{6 if precision is None else precision}e}"
    if verb == "b" and (whole or isinstance(value, bool)):
        return f"{int(value):b}"
    if verb == "o" and whole:
        return f"{value:o}"
    if verb in ("x", "X") and verb:
        made = f"{value:x}" if whole else (value.encode() if isinstance(value, str) else bytes(value)).hex()
        return made.upper() if verb == "X" else made
    raise Fault(f'could not parse formatting clause: unrecognized formatting clause "{verb}" for this value')


def shown(value: Any) -> str:
    """Return a value as `%s` writes it."""
    if isinstance(value, list):
        return "[" + ", ".join(map(shown, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(sorted(f"{shown(key)}: {shown(item)}" for key, item in value.items())) + "}"
    if value is None:
        return "null"
    if isinstance(value, Type):
        return value.name
    if isinstance(value, (Timestamp, Duration, bytes)) or not isinstance(value, str):
        from sampan.kube.cel.library import to_string

        return to_string(value)
    return value


METHODS: Mapping[str, Callable[..., Any]] = {
    "contains": lambda text, part: _text(part) in _text(text),
    "startsWith": lambda text, part: _text(text).startswith(_text(part)),
    "endsWith": lambda text, part: _text(text).endswith(_text(part)),
    "charAt": _char_at,
    "indexOf": _index_of,
    "lastIndexOf": _last_index_of,
    "lowerAscii": _ascii(str.lower),
    "upperAscii": _ascii(str.upper),
    "replace": _replace,
    "split": _split,
    "join": _join,
    "substring": _substring,
    "trim": lambda text: _text(text).strip(),
    "reverse": _reverse,
    "format": _format,
}
