"""What users may write, and the sentences that they get for what they may not."""

from __future__ import annotations

import msgspec
import pytest

from sampan.api.docker.parse import query
from sampan.api.docker.parse.container import parse_create
from sampan.api.docker.parse.exec import apply_changes, parse_credentials
from sampan.api.docker.parse.keys import DetachFilter, parse_keys
from sampan.api.docker.parse.mounts import parse_bind
from sampan.api.docker.parse.network import parse_network_create
from sampan.api.docker.parse.resources import parse_update
from sampan.base.errors import InvalidArgument, SampanError
from sampan.model.container import PortBinding
from sampan.model.image import ImageConfig
from sampan.spec.docker.container import UpdateRequest
from sampan.spec.docker.network import IPAM, IPAMPool, NetworkCreateRequest


def create(host=None, **config):
    return parse_create(msgspec.json.encode({"Image": "busybox", "HostConfig": host or {}, **config}))


@pytest.mark.parametrize(
    ("host", "config", "message"),
    [
        ({"Binds": ["/a"]}, {}, None),
        ({"Binds": ["/a:/b:rx"]}, {}, "invalid mode: rx"),
        ({"Binds": ["/a:/b:ro:z"]}, {}, "invalid volume specification: '/a:/b:ro:z'"),
        ({"Binds": ["/a:/"]}, {}, "destination can't be '/'"),
        ({"Binds": ["/a:b"]}, {}, "mount path must be absolute"),
        ({"Binds": ["/a:/b", "/c:/b"]}, {}, "Duplicate mount point: /b"),
        ({"Mounts": [{"Type": "bind", "Target": "/x"}]}, {}, "field Source must not be empty"),
        ({"Mounts": [{"Type": "boat", "Target": "/x"}]}, {}, 'type "boat": mount type unknown'),
        ({"Mounts": [{"Type": "tmpfs", "Target": "/x", "BindOptions": {}}]}, {}, "field BindOptions must not be"),
        ({"RestartPolicy": {"Name": "sometimes"}}, {}, "unknown policy 'sometimes'"),
        ({"RestartPolicy": {"Name": "always", "MaximumRetryCount": 2}}, {}, "maximum retry count can only be used"),
        ({"AutoRemove": True, "RestartPolicy": {"Name": "always"}}, {}, "can't create 'AutoRemove' container"),
        ({"Memory": 100}, {}, "Minimum memory limit allowed is 6MB"),
        ({"Memory": 1 << 30, "MemorySwap": 1 << 20}, {}, "Minimum memoryswap limit should be larger"),
        ({"MemorySwap": 1 << 30}, {}, "You should always set the Memory limit"),
        ({"MemorySwappiness": 101}, {}, "valid memory swappiness range is 0-100"),
        ({"NanoCpus": 1, "CpuQuota": 5000}, {}, "Nano CPUs and CPU Quota cannot both be set"),
        ({"CpuPeriod": 10}, {}, "CPU cfs period can not be less than 1ms"),
        ({"CpusetCpus": "a"}, {}, "Invalid value a for cpuset cpus"),
        ({"BlkioWeight": 5}, {}, "Range of blkio weight is from 10 to 1000"),
        ({"OomScoreAdj": 2000}, {}, "range for oom score adj is [-1000, 1000]"),
        ({"ShmSize": -1}, {}, "SHM size can not be less than 0"),
        ({"PidMode": "x"}, {}, "invalid PID mode: x"),
        ({"IpcMode": "container:"}, {}, "invalid IPC mode: container:"),
        ({"UTSMode": "host"}, {"Hostname": "h"}, "conflicting options: hostname and the UTS mode"),
        ({"NetworkMode": "container:"}, {}, "invalid container format container:<name|id>"),
        ({"NetworkMode": "container:x"}, {"Hostname": "h"}, "conflicting options: hostname and the network mode"),
        (
            {"NetworkMode": "container:x", "PublishAllPorts": True},
            {},
            "conflicting options: port publishing and the container type network mode",
        ),
        ({"PortBindings": {"80/xyz": []}}, {}, 'invalid port specification: "80/xyz"'),
        ({"PortBindings": {"80": [{"HostPort": "99999"}]}}, {}, 'invalid port specification: "99999"'),
        ({"PortBindings": {"80": [{"HostPort": "9-8"}]}}, {}, 'invalid port specification: "9-8"'),
        ({"CapAdd": ["FLY"]}, {}, 'unknown capability: "CAP_FLY"'),
        ({"SecurityOpt": ["fly"]}, {}, "invalid --security-opt 1"),
        ({"ExtraHosts": ["x"]}, {}, 'bad format for add-host: "x"'),
        ({"Isolation": "hyperv"}, {}, "invalid isolation (hyperv)"),
        ({"Ulimits": [{"Name": "nofile", "Soft": 2, "Hard": 1}]}, {}, "soft limit must be less than"),
        ({}, {"Env": ["=x"]}, "invalid environment variable: =x"),
        ({}, {"WorkingDir": "x"}, "working directory 'x' is invalid"),
        ({}, {"StopSignal": "SIGFOO"}, "invalid signal: SIGFOO"),
        ({}, {"Healthcheck": {"Interval": 5}}, "Interval in Healthcheck cannot be less than 1ms"),
        ({}, {"Healthcheck": {"Test": ["FOO"]}}, "Unknown type 'FOO' in HEALTHCHECK"),
        ({}, {"Volumes": {"x": {}}}, "invalid volume specification: 'x'"),
    ],
)
def test_create_validation(host, config, message):
    if message is None:
        create(host, **config)
        return
    with pytest.raises(InvalidArgument) as caught:
        create(host, **config)
    assert message in caught.value.message


def test_no_image():
    for body in (b"{}", b"null", b'{"Cmd": ["x"]}'):
        with pytest.raises(InvalidArgument, match="config cannot be empty"):
            parse_create(body)


def test_nulls_are_defaults():
    body = {"Image": "x", "Cmd": None, "Env": None, "Labels": {"a": None}, "HostConfig": {"Binds": None, "Init": None}}
    spec = parse_create(msgspec.json.encode(body))
    assert spec.labels == {"a": ""}
    assert spec.process.args is None


def test_entrypoint_rules():
    assert create().process.args is None
    assert create(Entrypoint=[""]).process.entrypoint == ()
    assert create(Entrypoint="sh").process.entrypoint == ("sh",)
    assert create(Entrypoint=["sh"]).process.args == ()
    assert create(Cmd="echo hi").process.args == ("echo hi",)
    assert create(Cmd=[]).process.args is None


def test_ports():
    spec = create({"PortBindings": {"80": None, "53/udp": [{"HostIp": "::1", "HostPort": "5300-5310"}]}})
    assert spec.network.ports == (
        PortBinding(container_port=80),
        PortBinding(container_port=53, protocol="udp", host_ip="::1", host_port=5300, host_port_end=5310),
    )


def test_a_lone_bind_path_is_an_anonymous_volume():
    assert create({"Binds": ["/data"]}).volumes == ("/data",)
    assert parse_bind("vol:/data:nocopy").no_copy


def test_update_changes_only_what_is_given():
    changes, policy = parse_update(UpdateRequest(memory=1 << 30, pids_limit=-1))
    assert changes == {"memory_bytes": 1 << 30, "pids_limit": None}
    assert policy is None


def test_network_create():
    pools = [IPAMPool(subnet="fd00::/64"), IPAMPool(subnet="10.0.0.0/24", gateway="10.0.0.1", ip_range="10.0.0.128/25")]
    network = parse_network_create(NetworkCreateRequest(name="n", enable_ipv6=True, ipam=IPAM(config=pools)))
    assert [subnet.subnet for subnet in network.subnets] == ["10.0.0.0/24", "fd00::/64"]
    for pool in (
        IPAMPool(subnet="10.0.0.1/24"),
        IPAMPool(gateway="1.1.1.1"),
        IPAMPool(subnet="10.0.0.0/24", gateway="x"),
    ):
        with pytest.raises(InvalidArgument):
            parse_network_create(NetworkCreateRequest(name="n", ipam=IPAM(config=[pool])))


def test_filters_of_both_forms():
    assert query.filters({"filters": '{"label":{"a=b":true,"c":false}}'}).terms == {"label": ("a=b",)}
    assert query.filters({"filters": '{"label":["a=b"]}'}).terms == {"label": ("a=b",)}
    for bad in ("x", "[]", '{"a":1}', '{"a":' * 5000, "\ud800"):
        with pytest.raises(InvalidArgument):
            query.filters({"filters": bad})


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("", 0),
        ("100", 100_000_000_000),
        ("100.5", 100_500_000_000),
        ("1970-01-01T00:01:40Z", 100_000_000_000),
        ("1970-01-01T01:01:40+01:00", 100_000_000_000),
        ("10m", 400_000_000_000),
        ("1m30s", 910_000_000_000),
    ],
)
def test_times(text, ns):
    assert query.time_ns({"t": text}, "t", 1_000_000_000_000) == ns


@pytest.mark.parametrize(
    "text", ["x", "1x", "99999999999999999999", "1.x", "h", "²", "9" * 400 + "h", "0001-01-01T99:00:00Z"]
)
def test_no_times(text):
    with pytest.raises(InvalidArgument):
        query.time_ns({"t": text}, "t", 0)


def test_integers():
    assert query.integer({"n": "-5"}, "n") == -5
    assert query.integer({}, "n") is None
    for bad in ("x", "1.5", "1_0", " 1", "٣", "9" * 30, "9" * 5000):
        with pytest.raises(InvalidArgument):
            query.integer({"n": bad}, "n")


def test_flags():
    for false in ("", "0", "false", "No", "NONE"):
        assert not query.flag({"f": false}, "f")
    assert query.flag({"f": "1"}, "f")
    assert query.flag({}, "f", default=True)


def test_detach_keys():
    assert parse_keys("") == b"\x10\x11"
    assert parse_keys("ctrl-a,x,ctrl-\\") == b"\x01x\x1c"
    for bad in ("ctrl-", "ctrl-A", "xy", ",", "ctrl-ab"):
        with pytest.raises(InvalidArgument, match="Invalid detach keys"):
            parse_keys(bad)


@pytest.mark.parametrize(
    ("pieces", "passed", "detached"),
    [
        ([b"ab"], b"ab", False),
        ([b"a\x10", b"\x11b"], b"a", True),
        ([b"\x10", b"x"], b"\x10x", False),
        ([b"\x10\x10\x11"], b"\x10", True),
        ([b"\x11\x10"], b"\x11", False),
    ],
)
def test_detach_filter(pieces, passed, detached):
    keys = DetachFilter(b"\x10\x11")
    results = [keys.feed(piece) for piece in pieces]
    assert b"".join(data for data, _ in results) == passed
    assert results[-1][1] is detached


def test_credentials():
    import base64

    header = base64.urlsafe_b64encode(b'{"username":"u","password":"p"}').decode().rstrip("=")
    found = parse_credentials(header)
    assert (found.username, found.password) == ("u", "p")
    assert parse_credentials("") is None
    assert parse_credentials(base64.urlsafe_b64encode(b"{}").decode()) is None
    for bad in ("*", "AAAA", "é"):
        with pytest.raises(SampanError):
            parse_credentials(bad)


def test_changes():
    config = apply_changes(
        ImageConfig(env=("A=1",)),
        ['CMD ["a", "b"]', 'ENV A="x y" B=2', "LABEL k=v", "EXPOSE 80 53/udp", "WORKDIR /w", "ENTRYPOINT run it"],
    )
    assert config.args == ("a", "b")
    assert config.env == ("A=x y", "B=2")
    assert config.exposed == ("80/tcp", "53/udp")
    assert config.entrypoint == ("/bin/sh", "-c", "run it")
    for bad in ("FROM x", "CMD", "LABEL a=b c", "ENV =x"):
        with pytest.raises(InvalidArgument):
            apply_changes(ImageConfig(), [bad])
