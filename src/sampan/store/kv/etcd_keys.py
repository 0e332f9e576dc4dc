"""Keys of a store as they lie in etcd: below a prefix, as bytes; values packed; and etcd's events as the store's."""

from __future__ import annotations

from typing import Any

from sampan.base.errors import InvalidArgument
from sampan.spec import etcd
from sampan.store.kv.cipher import Packer
from sampan.store.kv.port import Compacted, Event, Item


class EtcdKeys:
    """Values are packed under the store's key, without the prefix: a backup can be restored below another one."""

    def __init__(self, prefix: str, packer: Packer) -> None:
        self._prefix = prefix.encode()
        self._packer = packer

    def key(self, key: str) -> bytes:
        """Return a key as it is in etcd."""
        if not key.startswith("/"):
            raise InvalidArgument(f"the key {key!r} does not begin with a slash")
        return self._prefix + key.encode()

    def span(self, prefix: str, after: str = "") -> tuple[bytes, bytes]:
        """Return the first key of a range and the one that its last is before."""
        start = self.key(prefix or "/")
        first = self.key(after) + b"\0" if after and after >= prefix else start
        return first, _past(start)

    def pack(self, key: str, value: bytes) -> bytes:
        return self._packer.pack(key, value)

    def item(self, kv: Any) -> Item:
        """Raises: DataLoss."""
        key = self._name(kv.key)
        return Item(key, self._packer.unpack(key, kv.value), kv.create_revision, kv.mod_revision, kv.version)

    def event(self, found: Any) -> Event:
        """Return a change as the store tells it.

        Raises:
            DataLoss
            Compacted: the value before it is gone, so that it cannot be told whole.
        """
        kv = found.kv
        key = self._name(kv.key)
        before = self.item(found.prev_kv) if found.HasField("prev_kv") else None
        gone = found.type == etcd.EVENT_DELETE
        if before is None and (gone or kv.version > 1):
            raise Compacted(kv.mod_revision)
        return Event(
            key,
            None if gone else self._packer.unpack(key, kv.value),
            kv.mod_revision,
            before.create_revision if gone and before else kv.create_revision,
            kv.version,
            before.value if before else None,
            before.mod_revision if before else 0,
        )

    def _name(self, key: bytes) -> str:
        return key[len(self._prefix) :].decode(
            errors="replace"
        )  # a stranger's key is one more value that cannot be read


def _past(prefix: bytes) -> bytes:
    """Return the smallest key that is greater than all that begin with `prefix`: UTF-8 has no byte 0xff."""
    return prefix[:-1] + bytes([prefix[-1] + 1])
