"""CVE-2020-13401: a container sends router advertisements, and the host (or a sibling) routes IPv6 through it."""

import asyncio
import json
import socket
import struct
import subprocess
from pathlib import Path

import pytest

from conformance.network import A, B, plain, start, user_network
from host.network_fixtures import again, driver, needs_root, world  # noqa: F401 - fixtures
from sampan.host import netns

pytestmark = needs_root


def advertise():
    """Tell everybody on the link that we are their router."""
    message = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as raw:
        raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        raw.bind(("fe80::1", 0, 0, socket.if_nametoindex("eth0")))
        raw.sendto(message, ("ff02::1", 0, 0, socket.if_nametoindex("eth0")))


def routers():
    rows = json.loads(
        subprocess.run(["ip", "-j", "-6", "route", "show", "default"], check=True, capture_output=True).stdout
    )
    return [row["gateway"] for row in rows if row.get("protocol") == "ra"]


@pytest.mark.parametrize("guarded", [True, False])
async def test_nobody_takes_a_container_for_a_router(driver, guarded):  # noqa: F811
    network = await user_network(driver, ipv6=True)
    evil, sibling = await start(driver, A, plain(network)), await start(driver, B, plain(network))
    add = ["ip", "address", "add", "fe80::1/64", "dev", "eth0", "nodad"]
    netns.run_in(evil.sandbox_key, lambda: subprocess.run(add, check=True))
    if not guarded:  # the proof that this test would see it
        Path(f"/proc/sys/net/ipv6/conf/{network.bridge}/accept_ra").write_text("2")
        netns.run_in(sibling.sandbox_key, lambda: Path("/proc/sys/net/ipv6/conf/eth0/accept_ra").write_text("1"))
    for attempt in range(100):
        await asyncio.to_thread(netns.run_in, evil.sandbox_key, advertise)
        seen = [await asyncio.to_thread(routers), await asyncio.to_thread(netns.run_in, sibling.sandbox_key, routers)]
        if all(seen) or (guarded and attempt == 10):
            break
        await asyncio.sleep(0.05)
    assert seen == ([[], []] if guarded else [["fe80::1"], ["fe80::1"]])
