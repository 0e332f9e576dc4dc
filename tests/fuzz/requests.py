"""Random requests to the Kubernetes API, made of its catalog: every verb, path, subresource, patch, parameter and header."""

from __future__ import annotations

import base64
import json
import random
from typing import Any, NamedTuple
from urllib.parse import quote

from fuzz.bodies import JSON, KEYS, NAMES, ODD_TEXTS, WORDS, YAML, Bodies
from sampan.kube import catalog
from sampan.kube.resource import Resource, Subresource

NAMESPACES = (*("fuzz",) * 8, "default", "fuzz-none")
CUSTOM = Resource(
    "fuzz.example.org", "v1", "widgets", "Widget", subresources=(Subresource("status"), Subresource("scale"))
)
WIDGET: dict[str, Any] = {
    "apiVersion": CUSTOM.api_version, "kind": "Widget", "metadata": {"name": "a"},
    "spec": {"size": 1, "parts": [{"name": "a", "of": {"b": 1.5}}], "free": {"x": [1]}, "mode": "one"}, "status": {"size": 1},
}  # fmt: skip
DEFINITION: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "widgets.fuzz.example.org"},
    "spec": {"group": "fuzz.example.org", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"}, "versions": [{
        "name": "v1", "served": True, "storage": True,
        "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"}},
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {
            "spec": {"type": "object", "x-kubernetes-validations": [{"rule": "!has(self.size) || self.size < 100"}], "properties": {
                "size": {"type": "integer", "default": 1, "maximum": 1000}, "mode": {"type": "string", "enum": ["one", "two"]},
                "parts": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items": {
                    "type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "of": {
                        "type": "object", "additionalProperties": {"type": "number"}}}}},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}},
            "status": {"type": "object", "properties": {"size": {"type": "integer"}}}}}}}]},
}  # fmt: skip
_META = "meta.k8s.io"
ACCEPTS = (
    JSON, "*/*", "application/vnd.kubernetes.protobuf", f"{JSON};as=Table;v=v1;g={_META},{JSON}", f"{JSON};as=PartialObjectMetadata;v=v1;g={_META}",
    f"{JSON};as=PartialObjectMetadataList;v=v1;g={_META}", f"application/vnd.kubernetes.protobuf,{JSON}", f"{JSON};stream=watch", f"{JSON};q=0.1",
)  # fmt: skip
ODD_ACCEPTS = (
    "",
    "application/yaml",
    f"{JSON};as=Table;v=v9;g=x",
    "text/html",
    ";;;,,",
    "application/cbor",
    "é/é",
    "a" * 3000,
)
MEDIA = (JSON, YAML, "text/yaml", "application/vnd.kubernetes.protobuf", "application/json; charset=utf-8", "APPLICATION/JSON", "text/plain", "", "application/cbor", ";", "application/json-patch+json", "multipart/form-data")  # fmt: skip
PATCHES = ("application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json", "application/apply-patch+yaml", "application/apply-patch+cbor")  # fmt: skip
SELECTORS = ("app=a", "app in (a,b),x!=y", "!app", "app", "app notin ()", "a=b=c", "(", "app==a,app=b", "é=1", "a in (" + "b," * 500 + "c)", ",", "a>1", "a<x", "metadata.name=a", "metadata.namespace!=fuzz", "spec.nodeName=", "status.phase=Running,metadata.name=a", "spec.none=1", "metadata.name=\\,", "a\\=b=c")  # fmt: skip
NUMBERS = ("0", "1", "2", "500", "-1", "x", "", "9" * 23, "1.5", "1e3", " 1", "0x1", "\u0661")  # fmt: skip
PARAMETERS = {
    "limit": NUMBERS, "timeoutSeconds": NUMBERS, "gracePeriodSeconds": NUMBERS, "resourceVersion": NUMBERS, "continue": (*ODD_TEXTS, "e30", "eyJ2IjoibWV0YS5rOHMuaW8vdjEifQ"),
    "labelSelector": SELECTORS, "fieldSelector": SELECTORS, "resourceVersionMatch": ("Exact", "NotOlderThan", "x", ""), "dryRun": ("All", "", "x"),
    "fieldManager": ("kubectl", "", "a" * 200, "\x00", "é"), "fieldValidation": ("Strict", "Warn", "Ignore", "x", ""), "force": ("true", "false", "x", ""),
    "propagationPolicy": ("Background", "Foreground", "Orphan", "x", ""), "orphanDependents": ("true", "false", "x"), "pretty": ("true", "x"),
    "allowWatchBookmarks": ("true", "x"), "sendInitialEvents": ("true", "false", "x"), "includeObject": ("None", "Object", "Metadata", "x"), "watch": ("false", "0", ""),
    "ignoreStoreReadErrorWithClusterBreakingPotential": ("true", "x"), "x": ODD_TEXTS, "": ("",),
}  # fmt: skip
PAGES = ("/", "/api", "/apis", "/api/v1", "/apis/apps", "/apis/apps/v1", "/apis/none", "/version", "/healthz", "/readyz/ping", "/livez?verbose", "/openapi/v3", "/openapi/v3/api/v1", "/openapi/v3/apis/none/v1", "/openapi/v2", "/metrics", "/logs", "/api/v1/watch/pods", "/apis/apps/v1/deployments/a/b/c/d", "//", "/api//v1", "/%2e%2e/", "/api/v1/namespaces/%00/pods", "/api/v1/pods/%ff", "/apis/" + "a/" * 200, "/.well-known/openid-configuration", "/openid/v1/jwks")  # fmt: skip
OFTEN = (
    *(("POST", False),) * 4,
    *(("PUT", True),) * 2,
    *(("PATCH", True),) * 5,
    ("GET", True),
    *(("GET", False),) * 2,
    ("DELETE", True),
)
"""Method, and whether it is for one object: most write, and most of what is written stays for the next."""
KEPT = ("clusterroles", "clusterrolebindings", "customresourcedefinitions")
"""Not deleted all at once: the controllers need their rights."""
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


class Asked(NamedTuple):
    """One request. `streams`: its answer goes on until the client leaves."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    streams: bool = False

    def __str__(self) -> str:
        headers = " ".join(f"{key}: {value[:120]!r}" for key, value in self.headers.items())
        return f"{self.method} {self.target[:500]} [{headers}] {self.body[:3000]!r}"


class Requests:
    """An endless row of requests, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.bodies = Bodies(self.random)
        self.resources = (*catalog.RESOURCES, CUSTOM, CUSTOM)
        self.continues: list[str] = []
        """Tokens that the server gave."""

    def next(self) -> Asked:
        if self.random.random() < 0.03:
            return self._page()
        resource = self.random.choice(self.resources)
        name = self._name()
        namespace = self.random.choice(NAMESPACES) if self.random.random() < 0.98 else self._odd_name()
        part = self.random.choice(resource.subresources) if resource.subresources and self._chance(0.25) else None
        if self._chance(0.01):
            part = Subresource(self.random.choice(("status", "scale", "nope", "log")))
        method, named = self._verb(resource, part)
        path = self._path(resource, namespace, name if named or part else "", part)
        query = self._query(method)
        headers = self._headers()
        body = b""
        if method == "PATCH":
            body, media = self._patch(resource, part, name, namespace)
            headers["Content-Type"] = media
        elif method in ("POST", "PUT"):
            body, headers["Content-Type"] = self.bodies.encode(self._object(resource, part, name, namespace))
        elif method == "DELETE" and self._chance(0.4):
            body, headers["Content-Type"] = self.bodies.encode(self._options())
        if body and self._chance(0.03):
            headers["Content-Type"] = self.random.choice(MEDIA)
        streams = method == "GET" and self._chance(0.06)
        if streams:
            query = f"watch=true&{query}"
        return Asked(method, f"{path}?{query}" if query else path, headers, body, streams)

    def _chance(self, share: float) -> bool:
        return self.random.random() < share

    def _page(self) -> Asked:
        method = self.random.choice(METHODS) if self._chance(0.2) else "GET"
        headers = self._headers()
        if self._chance(0.3):
            headers["Accept"] = f"{JSON};g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        return Asked(method, self.random.choice(PAGES), headers, b"")

    # --- what is named

    def _name(self) -> str:
        return self.random.choice(NAMES) if self._chance(0.97) else self._odd_name()

    def _odd_name(self) -> str:
        return self.random.choice(ODD_TEXTS) or "x"

    def _verb(self, resource: Resource, part: Subresource | None) -> tuple[str, bool]:
        """Return a method, and whether it is for one object."""
        if self._chance(0.02):
            return self.random.choice(METHODS), self._chance(0.5)
        if part is not None:
            methods = {"create": "POST", "get": "GET", "update": "PUT", "patch": "PATCH", "delete": "DELETE"}
            return methods[self.random.choice(part.verbs)], True
        if resource.verbs == ("create",):
            return "POST", False
        if self._chance(0.004) and resource.plural not in KEPT:
            return "DELETE", False
        return self.random.choice(OFTEN)

    def _path(self, resource: Resource, namespace: str, name: str, part: Subresource | None) -> str:
        root = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
        words = [resource.plural, *([name] if name else []), *([part.name] if part else [])]
        if resource.namespaced and self._chance(0.93 if name else 0.8):
            words = ["namespaces", namespace, *words]
        if self._chance(0.01):
            words.append(self._odd_name())
        return root + "".join(f"/{quote(word, safe='' if self._chance(0.9) else '/%')}" for word in words)

    def _query(self, method: str) -> str:
        pairs = []
        if method == "PATCH" and self._chance(0.9):
            pairs.append(("fieldManager", "fuzz"))
        for _ in range(self.random.choice((0, 0, 0, 0, 1, 1, 2, 4))):
            key = self.random.choice(tuple(PARAMETERS))
            value = self.random.choice(PARAMETERS[key])
            if key == "continue" and self.continues and self._chance(0.7):
                value = self._token()
            pairs.append((key, value))
        if method == "GET" and self._chance(0.1):
            pairs.append(("limit", "1"))
        return "&".join(f"{key}={quote(value, safe='%' if self._chance(0.05) else '')}" for key, value in pairs)

    def _token(self) -> str:
        token = self.random.choice(self.continues[-20:])
        if self._chance(0.4):
            return token
        try:
            inner = json.loads(base64.urlsafe_b64decode(token + "=="))
        except ValueError:
            return token[: self.random.randrange(len(token) + 1)]
        return base64.urlsafe_b64encode(json.dumps(self.bodies.mutate(inner, 0.3)).encode()).decode()

    def _headers(self) -> dict[str, str]:
        headers = {}
        if self._chance(0.3):
            headers["Accept"] = self.random.choice(ACCEPTS if self._chance(0.8) else ODD_ACCEPTS)
        if self._chance(0.05):
            key = self.random.choice(("If-None-Match", "Impersonate-User", "Impersonate-Group", "User-Agent", "Accept-Encoding", "Origin", "Impersonate-Extra-a%00b", "Warning"))  # fmt: skip
            headers[key] = self.random.choice(("*", "é", "gzip", "ann", "system:masters", "a" * 500, '"x"'))
        return headers

    # --- bodies

    def _object(self, resource: Resource, part: Subresource | None, name: str, namespace: str) -> Any:
        if part is not None and part.kind:
            group, version = (part.group, part.version) if part.version else (resource.group, resource.version)
            package = (group or "core").partition(".")[0]
            resource = Resource(group, version, resource.plural, part.kind, resource.namespaced)
            obj = self.bodies.of(resource, f"io.k8s.api.{package}.{version}.{part.kind}", name, namespace)
        elif resource is CUSTOM:
            obj = json.loads(json.dumps(WIDGET))
            obj["metadata"] = {"name": name}
        else:
            obj = self.bodies.of(resource, resource.definition, name, namespace)
        if self._chance(0.05):
            obj["metadata"]["resourceVersion"] = self.random.choice(NUMBERS)
        return self.bodies.mutate(obj, self.random.choice((0, 0, 0, 0.005, 0.02, 0.05)))

    def _patch(self, resource: Resource, part: Subresource | None, name: str, namespace: str) -> tuple[bytes, str]:
        media = self.random.choice(PATCHES[:4]) if self._chance(0.98) else self.random.choice((*PATCHES, *MEDIA))
        if media == PATCHES[0]:
            operations = [self._operation() for _ in range(self.random.choice((0, 1, 1, 2, 5)))]
            return self.bodies.damage(json.dumps(self.bodies.mutate(operations, 0.03)).encode()), media
        obj = self._object(resource, part, name, namespace)
        if media != PATCHES[3] and isinstance(obj, dict):
            kept = [key for key in obj if self._chance(0.5)]
            obj = {key: obj[key] for key in kept}
            if media == PATCHES[2] and self._chance(0.5):
                obj = self._directed(obj)
        return self.bodies.damage(json.dumps(obj).encode()), media

    def _operation(self) -> dict[str, Any]:
        words = [self.random.choice((*KEYS, *WORDS, "0", "1", "-", "~1", "~0", "~2", "containers", "01")) for _ in range(self.random.choice((0, 1, 2, 2, 3, 4)))]  # fmt: skip
        path = "".join(f"/{word}" for word in words)
        value: Any = self.bodies.odd()
        if path == "/metadata/labels/app" or self._chance(0.3):
            path, value = self.random.choice((("/metadata/labels", {"app": "b"}), ("/metadata/labels/app", "c"), ("/spec", {}), ("/metadata/annotations", {"a": "b"})))  # fmt: skip
        operation = self.random.choice(("add", "replace", "remove", "test", "copy", "move", "x", ""))
        out = {"op": operation, "path": path, "value": value}
        if operation in ("copy", "move"):
            out["from"] = self.random.choice(("/metadata", "/spec", "/metadata/labels", "", path))
        return out

    def _directed(self, value: Any) -> Any:
        """Return a strategic merge patch with directives in it."""
        if isinstance(value, dict):
            out = {key: self._directed(item) for key, item in value.items()}
            if self._chance(0.15):
                directive = self.random.choice(("$patch", "$retainKeys", "$setElementOrder/containers", "$deleteFromPrimitiveList/finalizers", "$setElementOrder/x", "$x"))  # fmt: skip
                out[directive] = self.random.choice(
                    ("delete", "replace", "merge", "x", ["name"], [{"name": "a"}], [], None, {}, ["a", 1])
                )
            return out
        if isinstance(value, list):
            return [self._directed(item) for item in value]
        return value

    def _options(self) -> Any:
        options = {
            "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": self.random.choice(("Background", "Foreground", "Orphan")),
            "gracePeriodSeconds": self.random.choice((0, 1, 30)), "preconditions": {"uid": "x", "resourceVersion": "1"}, "dryRun": ["All"],
        }  # fmt: skip
        kept = {key: value for key, value in options.items() if key in ("apiVersion", "kind") or self._chance(0.4)}
        return self.bodies.mutate(kept, self.random.choice((0, 0, 0.2)))
