"""The files of a public GPU cluster's trace (2023): nodes, lists of pods, and orders in which the pods arrive."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from sampan.base.errors import InvalidArgument, NotFound
from sampan.sim.gpu import Cluster, Shape, Workload
from sampan.sim.packing import Ints

NODES = "openb_node_list_gpu_node.csv"
_PODS = "openb_pod_list_{}.csv"
_ORDERS = "orders"


def cluster(folder: Path) -> Cluster:
    """Return the nodes of a trace's folder, in order of their names."""
    rows = sorted(_rows(folder / NODES), key=lambda row: row["sn"])
    return Cluster(
        names=[row["sn"] for row in rows],
        models=[row["model"] for row in rows],
        cpu=np.array([int(row["cpu_milli"]) for row in rows]),
        memory=np.array([int(row["memory_mib"]) for row in rows]),
        gpus=np.array([int(row["gpu"]) for row in rows]),
    )


def workload(folder: Path, name: str) -> Workload:
    """Return the pods of a list: the distinct shapes, and which one each pod has."""
    shapes: dict[Shape, int] = {}
    rows = _rows(folder / _PODS.format(name))
    return Workload(shape=np.array([shapes.setdefault(_shape(row), len(shapes)) for row in rows]), shapes=list(shapes))


def orders(folder: Path, name: str) -> dict[int, Ints]:
    """Return the orders of arrival by seed: rows of the list of pods."""
    found = {}
    for path in sorted((folder / _ORDERS).glob(f"{name}.*")):
        found[int(path.suffix[1:])] = np.array(path.read_text().split(), dtype=np.int64)
    if not found:
        raise NotFound(f"{folder / _ORDERS} has no order of arrival {name}.SEED")
    return found


def _shape(row: dict[str, str]) -> Shape:
    gpus = int(row["num_gpu"] or 0)
    return Shape(
        cpu=int(row["cpu_milli"]),
        memory=int(row["memory_mib"]),
        gpus=gpus,
        milli=(int(row["gpu_milli"] or 0) if gpus == 1 else 1000) if gpus else 0,
        models=tuple(sorted(filter(None, (row["gpu_spec"] or "").split("|")))),
    )


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError:
        raise NotFound(f"{path} is not there: is this the trace's folder?") from None
    except (KeyError, csv.Error) as error:
        raise InvalidArgument(f"{path} is not of this form: {error}") from None
