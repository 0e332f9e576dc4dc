"""How an object is kept: JSON with its metadata first and no resourceVersion, which is the store's own revision.

So an answer is made of stored bytes by putting the revision in at a fixed place: nothing is decoded or encoded again.
"""

from __future__ import annotations

import msgspec

from sampan.base.errors import DataLoss
from sampan.kube.object import Object

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Object).decode


def encode(obj: Object) -> bytes:
    """Return the bytes to keep. The object is not changed; it has metadata with a name, as all objects in a store have."""
    metadata = obj["metadata"]
    if "resourceVersion" in metadata:
        metadata = {key: value for key, value in metadata.items() if key != "resourceVersion"}
    return _encode({"metadata": metadata, **{key: value for key, value in obj.items() if key != "metadata"}})


def with_revision(value: bytes, revision: int) -> bytes:
    """Return the JSON that clients get."""
    return b'{"metadata":{"resourceVersion":"%d",' % revision + value[13:]


def decode(value: bytes, revision: int) -> Object:
    """Return the object with its resourceVersion.

    Raises:
        DataLoss: these bytes were not made by `encode`.
    """
    try:
        obj = _decode(value)
        obj["metadata"]["resourceVersion"] = str(revision)
    except (msgspec.DecodeError, KeyError, TypeError) as error:
        raise DataLoss(f"a stored object cannot be read: {error}") from error
    return obj
