"""The error kinds that cross a layer. Each facade maps them once; each says whether a retry can help.

A message says what happened, why, and what to do next. Raise the kind, not a status code.
"""

from __future__ import annotations


class SampanError(Exception):
    """An error a user can meet. `retryable` tells a caller whether the same request may succeed later."""

    kind = "internal"
    retryable = False

    @property
    def message(self) -> str:
        """What happened, why, and what to do next: the text a client shows."""
        return str(self)


class InvalidArgument(SampanError):
    """The request can never be carried out as it is written."""

    kind = "invalid_argument"


class NotFound(SampanError):
    """A named object does not exist."""

    kind = "not_found"


class AlreadyExists(SampanError):
    """The name or id is taken."""

    kind = "already_exists"


class Conflict(SampanError):
    """The object is in a state (or in use) that does not allow the request."""

    kind = "conflict"


class NotModified(SampanError):
    """The object is already as the request wants it."""

    kind = "not_modified"


class Unauthorized(SampanError):
    """No or wrong credentials."""

    kind = "unauthorized"


class Forbidden(SampanError):
    """Refused by policy."""

    kind = "forbidden"


class TooLarge(SampanError):
    """A stated size limit is passed."""

    kind = "too_large"


class Unsupported(SampanError):
    """Known, and not implemented here (yet)."""

    kind = "unsupported"


class Unavailable(SampanError):
    """Cannot be done now: a dependency is missing, busy or shutting down."""

    kind = "unavailable"
    retryable = True


class Exhausted(SampanError):
    """Disk, addresses, ports or another finite thing ran out."""

    kind = "exhausted"
    retryable = True


class DataLoss(SampanError):
    """Stored bytes are not what their digest or schema says."""

    kind = "data_loss"


class RuntimeFailed(SampanError):
    """The OCI runtime, the monitor or the started program failed; the text is theirs.

    `exit_code` follows the shell's rule that docker users know: 127 command not found, 126 cannot be invoked,
    125 the engine's own failure.
    """

    kind = "runtime_failed"

    def __init__(self, message: str, exit_code: int = 125) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Cancelled(SampanError):
    """The caller went away or the daemon is stopping."""

    kind = "cancelled"
    retryable = True


class Internal(SampanError):
    """A defect of ours."""

    kind = "internal"
