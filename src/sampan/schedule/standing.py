"""Standing: how one ask stands with every node, kept up as pods come and go.

What a placement changes on its own node only (reach NODE) is redone for touched rows. Points that are relative to the nodes
that passed are kept while the extremes are: a witness, a node that has the extreme, must still pass. Rules that reach
further are asked anew for each pod, over all nodes, as array operations.
"""

from __future__ import annotations

import numpy as np

from sampan.schedule import relative
from sampan.schedule.arrays import NOWHERE, Floats, Ints, Mask, Rows
from sampan.schedule.ask import Ask
from sampan.schedule.plugin import GRAIN, Filter, Narrowing, Reach, Score
from sampan.schedule.plugins.resources_fit import Fit
from sampan.schedule.plugins.volumes import Matched
from sampan.schedule.profile import Profile
from sampan.schedule.refusal import Refusal, refusal
from sampan.schedule.relative import Relative
from sampan.schedule.snapshot import Snapshot
from sampan.schedule.view import Nodes

_FEW = 64


class Standing:
    def __init__(self, snapshot: Snapshot, ask: Ask, profile: Profile) -> None:
        self.ask = ask
        self.snapshot = snapshot
        self._profile = profile
        self._compile()

    def _compile(self) -> None:
        snapshot = self.snapshot
        ask = self.ask = snapshot.ask(self.ask.shape)
        found = (plugin.prefilter(ask, snapshot) for plugin in self._profile.filters)
        self.filters: list[Filter] = [rule for rule in found if rule is not None]
        self.rows = self._candidates()
        whole = Nodes(snapshot, ask, self.rows)
        self._open: Mask | None = None
        for rule in self.filters:
            mask = rule.passes(whole) if rule.reach is Reach.FIXED else None
            if mask is not None:
                self._open = mask if self._open is None else self._open & mask
        self._near = [rule for rule in self.filters if rule.reach is Reach.NODE]
        self._wide = [rule for rule in self.filters if rule.reach > Reach.NODE]
        self._points: list[tuple[Score, float]] = []
        self._far: list[tuple[Score, float]] = []
        self._relative: list[Relative] = []
        self._base: Floats | None = None  # points that nothing changes
        self._sort_scores(whole)
        self.wide = bool(self._wide or self._far or (self._relative and self.rows is not None))
        foreseen = all(rule.foresees for rule in self._near) and all(rule.foresees for rule, _ in self._points)
        self.foreseen = foreseen and not self.wide and self.rows is None
        self._fixed: Floats | None = self._base
        self.scores: Floats = np.zeros(0)
        self._seen = -1
        self._refused: tuple[tuple[int, int, int], Refusal] | None = None
        self._epoch = snapshot.epoch
        self._terms, self._limits = len(snapshot.terms.all), len(snapshot.terms.limits)

    def _sort_scores(self, whole: Nodes) -> None:
        for plugin, weight in self._profile.scores:
            rule = plugin.prescore(self.ask, self.snapshot)
            if rule is None:
                continue
            grains = weight * GRAIN
            normal = rule.normal
            if rule.reach is Reach.FIXED and normal is None:
                points = np.rint(rule.points(whole) * grains)
                self._base = points if self._base is None else self._base + points
            elif rule.reach is Reach.FIXED and normal is not None:
                self._relative.append(Relative(rule, normal, grains, rule.points(Nodes(self.snapshot, self.ask))))
            elif rule.reach is Reach.NODE and normal is None:
                self._points.append((rule, grains))
            else:
                self._far.append((rule, grains))

    def _candidates(self) -> Rows | None:
        """Return the rows that can pass, where plugins know that they are few."""
        found: Rows | None = None
        for plugin in self._profile.filters:
            rows = plugin.candidates(self.ask, self.snapshot) if isinstance(plugin, Narrowing) else None
            if rows is not None:
                found = rows if found is None else np.intersect1d(found, rows)
        return found if found is not None and len(found) <= _FEW else None

    # --- what is asked of it

    def best(self) -> int:
        """Return the row of the best node, the first of equals; -1 when the ask fits nowhere."""
        self.refresh()
        if len(self.scores) == 0:
            return -1
        total = self._widened() if self.wide else self.scores
        place = int(total.argmax())
        if total[place] == NOWHERE:
            return -1
        return place if self.rows is None else int(self.rows[place])

    def totals(self) -> Floats:
        """Return the score of each node in grains, or NOWHERE; [nodes], or [rows] where few can pass."""
        self.refresh()
        return self._widened() if self.wide else self.scores

    def fits(self, row: int) -> bool:
        """Return whether the ask fits on one node now."""
        nodes = Nodes(self.snapshot, self.ask, np.array([row], np.intp))
        masks = (rule.passes(nodes) for rule in self.filters)
        return all(mask is None or bool(mask[0]) for mask in masks)

    def near(self) -> Mask:
        """Return which nodes pass all rules but those that reach beyond a node, [nodes]."""
        self.refresh()
        return self._over_all(self.scores > NOWHERE)

    def possible(self) -> Mask:
        """Return which nodes could take the ask if all their pods went, [nodes]."""
        self._keep_up()
        found = np.ones(len(self.snapshot.nodes), np.bool_)
        if self.rows is not None:
            found = self._over_all(np.ones(len(self.rows), np.bool_))
        if self._open is not None:
            found = found & self._over_all(self._open)
        for rule in self.filters:
            if isinstance(rule, Fit):
                for number, amount in rule.demand:
                    found &= self.snapshot.resources.allocatable[number] >= amount
            elif isinstance(rule, Matched):
                found &= rule.passes(Nodes(self.snapshot, self.ask))
        return found

    def why(self) -> Refusal:
        """Return why it fits nowhere now."""
        as_of = self.snapshot.as_of
        if self._refused is None or self._refused[0] != as_of:
            self._refused = as_of, refusal(Nodes(self.snapshot, self.ask), self.filters)
        return self._refused[1]

    def foresee(self, rows: Rows, more: Ints) -> Floats:
        """Return the scores with `more` pods of the ask on each row, [rows]."""
        return self._scored(Nodes(self.snapshot, self.ask, rows, more))

    def leans_on(self, row: int) -> bool:
        """Return whether the points of other nodes change when this one passes no more."""
        return any(one.leans_on(row) for one in self._relative)

    def refresh(self) -> None:
        """Bring `scores` up to date: without the rules that are asked anew for each pod."""
        self._keep_up()
        snapshot = self.snapshot
        position = snapshot.touches.position
        if position == self._seen and self.rows is None:
            return
        touched = snapshot.touches.since(self._seen) if self._seen >= 0 and self.rows is None else None
        if touched is None or len(touched) * 4 > len(self.scores):
            self._rescore()
        else:
            self.scores[touched] = self._scored(Nodes(snapshot, self.ask, touched))
            if self._relative and not self.wide and not all(one.holds(self.scores, touched) for one in self._relative):
                self._rescore()
        self._seen = position

    # --- how

    def _keep_up(self) -> None:
        """Compile anew where nodes have changed, or terms were met that concern the ask."""
        if self.snapshot.epoch != self._epoch or self._met_terms():
            self._compile()

    def _rescore(self) -> None:
        nodes = Nodes(self.snapshot, self.ask, self.rows)
        self._fixed = self._base
        self.scores = self._scored(nodes)
        if self._relative and not self.wide:
            passed = self.scores > NOWHERE
            for one in self._relative:
                points = one.of(passed)
                self.scores += points
                self._fixed = points if self._fixed is None else self._fixed + points

    def _scored(self, nodes: Nodes) -> Floats:
        passed: Mask | None = None
        for rule in self._near:
            mask = rule.passes(nodes)
            if mask is not None:
                passed = mask if passed is None else passed & mask
        at = nodes.rows if self.rows is None else None  # kept arrays are of all nodes, or of the few rows
        if self._open is not None:
            opened = self._open if at is None else self._open.take(at)
            passed = opened if passed is None else passed & opened
        total: Floats | None = None
        for score, grains in self._points:
            points = np.rint(score.points(nodes) * grains)
            total = points if total is None else total + points
        if self._fixed is not None:
            fixed = self._fixed if at is None else self._fixed.take(at)
            total = fixed if total is None else total + fixed
        if total is None:
            total = np.zeros(len(nodes))
        return total.copy() if passed is None else np.where(passed, total, NOWHERE)

    def _widened(self) -> Floats:
        """Return the scores with the rules that reach beyond a node."""
        nodes = Nodes(self.snapshot, self.ask, self.rows)
        total = self.scores
        for rule in self._wide:
            mask = rule.passes(nodes)
            if mask is not None:
                total = np.where(mask, total, NOWHERE)
        if not self._far and not self._relative:
            return total
        passed = total > NOWHERE
        nodes.passed = self._over_all(passed)
        for one in self._relative:
            total = total + nodes.pick(one.of(nodes.passed))
        for score, grains in self._far:
            raw, counted = score.points(nodes), score.counted()
            if score.normal is None:
                total = total + np.rint(raw * grains)
            else:
                counted = None if counted is None else nodes.pick(counted)
                total = total + relative.points(score.normal, raw, grains, passed, counted)
        return total

    def _over_all(self, passed: Mask) -> Mask:
        if self.rows is None:
            return passed
        found = np.zeros(len(self.snapshot.nodes), np.bool_)
        found[self.rows] = passed
        return found

    def _met_terms(self) -> bool:
        """Return whether terms were met since that concern the ask."""
        terms, limits = self.snapshot.terms.all, self.snapshot.terms.limits
        if len(terms) == self._terms and len(limits) == self._limits:
            return False
        new = [*(said.term for said in terms[self._terms :]), *(rule.pods for rule in limits[self._limits :])]
        self._terms, self._limits = len(terms), len(limits)
        return any(self.snapshot.matches(term, self.ask.shape) for term in new)
