"""OpenAPI v2: one document of everything, for clients from before v3. It is made of the v3 documents when it is asked for.

Spec: OpenAPI 2.0 ("Swagger"); Kubernetes API concepts, "OpenAPI v2".
"""

from __future__ import annotations

from sampan.api.kube import answers, openapi_v2_protobuf
from sampan.api.kube.openapi import OpenApi
from sampan.api.kube.request import Request, Response
from sampan.kube import status
from sampan.kube.object import Object

_COMPONENTS, _DEFINITIONS = "#/components/schemas/", "#/definitions/"
_ONLY_V3 = ("allOf", "anyOf", "default", "nullable", "not", "oneOf")
_JSON = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"]


class OpenApiV2:
    """Answers /openapi/v2. The document is large and seldom asked for, so it is not kept."""

    def __init__(self, openapi: OpenApi) -> None:
        self._openapi = openapi

    async def page(self, request: Request) -> Response | None:
        """Return the answer, None for another path."""
        if request.path.rstrip("/") != "/openapi/v2":
            return None
        if request.method not in ("GET", "HEAD"):
            raise status.method_not_allowed()
        packed = _packed(request.headers.get("accept", ""))
        etag = f'"{self._openapi.mark()}{"-PB" if packed else ""}"'
        headers = (("ETag", etag), ("Vary", "Accept"))
        if request.headers.get("if-none-match") == etag:
            return Response(304, b"", headers=headers)
        whole = merged(self._openapi.documents())
        if packed:
            return Response(200, openapi_v2_protobuf.document(whole), openapi_v2_protobuf.ANSWERED, headers)
        return answers.json(whole, headers=headers)


def _packed(accept: str) -> bool:
    """Return whether a client gets protobuf, which it does where it takes no JSON.

    Raises:
        ApiError: 406, it takes neither.
    """
    kinds = [part.partition(";")[0].strip() for part in accept.split(",")]
    if not accept or any(kind in ("application/json", "*/*", "application/*") for kind in kinds):
        return False
    if openapi_v2_protobuf.MEDIA in kinds:
        return True
    raise status.not_acceptable(
        f"only the following media types are accepted: application/json, {openapi_v2_protobuf.MEDIA}"
    )


def merged(documents: dict[str, Object]) -> Object:
    """Return documents of OpenAPI v3 as one of v2."""
    paths: dict[str, Object] = {}
    definitions: dict[str, Object] = {}
    for document in documents.values():
        for path, item in document["paths"].items():
            paths[path] = {
                key: [_parameter(each) for each in value] if key == "parameters" else _operation(value)
                for key, value in item.items()
            }
        definitions |= {name: _schema(value) for name, value in document["components"]["schemas"].items()}
    return {
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": "v1.37.0"},
        "paths": dict(sorted(paths.items())),
        "definitions": dict(sorted(definitions.items())),
        "securityDefinitions": {
            "BearerToken": {
                "description": "Bearer Token authentication",
                "type": "apiKey",
                "name": "authorization",
                "in": "header",
            }
        },
        "security": [{"BearerToken": []}],
    }


def _operation(operation: Object) -> Object:
    out = {key: value for key, value in operation.items() if key not in ("requestBody", "responses", "parameters")}
    parameters = [_parameter(each) for each in operation.get("parameters") or ()]
    body = operation.get("requestBody")
    out["consumes"] = ["*/*"]
    if body:
        contents = body["content"]
        out["consumes"] = list(contents)
        schema = _schema(next(iter(contents.values()))["schema"])
        parameters.append({"name": "body", "in": "body", "required": bool(body.get("required")), "schema": schema})
    out["produces"] = _JSON
    out["schemes"] = ["https"]
    out["responses"] = {code: _response(answer) for code, answer in operation["responses"].items()}
    if parameters:
        out["parameters"] = parameters
    return out


def _parameter(parameter: Object) -> Object:
    rest = {key: value for key, value in parameter.items() if key != "schema"}
    return {**rest, **parameter.get("schema", {})}


def _response(answer: Object) -> Object:
    contents = answer.get("content")
    out: Object = {"description": answer["description"]}
    if contents:
        out["schema"] = _schema(next(iter(contents.values()))["schema"])
    return out


def _schema(schema: Object) -> Object:
    """Return a schema in v2's terms: a reference that was wrapped to have neighbours has them beside it."""
    out: Object = {}
    for key, value in schema.items():
        if key == "properties":
            out[key] = {name: _schema(each) for name, each in value.items()}
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            out[key] = _schema(value)
        elif key == "$ref":
            out[key] = value.replace(_COMPONENTS, _DEFINITIONS)
        elif key == "allOf" and len(value) == 1:
            out |= _schema(value[0])
        elif key not in _ONLY_V3:
            out[key] = value
    return out
