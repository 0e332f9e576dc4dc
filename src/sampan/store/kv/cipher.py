"""How values lie in a file: zstd, and AES-GCM around it for keys below given prefixes.

A packed value begins with a byte that says which: 0 plain zstd, 1 encrypted. An encrypted one goes on with the key's id
(a length byte and the id), a nonce of 12 bytes, and the ciphertext. The store's key is additional data, so a value cannot
be moved to another key.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Mapping, Sequence
from typing import Protocol

from sampan.base.errors import DataLoss

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_LEVEL = 1
_PLAIN, _SEALED = b"\x00", b"\x01"
_NONCE_BYTES = 12


class Packer(Protocol):
    """Called from the loop and from the writer's thread."""

    def pack(self, key: str, value: bytes) -> bytes: ...

    def unpack(self, key: str, packed: bytes) -> bytes:
        """Raises: DataLoss, the bytes are damaged or sealed with an unknown key."""
        ...


class Plain:
    """Compressed only."""

    def __init__(self) -> None:
        self._compressor = zstd.ZstdCompressor(
            _LEVEL
        )  # to make one takes longer than to compress a pod; it locks itself

    def pack(self, key: str, value: bytes) -> bytes:
        return _PLAIN + self._compressor.compress(value, zstd.ZstdCompressor.FLUSH_FRAME)

    def unpack(self, key: str, packed: bytes) -> bytes:
        if packed[:1] != _PLAIN:
            raise DataLoss(f"the value of {key} is encrypted, and no key was given: start with the encryption key")
        try:
            return zstd.decompress(memoryview(packed)[1:])
        except zstd.ZstdError as error:
            raise DataLoss(f"the value of {key} is damaged: {error}") from error


class Sealed:
    """Encrypted below `prefixes`; written with the first key, read with any."""

    def __init__(self, keys: Mapping[str, bytes], prefixes: Sequence[str]) -> None:
        """`keys`: id -> 32 bytes, the newest first; ids are ASCII and short."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._ciphers = {name: AESGCM(key) for name, key in keys.items()}
        self._newest = next(iter(self._ciphers))
        self._prefixes = tuple(prefixes)
        self._plain = Plain()

    def pack(self, key: str, value: bytes) -> bytes:
        if not key.startswith(self._prefixes):
            return self._plain.pack(key, value)
        name, nonce = self._newest.encode(), secrets.token_bytes(_NONCE_BYTES)
        sealed = self._ciphers[self._newest].encrypt(nonce, zstd.compress(value, _LEVEL), key.encode())
        return b"%b%c%b%b%b" % (_SEALED, len(name), name, nonce, sealed)

    def unpack(self, key: str, packed: bytes) -> bytes:
        if packed[:1] != _SEALED:
            return self._plain.unpack(key, packed)
        from cryptography.exceptions import InvalidTag

        end = 2 + packed[1]
        cipher = self._ciphers.get(packed[2:end].decode("ascii", "replace"))
        if cipher is None:
            raise DataLoss(
                f"the value of {key} is sealed with key {packed[2:end]!r}, which is not among the given ones"
            )
        try:
            opened = cipher.decrypt(packed[end : end + _NONCE_BYTES], packed[end + _NONCE_BYTES :], key.encode())
        except InvalidTag as error:
            raise DataLoss(f"the value of {key} is damaged or was moved there from another key") from error
        return zstd.decompress(opened)

    def newest(self, packed: bytes) -> bool:
        """Return whether a value is sealed with the newest key, so that rotation can leave it."""
        name = self._newest.encode()
        return packed[:1] == _SEALED and packed[2 : 2 + packed[1]] == name
