"""Binds, mounts and tmpfs of a create body to `MountSpec`s, in this order.

Spec: Docker Engine API v1.51, HostConfig.Binds, HostConfig.Mounts, HostConfig.Tmpfs.
"""

from __future__ import annotations

from sampan.api.docker.parse.body import mapping
from sampan.base.errors import InvalidArgument, Unsupported
from sampan.model.container import MountKind, MountSpec
from sampan.spec.docker import container as wire

_PROPAGATIONS = frozenset({"private", "rprivate", "slave", "rslave", "shared", "rshared"})
_MODE_GROUPS = (
    frozenset({"rw", "ro"}),
    frozenset({"z", "Z"}),
    _PROPAGATIONS,
    frozenset({"nocopy"}),
    frozenset({"consistent", "cached", "delegated"}),
)


def parse_mounts(config: wire.HostConfig) -> tuple[tuple[str, ...], tuple[MountSpec, ...]]:
    """Return the targets of anonymous volumes among the binds, and all other mounts.

    Raises:
        InvalidArgument: a malformed one, or two at one target.
    """
    anonymous: list[str] = []
    mounts: list[MountSpec] = []
    for text in config.binds or ():
        mount = parse_bind(text, config.volume_driver or "")
        if mount.source:
            mounts.append(mount)
        else:
            anonymous.append(mount.target)
    mounts += [_parse_mount(row) for row in config.mounts or ()]
    mounts += [_parse_tmpfs(target, options or "") for target, options in (config.tmpfs or {}).items()]
    _refuse_duplicates([*anonymous, *(mount.target for mount in mounts)])
    return tuple(anonymous), tuple(mounts)


def _refuse_duplicates(targets: list[str]) -> None:
    seen: set[str] = set()
    for target in targets:
        clean = target.rstrip("/")
        if clean in seen:
            raise InvalidArgument(f"Duplicate mount point: {clean}")
        seen.add(clean)


def parse_bind(text: str, volume_driver: str = "") -> MountSpec:
    """Return the mount of "source:target[:mode]"; a lone "target" has no source."""
    parts = text.split(":")
    if not parts[0] or len(parts) > 3 or (len(parts) == 2 and _is_mode(parts[1])):
        raise InvalidArgument(f"invalid volume specification: '{text}'")
    source, target = (parts[0], parts[1]) if len(parts) > 1 else ("", parts[0])
    mode = parts[2] if len(parts) == 3 else ""
    if not _is_mode(mode):
        raise InvalidArgument(f"invalid mode: {mode}")
    words = mode.split(",")
    kind = MountKind.BIND if source.startswith("/") else MountKind.VOLUME
    _check_target(target, f"invalid volume specification: '{text}': ")
    return MountSpec(
        kind=kind,
        target=target,
        source=source,
        read_only="ro" in words,
        propagation=next((word for word in words if word in _PROPAGATIONS), ""),
        create_source=kind is MountKind.BIND,
        no_copy="nocopy" in words,
        volume_driver=volume_driver if kind is MountKind.VOLUME else "",
        mode=mode,
        form="bind",
    )


def _is_mode(mode: str) -> bool:
    """Return whether `mode` is a comma list with at most one word of each group."""
    if not mode:
        return True
    words = mode.split(",")
    return all(any(word in group for group in _MODE_GROUPS) for word in words) and all(
        sum(word in group for word in words) <= 1 for group in _MODE_GROUPS
    )


def _check_target(target: str, prefix: str) -> None:
    if not target:
        raise InvalidArgument(f"{prefix}field Target must not be empty")
    if not target.startswith("/"):
        raise InvalidArgument(f"{prefix}invalid mount path: '{target}' mount path must be absolute")
    if _is_root(target):
        raise InvalidArgument(f"{prefix}invalid specification: destination can't be '/'")


def _is_root(path: str) -> bool:
    depth = 0
    for part in path.split("/"):
        depth = max(0, depth - 1) if part == ".." else depth + (part not in ("", "."))
    return depth == 0


def _parse_mount(row: wire.Mount) -> MountSpec:
    kind = row.type or ""
    prefix = f'invalid mount config for type "{kind}": '
    if kind not in ("bind", "volume", "tmpfs"):
        if kind in ("image", "npipe", "cluster"):
            raise Unsupported(f"{prefix}mount type is not supported by Sampan; use bind, volume or tmpfs")
        raise InvalidArgument(f"{prefix}mount type unknown")
    _check_target(row.target or "", prefix)
    _refuse_foreign_options(row, kind, prefix)
    if kind == "bind":
        return _parse_bind_mount(row, prefix)
    return _parse_volume_mount(row, prefix) if kind == "volume" else _parse_tmpfs_mount(row, prefix)


def _refuse_foreign_options(row: wire.Mount, kind: str, prefix: str) -> None:
    given = (
        ("bind", "BindOptions", row.bind_options),
        ("volume", "VolumeOptions", row.volume_options),
        ("tmpfs", "TmpfsOptions", row.tmpfs_options),
        ("image", "ImageOptions", row.image_options),
    )
    for owner, name, options in given:
        if options is not None and owner != kind:
            raise InvalidArgument(f"{prefix}field {name} must not be specified")


def _parse_bind_mount(row: wire.Mount, prefix: str) -> MountSpec:
    options = row.bind_options or wire.BindOptions()
    if not row.source:
        raise InvalidArgument(f"{prefix}field Source must not be empty")
    if not row.source.startswith("/"):
        raise InvalidArgument(f"{prefix}invalid mount path: '{row.source}' mount path must be absolute")
    if options.propagation and options.propagation not in _PROPAGATIONS:
        raise InvalidArgument(f"{prefix}invalid propagation mode: {options.propagation}")
    if options.read_only_force_recursive and options.read_only_non_recursive:
        raise InvalidArgument(f"{prefix}ReadOnlyForceRecursive and ReadOnlyNonRecursive exclude each other")
    return MountSpec(
        kind=MountKind.BIND,
        target=row.target or "",
        source=row.source,
        read_only=row.read_only or False,
        propagation=options.propagation or "",
        non_recursive=options.non_recursive or False,
        create_source=options.create_mountpoint or False,
        read_only_non_recursive=options.read_only_non_recursive or False,
        read_only_force_recursive=options.read_only_force_recursive or False,
    )


def _parse_volume_mount(row: wire.Mount, prefix: str) -> MountSpec:
    options = row.volume_options or wire.VolumeOptions()
    driver = options.driver_config or wire.Driver()
    if not row.source and options.subpath:
        raise InvalidArgument(f"{prefix}must not set Subpath when using anonymous volumes")
    if options.subpath and (options.subpath.startswith("/") or ".." in options.subpath.split("/")):
        raise InvalidArgument(f"{prefix}subpath must be a relative path within the volume")
    if not row.source and row.read_only:
        raise InvalidArgument(f"{prefix}must not set ReadOnly mode when using anonymous volumes")
    return MountSpec(
        kind=MountKind.VOLUME,
        target=row.target or "",
        source=row.source or "",
        read_only=row.read_only or False,
        no_copy=options.no_copy or False,
        subpath=options.subpath or "",
        volume_driver=driver.name or "",
        volume_options=mapping(driver.options),
        volume_labels=mapping(options.labels),
    )


def _parse_tmpfs_mount(row: wire.Mount, prefix: str) -> MountSpec:
    options = row.tmpfs_options or wire.TmpfsOptions()
    if row.source:
        raise InvalidArgument(f"{prefix}field Source must not be specified")
    if (options.size_bytes or 0) < 0 or not 0 <= (options.mode or 0) <= 0o7777:
        raise InvalidArgument(f"{prefix}SizeBytes must not be negative and Mode must be within 07777")
    return MountSpec(
        kind=MountKind.TMPFS,
        target=row.target or "",
        read_only=row.read_only or False,
        tmpfs_size_bytes=options.size_bytes or 0,
        tmpfs_mode=options.mode or None,
        tmpfs_options=",".join(_tmpfs_option(option, prefix) for option in options.options or ()),
    )


def _tmpfs_option(option: list[str], prefix: str) -> str:
    if not 1 <= len(option) <= 2:
        raise InvalidArgument(f"{prefix}invalid option array length")
    if option[0] not in ("exec", "noexec"):
        raise InvalidArgument(f"{prefix}invalid option: {option[0]}")
    return "=".join(option)


def _parse_tmpfs(target: str, options: str) -> MountSpec:
    _check_target(target, f'invalid tmpfs mount "{target}": ')
    return MountSpec(
        kind=MountKind.TMPFS,
        target=target,
        tmpfs_options=options,
        read_only="ro" in options.split(","),
        form="tmpfs",
    )
