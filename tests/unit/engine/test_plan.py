import pytest

from sampan.base.errors import InvalidArgument
from sampan.engine import plan
from sampan.model.container import (
    ContainerSpec,
    LogSpec,
    MountKind,
    MountPoint,
    MountSpec,
    NetworkSpec,
    Phase,
    Process,
    Resources,
    RestartPolicy,
    move,
    with_state,
)
from sampan.model.image import Image, ImageConfig
from sampan.model.volume import Volume

IMAGE = Image(
    id="sha256:" + "1" * 64,
    config=ImageConfig(entrypoint=("/entry",), args=("serve",), env=("PATH=/bin", "A=1"), cwd="/srv", user="app"),
)


def resolve(**spec):
    return plan.resolve(ContainerSpec(image="x", **spec), IMAGE, "c" * 64, "web", 1)


@pytest.mark.parametrize(
    ("entrypoint", "args", "expected"),
    [
        (None, None, ("/entry", "serve")),
        (None, ("run",), ("/entry", "run")),
        (("/other",), None, ("/other",)),
        (("/other",), ("x",), ("/other", "x")),
        (("",), ("sh",), ("sh",)),
        ((), ("run",), ("/entry", "run")),
    ],
)
def test_an_own_entrypoint_drops_the_images_arguments(entrypoint, args, expected):
    assert resolve(process=Process(entrypoint=entrypoint, args=args)).args == expected


def test_image_defaults_fill_what_was_not_asked():
    container = resolve()
    assert (container.cwd, container.user, container.hostname) == ("/srv", "app", "c" * 12)
    assert container.env == ("PATH=/bin", "A=1")


def test_a_bare_name_removes_the_images_variable_and_a_terminal_adds_term():
    assert plan.merge_env(("A=1", "B=2"), ("A", "C=3"), tty=True) == (plan.DEFAULT_PATH, "TERM=xterm", "B=2", "C=3")


def test_nothing_to_run_is_refused():
    with pytest.raises(InvalidArgument, match="no command specified"):
        plan.resolve(ContainerSpec(image="x"), Image(id="i"), "c" * 64, "web", 1)


@pytest.mark.parametrize(
    "spec",
    [
        {"resources": Resources(memory_bytes=1024)},
        {"resources": Resources(memory_swap_bytes=1 << 30)},
        {"resources": Resources(memory_bytes=1 << 30, memory_swap_bytes=1 << 29)},
        {"resources": Resources(nano_cpus=10**9, cpu_quota_us=5000)},
        {"resources": Resources(blkio_weight=5)},
        {"restart": RestartPolicy(name="sometimes")},
        {"restart": RestartPolicy(name="always", max_retries=3)},
        {"restart": RestartPolicy(name="always"), "auto_remove": True},
        {"process": Process(cwd="relative")},
        {"log": LogSpec(driver="syslog")},
        {"log": LogSpec(options={"max-size": "ten"})},
        {"network": NetworkSpec(mode="container:x", hostname="h")},
    ],
)
def test_contradictions_are_refused(spec):
    with pytest.raises(InvalidArgument):
        resolve(**spec)


def test_log_limits():
    assert plan.log_limits(LogSpec()) == (10_000_000, 5)
    assert plan.log_limits(LogSpec(options={"max-size": "1.5k", "max-file": "2"})) == (1500, 2)


def mounts(spec, image=IMAGE, inherited=(), existing=None):
    return plan.plan_mounts(
        ContainerSpec(image="x", **spec),
        image,
        inherited,
        existing or {},
        lambda volume: Volume(name=volume.name, mountpoint=f"/v/{volume.name}", anonymous=volume.anonymous),
        lambda: "new",
        7,
    )


def test_asked_mounts_win_over_inherited_ones_and_those_over_the_images():
    image = Image(id="i", config=ImageConfig(volumes=("/data", "/cache", "/keep")))
    inherited = [MountPoint(kind=MountKind.BIND, source="/h", target="/cache")]
    planned = mounts({"mounts": (MountSpec(kind=MountKind.VOLUME, source="db", target="/data"),)}, image, inherited)
    assert [(p.target, p.source) for p in planned.points] == [("/data", "/v/db"), ("/cache", "/h"), ("/keep", "/v/new")]
    assert [(v.name, v.anonymous) for v in planned.volumes] == [("db", False), ("new", True)]


def test_a_volume_that_exists_is_not_made_again():
    known = {"db": Volume(name="db", mountpoint="/v/db")}
    planned = mounts({"mounts": (MountSpec(kind=MountKind.VOLUME, source="db", target="/d"),)}, existing=known)
    assert planned.volumes == ()


@pytest.mark.parametrize("target", ["data", "/", "/.."])
def test_a_bad_target_is_refused(target):
    with pytest.raises(InvalidArgument):
        mounts({"mounts": (MountSpec(kind=MountKind.TMPFS, target=target),)})


def test_two_mounts_on_one_target_are_refused():
    twice = tuple(MountSpec(kind=MountKind.TMPFS, target=target) for target in ("/a/../b", "/b/"))
    with pytest.raises(InvalidArgument, match="Duplicate mount point: /b"):
        mounts({"mounts": twice})


@pytest.mark.parametrize(
    ("policy", "code", "count", "stopped", "expected"),
    [
        ("no", 1, 0, False, None),
        ("always", 0, 0, False, 0.1),
        ("always", 0, 3, False, 0.8),
        ("always", 0, 40, False, 60.0),
        ("always", 0, 0, True, None),
        ("unless-stopped", 1, 0, False, 0.1),
        ("on-failure", 0, 0, False, None),
        ("on-failure", 3, 0, False, 0.1),
    ],
)
def test_restart_delay(policy, code, count, stopped, expected):
    container = with_state(resolve(restart=RestartPolicy(name=policy)), restart_count=count, stopped_by_user=stopped)
    assert plan.restart_delay(container, code, 0.0) == expected


def test_on_failure_gives_up_after_its_retries_and_a_long_run_starts_the_delay_over():
    container = resolve(restart=RestartPolicy(name="on-failure", max_retries=2))
    assert plan.restart_delay(with_state(container, restart_count=2), 1, 0.0) is None
    assert plan.restart_delay(with_state(container, restart_count=1), 1, 11.0) == 0.1


def test_starts_with_engine():
    def exited(policy, **state):
        container = move(resolve(restart=RestartPolicy(name=policy)), Phase.STARTING)
        return with_state(move(container, Phase.EXITED), **state)

    assert plan.starts_with_engine(exited("always"))
    assert not plan.starts_with_engine(exited("unless-stopped", stopped_by_user=True))
    assert plan.starts_with_engine(exited("unless-stopped"))
    assert not plan.starts_with_engine(exited("no"))
    assert not plan.starts_with_engine(resolve(restart=RestartPolicy(name="always")))


def test_resolv_conf_keeps_the_hosts_servers_without_loopback_ones():
    host = "# made by x\nnameserver 127.0.0.53\nnameserver 192.0.2.1\nsearch example.org\noptions edns0\n"
    assert plan.render_resolv(resolve(), None, host) == "nameserver 192.0.2.1\nsearch example.org\noptions edns0\n"
    asked = resolve(network=NetworkSpec(dns=("9.9.9.9",), dns_search=(".",), dns_options=("ndots:2",)))
    assert plan.render_resolv(asked, None, host) == "nameserver 9.9.9.9\noptions ndots:2\n"
    assert plan.render_resolv(resolve(), "127.0.0.11", "").startswith("nameserver 127.0.0.11\n")


def test_hosts_names_the_container_and_the_extra_hosts():
    container = resolve(network=NetworkSpec(extra_hosts=("db:10.0.0.9", "up:host-gateway"), domainname="lan"))
    text = plan.render_hosts(container, [("10.1.0.2", ("web",))], "10.1.0.1")
    assert "10.0.0.9\tdb\n" in text
    assert "10.1.0.1\tup\n" in text
    assert text.endswith(f"10.1.0.2\t{'c' * 12}.lan {'c' * 12} web\n")


@pytest.mark.parametrize(("text", "number"), [("KILL", 9), ("sigterm", 15), ("9", 9), ("RTMIN+3", 37), ("SIGHUP", 1)])
def test_parse_signal(text, number):
    assert plan.parse_signal(text) == number


@pytest.mark.parametrize("text", ["", "0", "65", "SIGNOPE", "-9"])
def test_a_signal_that_is_none_is_refused(text):
    with pytest.raises(InvalidArgument, match="Invalid signal"):
        plan.parse_signal(text)


@pytest.mark.parametrize("name", ["", "-x", "a b", "a/b", "x" * 0, "ü"])
def test_bad_names_are_refused(name):
    with pytest.raises(InvalidArgument, match="Invalid container name"):
        plan.check_name(name)
