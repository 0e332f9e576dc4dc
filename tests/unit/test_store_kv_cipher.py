"""How values lie in a file: what goes in comes out, and nothing else does."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from sampan.base.errors import DataLoss
from sampan.store.kv.cipher import Plain, Sealed

OLD, NEW = b"1" * 32, b"2" * 32
SECRET, OTHER = "/core/secrets/a/b", "/core/pods/a/b"


def test_threads_share_one_packer():
    packer = Plain()

    def through(seed: int) -> bool:
        source = random.Random(seed)
        values = (bytes(source.choices(b'abc{}":,', k=source.randrange(9000))) for _ in range(200))
        return all(packer.unpack("k", packer.pack("k", value)) == value for value in values)

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(through, range(8)))


def test_what_is_below_a_prefix_is_sealed_and_the_rest_is_not():
    packer = Sealed({"new": NEW, "old": OLD}, ("/core/secrets/",))
    value = b"hunter2 " * 20
    sealed, plain = packer.pack(SECRET, value), packer.pack(OTHER, value)
    assert packer.unpack(SECRET, sealed) == packer.unpack(OTHER, plain) == value
    assert Plain().unpack(OTHER, plain) == value
    assert packer.pack(SECRET, value) != sealed, "a nonce is not used twice"
    written_before = Sealed({"old": OLD}, ("/core/secrets/",)).pack(SECRET, value)
    assert packer.unpack(SECRET, written_before) == value


@pytest.mark.parametrize(
    ("key", "packer", "says"),
    [
        ("/core/secrets/a/c", Sealed({"new": NEW}, ("/core/secrets/",)), "/core/secrets/a/c"),
        (SECRET, Sealed({"old": OLD}, ("/core/secrets/",)), "new"),
        (SECRET, Plain(), "encryption key"),
    ],
    ids=["moved to another key", "sealed with an unknown key", "no key was given"],
)
def test_what_is_sealed_opens_only_where_it_was_put_and_with_its_key(key, packer, says):
    sealed = Sealed({"new": NEW}, ("/core/secrets/",)).pack(SECRET, b"value")
    with pytest.raises(DataLoss, match=says):
        packer.unpack(key, sealed)


@pytest.mark.parametrize("packer", [Plain(), Sealed({"new": NEW}, ("/",))], ids=["plain", "sealed"])
def test_damage_is_said(packer):
    packed = packer.pack(SECRET, b"value" * 9)
    with pytest.raises(DataLoss, match=SECRET):
        packer.unpack(SECRET, packed[:-3] + b"xyz")
