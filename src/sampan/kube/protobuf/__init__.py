"""Kubernetes' protobuf bodies: `k8s` and a zero byte, an Unknown that names the kind, and in it the object.

Spec: k8s.io/apimachinery/pkg/runtime/serializer/protobuf; generated.proto of each group.
"""

from __future__ import annotations

from typing import Any

from sampan.kube import status
from sampan.kube.object import Object
from sampan.kube.protobuf import decoder, encoder, messages
from sampan.kube.protobuf.wire import WireError

MAGIC = b"k8s\x00"
_UNKNOWN = "k8s.io.apimachinery.pkg.runtime.Unknown"


def decode(body: bytes) -> Object:
    """Return the object in a body.

    Raises:
        ApiError: 400, it is damaged; 415, its kind has no protobuf form.
    """
    if not body.startswith(MAGIC):
        raise status.bad_request("the body does not begin as a protobuf object of Kubernetes does")
    try:
        envelope: Any = decoder.message(_UNKNOWN)(memoryview(body)[len(MAGIC) :])
        about = envelope.get("typeMeta") or {}
        version, kind = str(about.get("apiVersion") or ""), str(about.get("kind") or "")
        name = messages.of_kind(version, kind)
        if name is None:
            raise status.unsupported_media_type(f"{version} {kind} has no protobuf form here: send JSON")
        obj: Object = decoder.message(name)(memoryview(envelope.get("raw") or b""))
    except (WireError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise status.bad_request(f"the protobuf body cannot be read: {error}") from error
    if kind:
        obj["apiVersion"], obj["kind"] = version, kind
    return obj


def encode(obj: Object) -> bytes:
    """Return an object's body.

    Raises:
        ApiError: 406, its kind has no protobuf form.
    """
    version, kind = str(obj.get("apiVersion") or ""), str(obj.get("kind") or "")
    name = messages.of_kind(version, kind)
    if name is None:
        raise status.not_acceptable(f"{version} {kind} has no protobuf form: accept JSON")
    raw = encoder.message(name)(obj)
    about = {"apiVersion": version, "kind": kind}
    return MAGIC + encoder.envelope(about, raw)
