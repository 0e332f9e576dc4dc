"""The wire format: varints, tags, and what has a length. Spec: protobuf encoding."""

from __future__ import annotations

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class WireError(ValueError):
    """The bytes are no message."""


def varint(data: memoryview, place: int) -> tuple[int, int]:
    """Return the number at `place`, and where it ends."""
    result = shift = 0
    try:
        while True:
            byte = data[place]
            place += 1
            result |= (byte & 0x7F) << shift
            if byte < 0x80:
                return result, place
            shift += 7
            if shift > 63:
                raise WireError("a number is too long")
    except IndexError:
        raise WireError("it ends in the middle of a number") from None


def skip(data: memoryview, place: int, kind: int) -> int:
    """Return where a value ends that nobody knows."""
    if kind == VARINT:
        return varint(data, place)[1]
    if kind == BYTES:
        length, place = varint(data, place)
        end = place + length
    elif kind == FIXED64:
        end = place + 8
    elif kind == FIXED32:
        end = place + 4
    else:
        raise WireError(f"wire type {kind} is not used")
    if end > len(data):
        raise WireError("it ends in the middle of a value")
    return end


def render(number: int) -> bytes:
    """Return a number as a varint; negative ones take ten bytes."""
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def signed(number: int) -> int:
    """Return an int64 out of its two's complement."""
    number &= (1 << 64) - 1
    return number - (1 << 64) if number >> 63 else number
