"""Printers of custom resources: their definition names columns and where to find each cell.

Spec: apiextensions.k8s.io/v1 CustomResourceColumnDefinition; Kubernetes documentation, "Additional printer columns".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from sampan.kube.object import Object
from sampan.kube.printing import age as ages
from sampan.kube.printing.cell import NAME, name
from sampan.kube.printing.jsonpath import Path
from sampan.kube.strategy import Column, Printer

_AGE: Object = {
    "name": "Age",
    "type": "date",
    "description": "When the object was created.",
    "jsonPath": ".metadata.creationTimestamp",
}

Read = Callable[[Any, float], Any]


def printer_of_columns(columns: Sequence[Object]) -> Printer:
    """Return the printer of a version's additionalPrinterColumns; where there are none, the name and the age are shown.

    Raises:
        ValueError: the jsonPath of a column is none.
    """
    columns = columns or (_AGE,)
    cells = [(Path(column["jsonPath"]), _READS.get(column["type"], _nothing)) for column in columns]

    def row(obj: Object, now_s: float) -> list[Any]:
        return [name(obj), *(_cell(path, read, obj, now_s) for path, read in cells)]

    return Printer((NAME, *map(_column, columns)), row)


def _column(column: Object) -> Column:
    path = column["jsonPath"]
    return Column(
        column["name"],
        column["type"],
        column.get("format") or "",
        column.get("description") or f"Custom resource definition column (in JSONPath format): {path}",
        column.get("priority") or 0,
    )


def _cell(path: Path, read: Read, obj: Object, now_s: float) -> Any:
    found = path.find(obj)
    return read(found[0], now_s) if found else None


def _nothing(value: Any, now_s: float) -> Any:
    return None


def _integer(value: Any, now_s: float) -> Any:
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _number(value: Any, now_s: float) -> Any:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _boolean(value: Any, now_s: float) -> Any:
    return value if isinstance(value, bool) else None


def _string(value: Any, now_s: float) -> Any:
    if isinstance(value, str):
        return value
    return "<no value>" if value is None else msgspec.json.encode(value).decode()


def _date(value: Any, now_s: float) -> Any:
    if not isinstance(value, str):
        return None
    return ages.since(value, now_s)


_READS: dict[str, Read] = {
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "string": _string,
    "date": _date,
}
