"""Conversion: custom resources between the versions of their definition, by renaming them or by a webhook; and their defaults.

Spec: apiextensions.k8s.io/v1 CustomResourceConversion, ConversionReview.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sampan.api.kube.served import Conversion
from sampan.api.kube.webhook import Caller
from sampan.base.errors import SampanError
from sampan.kube import object as objects
from sampan.kube import status as refusals
from sampan.kube.object import Object
from sampan.kube.reading import mapping, text
from sampan.kube.schema import structural
from sampan.kube.schema.node import Node

CONVERSION_S = 30.0
NewUid = Callable[[], str]


class Renaming:
    """The conversion `None`: only apiVersion differs."""

    def __init__(self, served: str, stored: str) -> None:
        self._served = served
        self._stored = stored

    async def to_storage(self, found: list[Object]) -> list[Object]:
        return [{**obj, "apiVersion": self._stored} for obj in found]

    async def from_storage(self, found: list[Object]) -> list[Object]:
        return [{**obj, "apiVersion": self._served} for obj in found]


class Filled:
    """Objects get the defaults that their schema has now when they are read, not only when they are written."""

    def __init__(self, node: Node, inner: Conversion | None) -> None:
        """`inner`: between the versions, where there are several."""
        self._node = node
        self._inner = inner

    async def to_storage(self, found: list[Object]) -> list[Object]:
        return await self._inner.to_storage(found) if self._inner else found

    async def from_storage(self, found: list[Object]) -> list[Object]:
        if self._inner:
            found = await self._inner.from_storage(found)
        for obj in found:
            structural.default(self._node, obj)
        return found


class Remote:
    """Conversion by a webhook. Spec: apiextensions.k8s.io/v1 ConversionReview."""

    def __init__(self, served: str, stored: str, hook: Object, caller: Caller, new_uid: NewUid) -> None:
        self._served = served
        self._stored = stored
        self._hook = hook
        self._caller = caller
        self._new_uid = new_uid

    async def to_storage(self, found: list[Object]) -> list[Object]:
        return await self._convert(found, self._stored)

    async def from_storage(self, found: list[Object]) -> list[Object]:
        return await self._convert(found, self._served)

    async def _convert(self, found: list[Object], wanted: str) -> list[Object]:
        foreign = [obj for obj in found if obj.get("apiVersion") != wanted]
        if not foreign:
            return found
        asked = self._new_uid()
        review = {
            "kind": "ConversionReview",
            "apiVersion": "apiextensions.k8s.io/v1",
            "request": {"uid": asked, "desiredAPIVersion": wanted, "objects": foreign},
        }
        try:
            answer = await self._caller.post(mapping(self._hook, "clientConfig"), review, CONVERSION_S)
        except SampanError as error:
            raise _failed(foreign, str(error)) from error
        converted = iter(_checked(mapping(answer, "response"), asked, foreign, wanted))
        return [obj if obj.get("apiVersion") == wanted else next(converted) for obj in found]


def _checked(response: Object, asked: str, given: list[Object], wanted: str) -> list[Object]:
    made: Any = response.get("convertedObjects")
    if text(response, "result", "status") != "Success":
        raise _failed(given, text(response, "result", "message") or "it did not succeed")
    if response.get("uid") != asked or not isinstance(made, list) or len(made) != len(given):
        raise _failed(given, "it returned other objects than were asked for")
    for before, after in zip(given, made, strict=True):
        if not isinstance(after, dict) or after.get("apiVersion") != wanted or after.get("kind") != before["kind"]:
            raise _failed(given, f"it returned an object that is no {before['kind']} of {wanted}")
        meta, kept = objects.metadata(after), before["metadata"]
        after["metadata"] = {
            **kept,
            **{key: meta[key] for key in ("labels", "annotations") if key in meta},
        }
    return made


def _failed(given: list[Object], why: str) -> refusals.ApiError:
    return refusals.internal(
        f"conversion webhook for {given[0].get('apiVersion')}, Kind={given[0].get('kind')} failed: {why}"
    )
