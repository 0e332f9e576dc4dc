"""How a container is confined: capabilities, seccomp rules, hidden and read-only paths. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from sampan.base.errors import InvalidArgument
from sampan.model.container import Security
from sampan.spec import capability, oci_runtime, seccomp


def _name(text: str) -> str:
    upper = text.upper()
    return upper if upper.startswith("CAP_") or upper == "ALL" else f"CAP_{upper}"


def capabilities(security: Security, held: tuple[str, ...]) -> tuple[str, ...]:
    """Return the container's capabilities: the default set with what was added and dropped, never more than `held`.

    `ALL` counts in either list; a name that is in both is dropped only when `ALL` was added, as in Docker.

    Raises:
        InvalidArgument: a name is no capability.
    """
    available = held or capability.ALL
    if security.privileged:
        return tuple(name for name in capability.ALL if name in available)
    added = {_name(item) for item in security.cap_add}
    dropped = {_name(item) for item in security.cap_drop}
    for name in sorted((added | dropped) - {"ALL"}):
        if name not in capability.ALL:
            raise InvalidArgument(f'invalid capability: unknown capability "{name}": see capabilities(7) for the names')
        if name in added and name not in available:
            raise InvalidArgument(f'invalid capability: "{name}" is not available: the daemon itself does not have it')
    if "ALL" in added:
        return tuple(name for name in capability.ALL if name in available and name not in dropped)
    base = () if "ALL" in dropped else tuple(name for name in capability.DEFAULT if name not in dropped)
    extra = tuple(name for name in capability.ALL if name in added and name not in base)
    return tuple(name for name in (*base, *extra) if name in available)


def _allow(*names: str, args: list[dict[str, object]] | None = None) -> dict[str, Any]:
    rule: dict[str, Any] = {"names": list(names), "action": "SCMP_ACT_ALLOW"}
    return rule | {"args": args} if args else rule


def _argument(value: int, operation: str, value_two: int = 0) -> dict[str, object]:
    return {"index": 0, "value": value, "valueTwo": value_two, "op": f"SCMP_CMP_{operation}"}


def default_seccomp(machine: str, granted: tuple[str, ...]) -> dict[str, Any] | None:
    """Return the default profile for a container with these capabilities; None for a machine it does not know."""
    architectures = seccomp.ARCHITECTURES.get(machine)
    if architectures is None:
        return None
    rules = [_allow(*seccomp.ALWAYS), _allow(*seccomp.PTRACE), _allow(*seccomp.ARCHITECTURE_CALLS[machine])]
    rules += [_allow("personality", args=[_argument(value, "EQ")]) for value in seccomp.PERSONALITIES]
    rules += _socket_rules()
    rules += [_allow(*seccomp.BY_CAPABILITY[name]) for name in seccomp.BY_CAPABILITY if name in granted]
    if "CAP_SYS_ADMIN" in granted:
        rules.append(_allow("clone", "clone3"))
    else:
        rules.append(_allow("clone", args=[_argument(seccomp.CLONE_NAMESPACES, "MASKED_EQ")]))
        rules.append({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": seccomp.ERRNO_ENOSYS})
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": seccomp.ERRNO_EPERM,
        "architectures": list(architectures),
        "syscalls": rules,
    }


def _socket_rules() -> list[dict[str, Any]]:
    """Every family below, between and above the two refused ones: a rule may name an argument only once."""
    between = range(seccomp.AF_ALG + 1, seccomp.AF_VSOCK)
    return [
        _allow("socket", args=[_argument(seccomp.AF_ALG, "LT")]),
        *(_allow("socket", args=[_argument(family, "EQ")]) for family in between),
        _allow("socket", args=[_argument(seccomp.AF_VSOCK, "GT")]),
    ]


def seccomp_profile(security: Security, machine: str, granted: tuple[str, ...]) -> dict[str, Any] | None:
    """Return the profile to put into the bundle: none, the default one, or the given one made concrete.

    Raises:
        InvalidArgument: the given profile is not JSON of Docker's or OCI's form.
    """
    if security.seccomp == "unconfined" or (security.privileged and not security.seccomp):
        return None
    if not security.seccomp or security.seccomp == "builtin":
        return default_seccomp(machine, granted)
    try:
        given = msgspec.json.decode(security.seccomp)
    except msgspec.DecodeError as error:
        raise InvalidArgument(f"Decoding seccomp profile failed: {error}: pass a profile as JSON") from error
    if not isinstance(given, dict) or "defaultAction" not in given:
        raise InvalidArgument("Decoding seccomp profile failed: no defaultAction: pass a profile as JSON")
    return _concrete(given, machine, granted)


def _concrete(given: dict[str, Any], machine: str, granted: tuple[str, ...]) -> dict[str, Any]:
    """Resolve Docker's `archMap`, `includes` and `excludes` into a plain OCI profile."""
    docker_arch = {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
    native = f"SCMP_ARCH_{machine.upper()}"
    architectures = list(given.get("architectures") or ())
    for row in given.get("archMap") or ():
        if row.get("architecture") == native:
            architectures += [native, *(row.get("subArchitectures") or ())]
    rules = []
    for call in given.get("syscalls") or ():
        names = list(call.get("names") or ([call["name"]] if call.get("name") else ()))
        if names and _applies(call, docker_arch, granted):
            kept = {key: call[key] for key in ("action", "errnoRet", "args") if call.get(key) is not None}
            rules.append({"names": names, **kept})
    keys = ("defaultAction", "defaultErrnoRet", "flags", "listenerPath", "listenerMetadata")
    profile = {key: given[key] for key in keys if given.get(key) is not None}
    return profile | {"architectures": architectures, "syscalls": rules}


def _applies(call: dict[str, Any], machine: str, granted: tuple[str, ...]) -> bool:
    includes, excludes = call.get("includes") or {}, call.get("excludes") or {}
    if includes.get("arches") and machine not in includes["arches"]:
        return False
    if any(name not in granted for name in includes.get("caps") or ()):
        return False
    return machine not in (excludes.get("arches") or ()) and not any(
        name in granted for name in excludes.get("caps") or ()
    )


def hidden_paths(security: Security, extra: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return (masked, read-only) paths."""
    if security.privileged or security.systempaths_unconfined:
        return security.masked_paths or (), security.readonly_paths or ()
    masked = (*oci_runtime.MASKED_PATHS, *extra) if security.masked_paths is None else security.masked_paths
    readonly = oci_runtime.READONLY_PATHS if security.readonly_paths is None else security.readonly_paths
    return masked, readonly
