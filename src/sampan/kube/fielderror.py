"""What is wrong with a field, in the words Kubernetes' clients know.

Spec: k8s.io/apimachinery/pkg/util/validation/field.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple

import msgspec


class Fault(Enum):
    """The cause's `reason`, and how its message begins."""

    NOT_FOUND = ("FieldValueNotFound", "Not found")
    REQUIRED = ("FieldValueRequired", "Required value")
    DUPLICATE = ("FieldValueDuplicate", "Duplicate value")
    INVALID = ("FieldValueInvalid", "Invalid value")
    NOT_SUPPORTED = ("FieldValueNotSupported", "Unsupported value")
    FORBIDDEN = ("FieldValueForbidden", "Forbidden")
    TOO_LONG = ("FieldValueTooLong", "Too long")
    TOO_MANY = ("FieldValueTooMany", "Too many")
    TYPE_INVALID = ("FieldValueTypeInvalid", "Invalid value")
    INTERNAL = ("InternalError", "Internal error")

    @property
    def reason(self) -> str:
        return self.value[0]

    @property
    def words(self) -> str:
        return self.value[1]


_VALUELESS = (Fault.REQUIRED, Fault.FORBIDDEN, Fault.TOO_LONG, Fault.INTERNAL)


class FieldError(NamedTuple):
    """One fault of the field at `path` (`spec.containers[0].image`, `metadata.labels`)."""

    fault: Fault
    path: str
    detail: str = ""
    value: Any = None

    @property
    def message(self) -> str:
        """The text of a cause, without the field's name: `Invalid value: 0: must be greater than 0`."""
        text = self.fault.words
        if self.fault not in _VALUELESS:
            text += f": {_shown(self.value)}"
        return f"{text}: {self.detail}" if self.detail else text

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


def required(path: str, detail: str = "") -> FieldError:
    return FieldError(Fault.REQUIRED, path, detail)


def invalid(path: str, value: Any, detail: str = "") -> FieldError:
    return FieldError(Fault.INVALID, path, detail, value)


def forbidden(path: str, detail: str = "") -> FieldError:
    return FieldError(Fault.FORBIDDEN, path, detail)


def duplicate(path: str, value: Any) -> FieldError:
    return FieldError(Fault.DUPLICATE, path, "", value)


def not_found(path: str, value: Any) -> FieldError:
    return FieldError(Fault.NOT_FOUND, path, "", value)


def not_supported(path: str, value: Any, supported: list[str] | tuple[str, ...]) -> FieldError:
    return FieldError(
        Fault.NOT_SUPPORTED, path, "supported values: " + ", ".join(f'"{item}"' for item in supported), value
    )


def too_long(path: str, limit: int) -> FieldError:
    return FieldError(Fault.TOO_LONG, path, f"may not be more than {limit} bytes")


def too_many(path: str, count: int, limit: int) -> FieldError:
    return FieldError(Fault.TOO_MANY, path, f"must have at most {limit} items", count)


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, str):
        return msgspec.json.encode(value).decode()
    return msgspec.json.encode(value).decode()
