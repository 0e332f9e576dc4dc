"""The files of a public packing contest (2018): machines, apps with 98 points of CPU and memory, instances, rules.

One zip holds four CSV files without headings:

    machine_resources  machine_N, cpu, memory, disk, P, M, PM
    app_resources      app_N, 98 points of CPU joined by |, 98 of memory, disk, P, M, PM
    instance_deploy    inst_N, app_N, machine_N or nothing
    app_interference   app_A, app_B, k
"""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import IO

import numpy as np

from sampan.base.errors import InvalidArgument
from sampan.sim.packing import Floats, Ints, Packing
from sampan.sim.traces.table import MOST

POINTS = 98
_SCALARS = 4
_FILES = ("machine_resources", "app_resources", "instance_deploy", "app_interference")


def read(source: Path | IO[bytes]) -> Packing:
    """Return the problem of a contest's zip.

    Raises:
        InvalidArgument: a file is missing or is not of this form.
    """
    machines, apps, instances, rules = _texts(source)
    machine = _numbers(machines.replace(b"machine_", b""), 3 + _SCALARS)
    app = _numbers(apps.replace(b"app_", b""), 1 + 2 * POINTS + _SCALARS)
    deploy = instances.replace(b"\r", b"").replace(b",\n", b",0\n").replace(b"inst_", b"").replace(b"app_", b"")
    deployed = _numbers(deploy.replace(b"machine_", b""), 3)
    rule = _numbers(rules.replace(b"app_", b""), 3)
    start = np.full(len(deployed), -1, np.int64)
    placed = deployed[:, 2] > 0
    start[placed] = _rows("machine", machine[:, 0], deployed[placed, 2])
    return Packing(
        cpu=app[:, 1 : 1 + POINTS],
        memory=app[:, 1 + POINTS : 1 + 2 * POINTS],
        scalars=app[:, 1 + 2 * POINTS :],
        machine_cpu=machine[:, 1],
        machine_memory=machine[:, 2],
        machine_scalars=machine[:, 3:],
        rules=np.column_stack([*(_rows("app", app[:, 0], rule[:, at]) for at in (0, 1)), rule[:, 2].astype(np.int64)]),
        app=_rows("app", app[:, 0], deployed[:, 1]),
        start=start,
    )


def _texts(source: Path | IO[bytes]) -> list[bytes]:
    found: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(source) as archive:
            for name in archive.namelist():
                of = next((each for each in _FILES if each in name and name.endswith(".csv")), None)
                if of is not None and not name.startswith("__"):  # what one system adds beside each file
                    found[of] = archive.read(name)
    except zipfile.BadZipFile as error:
        raise InvalidArgument(f"the contest's files are no zip: {error}") from None
    missing = [name for name in _FILES if name not in found]
    if missing:
        raise InvalidArgument(f"the zip has no {', '.join(missing)}: is it the contest's?")
    return [found[name] for name in _FILES]


def _numbers(text: bytes, columns: int) -> Floats:
    """Return (rows, columns): every separator is the same to the one C loop that reads all numbers."""
    flat = text.strip().replace(b"\r", b"").replace(b"\n", b",").replace(b"|", b",")
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # so some versions of numpy say that it is something else
        try:
            numbers = np.fromstring(flat, sep=",")
        except (ValueError, DeprecationWarning):
            numbers = np.zeros(0)
    whole = len(numbers) == flat.count(b",") + 1 and not len(numbers) % columns
    if not whole or not (np.abs(numbers) <= MOST).all():
        raise InvalidArgument(f"a contest's file has rows that are not {columns} numbers")
    return numbers.reshape(-1, columns)


def _rows(what: str, names: Floats, wanted: Floats) -> Ints:
    """Return the rows that have these names."""
    order = np.argsort(names)
    found: Ints = order[np.searchsorted(names, wanted, sorter=order).clip(max=len(names) - 1)].astype(np.int64)
    unknown = np.flatnonzero(names[found] != wanted)
    if len(unknown):
        raise InvalidArgument(f"the contest's files name {what}_{wanted[unknown[0]]:.0f}, and say nothing about it")
    return found
