"""Selectors: which objects, by labels or by fields.

Spec: Kubernetes "Labels and Selectors", "Field Selectors"; k8s.io/apimachinery/pkg/labels, pkg/fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from sampan.base.remember import of_short_texts
from sampan.kube import status

_TOKEN = re.compile(r"\s*(?:(==|!=|=|!|,|\(|\)|>|<)|([^\s,()=!<>]+))")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_PREFIX = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NUMBER = re.compile(r"[+-]?[0-9]+")
_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")


class SelectorError(ValueError):
    """The text is no selector."""


class Requirement(NamedTuple):
    """`operator`: In, NotIn, Exists, DoesNotExist, Gt, Lt."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, Any]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value is not None and value in self.values
            case "NotIn":
                return value is None or value not in self.values
            case "Exists":
                return value is not None
            case "DoesNotExist":
                return value is None
        number, limit = _whole(value or ""), _whole(self.values[0])
        if number is None or limit is None:
            return False
        return number > limit if self.operator == "Gt" else number < limit


def _whole(text: str) -> int | None:
    """Return a number of 64 bits as Go reads it; None for all else, such as `1_000`."""
    number = int(text) if _NUMBER.fullmatch(text) else 1 << 63
    return number if -(1 << 63) <= number < 1 << 63 else None


class LabelSelector(NamedTuple):
    """All requirements hold. None of them: everything; `never`: nothing."""

    requirements: tuple[Requirement, ...] = ()
    never: bool = False

    def matches(self, labels: Mapping[str, Any]) -> bool:
        if self.never:
            return False
        return all(requirement.matches(labels) for requirement in self.requirements)

    @property
    def everything(self) -> bool:
        return not self.requirements and not self.never


@of_short_texts(512)
def parse_labels(text: str) -> LabelSelector:
    """Return a selector such as `a=b,c in (d, e),!f`.

    Raises:
        SelectorError
    """
    tokens = _tokens(text)
    requirements: list[Requirement] = []
    while tokens:
        requirements.append(_requirement(tokens, text))
        if tokens:
            if tokens.pop(0) != (",", ""):
                raise SelectorError(f"unable to parse requirement: found {tokens!r}, expected: ',' or 'end of string'")
            if not tokens:
                raise SelectorError("unable to parse requirement: found '', expected: identifier after ','")
    return LabelSelector(tuple(requirements))


def _tokens(text: str) -> list[tuple[str, str]]:
    """Return (symbol, word) pairs, one of each empty."""
    tokens, place = [], 0
    text = text.rstrip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise SelectorError(f"unable to parse requirement: unexpected {text[place:]!r}")
        tokens.append((match[1] or "", match[2] or ""))
        place = match.end()
    return tokens


def _requirement(tokens: list[tuple[str, str]], text: str) -> Requirement:
    symbol, word = tokens.pop(0)
    absent = symbol == "!"
    if absent:
        symbol, word = tokens.pop(0) if tokens else ("", "")
    if not word:
        raise SelectorError(f"unable to parse requirement: found '{symbol}', expected: identifier in '{text}'")
    check_key(word)
    if absent:
        return Requirement(word, "DoesNotExist")
    if not tokens or tokens[0][0] == ",":
        return Requirement(word, "Exists")
    symbol, operator = tokens.pop(0)
    if symbol in ("=", "==", "!="):
        values = (tokens.pop(0)[1],) if tokens and tokens[0][1] else ("",)
        made = Requirement(word, "NotIn" if symbol == "!=" else "In", values)
    elif symbol in (">", "<"):
        values = (tokens.pop(0)[1],) if tokens and tokens[0][1] else ("",)
        if not re.fullmatch(r"-?\d+", values[0]):
            raise SelectorError(f"for 'Gt', 'Lt' operators, the value must be an integer: {values[0]!r}")
        return Requirement(word, "Gt" if symbol == ">" else "Lt", values)
    elif operator in ("in", "notin"):
        made = Requirement(word, "In" if operator == "in" else "NotIn", _values(tokens))
    else:
        raise SelectorError(
            f"unable to parse requirement: found '{symbol or operator}', expected: in, notin, =, ==, !=, gt, lt"
        )
    for value in made.values:
        check_value(word, value)
    return made


def _values(tokens: list[tuple[str, str]]) -> tuple[str, ...]:
    if not tokens or tokens.pop(0)[0] != "(":
        raise SelectorError("unable to parse requirement: expected: '('")
    values: list[str] = []
    wanted = True
    while tokens:
        symbol, word = tokens.pop(0)
        if symbol == ")":
            return tuple([*values, ""] if wanted else values)
        if symbol == ",":
            if wanted:
                values.append("")
            wanted = True
        elif word and wanted:
            values.append(word)
            wanted = False
        else:
            break
    raise SelectorError("unable to parse requirement: expected: ',', ')' or identifier")


def check_key(key: str) -> None:
    """Raises: SelectorError, it is no label key."""
    prefix, slash, name = key.rpartition("/")
    if not _NAME.fullmatch(name) or (slash and (len(prefix) > 253 or not _PREFIX.fullmatch(prefix))):
        raise SelectorError(
            f"key: Invalid value: \"{key}\": name part must consist of alphanumeric characters, '-', '_' or '.', and "
            "must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used "
            "for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
        )


def check_value(key: str, value: str) -> None:
    """Raises: SelectorError, it is no label value."""
    if not _VALUE.fullmatch(value):
        raise SelectorError(
            f'values[0][{key}]: Invalid value: "{value}": a valid label must be an empty string or consist of '
            "alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
        )


def of_object(selector: Mapping[str, Any] | None) -> LabelSelector:
    """Return a meta/v1 LabelSelector object's meaning: None selects nothing, {} everything.

    Raises:
        SelectorError
    """
    if selector is None:
        return LabelSelector(never=True)
    requirements = [Requirement(key, "In", (str(value),)) for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or []:
        operator, values = expression.get("operator"), tuple(expression.get("values") or ())
        if operator not in ("In", "NotIn", "Exists", "DoesNotExist"):
            raise SelectorError(f'"{operator}" is not a valid label selector operator')
        requirements.append(Requirement(str(expression.get("key")), operator, values))
    return LabelSelector(tuple(requirements))


class FieldTerm(NamedTuple):
    field: str
    value: str
    equal: bool


@of_short_texts(512)
def parse_fields(text: str) -> tuple[FieldTerm, ...]:
    """Return the terms of `a=b,c!=d`; a backslash keeps what comes after it.

    Raises:
        SelectorError
    """
    terms = []
    for part in re.split(r"(?<!\\),", text):
        if not part:
            continue
        match = re.match(r"((?:[^=!\\]|\\.)*?)(!=|==|=)(.*)", part, re.DOTALL)
        if match is None:
            raise SelectorError(f"invalid selector: '{text}'; can't understand '{part}'")
        value = re.sub(r"\\(.)", r"\1", match[3])
        terms.append(FieldTerm(match[1].strip(), value, match[2] != "!="))
    return tuple(terms)


Fields = Mapping[str, Callable[[dict[str, Any]], str]]


def check_fields(terms: tuple[FieldTerm, ...], known: Fields) -> None:
    """Refuse terms on fields that cannot be selected by.

    Raises:
        ApiError: 400
    """
    for term in terms:
        if term.field not in ("metadata.name", "metadata.namespace") and term.field not in known:
            raise status.bad_request(f"field label not supported: {term.field}")
