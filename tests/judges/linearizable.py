"""Linearizability of histories of one register with compare-and-swap: Wing and Gong's search with Lowe's memory.

A history is what clients saw: each operation with the times of its call and its answer. It is linearizable when there is an
order of the operations that respects those times and that one register, used by one client at a time, would have answered so.
Keys are independent, so each is judged alone. An operation without an answer may have happened at any time after its call,
or never.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import NamedTuple

INFINITE = float("inf")


class Operation(NamedTuple):
    """`kind`: get, put, cas or delete. `expect`: the value that cas wants to find; None: the key is absent.

    `answer`: of get, the value it saw (None: absent); of cas and delete, whether it took place. `end` is INFINITE when no answer came.
    """

    key: str
    kind: str
    start: float
    end: float
    value: Hashable = None
    expect: Hashable = None
    answer: Hashable = None


def check(history: Iterable[Operation]) -> list[str]:
    """Return the keys whose histories are not linearizable."""
    by_key: dict[str, list[Operation]] = {}
    for operation in history:
        by_key.setdefault(operation.key, []).append(operation)
    return [key for key, operations in sorted(by_key.items()) if not _linearizable(operations)]


def _apply(state: Hashable, operation: Operation) -> tuple[bool, Hashable]:
    """Return whether a register in this state answers so, and its next state. One that got no answer always fits."""
    known = operation.end != INFINITE
    if operation.kind == "get":
        return not known or operation.answer == state, state
    if operation.kind == "put":
        return True, operation.value
    if operation.kind == "delete":
        took_place = state is not None
        return not known or operation.answer == took_place, None
    took_place = state == operation.expect
    return not known or operation.answer == took_place, operation.value if took_place else state


def _linearizable(operations: list[Operation]) -> bool:
    """Search: of the operations that began before the first answer among those left, any may be the next."""
    operations = sorted(operations, key=lambda item: item.start)
    count = len(operations)
    needed = sum(1 << place for place, item in enumerate(operations) if item.end != INFINITE)
    seen: set[tuple[int, Hashable]] = set()
    stack: list[tuple[int, Hashable]] = [(0, None)]
    while stack:
        done, state = stack.pop()
        if done & needed == needed:
            return True
        if (done, state) in seen:
            continue
        seen.add((done, state))
        first_answer = min(item.end for place, item in enumerate(operations) if not done >> place & 1)
        for place in range(count):
            if done >> place & 1:
                continue
            operation = operations[place]
            if operation.start > first_answer:
                break
            fits, following = _apply(state, operation)
            if fits:
                stack.append((done | 1 << place, following))
    return False
