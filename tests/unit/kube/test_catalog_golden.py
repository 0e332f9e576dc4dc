"""The golden objects of k8s.io/api, which have a value in every field, go through every kind's rules and printers.

They come with Debian's golang-k8s-api-dev; without it these tests are skipped.
"""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest

from sampan.kube.catalog import RESOURCES, STRATEGIES
from sampan.kube.printing import table
from sampan.kube.resource import Resource

PLACES = (
    Path("/usr/share/gocode/src/k8s.io/api/testdata/HEAD"),
    Path(os.environ.get("SAMPAN_CLIENTS", "/nonexistent")) / "k8s-protos/k8s.io/api/testdata/HEAD",
)
GOLDEN = next((place for place in PLACES if place.is_dir()), None)
KEPT = [resource for resource in RESOURCES if "get" in resource.verbs]
NONE_YET = {"apiextensions.k8s.io", "apiregistration.k8s.io"}  # of other modules, which have no golden objects
NEWER = {"ClusterTrustBundle", "PodCertificateRequest", "DeviceTaintRule", "StorageVersionMigration"}


def golden(resource: Resource) -> Any:
    if GOLDEN is None:
        pytest.skip(
            "the golden objects of golang-k8s-api-dev are not installed; SAMPAN_CLIENTS may name where they are"
        )
    path = GOLDEN / f"{resource.group or 'core'}.{resource.version}.{resource.kind}.json"
    if not path.exists() and (resource.group in NONE_YET or resource.kind in NEWER):
        pytest.skip(f"these golden objects have no {resource.kind} of {resource.api_version}")
    return json.loads(path.read_text())


@pytest.mark.parametrize("resource", KEPT, ids=lambda resource: f"{resource.plural}.{resource.group}")
def test_golden_object(resource: Resource) -> None:
    obj = golden(resource)
    strategy = STRATEGIES[resource.group, resource.kind]
    strategy.default(obj)
    again = copy.deepcopy(obj)
    strategy.default(again)
    assert again == obj
    unchanged = strategy.validate_update(again, obj)
    assert unchanged == [] or resource.kind == "CertificateSigningRequest"  # its golden condition has no known status
    assert isinstance(strategy.validate(obj), list)
    assert isinstance(strategy.validate_status(again, obj), list)
    assert all(isinstance(read(obj), str) for read in strategy.fields.values())
    assert strategy.printer is not None
    assert len(table.row(strategy.printer, obj, now_s=0)["cells"]) == len(strategy.printer.columns)
