"""Compiles a seccomp profile to a BPF program, once, with libseccomp.

crun compiles its profile for each container, which takes longer (20 ms for three architectures) than everything else of
a start; it takes a ready program in an annotation instead. The program looks system calls up in a binary tree. Calls
that are newer than libseccomp answer ENOSYS, so that a C library falls back to an older one as on an older kernel.
"""

from __future__ import annotations

import ctypes
import functools
import os
import struct
import tempfile
from collections.abc import Mapping
from typing import Any

from sampan.spec.seccomp import ERRNO_ENOSYS

_ACTIONS = {
    "SCMP_ACT_ALLOW": 0x7FFF0000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ERRNO": 0x00050000,
    "SCMP_ACT_KILL": 0x00000000,
    "SCMP_ACT_KILL_THREAD": 0x00000000,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_TRAP": 0x00030000,
}
_OPERATORS = {"NE": 1, "LT": 2, "LE": 3, "EQ": 4, "GE": 5, "GT": 6, "MASKED_EQ": 7}
_ATTRIBUTE_OPTIMIZE = 8
_BINARY_TREE = 2
_UNKNOWN = -1
_FIRST_COMMON_CALL = 424
"""From this number on a call has the same number on every architecture."""
_X32_BIT = 0x40000000
_LARGEST_KNOWN = 1024


class _Comparison(ctypes.Structure):
    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


@functools.cache
def _library() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    except OSError:
        return None
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_syscall_resolve_num_arch.restype = ctypes.c_void_p
    return library


def compile_profile(profile: Mapping[str, Any]) -> bytes | None:
    """Return the BPF program of an OCI seccomp section; None where it cannot be made here.

    That is so without libseccomp, and for profiles with a listener, a traced or an unknown action.
    """
    library = _library()
    if library is None or "listenerPath" in profile or profile.get("flags"):
        return None
    default = _action(profile["defaultAction"], profile.get("defaultErrnoRet"))
    if default is None:
        return None
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(default)))
    try:
        if not _fill(library, context, profile):
            return None
        with tempfile.TemporaryFile() as target:
            if library.seccomp_export_bpf(context, target.fileno()):
                return None
            program = os.pread(target.fileno(), 1 << 20, 0)
    finally:
        library.seccomp_release(context)
    allows_unknown = default == _ACTIONS["SCMP_ACT_ALLOW"]
    return program if allows_unknown else _refuse_newer(library) + program


def _action(name: str, number: int | None) -> int | None:
    value = _ACTIONS.get(name)
    return value if value is None or name != "SCMP_ACT_ERRNO" else value | (1 if number is None else number)


def _fill(library: ctypes.CDLL, context: ctypes.c_void_p, profile: Mapping[str, Any]) -> bool:
    library.seccomp_attr_set(context, _ATTRIBUTE_OPTIMIZE, _BINARY_TREE)
    for name in profile.get("architectures") or ():
        token = library.seccomp_arch_resolve_name(name.removeprefix("SCMP_ARCH_").lower().encode())
        if not token:
            return False
        library.seccomp_arch_add(context, ctypes.c_uint32(token))
    for rule in profile.get("syscalls") or ():
        action = _action(rule["action"], rule.get("errnoRet"))
        if action is None:
            return False
        rows = [_comparison(row) for row in rule.get("args") or ()]
        array = (_Comparison * max(len(rows), 1))(*rows)
        for name in rule["names"]:
            number = library.seccomp_syscall_resolve_name(name.encode())
            if number != _UNKNOWN:
                library.seccomp_rule_add_array(context, ctypes.c_uint32(action), number, len(rows), array)
    return True


def _comparison(row: Mapping[str, Any]) -> _Comparison:
    operator = _OPERATORS[row["op"].removeprefix("SCMP_CMP_")]
    return _Comparison(row["index"], operator, row["value"], row.get("valueTwo", 0))


@functools.cache
def _first_unknown(library: ctypes.CDLL) -> int:
    native = ctypes.c_uint32(library.seccomp_arch_native())
    for number in range(_FIRST_COMMON_CALL, _LARGEST_KNOWN):
        if not library.seccomp_syscall_resolve_num_arch(native, number):
            return number
    return _LARGEST_KNOWN


def _refuse_newer(library: ctypes.CDLL) -> bytes:
    """Return instructions, to stand ahead of a program, that answer ENOSYS to calls libseccomp does not know."""
    load, mask, at_least, answer = 0x20, 0x54, 0x35, 0x06
    rows = (
        (load, 0, 0, 0),  # A = number of the call
        (mask, 0, 0, 0xFFFFFFFF ^ _X32_BIT),
        (at_least, 0, 1, _first_unknown(library)),
        (answer, 0, 0, _ACTIONS["SCMP_ACT_ERRNO"] | ERRNO_ENOSYS),
    )
    return b"".join(struct.pack("=HBBI", *row) for row in rows)
