"""Negotiation: which form of an answer a client accepts: JSON, a Table, metadata alone, or protobuf.

Spec: Kubernetes API concepts, "Alternate representations of resources", "Receiving resources as Tables".
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from sampan.kube import status

OBJECT, TABLE, PARTIAL = "", "Table", "PartialObjectMetadata"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"


class Form(NamedTuple):
    """How to answer. `shape` is one of OBJECT, TABLE, PARTIAL; `version` that of meta.k8s.io."""

    shape: str = OBJECT
    version: str = "v1"
    protobuf: bool = False
    yaml: bool = False


JSON = Form()
_SHAPES = {"Table": TABLE, "PartialObjectMetadata": PARTIAL, "PartialObjectMetadataList": PARTIAL}


@lru_cache(maxsize=512)
def negotiate(accept: str, *, protobuf: bool = True, yaml: bool = True) -> Form:
    """Return the first form of an Accept header that we have, JSON before protobuf; and whether it can be had in those two.

    Raises:
        ApiError: 406, there is none.
    """
    if not accept or accept == "application/json":
        return JSON
    only_protobuf = False
    for wanted in accept.split(","):
        media, *parameters = (part.strip() for part in wanted.split(";"))
        values = dict(part.partition("=")[::2] for part in parameters)
        if media in ("application/json", "*/*", "application/*"):
            if "as" not in values:
                return JSON
            shape = _SHAPES.get(values["as"])
            if shape and values.get("g") == "meta.k8s.io" and values.get("v") in ("v1", "v1beta1"):
                return Form(shape, values["v"])
        elif media == PROTOBUF and "as" not in values and protobuf:
            only_protobuf = True
        elif media == YAML and "as" not in values and yaml:
            return Form(yaml=True)
    if only_protobuf:
        return Form(protobuf=True)
    raise status.not_acceptable(
        "only the following media types are accepted: application/json, application/yaml, "
        "application/vnd.kubernetes.protobuf"
    )
