"""Quantities. Spec: Kubernetes CEL "quantity library"."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from sampan.kube import quantity
from sampan.kube.cel.fault import Fault
from sampan.kube.cel.value import Native


class QuantityValue(Native):
    type_name = "kubernetes.Quantity"

    def __init__(self, amount: quantity.Quantity) -> None:
        self.quantity = amount

    @property
    def text(self) -> str:
        return str(self.quantity)

    @property
    def amount(self) -> Fraction:
        return self.quantity.amount

    def __eq__(self, other: object) -> bool:
        return isinstance(other, QuantityValue) and other.amount == self.amount

    def __hash__(self) -> int:
        return hash(self.amount)


def _is(text: str) -> bool:
    if not isinstance(text, str):
        raise TypeError
    try:
        quantity.parse(text)
    except quantity.QuantityError:
        return False
    return True


def _compared(wanted: tuple[int, ...]) -> Callable[[QuantityValue, QuantityValue], bool]:
    return lambda left, right: _compare(left, right) in wanted


def _compare(left: QuantityValue, right: QuantityValue) -> int:
    return (left.amount > right.amount) - (left.amount < right.amount)


def _integer(value: QuantityValue) -> int:
    if not _whole(value):
        raise Fault("cannot convert value to integer")
    return int(value.amount)


def _whole(value: QuantityValue) -> bool:
    return value.amount.denominator == 1 and abs(value.amount) < 2**63


def _combined(sign: int) -> Callable[[QuantityValue, Any], QuantityValue]:
    def combine(left: QuantityValue, right: Any) -> QuantityValue:
        other = right.amount if isinstance(right, QuantityValue) else Fraction(right)
        return QuantityValue(left.quantity._replace(amount=left.amount + sign * other))

    return combine


QuantityValue.methods = {
    "isGreaterThan": _compared((1,)),
    "isLessThan": _compared((-1,)),
    "compareTo": _compare,
    "asInteger": _integer,
    "asApproximateFloat": lambda value: float(value.amount),
    "isInteger": _whole,
    "sign": lambda value: (value.amount > 0) - (value.amount < 0),
    "add": _combined(1),
    "sub": _combined(-1),
}

QUANTITY_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "quantity": lambda text: QuantityValue(quantity.parse(text)),
    "isQuantity": _is,
}
