"""After a crash: what runs is kept as it is, everything else of the tag is removed, nobody else's is touched."""

import asyncio
import subprocess
import sys
import time

import pytest

from conformance.network import A, B, C, plain, start, user_network
from host.network_fixtures import again, default, driver, needs_root, world  # noqa: F401 - fixtures
from host.network_world import fetch, nft_run
from sampan.base.crash import EXIT_CODE
from sampan.host import netlink_message as message
from sampan.host import netlink_query as query
from sampan.host import netns
from sampan.host.netlink import Netlink
from sampan.model.container import PortBinding
from sampan.network import survey
from sampan.network.naming import SLOT_RECORD
from sampan.store.memory import MemoryRecordStore

pytestmark = needs_root

EMPTY = {
    "netns": [],
    "slots": [],
    "veths": [],
    "bridges": [],
    "bridge_ports": [],
    "addresses": [],
    "nft_tables": [],
    "nft_elements": [],
}


def settled(world, wanted, timeout_s=8):  # noqa: F811
    """Return the survey once the kernel has removed what was dropped: it does so by itself, later."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = survey.survey(world.exec_root, world.tag)
        if wanted(found) or time.monotonic() > deadline:
            return found
        time.sleep(0.02)


async def test_running_containers_are_kept_and_the_rest_is_removed(world, driver, again, default):  # noqa: F811
    driver._pool.wait_idle(5)
    kept = await start(driver, A, plain(default), (PortBinding(container_port=80, host_port=18080),))
    own = await start(driver, C, plain(default, ipv4="172.30.9.9"))
    world.serve_tcp(kept.sandbox_key, 80)
    lost = await start(driver, B, plain(default), (PortBinding(container_port=80, host_port=18081),))
    stale = await user_network(driver, default)
    bare = await driver.make_sandbox("d" * 64)
    with Netlink() as netlink:
        netlink.batch(message.bridge_new("theirs0", mac="02:00:00:00:00:05"))
    second = again()
    await driver.close()
    await second.reconcile((default,), {A: kept, C: own})
    assert not netns.exists(lost.sandbox_key)
    assert not netns.exists(bare)
    assert await asyncio.to_thread(fetch, "127.0.0.1", 18080) == b"hello 172.30.0.1"
    second._pool.wait_idle(5)
    found = settled(world, lambda found: len(found["veths"]) == 4)
    assert len(found["veths"]) == 4, "A, C and two new slots"
    assert found["bridges"] == ["sampan0"]
    assert found["addresses"] == ["sampan0 172.30.0.1/16"]
    assert found["netns"] == [C[:12]]
    assert len(found["slots"]) == 3
    assert found["nft_elements"] == [f"ports4_any 6 . 18080 : {kept.endpoints[0].ipv4} . 80"]
    with Netlink() as netlink:
        assert query.link(netlink, "theirs0") is not None
        assert query.link(netlink, stale.bridge) is None


async def test_a_lost_bridge_and_lost_rules_are_made_again_under_running_containers(world, driver, again, default):  # noqa: F811
    attachment = await start(driver, A, plain(default), (PortBinding(container_port=80, host_port=18080),))
    world.serve_tcp(attachment.sandbox_key, 80)
    nft_run("flush ruleset")
    with Netlink() as netlink:
        netlink.batch(message.link_delete("sampan0"))
    second = again()
    await driver.close()
    await second.reconcile((default,), {A: attachment})
    assert await asyncio.to_thread(fetch, "127.0.0.1", 18080) == b"hello 172.30.0.1"


async def test_a_port_that_somebody_took_meanwhile_does_not_stop_the_start(driver, again, default, caplog):  # noqa: F811
    import socket

    attachment = await start(driver, A, plain(default), (PortBinding(container_port=80, host_port=18080),))
    await driver.close()
    with socket.create_server(("0.0.0.0", 18080)):
        second = again()
        await second.reconcile((default,), {A: attachment})
    assert "18080" in caplog.text


async def test_close_drops_idle_slots_and_their_records(world, again):  # noqa: F811
    records = MemoryRecordStore()
    driver = again(pool_size=4, records=records)  # noqa: F811
    network = await default_of(driver)
    driver._pool.wait_idle(5)
    assert len(records.load(SLOT_RECORD)) == 4
    attachment = await start(driver, A, plain(network))
    assert attachment.slot in records.load(SLOT_RECORD)
    await driver.close()
    assert list(records.load(SLOT_RECORD)) == [attachment.slot]
    assert settled(world, lambda found: len(found["veths"]) == 1)["slots"] == [f"slot-{attachment.slot}"]
    second = again(pool_size=0, records=records)
    await second.reconcile((network,), {})
    assert records.load(SLOT_RECORD) == {}
    assert settled(world, lambda found: not found["veths"])["slots"] == []


async def default_of(driver):  # noqa: F811
    from conformance.network import default_network

    network = default_network(driver)
    await driver.create_network(network)
    return network


async def test_the_pool_yields_an_address_that_is_asked_for(again):  # noqa: F811
    driver = again(pool_size=4)  # noqa: F811
    network = await default_of(driver)
    driver._pool.wait_idle(5)
    wanted = driver._pool._ready[2].endpoint.ipv4
    attachment = await start(driver, A, plain(network, ipv4=wanted))
    assert attachment.endpoints[0].ipv4 == wanted
    assert not attachment.slot


async def test_a_used_slot_never_comes_back_and_a_released_one_does(again):  # noqa: F811
    driver = again(pool_size=2)  # noqa: F811
    network = await default_of(driver)
    driver._pool.wait_idle(5)
    released = driver.reserve(A, plain(network), ())
    driver.release(A, released)
    used = []
    for _ in range(8):
        attachment = await start(driver, A, plain(network))
        used.append(attachment.sandbox_key)
        await driver.leave(A, attachment)
        assert not netns.exists(attachment.sandbox_key)
    assert used[0] == released.sandbox_key
    assert len({path for path in used if "slot-" in path}) == len([path for path in used if "slot-" in path])


CHILD = """
import asyncio, os, sys
from pathlib import Path
from sampan.base import crash
from sampan.model.container import EndpointSpec, PortBinding
from sampan.model.network import Network
from sampan.network.linux import LinuxNetworkDriver
from sampan.store.sqlite import SqliteRecordStore

async def main(root, tag, store):
    driver = LinuxNetworkDriver(Path(root), tag, "sampan0", "172.30.0.1/16", SqliteRecordStore(store), pool_size=1)
    default = driver.allocate_network(Network(id="0" * 64, name="bridge", builtin=True), ())
    await driver.create_network(default)
    net = driver.allocate_network(Network(id="1" * 64, name="net"), (default,))
    await driver.create_network(net)
    await asyncio.to_thread(driver._pool.wait_idle, 5)
    ports = (PortBinding(container_port=80, host_port=18080),)
    one = driver.reserve("a" * 64, ((default, EndpointSpec(network="bridge")),), ports)
    await driver.join("a" * 64, one, (default,))
    two = driver.reserve("b" * 64, ((net, EndpointSpec(network="net")),), ())
    await driver.join("b" * 64, two, (net,))
    endpoint = await driver.connect("a" * 64, one.sandbox_key, net, EndpointSpec(network="net"))
    await driver.disconnect("a" * 64, one.sandbox_key, endpoint)
    await driver.make_sandbox("c" * 64)
    await driver.leave("a" * 64, one)
    await driver.leave("b" * 64, two)
    await driver.delete_network(net)
    await driver.close()

# A process for each line on stdin (what to crash at); this one stays small and has no threads, so that it may fork.
for line in sys.stdin:
    name, listing = line.rstrip("\\n").split(",")
    pid = os.fork()
    if pid == 0:
        crash._plan = crash._Plan(name or None, listing or None)
        asyncio.run(main(*sys.argv[1:]))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


@pytest.fixture
def child(world, tmp_path):  # noqa: F811
    arguments = [sys.executable, "-c", CHILD, str(world.exec_root), world.tag, str(tmp_path / "engine.db")]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def run(point="", listing=""):
            process.stdin.write(f"{point},{listing}\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        yield run
        process.stdin.close()


async def test_a_kill_at_any_crash_point_is_repaired(world, again, tmp_path, child):  # noqa: F811
    listing = tmp_path / "points"
    assert child(listing=str(listing)) == 0
    points = sorted({point for point in listing.read_text().split() if point.startswith(("network.", "netns."))})
    assert len(points) >= 20
    for point in points:
        assert child(point) == EXIT_CODE, point
        driver = again(pool_size=0)  # noqa: F811
        await driver.reconcile((), {})
        await driver.close()
    found = settled(world, lambda found: not found["veths"])
    assert found == {**EMPTY, "nft_tables": [f"sampan-{world.tag}"]}


async def test_remove_all_leaves_nothing(world, driver, default):  # noqa: F811
    await start(driver, A, plain(default), (PortBinding(container_port=80, host_port=18080),))
    await driver.make_sandbox(B)
    await driver.close()
    survey.remove_all(world.exec_root, world.tag)
    survey.remove_all(world.exec_root, world.tag)
    assert settled(world, lambda found: found == EMPTY) == EMPTY
    assert not (world.exec_root / "netns").exists()
