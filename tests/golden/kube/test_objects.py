"""All golden objects of Kubernetes: their protobuf is decoded to their JSON, and encoded again to the same bytes.

objects.json.zst is made by scripts/extract-golden of k8s.io/api's testdata (Apache License 2.0, The Kubernetes Authors).
"""

import base64
import json
from pathlib import Path

import pytest
from backports import zstd

from sampan.kube import catalog, protobuf
from sampan.kube.apply.extract import fields_of
from sampan.kube.apply.text import text_of
from sampan.kube.schema import builtin, check
from sampan.kube.status import ApiError

GOLDEN = json.loads(zstd.decompress((Path(__file__).parent / "objects.json.zst").read_bytes()))
SERVED = {f"{item.group or 'core'}.{item.version}.{item.kind}": item for item in catalog.RESOURCES}


def test_there_are_all_of_them():
    assert len(GOLDEN) == 185


@pytest.mark.parametrize("name", GOLDEN)
def test_protobuf(name):
    packed = base64.b64decode(GOLDEN[name]["pb"])
    found = protobuf.decode(packed)
    assert found == GOLDEN[name]["json"]
    if found.get("kind"):
        assert protobuf.encode(found) == packed


@pytest.mark.parametrize("name", [name for name in GOLDEN if name in SERVED])
def test_the_set_of_fields_is_the_same_as_text_and_as_a_tree(name):
    obj = json.loads(json.dumps(GOLDEN[name]["json"]))
    node = builtin.definition(SERVED[name].definition)
    check.check(node, obj)
    assert json.loads(text_of(node, obj)) == fields_of(node, obj)


@pytest.mark.parametrize("cut", range(0, 400, 13))
def test_a_body_that_is_cut_is_refused_or_read(cut):
    """Never anything but a 4xx; what ends between fields is a smaller object."""
    packed = base64.b64decode(GOLDEN["core.v1.Pod"]["pb"])[: 60 + cut]
    try:
        protobuf.decode(packed)
    except ApiError as refused:
        assert 400 <= refused.code < 500
