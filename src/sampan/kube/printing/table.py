"""Table and PartialObjectMetadata: the forms in which clients that only show objects ask for them.

Spec: meta.k8s.io/v1 Table, PartialObjectMetadata; Kubernetes API concepts, "Receiving resources as Tables".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sampan.kube.object import Object
from sampan.kube.printing.cell import GENERIC
from sampan.kube.strategy import Printer

NONE, METADATA, OBJECT = "None", "Metadata", "Object"
"""Values of `includeObject`: what comes with each row."""


def table(
    printer: Printer | None,
    items: Iterable[Object],
    *,
    now_s: float,
    include_object: str = METADATA,
    list_metadata: dict[str, Any],
    version: str = "v1",
    columns: bool = True,
) -> Object:
    """Return the Table of some objects.

    `include_object` is one of the three above; `version` is the one of meta.k8s.io that was asked for; `columns` is False for
    later events of a watch, whose reader knows them already.
    """
    printer = printer or GENERIC
    if printer.order is not None:
        items = sorted(items, key=printer.order)
    return {
        "kind": "Table",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": list_metadata,
        "columnDefinitions": definitions(printer) if columns else [],
        "rows": [row(printer, obj, now_s=now_s, include_object=include_object, version=version) for obj in items],
    }


def row(
    printer: Printer | None, obj: Object, *, now_s: float, include_object: str = METADATA, version: str = "v1"
) -> Object:
    """Return one object's row."""
    printer = printer or GENERIC
    cells: Object = {"cells": printer.cells(obj, now_s)}
    if printer.conditions is not None and (conditions := printer.conditions(obj)):
        cells["conditions"] = conditions
    if include_object == METADATA:
        cells["object"] = partial(obj, version)
    elif include_object == OBJECT:
        cells["object"] = obj
    return cells


def definitions(printer: Printer) -> list[Object]:
    """Return the columnDefinitions."""
    return [
        {
            "name": column.name,
            "type": column.type,
            "format": column.format,
            "description": column.description,
            "priority": column.priority,
        }
        for column in printer.columns
    ]


def partial(obj: Object, version: str = "v1") -> Object:
    """Return an object's metadata alone, as PartialObjectMetadata."""
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": obj.get("metadata") or {},
    }
