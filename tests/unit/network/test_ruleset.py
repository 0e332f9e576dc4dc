"""The table's text."""

import pytest

from sampan.model.network import Network, Subnet
from sampan.network import ruleset
from sampan.network.ruleset import Forward


def forward(host_ip, target="172.17.0.2", protocol="tcp"):
    return Forward(host_ip=host_ip, protocol=protocol, host_port=8080, target_ip=target, target_port=80)


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (forward("0.0.0.0"), "add element inet t ports4_any { tcp . 8080 : 172.17.0.2 . 80 }\n"),
        (forward("127.0.0.1"), "add element inet t ports4_address { 127.0.0.1 . tcp . 8080 : 172.17.0.2 . 80 }\n"),
        (forward("::", "fd00::2", "udp"), "add element inet t ports6_any { udp . 8080 : fd00::2 . 80 }\n"),
        (forward("fd01::1", "fd00::2"), "add element inet t ports6_address { fd01::1 . tcp . 8080 : fd00::2 . 80 }\n"),
    ],
)
def test_a_port_is_an_element_of_one_map(row, text):
    assert ruleset.add("t", [row]) == text


def test_internal_and_unmasked_networks_are_not_masqueraded():
    def network(name, number, **fields):
        subnet = Subnet(subnet=f"10.{number}.0.0/16", gateway=f"10.{number}.0.1")
        return Network(id=name * 64, name=name, bridge=f"br-{name}", subnets=(subnet,), **fields)

    off = {"com.docker.network.bridge.enable_ip_masquerade": "false", "com.docker.network.bridge.enable_icc": "false"}
    networks = (
        network("a", 1),
        network("b", 2, internal=True),
        network("c", 3, options=off),
        Network(id="h", name="host", driver="host"),
    )
    lines = {
        line.split(" { ")[0].strip(): line
        for line in ruleset.whole("t", networks, ()).splitlines()
        if "elements" in line
    }
    assert "10.1.0.0/16" in lines["set masked4"]
    assert "10.2.0.0/16" not in lines["set masked4"]
    assert "10.3.0.0/16" not in lines["set masked4"]
    assert '"br-b"' in lines["set internal"]
    assert '"br-c" . "br-c"' not in lines["set talking"]
    assert all(f'"br-{name}"' in lines["set bridges"] for name in "abc")
