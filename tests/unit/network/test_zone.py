"""Answers from names, byte for byte by dnslib's own parser."""

import pytest
from dnslib import EDNS0, QTYPE, RCODE, DNSHeader, DNSQuestion, DNSRecord

from sampan.network import zone
from sampan.network.upstream import parse_servers
from sampan.network.zone import Responder, Zone, address_of

LAN = Zone(
    "lan", {"Web": ("10.0.0.2", "fd00::2"), "db": ("10.0.0.3",), "many": tuple(f"10.0.1.{n}" for n in range(60))}
)


def ask(name, kind="A", *, zones=(LAN,), limit=512, edns=0):
    query = DNSRecord.question(name, kind)
    if edns:
        query.add_ar(EDNS0(udp_len=edns))
    raw = Responder(zones).answer(bytes(query.pack()), limit=limit)
    return None if raw is None else DNSRecord.parse(raw)


@pytest.mark.parametrize(
    ("name", "kind", "texts"),
    [
        ("web", "A", ["10.0.0.2"]),
        ("wEB", "AAAA", ["fd00::2"]),
        ("web.lan", "A", ["10.0.0.2"]),
        ("db", "AAAA", []),
        ("db", "TXT", []),
        ("web", "ANY", ["10.0.0.2", "fd00::2"]),
        ("2.0.0.10.in-addr.arpa", "PTR", ["Web.lan."]),
        ("2" + ".0" * 27 + ".0.0.d.f.ip6.arpa", "PTR", ["Web.lan."]),
    ],
)
def test_our_names_are_answered(name, kind, texts):
    answer = ask(name, kind)
    assert sorted(str(record.rdata) for record in answer.rr) == texts
    assert RCODE[answer.header.rcode] == "NOERROR"
    assert answer.header.ra
    assert str(answer.q.qname).lower() == name.lower() + "."


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("www.example", "A"),
        ("other.lan", "A"),
        ("lan", "A"),
        ("9.9.9.9.in-addr.arpa", "PTR"),
        ("x.in-addr.arpa", "PTR"),
    ],
)
def test_other_names_are_not_ours(name, kind):
    assert ask(name, kind) is None


def test_the_first_network_wins():
    assert str(ask("web", zones=(Zone("a", {"web": ("10.9.9.9",)}), LAN)).rr[0].rdata) == "10.9.9.9"


def test_long_answers_are_cut_over_udp_and_whole_where_there_is_room():
    assert ask("many").header.tc
    assert len(ask("many", edns=4096).rr) == 60
    assert len(ask("many", limit=65535).rr) == 60


def test_answers_are_kept_and_the_id_is_the_askers():
    responder = Responder((LAN,))
    for ident in (1, 2, 40000):
        query = DNSRecord(DNSHeader(id=ident, rd=1), q=DNSQuestion("web", QTYPE.A))
        assert DNSRecord.parse(responder.answer(bytes(query.pack()))).header.id == ident


def test_many_addresses_are_given_in_turns():
    assert len({str(ask("many", limit=65535).rr[0].rdata) for _ in range(50)}) > 1


def test_other_operations_and_two_questions_are_refused():
    responder = Responder((LAN,))
    notify = bytes(DNSRecord(DNSHeader(opcode=4), q=DNSQuestion("web")).pack())
    assert RCODE[DNSRecord.parse(responder.answer(notify)).header.rcode] == "NOTIMP"
    two = bytes(DNSRecord(DNSHeader(), questions=[DNSQuestion("web"), DNSQuestion("db")]).pack())
    assert RCODE[DNSRecord.parse(responder.answer(two)).header.rcode] == "FORMERR"


def test_an_answer_to_another_question_is_not_believed():
    query = DNSRecord.question("www.example").pack()
    good = DNSRecord.parse(query).reply().pack()
    assert zone.answers(query, good)
    assert not zone.answers(query, b"\0\0" + good[2:])
    assert not zone.answers(query, query)
    assert not zone.answers(query, DNSRecord.question("www.evil.example").reply().pack())
    assert not zone.answers(query, good[:11])


@pytest.mark.parametrize("name", ["1.2.3.in-addr.arpa", "a.b.c.d.in-addr.arpa", "1.ip6.arpa", "zz.ip6.arpa", ""])
def test_reverse_names_that_are_none(name):
    assert address_of(name) is None


def test_resolv_conf_is_read():
    assert parse_servers("# x\nnameserver 1.1.1.1\n nameserver ::1 # y\nsearch a\nnameserver\n") == ("1.1.1.1", "::1")
