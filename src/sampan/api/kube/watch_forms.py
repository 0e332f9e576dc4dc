"""Forms of a watch's events: each change is made into a form once, and all who want that form share its bytes."""

from __future__ import annotations

import msgspec

from sampan.api.kube.negotiate import PARTIAL, TABLE, Form
from sampan.api.kube.request import Shared
from sampan.api.kube.served import Served
from sampan.base.clock import Clock
from sampan.kube import stored
from sampan.kube.object import Object
from sampan.kube.printing import table
from sampan.store.kv.port import Event

_INITIAL_END = "k8s.io/initial-events-end"
encode = msgspec.json.Encoder().encode


class Entry:
    """A change, and the forms in which it was already told."""

    __slots__ = ("_forms", "at_s", "event")

    def __init__(self, event: Event, at_s: float) -> None:
        self.event = event
        self.at_s = at_s
        self._forms: dict[tuple[str, object], Shared] = {}

    @property
    def size(self) -> int:
        """Return how many bytes it holds on to, about."""
        return len(self.event.value or b"") + len(self.event.previous or b"")

    def told(self, kind: str, shape: Shape) -> Shared:
        """Return the change as an event of a kind, in a form."""
        key = (kind, shape.key)
        found = self._forms.get(key)
        if found is None:
            found = self._forms[key] = Shared(shape.event(kind, self.object(kind)))
        return found

    def object(self, kind: str) -> bytes:
        """Return the object as JSON: of what is deleted or left the selection, how it last was."""
        event = self.event
        if kind == "DELETED":
            gone = event.previous if event.previous is not None else event.value
            return stored.with_revision(gone or b"", event.revision)
        return stored.with_revision(event.value or b"", event.revision)


class Shape:
    """A form of answers for one resource: how an object becomes an event's line."""

    def __init__(self, served: Served, form: Form, include: str, clock: Clock) -> None:
        self._served = served
        self._form = form
        self._include = include
        self._clock = clock
        self.columns = form.shape == TABLE
        """Whether a first event says more than later ones."""
        self.key: object = (served.resource.api_version, form, include)

    def event(self, kind: str, obj: bytes, *, first: bool = False) -> bytes:
        """Return an event's line."""
        if not self._form.shape:
            return b'{"type":"%b","object":%b}\n' % (kind.encode(), obj)
        return self.of_object(kind, msgspec.json.decode(obj, type=Object), first=first)

    def of_object(self, kind: str, obj: Object, *, first: bool = False) -> bytes:
        """Return the line of an object in the served version."""
        if self._form.shape == TABLE:
            obj = table.table(
                self._served.strategy.printer,
                [obj],
                now_s=self._clock.now_ns() / 1e9,
                include_object=self._include,
                list_metadata={"resourceVersion": obj["metadata"]["resourceVersion"]},
                version=self._form.version,
                columns=first,
            )
        elif self._form.shape == PARTIAL:
            obj = table.partial(obj, self._form.version)
        return encode({"type": kind, "object": obj}) + b"\n"

    def bookmark(self, revision: int, *, initial_end: bool = False) -> bytes:
        """Return the line that says that everything up to a revision was told."""
        metadata: Object = {"resourceVersion": str(revision), "creationTimestamp": None}
        if initial_end:
            metadata["annotations"] = {_INITIAL_END: "true"}
        kind, version = self._served.resource.kind, self._served.resource.api_version
        if self._form.shape == PARTIAL:
            kind, version = "PartialObjectMetadata", f"meta.k8s.io/{self._form.version}"
        obj: Object = {"kind": kind, "apiVersion": version, "metadata": metadata}
        if self._form.shape == TABLE:
            obj = {
                "kind": "Table",
                "apiVersion": f"meta.k8s.io/{self._form.version}",
                "metadata": {"resourceVersion": str(revision)},
                "columnDefinitions": None,
                "rows": [{"cells": [], "object": {**obj, "kind": "PartialObjectMetadata",
                                                  "apiVersion": f"meta.k8s.io/{self._form.version}"}}],
            }  # fmt: skip
        return encode({"type": "BOOKMARK", "object": obj}) + b"\n"
