"""Reinvocation: who looks at a write once more, since somebody outside of the server changed it after them.

Spec: Kubernetes documentation, "Dynamic Admission Control", "Reinvocation policy".
"""

from __future__ import annotations

import msgspec

from sampan.api.kube.admission import Attributes

_encode = msgspec.json.Encoder().encode


class Rounds:
    """What one plugin remembers of a write between both times that it looks at it."""

    def __init__(self) -> None:
        self._asked: set[str] = set()
        self._due: set[str] = set()
        self._last = b""

    @classmethod
    def of(cls, attributes: Attributes, plugin: str) -> Rounds:
        """Return what a plugin remembers, at the beginning of a round."""
        found: Rounds = attributes.memory.setdefault(plugin, cls())
        if attributes.again and found._last != _encode(attributes.object):
            found._be_due()
        return found

    def skips(self, attributes: Attributes, uid: str) -> bool:
        """Return whether one has nothing to look at in this round."""
        return attributes.again and uid not in self._due

    def tell(self, attributes: Attributes, uid: str, *, changed: bool, again: bool) -> None:
        """Remember that one was asked, who wants to be asked `again` when others change something."""
        if changed:
            attributes.repeat = True
            self._be_due()
        if again:
            self._asked.add(uid)

    def end(self, attributes: Attributes) -> None:
        self._last = _encode(attributes.object)

    def _be_due(self) -> None:
        self._due |= self._asked
        self._asked.clear()
