"""authorization.k8s.io: reviews. None of them is kept; the body of a create is the question, its answer the status."""

from __future__ import annotations

from sampan.kube.fielderror import FieldError, invalid, required
from sampan.kube.object import Object, namespace
from sampan.kube.reading import mapping, text, words
from sampan.kube.strategy import Strategy

_RESOURCE, _PATH = "spec.resourceAttributes", "spec.nonResourceAttributes"


def _what(obj: Object) -> list[FieldError]:
    """Check that either a resource or a path is asked about."""
    spec = mapping(obj, "spec")
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and path is not None:
        return [invalid(_PATH, path, "cannot be specified in combination with resourceAttributes")]
    if resource is None and path is None:
        why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        return [invalid(_RESOURCE, None, why)]
    return []


def _self_subject_access_review(obj: Object) -> list[FieldError]:
    return _what(obj)


def _subject_access_review(obj: Object) -> list[FieldError]:
    faults = _what(obj)
    if not text(obj, "spec", "user") and not words(obj, "spec", "groups"):
        faults.append(invalid("spec.user", "", "at least one of user or group must be specified"))
    return faults


def _local_subject_access_review(obj: Object) -> list[FieldError]:
    faults = _subject_access_review(obj)
    spec = mapping(obj, "spec")
    asked = text(spec, "resourceAttributes", "namespace")
    if spec.get("resourceAttributes") is not None and asked != namespace(obj):
        faults.append(invalid(f"{_RESOURCE}.namespace", asked, "must match metadata.namespace"))
    if spec.get("nonResourceAttributes") is not None:
        faults.append(invalid(_PATH, spec["nonResourceAttributes"], "disallowed on this kind of request"))
    return faults


def _self_subject_rules_review(obj: Object) -> list[FieldError]:
    return [] if text(obj, "spec", "namespace") else [required("spec.namespace", "no namespace on request")]


STRATEGIES: dict[str, Strategy] = {
    "SubjectAccessReview": Strategy(validate=_subject_access_review, has_status=True),
    "LocalSubjectAccessReview": Strategy(validate=_local_subject_access_review, has_status=True),
    "SelfSubjectAccessReview": Strategy(validate=_self_subject_access_review, has_status=True),
    "SelfSubjectRulesReview": Strategy(validate=_self_subject_rules_review, has_status=True),
}
