"""Budgets, variables and conditions of expressions."""

from __future__ import annotations

import pytest

from sampan.kube.admission.expression import (
    BODY_VARIABLES,
    BUDGET,
    CONDITION_VARIABLES,
    EXHAUSTED,
    Budget,
    Variables,
    compiled_here,
    conditions_hold,
    plain,
)
from sampan.kube.cel.fault import Exhausted, Fault
from sampan.kube.cel.program import STEPS
from sampan.kube.cel.value import Duration, Timestamp, Uint

ENDLESS = "lists.range(1000).all(i, lists.range(1000).all(j, i + j >= 0))"
VALUES = dict.fromkeys(BODY_VARIABLES)


def conditions(*expressions):
    return [{"name": str(index), "expression": text} for index, text in enumerate(expressions)]


@pytest.mark.parametrize(
    ("expressions", "holds"),
    [((), True), (("true", "true"), True), (("true", "false"), False), (("object.x == 1", "false"), False)],
)
def test_conditions(expressions, holds):
    assert conditions_hold(conditions(*expressions), {**VALUES, "object": {}}, CONDITION_VARIABLES) is holds


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("object.x == 1", "no such key: x"),
        ("1", "it is no bool"),
        ("params.x", "undeclared reference to 'params'"),
        (ENDLESS, "cost budget"),
    ],
)
def test_conditions_that_fail(expression, why):
    with pytest.raises(Fault, match=why):
        conditions_hold(conditions("true", expression), {**VALUES, "object": {}}, CONDITION_VARIABLES)


def test_one_expression_may_take_so_much():
    budget = Budget(BUDGET)
    with pytest.raises(Exhausted, match="actual cost limit exceeded"):
        budget.run(compiled_here(ENDLESS, BODY_VARIABLES), VALUES)
    assert BUDGET - STEPS - 10 < budget.left <= BUDGET - STEPS


def test_all_together_may_take_so_much():
    budget = Budget(STEPS // 2)
    with pytest.raises(Exhausted) as raised:
        budget.run(compiled_here(ENDLESS, BODY_VARIABLES), VALUES)
    assert str(raised.value) == EXHAUSTED
    with pytest.raises(Exhausted):
        budget.run(compiled_here("true", BODY_VARIABLES), VALUES)


def test_variables_are_evaluated_once_and_only_when_used():
    loops = "lists.range(100).all(i, lists.range(100).all(j, i + j >= 0))"
    budget = Budget(BUDGET)
    variables = Variables([("slow", loops), ("broken", "object.x"), ("both", "variables.slow && true")], VALUES, budget)
    assert budget.left == BUDGET
    assert budget.run(
        compiled_here("variables.slow && variables.both && variables.slow", BODY_VARIABLES), variables.values
    )
    once = BUDGET - budget.left
    assert budget.run(compiled_here("variables.slow", BODY_VARIABLES), variables.values)
    assert BUDGET - budget.left < once + 10


def test_what_a_variable_takes_counts():
    variables = Variables([("slow", ENDLESS)], VALUES, budget := Budget(BUDGET))
    with pytest.raises(Exhausted):
        budget.run(compiled_here("variables.slow || true", BODY_VARIABLES), variables.values)


def test_variables_see_those_before_them():
    variables = Variables(
        [("a", "object.x"), ("b", "variables.a + 1")], {**VALUES, "object": {"x": 1}}, budget := Budget(BUDGET)
    )
    assert budget.run(compiled_here("variables.b", BODY_VARIABLES), variables.values) == 2
    assert budget.run(compiled_here("variables.b", BODY_VARIABLES), variables.about({"x": 5}).values) == 6
    with pytest.raises(Fault, match="no such overload"):
        budget.run(compiled_here("variables.c", BODY_VARIABLES), variables.values)


def test_values_as_json():
    value = {"a": [Uint(1), b"x", Duration(10**9), Timestamp(0), None, True, 1.5]}
    assert plain(value) == {"a": [1, "eA==", "1s", "1970-01-01T00:00:00Z", None, True, 1.5]}
