"""Versions. Spec: Kubernetes CEL "semver library"; semver.org 2.0.0."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from sampan.kube.cel.fault import Fault
from sampan.kube.cel.value import Native

_FORM = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?",
    re.ASCII,
)


class SemverValue(Native):
    type_name = "kubernetes.Semver"

    def __init__(self, text: str, numbers: tuple[int, ...], before: str) -> None:
        self.text = text
        self.numbers = numbers
        parts = [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in before.split(".") if part]
        self.order = (numbers, not parts, parts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SemverValue) and other.order == self.order

    def __hash__(self) -> int:
        return hash(self.numbers)


def _semver(text: str, normalize: bool = False) -> SemverValue:
    tidy = _normal(text) if normalize else text
    match = _FORM.fullmatch(tidy)
    if match is None:
        raise Fault(f"semver parse error: {text!r} is no version")
    return SemverValue(tidy, (int(match[1]), int(match[2]), int(match[3])), match[4] or "")


def _normal(text: str) -> str:
    head = re.match(r"v?(\d+(?:\.\d+){0,2})", text)
    if head is None:
        return text
    numbers = [str(int(part)) for part in head[1].split(".")]
    return ".".join([*numbers, "0", "0"][:3]) + text[head.end() :]


def _is(text: str, normalize: bool = False) -> bool:
    try:
        _semver(text, normalize)
    except Fault:
        return False
    return True


def _compare(left: SemverValue, right: SemverValue) -> int:
    return (left.order > right.order) - (left.order < right.order)


SemverValue.methods = {
    "major": lambda value: value.numbers[0],
    "minor": lambda value: value.numbers[1],
    "patch": lambda value: value.numbers[2],
    "compareTo": _compare,
    "isGreaterThan": lambda left, right: _compare(left, right) > 0,
    "isLessThan": lambda left, right: _compare(left, right) < 0,
}
SEMVER_FUNCTIONS: Mapping[str, Callable[..., Any]] = {"semver": _semver, "isSemver": _is}
