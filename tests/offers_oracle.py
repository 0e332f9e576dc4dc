"""A slow allocator, straight from the rules: everything is computed anew from the state for each question, in exact numbers."""

from __future__ import annotations

from fractions import Fraction

from sampan.schedule.offers.framework import Capability, Subscription
from sampan.schedule.offers.state import State

Answer = tuple[str, str, str, tuple[int, ...], tuple[tuple[str, tuple[int, ...]], ...], tuple[int, ...]]
"""(framework, role, node, bare, reserved, revocable)"""


class Oracle:
    def __init__(self, state: State, now_s: float) -> None:
        self.state = state
        self.size = len(state.dimensions.names)
        snapshot = state.snapshot
        free, has = state.dimensions.free(snapshot), state.dimensions.has(snapshot)
        self.total = [sum(int(value) for value in column) for column in has]
        for name, holding in state.revocable.items():
            if name in snapshot.rows:
                self.total = [a + b for a, b in zip(self.total, holding.total, strict=True)]
        self.nodes = [
            node
            for node in snapshot.nodes
            if not node.unschedulable and not any(t.effect in ("NoSchedule", "NoExecute") for t in node.taints)
        ]
        out = {node.name: [0] * self.size for node in self.nodes}
        for offer in state.offers.values():
            out[offer.node] = [a + b for a, b in zip(out[offer.node], offer.parts.bare, strict=True)]
        self.free = {}
        self.has = {}
        for node in self.nodes:
            row = snapshot.rows[node.name]
            self.free[node.name] = [max(0, int(free[d][row]) - out[node.name][d]) for d in range(self.size)]
            self.has[node.name] = {name: int(has[d][row]) for d, name in enumerate(state.dimensions.names)}
        self.reserved = {
            (node, role): [max(0, amount) for amount in holding.free()]
            for node, by_role in state.reservations.by_node.items()
            if node in self.free
            for role, holding in by_role.items()
        }
        self.revocable = {
            node: [max(0, amount) for amount in holding.free()]
            for node, holding in state.revocable.items()
            if node in self.free
        }
        self.subs = [one for one in state.subscriptions if one is not None]
        self.held = {one.number: list(one.held) for one in self.subs}
        self.bare = {one.number: list(one.bare) for one in self.subs}
        self.filters: list[tuple[int, str, list[int]]] = []
        names = {number: name for name, number in state.numbers.items()}
        f = state.filters
        for line in range(len(f)):
            if f._until[line] > now_s:
                self.filters.append((int(f._who[line]), names[int(f._where[line])], f._what[:, line].tolist()))
        self.answers: list[Answer] = []

    def run(self) -> list[Answer]:
        for needy in (True, False):
            for node in self.nodes:
                while any(self.offer(node, one, needy) for one in self.order()):
                    pass  # now it may be another's turn
        return self.answers

    # --- quota, by definition

    def roles(self) -> set[str]:
        known = (
            {one.role for one in self.subs} | set(self.state.roles.guarantees) | set(self.state.reservations.by_role)
        )
        return {"/".join(role.split("/")[: n + 1]) for role in known for n in range(role.count("/") + 1)}

    def consumed(self, role: str, d: int) -> int:
        def inside(other: str) -> bool:
            return other == role or other.startswith(role + "/")

        mine = sum(self.bare[one.number][d] for one in self.subs if inside(one.role))
        return mine + sum(v[d] for other, v in self.state.reservations.by_role.items() if inside(other))

    def needed(self, d: int, whom: str = "", more: int = 0) -> int:
        """Return the headroom, were a role given more."""

        def of(role: str) -> int:
            used = self.consumed(role, d) + (more if whom == role or whom.startswith(role + "/") else 0)
            own = max(0, self.state.roles.guarantees.get(role, {}).get(d, 0) - used)
            return max(own, sum(of(child) for child in roles if child.rpartition("/")[0] == role))

        roles = self.roles()
        return sum(of(role) for role in roles if "/" not in role)

    def spare(self, d: int, whom: str = "", more: int = 0) -> int:
        return sum(free[d] for free in self.free.values()) - more - self.needed(d, whom, more)

    def relief(self, role: str, d: int) -> int:
        now = self.needed(d)
        return max(x for x in range(now + 1) if self.needed(d, role, x) == now - x)

    def most(self, role: str, d: int, free: int, *, needy: bool) -> int:
        lineage = [role[:n] for n in range(1, len(role) + 1) if n == len(role) or role[n] == "/"]
        least_spare = min(0, self.spare(d))
        found = max(x for x in range(free + 1) if self.spare(d, role, x) >= least_spare)
        for one in lineage:
            limit = self.state.roles.limits.get(one, {}).get(d)
            if limit is not None:
                found = min(found, max(0, limit - self.consumed(one, d)))
            if needy and self.state.roles.guarantees.get(one, {}).get(d):
                found = min(found, self.relief(role, d))
        return found

    # --- whose turn

    def share(self, numbers: list[int], weight: float) -> Fraction:
        parts = [
            Fraction(sum(self.held[number][d] for number in numbers), self.total[d])
            for d in range(self.size)
            if self.total[d]
        ]
        return max(parts, default=Fraction(0)) / Fraction(weight)

    def order(self, role: str = "") -> list[Subscription]:
        """Return those in and below a role by their turn."""
        below = {one.role for one in self.subs if role in ("", one.role) or one.role.startswith(role + "/")}
        depth = role.count("/") + 1 if role else 0
        children = sorted({"/".join(name.split("/")[: depth + 1]) for name in below if name != role})
        own = [one for one in self.subs if one.role == role]
        own.sort(key=lambda one: (self.share([one.number], 1), one.framework.id))
        ranked = []
        if own:
            ranked.append((self.share([one.number for one in own], 1), "", own))
        for child in children:
            numbers = [one.number for one in self.subs if one.role == child or one.role.startswith(child + "/")]
            weight = self.state.roles.weights.get(child, 1)
            ranked.append((self.share(numbers, weight), child, self.order(child)))
        return [one for _, _, some in sorted(ranked, key=lambda entry: entry[:2]) for one in some]

    # --- one node and one framework

    def suits(self, node, one: Subscription) -> bool:
        can, rules = one.framework.capabilities, self.state.rules
        if not one.active or one.suppressed:
            return False
        if Capability.GPU_RESOURCES not in can and any(self.has[node.name].get(name) for name in rules.scarce):
            return False
        labels = dict(node.labels)
        there = labels.get(rules.region_label, rules.region)
        if rules.region and Capability.REGION_AWARE not in can and there != rules.region:
            return False
        return all(requirement.matches(labels) for requirement in one.framework.nodes)

    def offer(self, node, one: Subscription, needy: bool) -> bool:
        if not self.suits(node, one):
            return False
        if needy and not any(self.relief(one.role, d) for d in range(self.size)):
            return False
        free = self.free[node.name]
        bare = [self.most(one.role, d, free[d], needy=needy) for d in range(self.size)]
        if needy and not any(min(bare[d], self.relief(one.role, d)) for d in range(self.size)):
            return False
        reserved = {
            role: amounts
            for (where, role), amounts in sorted(self.reserved.items())
            if where == node.name and (one.role == role or one.role.startswith(role + "/")) and any(amounts)
        }
        lent = [0] * self.size
        if Capability.REVOCABLE_RESOURCES in one.framework.capabilities:
            lent = self.revocable.get(node.name, lent)
        firm = [sum(values) for values in zip(bare, *reserved.values(), strict=True)]
        total = [a + b for a, b in zip(firm, lent, strict=True)]
        minimum = self.state.minimum
        if not any(total) or (minimum and not any(all(a >= b for a, b in zip(total, m, strict=True)) for m in minimum)):
            return False
        for who, where, what in self.filters:
            if who == one.number and where == node.name and all(a <= b for a, b in zip(firm + lent, what, strict=True)):
                return False
        self.answers.append(
            (
                one.framework.id,
                one.role,
                node.name,
                tuple(bare),
                tuple((role, tuple(amounts)) for role, amounts in reserved.items()),
                tuple(lent) if any(lent) else (),
            )
        )
        self.free[node.name] = [a - b for a, b in zip(free, bare, strict=True)]
        for role in reserved:
            self.reserved[node.name, role] = [0] * self.size
        if any(lent):
            self.revocable[node.name] = [0] * self.size
        self.held[one.number] = [a + b for a, b in zip(self.held[one.number], total, strict=True)]
        self.bare[one.number] = [a + b for a, b in zip(self.bare[one.number], bare, strict=True)]
        return True
