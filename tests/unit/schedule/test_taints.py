"""Which tolerations are for which taints."""

from __future__ import annotations

import pytest

from sampan.schedule.node import Taint
from sampan.schedule.plugins.taint_toleration import tolerated
from sampan.schedule.shape import Toleration


@pytest.mark.parametrize(
    ("operator", "limit", "value", "holds"),
    [
        ("Gt", "900", "950", True),
        ("Gt", "900", "900", False),
        ("Gt", "-5", "-4", True),
        ("Lt", "900", "899", True),
        ("Lt", "900", "900", False),
        ("Lt", "900", "0950", False),  # no number as Kubernetes writes it
        ("Lt", "900", "1_0", False),
        ("Lt", "900", "", False),
        ("Gt", "many", "950", False),
        ("Gt", "1", str(1 << 63), False),  # beyond 64 bits
        ("Equal", "900", "950", False),
        ("Equal", "900", "900", True),
    ],
)
def test_a_toleration_compares_with_the_value_of_the_taint(operator, limit, value, holds):
    toleration = Toleration(key="sla", operator=operator, value=limit)
    assert tolerated([toleration], Taint("sla", value)) is holds
    assert not tolerated([toleration], Taint("other", value))
