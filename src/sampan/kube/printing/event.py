"""The row of an event, in both groups: core/v1 and events.k8s.io/v1 name the same things differently."""

from __future__ import annotations

from typing import Any

from sampan.kube.object import Object, at
from sampan.kube.printing import age as ages
from sampan.kube.printing.cell import name
from sampan.kube.reading import number, text
from sampan.kube.strategy import Column, Printer


def _either(obj: Object, core: str, events: str) -> Any:
    found = at(obj, core)
    return at(obj, events) if found is None else found


def _times(event: Object) -> tuple[Any, Any, int]:
    """Return the first and last time, and how often."""
    first = _either(event, "firstTimestamp", "deprecatedFirstTimestamp") or event.get("eventTime")
    last = _either(event, "lastTimestamp", "deprecatedLastTimestamp") or first
    series = event.get("series")
    if isinstance(series, dict):
        return first, series.get("lastObservedTime"), number(series, "count")
    return first, last, number(event, "count") or number(event, "deprecatedCount") or 1


def _source(event: Object) -> str:
    source = _either(event, "source", "deprecatedSource")
    controller = text(event, "reportingComponent") or text(event, "reportingController")
    component = text(source, "component", missing=controller)
    host = text(source, "host", missing=text(event, "reportingInstance"))
    return f"{component}, {host}" if host else component


def _cells(event: Object, now_s: float) -> list[Any]:
    first, last, count = _times(event)
    about = _either(event, "involvedObject", "regarding")
    kind, target = text(about, "kind").lower(), text(about, "name")
    message = _either(event, "message", "note")
    return [
        ages.since(last, now_s),
        text(event, "type"),
        text(event, "reason"),
        f"{kind}/{target}" if target else kind,
        text(about, "fieldPath"),
        _source(event),
        message.strip() if isinstance(message, str) else "",
        ages.since(first, now_s),
        count,
        name(event),
    ]


EVENT = Printer(
    (
        Column("Last Seen", description="Time since it happened last."),
        Column("Type", description="Normal or Warning."),
        Column("Reason", description="What happened, in one word."),
        Column("Object", description="What it happened to."),
        Column("Subobject", description="The part of the object.", priority=1),
        Column("Source", description="Who tells it.", priority=1),
        Column("Message", description="What happened."),
        Column("First Seen", description="Time since it happened first.", priority=1),
        Column("Count", description="How often it happened.", priority=1),
        Column("Name", format="name", description="The event's own name.", priority=1),
    ),
    _cells,
)
