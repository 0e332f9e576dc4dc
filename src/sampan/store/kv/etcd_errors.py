"""What etcd and the way to it answer instead of a response, as the store's errors."""

from __future__ import annotations

from typing import Any

from sampan.base.errors import Exhausted, Forbidden, InvalidArgument, NotFound, SampanError, TooLarge, Unavailable
from sampan.spec import etcd
from sampan.store.kv.port import OutcomeUnknown

_NEVER_SENT = "failed to connect to all addresses"
_DENIED = ("PERMISSION_DENIED", "UNAUTHENTICATED")


def never_sent(error: Any) -> bool:
    """Return whether the request surely did not reach etcd, or not one that takes it."""
    text = error.details() or ""
    return error.code().name == "UNAVAILABLE" and (text.startswith(_NEVER_SENT) or etcd.LEARNER in text)


def refused(error: Any) -> SampanError | None:
    """Return what etcd answered when that was a clear no and nothing was done; None for all else.

    Compacted and future revisions are left to those who know which one was asked for.
    """
    text, code = error.details() or "", error.code().name
    if etcd.NO_SPACE in text:
        return Exhausted(
            "etcd's database is full (--quota-backend-bytes): compact and defragment it, then 'etcdctl alarm disarm'"
        )
    if etcd.NO_LEASE in text:
        return NotFound("the lease has ended")
    if etcd.TOO_MANY_OPS in text:
        return InvalidArgument(
            "the transaction has more operations than etcd takes: start it with a larger --max-txn-ops"
        )
    if any(part in text for part in etcd.TOO_LARGE):
        return TooLarge("the object is larger than etcd takes: start it with a larger --max-request-bytes")
    if etcd.TOO_MANY_REQUESTS in text:
        return Unavailable("etcd has too many requests waiting: try again")
    if code in _DENIED:
        return Forbidden(
            f"etcd does not let us: {text}; give --store the certificate of a user who may write its prefix"
        )
    if code == "INVALID_ARGUMENT":
        return InvalidArgument(f"etcd refuses the request: {text}")
    if code == "UNIMPLEMENTED":
        return Unavailable(f"what answers there is no etcd with API v3: {text}")
    return None


def unavailable(endpoint: str, error: Any) -> Unavailable:
    """Return what to say when nothing was done, or only something was read."""
    return Unavailable(
        f"etcd at {endpoint} {_what(error)}: see 'etcdctl --endpoints {endpoint} endpoint health', then try again"
    )


def unknown(endpoint: str, error: Any) -> OutcomeUnknown:
    """Return what to say of a write that may have taken place."""
    return OutcomeUnknown(
        f"etcd at {endpoint} {_what(error)}; whether the write took place is not known: read the object before you "
        "send it again"
    )


def _what(error: Any) -> str:
    text = error.details() or error.code().name
    if error.code().name == "DEADLINE_EXCEEDED":
        return "did not answer in time"
    if text.startswith(_NEVER_SENT):
        return f"cannot be reached ({text.rpartition('last error: ')[2] or text})"
    return f"did not answer ({text})"
