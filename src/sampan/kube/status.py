"""Refusals as Kubernetes words them: HTTP code, reason, message and details, and the Status object that carries them.

Spec: k8s.io/apimachinery/pkg/apis/meta/v1 Status, StatusReason; pkg/api/errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sampan.base.errors import SampanError
from sampan.kube.fielderror import FieldError
from sampan.kube.object import Object


class ApiError(SampanError):
    """A refusal that a client gets as a Status object."""

    kind = "api"

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: dict[str, Any] | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        continue_token: str = "",
    ) -> None:
        super().__init__(message)
        self._continue = continue_token
        self.code = code
        self.reason = reason
        self.details = details
        self.headers = headers
        """Further headers of the answer, such as Retry-After."""

    def status(self) -> Object:
        """Return the Status object."""
        status: Object = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {"continue": self._continue} if self._continue else {},
            "status": "Failure",
            "message": str(self),
            "reason": self.reason,
        }
        if self.details:  # before the code: clients show the text as it comes
            status["details"] = self.details
        status["code"] = self.code
        return status


def success(*, details: dict[str, Any] | None = None, code: int = 200) -> Object:
    """Return a Status object that says that all went well."""
    status: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": code}
    if details:
        status["details"] = details
    return status


def _details(kind: str, group: str, name: str) -> dict[str, Any]:
    details = {"name": name, "group": group, "kind": kind}
    return {key: value for key, value in details.items() if value}


def qualified(resource: str, group: str) -> str:
    """Return `deployments.apps`, or `pods` of the core group: how messages name a resource or kind."""
    return f"{resource}.{group}" if group else resource


def not_found(resource: str, group: str, name: str) -> ApiError:
    text = f'{qualified(resource, group)} "{name}" not found'
    return ApiError(404, "NotFound", text, details=_details(resource, group, name))


def already_exists(resource: str, group: str, name: str) -> ApiError:
    text = f'{qualified(resource, group)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", text, details=_details(resource, group, name))


def conflict(resource: str, group: str, name: str, why: str) -> ApiError:
    text = f'Operation cannot be fulfilled on {qualified(resource, group)} "{name}": {why}'
    return ApiError(409, "Conflict", text, details=_details(resource, group, name))


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def invalid(kind: str, group: str, name: str, errors: Sequence[FieldError]) -> ApiError:
    """Return the refusal of an object whose fields are at fault; each is a cause."""
    texts = [str(error) for error in errors]
    listed = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    details = _details(kind, group, name)
    details["causes"] = [
        {"reason": error.fault.reason, "message": error.message, "field": error.path} for error in errors
    ]
    return ApiError(422, "Invalid", f'{qualified(kind, group)} "{name}" is invalid: {listed}', details=details)


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def unauthorized(message: str = "Unauthorized") -> ApiError:
    return ApiError(401, "Unauthorized", message)


def forbidden(resource: str, group: str, name: str, why: str) -> ApiError:
    text = (
        f'{qualified(resource, group)} "{name}" is forbidden: {why}'
        if name
        else (f"{qualified(resource, group)} is forbidden: {why}")
    )
    return ApiError(403, "Forbidden", text, details=_details(resource, group, name))


def method_not_allowed(what: str = "the server does not allow this method on the requested resource") -> ApiError:
    return ApiError(405, "MethodNotAllowed", what)


def not_acceptable(message: str) -> ApiError:
    return ApiError(406, "NotAcceptable", message)


def expired(message: str, *, continue_token: str = "") -> ApiError:
    """Return the refusal of a read of history that is gone; `continue_token` goes on with the list as it is now."""
    return ApiError(410, "Expired", message, continue_token=continue_token)


def too_large(message: str) -> ApiError:
    return ApiError(413, "RequestEntityTooLarge", message)


def unsupported_media_type(message: str) -> ApiError:
    return ApiError(415, "UnsupportedMediaType", message)


def too_many_requests(message: str, retry_after_s: int = 1) -> ApiError:
    return ApiError(
        429,
        "TooManyRequests",
        message,
        details={"retryAfterSeconds": retry_after_s} if retry_after_s else None,
        headers=(("Retry-After", str(retry_after_s)),) if retry_after_s else (),
    )


def internal(message: str) -> ApiError:
    return ApiError(
        500, "InternalError", f"Internal error occurred: {message}", details={"causes": [{"message": message}]}
    )


def unavailable(message: str) -> ApiError:
    return ApiError(503, "ServiceUnavailable", message)


def timeout(message: str, retry_after_s: int = 1) -> ApiError:
    """Return the refusal of a request that may succeed when it is sent again, such as a read of a future revision."""
    return ApiError(
        504,
        "Timeout",
        f"Timeout: {message}",
        details={"retryAfterSeconds": retry_after_s},
        headers=(("Retry-After", str(retry_after_s)),),
    )
