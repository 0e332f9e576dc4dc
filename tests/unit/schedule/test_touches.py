from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sampan.schedule.touches import Touches


@given(st.lists(st.integers(1, 700) | st.just(3000), max_size=12), st.integers(0, 11))
def test_since_is_what_came_since_or_unknown(sizes, marked):
    touches = Touches(1024)
    everything: list[int] = []
    mark = 0
    for number, size in enumerate(sizes):
        if number == marked:
            mark = len(everything)
            assert touches.position == mark
        new = [len(everything) + place for place in range(size)]
        if size % 2:
            touches.add_all(np.array(new))
        else:
            for row in new:
                touches.add(row)
        everything += new
    found = touches.since(mark)
    if len(everything) - mark <= 1024:
        assert found is not None
    if found is not None:
        assert found.tolist() == everything[mark:]


def test_rewind():
    touches = Touches(0)
    touches.add(1)
    position = touches.position
    touches.add(2)
    touches.rewind(position)
    touches.add(3)
    assert touches.since(0).tolist() == [1, 3]
