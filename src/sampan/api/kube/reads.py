"""get and list: consistent, at a revision, in pages that are one snapshot, with selectors.

Spec: Kubernetes API concepts, "Retrieving large results sets in chunks", "Resource versions".
"""

from __future__ import annotations

import base64
import binascii
from typing import NamedTuple

import msgspec

from sampan.api.kube.answers import Renderer
from sampan.api.kube.call import Call, invalid_option
from sampan.api.kube.records import Records
from sampan.api.kube.request import Response
from sampan.api.kube.selection import Selection
from sampan.kube import status
from sampan.kube.object import Object
from sampan.store.kv.port import Compacted, FutureRevision, Item, Page, Store

CHUNK = 500
_DIGITS = 20
_EXPIRED = "The provided continue parameter is too old to display a consistent list result."


class Token(msgspec.Struct):
    """Where a list goes on. A revision of -1: wherever the store is then, after the history was compacted."""

    rv: int
    start: str
    v: str = "meta.k8s.io/v1"

    def render(self) -> str:
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip("=")


class Asked(NamedTuple):
    """Which state a read wants: `revision` 0 is the newest; `least` only wants one that is not older."""

    revision: int = 0
    least: int = 0


class Reads:
    """The verbs get and list."""

    def __init__(self, records: Records, renderer: Renderer) -> None:
        self._records = records
        self._renderer = renderer

    async def get(self, call: Call) -> Response:
        """Answer with one object.

        Raises:
            ApiError: 404; 504, a resourceVersion that was not made yet.
        """
        resource = call.served.resource
        store = self._records.store(resource)
        await _reach(store, number_of(call.request.parameter("resourceVersion")))
        item = await store.get(resource.key(call.target.namespace, call.target.name))
        if item is None:
            raise call.not_found()
        return await self._renderer.item(call, item)

    async def list(self, call: Call) -> Response:
        """Answer with the objects of a namespace or of all, chosen by selectors, a page at a time where `limit` says so."""
        resource = call.served.resource
        store = self._records.store(resource)
        prefix = resource.key(call.target.namespace, "") if call.target.namespace else resource.prefix
        selection = Selection.of(call)
        limit = max(0, call.integer("limit"))
        token = _token(call.request.parameter("continue"), prefix)
        if token is not None and call.request.parameter("resourceVersion") not in ("", "0"):
            raise status.bad_request("specifying resource version is not allowed when using continue")
        asked = _asked(call) if token is None else Asked(revision=max(token.rv, 0))
        await _reach(store, asked.least)
        try:
            page = await self._page(store, prefix, token.start if token else "", limit, asked.revision, selection)
        except Compacted as error:
            if token is None:
                raise status.expired(f"The resourceVersion for the provided list is too old: {error}") from error
            raise status.expired(_EXPIRED, continue_token=Token(-1, token.start).render()) from error
        except FutureRevision as error:
            raise too_new(error) from error
        metadata: Object = {"resourceVersion": str(page.revision)}
        if page.remaining and page.items:
            metadata["continue"] = Token(page.revision, page.items[-1].key).render()
            if selection.everything:
                metadata["remainingItemCount"] = page.remaining
        return await self._renderer.list(call, page.items, metadata)

    async def _page(
        self, store: Store, prefix: str, after: str, limit: int, revision: int, selection: Selection
    ) -> Page:
        if selection.key:
            return await _single(store, selection, revision)
        if selection.everything:
            return await store.range(prefix, after=after, limit=limit, revision=revision)
        found: list[Item] = []
        while True:
            page = await store.range(prefix, after=after, limit=CHUNK, revision=revision)
            revision = page.revision
            for position, item in enumerate(page.items):
                if selection.matches(item.key, item.value):
                    found.append(item)
                    if limit and len(found) == limit:
                        return Page(found, revision, page.remaining + len(page.items) - position - 1)
            if not page.remaining:
                return Page(found, revision, 0)
            after = page.items[-1].key


async def _single(store: Store, selection: Selection, revision: int) -> Page:
    """Return the one object that a selector names, without a look at the others."""
    revision = revision or await store.current()
    item = await store.get(selection.key, revision=revision)
    return Page([item] if item is not None and selection.matches(item.key, item.value) else [], revision, 0)


def number_of(text: str) -> int:
    """Return the revision that a resourceVersion parameter names, 0 for none."""
    if not text:
        return 0
    if not text.isdecimal() or len(text) > _DIGITS or (number := int(text)) >= 2**63:
        raise invalid_option("resourceVersion", text, "must be a number of 64 bits")
    return number


def _asked(call: Call) -> Asked:
    text, match = call.request.parameter("resourceVersion"), call.request.parameter("resourceVersionMatch")
    if match and match not in ("Exact", "NotOlderThan"):
        raise invalid_option("resourceVersionMatch", match, 'supported values: "Exact", "NotOlderThan"')
    if match and not text:
        raise invalid_option(
            "resourceVersionMatch", match, "resourceVersionMatch is forbidden unless resourceVersion is provided"
        )
    number = number_of(text)
    if match == "Exact":
        if number == 0:
            raise invalid_option(
                "resourceVersionMatch", match, 'resourceVersionMatch "Exact" is forbidden for resourceVersion "0"'
            )
        return Asked(revision=number)
    return Asked(least=number)


async def _reach(store: Store, least: int) -> None:
    """Return when the store is at a revision, which it is unless that one was never made."""
    if least > store.revision and (revision := await store.current()) < least:
        raise too_new(FutureRevision(least, revision))


def too_new(error: FutureRevision) -> status.ApiError:
    """Return the refusal of a read of a revision that was not made yet."""
    refusal = status.timeout(f"Too large resource version: {error}")
    (refusal.details or {})["causes"] = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    return refusal


def _token(text: str, prefix: str) -> Token | None:
    """Return where a list goes on; None for a new one. A token is the client's word: it may not lead out of the prefix."""
    if not text:
        return None
    try:
        token = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=Token)
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise status.bad_request(f"continue key is not valid: {error}") from error
    if not token.start.startswith(prefix) or not -1 <= token.rv < 2**63:
        raise status.bad_request("continue key is not valid: it belongs to another list")
    return token
