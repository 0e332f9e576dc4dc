"""Give a process a network: a namespace with an address on a bridge, and a published port; the process is a plain one.

    sudo .venv/bin/python docs/examples/give_network.py

No image, no runtime, no daemon: only the network capability, and what it made is removed at the end.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import tempfile
from pathlib import Path

from sampan.base.ids import random_id
from sampan.host.netns import run_in
from sampan.model.container import EndpointSpec, PortBinding
from sampan.model.network import Network, Subnet
from sampan.network.linux import LinuxNetworkDriver
from sampan.network.survey import remove_all

TAG = "0feeed"  # marks everything on the host that is this program's


async def main(subnet: str) -> None:
    exec_root = Path(tempfile.mkdtemp())
    driver = LinuxNetworkDriver(exec_root, TAG, "pier0", pool_size=0)
    try:
        await driver.reconcile((), {})
        wish = Network(id=random_id(), name="pier", bridge="pier1", subnets=(Subnet(subnet=subnet),))
        network = driver.allocate_network(wish, ())
        await driver.create_network(network)

        name = random_id()
        reserved = driver.reserve(name, ((network, EndpointSpec(network="pier")),), (PortBinding(container_port=80),))
        place = await driver.join(name, reserved, (network,))
        address, port = place.endpoints[0].ipv4, place.ports[0].host_port
        print(
            f"namespace {Path(place.sandbox_key).name} has {address}; port {port} of this machine leads to its port 80"
        )

        server = run_in(place.sandbox_key, lambda: socket.create_server(("0.0.0.0", 80)))
        with server, socket.create_connection((address, 80), 5) as client:
            connection, peer = server.accept()
            with connection:
                connection.sendall(f"hello {peer[0]}, from inside".encode())
            print("over the bridge:", client.recv(99).decode())

        await driver.leave(name, place)
        await driver.delete_network(network)
    finally:
        await driver.close()
        remove_all(exec_root, TAG)
        exec_root.rmdir()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "10.213.0.0/24"))
