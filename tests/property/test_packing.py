"""Laws of packing: whatever the problem, nothing is over capacity, no rule is broken, and the cost is the slow one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packings import packing
from sampan.sim.audit import audit, replay
from sampan.sim.budget import Rounds
from sampan.sim.pack import pack, repack
from sampan.sim.route import nearest, route

FEW = settings(max_examples=40, deadline=None)
problems = st.builds(
    packing, st.integers(0, 10_000), apps=st.integers(1, 20), machines=st.integers(30, 40), points=st.integers(1, 7)
)


@given(problems, st.integers(0, 5))
@FEW
def test_packed(problem, seed):
    packed = pack(problem, Rounds(15), seed)
    found = audit(problem, packed.placement)
    assert (found.broken, found.missing) == ([], 0)
    assert packed.cost == pytest.approx(found.cost, abs=1e-9)
    again = pack(problem, Rounds(15), seed)
    assert np.array_equal(again.placement, packed.placement)


@given(problems, st.sampled_from([0.0, 0.1]), st.integers(1, 5))
@FEW
def test_moved(problem, charge, every):
    begun = pack(problem, Rounds(2)).placement
    begun[::every] = -1
    problem = replace(problem, start=begun)
    packed = repack(problem, Rounds(15), charge=charge)
    goal = nearest(problem, packed.placement)
    reached, broken = replay(problem, route(problem, goal))
    assert (reached, broken) == (goal.tolist(), [])
    assert packed.cost == pytest.approx(audit(problem, goal).cost, abs=1e-9)
