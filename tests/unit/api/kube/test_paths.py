"""Paths and negotiation: what a URL and an Accept header mean."""

import pytest

from sampan.api.kube.negotiate import PARTIAL, TABLE, Form, negotiate
from sampan.api.kube.paths import Target, parse, verb
from sampan.kube.status import ApiError


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/api/v1/pods", Target("", "v1", "pods")),
        ("/api/v1/pods/", Target("", "v1", "pods")),
        ("/api/v1/namespaces", Target("", "v1", "namespaces")),
        ("/api/v1/namespaces/a", Target("", "v1", "namespaces", "a", "a")),
        ("/api/v1/namespaces/a/status", Target("", "v1", "namespaces", "a", "a", "status")),
        ("/api/v1/namespaces/a/finalize", Target("", "v1", "namespaces", "a", "a", "finalize")),
        ("/api/v1/namespaces/a/pods", Target("", "v1", "pods", "a")),
        ("/api/v1/namespaces/a/pods/b", Target("", "v1", "pods", "a", "b")),
        ("/api/v1/namespaces/a/pods/b/log", Target("", "v1", "pods", "a", "b", "log")),
        ("/api/v1/namespaces/a/pods/b/proxy/x/y", Target("", "v1", "pods", "a", "b", "proxy", "x/y")),
        ("/api/v1/nodes/n", Target("", "v1", "nodes", "", "n")),
        ("/api/v1/watch/namespaces/a/pods", Target("", "v1", "pods", "a", watch=True)),
        ("/apis/apps/v1/deployments", Target("apps", "v1", "deployments")),
        ("/apis/apps/v1/namespaces/a/deployments/d/scale", Target("apps", "v1", "deployments", "a", "d", "scale")),
    ],
)
def test_paths(path, target):
    assert parse(path) == target


@pytest.mark.parametrize(
    "path",
    [
        "/", "/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1", "/version", "/api/v1/watch", "//api/v1/pods",
        "/api//v1/pods", "/api/v1//pods", "/api/v1/namespaces//pods", "/api/v1/namespaces/../pods", "/api/v1/./pods",
        "/openapi/v3", "", "api/v1/pods", "/API/v1/pods",
    ],
)  # fmt: skip
def test_paths_that_name_no_resource(path):
    assert parse(path) is None


@pytest.mark.parametrize(
    ("method", "path", "watch", "expected"),
    [
        ("GET", "/api/v1/pods", False, "list"),
        ("GET", "/api/v1/pods", True, "watch"),
        ("GET", "/api/v1/watch/pods", False, "watch"),
        ("HEAD", "/api/v1/namespaces/a/pods/b", False, "get"),
        ("DELETE", "/api/v1/namespaces/a/pods", False, "deletecollection"),
        ("DELETE", "/api/v1/namespaces/a/pods/b", False, "delete"),
        ("PATCH", "/api/v1/namespaces/a/pods/b", False, "patch"),
        ("PUT", "/api/v1/namespaces/a/pods/b", False, "update"),
        ("POST", "/api/v1/namespaces/a/pods", False, "create"),
        ("TRACE", "/api/v1/pods", False, ""),
    ],
)
def test_verbs(method, path, watch, expected):
    assert verb(method, parse(path), watch=watch) == expected


KUBECTL_GET = (
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", Form()),
        ("*/*", Form()),
        ("application/json", Form()),
        ("application/json, */*;q=0.5", Form()),
        (KUBECTL_GET, Form(TABLE)),
        ("application/vnd.kubernetes.protobuf,application/json", Form()),
        ("application/vnd.kubernetes.protobuf", Form(protobuf=True)),
        ("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json", Form(PARTIAL)),
        ("application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json", Form()),
        ("application/json;as=Nonsense;g=meta.k8s.io;v=v1,application/json", Form()),
    ],
)
def test_forms(accept, form):
    assert negotiate(accept) == form


def test_a_form_that_nobody_has_is_406():
    with pytest.raises(ApiError) as refused:
        negotiate("text/html")
    assert refused.value.code == 406
