from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampan.cli.attach import Demux
from sampan.cli.errors import UsageError
from sampan.cli.http import Answer, query, quote
from sampan.cli.terminal import DetachFilter, parse_detach_keys


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(min_size=1, max_size=40))), st.integers(1, 17))
def test_frames_survive_any_cut(frames, step):
    wire = b"".join(bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data for stream, data in frames)
    got = []
    demux = Demux(lambda fd, data: got.append((fd, data)))
    for start in range(0, len(wire), step):
        demux.feed(wire[start : start + step])
    assert got == frames


@pytest.mark.parametrize(
    ("text", "keys"), [("", b"\x10\x11"), ("ctrl-a,b", b"\x01b"), ("ctrl-[", b"\x1b"), ("x", b"x")]
)
def test_detach_keys(text, keys):
    assert parse_detach_keys(text) == keys


@pytest.mark.parametrize("text", ["ctrl-1", "ab", "ctrl-"])
def test_wrong_detach_keys(text):
    with pytest.raises(UsageError, match="invalid detach keys"):
        parse_detach_keys(text)


def test_a_started_sequence_is_given_on_when_it_breaks_off():
    typed = DetachFilter(b"\x10\x11")
    assert typed.feed(b"a\x10") == (b"a", False)
    assert typed.feed(b"b") == (b"\x10b", False)
    assert typed.feed(b"\x10\x10\x11zz") == (b"\x10", True)


def answered(wire: bytes) -> Answer:
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(wire)
    head, _, rest = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked".partition(b"\r\n\r\n")
    return Answer(ours, head, rest)


def test_chunks_are_joined():
    assert answered(b"3\r\nabc\r\n5;x=y\r\ndefgh\r\n0\r\n\r\n").read() == b"abcdefgh"


def test_lines_of_a_stream():
    assert list(answered(b'4\r\n{"a"\r\n6\r\n:1}\n\n{\r\n1\r\n}\r\n0\r\n\r\n').lines()) == [b'{"a":1}', b"{}"]


def test_a_cut_answer_is_told():
    with pytest.raises(Exception, match="in the middle of its answer"):
        answered(b"9\r\nabc").read()


def test_quoting():
    assert quote("a b/ü?") == "a%20b/%C3%BC%3F"
    assert query(a="x y", b=True, c=False, d=None, e="", f=0) == "?a=x%20y&b=1&f=0"
    assert query() == ""
