"""Names inside of containers: asked over real sockets in real namespaces."""

import asyncio
import socket
import struct
import threading

import pytest
from dnslib import QTYPE, RCODE, RR, DNSRecord
from dnslib import A as ARecord

from conformance.network import A, B, C, plain, start, user_network
from host.network_fixtures import again, default, driver, needs_root, world  # noqa: F401 - fixtures
from host.network_world import ask_udp
from sampan.host import netns
from sampan.model.container import EndpointSpec
from sampan.network.resolving import EMBEDDED_NAMESERVER

pytestmark = needs_root


async def resolve(path, name, kind="A", *, tcp=False, timeout_s=3.0):
    """Return (rcode, texts) as a process inside of the namespace gets them."""
    query = DNSRecord.question(name, kind)
    ask = ask_tcp if tcp else lambda data: ask_udp(EMBEDDED_NAMESERVER, 53, timeout_s=timeout_s, data=data)
    raw = await asyncio.to_thread(netns.run_in, path, lambda: ask(query.pack()))
    answer = DNSRecord.parse(raw)
    assert answer.header.id == query.header.id
    return RCODE[answer.header.rcode], sorted(str(record.rdata) for record in answer.rr)


def ask_tcp(data):
    with socket.create_connection((EMBEDDED_NAMESERVER, 53), timeout=3) as connection:
        connection.sendall(struct.pack("!H", len(data)) + data)
        stream = connection.makefile("rb")
        return stream.read(struct.unpack("!H", stream.read(2))[0])


@pytest.fixture
async def pair(driver):  # noqa: F811
    """Two containers on one network, with names."""
    network = await user_network(driver, name="lan", ipv6=True)
    first = await start(driver, A, plain(network))
    second = await start(driver, B, plain(network))
    one, two = (attachment.endpoints[0] for attachment in (first, second))
    names = {"web": (one.ipv4, one.ipv6), "db": (two.ipv4,), "bbbbbbbbbbbb": (two.ipv4,), "all": (one.ipv4, two.ipv4)}
    driver.set_names(network.id, names)
    return network, first, second


async def test_names_addresses_and_reverse(driver, pair):  # noqa: F811
    _, first, second = pair
    here, web, db = second.sandbox_key, first.endpoints[0], second.endpoints[0]
    for tcp in (False, True):
        assert await resolve(here, "web", tcp=tcp) == ("NOERROR", [web.ipv4])
        assert await resolve(here, "WEB.", tcp=tcp) == ("NOERROR", [web.ipv4])
        assert await resolve(here, "web.lan", tcp=tcp) == ("NOERROR", [web.ipv4])
        assert await resolve(here, "web", "AAAA", tcp=tcp) == ("NOERROR", [web.ipv6])
        assert await resolve(here, "db", "AAAA", tcp=tcp) == ("NOERROR", [])
        assert await resolve(here, "db", "MX", tcp=tcp) == ("NOERROR", [])
        assert await resolve(here, "all", tcp=tcp) == ("NOERROR", sorted([web.ipv4, db.ipv4]))
    reverse = ".".join(reversed(db.ipv4.split("."))) + ".in-addr.arpa"
    assert await resolve(here, reverse, "PTR") == ("NOERROR", ["db.lan."])


async def test_renamed_is_renamed_at_once(driver, pair):  # noqa: F811
    network, first, second = pair
    assert await resolve(second.sandbox_key, "web") == ("NOERROR", [first.endpoints[0].ipv4])
    driver.set_names(network.id, {"web": (second.endpoints[0].ipv4,)})
    assert await resolve(second.sandbox_key, "web") == ("NOERROR", [second.endpoints[0].ipv4])


async def test_only_containers_of_a_network_get_its_names(resolvers, driver, pair):  # noqa: F811
    other = await user_network(driver, pair[0], id_="2" * 64, name="other")
    stranger = await start(driver, C, plain(other))
    driver.set_names(other.id, {"own": (stranger.endpoints[0].ipv4,)})
    assert await resolve(stranger.sandbox_key, "own") == ("NOERROR", [stranger.endpoints[0].ipv4])
    assert await resolve(stranger.sandbox_key, "web") == ("SERVFAIL", [])
    endpoint = await driver.connect(C, stranger.sandbox_key, pair[0], EndpointSpec(network="lan"))
    assert await resolve(stranger.sandbox_key, "web") == ("NOERROR", [pair[1].endpoints[0].ipv4])
    await driver.disconnect(C, stranger.sandbox_key, endpoint)
    assert await resolve(stranger.sandbox_key, "web") == ("SERVFAIL", [])
    await driver.leave(C, stranger)


async def test_a_default_bridge_container_gets_names_when_it_joins_a_network(driver, default, pair):  # noqa: F811
    attachment = await start(driver, C, plain(default))
    assert attachment.slot
    await driver.connect(C, attachment.sandbox_key, pair[0], EndpointSpec(network="lan"))
    assert await resolve(attachment.sandbox_key, "web") == ("NOERROR", [pair[1].endpoints[0].ipv4])
    await driver.leave(C, attachment)


async def test_the_container_may_run_a_dns_server_of_its_own(pair):
    with (
        netns.run_in(pair[1].sandbox_key, lambda: socket.create_server(("0.0.0.0", 53))),
        netns.run_in(pair[1].sandbox_key, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as own,
    ):
        own.bind(("0.0.0.0", 53))
        assert await resolve(pair[1].sandbox_key, "web") == ("NOERROR", [pair[1].endpoints[0].ipv4])


async def test_a_restarted_daemon_answers_again(driver, again, pair):  # noqa: F811
    network, first, second = pair
    await driver.close()
    renewed = again()
    await renewed.reconcile((network,), {A: first, B: second})
    renewed.set_names(network.id, {"web": (first.endpoints[0].ipv4,)})
    assert await resolve(second.sandbox_key, "web") == ("NOERROR", [first.endpoints[0].ipv4])


@pytest.fixture
def resolvers(world, tmp_path):  # noqa: F811
    """The host's resolv.conf, for drivers that are made after it."""
    path = world.resolv_conf = tmp_path / "resolv.conf"
    path.write_text("")
    return path


@pytest.fixture
def resolver(world):  # noqa: F811
    """A resolver of the host at 127.0.0.1:53 that knows every name under example."""
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 53))
    tcp = socket.create_server(("127.0.0.1", 53))

    def answer(data):
        asked = DNSRecord.parse(data)
        reply = asked.reply()
        if str(asked.q.qname).endswith("example."):
            reply.add_answer(RR(asked.q.qname, QTYPE.A, rdata=ARecord("192.0.2.7"), ttl=9))
        else:
            reply.header.rcode = RCODE.NXDOMAIN
        return reply.pack()

    def serve_udp():
        while True:
            data, peer = udp.recvfrom(4096)
            if not peer:
                return
            udp.sendto(b"\0\0nonsense", peer)
            udp.sendto(answer(data), peer)

    def serve_tcp():
        while True:
            try:
                connection, _ = tcp.accept()
            except OSError:
                return
            with connection:
                stream = connection.makefile("rb")
                data = answer(stream.read(struct.unpack("!H", stream.read(2))[0]))
                connection.sendall(struct.pack("!H", len(data)) + data)

    for loop in (serve_udp, serve_tcp):
        threading.Thread(target=loop, daemon=True).start()
    yield
    for one in (udp, tcp):
        try:
            one.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        one.close()


@pytest.mark.parametrize("tcp", [False, True])
async def test_other_names_go_to_the_hosts_resolvers(resolvers, resolver, pair, tcp):
    resolvers.write_text("# comment\nnameserver 127.0.0.1\noptions ndots:0\n")
    assert await resolve(pair[1].sandbox_key, "www.example", tcp=tcp) == ("NOERROR", ["192.0.2.7"])
    assert await resolve(pair[1].sandbox_key, "www.nowhere", tcp=tcp) == ("NXDOMAIN", [])


async def test_without_resolvers_the_answer_is_a_quick_servfail(resolvers, pair):
    assert await resolve(pair[1].sandbox_key, "www.example", timeout_s=1) == ("SERVFAIL", [])
    resolvers.write_text("nameserver 127.0.0.1\n")  # nobody listens there
    assert await resolve(pair[1].sandbox_key, "www.example", timeout_s=1) == ("SERVFAIL", [])
    assert await resolve(pair[1].sandbox_key, "www.example", tcp=True) == ("SERVFAIL", [])


async def test_a_container_may_have_resolvers_of_its_own(resolvers, driver, resolver, pair):  # noqa: F811
    driver.set_resolvers(A, ("127.0.0.1",))
    assert await resolve(pair[1].sandbox_key, "www.example") == ("NOERROR", ["192.0.2.7"])
    assert await resolve(pair[2].sandbox_key, "www.example") == ("SERVFAIL", [])
    driver.set_resolvers(C, ("127.0.0.1",))
    before = await start(driver, C, plain(pair[0]))
    assert await resolve(before.sandbox_key, "www.example") == ("NOERROR", ["192.0.2.7"])


async def test_internal_networks_ask_nobody(resolvers, driver, resolver):  # noqa: F811
    resolvers.write_text("nameserver 127.0.0.1\n")
    network = await user_network(driver, internal=True)
    attachment = await start(driver, A, plain(network))
    assert await resolve(attachment.sandbox_key, "www.example") == ("SERVFAIL", [])
    await driver.leave(A, attachment)


async def test_nonsense_gets_no_answer_and_harms_nobody(pair):
    path = pair[1].sandbox_key
    for data in (b"", b"x", b"\0" * 11, b"\xff" * 600, DNSRecord.question("web").reply().pack()):
        raw = await asyncio.to_thread(ask_udp, EMBEDDED_NAMESERVER, 53, path, timeout_s=0.1, data=data)
        assert raw == b"TimeoutError"
    assert await resolve(path, "web") == ("NOERROR", [pair[1].endpoints[0].ipv4])
