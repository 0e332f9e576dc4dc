"""Error kinds to HTTP statuses, mapped once, and the body that Docker's clients show."""

from __future__ import annotations

from sampan.base.errors import RuntimeFailed, SampanError

STATUS = {
    "invalid_argument": 400,
    "not_found": 404,
    "already_exists": 409,
    "conflict": 409,
    "not_modified": 304,
    "unauthorized": 401,
    "forbidden": 403,
    "too_large": 413,
    "unsupported": 501,
    "unavailable": 503,
    "exhausted": 507,
    "data_loss": 500,
    "runtime_failed": 500,
    "cancelled": 503,
    "internal": 500,
}

# The docker CLI finds its exit status in the text of a failed start: 127, 126, or else 125.
_NOT_FOUND_WORDS = ("executable file not found", "no such file or directory")
_NOT_INVOKED_WORDS = ("permission denied", "is a directory")


def status_of(error: SampanError) -> int:
    """Return the HTTP status. A command that cannot be started is the request's fault (400), as dockerd says."""
    if isinstance(error, RuntimeFailed) and error.exit_code in (126, 127):
        return 400
    return STATUS.get(error.kind, 500)


def message_of(error: SampanError) -> str:
    """Return the text, with the words by which the docker CLI chooses its exit status."""
    text = error.message
    if isinstance(error, RuntimeFailed):
        lowered = text.lower()
        if error.exit_code == 127 and not any(word in lowered for word in _NOT_FOUND_WORDS):
            return f"{text}: executable file not found in $PATH"
        if error.exit_code == 126 and not any(word in lowered for word in _NOT_INVOKED_WORDS):
            return f"{text}: permission denied"
    return text


def prefixed(prefix: str, error: SampanError) -> SampanError:
    """Return the same kind of error with `prefix` before its text."""
    if isinstance(error, RuntimeFailed):
        return RuntimeFailed(f"{prefix}: {error}", error.exit_code)
    return type(error)(f"{prefix}: {error}")
