"""Quantity: exact amounts such as `500m`, `1Gi`, `1e3`, and the one canonical way to write each.

Spec: k8s.io/apimachinery/pkg/api/resource Quantity.
"""

from __future__ import annotations

import re
from fractions import Fraction
from math import ceil
from typing import NamedTuple

from sampan.base.remember import of_short_texts

_FORM = re.compile(r"([+-]?)([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+|[numkMGTPE]|[KMGTPE]i)?")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eEinumkKMGTP]*[-+]?[0-9]*")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_MOST = Fraction(2**63 - 1)
NANO = 10**9
_MOST_DIGITS, _MOST_EXPONENT = 400, 100


class QuantityError(ValueError):
    """The text is no quantity; the message is the one clients know."""


class Quantity(NamedTuple):
    """`amount` is exact; `form` is how it is written: "binary", "decimal" or "exponent"."""

    amount: Fraction
    form: str

    def __str__(self) -> str:
        return _render(self)


@of_short_texts(4096)
def parse(text: str) -> Quantity:
    """Return what a text says. What is finer than a nano is rounded up; the largest binary amount is 2**63 - 1.

    Raises:
        QuantityError
    """
    sign, digits, suffix = _parts(text)
    number = Fraction(digits)
    if suffix in _BINARY:
        amount, form = min(number * 2 ** _BINARY[suffix], _MOST), "binary"
    elif suffix in _DECIMAL:
        amount, form = number * Fraction(10) ** _DECIMAL[suffix], "decimal"
    else:
        amount, form = number * Fraction(10) ** int(suffix[1:]), "exponent"
    if NANO % amount.denominator:
        amount = Fraction(ceil(amount * NANO), NANO)
    if form == "binary" and 0 < amount < 1:
        form = "decimal"
    return Quantity(-amount if sign == "-" else amount, form)


def _parts(text: str) -> tuple[str, str, str]:
    """Return sign, number and suffix."""
    match = _FORM.fullmatch(text)
    if match is None:
        if _NUMBER.fullmatch(text):
            raise QuantityError("unable to parse quantity's suffix")
        raise QuantityError(
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        )
    sign, digits, suffix = match[1], match[2], match[3] or ""
    exponent = suffix[1:] if suffix not in _BINARY and suffix not in _DECIMAL else "0"
    if len(digits) > _MOST_DIGITS or len(exponent) > _MOST_DIGITS or abs(int(exponent)) > _MOST_EXPONENT:
        raise QuantityError("unable to parse numeric part of quantity")
    return sign, digits, suffix


@of_short_texts(4096)
def canonical(text: str) -> str:
    """Return the text as a server shows it: in the one canonical form, or as it is where that is near enough to it.

    Near enough are up to 18 digits that are a whole number of the unit or of a thousandth part of it, such as `1.500`.

    Raises:
        QuantityError
    """
    _, digits, suffix = _parts(text)
    before, _, after = digits.partition(".")
    shown = (before.lstrip("0") or "0") + after
    if suffix not in _BINARY and len(shown) <= 18 and shown[0] != "0" and not shown.endswith("000"):
        power = (_DECIMAL[suffix] if suffix in _DECIMAL else int(suffix[1:])) - len(after)
        if power % 3 == 0 and power >= -9:
            return text
    return _render(parse(text))


def of(value: object) -> Quantity:
    """Return the quantity that a JSON value is.

    Raises:
        QuantityError
    """
    if isinstance(value, str):
        return parse(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return parse(repr(value))
    raise QuantityError("quantities are strings or numbers")


def milli(text: object) -> int:
    """Return thousandths, rounded up."""
    return ceil(of(text).amount * 1000)


def whole(text: object) -> int:
    """Return whole units, rounded up."""
    return ceil(of(text).amount)


def total(first: Quantity, second: Quantity) -> Quantity:
    """Return the sum, written like the first, or like the second where the first is zero."""
    return Quantity(first.amount + second.amount, first.form if first.amount else second.form)


def difference(first: Quantity, second: Quantity) -> Quantity:
    return Quantity(first.amount - second.amount, first.form if first.amount else second.form)


def _render(quantity: Quantity) -> str:
    amount = quantity.amount
    if amount == 0:
        return "0"
    if quantity.form == "binary" and amount.denominator == 1 and abs(amount) >= 1024:
        return _binary(amount.numerator)
    scaled, exponent = amount, 0
    while scaled.denominator != 1 and exponent > -9:
        scaled, exponent = scaled * 1000, exponent - 3
    number = scaled.numerator
    while number % 1000 == 0 and (exponent < 18 or quantity.form == "exponent"):
        number, exponent = number // 1000, exponent + 3
    if quantity.form == "exponent":
        return f"{number}e{exponent}" if exponent else str(number)
    suffix = next(name for name, power in _DECIMAL.items() if power == exponent)
    return f"{number}{suffix}"


def _binary(number: int) -> str:
    suffix = ""
    for name in _BINARY:
        if number % 1024:
            break
        number, suffix = number // 1024, name
    return f"{number}{suffix}"
