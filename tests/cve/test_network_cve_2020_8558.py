"""CVE-2020-8558: with route_localnet, a neighbour or a container reaches what listens on the host's 127.0.0.1."""

import asyncio
import socket
import struct
from pathlib import Path

import pytest

from conformance.network import A, B, plain, start
from host.network_fixtures import again, default, driver, needs_root, world  # noqa: F401 - fixtures
from host.network_world import HOST, NEIGHBOUR
from sampan.host import netlink_query as query
from sampan.host import netns
from sampan.host.netlink import Netlink
from sampan.model.container import PortBinding

pytestmark = needs_root


async def test_frames_for_127_0_0_1_from_a_container_or_the_wire_are_dropped(world, driver, default):  # noqa: F811
    attachment = await start(
        driver, A, plain(default), (PortBinding(container_port=80, protocol="udp", host_port=18053),)
    )
    server = netns.run_in(attachment.sandbox_key, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with server, own:
        server.bind(("0.0.0.0", 80))
        own.bind(("127.0.0.1", 18054))
        sibling = await start(driver, B, plain(default))
        Path("/proc/sys/net/ipv4/conf/wire/route_localnet").write_text("1")
        Path("/proc/sys/net/ipv4/conf/all/rp_filter").write_text("0")
        with Netlink() as netlink:
            bridges = {name: query.link(netlink, name).mac for name in ("wire", "sampan0")}
        for path, mac, source, good in (
            (sibling.sandbox_key, bridges["sampan0"], sibling.endpoints[0].ipv4, "172.30.0.1"),
            (world.outside, bridges["wire"], NEIGHBOUR, HOST),
        ):
            for target, port in (("127.0.0.1", 18053), ("127.0.0.1", 18054), (good, 18053)):
                await asyncio.to_thread(
                    netns.run_in, path, lambda p=port, t=target, s=source, m=mac: send_udp(m, s, t, p)
                )
            server.settimeout(3)
            assert (await asyncio.to_thread(server.recv, 100)) == good.encode(), "only the lawful one"
        for one in (server, own):
            one.setblocking(False)
            with pytest.raises(BlockingIOError):
                one.recv(100)
        await driver.leave(B, sibling)
    await driver.leave(A, attachment)


def send_udp(mac, source, target, port):
    """Send a datagram that holds its target's address, in a frame made by hand."""
    body = target.encode()
    udp = struct.pack("!HHHH", 40000, port, 8 + len(body), 0) + body
    addresses = socket.inet_aton(source) + socket.inet_aton(target)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, socket.IPPROTO_UDP, 0) + addresses
    total = sum(struct.unpack("!10H", head))
    check = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    frame = bytes.fromhex(mac.replace(":", "")) + bytes.fromhex("020000000009") + b"\x08\x00"
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800)) as raw:
        raw.bind(("eth0", 0x0800))
        raw.send(frame + head[:10] + struct.pack("!H", check) + head[12:] + udp)
