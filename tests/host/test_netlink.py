"""Our rtnetlink against two oracles: what we make is what `ip -j` shows, and what we read is what pyroute2 reads."""

import errno
import ipaddress
import json
import socket
import subprocess
import warnings

import pytest

from host.network_fixtures import needs_root, world  # noqa: F401 - fixtures
from sampan.host import netlink_message as message
from sampan.host import netlink_query as query
from sampan.host import netns
from sampan.host.netlink import Netlink, NetlinkError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pyroute2 import IPRoute

pytestmark = needs_root


def ip(*arguments):
    return json.loads(subprocess.run(["ip", "-d", "-j", *arguments], check=True, capture_output=True).stdout or "[]")


@pytest.fixture
def netlink(world):  # noqa: F811
    with Netlink() as netlink:
        netlink.batch(
            message.bridge_new("br0", mac="02:42:00:00:00:09", mtu=1400), message.link_set("br0", up=True, alias="ours")
        )
        yield netlink


@pytest.fixture
def plugged(netlink, tmp_path):
    path = str(tmp_path / "inside")
    inner = netns.make(path)
    bridge = query.link(netlink, "br0")
    with open(path) as target:
        new = message.veth_new(
            "v0", master=bridge.index, peer="eth0", peer_ns_fd=target.fileno(), peer_mac="02:42:0a:01:00:02", mtu=1400
        )
        netlink.batch(new, message.bridge_port("v0", hairpin=True, isolated=True))
    netlink.batch(message.fdb_add(query.link(netlink, "v0").index, "02:42:0a:01:00:02"))
    eth0 = query.link(inner, "eth0").index
    inner.batch(
        message.link_up(1),
        message.address_add(eth0, ipaddress.ip_interface("10.1.0.2/24")),
        message.address_add(eth0, ipaddress.ip_interface("fd01::2/64")),
        message.link_up(eth0),
        message.default_route(ipaddress.ip_address("10.1.0.1"), eth0),
        message.default_route(ipaddress.ip_address("fd01::1"), eth0),
    )
    yield path, inner
    inner.close()
    netns.drop(path)


def test_a_bridge_as_ip_shows_it(netlink):
    (row,) = ip("link", "show", "br0")
    assert (row["address"], row["mtu"], row["ifalias"], "UP" in row["flags"]) == (
        "02:42:00:00:00:09",
        1400,
        "ours",
        True,
    )
    assert row["linkinfo"]["info_kind"] == "bridge"
    assert row["linkinfo"]["info_data"]["forward_delay"] == 0


def test_a_veth_as_ip_shows_it(plugged):
    (row,) = ip("link", "show", "v0")
    assert (row["master"], row["mtu"], row["linkinfo"]["info_kind"]) == ("br0", 1400, "veth")
    assert row["linkinfo"]["info_slave_data"]["hairpin"] is True
    assert row["linkinfo"]["info_slave_data"]["isolated"] is True
    fdb = json.loads(
        subprocess.run(["bridge", "-j", "fdb", "show", "dev", "v0"], check=True, capture_output=True).stdout
    )
    assert [
        entry["state"] for entry in fdb if entry["mac"] == "02:42:0a:01:00:02" and entry.get("master") == "br0"
    ] == ["static"]


def test_addresses_and_routes_as_ip_shows_them(plugged):
    path, _ = plugged
    addresses = netns.run_in(path, lambda: ip("address", "show", "eth0"))[0]["addr_info"]
    shown = {(row["local"], row["prefixlen"], row.get("broadcast"), row.get("tentative")) for row in addresses}
    assert {("10.1.0.2", 24, "10.1.0.255", None), ("fd01::2", 64, None, None)} <= shown
    assert netns.run_in(path, lambda: ip("route", "show", "default"))[0]["gateway"] == "10.1.0.1"
    assert netns.run_in(path, lambda: ip("-6", "route", "show", "default"))[0]["gateway"] == "fd01::1"


def test_what_we_read_is_what_pyroute2_reads(netlink, plugged):
    with IPRoute() as oracle:
        theirs = {
            (link["index"], link.get_attr("IFLA_IFNAME"), link.get_attr("IFLA_ADDRESS"), link.get_attr("IFLA_MTU"),
             link.get_attr("IFLA_MASTER") or 0, bool(link["flags"] & 1))
            for link in oracle.get_links()
        }  # fmt: skip
        addresses = {
            (row["index"], f"{ipaddress.ip_interface((row.get_attr('IFA_ADDRESS'), row['prefixlen']))}")
            for row in oracle.get_addr()
        }
        routes = {
            f"{row.get_attr('RTA_DST')}/{row['dst_len']}" for row in oracle.get_routes(family=socket.AF_INET, table=254)
        }
    ours = {(link.index, link.name, link.mac, link.mtu, link.master, link.up) for link in query.links(netlink)}
    assert ours == theirs
    assert {(row.index, row.interface) for row in query.addresses(netlink)} == addresses
    assert {route.network for route in query.routes(netlink, 4)} == routes


def test_errors_say_what_and_why_and_the_rest_of_a_batch_is_done(netlink):
    found = netlink.results(
        message.address_add(9999, ipaddress.ip_interface("10.1.0.1/24")),
        message.bridge_new("br0", mac="02:42:00:00:00:09"),
        message.bridge_new("br1", mac="02:42:00:00:00:08"),
    )
    assert [error and error.errno for error in found] == [errno.ENODEV, errno.EEXIST, None]
    assert "add address 10.1.0.1/24" in str(found[0])
    assert query.link(netlink, "br1") is not None
    with pytest.raises(NetlinkError):
        netlink.batch(message.link_delete("nothing"))
    netlink.batch(message.link_delete("nothing"), ignore={errno.ENODEV})


def test_names_that_are_not_there_are_none(netlink):
    assert query.link(netlink, "nothing") is None


def test_a_dropped_namespace_takes_its_veth_with_it(netlink, plugged):
    path, inner = plugged
    inner.close()
    netns.drop(path)
    netns.drop(path)
    assert not netns.exists(path)
    with IPRoute() as oracle:
        for _ in range(500):
            if not oracle.link_lookup(ifname="v0"):
                return
    pytest.fail("the kernel kept the veth")


def test_a_namespace_is_not_made_over_another(tmp_path, world):  # noqa: F811
    path = str(tmp_path / "one")
    netns.make(path).close()
    with pytest.raises(FileExistsError):
        netns.make(path)
    assert netns.exists(path)
    netns.drop(path)
    open(path, "w").close()
    assert not netns.exists(path), "a plain file is what a kill leaves"
    netns.drop(path)


def test_the_thread_comes_home_from_a_failed_visit(tmp_path, world):  # noqa: F811
    home = open_ns()
    path = str(tmp_path / "one")
    netns.make(path).close()
    with pytest.raises(ZeroDivisionError):
        netns.run_in(path, lambda: 1 / 0)
    assert open_ns() == home
    netns.drop(path)


def open_ns():
    import os

    return os.stat("/proc/thread-self/ns/net").st_ino
