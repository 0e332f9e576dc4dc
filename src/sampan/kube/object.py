"""An API object in flight: the plain dict that its JSON decodes to, so that fields nobody knows survive.

It is kept as bytes and decoded only to be changed. These accessors take what validation has not seen yet: they never
raise on a wrong type where a right one can be told apart.
"""

from typing import Any

Object = dict[str, Any]


def metadata(obj: Object) -> dict[str, Any]:
    """Return the object's metadata, made where it is missing."""
    found = obj.get("metadata")
    if not isinstance(found, dict):
        found = obj["metadata"] = {}
    return found


def name(obj: Object) -> str:
    return str(metadata(obj).get("name") or "")


def namespace(obj: Object) -> str:
    return str(metadata(obj).get("namespace") or "")


def uid(obj: Object) -> str:
    return str(metadata(obj).get("uid") or "")


def resource_version(obj: Object) -> str:
    return str(metadata(obj).get("resourceVersion") or "")


def labels(obj: Object) -> dict[str, str]:
    """Return the labels; {} where there are none or they are no map."""
    found = metadata(obj).get("labels")
    return found if isinstance(found, dict) else {}


def annotations(obj: Object) -> dict[str, str]:
    """Return the annotations; {} where there are none or they are no map."""
    found = metadata(obj).get("annotations")
    return found if isinstance(found, dict) else {}


def finalizers(obj: Object) -> list[str]:
    found = metadata(obj).get("finalizers")
    return found if isinstance(found, list) else []


def owner_references(obj: Object) -> list[dict[str, Any]]:
    found = metadata(obj).get("ownerReferences")
    return found if isinstance(found, list) else []


def deleting(obj: Object) -> bool:
    """Return whether the object is on its way out (deletionTimestamp is set)."""
    return bool(metadata(obj).get("deletionTimestamp"))


def at(obj: Any, *path: str) -> Any:
    """Return the value below `path`, None where any part of it is missing or no map."""
    for part in path:
        if not isinstance(obj, dict):
            return None
        obj = obj.get(part)
    return obj


def spec_of(obj: Object) -> Object:
    """Return an object's spec; one that is missing or is no object becomes an empty one."""
    found = obj.get("spec")
    if not isinstance(found, dict):
        found = obj["spec"] = {}
    return found
