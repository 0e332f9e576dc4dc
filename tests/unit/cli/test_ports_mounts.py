from __future__ import annotations

import pytest

from sampan.cli import mounts, ports
from sampan.cli.errors import UsageError


@pytest.mark.parametrize(
    ("value", "bindings"),
    [
        ("80", {"80/tcp": [{"HostIp": "", "HostPort": ""}]}),
        ("8080:80", {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}),
        ("8080:80/udp", {"80/udp": [{"HostIp": "", "HostPort": "8080"}]}),
        ("127.0.0.1::80", {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}),
        ("127.0.0.1:8080:80", {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]}),
        ("[::1]:8080:80", {"80/tcp": [{"HostIp": "::1", "HostPort": "8080"}]}),
        ("8000-8001:80", {"80/tcp": [{"HostIp": "", "HostPort": "8000-8001"}]}),
        ("8000-8001:80-81", {"80/tcp": [{"HostIp": "", "HostPort": "8000"}], "81/tcp": [{"HostIp": "", "HostPort": "8001"}]}),
    ],
)  # fmt: skip
def test_publish(value, bindings):
    exposed, got = ports.publish([value])
    assert got == bindings
    assert exposed == {port: {} for port in bindings}


@pytest.mark.parametrize("value", ["x", "80:x", "70000", "81-80", "1-3:1-2", "80/icmp"])
def test_wrong_ports(value):
    with pytest.raises(UsageError):
        ports.publish([value])


def test_expose_ranges():
    assert list(ports.expose(["80", "90-91/udp"])) == ["80/tcp", "90/udp", "91/udp"]


def test_relative_sources_are_made_absolute():
    assert mounts.bind("./a/../b:/x:ro", "/home/me") == "/home/me/b:/x:ro"
    assert mounts.bind("data:/x", "/home/me") == "data:/x"
    assert mounts.bind("/a:/x", "/home/me") == "/a:/x"


def test_mount_is_spelled_out():
    assert mounts.mount("type=volume,src=v,dst=/d,ro,volume-nocopy,volume-opt=a=b,volume-driver=local") == {
        "Type": "volume", "Source": "v", "Target": "/d", "ReadOnly": True,
        "VolumeOptions": {"NoCopy": True, "DriverConfig": {"Options": {"a": "b"}, "Name": "local"}},
    }  # fmt: skip
    assert mounts.mount("type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=1770")["TmpfsOptions"] == {
        "SizeBytes": 1 << 20,
        "Mode": 0o1770,
    }


def test_wrong_mounts_say_why():
    with pytest.raises(UsageError, match="Did you mean target"):
        mounts.mount("type=bind,traget=/x")
    with pytest.raises(UsageError, match="a target is needed"):
        mounts.mount("type=bind,src=/x")
