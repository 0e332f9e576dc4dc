from __future__ import annotations

import threading

import pytest

from sampan.base.errors import Cancelled, TooLarge
from sampan.host.compression import Limits, decompress, sniff
from sampan.host.pipe import Pipe, Task, in_second_thread


def test_what_is_sent_arrives_in_order_and_the_room_is_bounded():
    pipe = Pipe(limit_bytes=10)
    assert pipe.offer(b"12345678")
    assert not pipe.offer(b"1234")
    received: list[bytes] = []
    task = Task(lambda: received.extend(pipe))
    for number in range(50):
        pipe.send(b"%d" % number)
    pipe.finish()
    task.join()
    assert received == [b"12345678", *(b"%d" % number for number in range(50))]


def test_one_chunk_may_be_larger_than_the_room():
    pipe = Pipe(limit_bytes=1)
    assert pipe.offer(b"large")


def test_an_error_reaches_the_receiver_after_what_was_sent():
    pipe = Pipe()
    pipe.send(b"1")
    pipe.finish(ValueError("broken"))
    chunks = iter(pipe)
    assert next(chunks) == b"1"
    with pytest.raises(ValueError, match="broken"):
        next(chunks)


def test_a_sender_does_not_wait_for_a_receiver_that_left():
    pipe = Pipe(limit_bytes=1)
    pipe.send(b"x")
    threading.Timer(0.01, pipe.abandon).start()
    with pytest.raises(Cancelled):
        pipe.send(b"y")
    with pytest.raises(Cancelled):
        pipe.offer(b"z")


def test_a_task_that_fails_abandons_its_pipe_and_hands_the_error_over():
    pipe = Pipe(limit_bytes=1)

    def fail() -> None:
        raise KeyError("why")

    task = Task(fail, pipe)
    with pytest.raises(KeyError):
        task.join()
    with pytest.raises(Cancelled):
        pipe.send(b"x")


def test_leaving_a_threaded_iterator_early_ends_its_thread():
    before = threading.active_count()
    chunks = in_second_thread(iter([b"x" * 1000] * 100_000), limit_bytes=2000)
    assert next(chunks)
    chunks.close()
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("head", "kind"),
    [(b"\x1f\x8b\x08", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"\x50\x2a\x4d\x18", "zstd"), (b"BZh91", "bzip2"),
     (b"\xfd7zXZ\x00", "xz"), (b"etc/\0\0", ""), (b"", "")],
)  # fmt: skip
def test_magic_numbers(head, kind):
    assert sniff(head) == kind


def test_limits_of_plain_and_packed_streams():
    import gzip

    with pytest.raises(TooLarge):
        list(decompress([b"x" * 11], Limits(max_bytes=10)))
    bomb = gzip.compress(bytes(10 << 20))
    with pytest.raises(TooLarge, match="bomb"):
        list(decompress([bomb], Limits(max_ratio=100, free_bytes=1 << 20)))
    assert sum(map(len, decompress([bomb], Limits(max_ratio=100, free_bytes=1 << 30)))) == 10 << 20
