"""An Ingress that names its class twice must name the same one; those of old that do not may still be changed."""

from __future__ import annotations

CLASS = "kubernetes.io/ingress.class"


def ingress(name: str, annotation: str, field: str) -> dict:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    return {
        "metadata": {"name": name, "annotations": {CLASS: annotation}},
        "spec": {"ingressClassName": field, "defaultBackend": backend},
    }


def test_a_new_one_names_one_class(plane, namespace) -> None:
    path = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses"
    refused = plane.refused("POST", path, ingress("two", "one", "other"))
    assert refused["message"] == (
        f'Ingress.networking.k8s.io "two" is invalid: annotations.{CLASS}: Invalid value: "one": '
        "must match `ingressClassName` when both are specified"
    )
    plane.json("POST", path, ingress("same", "one", "one"))
    patch = {"metadata": {"annotations": {CLASS: "other"}}}
    kind = {"Content-Type": "application/merge-patch+json"}
    assert plane.json("PATCH", f"{path}/same", patch, headers=kind)["metadata"]["annotations"] == {CLASS: "other"}
