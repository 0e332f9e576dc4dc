import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampan.runtime import parse

STAMP = b"2026-11-24T21:40:01.123456789+00:00"
NS = 1795556401123456789


def test_a_line():
    assert parse.log_line(STAMP + b" stdout F hello\n") == (NS, "stdout", False, b"hello\n")
    assert parse.log_line(STAMP + b" stderr P torn\n") == (NS, "stderr", True, b"torn")
    assert parse.log_line(b"2026-11-24T22:40:01.123456789+01:00 stdout F \n") == (NS, "stdout", False, b"\n")


@pytest.mark.parametrize(
    "line", [b"", b"\n", b"x", STAMP, STAMP + b" stdin F x\n", STAMP + b" stdout X x\n", b"\xff" * 50]
)
def test_torn_lines_are_left_out(line):
    assert parse.log_line(line) is None
    assert list(parse.LineJoiner().feed(line)) == []


def test_pieces_are_joined_a_stream_at_a_time():
    joiner = parse.LineJoiner()
    rows = [b" stdout P a", b" stderr P x", b" stdout P b", b" stderr F y", b" stdout F c", b" stdout P d"]
    found = [line for row in rows for line in joiner.feed(STAMP + row + b"\n")]
    assert [(line.stream, line.data, line.partial) for line in found] == [
        ("stderr", b"xy\n", False),
        ("stdout", b"abc\n", False),
    ]
    assert [(line.data, line.partial) for line in joiner.flush()] == [(b"d", True)]
    assert list(joiner.flush()) == []


def as_logged(chunks: list[bytes]) -> bytes:
    """Write what conmon writes for these reads."""
    text = b""
    for chunk in chunks:
        for piece in chunk.splitlines(keepends=True) if b"\r" not in chunk else [p + b"\n" for p in chunk.split(b"\n")]:
            text += STAMP + b" stdout " + (b"F " + piece if piece.endswith(b"\n") else b"P " + piece + b"\n")
    return text


@given(st.lists(st.text("ab \n", min_size=1).map(str.encode), max_size=20))
def test_what_was_written_comes_back(chunks):
    text = as_logged(chunks)
    assert len(text) == sum(parse.logged_bytes(chunk) for chunk in chunks)
    joiner = parse.LineJoiner()
    lines = [line for row in text.splitlines(keepends=True) for line in joiner.feed(row)] + list(joiner.flush())
    assert b"".join(line.data for line in lines) == b"".join(chunks)


@given(st.binary(max_size=300))
def test_any_bytes_are_survived(data):
    joiner = parse.LineJoiner()
    for row in data.split(b"\n"):
        list(joiner.feed(row + b"\n"))
    parse.failure(data.decode(errors="replace"), "x")


@pytest.mark.parametrize(
    ("output", "program", "code", "words"),
    [
        (
            "2026-11-24T22:00:00.1Z: executable file `nope` not found in $PATH: No such file or directory",
            "nope",
            127,
            'exec: "nope": executable file not found in $PATH',
        ),
        (
            'time="x" level=error msg="runc create failed: unable to start container process: exec: \\"nope\\": executable file not found in $PATH"',
            "nope",
            127,
            "executable file not found",
        ),
        ('{"level":"error","msg":"exec /x: permission denied","time":"t"}', "/x", 126, "permission denied"),
        ("open executable: Operation not permitted", "/etc", 126, "permission denied"),
        ('time="x" level=warning msg="something"\ncgroup is read-only', "x", 125, "cgroup is read-only"),
        ("", "x", 125, "said nothing"),
    ],
)
def test_failures_have_dockers_words_and_codes(output, program, code, words):
    found = parse.failure(output, program)
    assert found.exit_code == code
    assert words in found.text
