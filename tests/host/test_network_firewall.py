"""Beside other people's firewalls."""

import asyncio

import pytest

from conformance.network import A, plain, start, user_network
from host.network_fixtures import again, default, driver, needs_root, world  # noqa: F401 - fixtures
from host.network_world import HOST, NEIGHBOUR, fetch, nft_query, nft_run
from sampan.model.container import PortBinding
from sampan.network import survey

pytestmark = needs_root

DROPPING = """table ip filter {
  chain %s { return
  }
  chain FORWARD { type filter hook forward priority 0; policy drop; jump %s
  }
}
"""


def rules(chain):
    return [row["rule"] for row in nft_query(f"list chain ip filter {chain}") if "rule" in row]


@pytest.mark.parametrize("chain", ["DOCKER-USER", "ufw-user-forward"])
async def test_the_documented_user_chain_lets_our_bridges_through(world, driver, chain):  # noqa: F811
    nft_run(DROPPING % (chain, chain))
    network = await user_network(driver)
    attachment = await start(driver, A, plain(network), (PortBinding(container_port=80, host_port=18080),))
    world.serve_tcp(attachment.sandbox_key, 80)
    world.serve_tcp(world.outside, 80)
    assert driver.warnings() == ()
    assert (await asyncio.to_thread(fetch, HOST, 18080, world.outside)).startswith(b"hello")
    assert (await asyncio.to_thread(fetch, NEIGHBOUR, 80, attachment.sandbox_key)).startswith(b"hello")
    ours = [rule for rule in rules(chain) if rule.get("comment") == f"sampan-{world.tag}"]
    assert len(ours) == 2
    again_network = await user_network(driver, network, id_="2" * 64, name="two")
    assert len(rules(chain)) == 5
    await driver.leave(A, attachment)
    await driver.delete_network(again_network)
    await driver.delete_network(network)
    assert len(rules(chain)) == 1, "theirs"


async def test_without_a_user_chain_the_reason_is_told(driver, caplog):  # noqa: F811
    nft_run("table inet corp {\n chain onward { type filter hook forward priority 0; policy drop;\n }\n}\n")
    await user_network(driver)
    (warning,) = driver.warnings()
    assert "inet corp onward" in warning
    assert "br-111111111111" in warning
    assert warning in caplog.text


async def test_remove_all_takes_our_rules_out_of_their_chain(world, driver):  # noqa: F811
    nft_run(DROPPING % ("DOCKER-USER", "DOCKER-USER"))
    await user_network(driver)
    await driver.close()
    survey.remove_all(world.exec_root, world.tag)
    assert len(rules("DOCKER-USER")) == 1
