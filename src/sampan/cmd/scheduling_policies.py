"""Scheduling policies by name: the built-in ones, those that packages offer, and classes in files."""

from __future__ import annotations

import argparse
import runpy
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from sampan.base.errors import InvalidArgument
from sampan.schedule.ask import Ask
from sampan.schedule.plugin import PluginFailed, Reach
from sampan.schedule.policy_trial import tried
from sampan.schedule.profile import DEFAULT, PACKING, Profile
from sampan.schedule.snapshot import Snapshot

GROUP = "sampan.scheduler_policies"
"""The group of entry points in which packages offer policies."""

BUILT_IN = {"default": DEFAULT, "packing": PACKING}


def add_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--policy` to a command that asks the scheduler."""
    text = f"{', '.join(BUILT_IN)}, a package's, or FILE.py:CLASS; default default"
    parser.add_argument("--policy", default="default", metavar="P", help=text)


def profile(text: str) -> Profile:
    """Return the profile that `default`, `packing`, an entry point's name, or FILE.py:CLASS stands for.

    A policy is tried on a made-up cluster first. A file is run, with the rights of whoever runs this.

    Raises:
        InvalidArgument: there is none, or it cannot be used; the text says what to do.
    """
    if text in BUILT_IN:
        return BUILT_IN[text]
    path, separator, attribute = text.rpartition(":")
    if separator and path.endswith(".py"):
        return _used(text, _of_file(Path(path), attribute))
    offered = entry_points(group=GROUP)
    if text in offered.names:
        return _used(text, _of_package(offered[text]))
    known = ", ".join([*BUILT_IN, *sorted(offered.names)])
    if text.endswith(".py"):
        raise InvalidArgument(f"{text}: which class of it? Write it as {text}:CLASS")
    raise InvalidArgument(
        f"there is no scheduling policy {text}: there are {known}, and FILE.py:CLASS (`sampan sched new NAME` writes one)"
    )


class _Unusable:
    name = "Unusable"
    reach = Reach.FIXED

    def __init__(self, why: str) -> None:
        self._why = why

    def prefilter(self, ask: Ask, snapshot: Snapshot) -> None:
        raise PluginFailed(self._why)


def refusing(why: str) -> Profile:
    """Return a profile that refuses every pod and tells it why: for a scheduler that has no policy to go by."""
    return Profile((_Unusable(why),), ())


def _of_file(path: Path, attribute: str) -> object:
    try:
        found = runpy.run_path(str(path), run_name=path.stem)
    except OSError as error:
        raise InvalidArgument(f"cannot read the scheduling policy {path}: {error.strerror}") from error
    except Exception as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise InvalidArgument(f"{path} cannot be run{line}: {type(error).__name__}: {error}") from error
    if attribute not in found:
        classes = [name for name, each in found.items() if isinstance(each, type) and each.__module__ == path.stem]
        has = f"its classes are {', '.join(classes)}" if classes else "it has no class"
        raise InvalidArgument(f"{path} has no {attribute or 'class without a name'}: {has}")
    return found[attribute]


def _of_package(point: EntryPoint) -> object:
    try:
        return point.load()
    except Exception as error:
        raise InvalidArgument(
            f"the scheduling policy {point.name} ({point.value}) cannot be loaded: {type(error).__name__}: {error}"
        ) from error


def _used(text: str, found: object) -> Profile:
    """Return what was found as a profile: it is one, or a policy, or a class of policies."""
    if isinstance(found, Profile):
        return found
    if isinstance(found, type):
        try:
            found = found()
        except Exception as error:
            raise InvalidArgument(
                f"{text} cannot be made without arguments: {type(error).__name__}: {error}"
            ) from error
    try:
        return tried(found)
    except InvalidArgument as error:
        raise InvalidArgument(f"{text} cannot be used: {error}") from error
