"""Who reaches whom: bridges apart, internal ones closed, containers of one bridge together or not; options and addresses."""

import asyncio
import json
import subprocess

import pytest

from conformance.network import A, B, C, plain, start, user_network
from host.network_fixtures import again, default, driver, needs_root, world  # noqa: F401 - fixtures
from host.network_world import HOST, NEIGHBOUR, NEIGHBOUR6, fetch
from sampan.base.errors import AlreadyExists, Conflict
from sampan.host import netlink_message as message
from sampan.host import netlink_query as query
from sampan.host import netns
from sampan.host.netlink import Netlink
from sampan.model.container import EndpointSpec, PortBinding
from sampan.model.network import Network, Subnet

pytestmark = needs_root
CLOSED = {b"TimeoutError", b"OSError", b"ConnectionRefusedError"}


async def got(address, port, path=None, timeout_s=3.0):
    return await asyncio.to_thread(fetch, address, port, path, timeout_s)


async def closed(address, port, path=None):
    return await got(address, port, path, 0.3) in CLOSED


def ip_json(path, *arguments):
    """What the `ip` program says of the namespace at `path`."""
    return netns.run_in(
        path,
        lambda: json.loads(subprocess.run(["ip", "-j", *arguments], check=True, capture_output=True).stdout or "[]"),
    )


async def test_containers_of_one_bridge_talk_and_those_of_two_do_not(world, driver, default):  # noqa: F811
    other = await user_network(driver, default)
    first, second = await start(driver, A, plain(default)), await start(driver, B, plain(default))
    third = await start(driver, C, plain(other))
    world.serve_tcp(first.sandbox_key, 80)
    target = first.endpoints[0].ipv4
    assert await got(target, 80, second.sandbox_key) == b"hello " + second.endpoints[0].ipv4.encode()
    assert await closed(target, 80, third.sandbox_key)
    assert await got(target, 80) == b"hello 172.30.0.1", "the host itself"
    assert await closed(target, 80, world.outside), "a neighbour that routes to us"


async def test_the_way_out_is_masqueraded(world, driver, default):  # noqa: F811
    world.serve_tcp(world.outside, 80)
    attachment = await start(driver, A, plain(default))
    assert await got(NEIGHBOUR, 80, attachment.sandbox_key) == b"hello " + HOST.encode()
    plainly = await user_network(driver, default, options={"com.docker.network.bridge.enable_ip_masquerade": "false"})
    unmasked = await start(driver, B, plain(plainly))
    assert await got(NEIGHBOUR, 80, unmasked.sandbox_key) == b"hello " + unmasked.endpoints[0].ipv4.encode()


async def test_an_internal_network_has_no_way_out_or_in(world, driver, default):  # noqa: F811
    world.serve_tcp(world.outside, 80)
    network = await user_network(driver, default, internal=True)
    first, second = await start(driver, A, plain(network)), await start(driver, B, plain(network))
    world.serve_tcp(first.sandbox_key, 80)
    assert (await got(first.endpoints[0].ipv4, 80, second.sandbox_key)).startswith(b"hello")
    assert await closed(NEIGHBOUR, 80, first.sandbox_key)
    assert ip_json(first.sandbox_key, "route", "show", "default") == []
    with netns.open_netlink(first.sandbox_key) as inner:  # a container with NET_ADMIN adds the route
        index = query.link(inner, "eth0").index
        inner.batch(message.default_route(query.ipaddress.ip_address(first.endpoints[0].gateway), index))
    assert await closed(NEIGHBOUR, 80, first.sandbox_key)
    assert await closed(first.endpoints[0].ipv4, 80, world.outside)


async def test_icc_false_keeps_siblings_apart_but_not_published_ports(world, driver):  # noqa: F811
    network = await user_network(driver, options={"com.docker.network.bridge.enable_icc": "false"})
    first = await start(driver, A, plain(network), (PortBinding(container_port=80, host_port=18080),))
    second = await start(driver, B, plain(network))
    world.serve_tcp(first.sandbox_key, 80)
    assert await closed(first.endpoints[0].ipv4, 80, second.sandbox_key)
    assert (await got(HOST, 18080, world.outside)).startswith(b"hello")


async def test_ipv6_inside_and_out(world, driver):  # noqa: F811
    world.serve_tcp(world.outside, 80, host="::")
    network = await user_network(driver, ipv6=True, subnets=(Subnet(subnet="fd77::/64"),))
    first, second = await start(driver, A, plain(network, ipv6="fd77::99")), await start(driver, B, plain(network))
    world.serve_tcp(first.sandbox_key, 80, host="::")
    assert await got("fd77::99", 80, second.sandbox_key) == b"hello " + second.endpoints[0].ipv6.encode()
    assert (await got(NEIGHBOUR6, 80, first.sandbox_key)).startswith(b"hello 2001:db8::1")
    assert await closed("fd77::99", 80, world.outside)


async def test_a_network_without_ipv6_gives_none(driver, default):  # noqa: F811
    attachment = await start(driver, A, plain(default))
    for row in ip_json(attachment.sandbox_key, "-6", "address"):
        assert row["ifname"] == "lo"


async def test_options_of_the_interface(driver):  # noqa: F811
    options = {
        "com.docker.network.driver.mtu": "1400",
        "com.docker.network.bridge.name": "ours0",
        "com.docker.network.container_iface_prefix": "lan",
    }
    network = await user_network(driver, options=options)
    attachment = await start(driver, A, plain(network, link_local_ips=("169.254.9.9",)))
    (row,) = [row for row in ip_json(attachment.sandbox_key, "address") if row["ifname"] != "lo"]
    assert (row["ifname"], row["mtu"], row["address"]) == ("lan0", 1400, attachment.endpoints[0].mac)
    assert {info["local"] for info in row["addr_info"]} == {attachment.endpoints[0].ipv4, "169.254.9.9"}
    with Netlink() as netlink:
        assert query.link(netlink, "ours0").mtu == 1400


async def test_the_default_route_goes_by_priority_then_name_and_moves_on(driver, default):  # noqa: F811
    second = await user_network(driver, default, id_="2" * 64, name="alpha")
    third = await user_network(driver, default, second, id_="3" * 64, name="zulu")
    attachment = await start(
        driver, A, ((default, EndpointSpec(network="bridge")), (second, EndpointSpec(network="alpha")))
    )

    def gateway():
        (row,) = ip_json(attachment.sandbox_key, "route", "show", "default")
        return row["gateway"]

    assert gateway() == second.subnets[0].gateway
    high = await driver.connect(A, attachment.sandbox_key, third, EndpointSpec(network="zulu", gateway_priority=5))
    assert gateway() == third.subnets[0].gateway
    await driver.disconnect(A, attachment.sandbox_key, high)
    assert gateway() == second.subnets[0].gateway
    await driver.disconnect(A, attachment.sandbox_key, attachment.endpoints[1])
    assert gateway() == "172.30.0.1"
    await driver.disconnect(A, attachment.sandbox_key, attachment.endpoints[0])
    assert ip_json(attachment.sandbox_key, "route", "show", "default") == []


async def test_an_address_is_usable_at_once_by_its_next_owner(world, driver):  # noqa: F811
    """The old interface dies later: the bridge must not send to it meanwhile."""
    network = await user_network(driver, subnets=(Subnet(subnet="10.77.0.0/24"),))
    for container in (A, B, C):
        attachment = await start(driver, container, plain(network, ipv4="10.77.0.5"))
        server = world.serve_tcp(attachment.sandbox_key, 80)
        assert await got("10.77.0.5", 80) == b"hello 10.77.0.1"
        server.shutdown(2)
        server.close()
        await driver.leave(container, attachment)


async def test_subnets_of_the_host_are_not_taken(driver):  # noqa: F811
    with Netlink() as netlink:
        netlink.batch(message.bridge_new("lan0", mac="02:00:00:00:00:05"), message.link_set("lan0", up=True))
        index = query.link(netlink, "lan0").index
        netlink.batch(message.address_add(index, query.ipaddress.ip_interface("172.17.5.1/24")))
    network = driver.allocate_network(Network(id="1" * 64, name="net"), ())
    assert network.subnets[0].subnet == "172.18.0.0/16"
    with pytest.raises(Conflict, match="the host's interface lan0"):
        driver.allocate_network(Network(id="1" * 64, name="net", subnets=(Subnet(subnet="172.17.0.0/16"),)), ())


async def test_a_bridge_name_on_the_host_that_is_no_bridge_is_refused_and_stays(driver):  # noqa: F811
    options = {"com.docker.network.bridge.name": "far"}
    network = driver.allocate_network(Network(id="1" * 64, name="net", options=options), ())
    with pytest.raises((Conflict, AlreadyExists), match="not a bridge"):
        await driver.create_network(network)
    with Netlink() as netlink:
        assert query.link(netlink, "far") is not None


async def test_a_bridge_of_the_administrators_is_used_and_left(driver):  # noqa: F811
    with Netlink() as netlink:
        netlink.batch(message.bridge_new("corp0", mac="02:00:00:00:00:05"))
        network = await user_network(driver, options={"com.docker.network.bridge.name": "corp0"})
        await driver.delete_network(network)
        assert query.link(netlink, "corp0") is not None
