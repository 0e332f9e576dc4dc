"""Decoding: a body of JSON, YAML or protobuf into an object, with the duplicate fields that it has.

Spec: Kubernetes API concepts, "Field validation"; sigs.k8s.io/json, sigs.k8s.io/yaml.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

import msgspec

from sampan.kube import protobuf, status, yaml
from sampan.kube.object import Object

JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
MOST_BYTES = 3 * 1024 * 1024
MOST_DEPTH = 200
"""How deep an object may be nested: deeper than any definition of a custom resource, and all that walks it gets to its end."""
_decode = msgspec.json.Decoder(dict[str, Any]).decode
_SPACED = re.compile(rb'"\s+:')


class Decoded(NamedTuple):
    """`duplicates`: `duplicate field "spec.replicas"` for each; only looked for when asked to."""

    object: Object
    duplicates: list[str]


def media_of(content_type: str) -> str:
    """Return a Content-Type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def decode(body: bytes, content_type: str, *, strict_duplicates: bool) -> Decoded:
    """Return a body's object.

    Raises:
        ApiError: 400, it cannot be read; 413; 415, of another media type.
    """
    if len(body) > MOST_BYTES:
        raise status.too_large(f"limit is {MOST_BYTES}")
    media = media_of(content_type) or JSON
    if media == JSON:
        return _json(body, strict_duplicates=strict_duplicates)
    if media == PROTOBUF:
        obj = protobuf.decode(body)
        shallow(obj)
        return Decoded(obj, [])
    if media in (YAML, "application/apply-patch+yaml", "text/yaml"):
        try:
            return Decoded(*yaml.load(body))
        except yaml.YamlError as error:
            raise status.bad_request(f"error converting YAML to JSON: {error}") from error
    raise status.unsupported_media_type(
        f"the body of the request was in an unknown format - accepted media types include: {JSON}, {YAML}, {PROTOBUF}"
    )


def _json(body: bytes, *, strict_duplicates: bool) -> Decoded:
    try:
        obj = _decode(body)
        if body.count(b"{") + body.count(b"[") > MOST_DEPTH:
            shallow(obj)
        if not strict_duplicates:
            return Decoded(obj, [])
        # Every field has one `":`, and strings may have more; so equal counts mean that none was given twice.
        if body.count(b'":') == _fields(obj) and not _SPACED.search(body):
            return Decoded(obj, [])
        return Decoded(obj, _duplicates(body))
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
        raise status.bad_request(
            f"the object provided is unrecognized: couldn't get version/kind; json parse error: {error}"
        ) from error
    except RecursionError as error:
        raise status.bad_request("json parse error: the object is nested too deeply") from error


def shallow(value: Any) -> None:
    """Refuse what is nested too deeply.

    Raises:
        ApiError: 400
    """
    level = [value]
    for _ in range(MOST_DEPTH + 1):
        inner: list[Any] = []
        for item in level:
            if type(item) is dict:
                inner += item.values()
            elif type(item) is list:
                inner += item
        if not inner:
            return
        level = inner
    raise status.bad_request("json parse error: the object is nested too deeply")


def _fields(value: Any) -> int:
    """Return how many fields a value has, in all its depth."""
    if type(value) is dict:
        count = len(value)
        for item in value.values():
            if type(item) is dict or type(item) is list:
                count += _fields(item)
        return count
    count = 0
    for item in value:
        if type(item) is dict or type(item) is list:
            count += _fields(item)
    return count


class _Pairs(NamedTuple):
    pairs: list[tuple[str, Any]]


def _duplicates(body: bytes) -> list[str]:
    found: list[str] = []
    _walk(json.loads(body, object_pairs_hook=_Pairs), "", found)
    return found


def _walk(value: Any, path: str, found: list[str]) -> None:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for key, item in value.pairs:
            inner = f"{path}.{key}" if path else key
            if key in seen:
                found.append(f'duplicate field "{inner}"')
            seen.add(key)
            _walk(item, inner, found)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _walk(item, f"{path}[{index}]", found)
