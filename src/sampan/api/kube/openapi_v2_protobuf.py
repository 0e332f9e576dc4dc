"""OpenAPI v2 as protobuf: the only form of it that kubectl takes, for lists of objects and in all versions before 1.27.

Spec: gnostic, OpenAPIv2.proto; each encoder stands under the message that it makes, with the numbers of its fields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from sampan.kube.object import Object
from sampan.kube.protobuf.wire import BYTES, VARINT, render

MEDIA = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
ANSWERED = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
"""What clients ask for is no media type, strictly, so that it cannot be the answer's."""
_METHODS = {"get": 2, "put": 3, "post": 4, "delete": 5, "options": 6, "head": 7, "patch": 8}
_LENGTHS = {"maxLength": 11, "minLength": 12, "maxItems": 14, "minItems": 15, "maxProperties": 17, "minProperties": 18}


def document(found: Object) -> bytes:
    """Return a document. Document: swagger 1, info 2, paths 8, definitions 9."""
    info = _text(1, found["info"]["title"]) + _text(2, found["info"]["version"])
    paths = b"".join(_named(2, name, _path_item(item)) for name, item in found["paths"].items())
    definitions = b"".join(_named(1, name, _schema(schema)) for name, schema in found["definitions"].items())
    return _text(1, found["swagger"]) + _part(2, info) + _part(8, paths) + _part(9, definitions)


def _path_item(item: Object) -> bytes:
    """PathItem: operations by method, parameters 9."""
    operations = (_part(number, _operation(item[method])) for method, number in _METHODS.items() if method in item)
    return b"".join(operations) + _each(9, item.get("parameters") or (), _parameter)


def _operation(operation: Object) -> bytes:
    """Operation: tags 1, operation_id 5, produces 6, consumes 7, parameters 8, responses 9, schemes 10, extensions 13."""
    responses = b"".join(_named(1, code, _response(answer)) for code, answer in operation["responses"].items())
    return (
        _texts(1, operation.get("tags") or ())
        + _text(5, operation["operationId"])
        + _texts(6, operation["produces"])
        + _texts(7, operation["consumes"])
        + _each(8, operation.get("parameters") or (), _parameter)
        + _part(9, responses)
        + _texts(10, operation["schemes"])
        + _extensions(13, operation)
    )


def _response(answer: Object) -> bytes:
    """ResponseValue: response 1; Response: description 1, schema 2; SchemaItem: schema 1."""
    schema = _part(2, _part(1, _schema(answer["schema"]))) if "schema" in answer else b""
    return _part(1, _text(1, answer["description"]) + schema)


def _parameter(parameter: Object) -> bytes:
    """ParametersItem: parameter 1; Parameter: body 1, other 2; of those, query 3 and path 4."""
    if parameter["in"] == "body":
        body = _text(2, parameter["name"]) + _text(3, "body") + _flag(4, parameter.get("required"))
        return _part(1, _part(1, body + _part(5, _schema(parameter["schema"]))))
    query = parameter["in"] == "query"
    fields = _flag(1, parameter.get("required")) + _text(2, parameter["in"]) + _text(4, parameter["name"])
    fields += _text(6 if query else 5, parameter["type"]) + _flag(20 if query else 19, parameter.get("uniqueItems"))
    return _part(1, _part(2, _part(3 if query else 4, fields)))


def _schema(schema: Object) -> bytes:
    """Schema: `$ref` 1, format 2, description 4, pattern 13, required 19, enum 20, type 22, items 23, properties 25, extensions 31."""
    out = _text(1, schema.get("$ref") or "") + _text(2, schema.get("format") or "")
    out += _text(4, schema.get("description") or "") + _text(13, schema.get("pattern") or "")
    out += b"".join(_number(number, schema[key]) for key, number in _LENGTHS.items() if key in schema)
    out += _texts(19, schema.get("required") or ()) + _each(20, schema.get("enum") or (), _any)
    further = schema.get("additionalProperties")
    if isinstance(further, dict):
        out += _part(21, _part(1, _schema(further)))
    elif further is not None:
        out += _part(21, _flag(2, further))
    if kind := schema.get("type"):
        out += _part(22, _texts(1, [kind] if isinstance(kind, str) else kind))
    if "items" in schema:
        out += _part(23, _part(1, _schema(schema["items"])))
    if "properties" in schema:
        out += _part(25, b"".join(_named(1, name, _schema(each)) for name, each in schema["properties"].items()))
    return out + _extensions(31, schema)


def _extensions(number: int, value: Object) -> bytes:
    return b"".join(_named(number, key, _any(item)) for key, item in value.items() if key.startswith("x-"))


def _any(value: Any) -> bytes:
    """Any: yaml 2. JSON is YAML."""
    return _text(2, msgspec.json.encode(value).decode())


# --- the wire ---------------------------------------------------------------------------------------------------------


def _part(number: int, data: bytes) -> bytes:
    return render(number << 3 | BYTES) + render(len(data)) + data


def _named(number: int, name: str, value: bytes) -> bytes:
    """NamedSchema and its like: name 1, value 2."""
    return _part(number, _text(1, name) + _part(2, value))


def _text(number: int, text: str) -> bytes:
    return _part(number, text.encode()) if text else b""


def _texts(number: int, texts: Iterable[str]) -> bytes:
    return b"".join(_part(number, text.encode()) for text in texts)


def _each(number: int, values: Iterable[Any], encode: Callable[[Any], bytes]) -> bytes:
    return b"".join(_part(number, encode(value)) for value in values)


def _number(number: int, value: int) -> bytes:
    return render(number << 3 | VARINT) + render(value)


def _flag(number: int, value: object) -> bytes:
    return _number(number, 1) if value else b""
