"""Selection: the label and field selectors of one request, judged on stored objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from sampan.api.kube.call import Call
from sampan.kube import selector, status
from sampan.kube.object import Object
from sampan.kube.selector import FieldTerm, LabelSelector


class _Metadata(msgspec.Struct):
    labels: dict[str, str] | None = None


class _Labelled(msgspec.Struct):
    metadata: _Metadata


_labels = msgspec.json.Decoder(_Labelled).decode
_whole = msgspec.json.Decoder(Object).decode


class Selection:
    """Which of the objects in a collection."""

    def __init__(
        self, labels: LabelSelector, terms: tuple[FieldTerm, ...], fields: selector.Fields, key: str = ""
    ) -> None:
        self.labels = labels
        self.terms = terms
        self.key = key
        """The one key that can match, "" where that is not known."""
        self._fields = fields
        self._deep = tuple(term for term in terms if term.field not in ("metadata.name", "metadata.namespace"))
        self.everything = labels.everything and not terms

    @classmethod
    def of(cls, call: Call) -> Selection:
        """Return what a request selects.

        Raises:
            ApiError: 400
        """
        request, served = call.request, call.served
        label_text, field_text = request.parameter("labelSelector"), request.parameter("fieldSelector")
        if not label_text and not field_text:
            return cls(LabelSelector(), (), {})
        try:
            labels = selector.parse_labels(label_text) if label_text else LabelSelector()
            terms = selector.parse_fields(field_text) if field_text else ()
        except selector.SelectorError as error:
            raise status.bad_request(f"unable to parse requirement: {error}") from error
        selector.check_fields(terms, served.strategy.fields)
        name = next((term.value for term in terms if term.field == "metadata.name" and term.equal), "")
        known = bool(name) and (not served.resource.namespaced or bool(call.target.namespace))
        return cls(
            labels, terms, served.strategy.fields, served.resource.key(call.target.namespace, name) if known else ""
        )

    def matches(self, key: str, value: bytes) -> bool:
        """Return whether a stored object is chosen."""
        if self.everything:
            return True
        if self.terms and not self._by_key(key):
            return False
        if self._deep:
            return self._by_object(_whole(value))
        return self.labels.everything or self.labels.matches(_labels(value).metadata.labels or {})

    def of_object(self, obj: Mapping[str, Any]) -> bool:
        """Return whether an object is chosen."""
        metadata = obj.get("metadata") or {}
        for term in self.terms:
            if term.field in ("metadata.name", "metadata.namespace"):
                found = str(metadata.get(term.field.partition(".")[2]) or "")
                if (found == term.value) != term.equal:
                    return False
        return self._by_object(dict(obj))

    def _by_key(self, key: str) -> bool:
        parts = key.split("/")
        names = {"metadata.name": parts[-1], "metadata.namespace": parts[-2] if len(parts) > 4 else ""}
        return all((names[term.field] == term.value) == term.equal for term in self.terms if term.field in names)

    def _by_object(self, obj: Object) -> bool:
        if not self.labels.matches((obj.get("metadata") or {}).get("labels") or {}):
            return False
        return all((self._fields[term.field](obj) == term.value) == term.equal for term in self._deep)
