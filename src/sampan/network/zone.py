"""DNS answers from containers' names. Pure: bytes in, bytes out; the wire format is dnslib's.

Spec: RFC 1035 section 4, RFC 3596 (AAAA), RFC 2308 (an empty NOERROR for a type that a name does not have).
"""

from __future__ import annotations

import ipaddress
import random
import struct
from collections.abc import Iterable

from dnslib import AAAA, PTR, QTYPE, RCODE, RR, A, DNSError, DNSLabel, DNSRecord

TTL_S = 5
"""Short: a container that is started anew has another address."""
_UDP_BYTES = 512
_HEADER = struct.Struct("!HHHHHH")
_CACHED = 512
_ARPA4, _ARPA6 = ".in-addr.arpa", ".ip6.arpa"


class Zone:
    """The names of one network: name -> addresses, with and without the network's own name behind."""

    def __init__(self, network_name: str, names: dict[str, tuple[str, ...]]) -> None:
        self._suffix = "." + network_name.lower()
        self._addresses = {name.lower().rstrip("."): addresses for name, addresses in names.items()}
        self._names: dict[str, str] = {}
        for name, addresses in names.items():
            for address in addresses:
                self._names.setdefault(str(ipaddress.ip_address(address)), f"{name}.{network_name}")

    def addresses(self, name: str) -> tuple[str, ...] | None:
        """Return the addresses of a (lower case) name, None when it is not ours."""
        return self._addresses.get(name) or self._addresses.get(name.removesuffix(self._suffix))

    def name(self, address: str) -> str | None:
        """Return the name of an address, None when it is not ours."""
        return self._names.get(address)


class Responder:
    """Answers one container's questions from the zones of its networks. Answers are kept by the raw question."""

    def __init__(self, zones: Iterable[Zone]) -> None:
        self._zones = tuple(zones)
        self._cache: dict[bytes, bytes] = {}

    def answer(self, query: bytes, *, limit: int = _UDP_BYTES) -> bytes | None:
        """Return the answer's bytes; None when the question is for somebody else; b"" when it is no question at all."""
        kept = self._cache.get(query[2:])
        if kept is not None:
            return query[:2] + kept
        try:
            asked = DNSRecord.parse(query)
        except (DNSError, ValueError, IndexError, struct.error):
            return b""
        if asked.header.qr:
            return b""
        if asked.header.opcode != 0:
            return refusal(query, RCODE.NOTIMP)
        if len(asked.questions) != 1:
            return refusal(query, RCODE.FORMERR)
        records = self._records(asked.q.qname, asked.q.qtype)
        if records is None:
            return None
        reply = asked.reply(ra=1, aa=0)
        random.shuffle(records)
        reply.add_answer(*records)
        packed = bytes(reply.pack())
        if len(packed) > max(limit, _payload(asked)):
            packed = bytes(reply.truncate().pack())
        elif len(records) < 2:
            self._keep(query[2:], packed[2:])
        return packed

    def _keep(self, key: bytes, value: bytes) -> None:
        if len(self._cache) >= _CACHED:
            self._cache.clear()
        self._cache[key] = value

    def _records(self, label: DNSLabel, kind: int) -> list[RR] | None:
        name = str(label).rstrip(".").lower()
        if kind == QTYPE.PTR:
            target = self._reverse(name)
            return None if target is None else [RR(label, QTYPE.PTR, rdata=PTR(target), ttl=TTL_S)]
        for zone in self._zones:
            addresses = zone.addresses(name)
            if addresses is not None:
                return [record for text in addresses if (record := _record(label, kind, text)) is not None]
        return None

    def _reverse(self, name: str) -> str | None:
        address = address_of(name)
        found = (zone.name(address) for zone in self._zones) if address is not None else ()
        return next((target for target in found if target is not None), None)


def _record(label: DNSLabel, kind: int, address: str) -> RR | None:
    if ":" in address:
        return RR(label, QTYPE.AAAA, rdata=AAAA(address), ttl=TTL_S) if kind in {QTYPE.AAAA, QTYPE.ANY} else None
    return RR(label, QTYPE.A, rdata=A(address), ttl=TTL_S) if kind in {QTYPE.A, QTYPE.ANY} else None


def _payload(asked: DNSRecord) -> int:
    """Return the size that the client takes, by its EDNS record."""
    sizes = [record.rclass for record in asked.ar if record.rtype == QTYPE.OPT]
    return int(sizes[0]) if sizes else 0


def address_of(name: str) -> str | None:
    """Return the address that a reverse name stands for, None when it is none."""
    try:
        if name.endswith(_ARPA4):
            return str(ipaddress.IPv4Address(".".join(reversed(name.removesuffix(_ARPA4).split(".")))))
        if name.endswith(_ARPA6):
            digits = "".join(reversed(name.removesuffix(_ARPA6).split(".")))
            return str(ipaddress.IPv6Address(bytes.fromhex(digits)))
    except ValueError:
        return None
    return None


def refusal(query: bytes, code: int) -> bytes:
    """Return an answer to `query` with nothing but an error code."""
    if len(query) < _HEADER.size:
        return b""
    ident, flags, *_ = _HEADER.unpack_from(query)
    return _HEADER.pack(ident, 0x8080 | (flags & 0x7900) | code, 1, 0, 0, 0) + _question(query)


def _question(query: bytes) -> bytes:
    """Return the first question's bytes, b"" when it is cut off."""
    position = _HEADER.size
    while position < len(query) and query[position]:
        position += query[position] + 1
    return query[_HEADER.size : position + 5]


def answers(query: bytes, response: bytes) -> bool:
    """Return whether `response` may be believed to answer `query`: same id and question."""
    return (
        len(response) >= _HEADER.size
        and response[:2] == query[:2]
        and bool(response[2] & 0x80)
        and (_question(response).lower() == _question(query).lower())
    )
