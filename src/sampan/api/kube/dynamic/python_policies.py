"""Policies in Python: files in folders, loaded at start and again when they change. The contract is `kube/policy.py`.

They are looked at on a write, at most twice a second. A file that cannot be loaded is said in the log, and what it held
before goes on to hold; nothing that a policy does ends the server.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from sampan.api.kube.admission import Attributes
from sampan.api.kube.dynamic.matcher import Matcher
from sampan.api.kube.dynamic.worker import TookTooLong, Worker
from sampan.base import log
from sampan.base.clock import Clock
from sampan.kube import object as objects
from sampan.kube import policy, status
from sampan.kube.admission.ask import as_asked
from sampan.kube.policy import Asked, Bound, Broken, Verdict

_LOOK_S = 0.5
_LOAD_S = 10.0
_ADMIT_S = 1.0
_PARTS = ("scale", "ephemeralcontainers", "resize")
"""Subresources through which a client changes what an object is to be."""
_log = log.get("kube.policies")


class Mark(NamedTuple):
    """What tells one version of a file from another."""

    changed_ns: int
    size: int
    inode: int


def files(folders: Sequence[Path]) -> dict[Path, Mark]:
    """Return the files of policies in some folders, in the order of their names; a folder may be missing."""
    return {path: mark for folder in folders for path, mark in sorted(_in(folder))}


def _in(folder: Path) -> Iterator[tuple[Path, Mark]]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(".py") and not entry.name.startswith((".", "_")) and entry.is_file():
                    found = entry.stat()
                    yield folder / entry.name, Mark(found.st_mtime_ns, found.st_size, found.st_ino)
    except OSError:
        return


def load(path: Path, *, given: bool = False) -> list[Bound]:
    """Return the policies of a file. It is run. `given`: by who runs this, who answers for it.

    Raises:
        Broken: it cannot be used.
    """
    try:
        with path.open("rb") as source:
            found = os.fstat(source.fileno())
            others = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or found.st_uid not in (0, os.geteuid())
            if others and not given:
                raise Broken("others than its owner may write it, and it would run with our rights: chmod go-w")
            return policy.loaded(source.read().decode(), path.name)
    except (OSError, UnicodeDecodeError) as error:
        raise Broken(str(error)) from error


class PythonPolicies:
    """Sees an object after all else that changes it, and once more where webhooks changed it after that."""

    name = "PythonPolicies"

    def __init__(self, folders: Sequence[Path], matcher: Matcher, clock: Clock) -> None:
        """`folders`: the own one, which may be missing, and those that somebody named."""
        self._folders = tuple(folders)
        self._matcher = matcher
        self._clock = clock
        self._worker = Worker()
        self._marks: dict[Path, Mark] = {}
        self._held: dict[Path, list[Bound]] = {}
        self._next_s = 0.0
        self._loading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Load what is there."""
        for folder in self._folders[1:]:
            if not folder.is_dir():
                _log.warning("there is no folder %s of policies: none of it hold until it is there", folder)
        await self._look()

    def close(self) -> None:
        self._worker.close()

    async def mutate(self, attributes: Attributes) -> None:
        if attributes.subresource and attributes.subresource not in _PARTS:
            return
        await self._look()
        resource = attributes.resource
        concerned = [
            bound
            for held in self._held.values()
            for bound in held
            if bound.about(attributes.operation, resource.group, resource.kind)
        ]
        if concerned and (asked := self._asked(attributes)) is not None:
            for bound in concerned:
                await self._judge(bound, attributes, asked)

    async def validate(self, attributes: Attributes) -> None:
        pass

    def _asked(self, attributes: Attributes) -> Asked | None:
        ask, resource = self._matcher.ask(attributes), attributes.resource
        if ask is None:
            return None
        return Asked(
            attributes.operation,
            resource.group,
            resource.version,
            resource.kind,
            resource.plural,
            attributes.namespace,
            attributes.name,
            attributes.subresource,
            attributes.user.name,
            attributes.user.groups,
            attributes.dry_run,
            attributes.old,
        )

    async def _judge(self, bound: Bound, attributes: Attributes, asked: Asked) -> None:
        obj = attributes.object if attributes.object is not None else attributes.old
        if obj is None:
            return
        try:
            verdict = await self._worker.run(lambda: policy.judged(bound, obj, asked), _ADMIT_S)
        except TookTooLong:
            verdict = Verdict(failure=f"it took longer than {_ADMIT_S:g} s")
        who = f"policy {bound.name} ({bound.file})"
        if verdict.failure:
            _log.error("%s failed on %s %s/%s: %s", who, asked.resource, asked.namespace, asked.name, verdict.failure)
            raise status.internal(f"{who} failed: {verdict.failure}")
        if verdict.refusal:
            resource = attributes.resource
            why = f"{who} denied the request: {verdict.refusal}"
            raise status.forbidden(resource.plural, resource.group, objects.name(obj), why)
        if verdict.changed is not None and not attributes.subresource:
            ask = self._matcher.ask(attributes)
            if ask is not None and await self._matcher.take(attributes, as_asked(ask), verdict.changed):
                attributes.repeat = True

    async def _look(self) -> None:
        """Load what has changed since the last look."""
        if self._loading is not None:
            await asyncio.shield(self._loading)
        now_s = self._clock.monotonic_s()
        if now_s < self._next_s:
            return
        self._next_s = now_s + _LOOK_S
        found = files(self._folders)
        if found != self._marks:
            self._loading = asyncio.ensure_future(self._load(found))
            try:
                await asyncio.shield(self._loading)
            finally:
                self._loading = None

    async def _load(self, found: dict[Path, Mark]) -> None:
        held: dict[Path, list[Bound]] = {}
        for path, mark in found.items():
            before = self._held.get(path)
            if before is not None and self._marks.get(path) == mark:
                held[path] = before
                continue
            try:
                held[path] = await self._worker.run(lambda path=path: load(path), _LOAD_S)  # type: ignore[misc]
                _log.info("policies of %s: %s", path, ", ".join(bound.name for bound in held[path]))
            except (Broken, TookTooLong) as error:
                why = str(error) or f"it took longer than {_LOAD_S:g} s"
                kept = "; what it held before goes on to hold" if before else "; its policies do not hold"
                _log.error("the policies of %s cannot be loaded: %s%s", path, why, kept)
                if before:
                    held[path] = before
        for path in self._held.keys() - held.keys():
            _log.info("policies of %s are gone", path)
        self._held, self._marks = held, found
