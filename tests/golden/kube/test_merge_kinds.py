"""What of each built-in kind is merged, and by which keys: as Kubernetes' Go client has it.

The table is made by scripts/extract-merge-kinds.
"""

import json
from pathlib import Path

import pytest
from backports import zstd

from sampan.kube.apply.extract import granular
from sampan.kube.schema import builtin
from sampan.kube.schema.node import Kind

TABLE = json.loads(zstd.decompress((Path(__file__).parent / "merge-kinds.json.zst").read_bytes()))


KNOWN = [name for name in sorted(TABLE) if builtin.find(name) is not None]
OTHERWISE = {
    ("io.k8s.api.core.v1.PodStatus", "nodeAllocatableResourceClaimStatuses"),  # keyed since the table was made
    ("io.k8s.apimachinery.pkg.apis.meta.v1.ManagedFieldsEntry", "fieldsV1"),  # nobody owns managed fields
    ("io.k8s.api.apiserverinternal.v1alpha1.StorageVersion", "spec"),  # is always empty
}


def relation(node):
    if node.kind is Kind.ARRAY:
        return {"map": ["map", *node.list_map_keys], "set": "set"}.get(node.list_type, "atomic")
    return "granular" if granular(node, {}) else "atomic"


def test_the_table_is_of_these_kinds():
    """It has all versions of all groups; we have those of 1.37."""
    assert len(KNOWN) > 390


@pytest.mark.parametrize("name", KNOWN)
def test_parts_are_told_apart(name):
    fields = builtin.definition(name).properties
    said = {field: how for field, how in TABLE[name].items() if field in fields and (name, field) not in OTHERWISE}
    assert {field: relation(fields[field]) for field in said} == said
