"""Machine: nodes and shapes as traces have them: CPU, memory and GPUs.

A GPU is a device of kind `gpu`, so that a part of one and whole ones are told apart, and 1,000 of the resource `gpu` besides, so that
what is used is counted like CPU and memory. Its model is the node's label `gpu-model`.
"""

from __future__ import annotations

from functools import cache

from sampan.kube.selector import Requirement
from sampan.schedule.devices import WHOLE
from sampan.schedule.node import Node
from sampan.schedule.shape import DeviceAsk, NodeTerm, Shape, amounts, pairs

GPU, MODEL = "gpu", "gpu-model"
MANY = 1_000_000
"""Pods on a node, where nothing limits them."""
MOST_GPUS = 1024
"""Of one machine that is read: each has a column of its own."""


def node(name: str, cpu: int, memory: int, gpus: int = 0, model: str = "", pods: int = MANY) -> Node:
    """Return a node with so many millicores, bytes, and GPUs of a model; of what is 0 it has none."""
    have = {"cpu": cpu, "memory": memory, "pods": pods, GPU: gpus * WHOLE}
    labels = {MODEL: model} if model else {}
    devices = ((GPU, (WHOLE,) * gpus),) if gpus else ()
    return Node(
        name=name,
        allocatable=amounts({name: amount for name, amount in have.items() if amount}),
        labels=pairs(labels),
        devices=devices,
    )


@cache
def shape(cpu: int, memory: int, gpus: int = 0, milli: int = WHOLE, models: tuple[str, ...] = ()) -> Shape:
    """Return a shape that asks for millicores, bytes, and whole GPUs or (`milli` below 1,000) a part of one, of some models."""
    asked = {"cpu": cpu, "memory": memory, GPU: gpus * milli}
    return Shape(
        requests=amounts({name: amount for name, amount in asked.items() if amount}),
        devices=(DeviceAsk(GPU, gpus, milli),) if gpus else (),
        node_terms=(NodeTerm((Requirement(MODEL, "In", models),)),) if gpus and models else None,
    )
