"""Laws of the network's pure parts."""

import ipaddress

from dnslib import DNSRecord
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.base.errors import SampanError
from sampan.model.network import Network, Subnet
from sampan.network import plan
from sampan.network.addresses import AddressBook
from sampan.network.plan import Defaults, Surroundings
from sampan.network.zone import Responder, Zone

BOOK = Network(id="1" * 64, name="net", subnets=(Subnet(subnet="10.0.0.0/28", gateway="10.0.0.1"),))


QUESTION = bytes(DNSRecord.question("web.lan", "ANY").pack())


@given(
    st.binary(max_size=600)
    | st.binary(max_size=40).map(lambda tail: QUESTION + tail)
    | st.tuples(st.integers(0, len(QUESTION) - 1), st.integers(0, 255)).map(
        lambda change: QUESTION[: change[0]] + bytes([change[1]]) + QUESTION[change[0] + 1 :]
    )
)
@settings(deadline=None, max_examples=300)
def test_no_bytes_break_the_name_server(data):
    answer = Responder((Zone("lan", {"web": ("10.0.0.2",)}),)).answer(data)
    assert answer is None or isinstance(answer, bytes)


@given(st.lists(st.tuples(st.sampled_from(["take", "give", "claim"]), st.integers(0, 5), st.integers(0, 15))))
@settings(deadline=None)
def test_an_address_has_one_owner(steps):
    book, held = AddressBook(), {}
    for verb, owner, number in steps:
        address = f"10.0.0.{number}"
        try:
            if verb == "take":
                address = book.take(BOOK, 4, str(owner))
            elif verb == "claim":
                book.claim(BOOK, address, str(owner))
            else:
                book.give(BOOK.id, address, str(owner))
                if held.get(address) == owner:
                    del held[address]
                continue
        except SampanError:
            assert verb != "take" or len(held) == 13
            assert verb != "claim" or held.get(address, -1) != owner
            continue
        assert held.get(address, owner) == owner
        assert address not in {"10.0.0.0", "10.0.0.1", "10.0.0.15"}
        held[address] = owner
    assert {address: book.holder(BOOK, address) for address in held} == {
        address: str(owner) for address, owner in held.items()
    }


@given(
    st.lists(st.booleans(), max_size=40), st.lists(st.sampled_from(["172.16.0.0/12", "192.168.64.0/18", "10.0.0.0/8"]))
)
@settings(deadline=None, max_examples=30)
def test_networks_never_overlap(wishes, routed):
    around = Surroundings(routed=dict.fromkeys(routed, "eth0"), interfaces=("eth0",))
    made = []
    for number, ipv6 in enumerate(wishes):
        wanted = Network(id=f"{number:064d}"[::-1], name=str(number), ipv6=ipv6)
        try:
            made.append(plan.allocate(wanted, made, around, Defaults(bridge="sampan0", seed="x")))
        except SampanError:
            continue
    subnets = [ipaddress.ip_network(subnet.subnet) for network in made for subnet in network.subnets]
    subnets += [ipaddress.ip_network(text) for text in set(routed)]
    for index, one in enumerate(subnets):
        assert not any(
            one.version == other.version and one.overlaps(other)
            for other in subnets[:index]
            if str(other) not in routed
        )


@given(st.text(max_size=40))
@settings(deadline=None)
def test_any_subnet_text_is_taken_or_refused_in_words(text):
    try:
        found = plan.allocate(
            Network(id="1" * 64, name="n", subnets=(Subnet(subnet=text),)), (), Surroundings(), Defaults(bridge="b")
        )
    except SampanError as error:
        assert error.message
    else:
        ipaddress.ip_network(found.subnets[0].subnet)
