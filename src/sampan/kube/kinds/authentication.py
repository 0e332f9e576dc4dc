"""authentication.k8s.io: reviews. None of them is kept; the body of a create is the question, its answer the status."""

from __future__ import annotations

from sampan.kube.fielderror import FieldError, invalid, required
from sampan.kube.object import Object
from sampan.kube.reading import number, text
from sampan.kube.strategy import Strategy

TOKEN_SECONDS = 3600
_LEAST_S, _MOST_S = 600, 1 << 32


def _token_review(obj: Object) -> list[FieldError]:
    return [] if text(obj, "spec", "token") else [required("spec.token")]


def _default_token_request(obj: Object) -> None:
    spec = obj.get("spec")
    if not isinstance(spec, dict):
        spec = obj["spec"] = {}
    if spec.get("expirationSeconds") is None:
        spec["expirationSeconds"] = TOKEN_SECONDS


def _token_request(obj: Object) -> list[FieldError]:
    seconds, path = number(obj, "spec", "expirationSeconds"), "spec.expirationSeconds"
    if seconds < _LEAST_S:
        return [invalid(path, seconds, "may not specify a duration less than 10 minutes")]
    if seconds > _MOST_S:
        return [invalid(path, seconds, "may not specify a duration larger than 2^32 seconds")]
    return []


STRATEGIES: dict[str, Strategy] = {
    "TokenReview": Strategy(validate=_token_review, has_status=True),
    "TokenRequest": Strategy(default=_default_token_request, validate=_token_request, has_status=True),
    "SelfSubjectReview": Strategy(has_status=True),
}
