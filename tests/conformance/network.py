"""What every NetworkDriver does. Subclasses give `driver` (bip 172.30.0.1/16) and `again` (a new driver on the same host)."""

import pytest

from sampan.base.errors import Conflict, Exhausted, InvalidArgument
from sampan.model.container import EndpointSpec, PortBinding
from sampan.model.network import Network, Subnet
from sampan.network.port import Attachment

A, B, C = "a" * 64, "b" * 64, "c" * 64


def default_network(driver):
    return driver.allocate_network(Network(id="0" * 64, name="bridge", builtin=True), ())


def plain(network, **wish):
    return ((network, EndpointSpec(network=network.name, **wish)),)


async def user_network(driver, *existing, name="net", id_="1" * 64, **fields):
    network = driver.allocate_network(Network(id=id_, name=name, **fields), existing)
    await driver.create_network(network)
    return network


async def start(driver, container_id, wishes, ports=()):
    attachment = driver.reserve(container_id, wishes, ports)
    return await driver.join(container_id, attachment, tuple(network for network, _ in wishes))


class NetworkDriverSuite:
    @pytest.fixture
    async def default(self, driver):
        network = default_network(driver)
        await driver.create_network(network)
        return network

    async def test_the_default_network_has_the_bridge_address_asked_for(self, driver, default):
        assert default.subnets == (Subnet(subnet="172.30.0.0/16", gateway="172.30.0.1"),)
        assert default.bridge

    async def test_user_networks_get_apart_subnets_and_bridges_named_after_them(self, driver, default):
        first = await user_network(driver, default, id_="1" * 64)
        second = await user_network(driver, default, first, id_="2" * 64)
        assert first.bridge == "br-" + "1" * 12
        assert first.subnets != second.subnets

    @pytest.mark.parametrize(
        ("subnet", "error", "text"),
        [
            (Subnet(subnet="10.9.0.0/16", gateway="10.8.0.1"), InvalidArgument, "no matching subnet for gateway"),
            (Subnet(subnet="10.9.0.0/16", ip_range="10.8.0.0/24"), InvalidArgument, "not inside"),
            (Subnet(subnet="10.9.0.5/16"), InvalidArgument, "it should be 10.9.0.0/16"),
            (Subnet(subnet="10.9.0.0/33"), InvalidArgument, "invalid subnet"),
            (Subnet(subnet="10.9.0.0/31"), InvalidArgument, "smallest"),
            (Subnet(subnet="127.9.0.0/16"), InvalidArgument, "reserved"),
            (Subnet(subnet="172.30.128.0/24"), Conflict, "Pool overlaps with other one on this address space"),
            (Subnet(subnet="10.9.0.0/16", reserved={"host": "10.8.0.1"}), InvalidArgument, "host"),
        ],
    )
    async def test_impossible_subnets_are_refused(self, driver, default, subnet, error, text):
        with pytest.raises(error, match=text):
            driver.allocate_network(Network(id="1" * 64, name="bad", subnets=(subnet,)), (default,))

    @pytest.mark.parametrize(
        "options",
        [
            {"com.docker.network.driver.mtu": "many"},
            {"com.docker.network.driver.mtu": "10"},
            {"com.docker.network.bridge.enable_icc": "maybe"},
            {"com.docker.network.bridge.host_binding_ipv4": "here"},
            {"com.docker.network.bridge.name": "a/b"},
            {"com.docker.network.bridge.name": "a-name-that-is-too-long"},
            {"com.docker.network.bridge.nonsense": "1"},
            {"com.docker.network.bridge.gateway_mode_ipv4": "routed"},
        ],
    )
    async def test_options_that_mean_nothing_are_refused(self, driver, options):
        with pytest.raises(InvalidArgument, match=r"com\.docker\.network|interface name"):
            driver.allocate_network(Network(id="1" * 64, name="bad", options=options), ())

    async def test_a_bridge_name_is_for_one_network(self, driver, default):
        with pytest.raises(Conflict, match="belongs to network bridge"):
            options = {"com.docker.network.bridge.name": default.bridge}
            driver.allocate_network(Network(id="1" * 64, name="bad", options=options), (default,))

    async def test_an_ipv6_network_gets_a_subnet_of_its_own(self, driver):
        network = await user_network(driver, ipv6=True)
        assert [":" in subnet.subnet for subnet in network.subnets] == [False, True]
        attachment = await start(driver, A, plain(network))
        assert attachment.endpoints[0].ipv6.startswith("fd")
        assert attachment.endpoints[0].gateway6
        await driver.leave(A, attachment)

    async def test_containers_have_apart_addresses_and_macs_that_follow_from_them(self, driver, default):
        attachments = [await start(driver, container, plain(default)) for container in (A, B, C)]
        endpoints = [attachment.endpoints[0] for attachment in attachments]
        assert len({endpoint.ipv4 for endpoint in endpoints}) == 3
        for endpoint in endpoints:
            assert endpoint.gateway == "172.30.0.1"
            assert endpoint.ipv4_prefix == 16
            assert endpoint.mac == "02:42:" + ":".join(f"{int(part):02x}" for part in endpoint.ipv4.split("."))
        for container, attachment in zip((A, B, C), attachments, strict=True):
            await driver.leave(container, attachment)

    async def test_a_wished_address_and_mac_are_given_once(self, driver):
        network = await user_network(driver, subnets=(Subnet(subnet="10.77.0.0/24"),))
        attachment = await start(driver, A, plain(network, ipv4="10.77.0.50", mac="02:00:00:00:00:07"))
        assert attachment.endpoints[0].ipv4 == "10.77.0.50"
        assert attachment.endpoints[0].mac == "02:00:00:00:00:07"
        with pytest.raises(Conflict, match="Address already in use"):
            driver.reserve(B, plain(network, ipv4="10.77.0.50"), ())
        await driver.leave(A, attachment)
        again = await start(driver, B, plain(network, ipv4="10.77.0.50"))
        await driver.leave(A, attachment)  # a second time: the address is not A's to give
        with pytest.raises(Conflict, match="Address already in use"):
            driver.reserve(C, plain(network, ipv4="10.77.0.50"), ())
        await driver.leave(B, again)

    @pytest.mark.parametrize(
        "wish",
        [
            {"ipv4": "10.78.0.5"},
            {"ipv4": "nonsense"},
            {"ipv6": "fd00::5"},
            {"mac": "zz:00:00:00:00:00"},
            {"mac": "01:00:00:00:00:00"},
            {"driver_options": {"com.docker.network.endpoint.ifname": "lo"}},
            {"driver_options": {"com.docker.network.endpoint.nonsense": "1"}},
        ],
    )
    async def test_an_impossible_wish_is_refused_and_holds_nothing(self, driver, wish):
        network = await user_network(driver, subnets=(Subnet(subnet="10.77.0.0/30"),))
        with pytest.raises(InvalidArgument):
            driver.reserve(A, plain(network, **wish), ())
        driver.release(A, driver.reserve(A, plain(network), ()))

    async def test_addresses_run_out_and_come_back(self, driver):
        subnet = Subnet(subnet="10.77.0.0/29", ip_range="10.77.0.0/30", reserved={"router": "10.77.0.2"})
        network = await user_network(driver, subnets=(subnet,))
        attachment = await start(driver, A, plain(network))
        assert attachment.endpoints[0].ipv4 == "10.77.0.3"
        with pytest.raises(Exhausted, match="no available IPv4 addresses"):
            driver.reserve(B, plain(network), ())
        await driver.leave(A, attachment)
        await driver.leave(B, await start(driver, B, plain(network)))

    async def test_a_taken_port_is_refused_with_dockers_text_and_nothing_is_held(self, driver, default):
        network = await user_network(driver, default, subnets=(Subnet(subnet="10.77.0.0/30"),))
        binding = PortBinding(container_port=80, host_port=18080)
        attachment = await start(driver, A, plain(default), (binding,))
        with pytest.raises(Conflict) as caught:
            driver.reserve(B, plain(network), (PortBinding(container_port=81, host_port=18081), binding))
        assert caught.value.message.startswith(
            "driver failed programming external connectivity on endpoint bbbbbbbbbbbb"
        )
        assert "Bind for 0.0.0.0:18080 failed: port is already allocated" in caught.value.message
        await driver.leave(A, attachment)
        other = (PortBinding(container_port=81, host_port=18081), binding)
        await driver.leave(B, await start(driver, B, plain(network), other))

    async def test_a_port_on_one_address_leaves_the_others_free(self, driver, default):
        first = await start(
            driver, A, plain(default), (PortBinding(container_port=80, host_ip="127.0.0.1", host_port=18080),)
        )
        second = await start(
            driver, B, plain(default), (PortBinding(container_port=80, host_ip="127.0.0.2", host_port=18080),)
        )
        udp = await start(
            driver,
            C,
            plain(default),
            (PortBinding(container_port=80, protocol="udp", host_ip="127.0.0.1", host_port=18080),),
        )
        assert [port.host_ip for port in first.ports] == ["127.0.0.1"]
        for container, attachment in ((A, first), (B, second), (C, udp)):
            await driver.leave(container, attachment)

    async def test_random_ports_and_ranges(self, driver, default):
        free = PortBinding(container_port=80)
        ranged = PortBinding(container_port=81, host_port=18100, host_port_end=18101)
        first = await start(driver, A, plain(default), (free, ranged))
        second = await start(driver, B, plain(default), (free, ranged))
        ports = [{port.host_port for port in attachment.ports} for attachment in (first, second)]
        assert not ports[0] & ports[1]
        assert 18100 in ports[0]
        assert 18101 in ports[1]
        with pytest.raises(Exhausted, match="all ports are allocated"):
            driver.reserve(C, plain(default), (ranged,))
        await driver.leave(A, first)
        await driver.leave(B, second)

    @pytest.mark.parametrize(
        "binding",
        [
            PortBinding(container_port=0),
            PortBinding(container_port=80, protocol="icmp"),
            PortBinding(container_port=80, host_ip="here"),
            PortBinding(container_port=80, host_port=70000),
        ],
    )
    async def test_impossible_ports_are_refused(self, driver, default, binding):
        with pytest.raises(InvalidArgument):
            driver.reserve(A, plain(default), (binding,))

    async def test_a_released_reservation_can_be_had_again(self, driver, default):
        binding = PortBinding(container_port=80, host_port=18080)
        for _ in range(3):
            driver.release(A, driver.reserve(A, plain(default), (binding,)))

    async def test_leave_may_be_repeated_and_needs_no_join(self, driver, default):
        attachment = driver.reserve(A, plain(default), ())
        await driver.leave(A, attachment)
        await driver.leave(A, attachment)

    async def test_join_may_be_repeated(self, driver, default):
        attachment = driver.reserve(A, plain(default), (PortBinding(container_port=80, host_port=18080),))
        first = await driver.join(A, attachment, (default,))
        assert await driver.join(A, attachment, (default,)) == first
        assert [row.interface for row in await driver.usage(first.sandbox_key)] == ["eth0"]
        await driver.leave(A, first)

    async def test_connect_and_disconnect_while_it_runs(self, driver, default):
        network = await user_network(driver, default)
        attachment = await start(driver, A, plain(default))
        endpoint = await driver.connect(
            A, attachment.sandbox_key, network, EndpointSpec(network="net", aliases=("web",))
        )
        assert endpoint.aliases == ("web",)
        assert sorted(row.interface for row in await driver.usage(attachment.sandbox_key)) == ["eth0", "eth1"]
        await driver.disconnect(A, attachment.sandbox_key, endpoint)
        await driver.disconnect(A, attachment.sandbox_key, endpoint)
        assert [row.interface for row in await driver.usage(attachment.sandbox_key)] == ["eth0"]
        await driver.leave(A, attachment)

    async def test_two_networks_at_start_and_an_interface_by_name(self, driver, default):
        network = await user_network(driver, default)
        wish = EndpointSpec(network="net", driver_options={"com.docker.network.endpoint.ifname": "lan0"})
        attachment = await start(driver, A, ((default, EndpointSpec(network="bridge")), (network, wish)))
        assert sorted(row.interface for row in await driver.usage(attachment.sandbox_key)) == ["eth0", "lan0"]
        await driver.leave(A, attachment)

    async def test_mode_none_has_a_sandbox_without_interfaces(self, driver):
        path = await driver.make_sandbox(A)
        assert await driver.usage(path) == ()
        await driver.leave(A, Attachment(sandbox_key=path))

    async def test_names_are_resolved_on_user_networks_only(self, driver, default):
        network = await user_network(driver, default)
        on_default = driver.reserve(A, plain(default), ())
        on_own = driver.reserve(B, plain(network), ())
        assert driver.nameserver(on_default) is None
        assert driver.nameserver(on_own) == "127.0.0.11"
        driver.release(A, on_default)
        driver.release(B, on_own)

    async def test_a_container_on_internal_networks_only_publishes_nothing(self, driver):
        network = await user_network(driver, internal=True)
        attachment = await start(driver, A, plain(network), (PortBinding(container_port=80, host_port=18080),))
        assert attachment.ports == ()
        await driver.leave(A, attachment)

    async def test_a_restarted_driver_holds_what_runs(self, driver, again, default):
        network = await user_network(driver, default, subnets=(Subnet(subnet="10.77.0.0/24"),))
        binding = PortBinding(container_port=80, host_port=18080)
        attachment = await start(driver, A, plain(network, ipv4="10.77.0.9"), (binding,))
        await driver.close()
        second = again()
        await second.reconcile((default, network), {A: attachment})
        with pytest.raises(Conflict, match="Address already in use"):
            second.reserve(B, plain(network, ipv4="10.77.0.9"), ())
        with pytest.raises(Conflict, match="port is already allocated"):
            second.reserve(B, plain(network), (binding,))
        assert [row.interface for row in await second.usage(attachment.sandbox_key)] == ["eth0"]
        await second.leave(A, attachment)
        await second.leave(B, await start(second, B, plain(network, ipv4="10.77.0.9"), (binding,)))

    async def test_networks_may_be_deleted_twice(self, driver):
        network = await user_network(driver)
        await driver.delete_network(network)
        await driver.delete_network(network)
        await user_network(driver)
