"""Our bundles beside what dockerd 28.5 writes for the same request (golden/runtime_dockerd.json): no looser."""

import json
from pathlib import Path

import pytest

from conformance.runtime import container
from sampan.model.container import DeviceRate, Namespaces, Process, Resources, Security, Ulimit
from sampan.runtime import plan
from sampan.runtime.facts import HostFacts, RateFact, UserFact
from sampan.runtime.port import HostMount, LaunchSpec
from sampan.spec import capability
from unit.runtime.bpf import verdict

GOLDEN = json.loads((Path(__file__).parents[2] / "golden/runtime_dockerd.json").read_text())
HELD = tuple(name for name in capability.ALL if name != "CAP_SYS_RESOURCE")  # as where the golden file was made

LIMITS = Resources(
    memory_bytes=64 << 20,
    memory_reservation_bytes=32 << 20,
    nano_cpus=500_000_000,
    pids_limit=64,
    cpuset_cpus="0",
    cpu_shares=512,
    memory_swappiness=10,
    ulimits=(Ulimit(name="nofile", soft=100, hard=200),),
    blkio_read_bps=(DeviceRate(path="/dev/vda", rate=1 << 20),),
    device_cgroup_rules=("c 1:3 rwm",),
)
REQUESTS = {
    "default": {},
    "caps": {"security": Security(cap_drop=("ALL",), cap_add=("NET_ADMIN",))},
    "sysadmin": {"security": Security(cap_add=("SYS_ADMIN",))},
    "allcaps": {"security": Security(cap_add=("ALL",))},
    "privileged": {"security": Security(privileged=True)},
    "limits": {"resources": LIMITS, "oom_score_adj": 100},
    "user": {
        "process": Process(user="bob", groups=("3000",)),
        "security": Security(readonly_rootfs=True, no_new_privileges=True),
        "shm_size_bytes": 1 << 20,
        "sysctls": {"net.ipv4.ip_forward": "1"},
    },
    "hostns": {"namespaces": Namespaces(pid="host", ipc="host", uts="host", cgroup="host")},
    "tty": {"process": Process(tty=True)},
    "unconfined": {"security": Security(seccomp="unconfined", systempaths_unconfined=True)},
    "ipcnone": {"namespaces": Namespaces(ipc="none")},
}


def document(name: str) -> dict:
    facts = HostFacts(capabilities=HELD, cgroup_path="/x/y")
    if name == "limits":
        facts = HostFacts(capabilities=HELD, rates={"blkio_read_bps": (RateFact(major=254, minor=0, rate=1 << 20),)})
    if name == "user":
        facts = HostFacts(capabilities=HELD, user=UserFact(uid=1000, gid=1000, groups=(1000, 2000, 3000)))
    mounts = (HostMount(source="tmpfs", target="/t", kind="tmpfs", options=("size=1m",)),) if name == "user" else ()
    launch = LaunchSpec(
        container=container("sleep", **REQUESTS[name]), rootfs="/r", netns="/run/netns/x", mounts=mounts
    )
    return plan.bundle(launch, facts).document


@pytest.fixture(params=REQUESTS)
def pair(request):
    """Our document, and the golden one."""
    return document(request.param), GOLDEN[request.param]


def test_capabilities_are_equal(pair):
    ours, golden = pair
    sets = ours["process"]["capabilities"]
    for kind in ("bounding", "effective", "permitted"):
        assert set(sets[kind]) == set(golden["capabilities"])
    assert not sets.get("ambient")
    assert not sets.get("inheritable")


def test_user_limits_and_privileges_are_equal(pair):
    ours, golden = pair
    process = ours["process"]
    assert process["noNewPrivileges"] == golden["no_new_privileges"]
    if golden["user"]["uid"]:
        assert process["user"] == golden["user"]
    assert process.get("rlimits", []) == golden["rlimits"]


def test_mounts_are_equal(pair):
    ours, golden = pair
    wanted = {row[0]: (row[1], frozenset(row[2])) for row in golden["mounts"]}
    found = {row["destination"]: (row["type"], frozenset(row["options"])) for row in ours["mounts"]}
    if "/t" in wanted:
        wanted["/t"] = (wanted["/t"][0], wanted["/t"][1] - {"rprivate"})
    assert found == wanted


def test_masked_and_readonly_paths_are_no_fewer(pair):
    ours, golden = pair
    assert set(ours["linux"].get("maskedPaths", ())) >= set(golden["masked"])
    assert set(ours["linux"].get("readonlyPaths", ())) >= set(golden["readonly"])


def test_namespaces_are_no_fewer(pair):
    ours, golden = pair
    assert {row["type"] for row in ours["linux"]["namespaces"]} >= set(golden["namespaces"])


def test_sysctls_are_equal(pair):
    ours, golden = pair
    if golden["seccomp"]:
        assert ours["linux"].get("sysctl", {}) == golden["sysctl"]


def test_limits_are_equal(pair):
    ours, golden = pair
    wanted = {key: value for key, value in golden["resources"].items() if value}
    wanted.get("memory", {}).pop("disableOOMKiller", None)
    found = {key: value for key, value in ours["linux"]["resources"].items() if key != "devices"}
    assert found == {key: value for key, value in wanted.items() if value}


def test_no_device_is_allowed_that_is_not_there(pair):
    ours, golden = pair
    rules = ours["linux"]["resources"]["devices"]
    found = {(row.get("type", "a"), row.get("major", -1), row.get("minor", -1)) for row in rules if row["allow"]}
    assert found <= {tuple(row) for row in golden["allowed_devices"]}


def test_seccomp_allows_a_subset(pair):
    ours, golden = pair
    mine, theirs = ours["linux"].get("seccomp"), golden["seccomp"]
    if theirs is None:
        return
    assert mine["architectures"] == theirs["architectures"]
    assert mine["defaultAction"] == theirs["defaultAction"]
    names = {name for profile in (mine, theirs) for rule in profile["syscalls"] for name in rule["names"]}
    arguments = [
        0,
        1,
        2,
        8,
        16,
        17,
        37,
        38,
        39,
        40,
        41,
        44,
        0x20000,
        0x20008,
        0xFFFFFFFF,
        0x11,
        0x10000000,
        0x7E020000,
        0x80,
    ]
    refused_more = set()
    for name in names:
        for first in arguments:
            here, there = verdict(mine, name, first), verdict(theirs, name, first)
            if here == "allow":
                assert there == "allow", (name, first)
            elif there != "allow":
                assert here == there, (name, first)
            else:
                refused_more.add((name, first))
    assert {name for name, _ in refused_more} <= {"socket", "riscv_hwprobe"}
    assert {first for name, first in refused_more if name == "socket"} <= {38, 40}
