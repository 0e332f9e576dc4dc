"""A host of its own for a test: the test's thread in a fresh network namespace, a neighbour on its wire, small servers."""

import contextlib
import ipaddress
import os
import socket
import threading

from sampan.host import netlink_message as message
from sampan.host import netlink_query as query
from sampan.host import netns, nft, syscalls
from sampan.host.netlink import Netlink

HOST, NEIGHBOUR = "198.51.100.1", "198.51.100.2"
HOST6, NEIGHBOUR6 = "2001:db8::1", "2001:db8::2"


class World:
    """See the module. Threads and event loops made while it is entered live in it too."""

    def __init__(self, directory):
        self.directory = directory
        self.outside = str(directory / "outside")
        self._sockets = []

    def __enter__(self):
        self._home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        syscalls.unshare(syscalls.CLONE_NEWNET)
        with Netlink() as netlink:
            netlink.batch(message.link_up(1))
            self._neighbour(netlink)
        return self

    def __exit__(self, *_):
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        netns.drop(self.outside)
        syscalls.setns(self._home, syscalls.CLONE_NEWNET)
        os.close(self._home)

    def _neighbour(self, netlink):
        netlink.batch(message.bridge_new("wire", mac="02:00:00:00:00:01"), message.link_set("wire", up=True))
        wire = query.link(netlink, "wire").index
        inner = netns.make(self.outside)
        with inner, open(self.outside) as target:
            netlink.batch(
                message.veth_new(
                    "far", master=wire, peer="eth0", peer_ns_fd=target.fileno(), peer_mac="02:00:00:00:00:02"
                )
            )
            eth0 = query.link(inner, "eth0").index
            inner.batch(
                message.link_up(1),
                message.link_up(eth0),
                *(
                    message.address_add(eth0, ipaddress.ip_interface(text))
                    for text in (f"{NEIGHBOUR}/24", f"{NEIGHBOUR6}/64")
                ),
                *(message.default_route(ipaddress.ip_address(text), eth0) for text in (HOST, HOST6)),
            )
        netlink.batch(
            *(message.address_add(wire, ipaddress.ip_interface(text)) for text in (f"{HOST}/24", f"{HOST6}/64"))
        )

    def serve_tcp(self, path, port, body=b"hello", host="0.0.0.0"):
        """Answer every connection inside of the namespace with the body and the peer's address."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        server = netns.run_in(path, lambda: socket.create_server((host, port), family=family))
        self._sockets.append(server)

        def loop():
            with contextlib.suppress(OSError):
                while True:
                    connection, peer = server.accept()
                    with connection:
                        connection.sendall(body + b" " + peer[0].encode())

        threading.Thread(target=loop, daemon=True).start()
        return server

    def serve_udp(self, path, port, body=b"hello"):
        server = netns.run_in(path, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self._sockets.append(server)
        server.bind(("0.0.0.0", port))

        def loop():
            with contextlib.suppress(OSError):
                while True:
                    _, peer = server.recvfrom(2048)
                    if not peer:  # shut down
                        return
                    server.sendto(body + b" " + peer[0].encode(), peer)

        threading.Thread(target=loop, daemon=True).start()
        return server


def nft_run(commands):
    """Carry out nft commands with a handle of its own: a handle stays in the namespace that it was made in."""
    handle = nft.Nft()
    try:
        handle.run(commands)
    finally:
        handle.close()


def nft_query(command):
    handle = nft.Nft()
    try:
        return handle.query(command)
    finally:
        handle.close()


def fetch(address, port, path=None, timeout_s=3.0):
    """Return all bytes that a TCP server sends, or the error's name; from the namespace at `path`."""

    def go():
        try:
            with socket.create_connection((address, port), timeout=timeout_s) as connection:
                return b"".join(iter(lambda: connection.recv(4096), b""))
        except OSError as error:
            return type(error).__name__.encode()

    return netns.run_in(path, go) if path else go()


def ask_udp(address, port, path=None, timeout_s=3.0, data=b"?"):
    def go():
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.settimeout(timeout_s)
            try:
                one.sendto(data, (address, port))
                return one.recv(65535)
            except OSError as error:
                return type(error).__name__.encode()

    return netns.run_in(path, go) if path else go()
