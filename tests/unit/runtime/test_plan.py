"""What is not the same as dockerd's, and what is refused."""

import msgspec
import pytest

from conformance.runtime import container
from sampan.base.errors import InvalidArgument
from sampan.model.container import Namespaces, NetworkSpec, Process, Resources, Security, Ulimit
from sampan.runtime import confine, limits, plan
from sampan.runtime.facts import DeviceFact, HostFacts, UserFact
from sampan.runtime.port import ExecSpec, HostMount, LaunchSpec
from sampan.spec import capability


def document(facts=HostFacts(), launch=(), **spec):
    of = container("prog", "arg", **spec)
    return plan.bundle(LaunchSpec(**{"container": of, "rootfs": "/r", "netns": "/n"} | dict(launch)), facts)


def test_init_goes_ahead_of_the_program():
    ours = document(HostFacts(init_path="/usr/bin/tini-static")).document
    assert ours["process"]["args"] == ["/sbin/docker-init", "--", "prog", "arg"]
    assert {
        "destination": "/sbin/docker-init",
        "type": "bind",
        "source": "/usr/bin/tini-static",
        "options": ["bind", "ro"],
    } in ours["mounts"]


def test_environment_keeps_what_is_given():
    of = msgspec.structs.replace(container("x", process=Process(tty=True)), env=("HOME=/h", "A=b"))
    assert plan.environment(of, UserFact(home="/root")) == ["HOME=/h", "A=b", "HOSTNAME=boat", "TERM=xterm"]


def test_mounts_come_parents_first_and_replace_defaults():
    mounts = (
        HostMount(source="/s2", target="/a/b/c"),
        HostMount(source="/s1", target="/a"),
        HostMount(source="/shm", target="/dev/shm/"),
        HostMount(source="tmpfs", target="/t", kind="tmpfs", options=("exec", "size=1m"), read_only=True),
    )
    rows = document(launch={"mounts": mounts}).document["mounts"]
    places = [row["destination"] for row in rows]
    assert places.index("/a") < places.index("/a/b/c")
    assert [row["source"] for row in rows if row["destination"].rstrip("/") == "/dev/shm"] == ["/shm"]
    tmpfs = next(row for row in rows if row["destination"] == "/t")
    assert "noexec" not in tmpfs["options"]
    assert {"exec", "nosuid", "nodev", "ro", "size=1m"} <= set(tmpfs["options"])


@pytest.mark.parametrize(
    ("mode", "wanted"), [("rshared", "shared"), ("shared", "shared"), ("rslave", "rslave"), ("", None)]
)
def test_the_roots_propagation_follows_the_binds(mode, wanted):
    mounts = (HostMount(source="/s", target="/t", propagation=mode),)
    assert document(launch={"mounts": mounts}).document["linux"].get("rootfsPropagation") == wanted


def test_joined_namespaces_are_paths():
    launch = {"joined_pid": "/proc/1/ns/pid", "joined_ipc": "/proc/1/ns/ipc"}
    rows = {row["type"]: row.get("path") for row in document(launch=launch).document["linux"]["namespaces"]}
    assert rows == {
        "mount": None,
        "network": "/n",
        "uts": None,
        "pid": "/proc/1/ns/pid",
        "ipc": "/proc/1/ns/ipc",
        "cgroup": None,
    }


def test_no_hostname_in_the_hosts_uts_namespace():
    assert "hostname" not in document(namespaces=Namespaces(uts="host")).document
    assert document(network=NetworkSpec(domainname="d")).document["domainname"] == "d"


@pytest.mark.parametrize(
    ("sysctls", "modes"),
    [
        ({"kernel.panic": "1"}, Namespaces()),
        ({"vm.swappiness": "1"}, Namespaces()),
        ({"kernel.shmmax": "1"}, Namespaces(ipc="host")),
    ],
)
def test_sysctls_of_the_host_are_refused(sysctls, modes):
    with pytest.raises(InvalidArgument, match="sysctl"):
        document(sysctls=sysctls, namespaces=modes)


def test_net_sysctls_need_a_network_namespace():
    with pytest.raises(InvalidArgument, match="network namespace"):
        document(sysctls={"net.ipv4.ip_forward": "1"}, launch={"netns": ""})
    assert "sysctl" not in document(launch={"netns": ""}).document["linux"]


def test_capabilities_never_exceed_the_daemons():
    held = ("CAP_CHOWN", "CAP_KILL")
    assert confine.capabilities(Security(), held) == ("CAP_CHOWN", "CAP_KILL")
    assert confine.capabilities(Security(privileged=True), held) == held
    assert confine.capabilities(Security(cap_add=("all",), cap_drop=("chown",)), held) == ("CAP_KILL",)
    with pytest.raises(InvalidArgument, match="does not have it"):
        confine.capabilities(Security(cap_add=("SYS_ADMIN",)), held)
    with pytest.raises(InvalidArgument, match="unknown capability"):
        confine.capabilities(Security(cap_drop=("CAP_FLY",)), held)


def test_ulimits_are_clamped_with_a_warning():
    wanted = (Ulimit(name="nofile", soft=5, hard=-1), Ulimit(name="core", soft=0, hard=0))
    rows, warnings = limits.rlimits(wanted, {"nofile": 100})
    assert {row["type"]: (row["soft"], row["hard"]) for row in rows} == {
        "RLIMIT_NOFILE": (5, 100),
        "RLIMIT_CORE": (0, 0),
    }
    assert len(warnings) == 1
    assert "nofile" in warnings[0]


@pytest.mark.parametrize("item", [Ulimit(name="pets", soft=1, hard=1), Ulimit(name="cpu", soft=2, hard=1)])
def test_bad_ulimits_are_refused(item):
    with pytest.raises(InvalidArgument):
        limits.rlimits((item,), {})


@pytest.mark.parametrize("text", ["", "c 1:3", "x 1:3 r", "c 1:3 q", "c a:b r", "c 1:3 rwm\n"])
def test_bad_device_rules_are_refused(text):
    with pytest.raises(InvalidArgument):
        limits.device_rule(text)


def test_device_rules_deny_first():
    facts = HostFacts(devices=(DeviceFact(path="/dev/x", kind="b", major=7, minor=1, permissions="r"),))
    rules = limits.devices(Resources(device_cgroup_rules=("c *:* m",)), facts, privileged=False)
    assert rules[0] == {"allow": False, "access": "rwm"}
    assert rules[-2:] == [
        {"allow": True, "type": "b", "major": 7, "minor": 1, "access": "r"},
        {"allow": True, "type": "c", "access": "m"},
    ]


def test_memory_and_swap():
    assert limits.memory(Resources(memory_bytes=10)) == {"limit": 10, "swap": 20}
    assert limits.memory(Resources(memory_bytes=10, memory_swap_bytes=-1)) == {"limit": 10, "swap": -1}
    assert limits.memory(Resources(memory_bytes=10, memory_swap_bytes=10)) == {"limit": 10, "swap": 10}
    assert limits.memory(Resources()) == {}


def test_oom_score_is_raised_to_the_daemons():
    made = document(HostFacts(oom_score_adj_floor=0), oom_score_adj=-500)
    assert made.document["process"]["oomScoreAdj"] == 0
    assert "oom_score_adj" in made.warnings[0]


def test_a_given_seccomp_profile_is_made_concrete():
    profile = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "archMap": [
            {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
            {"architecture": "SCMP_ARCH_AARCH64"},
        ],
        "syscalls": [
            {"names": ["read"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["mount"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
            {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
            {"names": ["breakpoint"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["arm64"]}},
        ],
    }
    security = Security(seccomp=msgspec.json.encode(profile).decode())
    plain = confine.seccomp_profile(security, "x86_64", capability.DEFAULT)
    assert plain["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]
    assert [rule["names"] for rule in plain["syscalls"]] == [["read"], ["clone"]]
    admin = confine.seccomp_profile(security, "x86_64", ("CAP_SYS_ADMIN",))
    assert [rule["names"] for rule in admin["syscalls"]] == [["read"], ["mount"]]


@pytest.mark.parametrize("text", ["{", "[]", "{}", '"x"'])
def test_a_bad_seccomp_profile_is_refused(text):
    with pytest.raises(InvalidArgument, match="seccomp"):
        confine.seccomp_profile(Security(seccomp=text), "x86_64", ())


def test_exec_has_the_containers_confinement():
    of = container("x", security=Security(cap_drop=("ALL",), no_new_privileges=True))
    found = msgspec.json.decode(plan.exec_process(of, ExecSpec(args=("ls",), env=("A=b",)), HostFacts()))
    assert found["capabilities"]["bounding"] == []
    assert found["noNewPrivileges"]
    privileged = msgspec.json.decode(plan.exec_process(of, ExecSpec(args=("ls",), privileged=True), HostFacts()))
    assert "CAP_SYS_ADMIN" in privileged["capabilities"]["effective"]
