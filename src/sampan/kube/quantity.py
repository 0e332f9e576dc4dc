"""Quantity: exact amounts such as `500m`, `1Gi`, `1e3`, and the one canonical way to write each.

Spec: k8s.io/apimachinery/pkg/api/resource Quantity.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from math import ceil
from typing import NamedTuple

_FORM = re.compile(r"([+-]?)(\d+\.?\d*|\.\d+)([eE][+-]?\d+|[numkMGTPE]|[KMGTPE]i)?")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_MOST = Fraction(2**63 - 1)
NANO = 10**9


class QuantityError(ValueError):
    """The text is no quantity; the message is the one clients know."""


class Quantity(NamedTuple):
    """`amount` is exact; `form` is how it is written: "binary", "decimal" or "exponent"."""

    amount: Fraction
    form: str

    def __str__(self) -> str:
        return _render(self)


@lru_cache(maxsize=4096)
def parse(text: str) -> Quantity:
    """Return what a text says. What is finer than a nano is rounded up; what is too large is the largest.

    Raises:
        QuantityError
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise QuantityError(
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        )
    sign, number, suffix = match[1], Fraction(match[2]), match[3] or ""
    if suffix in _BINARY:
        amount, form = number * 2 ** _BINARY[suffix], "binary"
    elif suffix in _DECIMAL:
        amount, form = number * Fraction(10) ** _DECIMAL[suffix], "decimal"
    else:
        exponent = int(suffix[1:])
        if abs(exponent) > 100:
            raise QuantityError("unable to parse numeric part of quantity")
        amount, form = number * Fraction(10) ** exponent, "exponent"
    amount = min(amount, _MOST)
    if NANO % amount.denominator:
        amount = Fraction(ceil(amount * NANO), NANO)
    if form == "binary" and 0 < amount < 1024:
        form = "decimal"  # finer than the smallest binary suffix says well
    return Quantity(-amount if sign == "-" else amount, form)


@lru_cache(maxsize=4096)
def canonical(text: str) -> str:
    """Return the one way to write what a text says.

    Raises:
        QuantityError
    """
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
    if quantity.form == "binary" and amount.denominator == 1:
        return _binary(amount.numerator)
    scaled, exponent = amount, 0
    while scaled.denominator != 1 and exponent > -9:
        scaled, exponent = scaled * 1000, exponent - 3
    number = scaled.numerator
    while number % 1000 == 0 and exponent < 18:
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
