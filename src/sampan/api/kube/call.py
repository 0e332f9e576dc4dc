"""Call: one request to a resource with what was found out about it, on its way through the verbs."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from sampan.api.kube.negotiate import Form
from sampan.api.kube.paths import Target
from sampan.api.kube.request import Request
from sampan.api.kube.served import Served
from sampan.kube import status

_VALIDATIONS = ("", "Ignore", "Warn", "Strict")
_INTEGER = re.compile(r"[+-]?[0-9]{1,40}")
MANAGER_BYTES = 128


class Call(msgspec.Struct):
    """`warnings` become Warning headers of the answer."""

    request: Request
    target: Target
    served: Served
    verb: str
    form: Form
    may: Callable[[str], None]
    """Raises ApiError unless who asks may do this verb to the same thing, too: a patch that creates is a create."""
    warnings: list[str] = msgspec.field(default_factory=list)

    @property
    def dry_run(self) -> bool:
        """Return whether nothing may be kept.

        Raises:
            ApiError: 400, dryRun has another value than All.
        """
        values = [value for value in self.request.parameters.get("dryRun", ()) if value]
        if any(value != "All" for value in values):
            raise invalid_option("dryRun", values, 'Unsupported value: supported values: "All"')
        return bool(values)

    @property
    def manager(self) -> str:
        """Return the field manager: as named, else the first word of the User-Agent."""
        named = self.request.parameter("fieldManager")
        if len(named.encode(errors="replace")) > MANAGER_BYTES or not named.isprintable():
            raise invalid_option("fieldManager", named, f"must be printable and at most {MANAGER_BYTES} bytes")
        return named or self.request.headers.get("user-agent", "").split("/")[0][:MANAGER_BYTES] or "unknown"

    def integer(self, parameter: str) -> int:
        """Return a parameter that is a number of 64 bits, 0 where it is left out.

        Raises:
            ApiError: 400
        """
        text = self.request.parameter(parameter) or "0"
        if not _INTEGER.fullmatch(text):
            raise status.bad_request(f'{parameter}: strconv.ParseInt: parsing "{text}": invalid syntax')
        if not -(2**63) <= (number := int(text)) < 2**63:
            raise status.bad_request(f'{parameter}: strconv.ParseInt: parsing "{text}": value out of range')
        return number

    @property
    def validation(self) -> str:
        """Return what to do about unknown and duplicate fields: Ignore, Warn or Strict."""
        wanted = self.request.parameter("fieldValidation")
        if wanted not in _VALIDATIONS:
            raise invalid_option("fieldValidation", wanted, 'supported values: "Ignore", "Warn", "Strict"')
        return wanted or "Warn"

    def not_found(self, name: str = "") -> status.ApiError:
        resource = self.served.resource
        return status.not_found(resource.plural, resource.group, name or self.target.name)

    def conflict(self, why: str = status.MODIFIED) -> status.ApiError:
        resource = self.served.resource
        return status.conflict(resource.plural, resource.group, self.target.name, why)


def invalid_option(field: str, value: object, why: str) -> status.ApiError:
    """Return the refusal of a query parameter."""
    return status.ApiError(422, "Invalid", f"{field}: Invalid value: {value!r}: {why}")
