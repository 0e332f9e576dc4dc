"""Informer: a local, current copy of all objects of one resource, by list and watch, and a word about each change."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

from sampan.base import log
from sampan.base.errors import SampanError
from sampan.client.port import Client, Ref
from sampan.kube import object as objects
from sampan.kube.object import Object
from sampan.kube.status import ApiError

_log = log.get("client")

_FIRST_DELAY_S, _LAST_DELAY_S = 0.05, 10.0


class Key(NamedTuple):
    namespace: str
    name: str


Listener = Callable[[Object | None, Object | None], None]
"""`listener(old, new)`: old is None for a new object, new is None for one that is gone."""


class Informer:
    """Reads are plain calls; what they return is shared: do not change it."""

    def __init__(
        self,
        client: Client,
        ref: Ref,
        *,
        keep: Callable[[Object], Object | None] | None = None,
        slim: bool = False,
        **query: str,
    ) -> None:
        """`keep`: what to hold of an object, to save memory; None for nothing, as if it were not there.

        `slim`: only who and whose it is need be read. `query`: selectors, and such.
        """
        self._slim = slim
        self.ref = ref
        self._client = client
        self._keep = keep or _whole
        self._query = query
        self._objects: dict[Key, Object] = {}
        self._listeners: list[Listener] = []
        self._task: asyncio.Task[None] | None = None
        self._synced = asyncio.Event()

    def on_change(self, listener: Listener) -> None:
        """Call `listener` for everything that is there, and for each change from then on."""
        self._listeners.append(listener)
        for obj in list(self._objects.values()):
            listener(None, obj)

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"informer {self.ref.plural}")

    async def synced(self) -> None:
        """Return when everything was read once."""
        await self._synced.wait()

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def get(self, namespace: str, name: str) -> Object | None:
        return self._objects.get(Key(namespace, name))

    def __iter__(self) -> Iterator[Object]:
        return iter(list(self._objects.values()))

    def __len__(self) -> int:
        return len(self._objects)

    async def _run(self) -> None:
        delay_s = _FIRST_DELAY_S
        version = ""
        while True:
            try:
                version = version or await self._list()
                version = await self._follow(version)
                delay_s = _FIRST_DELAY_S
            except ApiError as error:
                version = "" if error.code == 410 else version
                _log.info("watch of %s: %s", self.ref.plural, error)
            except SampanError as error:
                _log.info("watch of %s: %s", self.ref.plural, error)
            except Exception:
                version = ""
                _log.exception("the informer of %s reads everything again", self.ref.plural)
            await asyncio.sleep(delay_s)
            delay_s = min(_LAST_DELAY_S, delay_s * 2)

    async def _list(self) -> str:
        before = self._objects
        self._objects = {}
        again = self._synced.is_set()
        version = ""
        try:
            async for page in self._client.pages(self.ref, **self._query):
                version = page.resource_version
                for obj in page.items:
                    self._put(obj, before.pop(_key(obj), None), again=again)
        except BaseException:
            self._objects = before | self._objects  # what was not read again is as it was
            raise
        for gone in before.values():
            self._tell(gone, None)
        self._synced.set()
        return version

    async def _follow(self, version: str) -> str:
        """Take in changes after a version until the watch ends; returns the last version seen."""
        async for event in self._client.watch(self.ref, version, slim=self._slim, **self._query):
            version = objects.resource_version(event.object)
            if event.type == "DELETED":
                self._tell(self._objects.pop(_key(event.object), None) or event.object, None)
            elif event.type != "BOOKMARK":
                self._put(event.object, self._objects.get(_key(event.object)))
        return version

    def _put(self, obj: Object, old: Object | None, *, again: bool = False) -> None:
        """Take in a state; `again`: it is told even where it is the one that is known, as some may have been missed."""
        kept = self._keep(obj)
        if kept is None:
            self._objects.pop(_key(obj), None)
            if old is not None:
                self._tell(old, None)
            return
        self._objects[_key(obj)] = kept
        if again or old is None or objects.resource_version(old) != objects.resource_version(obj):
            self._tell(old, kept)

    def _tell(self, old: Object | None, new: Object | None) -> None:
        for listener in self._listeners:
            listener(old, new)


def _key(obj: Object) -> Key:
    return Key(sys.intern(objects.namespace(obj)), objects.name(obj))


def _whole(obj: Object) -> Object | None:
    return obj
