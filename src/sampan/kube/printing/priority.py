"""Rows of scheduling.k8s.io and flowcontrol.apiserver.k8s.io."""

from __future__ import annotations

from typing import Any

from sampan.kube.object import Object, at
from sampan.kube.printing.cell import AGE, NAME, NONE, age, condition, name, printer
from sampan.kube.reading import flag, number, text
from sampan.kube.strategy import Column, Printer


def _priority_class(obj: Object, now_s: float) -> list[Any]:
    policy = text(obj, "preemptionPolicy")
    return [name(obj), number(obj, "value"), flag(obj, "globalDefault"), age(obj, now_s), policy]


def _pod_group(obj: Object) -> list[Any]:
    gang = at(obj, "spec", "schedulingPolicy", "gang")
    return ["Gang", number(gang, "minCount")] if isinstance(gang, dict) else ["Basic", NONE]


def _flow_schema(obj: Object, now_s: float) -> list[Any]:
    method = at(obj, "spec", "distinguisherMethod")
    return [
        name(obj),
        text(obj, "spec", "priorityLevelConfiguration", "name"),
        number(obj, "spec", "matchingPrecedence"),
        text(method, "type") if isinstance(method, dict) else NONE,
        age(obj, now_s),
        text(condition(obj, "Dangling"), "status", missing="?"),
    ]


def _priority_level(obj: Object) -> list[Any]:
    limited = at(obj, "spec", "limited")
    queuing = at(limited, "limitResponse", "queuing")
    shares = number(limited, "nominalConcurrencyShares") if isinstance(limited, dict) else NONE
    queues = [
        number(queuing, field) if isinstance(queuing, dict) else NONE
        for field in ("queues", "handSize", "queueLengthLimit")
    ]
    return [text(obj, "spec", "type"), shares, *queues]


PRIORITY_CLASS = Printer(
    (
        NAME,
        Column("Value", "integer", description="The priority of its pods."),
        Column("Global-Default", "boolean", description="Whether pods that name no class get this one."),
        AGE,
        Column("PreemptionPolicy", description="Whether its pods push others out."),
    ),
    _priority_class,
)
POD_GROUP = printer(
    Column("Policy", description="Basic, or Gang: its pods run together or not at all."),
    Column("MinCount", description="How many pods a gang needs."),
    cells=_pod_group,
)
FLOW_SCHEMA = Printer(
    (
        NAME,
        Column("PriorityLevel", description="The priority level of requests that match."),
        Column("MatchingPrecedence", description="Which schema goes first: the one with the lowest number."),
        Column("DistinguisherMethod", description="How requests are told apart into flows."),
        AGE,
        Column("MissingPL", description="Whether there is no such priority level."),
    ),
    _flow_schema,
    order=lambda obj: (number(obj, "spec", "matchingPrecedence"), name(obj)),
)
PRIORITY_LEVEL_CONFIGURATION = printer(
    Column("Type", description="Limited or Exempt."),
    Column("NominalConcurrencyShares", description="Its share of the server."),
    Column("Queues", description="How many queues it has."),
    Column("HandSize", description="How many queues each flow is dealt."),
    Column("QueueLengthLimit", description="How many requests wait in a queue."),
    cells=_priority_level,
)
