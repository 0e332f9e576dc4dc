"""The checker itself: histories whose verdict is known."""

import itertools
import random

import pytest

from judges.linearizable import INFINITE, Operation, check


def get(start, end, answer):
    return Operation("k", "get", start, end, answer=answer)


def put(start, end, value):
    return Operation("k", "put", start, end, value=value)


def cas(start, end, expect, value, answer):
    return Operation("k", "cas", start, end, value=value, expect=expect, answer=answer)


@pytest.mark.parametrize(
    ("history", "good"),
    [
        ([], True),
        ([put(0, 1, "a"), get(2, 3, "a")], True),
        ([put(0, 1, "a"), get(2, 3, None)], False),
        ([put(0, 3, "a"), get(1, 2, None)], True),
        ([put(0, 3, "a"), get(1, 2, "a")], True),
        ([put(0, 5, "a"), get(1, 2, "a"), get(3, 4, None)], False),
        ([put(0, 1, "a"), put(2, 3, "b"), get(4, 5, "a")], False),
        ([put(0, 3, "a"), put(1, 2, "b"), get(4, 5, "a")], True),
        ([cas(0, 1, None, "a", True), cas(2, 3, None, "b", True)], False),
        ([cas(0, 3, None, "a", True), cas(1, 2, None, "b", False), get(4, 5, "a")], True),
        ([put(0, INFINITE, "a"), get(1, 2, None), get(3, 4, "a"), get(5, 6, "a")], True),
        ([put(0, INFINITE, "a"), get(1, 2, "a"), get(3, 4, None)], False),
        ([put(0, INFINITE, "a"), get(1, 2, None)], True),
        ([put(0, 1, "a"), Operation("k", "delete", 2, 3, answer=True), get(4, 5, None)], True),
        ([Operation("k", "delete", 0, 1, answer=True)], False),
    ],
)
def test_known_histories(history, good):
    assert (check(history) == []) is good


def test_what_a_real_register_did_is_always_linearizable():
    """Operations take place at a point between call and answer, in a random order."""
    rng = random.Random(5)
    for _ in range(200):
        clock, state, history = itertools.count(), None, []
        open_ = []
        for _ in range(rng.randint(1, 12)):
            start = next(clock)
            if rng.random() < 0.5 and open_:
                history.append(open_.pop(rng.randrange(len(open_)))(next(clock)))
            kind = rng.choice(["get", "put", "cas"])
            value = rng.choice("abc")
            if kind == "get":
                open_.append(lambda end, start=start, state=state: get(start, end, state))
            elif kind == "put":
                state = value
                open_.append(lambda end, start=start, value=value: put(start, end, value))
            else:
                expect = rng.choice(["a", "b", None])
                took = state == expect
                state = value if took else state
                open_.append(lambda end, start=start, e=expect, v=value, t=took: cas(start, end, e, v, t))
        history += [finish(next(clock)) for finish in open_]
        assert check(history) == []
