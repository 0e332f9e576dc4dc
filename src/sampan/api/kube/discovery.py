"""Discovery: which groups, versions and resources there are, in the aggregated form and in the old ones.

Spec: apidiscovery.k8s.io/v2; meta/v1 APIVersions, APIGroupList, APIGroup, APIResourceList.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from sampan.api.kube import answers
from sampan.api.kube.request import Request, Response
from sampan.api.kube.served import Registry
from sampan.kube import status
from sampan.kube.object import Object
from sampan.kube.resource import Resource, Subresource

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_VARY = ("Vary", "Accept")
_encode = msgspec.json.Encoder().encode


class Discovery:
    """Answers /api, /apis and what is below them up to a version. Made anew when the registry changes."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._aggregated: dict[str, tuple[bytes, str]] = {}
        registry.on_change(self._aggregated.clear)

    async def page(self, request: Request) -> Response | None:
        """Return the answer, None for another path."""
        parts = request.path.strip("/").split("/")
        if parts[0] not in ("api", "apis") or len(parts) > 3 or (parts[0] == "api" and len(parts) > 2):
            return None
        if request.method not in ("GET", "HEAD"):
            raise status.method_not_allowed()
        if len(parts) == 1:
            return self._whole(request, parts[0])
        if parts[0] == "api":
            return self._resources("", parts[1])
        return self._group(parts[1]) if len(parts) == 2 else self._resources(parts[1], parts[2])

    # --- all groups

    def _whole(self, request: Request, root: str) -> Response:
        for wanted in request.headers.get("accept", "").split(","):
            parameters = {part.strip() for part in wanted.split(";")[1:]}
            if {"g=apidiscovery.k8s.io", "as=APIGroupDiscoveryList"} <= parameters and "v=v2" in parameters:
                return self._as_aggregated(request, root)
        groups = {} if root == "api" else self._groups()
        if root == "api":
            address = {"clientCIDR": "0.0.0.0/0", "serverAddress": request.headers.get("host", "")}
            obj: Object = {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [address]}
        else:
            listed = [_group(name, versions) for name, versions in groups.items()]
            obj = {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}
        return answers.json(obj, headers=(_VARY,))

    def _as_aggregated(self, request: Request, root: str) -> Response:
        body, etag = self._aggregated.get(root) or self._make(root)
        headers = (("ETag", etag), _VARY)
        if request.headers.get("if-none-match") == etag:
            return Response(304, b"", AGGREGATED, headers)
        return Response(200, body, AGGREGATED, headers)

    def _make(self, root: str) -> tuple[bytes, str]:
        groups = {"": self._versions("")} if root == "api" else self._groups()
        items = [
            {
                "metadata": {"name": name, "creationTimestamp": None},
                "versions": [
                    {
                        "version": version,
                        "resources": [_described(item) for item in self._of(name, version)],
                        "freshness": "Current",
                    }
                    for version in versions
                ],
            }
            for name, versions in groups.items()
        ]
        body = _encode(
            {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}
        )
        made = self._aggregated[root] = body, f'"{hashlib.sha256(body).hexdigest().upper()}"'
        return made

    # --- one group

    def _group(self, name: str) -> Response:
        versions = self._groups().get(name)
        if not versions:
            raise status.ApiError(404, "NotFound", "the server could not find the requested resource")
        return answers.json({"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)})

    def _resources(self, group: str, version: str) -> Response:
        found = self._of(group, version)
        if not found:
            raise status.ApiError(404, "NotFound", "the server could not find the requested resource")
        rows: list[Object] = []
        for resource in found:
            rows.append(_row(resource, resource.plural, resource.kind, resource.verbs))
            rows += [_subrow(resource, part) for part in resource.subresources]
        obj = {
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": f"{group}/{version}" if group else version,
            "resources": rows,
        }
        return answers.json(obj)

    def _groups(self) -> dict[str, list[str]]:
        names = dict.fromkeys(served.resource.group for served in self._registry if served.resource.group)
        return {name: self._versions(name) for name in names}

    def _versions(self, group: str) -> list[str]:
        found = {served.resource.version for served in self._registry if served.resource.group == group}
        return sorted(found, key=precedence)

    def _of(self, group: str, version: str) -> list[Resource]:
        return sorted(
            (
                served.resource
                for served in self._registry
                if (served.resource.group, served.resource.version) == (group, version)
            ),
            key=lambda resource: resource.plural,
        )


def precedence(version: str) -> tuple[int, int, int, str]:
    """Return a sort key that puts stable versions first, then beta, then alpha, newest first. Spec: CRD versions."""
    match = re.fullmatch(r"v(\d+)(?:(alpha|beta)(\d+))?", version)
    if match is None:
        return 3, 0, 0, version
    level = {None: 0, "beta": 1, "alpha": 2}[match[2]]
    return level, -int(match[1]), -int(match[3] or 0), ""


def _group(name: str, versions: Iterable[str]) -> Object:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def _described(resource: Resource) -> Object:
    out: dict[str, Any] = {
        "resource": resource.plural,
        "responseKind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        out["shortNames"] = list(resource.short_names)
    if resource.categories:
        out["categories"] = list(resource.categories)
    if resource.subresources:
        out["subresources"] = [
            {
                "subresource": part.name,
                "responseKind": {
                    "group": part.group if part.kind else resource.group,
                    "version": part.version or resource.version,
                    "kind": part.kind or resource.kind,
                },
                "verbs": list(part.verbs),
            }
            for part in resource.subresources
        ]
    return out


def _row(resource: Resource, name: str, kind: str, verbs: Iterable[str]) -> Object:
    out: Object = {
        "name": name,
        "singularName": resource.singular if name == resource.plural else "",
        "namespaced": resource.namespaced,
        "kind": kind,
        "verbs": list(verbs),
    }
    if name == resource.plural:
        if resource.short_names:
            out["shortNames"] = list(resource.short_names)
        if resource.categories:
            out["categories"] = list(resource.categories)
    return out


def _subrow(resource: Resource, part: Subresource) -> Object:
    row = _row(resource, f"{resource.plural}/{part.name}", part.kind or resource.kind, part.verbs)
    if part.version:
        row["group"], row["version"] = part.group, part.version
    return row
