"""`-v`, `--mount` and `--tmpfs` in the API's form."""

from __future__ import annotations

from sampan.cli.errors import UsageError
from sampan.cli.units import parse_size

_TRUE = ("", "1", "true", "t")


def bind(text: str, here: str) -> str:
    """Return a `-v` value with a relative source made absolute under `here`; names and absolute paths stay."""
    source, colon, rest = text.partition(":")
    if not colon or not source.startswith("."):
        return text
    parts: list[str] = []
    for part in (here + "/" + source).split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return f"/{'/'.join(parts)}:{rest}"


def tmpfs(values: list[str]) -> dict[str, str]:
    """Return the Tmpfs map of `target[:options]` values."""
    return {target: options for target, _, options in (value.partition(":") for value in values)}


def mount(text: str) -> dict[str, object]:
    """Return the Mount object of one `--mount` value.

    Raises:
        UsageError: an unknown key, or no target.
    """
    result: dict[str, object] = {"Type": "volume"}
    options: dict[str, dict[str, object]] = {}
    for field in _fields(text):
        key, equals, value = field.partition("=")
        _set(result, options, key.strip().lower(), value, bool(equals))
    if not result.get("Target"):
        raise UsageError(f"--mount {text}: a target is needed, such as target=/data")
    result.update(options)
    return result


def _set(result: dict[str, object], options: dict[str, dict[str, object]], key: str, value: str, given: bool) -> None:
    yes = value.lower() in _TRUE
    if key in ("type", "source", "src", "target", "dst", "destination", "consistency"):
        name = {"src": "Source", "dst": "Target", "destination": "Target"}.get(key, key.capitalize())
        result[name] = value
    elif key in ("readonly", "ro"):
        result["ReadOnly"] = yes
    elif key in _SIMPLE:
        group, name = _SIMPLE[key]
        options.setdefault(group, {})[name] = value if given and name not in _BOOLEANS else yes
    elif key == "bind-recursive":
        options.setdefault("BindOptions", {}).update(_recursive(value))
    elif key == "volume-driver":
        driver = options.setdefault("VolumeOptions", {}).setdefault("DriverConfig", {})
        driver.update({"Name": value})  # type: ignore[attr-defined]
    elif key in ("volume-opt", "volume-label"):
        _nested(options.setdefault("VolumeOptions", {}), key, value)
    elif key == "tmpfs-size":
        options.setdefault("TmpfsOptions", {})["SizeBytes"] = parse_size(value)
    elif key == "tmpfs-mode":
        options.setdefault("TmpfsOptions", {})["Mode"] = int(value, 8)
    else:
        from sampan.cli.flags import nearest

        raise UsageError(f"--mount: unexpected key '{key}'{nearest(key, _KEYS)}")


_SIMPLE = {
    "bind-propagation": ("BindOptions", "Propagation"),
    "bind-nonrecursive": ("BindOptions", "NonRecursive"),
    "bind-create-src": ("BindOptions", "CreateMountpoint"),
    "volume-nocopy": ("VolumeOptions", "NoCopy"),
    "volume-subpath": ("VolumeOptions", "Subpath"),
    "image-subpath": ("ImageOptions", "Subpath"),
}
_BOOLEANS = ("NonRecursive", "CreateMountpoint", "NoCopy")
_KEYS = [*_SIMPLE, "type", "source", "target", "readonly", "bind-recursive", "volume-driver", "volume-opt", "volume-label",
         "tmpfs-size", "tmpfs-mode"]  # fmt: skip


def _recursive(value: str) -> dict[str, object]:
    known: dict[str, dict[str, object]] = {
        "enabled": {},
        "disabled": {"NonRecursive": True},
        "writable": {"ReadOnlyNonRecursive": True},
        "readonly": {"ReadOnlyForceRecursive": True},
    }
    if value not in known:
        raise UsageError(f"--mount: bind-recursive={value}: use enabled, disabled, writable or readonly")
    return known[value]


def _nested(volume: dict[str, object], key: str, value: str) -> None:
    name, _, content = value.partition("=")
    if key == "volume-label":
        volume.setdefault("Labels", {})[name] = content  # type: ignore[index]
    else:
        driver = volume.setdefault("DriverConfig", {})
        driver.setdefault("Options", {})[name] = content  # type: ignore[attr-defined]


def _fields(text: str) -> list[str]:
    """Comma-separated fields; a field in double quotes may hold commas."""
    if '"' not in text:
        return text.split(",")
    import csv

    return next(csv.reader([text]))
