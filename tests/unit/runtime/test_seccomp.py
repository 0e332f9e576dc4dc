"""The compiled program answers as the profile says, on every architecture, and ENOSYS to what is newer than libseccomp."""

import ctypes
import os

import pytest

from sampan.host import seccomp_filter
from sampan.runtime import confine
from sampan.spec import capability
from unit.runtime.bpf import AUDIT, run, verdict

library = seccomp_filter._library()
pytestmark = pytest.mark.skipif(library is None or os.uname().machine != "x86_64", reason="needs libseccomp on x86_64")

ALLOW, ERRNO = 0x7FFF0000, 0x00050000


@pytest.fixture(scope="module", params=[capability.DEFAULT, (*capability.DEFAULT, "CAP_SYS_ADMIN"), ()])
def compiled(request):
    profile = confine.default_seccomp("x86_64", request.param)
    return profile, seccomp_filter.compile_profile(profile)


def number(name: str, arch: str) -> int:
    return library.seccomp_syscall_resolve_name_arch(ctypes.c_uint32(AUDIT[arch]), name.encode())


@pytest.mark.parametrize("arch", ["x86_64", "x86"])
def test_every_named_call_has_the_profiles_verdict(compiled, arch):
    profile, program = compiled
    names = {name for rule in profile["syscalls"] for name in rule["names"]} | {
        "keyctl",
        "add_key",
        "userfaultfd",
        "io_uring_setup",
        "mount",
        "bpf",
        "kexec_load",
        "init_module",
        "swapon",
    }
    checked = 0
    for name in sorted(names):
        call = number(name, arch)
        if call < 0:
            continue
        for first in (0, 8, 38, 39, 40, 41, 0x7E020000, 0x20000000, 0xFFFFFFFF):
            wanted = verdict(profile, name, first)
            answer = run(program, number=call, arch=AUDIT[arch], arguments=(first,))
            assert answer == (ALLOW if wanted == "allow" else ERRNO | wanted), (name, first)
            checked += 1
    assert checked > 2000


def test_newer_calls_do_not_exist(compiled):
    _, program = compiled
    for call in (seccomp_filter._first_unknown(library), 600, 10_000):
        assert run(program, number=call, arch=AUDIT["x86_64"]) == ERRNO | 38
        assert run(program, number=call | 0x40000000, arch=AUDIT["x86_64"]) == ERRNO | 38


def test_another_architecture_is_killed(compiled):
    _, program = compiled
    assert run(program, number=1, arch=AUDIT["aarch64"]) in (0x00000000, 0x80000000)


def test_the_program_is_smaller_than_the_kernels_limit(compiled):
    _, program = compiled
    assert len(program) // 8 < 4096


@pytest.mark.parametrize(
    "change", [{"listenerPath": "/x"}, {"flags": ["SECCOMP_FILTER_FLAG_LOG"]}, {"defaultAction": "SCMP_ACT_TRACE"}]
)
def test_what_cannot_be_compiled_is_left_to_the_runtime(change):
    profile = confine.default_seccomp("x86_64", ()) | change
    assert seccomp_filter.compile_profile(profile) is None
