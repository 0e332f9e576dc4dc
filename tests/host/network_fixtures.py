"""Fixtures of the network driver's tests on a real kernel; import those that a test file uses."""

import asyncio
import os
import secrets

import pytest

from conformance.network import default_network
from host.network_world import World
from sampan.host import netns
from sampan.network.linux import LinuxNetworkDriver
from sampan.network.upstream import RESOLV_CONF

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces")


@pytest.fixture
def world(tmp_path):
    with World(tmp_path) as world:
        world.tag = secrets.token_hex(3)
        world.exec_root = tmp_path / "exec"
        world.resolv_conf = RESOLV_CONF
        yield world
        netns.remove_directory(world.exec_root / "netns")  # the rest goes with the world


@pytest.fixture
def again(world):
    made = []

    def make(**options):
        options = {"pool_size": 2, "resolv_conf": world.resolv_conf, **options}
        made.append(LinuxNetworkDriver(world.exec_root, world.tag, "sampan0", "172.30.0.1/16", **options))
        return made[-1]

    yield make
    for driver in made:
        asyncio.run(driver.close())


@pytest.fixture
def driver(again):
    return again()


@pytest.fixture
async def default(driver):
    network = default_network(driver)
    await driver.create_network(network)
    return network
