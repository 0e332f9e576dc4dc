"""Published ports: bytes really fetched, from every side."""

import asyncio
import socket
from pathlib import Path

import pytest

from conformance.network import A, B, plain, start, user_network
from host.network_fixtures import again, default, driver, needs_root, world  # noqa: F401 - fixtures
from host.network_world import HOST, HOST6, ask_udp, fetch, nft_query, nft_run
from sampan.base.errors import Conflict
from sampan.host import netns
from sampan.model.container import EndpointSpec, PortBinding

pytestmark = needs_root


def tcp(port=18080, **fields):
    return PortBinding(container_port=80, host_port=port, **fields)


async def got(address, port, path=None, **options):
    return await asyncio.to_thread(fetch, address, port, path, **options)


async def asked(address, port, path=None, **options):
    return await asyncio.to_thread(ask_udp, address, port, path, **options)


@pytest.fixture
async def web(world, driver, default):  # noqa: F811
    attachment = await start(driver, A, plain(default), (tcp(), tcp(18053, protocol="udp")))
    world.serve_tcp(attachment.sandbox_key, 80)
    world.serve_udp(attachment.sandbox_key, 80)
    yield attachment
    await driver.leave(A, attachment)


@pytest.mark.parametrize("bridge_netfilter", ["0", "1"])
async def test_a_published_port_answers_from_every_side(world, driver, default, web, bridge_netfilter):  # noqa: F811
    switch = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
    if not switch.exists():
        pytest.skip("no br_netfilter on this kernel")
    switch.write_text(bridge_netfilter)
    sibling = await start(driver, B, plain(default))
    assert await got("127.0.0.1", 18080) == b"hello 172.30.0.1"
    assert await got("127.0.0.5", 18080) == b"hello 172.30.0.1"
    assert await got(HOST, 18080) == b"hello " + HOST.encode()
    assert (await got("172.30.0.1", 18080)).startswith(b"hello")
    assert await got(HOST, 18080, world.outside) == b"hello 198.51.100.2", "the client's address is kept"
    assert (await got(HOST, 18080, sibling.sandbox_key)).startswith(b"hello"), "a sibling by the host's address"
    assert (await got(HOST, 18080, web.sandbox_key)).startswith(b"hello"), "hairpin"
    assert (await got("172.30.0.1", 18080, web.sandbox_key)).startswith(b"hello"), "hairpin by the gateway"
    assert (await asked("127.0.0.1", 18053)).startswith(b"hello")
    assert (await asked(HOST, 18053, world.outside)).startswith(b"hello 198.51.100.2")
    assert (await asked(HOST, 18053, web.sandbox_key)).startswith(b"hello"), "UDP hairpin"
    await driver.leave(B, sibling)


async def test_a_published_port_answers_over_ipv6_though_the_container_has_none(web, world):  # noqa: F811
    assert (await got("::1", 18080)).startswith(b"hello")
    assert (await got(HOST6, 18080, world.outside)).startswith(b"hello")


async def test_a_container_with_ipv6_sees_the_client_and_loopback_is_relayed(world, driver):  # noqa: F811
    network = await user_network(driver, ipv6=True)
    attachment = await start(driver, A, plain(network), (tcp(),))
    world.serve_tcp(attachment.sandbox_key, 80)
    assert (await got("::1", 18080)).startswith(b"hello"), "the relay goes by IPv4"
    await driver.leave(A, attachment)
    attachment = await start(driver, B, plain(network), (tcp(),))
    world.serve_tcp(attachment.sandbox_key, 80, host="::", body=b"six")
    assert await got(HOST6, 18080, world.outside) == b"six 2001:db8::2"
    await driver.leave(B, attachment)


async def test_nothing_answers_after_leave(driver, default, world):  # noqa: F811
    attachment = await start(driver, A, plain(default), (tcp(),))
    world.serve_tcp(attachment.sandbox_key, 80)
    assert (await got("127.0.0.1", 18080)).startswith(b"hello")
    await driver.leave(A, attachment)
    assert await got("127.0.0.1", 18080) == b"ConnectionRefusedError"
    assert driver.survey()["nft_elements"] == []


async def test_a_port_on_loopback_is_not_for_others(world, driver, default):  # noqa: F811
    attachment = await start(driver, A, plain(default), (tcp(host_ip="127.0.0.1"),))
    world.serve_tcp(attachment.sandbox_key, 80)
    assert (await got("127.0.0.1", 18080)).startswith(b"hello")
    assert await got(HOST, 18080, world.outside, timeout_s=0.3) in {b"ConnectionRefusedError", b"TimeoutError"}
    await driver.leave(A, attachment)


async def test_a_port_that_a_process_of_the_host_has_is_refused(driver, default):  # noqa: F811
    with socket.create_server(("127.0.0.1", 18080)), pytest.raises(Conflict, match="port is already allocated"):
        driver.reserve(A, plain(default), (tcp(),))
    attachment = driver.reserve(A, plain(default), (tcp(),))
    with pytest.raises(OSError, match="in use"):
        socket.create_server(("0.0.0.0", 18080))
    driver.release(A, attachment)


async def test_an_address_that_the_host_lacks_is_refused(driver, default):  # noqa: F811
    with pytest.raises(Conflict, match="cannot assign requested address"):
        driver.reserve(A, plain(default), (tcp(host_ip="203.0.113.9"),))


async def test_the_networks_binding_address_is_the_default(driver):  # noqa: F811
    network = await user_network(driver, options={"com.docker.network.bridge.host_binding_ipv4": "127.0.0.1"})
    attachment = await start(driver, A, plain(network), (tcp(),))
    assert [port.host_ip for port in attachment.ports] == ["127.0.0.1"]
    await driver.leave(A, attachment)


async def test_ports_follow_the_default_route(world, driver, default):  # noqa: F811
    network = await user_network(driver, default)
    attachment = await start(driver, A, plain(default), (tcp(),))
    world.serve_tcp(attachment.sandbox_key, 80)
    endpoint = await driver.connect(A, attachment.sandbox_key, network, EndpointSpec(network="net"))
    await driver.disconnect(A, attachment.sandbox_key, attachment.endpoints[0])
    assert driver.survey()["nft_elements"] == [f"ports4_any 6 . 18080 : {endpoint.ipv4} . 80"]
    assert (await got(HOST, 18080, world.outside)) == b"hello 198.51.100.2"
    await driver.leave(A, attachment)


async def test_a_flushed_ruleset_is_made_again_at_the_next_port(world, driver, default, web):  # noqa: F811
    nft_run("flush ruleset")
    attachment = await start(driver, B, plain(default), (tcp(18081),))
    assert (await got("127.0.0.1", 18080)).startswith(b"hello")
    await driver.leave(B, attachment)


async def test_a_foreign_table_is_left_alone(driver, default):  # noqa: F811
    nft_run("table ip theirs { chain input { type filter hook input priority 0; policy accept; }; }")
    attachment = await start(driver, A, plain(default), (tcp(),))
    await driver.leave(A, attachment)
    assert [row["chain"]["name"] for row in nft_query("list table ip theirs") if "chain" in row] == ["input"]


async def test_a_udp_flow_follows_the_port_to_its_next_container(world, driver, default):  # noqa: F811
    binding = (PortBinding(container_port=80, protocol="udp", host_port=18053),)
    client = netns.run_in(world.outside, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    other = netns.run_in(world.outside, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    with client, other:
        for one in (client, other):
            one.settimeout(1)
            one.connect((HOST, 18053 if one is client else 18099))
        other.send(b"an unrelated flow")
        for container, body in ((A, b"first"), (B, b"second")):
            attachment = await start(driver, container, plain(default), binding)
            world.serve_udp(attachment.sandbox_key, 80, body)
            client.send(b"?")
            assert (await asyncio.to_thread(client.recv, 100)).startswith(body)
            await driver.leave(container, attachment)
        table = Path("/proc/thread-self/net/nf_conntrack")
        if table.exists():
            assert "dport=18099" in table.read_text(), "other flows stay"
            assert "dport=18053" not in table.read_text()
