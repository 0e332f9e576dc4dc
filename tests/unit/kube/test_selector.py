"""Requirements on labels."""

from __future__ import annotations

import pytest

from sampan.kube.selector import Requirement


@pytest.mark.parametrize(
    ("operator", "limit", "value", "holds"),
    [
        ("Gt", "9", "10", True),
        ("Lt", "9", "007", True),
        ("Gt", "9", "1_0", False),  # a label may be so, and it is no number
        ("Lt", "9", "", False),
        ("Gt", "9", "٣٣", False),
        ("Gt", "1", str(1 << 63), False),
        ("Lt", str(1 << 63), "1", False),
    ],
)
def test_labels_that_are_compared_as_numbers(operator, limit, value, holds):
    assert Requirement("gen", operator, (limit,)).matches({"gen": value}) is holds
