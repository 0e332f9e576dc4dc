"""Feed: follows the store for all watchers of one resource, and remembers what was last told, for those who come back."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from sampan.api.kube.watch_forms import Entry
from sampan.api.kube.watcher import Watcher, gone
from sampan.base.clock import Clock
from sampan.base.errors import SampanError
from sampan.store.kv.port import Event, Store, Watch

HISTORY_S = 330.0
_RING, _RING_BYTES = 2_000, 8 * 1024 * 1024
"""What a feed remembers for those who come back soon; others read the store's own history."""


class Feed:
    """What all watchers of one resource's keys share."""

    def __init__(self, prefix: str, store: Store, clock: Clock) -> None:
        self.prefix = prefix
        self._clock = clock
        self._ring: deque[Entry] = deque()
        self._ring_bytes = 0
        self._watchers: dict[str, set[Watcher]] = {}
        self.base = self.revision = store.revision
        """The ring has every change after `base`, and everything up to `revision` was told."""
        self.failed: SampanError | None = None
        self._watch: Watch = store.watch(prefix, self.base, self._deliver, self._fail)

    def join(self, watcher: Watcher) -> None:
        """Tell a watcher what it has missed, and what comes."""
        watcher.told = lambda: self.revision
        for entry in self._ring:
            if entry.event.revision > watcher.after and self._concerns(watcher, entry.event.key):
                watcher.tell(entry)
        self._watchers.setdefault(watcher.where, set()).add(watcher)

    def leave(self, watcher: Watcher) -> None:
        group = self._watchers.get(watcher.where, set())
        group.discard(watcher)
        if not group:
            self._watchers.pop(watcher.where, None)

    @property
    def watchers(self) -> list[Watcher]:
        return [watcher for group in self._watchers.values() for watcher in group]

    def __len__(self) -> int:
        return sum(map(len, self._watchers.values()))

    def close(self) -> None:
        """Stop following. Its watchers are told no more."""
        self._watch.close()

    def end(self) -> None:
        """Stop following, and end its watchers' answers."""
        self.close()
        for watcher in self.watchers:
            watcher.sink.close()

    def _concerns(self, watcher: Watcher, key: str) -> bool:
        rest = key[len(self.prefix) :]
        return (
            not watcher.where or rest == watcher.where or (watcher.where[-1] == "/" and rest.startswith(watcher.where))
        )

    def _deliver(self, events: Sequence[Event], revision: int) -> None:
        now = self._clock.monotonic_s()
        for event in events:
            entry = Entry(event, now)
            self._ring.append(entry)
            self._ring_bytes += entry.size
            rest = event.key[len(self.prefix) :]
            space = rest[: rest.find("/") + 1]
            for where in ("", space, rest) if space else ("", rest):
                for watcher in list(self._watchers.get(where, ())):
                    watcher.tell(entry)
        self.revision = revision
        oldest = now - HISTORY_S
        while self._ring and (self._ring[0].at_s < oldest or len(self._ring) > _RING or self._ring_bytes > _RING_BYTES):
            entry = self._ring.popleft()
            self._ring_bytes -= entry.size
            self.base = entry.event.revision

    def _fail(self, error: SampanError) -> None:
        self.failed = error
        for watcher in self.watchers:
            watcher.fail(gone(error))
