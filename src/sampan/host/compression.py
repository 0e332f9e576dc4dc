"""Decompressing streams in our own process, with bounded memory and against bombs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from sampan.base.errors import InvalidArgument, TooLarge

_MAGIC = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
)
_SKIPPABLE_ZSTD = tuple(bytes((0x50 + n, 0x2A, 0x4D, 0x18)) for n in range(16))
_OUTPUT_BYTES = 1 << 19


class Limits(NamedTuple):
    """What one stream may grow to. Below `free_bytes` the ratio does not matter."""

    max_bytes: int = 1 << 40
    max_ratio: int = 250
    free_bytes: int = 256 << 20


class _Decompressor(Protocol):
    """What the decompressors of isal, backports.zstd, bz2 and lzma have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


def sniff(head: bytes) -> str:
    """Return "gzip", "zstd", "bzip2", "xz" or "" (none) from the first 6 bytes of a stream."""
    if head[:4] in _SKIPPABLE_ZSTD:
        return "zstd"
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), "")


def _new(kind: str) -> _Decompressor:
    """Imports on demand: most processes never decompress."""
    if kind == "gzip":
        from isal import igzip_lib

        gzip: _Decompressor = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
        return gzip
    if kind == "zstd":
        try:
            from compression import zstd  # type: ignore[import-not-found,unused-ignore]
        except ImportError:
            from backports import zstd
        frame: _Decompressor = zstd.ZstdDecompressor()
        return frame
    if kind == "bzip2":
        import bz2

        return bz2.BZ2Decompressor()
    import lzma

    return lzma.LZMADecompressor(memlimit=128 << 20)


def decompress(chunks: Iterable[bytes], limits: Limits = Limits()) -> Iterator[bytes]:
    """Yield the plain bytes of a gzip, zstd, bzip2, xz or plain stream; concatenated members are one stream.

    Raises `InvalidArgument` for a broken or truncated stream and `TooLarge` beyond `limits`.
    """
    source = iter(chunks)
    head = b""
    while len(head) < 6:
        more = next(source, None)
        if more is None:
            break
        head += more
    kind = sniff(head)
    if not kind:
        yield from _counted(_chain(head, source), limits)
        return
    yield from _inflate(kind, _chain(head, source), limits)


def _chain(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from rest


def _counted(chunks: Iterator[bytes], limits: Limits) -> Iterator[bytes]:
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if total > limits.max_bytes:
            raise TooLarge(f"the stream is larger than the limit of {limits.max_bytes} bytes")
        yield chunk


def _inflate(kind: str, chunks: Iterator[bytes], limits: Limits) -> Iterator[bytes]:
    decoder: _Decompressor | None = None
    taken = made = 0
    for chunk in chunks:
        taken += len(chunk)
        while chunk or (decoder is not None and not decoder.needs_input):
            if decoder is None:
                if kind != "zstd" and not chunk.strip(b"\0"):
                    break  # padding after the last member, as tape tools write it
                decoder = _new(kind)
            plain = _step(kind, decoder, chunk)
            chunk = b""
            made += len(plain)
            _check(kind, taken, made, limits)
            if plain:
                yield plain
            if decoder.eof:
                chunk = bytes(decoder.unused_data)
                decoder = None
    if decoder is not None:
        raise InvalidArgument(f"the {kind} stream ends too early: it was cut off on its way here; send it again")


def _step(kind: str, decoder: _Decompressor, chunk: bytes) -> bytes:
    try:
        return decoder.decompress(chunk, _OUTPUT_BYTES)
    except Exception as error:  # each library has its own error class; all mean broken input
        raise InvalidArgument(f"the {kind} stream is broken: {error}") from error


def _check(kind: str, taken: int, made: int, limits: Limits) -> None:
    if made > limits.max_bytes:
        raise TooLarge(f"the {kind} stream unpacks to more than the limit of {limits.max_bytes} bytes")
    if made > limits.free_bytes and made > taken * limits.max_ratio:
        raise TooLarge(
            f"the {kind} stream unpacks to more than {limits.max_ratio} times its size: refused as a decompression bomb"
        )
