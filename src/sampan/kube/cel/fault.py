"""What goes wrong with an expression: when it is compiled, and when it is run."""

from __future__ import annotations


class CelError(ValueError):
    """An expression cannot be compiled. `position` counts characters from 0."""

    def __init__(self, message: str, text: str, position: int) -> None:
        line = text.count("\n", 0, position) + 1
        column = position - (text.rfind("\n", 0, position) + 1)
        shown = (text.splitlines() or [""])[min(line, text.count("\n") + 1) - 1] if text else ""
        super().__init__(f"ERROR: <input>:{line}:{column + 1}: {message}\n | {shown}\n | {'.' * column}^")
        self.reason = message
        self.position = position


class Fault(Exception):
    """Running an expression failed: a missing key, a wrong type, a division by zero. An error value of CEL."""


class Exhausted(Fault):
    """An expression took more steps than it may. Not absorbed by `||` and `&&`."""
