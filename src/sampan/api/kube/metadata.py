"""What all kinds share in their metadata: birth, what a change may not touch, generations, and the end.

Spec: Kubernetes API conventions, "Metadata"; k8s.io/apiserver rest.BeforeCreate, BeforeUpdate.
"""

from __future__ import annotations

from sampan.api.kube.call import Call
from sampan.api.kube.served import Served
from sampan.kube import fielderror
from sampan.kube import object as objects
from sampan.kube.fielderror import FieldError
from sampan.kube.kinds import meta
from sampan.kube.object import Object
from sampan.kube.strategy import Strategy

_NAME_BYTES = 63
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
SUFFIXES = len(_ALPHABET) ** 5
"""How many endings of generated names there are."""
NAMELESS = fielderror.required("metadata.name", "name or generateName is required")
VERSIONLESS = fielderror.invalid("metadata.resourceVersion", 0, "must be specified for an update")

CONFINED = {
    "status": (("status",),),
    "finalize": (("spec", "finalizers"),),
    "approval": (("status", "conditions"),),
    "ephemeralcontainers": (("spec", "ephemeralContainers"),),
    "resize": (("spec", "containers"), ("spec", "initContainers")),
    "binding": (
        ("spec", "nodeName"),
        ("status", "conditions"),
        ("status", "nominatedNodeName"),
        ("metadata", "annotations"),
    ),
}
"""Subresource -> the only paths that a write to it changes. Of a scale that is where the kind keeps its replicas."""

_KEPT = (
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "uid",
    "namespace",
    "name",
)


def suffix(number: int) -> str:
    """Return the five characters that stand for a number, modulo `SUFFIXES`."""
    letters = ""
    for _ in range(5):
        number, letter = divmod(number, len(_ALPHABET))
        letters += _ALPHABET[letter]
    return letters


def generated_name(base: str, suffix: str) -> str:
    """Return a name that begins with `base`, cut to leave room for the suffix."""
    return base[: _NAME_BYTES - len(suffix)] + suffix


def born(obj: Object, *, uid: str, now: str, generation: bool) -> None:
    """Write what only the server says of a new object."""
    meta_ = objects.metadata(obj)
    for key in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation", "resourceVersion"):
        meta_.pop(key, None)
    meta_["uid"], meta_["creationTimestamp"] = uid, now
    if generation:
        meta_["generation"] = 1


def tidy(obj: Object) -> None:
    """Leave out what is empty, as typed servers do."""
    meta_ = objects.metadata(obj)
    for key in ("labels", "annotations", "ownerReferences", "finalizers"):
        if key in meta_ and not meta_[key]:
            del meta_[key]


def match(call: Call, new: Object, old: Object) -> None:
    """Refuse a change that was meant for another version of the object, or for another object of that name.

    Raises:
        ApiError: 409
    """
    wanted = objects.metadata(new)
    if wanted.get("resourceVersion") not in (None, "", "0", objects.resource_version(old)):
        raise call.conflict()
    if wanted.get("uid") not in (None, "", objects.uid(old)):
        raise call.conflict(
            f"Precondition failed: UID in precondition: {wanted['uid']}, UID in object meta: {objects.uid(old)}"
        )


def carry(new: Object, old: Object) -> None:
    """Restore what no client may change in the metadata."""
    wanted, before = objects.metadata(new), objects.metadata(old)
    for key in _KEPT:
        if key in before:
            wanted[key] = before[key]
        else:
            wanted.pop(key, None)
    wanted.pop("selfLink", None)
    wanted["resourceVersion"] = before["resourceVersion"]


def confine(served: Served, subresource: str, new: Object, old: Object) -> None:
    """Restore all that a write to this (sub)resource does not change: the status, or everything but the status."""
    if not subresource:
        if served.strategy.has_status:
            _restore(new, old, ("status",))
        return
    paths = CONFINED.get(subresource, ())
    if subresource == "scale":
        paths = (tuple(served.scale.wanted.split(".")),)
    wanted = {path: objects.at(new, *path) for path in paths}
    annotations = objects.metadata(new).get("annotations") if subresource == "status" else None
    managed = objects.metadata(new).get("managedFields")
    new.clear()
    new.update({key: (dict(value) if isinstance(value, dict) else value) for key, value in old.items()})
    new["metadata"] = dict(old["metadata"])
    if managed is not None:
        new["metadata"]["managedFields"] = managed
    if annotations is not None and not served.dynamic:
        new["metadata"]["annotations"] = annotations
    for path, value in wanted.items():
        parent = new
        for part in path[:-1]:
            parent = parent.setdefault(part, {})
        if value is None:
            parent.pop(path[-1], None)
        else:
            parent[path[-1]] = value


def _restore(new: Object, old: Object, path: tuple[str, ...]) -> None:
    key = path[0]
    if key in old:
        new[key] = old[key]
    else:
        new.pop(key, None)


def count_generation(strategy: Strategy, new: Object, old: Object) -> None:
    """Count one generation when anything but metadata and status changed."""
    if not strategy.has_generation:
        return
    if any(new.get(key) != old.get(key) for key in {*new, *old} - {"metadata", "status"}):
        objects.metadata(new)["generation"] = int(objects.metadata(old).get("generation") or 0) + 1


def alike(new: Object, old: Object) -> bool:
    """Return whether nothing but managed fields differs, so that nothing is written."""
    if {key: value for key, value in new.items() if key != "metadata"} != {
        key: value for key, value in old.items() if key != "metadata"
    }:
        return False
    return _bare(objects.metadata(new)) == _bare(objects.metadata(old))


def _bare(metadata: Object) -> Object:
    return {key: value for key, value in metadata.items() if key != "managedFields" and value not in ({}, [], None, "")}


def finished(obj: Object) -> bool:
    """Return whether an object that is being deleted has nothing left to wait for."""
    meta_ = objects.metadata(obj)
    if not meta_.get("deletionTimestamp") or meta_.get("finalizers") or meta_.get("deletionGracePeriodSeconds"):
        return False
    return not (obj.get("kind") == "Namespace" and objects.at(obj, "spec", "finalizers"))


def validate(served: Served, obj: Object) -> list[FieldError]:
    return meta.validate(obj, namespaced=served.resource.namespaced, validate_name=served.strategy.validate_name)


def validate_update(served: Served, new: Object, old: Object) -> list[FieldError]:
    return meta.validate_update(new, old)
