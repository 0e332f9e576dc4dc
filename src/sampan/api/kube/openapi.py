"""OpenAPI v3: a document a group and version, made of the published schemas and of what is served.

kubectl reads from it how to explain, validate and merge: so every `x-kubernetes` extension is in it, and each PATCH says
which media types it takes.

Spec: OpenAPI 3.0; Kubernetes API concepts, "OpenAPI interface definition".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from sampan.api.kube import answers
from sampan.api.kube.patches import APPLY_YAML, JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH
from sampan.api.kube.request import Request, Response
from sampan.api.kube.served import Registry, Served
from sampan.kube import status
from sampan.kube.object import Object
from sampan.kube.resource import Resource
from sampan.kube.schema import builtin

_META = "io.k8s.apimachinery.pkg.apis.meta.v1"
_JSON = "application/json"
_encode = msgspec.json.Encoder().encode

Schemas = Callable[[str, str], Mapping[str, tuple[str, Object]]]
"""`schemas(group, version)`: kind of a custom resource -> its definition's name and schema."""


class OpenApi:
    """Answers /openapi/v3 and what is below it. Documents are made when first asked for."""

    def __init__(self, registry: Registry, custom: Schemas | None = None) -> None:
        self._registry = registry
        self._custom = custom or _none
        self._documents: dict[str, tuple[bytes, str]] = {}
        self._index: bytes = b""
        registry.on_change(self._forget)

    def _forget(self) -> None:
        self._documents.clear()
        self._index = b""

    async def page(self, request: Request) -> Response | None:
        """Return the answer, None for another path."""
        path = request.path.rstrip("/")
        if not path.startswith("/openapi/v3"):
            return None
        if request.method not in ("GET", "HEAD"):
            raise status.method_not_allowed()
        name = path.removeprefix("/openapi/v3").strip("/")
        if not name:
            return Response(200, self._listed())
        if name not in self._names():
            raise status.ApiError(404, "NotFound", "the server could not find the requested resource")
        body, digest = self._document(name)
        headers = (("ETag", f'"{digest}"'), ("Vary", "Accept"))
        if request.headers.get("if-none-match") == f'"{digest}"':
            return Response(304, b"", headers=headers)
        return Response(200, body, headers=headers)

    def documents(self) -> dict[str, Object]:
        """Return all documents by their names."""
        return {name: document(name, self._served(name), self._custom(*_of_root(name))) for name in self._names()}

    def mark(self) -> str:
        """Return what tells one state of all documents from another."""
        return hashlib.sha256(self._listed()).hexdigest().upper()

    def _names(self) -> list[str]:
        versions = dict.fromkeys(_root(served.resource) for served in self._registry)
        return sorted(versions)

    def _listed(self) -> bytes:
        if not self._index:
            paths = {}
            for name in self._names():
                digest = self._document(name)[1] if name in self._documents else self._mark(name)
                paths[name] = {"serverRelativeURL": f"/openapi/v3/{name}?hash={digest}"}
            self._index = _encode({"paths": paths})
        return self._index

    def _mark(self, name: str) -> str:
        """Return what tells one state of a document from another, without making it."""
        custom = self._custom(*_of_root(name))
        text = _encode([name, sorted(served.resource.plural for served in self._served(name)), custom])
        return hashlib.sha256(text).hexdigest().upper()

    def _document(self, name: str) -> tuple[bytes, str]:
        found = self._documents.get(name)
        if found is None:
            body = answers.json(document(name, self._served(name), self._custom(*_of_root(name)))).body
            found = self._documents[name] = body, self._mark(name)
        return found

    def _served(self, name: str) -> list[Served]:
        return [served for served in self._registry if _root(served.resource) == name]


def _none(group: str, version: str) -> Mapping[str, tuple[str, Object]]:
    return {}


def _root(resource: Resource) -> str:
    return f"apis/{resource.api_version}" if resource.group else f"api/{resource.version}"


def _of_root(name: str) -> tuple[str, str]:
    parts = name.split("/")
    return (parts[1], parts[2]) if parts[0] == "apis" else ("", parts[1])


def document(name: str, resources: list[Served], custom: Mapping[str, tuple[str, Object]]) -> Object:
    """Return the document of one group and version."""
    paths: dict[str, Object] = {}
    wanted: dict[str, None] = {}
    schemas: dict[str, Object] = {}
    for definition, schema in custom.values():
        schemas[definition] = schema
        schemas[f"{definition}List"] = _list_of(definition, schema)
        wanted[f"{_META}.ObjectMeta"] = wanted[f"{_META}.ListMeta"] = None
    for served in resources:
        resource = served.resource
        definition = custom[resource.kind][0] if resource.kind in custom else resource.definition
        paths |= dict(_paths(name, served, definition))
        wanted[definition] = None
        wanted[f"{definition}List"] = None
    for extra in ("DeleteOptions", "Status", "WatchEvent", "Patch"):
        wanted[f"{_META}.{extra}"] = None
    wanted |= dict.fromkeys(_references(paths))  # the kinds of subresources' bodies
    _collect(wanted, schemas)
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.37.0"},
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": dict(sorted(schemas.items()))},
    }


def _list_of(definition: str, schema: Object) -> Object:
    """Return the schema of a list of custom resources."""
    [kind] = schema["x-kubernetes-group-version-kind"]
    text = {"type": "string"}
    return {
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": text,
            "kind": text,
            "metadata": {"allOf": [{"$ref": f"#/components/schemas/{_META}.ListMeta"}]},
            "items": {"type": "array", "items": {"allOf": [{"$ref": f"#/components/schemas/{definition}"}]}},
        },
        "x-kubernetes-group-version-kind": [{**kind, "kind": f"{kind['kind']}List"}],
    }


def _collect(wanted: dict[str, None], schemas: dict[str, Object]) -> None:
    """Bring in definitions with all that they refer to."""
    queue = list(wanted)
    while queue:
        name = queue.pop()
        if name in schemas or builtin.find(name) is None:
            continue
        references: list[str] = []
        schemas[name] = _schema(builtin.published(name), references)
        queue += references
    for schema in list(schemas.values()):
        queue = [name for name in _references(schema) if name not in schemas]
        if queue:
            _collect(dict.fromkeys(queue), schemas)


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(target := value.get("$ref"), str):
            yield target.rpartition("/")[2]
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


def _schema(value: Any, references: list[str]) -> Any:
    """Return a published schema as a component: references lead to components, alone or inside an allOf."""
    if isinstance(value, list):
        return [_schema(item, references) for item in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value and isinstance(value["$ref"], str):
        references.append(value["$ref"])
        link = {"$ref": f"#/components/schemas/{value['$ref']}"}
        rest = {key: _schema(item, references) for key, item in value.items() if key != "$ref"}
        return {"allOf": [link], **rest, "default": {}} if rest else link
    return {key: _schema(item, references) for key, item in value.items()}


# --- paths ------------------------------------------------------------------------------------------------------------


def _paths(root: str, served: Served, definition: str) -> Iterator[tuple[str, Object]]:
    resource = served.resource
    base = (
        f"/{root}/namespaces/{{namespace}}/{resource.plural}" if resource.namespaced else f"/{root}/{resource.plural}"
    )
    scope = [_NAMESPACE] if resource.namespaced else []
    if resource.namespaced and "list" in resource.verbs:
        yield f"/{root}/{resource.plural}", {"get": _operation(served, "list", f"{definition}List", suffix="ForAllNamespaces"),
                                             "parameters": _LISTING}  # fmt: skip
    collection: Object = {"parameters": [*scope, *_COMMON]}
    if "list" in resource.verbs:
        collection["get"] = _operation(served, "list", f"{definition}List", parameters=_LISTING)
    if "create" in resource.verbs:
        collection["post"] = _operation(served, "post", definition, body=definition, parameters=_WRITING)
    if "deletecollection" in resource.verbs:
        collection["delete"] = _operation(
            served, "deletecollection", f"{_META}.Status", body=f"{_META}.DeleteOptions", parameters=_LISTING
        )
    yield base, collection
    if "get" not in resource.verbs:
        return
    yield f"{base}/{{name}}", _item(served, definition, resource.verbs, [*scope, _NAME, *_COMMON])
    for part in resource.subresources:
        if part.name in ("log", "exec", "attach", "portforward", "proxy"):
            continue
        target = definition if not part.kind else _of_kind(part.group, part.version or "v1", part.kind) or definition
        kind = (part.group, part.version, part.kind) if part.kind and part.version else None
        item = _item(served, target, part.verbs, [*scope, _NAME, *_COMMON], part=part.name, kind=kind)
        yield f"{base}/{{name}}/{part.name}", item


def _of_kind(group: str, version: str, kind: str) -> str:
    prefix = group.partition(".")[0] or "core"
    return f"io.k8s.api.{prefix}.{version}.{kind}"


def _item(
    served: Served,
    definition: str,
    verbs: tuple[str, ...],
    parameters: list[Object],
    *,
    part: str = "",
    kind: tuple[str, str, str] | None = None,
) -> Object:
    out: Object = {"parameters": parameters}
    more: dict[str, Any] = {"part": part, "kind": kind}
    if "get" in verbs:
        out["get"] = _operation(served, "get", definition, **more)
    if "update" in verbs:
        out["put"] = _operation(served, "put", definition, body=definition, parameters=_WRITING, **more)
    if "create" in verbs and part:
        out["post"] = _operation(served, "post", definition, body=definition, parameters=_WRITING, **more)
    if "patch" in verbs:
        out["patch"] = _operation(served, "patch", definition, body=f"{_META}.Patch", parameters=_PATCHING, **more)
    if "delete" in verbs:
        answer = definition if served.strategy.answers_with_object else f"{_META}.Status"
        body = f"{_META}.DeleteOptions"
        out["delete"] = _operation(served, "delete", answer, body=body, parameters=_DELETING, **more)
    return out


def _operation(
    served: Served,
    action: str,
    answer: str,
    *,
    body: str = "",
    parameters: list[Object] | None = None,
    suffix: str = "",
    part: str = "",
    kind: tuple[str, str, str] | None = None,
) -> Object:
    resource = served.resource
    group, version, name = kind or (resource.group, resource.version, resource.kind)
    scope = "Namespaced" if resource.namespaced and not suffix else ""
    label = "".join(word.capitalize() for word in (resource.group.partition(".")[0] or "core", resource.version))
    verb = {"get": "read", "post": "create", "put": "replace"}.get(action, action)
    out: Object = {
        "operationId": f"{verb}{label}{scope}{resource.kind}{part.capitalize()}{suffix}",
        "tags": [f"{resource.group.partition('.')[0] or 'core'}_{resource.version}"],
        "responses": {"200": _answer(answer), "401": {"description": "Unauthorized"}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": name},
    }
    if parameters:
        out["parameters"] = parameters
    if body:
        media = [JSON_PATCH, MERGE_PATCH, *([] if served.dynamic else [STRATEGIC_PATCH]), APPLY_YAML]
        kinds = media if action == "patch" else ["*/*"]
        out["requestBody"] = {
            "content": {name: {"schema": {"$ref": f"#/components/schemas/{body}"}} for name in kinds},
            "required": action in ("post", "put", "patch"),
        }
    return out


def _answer(definition: str) -> Object:
    schema = {"schema": {"$ref": f"#/components/schemas/{definition}"}}
    kinds = (_JSON, "application/yaml", "application/vnd.kubernetes.protobuf")
    return {"description": "OK", "content": dict.fromkeys(kinds, schema)}


def _query(name: str, kind: str = "string") -> Object:
    return {"name": name, "in": "query", "schema": {"type": kind, "uniqueItems": True}}


def _in_path(name: str) -> Object:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "uniqueItems": True}}


_NAMESPACE, _NAME = _in_path("namespace"), _in_path("name")
_COMMON = [_query("pretty")]
_LISTING = [
    _query("allowWatchBookmarks", "boolean"), _query("continue"), _query("fieldSelector"), _query("labelSelector"),
    _query("limit", "integer"), _query("resourceVersion"), _query("resourceVersionMatch"),
    _query("sendInitialEvents", "boolean"), _query("timeoutSeconds", "integer"), _query("watch", "boolean"),
]  # fmt: skip
_WRITING = [_query("dryRun"), _query("fieldManager"), _query("fieldValidation")]
_PATCHING = [*_WRITING, _query("force", "boolean")]
_DELETING = [
    _query("dryRun"), _query("gracePeriodSeconds", "integer"), _query("orphanDependents", "boolean"),
    _query("propagationPolicy"), _query("ignoreStoreReadErrorWithClusterBreakingPotential", "boolean"),
]  # fmt: skip
