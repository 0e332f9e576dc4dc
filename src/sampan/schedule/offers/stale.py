"""What makes an offer invalid before it is answered."""

from __future__ import annotations

import numpy as np

from sampan.schedule.offers.offer import Offer
from sampan.schedule.offers.quota import Quota, consumption
from sampan.schedule.offers.state import State
from sampan.schedule.offers.vector import minus

GONE = "the node is gone or takes no more work"
OVER = "nobody answered it in time"
TAKEN = "others were placed on what it offers"
NEEDED = "it is needed for what another role is guaranteed"
LENT = "less can be lent than it offers"


def rescind(state: State, now_s: float) -> list[tuple[Offer, str]]:
    """Take back every offer that cannot or may not be accepted any more; returns them with why, in order of their ids.

    Where a node has too little for all of its offers, the newest go first.
    """
    found = [(offer, why) for offer in state.offers.values() if (why := _why(state, offer, now_s))]
    for offer, _ in found:
        state.take_back(offer)
    found += _taken(state)
    found += _lent(state)
    found += _needed(state)
    found.sort(key=lambda one: one[0].id)
    return found


def _why(state: State, offer: Offer, now_s: float) -> str:
    row = state.snapshot.rows.get(offer.node)
    if row is None or not state.open[row]:
        return GONE
    lasting_s = state.rules.lasting_s
    return OVER if lasting_s is not None and now_s >= offer.made_s + lasting_s else ""


def _taken(state: State) -> list[tuple[Offer, str]]:
    short = np.zeros(len(state.snapshot.nodes), np.bool_)
    for column, out in zip(state.dimensions.free(state.snapshot), state.offered, strict=True):
        short |= (out > column) & (out > 0)
    if not short.any():
        return []
    found = []
    for offer in reversed(state.offers.copy().values()):
        row = state.snapshot.rows[offer.node]
        columns = zip(state.dimensions.free(state.snapshot), state.offered, offer.parts.bare, strict=True)
        if short[row] and any(amount and out[row] > column[row] for column, out, amount in columns):
            state.take_back(offer)
            found.append((offer, TAKEN))
    return found


def _lent(state: State) -> list[tuple[Offer, str]]:
    short = {node for node, holding in state.revocable.items() if min(holding.free()) < 0 and any(holding.out)}
    found = []
    for offer in reversed(state.offers.copy().values()) if short else ():
        if offer.node in short and offer.parts.revocable and min(state.revocable[offer.node].free()) < 0:
            state.take_back(offer)
            found.append((offer, LENT))
    return found


def _needed(state: State) -> list[tuple[Offer, str]]:
    """Take back offers to roles that have what they are guaranteed, as far as others lack it and it is not free."""
    if not state.roles.guarantees or not state.offers:
        return []
    free = zip(state.dimensions.free(state.snapshot), state.offered, strict=True)
    available = tuple(int(np.maximum(column - out, 0)[state.open].sum()) for column, out in free)
    quota = Quota(state.roles, consumption(state.owned()), available)
    found: list[tuple[Offer, str]] = []
    for offer in reversed(state.offers.copy().values()):
        before = quota.spare
        helps = [place for place, amount in enumerate(offer.parts.bare) if amount and before[place] < 0]
        if not helps:
            continue
        path = quota.path(offer.role)
        quota.take(path, minus(state.dimensions.zero, offer.parts.bare))
        if any(quota.spare[place] > before[place] for place in helps):
            state.take_back(offer)
            found.append((offer, NEEDED))
        else:  # its own role would lack what is taken from it
            quota.take(path, offer.parts.bare)
    return found
