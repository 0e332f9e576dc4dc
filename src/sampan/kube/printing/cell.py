"""What cells are made of: columns and readings that many kinds share. None of them raises, whatever the object is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sampan.kube.object import Object, at
from sampan.kube.printing import age as ages
from sampan.kube.reading import items, mapping, text, words
from sampan.kube.strategy import Column, Printer

NONE = "<none>"
UNSET = "<unset>"

NAME = Column(
    "Name", format="name", description="Unique within a namespace for objects of one kind. Cannot be changed."
)
AGE = Column("Age", description="Time since the object was created.")
CREATED_AT = Column("Created At", "date", description="When the object was created, in UTC.")
TEMPLATE = (
    Column("Containers", description="Names of each container in the template.", priority=1),
    Column("Images", description="Images referenced by each container in the template.", priority=1),
)
SELECTOR = Column("Selector", description="Which pods are counted, by their labels.", priority=1)


def name(obj: Object) -> str:
    return text(obj, "metadata", "name")


def age(obj: Object, now_s: float) -> str:
    return ages.since(at(obj, "metadata", "creationTimestamp"), now_s)


def deleting(obj: Object) -> bool:
    return bool(at(obj, "metadata", "deletionTimestamp"))


def condition(obj: Object, type_: str) -> dict[str, Any]:
    """Return the status condition of a type, {} where there is none."""
    return next((item for item in items(obj, "status", "conditions") if item.get("type") == type_), {})


def holds(obj: Object, type_: str) -> bool:
    """Return whether a condition is True."""
    return condition(obj, type_).get("status") == "True"


def labels(found: Any) -> str:
    """Return a map of labels as `a=b,c=d`, sorted."""
    if not isinstance(found, dict) or not found:
        return NONE
    return ",".join(f"{key}={value}" for key, value in sorted(found.items()))


_OPERATORS = {"In": "in", "NotIn": "notin"}


def selector(found: Any) -> str:
    """Return a label selector as kubectl's `-l` takes it. Spec: meta/v1 LabelSelector."""
    parts = [(key, f"{key}={value}") for key, value in mapping(found, "matchLabels").items()]
    for expression in items(found, "matchExpressions"):
        key, operator = text(expression, "key"), text(expression, "operator")
        if operator in _OPERATORS:
            parts.append((key, f"{key} {_OPERATORS[operator]} ({','.join(sorted(words(expression, 'values')))})"))
        elif operator in ("Exists", "DoesNotExist"):
            parts.append((key, key if operator == "Exists" else f"!{key}"))
        else:
            return "<error>"
    return ",".join(part for _, part in sorted(parts, key=lambda part: part[0])) or NONE


def template(spec: Any) -> list[str]:
    """Return names and images of the containers of a pod's spec."""
    containers = items(spec, "containers")
    return [",".join(text(container, field) for container in containers) for field in ("name", "image")]


def some(found: Iterable[str], limit: int, *, empty: str) -> str:
    """Return the first of many: `a,b,c + 2 more...`."""
    every = list(found)
    if len(every) > limit:
        return f"{','.join(every[:limit])} + {len(every) - limit} more..."
    return ",".join(every) or empty


def _no_cells(obj: Object) -> list[Any]:
    return []


def printer(*columns: Column, cells: Callable[[Object], list[Any]] = _no_cells) -> Printer:
    """Return a printer whose first column is the name and whose last one is the age; `cells` are those between."""
    return Printer((NAME, *columns, AGE), lambda obj, now_s: [name(obj), *cells(obj), age(obj, now_s)])


def _created_at(obj: Object, now_s: float) -> list[Any]:
    return [name(obj), text(obj, "metadata", "creationTimestamp")]


GENERIC = Printer((NAME, CREATED_AT), _created_at)
"""Of kinds that have no columns of their own."""

AGED = printer()
"""Of kinds that show their name and age."""
