"""A pod's volumes and what mounts them.

Spec: core/v1 Volume, VolumeMount, VolumeDevice.
"""

from __future__ import annotations

from collections.abc import Iterator

from sampan.kube import quantity
from sampan.kube.fielderror import FieldError, forbidden, invalid, not_found, required
from sampan.kube.kinds import check, names, podenv
from sampan.kube.object import Object, at
from sampan.kube.reading import flag, items, text

_NEEDED = {
    "hostPath": ("path",),
    "secret": ("secretName",),
    "configMap": ("name",),
    "nfs": ("server", "path"),
    "persistentVolumeClaim": ("claimName",),
    "csi": ("driver",),
    "iscsi": ("targetPortal", "iqn"),
    "ephemeral": ("volumeClaimTemplate",),
}
_HOST_PATHS = ("", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket")
_PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")
_MODE = "must be a number between 0 and 0777 (octal), both inclusive"
_PROJECTED = ("clusterTrustBundle", "configMap", "downwardAPI", "podCertificate", "secret", "serviceAccountToken")


def volumes(found: list[Object], path: str) -> Iterator[FieldError]:
    """Return the faults of a pod's volumes."""
    yield from check.unique(path, [text(volume, "name") for volume in found], "name")
    for index, volume in enumerate(found):
        where = f"{path}[{index}]"
        yield from check.required_name(f"{where}.name", text(volume, "name"), names.dns_label)
        sources = [key for key in volume if key != "name" and volume[key] is not None]
        for source in sources[1:]:
            yield forbidden(f"{where}.{source}", "may not specify more than 1 volume type")
        yield from _volume(volume, where)


def _volume(volume: Object, path: str) -> Iterator[FieldError]:
    for source, keys in _NEEDED.items():
        if isinstance(found := volume.get(source), dict):
            for key in keys:
                if not found.get(key):
                    yield required(f"{path}.{source}.{key}")
    yield from host_path(volume.get("hostPath"), f"{path}.hostPath")
    if (share := text(volume, "nfs", "path")) and not share.startswith("/"):
        yield invalid(f"{path}.nfs.path", share, "must be an absolute path")
    if _negative(at(volume, "emptyDir", "sizeLimit")):
        yield forbidden(f"{path}.emptyDir.sizeLimit", "SizeLimit field must be a valid resource quantity")
    for source in ("secret", "configMap"):
        yield from _keys(items(volume, source, "items"), f"{path}.{source}.items")
    yield from _downward(items(volume, "downwardAPI", "items"), f"{path}.downwardAPI.items")
    for index, part in enumerate(items(volume, "projected", "sources")):
        yield from _projection(part, f"{path}.projected.sources[{index}]")
    for source in ("secret", "configMap", "downwardAPI", "projected"):
        yield from _mode(at(volume, source, "defaultMode"), f"{path}.{source}.defaultMode")


def host_path(source: object, path: str) -> Iterator[FieldError]:
    """Return the faults of a HostPathVolumeSource; None for none given."""
    if ".." in text(source, "path").split("/"):
        yield invalid(f"{path}.path", text(source, "path"), "must not contain '..'")
    yield from check.optional(f"{path}.type", at(source, "type"), _HOST_PATHS)


def _negative(amount: object) -> bool:
    try:
        return amount is not None and quantity.of(amount).amount < 0
    except quantity.QuantityError:
        return True


def _mode(mode: object, path: str) -> Iterator[FieldError]:
    if isinstance(mode, int) and not 0 <= mode <= 0o777:
        yield invalid(path, mode, _MODE)


def _file(path: str, value: str) -> Iterator[FieldError]:
    """Check for the path of a file inside a volume."""
    if not value:
        yield required(path)
    elif value.startswith("/"):
        yield invalid(path, value, "must be a relative path")
    elif ".." in value.split("/"):
        yield invalid(path, value, "must not contain '..'")
    elif value.startswith(".."):
        yield invalid(path, value, "must not start with '..'")


def _keys(entries: list[Object], path: str) -> Iterator[FieldError]:
    for index, entry in enumerate(entries):
        where = f"{path}[{index}]"
        if not text(entry, "key"):
            yield required(f"{where}.key")
        yield from _file(f"{where}.path", text(entry, "path"))
        yield from _mode(entry.get("mode"), f"{where}.mode")


def _downward(entries: list[Object], path: str) -> Iterator[FieldError]:
    for index, entry in enumerate(entries):
        where = f"{path}[{index}]"
        yield from _file(f"{where}.path", text(entry, "path"))
        yield from _mode(entry.get("mode"), f"{where}.mode")
        field, resource = entry.get("fieldRef"), entry.get("resourceFieldRef")
        if field is not None:
            yield from podenv.field(field, f"{where}.fieldRef", podenv.VOLUME_FIELDS)
            if resource is not None:
                why = "fieldRef and resourceFieldRef can not be specified simultaneously"
                yield invalid(where, "resource", why)
        elif resource is not None:
            yield from podenv.resource(resource, f"{where}.resourceFieldRef", volume=True)
        else:
            yield required(where, "one of fieldRef and resourceFieldRef is required")


def _projection(part: Object, path: str) -> Iterator[FieldError]:
    given = [key for key in _PROJECTED if part.get(key) is not None]
    for key in given[1:]:
        yield forbidden(f"{path}.{key}", "may not specify more than 1 volume type per source")
    for key in ("secret", "configMap"):
        if part.get(key) is not None:
            if not text(part, key, "name"):
                yield required(f"{path}.{key}.name")
            yield from _keys(items(part, key, "items"), f"{path}.{key}.items")
    yield from _downward(items(part, "downwardAPI", "items"), f"{path}.downwardAPI.items")
    if part.get("serviceAccountToken") is not None:
        where = f"{path}.serviceAccountToken"
        seconds = at(part, "serviceAccountToken", "expirationSeconds")
        if isinstance(seconds, int) and seconds < 600:
            why = "may not specify a duration less than 10 minutes"
            yield invalid(f"{where}.expirationSeconds", seconds, why)
        elif isinstance(seconds, int) and seconds > 1 << 32:
            yield invalid(f"{where}.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds")
        yield from _file(f"{where}.path", text(part, "serviceAccountToken", "path"))


# --- what is done with them -------------------------------------------------------------------------------------------


def mounts(container: Object, path: str, volumes: set[str]) -> Iterator[FieldError]:
    """Return the faults of what a container at `path` mounts of a pod's `volumes`."""
    privileged = flag(container, "securityContext", "privileged")
    yield from _uses(items(container, "volumeMounts"), f"{path}.volumeMounts", "mountPath", volumes)
    yield from _uses(items(container, "volumeDevices"), f"{path}.volumeDevices", "devicePath", volumes)
    for index, mount in enumerate(items(container, "volumeMounts")):
        where = f"{path}.volumeMounts[{index}]"
        for key in ("subPath", "subPathExpr"):
            if sub := text(mount, key):
                if sub.startswith("/"):
                    yield invalid(f"{where}.{key}", sub, "must be a relative path")
                elif ".." in sub.split("/"):
                    yield invalid(f"{where}.{key}", sub, "must not contain '..'")
        if text(mount, "subPath") and text(mount, "subPathExpr"):
            why = "subPathExpr and subPath are mutually exclusive"
            yield invalid(f"{where}.subPathExpr", text(mount, "subPathExpr"), why)
        propagation = mount.get("mountPropagation")
        yield from check.optional(f"{where}.mountPropagation", propagation, _PROPAGATIONS)
        if propagation == "Bidirectional" and not privileged:
            why = "Bidirectional mount propagation is available only to privileged containers"
            yield forbidden(f"{where}.mountPropagation", why)


def _uses(uses: list[Object], path: str, target: str, volumes: set[str]) -> Iterator[FieldError]:
    """Check which volumes are used, and that each has a place of its own: the field `target`."""
    seen: set[str] = set()
    for index, use in enumerate(uses):
        where, name, place = f"{path}[{index}]", text(use, "name"), text(use, target)
        if not name:
            yield required(f"{where}.name")
        elif name not in volumes:
            yield not_found(f"{where}.name", name)
        if not place:
            yield required(f"{where}.{target}")
        elif place in seen:
            yield invalid(f"{where}.{target}", place, "must be unique")
        seen.add(place)


def names_of(spec: Object) -> set[str]:
    """Return the names of a pod's volumes."""
    return {text(volume, "name") for volume in items(spec, "volumes")}
