"""Which reader a trace is for, by what it is: a folder or a file, its name, its first line."""

from __future__ import annotations

from pathlib import Path

from sampan.base.errors import InvalidArgument, NotFound
from sampan.schedule.node import Node
from sampan.sim.traces import batch2017, openb, plain, swf, table
from sampan.sim.traces.trace import Trace


def read(path: Path, workload: str = "default", node: Node | None = None) -> Trace:
    """Return a trace. `workload`: which list of pods, where a folder has several; `node`: how large a machine is that it does not have.

    Raises:
        NotFound, InvalidArgument: the text says what to do.
    """
    name = path.name.removesuffix(".gz")
    if path.is_dir():
        return openb.read(path, workload)
    if not path.exists():
        raise NotFound(f"{path} is not there: name a trace's file or folder")
    if name.endswith(".swf"):
        return swf.read(path, node)
    if not name.endswith(".csv"):
        raise InvalidArgument(f"{path} is none of the traces that are known: a folder of openb, a .csv or a .swf file")
    if not set(table.head(path)) >= batch2017.COLUMNS:
        return plain.read(path)
    if node is None or not dict(node.allocatable).get("memory"):
        raise InvalidArgument(
            f"{path} has memory as a part of a machine's: say how large one is, by --capacity cpu=64,memory=256Gi"
        )
    return batch2017.read(path, node)
