"""Tables, partial objects, the generic printer and those of custom resources."""

from __future__ import annotations

from typing import Any

import pytest

from sampan.kube.printing import table
from sampan.kube.printing.custom import printer_of_columns
from sampan.kube.printing.printers import PRINTERS

NOW_S = 1_704_067_200 + 90
META = {"name": "a", "namespace": "ns", "creationTimestamp": "2024-01-01T00:00:00Z", "resourceVersion": "7"}
CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": META, "data": {"k": "v"}, "binaryData": {"b": "AA=="}}


def test_table_of_a_list() -> None:
    made = table.table(PRINTERS["", "ConfigMap"], [CONFIG], now_s=NOW_S, list_metadata={"resourceVersion": "9"})
    assert (made["kind"], made["apiVersion"], made["metadata"]) == ("Table", "meta.k8s.io/v1", {"resourceVersion": "9"})
    assert [each["name"] for each in made["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert made["columnDefinitions"][0]["format"] == "name"
    assert set(made["columnDefinitions"][0]) == {"name", "type", "format", "description", "priority"}
    assert made["rows"] == [
        {
            "cells": ["a", 2, "90s"],
            "object": {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": META},
        }
    ]


@pytest.mark.parametrize(
    ("include", "found"), [("None", None), ("Object", CONFIG), ("Metadata", table.partial(CONFIG))]
)
def test_include_object(include: str, found: Any) -> None:
    row = table.row(PRINTERS["", "ConfigMap"], CONFIG, now_s=NOW_S, include_object=include)
    assert row.get("object") == found
    assert ("object" in row) is (found is not None)


def test_version_and_no_columns() -> None:
    made = table.table(None, [CONFIG], now_s=NOW_S, list_metadata={}, version="v1beta1", columns=False)
    assert made["apiVersion"] == "meta.k8s.io/v1beta1"
    assert made["columnDefinitions"] == []
    assert made["rows"][0]["object"]["apiVersion"] == "meta.k8s.io/v1beta1"


def test_generic_printer_tells_the_name_and_the_time() -> None:
    made = table.table(None, [CONFIG], now_s=NOW_S, list_metadata={})
    assert [(each["name"], each["type"]) for each in made["columnDefinitions"]] == [
        ("Name", "string"),
        ("Created At", "date"),
    ]
    assert made["rows"][0]["cells"] == ["a", "2024-01-01T00:00:00Z"]


CUSTOM = {
    "metadata": META,
    "spec": {
        "size": 3,
        "ratio": 0.5,
        "on": True,
        "text": "t",
        "list": ["a", 1],
        "when": "2024-01-01T00:00:30Z",
        "nil": None,
    },
    "status": {"conditions": [{"type": "Synced", "status": "False"}, {"type": "Ready", "status": "True"}]},
}


@pytest.mark.parametrize(
    ("path", "type_", "cell"),
    [
        (".spec.size", "integer", 3),
        (".spec.ratio", "integer", 0),
        (".spec.on", "integer", None),
        (".spec.size", "string", "3"),
        (".spec.on", "string", "true"),
        (".spec.list", "string", '["a",1]'),
        (".spec.list[*]", "string", "a"),
        (".spec.nil", "string", "<no value>"),
        (".spec.ratio", "number", 0.5),
        (".spec.text", "number", None),
        (".spec.on", "boolean", True),
        (".spec.size", "boolean", None),
        (".spec.when", "date", "60s"),
        (".spec.text", "date", "<invalid>"),
        (".spec.size", "date", None),
        (".spec.none", "string", None),
        ('.status.conditions[?(@.type=="Ready")].status', "string", "True"),
        (".metadata.creationTimestamp", "date", "90s"),
    ],
)
def test_custom_columns(path: str, type_: str, cell: Any) -> None:
    printer = printer_of_columns([{"name": "X", "type": type_, "jsonPath": path, "priority": 1, "format": "int32"}])
    assert printer.cells(CUSTOM, NOW_S) == ["a", cell]
    column = printer.columns[1]
    assert (column.name, column.type, column.priority, column.format) == ("X", type_, 1, "int32")
    assert path in column.description


def test_custom_resources_without_columns_show_their_age() -> None:
    printer = printer_of_columns([])
    assert [(each.name, each.type) for each in printer.columns] == [("Name", "string"), ("Age", "date")]
    assert printer.cells(CUSTOM, NOW_S) == ["a", "90s"]


def test_a_column_whose_path_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="JSONPath"):
        printer_of_columns([{"name": "X", "type": "string", "jsonPath": "spec.x"}])
