"""SecurityContext of a container and of a pod: as whom processes run, and what confines them.

Spec: core/v1 SecurityContext, PodSecurityContext.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sampan.kube.fielderror import FieldError, duplicate, invalid, not_supported, required
from sampan.kube.kinds import check
from sampan.kube.object import Object, at
from sampan.kube.reading import flag, items, text, words

_PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")
_ID_BOUNDS = "must be between 0 and 2147483647, inclusive"
_SYSCTL = r"([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SYSCTL_LENGTH = 253


def of_container(context: Any, path: str) -> Iterator[FieldError]:
    """Return the faults of a container's SecurityContext; None for none given."""
    yield from _common(context, path)
    yield from check.optional(f"{path}.procMount", at(context, "procMount"), ("Default", "Unmasked"))
    if flag(context, "allowPrivilegeEscalation", missing=True):
        return
    if flag(context, "privileged"):
        why = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
        yield invalid(path, context, why)
    if "CAP_SYS_ADMIN" in words(context, "capabilities", "add"):
        why = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
        yield invalid(path, context, why)


def of_pod(spec: Object, path: str) -> Iterator[FieldError]:
    """Return the faults of the PodSecurityContext of a pod's spec at `path`, and of what it says of namespaces."""
    context, where = spec.get("securityContext"), f"{path}.securityContext"
    yield from _common(context, where)
    yield from _identity(context, where, "fsGroup")
    for index, group in enumerate(at(context, "supplementalGroups") or ()):
        if isinstance(group, int) and not 0 <= group < 1 << 31:
            yield invalid(f"{where}.supplementalGroups[{index}]", group, _ID_BOUNDS)
    policies = ("Always", "OnRootMismatch")
    yield from check.optional(f"{where}.fsGroupChangePolicy", at(context, "fsGroupChangePolicy"), policies)
    policies = ("Merge", "Strict")
    yield from check.optional(f"{where}.supplementalGroupsPolicy", at(context, "supplementalGroupsPolicy"), policies)
    yield from _sysctls(items(context, "sysctls"), f"{where}.sysctls")
    if flag(spec, "shareProcessNamespace") and flag(spec, "hostPID"):
        why = "ShareProcessNamespace and HostPID cannot both be enabled"
        yield invalid(f"{path}.shareProcessNamespace", value=True, detail=why)


def _common(context: Any, path: str) -> Iterator[FieldError]:
    for field in ("runAsUser", "runAsGroup"):
        yield from _identity(context, path, field)
    yield from _profile(context, path, "seccompProfile", "seccomp")
    yield from _profile(context, path, "appArmorProfile", "AppArmor")


def _identity(context: Any, path: str, field: str) -> Iterator[FieldError]:
    value = at(context, field)
    if isinstance(value, int) and not 0 <= value < 1 << 31:
        yield invalid(f"{path}.{field}", value, _ID_BOUNDS)


def _profile(context: Any, path: str, field: str, what: str) -> Iterator[FieldError]:
    profile, where = at(context, field), f"{path}.{field}"
    if not isinstance(profile, dict):
        return
    kind, local = text(profile, "type"), profile.get("localhostProfile")
    if not kind:
        yield required(f"{where}.type", f"type is required when {field} is set")
    elif kind not in _PROFILES:
        yield not_supported(f"{where}.type", kind, _PROFILES)
    if kind == "Localhost" and not local:
        yield required(f"{where}.localhostProfile", f"must be set when {what} type is Localhost")
    elif kind == "Localhost" and isinstance(local, str) and what == "seccomp":
        if local.startswith("/"):
            yield invalid(f"{where}.localhostProfile", local, "must be a relative path")
        elif ".." in local.split("/"):
            yield invalid(f"{where}.localhostProfile", local, "must not contain '..'")
    elif kind != "Localhost" and local is not None:
        yield invalid(f"{where}.localhostProfile", local, f"can only be set when {what} type is Localhost")


def _sysctls(sysctls: list[Object], path: str) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, sysctl in enumerate(sysctls):
        where, name = f"{path}[{index}].name", text(sysctl, "name")
        if not name:
            yield required(where)
        elif len(name) > _SYSCTL_LENGTH or not re.fullmatch(_SYSCTL, name):
            why = f"must have at most {_SYSCTL_LENGTH} characters and match regex ^{_SYSCTL}$"
            yield invalid(where, name, why)
        elif name in seen:
            yield duplicate(where, name)
        seen.add(name)
