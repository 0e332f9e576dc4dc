"""ObjectMeta: what is wrong with it, in a new object and in a change.

Spec: meta/v1 ObjectMeta; k8s.io/apimachinery/pkg/api/validation.
"""

from collections.abc import Callable, Iterator
from typing import Any

from sampan.kube.fielderror import Fault, FieldError, forbidden, invalid, required
from sampan.kube.kinds import check, names
from sampan.kube.object import Object
from sampan.kube.object import metadata as metadata_of

ANNOTATIONS_BYTES = 256 * 1024
_IMMUTABLE = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")


def validate(obj: Object, *, namespaced: bool, validate_name: Callable[[str], str] | None = None) -> list[FieldError]:
    """Return the faults of an object's metadata. `validate_name`: the rule of its kind; None: a DNS subdomain."""
    meta = metadata_of(obj)
    return [*_names(meta, namespaced, validate_name or names.dns_subdomain), *_rest(meta)]


def _names(meta: dict[str, Any], namespaced: bool, rule: Callable[[str], str]) -> Iterator[FieldError]:
    yield from check.required_name("metadata.name", str(meta.get("name") or ""), rule)
    base = meta.get("generateName")
    if isinstance(base, str) and base and (why := rule(base.rstrip("-.") or "x")):
        yield invalid("metadata.generateName", base, why)
    if namespaced:
        yield from check.required_name("metadata.namespace", str(meta.get("namespace") or ""), names.dns_label)
    elif meta.get("namespace"):
        yield forbidden("metadata.namespace", "not allowed on this type")


def _rest(meta: dict[str, Any]) -> Iterator[FieldError]:
    yield from check.labels("metadata.labels", meta.get("labels"))
    yield from annotations("metadata.annotations", meta.get("annotations"))
    if meta.get("ownerReferences"):
        yield from _owners(meta["ownerReferences"])
    if meta.get("finalizers"):
        yield from _finalizers(meta["finalizers"])


def annotations(path: str, value: Any) -> Iterator[FieldError]:
    """Return the faults of annotations."""
    if not isinstance(value, dict):
        return
    size = 0
    for key, text in value.items():
        size += len(key) + len(str(text))
        if why := names.qualified_name(key.lower()):
            yield invalid(path, key, why)
    if size > ANNOTATIONS_BYTES:
        yield FieldError(Fault.TOO_LONG, path, f"may not be more than {ANNOTATIONS_BYTES} bytes")


def _owners(references: list[Any]) -> Iterator[FieldError]:
    controllers: list[str] = []
    for index, reference in enumerate(references):
        path = f"metadata.ownerReferences[{index}]"
        for key in ("apiVersion", "kind", "name", "uid"):
            if not reference.get(key):
                yield (
                    required(f"{path}.{key}", "must not be empty")
                    if key == "uid"
                    else invalid(f"{path}.{key}", reference.get(key) or "", f"{key} must not be empty")
                )
        if (reference.get("apiVersion"), reference.get("kind")) == ("v1", "Event"):
            yield invalid(path, reference, "/v1, Kind=Event is disallowed from being an owner")
        if reference.get("controller"):
            controllers.append(str(reference.get("name")))
    if len(controllers) > 1:
        yield invalid(
            "metadata.ownerReferences",
            references,
            'Only one reference can have Controller set to true. Found "true" in references for '
            f"{controllers[0]} and {controllers[1]}",
        )


def _finalizers(values: list[Any]) -> Iterator[FieldError]:
    for value in values:
        if why := names.qualified_name(str(value)):
            yield invalid("metadata.finalizers", value, why)
    if "orphan" in values and "foregroundDeletion" in values:
        yield invalid("metadata.finalizers", values, "finalizer orphan and foregroundDeletion cannot be both set")


def validate_update(new: Object, old: Object) -> list[FieldError]:
    """Return what a change of metadata may not do."""
    after, before = metadata_of(new), metadata_of(old)
    faults = [
        invalid(f"metadata.{key}", after.get(key), check.IMMUTABLE)
        for key in _IMMUTABLE
        if after.get(key) != before.get(key)
    ]
    if before.get("deletionTimestamp"):
        fresh = [item for item in after.get("finalizers") or [] if item not in (before.get("finalizers") or [])]
        if fresh:
            faults.append(
                forbidden(
                    "metadata.finalizers",
                    "no new finalizers can be added if the object is being deleted, found new finalizers "
                    f"[]string{{{', '.join(chr(34) + str(item) + chr(34) for item in fresh)}}}",
                )
            )
    return [*faults, *_rest(after)]
