"""The golden objects of k8s.io/api, which have a value in every field, go through every kind's rules and printers."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from backports import zstd

from sampan.kube.catalog import RESOURCES, STRATEGIES
from sampan.kube.printing import table
from sampan.kube.resource import Resource

GOLDEN = json.loads(zstd.decompress((Path(__file__).parents[2] / "golden/kube/objects.json.zst").read_bytes()))
KEPT = [resource for resource in RESOURCES if "get" in resource.verbs]
NONE_YET = {"apiextensions.k8s.io", "apiregistration.k8s.io"}  # of other modules, which have no golden objects
NEWER = {"ClusterTrustBundle", "PodCertificateRequest", "PodGroup", "DeviceTaintRule", "StorageVersionMigration"}


def golden(resource: Resource) -> Any:
    found = GOLDEN.get(f"{resource.group or 'core'}.{resource.version}.{resource.kind}")
    if found is None and (resource.group in NONE_YET or resource.kind in NEWER):
        pytest.skip(f"these golden objects have no {resource.kind} of {resource.api_version}")
    return copy.deepcopy(found["json"])


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
