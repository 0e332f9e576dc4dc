"""Each wish its own thing."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.schedule.matching import assign


def test_one_lets_another_have_what_it_cannot_do_without():
    assert assign([["a", "b"], ["a"]]) == ["b", "a"]
    assert assign([["a", "b"], ["a", "c"], ["a"]]) == ["b", "c", "a"]


def test_the_earlier_are_met_before_the_later():
    assert assign([["a"], ["a"], ["b"]]) == ["a", None, "b"]
    assert assign([[], ["a"]]) == [None, "a"]


def first_fit(wishes: list[list[str]]) -> list[str | None]:
    """kube-scheduler's way."""
    taken: list[str | None] = []
    for wish in wishes:
        taken.append(next((thing for thing in wish if thing not in taken), None))
    return taken


def most(wishes: list[list[str]], taken: frozenset[str] = frozenset()) -> int:
    """Return how many wishes can be met, by trying all ways."""
    if not wishes:
        return 0
    with_it = [1 + most(wishes[1:], taken | {thing}) for thing in wishes[0] if thing not in taken]
    return max([most(wishes[1:], taken), *with_it])


@given(st.lists(st.lists(st.sampled_from("abcde"), unique=True, max_size=4), max_size=5))
@settings(max_examples=500, deadline=None)
def test_as_many_as_can_be_are_met_and_nothing_is_given_twice(wishes):
    found = assign(wishes)
    given_away = [thing for thing in found if thing is not None]
    assert len(set(given_away)) == len(given_away)
    assert all(thing is None or thing in wish for thing, wish in zip(found, wishes, strict=True))
    assert len(given_away) == most(wishes)
    # whoever comes first is met if that is possible at all, given those before it
    for place in range(len(wishes)):
        met = [wish for wish, thing in zip(wishes[:place], found, strict=False) if thing is not None]
        assert (found[place] is not None) == (most([*met, wishes[place]]) == len(met) + 1)
    if None not in (simple := first_fit(wishes)):
        assert found == simple
