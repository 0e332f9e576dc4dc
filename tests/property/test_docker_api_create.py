"""Law: what the create parser can make, the renderer gives back, and the parser makes it again."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.api.docker.parse.body import decode
from sampan.api.docker.parse.container import parse_create, parse_security_options
from sampan.api.docker.render.config import render_create
from sampan.base.errors import SampanError
from sampan.model.container import (
    ContainerSpec,
    Device,
    DeviceRate,
    DeviceRequest,
    EndpointSpec,
    Healthcheck,
    LogSpec,
    MountKind,
    MountSpec,
    Namespaces,
    NetworkSpec,
    PortBinding,
    Process,
    Resources,
    RestartPolicy,
    Security,
    Ulimit,
)
from sampan.spec.docker.container import CreateRequest

word = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=12)
name = st.text("abcdefgh-._", min_size=1, max_size=8)
words = st.lists(word, max_size=3).map(tuple)
labels = st.dictionaries(word, word, max_size=3)
count = st.integers(0, 2**40)
path = st.lists(
    st.text("abcxyz.-_ ", min_size=1, max_size=6).filter(lambda t: t not in (".", "..")), min_size=1, max_size=3
).map(lambda parts: "/" + "/".join(parts))
port = st.integers(1, 65535)
protocol = st.sampled_from(("tcp", "udp", "sctp"))
address = st.ip_addresses(v=4).map(str)
address6 = st.ip_addresses(v=6).map(str)
mac = st.lists(st.integers(0, 255), min_size=6, max_size=6).map(lambda b: ":".join(f"{x:02x}" for x in b))


@st.composite
def processes(draw):
    entrypoint = draw(st.none() | words.filter(lambda w: w != ("",)))
    args = draw(st.lists(word, min_size=1, max_size=3).map(tuple) | st.none())
    return Process(
        entrypoint=entrypoint,
        args=args if args is not None else (() if entrypoint else None),
        env=draw(st.lists(word.filter(lambda t: t and not t.startswith("=")), max_size=3).map(tuple)),
        cwd=draw(st.just("") | path),
        user=draw(word),
        groups=draw(words),
        tty=draw(st.booleans()),
        console_size=draw(st.none() | st.tuples(st.integers(1, 500), st.integers(0, 500))),
        stdin_open=draw(st.booleans()),
        stdin_once=draw(st.booleans()),
        attach_stdin=draw(st.booleans()),
        attach_stdout=draw(st.booleans()),
        attach_stderr=draw(st.booleans()),
    )


duration = st.just(0) | st.integers(1_000_000, 10**12)
healthchecks = st.builds(
    Healthcheck,
    test=st.sampled_from((("NONE",), ("CMD", "true"), ("CMD-SHELL", "exit 1"), ())),
    interval_ns=duration,
    timeout_ns=duration,
    start_period_ns=duration,
    start_interval_ns=duration,
    retries=st.integers(0, 9),
)
rates = st.lists(st.builds(DeviceRate, path=path, rate=count), max_size=2).map(tuple)


@st.composite
def resources(draw):
    memory = draw(st.just(0) | st.integers(6 << 20, 2**40))
    nano = draw(st.booleans())
    return Resources(
        memory_bytes=memory,
        memory_reservation_bytes=draw(st.just(0) | st.integers(6 << 20, memory)) if memory else 0,
        memory_swap_bytes=draw(st.sampled_from((0, -1)) | st.integers(memory, 2**41)) if memory else 0,
        memory_swappiness=draw(st.none() | st.integers(0, 100)),
        oom_kill_disable=draw(st.none() | st.booleans()),
        nano_cpus=draw(count) if nano else 0,
        cpu_shares=draw(count),
        cpu_period_us=0 if nano else draw(st.just(0) | st.integers(1000, 1_000_000)),
        cpu_quota_us=0 if nano else draw(st.sampled_from((0, -1)) | st.integers(1000, 10**7)),
        cpuset_cpus=draw(st.sampled_from(("", "0", "0-1,3"))),
        cpuset_mems=draw(st.sampled_from(("", "0"))),
        pids_limit=draw(st.none() | st.integers(1, 10**6)),
        blkio_weight=draw(st.just(0) | st.integers(10, 1000)),
        blkio_weight_device=draw(rates),
        blkio_read_bps=draw(rates),
        blkio_write_iops=draw(rates),
        ulimits=draw(
            st.lists(
                st.tuples(st.text("abc", min_size=1, max_size=4), st.integers(0, 99), st.integers(99, 200)).map(
                    lambda t: Ulimit(name=t[0], soft=t[1], hard=t[2])
                ),
                max_size=2,
            ).map(tuple)
        ),
        devices=draw(
            st.lists(
                st.builds(Device, host_path=path, container_path=path, permissions=st.sampled_from(("r", "rw", "rwm"))),
                max_size=2,
            ).map(tuple)
        ),
        device_requests=draw(
            st.lists(
                st.builds(
                    DeviceRequest,
                    driver=word,
                    count=st.integers(-1, 4),
                    device_ids=words,
                    capabilities=st.lists(words, max_size=2).map(tuple),
                    options=labels,
                ),
                max_size=2,
            ).map(tuple)
        ),
        device_cgroup_rules=draw(words),
    )


@st.composite
def securities(draw):
    options = draw(
        st.lists(
            st.sampled_from(
                (
                    "no-new-privileges",
                    "no-new-privileges=false",
                    "seccomp=unconfined",
                    'seccomp={"defaultAction":"SCMP_ACT_ALLOW"}',
                    "apparmor=unconfined",
                    "label=type:x",
                    "label:disable",
                    "systempaths=unconfined",
                )
            ),
            max_size=3,
        ).map(tuple)
    )
    return Security(
        privileged=draw(st.booleans()),
        cap_add=draw(st.lists(st.sampled_from(("CAP_NET_ADMIN", "ALL", "CAP_SYS_TIME")), max_size=2).map(tuple)),
        cap_drop=draw(st.lists(st.sampled_from(("CAP_CHOWN", "ALL")), max_size=2).map(tuple)),
        masked_paths=draw(st.none() | words),
        readonly_paths=draw(st.none() | words),
        readonly_rootfs=draw(st.booleans()),
        options=options,
        **parse_security_options(options),
    )


modes = st.tuples(
    st.sampled_from(("", "ro", "rw")),
    st.sampled_from(("", "z", "Z")),
    st.sampled_from(("", "rslave", "rshared", "private")),
    st.sampled_from(("", "nocopy")),
).map(lambda parts: ",".join(filter(None, parts)))


@st.composite
def mounts(draw, volume_driver):
    targets = draw(st.lists(path, max_size=5, unique_by=lambda t: t))
    built = []
    for target in targets:
        form = draw(st.sampled_from(("bind", "bind", "mount", "mount", "tmpfs")))
        built.append(draw(_mount(form, target, volume_driver)))
    order = {"bind": 0, "mount": 1, "tmpfs": 2}
    return tuple(sorted(built, key=lambda m: order[m.form]))


@st.composite
def _mount(draw, form, target, volume_driver):
    if form == "bind":
        mode = draw(modes)
        source = draw(path.filter(lambda p: ":" not in p) | name.filter(lambda n: n[0].isalpha()))
        bound = source.startswith("/")
        parts = mode.split(",")
        return MountSpec(
            kind=MountKind.BIND if bound else MountKind.VOLUME,
            source=source,
            target=target,
            read_only="ro" in parts,
            propagation=next((p for p in parts if p in ("rslave", "rshared", "private")), ""),
            create_source=bound,
            no_copy="nocopy" in parts,
            volume_driver="" if bound else volume_driver,
            mode=mode,
            form="bind",
        )
    if form == "tmpfs":
        options = draw(st.sampled_from(("", "size=1m", "ro,mode=700")))
        return MountSpec(
            kind=MountKind.TMPFS,
            target=target,
            tmpfs_options=options,
            read_only="ro" in options.split(","),
            form="tmpfs",
        )
    kind = draw(st.sampled_from(list(MountKind)))
    if kind is MountKind.BIND:
        return MountSpec(
            kind=kind,
            target=target,
            source=draw(path),
            read_only=draw(st.booleans()),
            propagation=draw(st.sampled_from(("", "rslave"))),
            non_recursive=draw(st.booleans()),
            create_source=draw(st.booleans()),
            read_only_non_recursive=draw(st.booleans()),
        )
    if kind is MountKind.VOLUME:
        source = draw(st.just("") | name)
        return MountSpec(
            kind=kind,
            target=target,
            source=source,
            read_only=bool(source) and draw(st.booleans()),
            no_copy=draw(st.booleans()),
            subpath=draw(st.sampled_from(("", "a/b"))) if source else "",
            volume_driver=draw(st.sampled_from(("", "local"))),
            volume_options=draw(labels),
            volume_labels=draw(labels),
        )
    return MountSpec(
        kind=kind,
        target=target,
        read_only=draw(st.booleans()),
        tmpfs_size_bytes=draw(count),
        tmpfs_mode=draw(st.none() | st.integers(1, 0o7777)),
        tmpfs_options=draw(st.sampled_from(("", "exec", "noexec"))),
    )


@st.composite
def networks(draw):
    ports: list[PortBinding] = []
    for number, proto in draw(st.lists(st.tuples(port, protocol), max_size=2, unique=True)):
        for _ in range(draw(st.integers(1, 2))):
            low = draw(st.just(0) | st.integers(1, 60000))
            ports.append(
                PortBinding(
                    container_port=number,
                    protocol=proto,
                    host_ip=draw(st.just("") | address | address6),
                    host_port=low,
                    host_port_end=draw(st.just(0) | st.integers(low + 1, 65535)) if low else 0,
                )
            )
    endpoint = st.builds(
        EndpointSpec,
        network=name,
        aliases=words,
        ipv4=st.just("") | address,
        ipv6=st.just("") | address6,
        link_local_ips=st.lists(address, max_size=1).map(tuple),
        mac=st.just("") | mac,
        links=words,
        driver_options=labels,
        gateway_priority=st.integers(-5, 5),
    )
    return NetworkSpec(
        mode=draw(st.sampled_from(("default", "bridge", "none", "mynet"))),
        endpoints=draw(st.lists(endpoint, max_size=2, unique_by=lambda e: e.network).map(tuple)),
        ports=tuple(ports),
        exposed=draw(
            st.lists(st.tuples(port, protocol).map(lambda t: f"{t[0]}/{t[1]}"), max_size=2, unique=True).map(tuple)
        ),
        publish_all=draw(st.booleans()),
        hostname=draw(word),
        domainname=draw(word),
        dns=draw(st.lists(address, max_size=2).map(tuple)),
        dns_options=draw(words),
        dns_search=draw(words),
        extra_hosts=draw(st.lists(st.tuples(name, address).map(":".join), max_size=2).map(tuple)),
        links=draw(words),
        mac=draw(st.just("") | mac),
    )


@st.composite
def specs(draw):
    volume_driver = draw(st.sampled_from(("", "local")))
    restart = draw(
        st.sampled_from(
            (
                RestartPolicy(),
                RestartPolicy(name="always"),
                RestartPolicy(name="unless-stopped"),
                RestartPolicy(name="on-failure", max_retries=3),
            )
        )
    )
    return ContainerSpec(
        image=draw(word.filter(bool)),
        process=draw(processes()),
        healthcheck=draw(st.none() | healthchecks),
        stop_signal=draw(st.sampled_from(("", "TERM", "SIGINT", "9", "SIGRTMIN+3"))),
        stop_timeout_s=draw(st.none() | st.integers(-1, 1000)),
        labels=draw(labels),
        volumes=tuple(f"/anon{i}" for i in range(draw(st.integers(0, 2)))),
        mounts=draw(mounts(volume_driver)),
        volumes_from=draw(st.sampled_from(((), ("a",), ("a:ro", "b:rw")))),
        volume_driver=volume_driver,
        network=draw(networks()),
        network_disabled=draw(st.booleans()),
        resources=draw(resources()),
        security=draw(securities()),
        namespaces=Namespaces(
            pid=draw(st.sampled_from(("", "host", "container:x"))),
            ipc=draw(st.sampled_from(("", "shareable", "none", "container:x"))),
            cgroup=draw(st.sampled_from(("", "host", "private"))),
            user=draw(st.sampled_from(("", "host"))),
        ),
        restart=restart,
        log=LogSpec(driver=draw(st.sampled_from(("", "json-file", "none"))), options=draw(labels)),
        auto_remove=restart.name == "no" and draw(st.booleans()),
        init=draw(st.none() | st.booleans()),
        runtime=draw(word),
        shm_size_bytes=draw(count),
        sysctls=draw(labels),
        storage_options=draw(labels),
        oom_score_adj=draw(st.integers(-1000, 1000)),
        cgroup_parent=draw(word),
        annotations=draw(st.dictionaries(word.filter(bool), word, max_size=2)),
        container_id_file=draw(word),
        shell=draw(words),
        on_build=draw(words),
    )


@given(specs())
@settings(max_examples=40, deadline=None)
def test_parse_of_render_is_identity(spec):
    assert parse_create(msgspec.json.encode(render_create(spec))) == spec


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def _fields(kind):
    return [field.encode_name for field in msgspec.structs.fields(kind)]


@given(st.dictionaries(st.sampled_from([*_fields(CreateRequest), "HostConfig"]), JSON, max_size=5))
@settings(max_examples=100, deadline=None)
def test_any_json_parses_or_is_refused(body):
    try:
        parse_create(msgspec.json.encode(body))
    except SampanError as error:
        assert error.kind in ("invalid_argument", "unsupported")


@given(st.binary(max_size=60))
@settings(max_examples=100, deadline=None)
def test_any_bytes_decode_or_are_refused(body):
    try:
        decode(body, CreateRequest)
    except SampanError as error:
        assert error.kind == "invalid_argument"


@pytest.mark.parametrize(
    "body",
    [
        b"[1]",
        b"{",
        b'{"Image": NaN}',
        b'{"Image": "\\ud800"}',
        b'{"Image": "\xff"}',
        b'{"Image": 3}',
        b'{"Image": "x", "Cmd": 5}',
        b'{"Image": "x", "HostConfig": {"Memory": 99999999999999999999}}',
        b'{"Image": "x", "HostConfig": []}',
        b'{"Image": "a\\u0000b"}',
        b'{"X":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"Image": "x"} trailing',
    ],
)
def test_malformed_bodies_are_refused(body):
    with pytest.raises(SampanError) as caught:
        parse_create(body)
    assert caught.value.kind == "invalid_argument"
    assert caught.value.message.startswith("invalid JSON")
