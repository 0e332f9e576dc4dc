"""Webhooks change and refuse what is written: real ones, over HTTPS."""

from __future__ import annotations

import json
import time

import pytest

from kube import free_port
from sampan.cmd.advertised import advertised
from webhook import patch, slowly, webhook_server

MERGE = {"Content-Type": "application/merge-patch+json"}
GROUP = "/apis/admissionregistration.k8s.io/v1"
EVERY_WRITE = {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]}
CREATE = {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}


def allow(_):
    return {"allowed": True}


@pytest.fixture(scope="module")
def hooks(tmp_path_factory):
    with webhook_server(tmp_path_factory.mktemp("hooks")) as server:
        yield server


@pytest.fixture
def configure(plane, namespace, hooks):
    """Keep webhook configurations that look at this test's namespace only; they go with the test."""
    made = []
    plane.json("PATCH", f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": {"test": namespace}}},
               headers={"Content-Type": "application/merge-patch+json"})  # fmt: skip

    def keep(kind, *webhooks, name="a"):
        filled = [
            {
                "name": f"{index}.{name}.example.com",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "namespaceSelector": {"matchLabels": {"test": namespace}},
                "rules": [CREATE],
                "clientConfig": hooks.config(f"/{namespace}/{index}"),
                **hook,
            }
            for index, hook in enumerate(webhooks)
        ]
        plural = f"{kind.lower()}webhookconfigurations"
        body = {"metadata": {"name": f"{name}-{namespace}"}, "webhooks": filled}
        plane.json("POST", f"{GROUP}/{plural}", body)
        made.append(f"{GROUP}/{plural}/{name}-{namespace}")

    yield keep
    for path in made:
        plane.json("DELETE", path)


@pytest.fixture
def maps(namespace):
    return f"/api/v1/namespaces/{namespace}/configmaps"


def config_map(name="m", **more):
    return {"metadata": {"name": name}, **more}


def test_a_webhook_refuses(plane, namespace, hooks, configure, maps):
    hooks.on(f"/{namespace}/0", lambda _: {"allowed": False, "status": {"code": 403, "message": "no maps on Mondays"}})
    configure("Validating", {})
    refused = plane.refused("POST", maps, config_map())
    assert refused["code"] == 403, refused
    assert refused["message"] == 'admission webhook "0.a.example.com" denied the request: no maps on Mondays'
    said = plane.kubectl("create", "configmap", "k", "-n", namespace, check=False)
    assert 'admission webhook "0.a.example.com" denied the request: no maps on Mondays' in said


def test_a_refusal_without_a_word(plane, namespace, hooks, configure, maps):
    hooks.on(f"/{namespace}/0", lambda _: {"allowed": False, "warnings": ["think of it"]})
    configure("Validating", {})
    code, headers, raw = plane.exchange("POST", maps, config_map())
    assert code == 400
    assert json.loads(raw)["message"] == 'admission webhook "0.a.example.com" denied the request without explanation'
    assert headers["Warning"] == '299 - "think of it"'


def test_what_is_asked(plane, namespace, hooks, configure, maps):
    hooks.on(f"/{namespace}/0", allow)
    configure("Validating", {"rules": [{**CREATE, "operations": ["*"]}], "timeoutSeconds": 7})
    plane.json("POST", f"{maps}?dryRun=All", config_map(data={"a": "b"}))
    plane.json("POST", maps, config_map(data={"a": "b"}))
    plane.json("PUT", f"{maps}/m", config_map(data={"a": "c"}))
    plane.json("DELETE", f"{maps}/m")
    dry, created, updated, deleted = hooks.asked[f"/{namespace}/0"]
    assert dry["dryRun"] is True
    assert dry["options"]["dryRun"] == ["All"]
    assert created["dryRun"] is False
    assert created["operation"] == "CREATE"
    assert created["kind"] == created["requestKind"] == {"group": "", "version": "v1", "kind": "ConfigMap"}
    assert created["resource"] == created["requestResource"]
    assert created["resource"] == {"group": "", "version": "v1", "resource": "configmaps"}
    assert (created["name"], created["namespace"]) == ("m", namespace)
    assert created["userInfo"]["username"] == "tester"
    assert "system:masters" in created["userInfo"]["groups"]
    assert created["object"]["data"] == {"a": "b"}
    assert created["object"]["kind"] == "ConfigMap"
    assert created["oldObject"] is None
    assert created["options"] == {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"}
    assert updated["operation"] == "UPDATE"
    assert (updated["oldObject"]["data"], updated["object"]["data"]) == ({"a": "b"}, {"a": "c"})
    assert deleted["operation"] == "DELETE"
    assert deleted["object"] is None
    assert deleted["oldObject"]["data"] == {"a": "c"}
    assert len({each["uid"] for each in (dry, created, updated, deleted)}) == 4
    assert hooks.urls[-1].endswith("?timeout=7s")


def test_a_webhook_changes(plane, namespace, hooks, configure, maps):
    hooks.on(f"/{namespace}/0", lambda _: {
        **patch({"op": "add", "path": "/data", "value": {"by": "hook"}}),
        "warnings": ["changed it"], "auditAnnotations": {"why": "test"},
    })  # fmt: skip
    configure("Mutating", {})
    code, headers, raw = plane.exchange("POST", maps, config_map())
    assert code == 201
    assert json.loads(raw)["data"] == {"by": "hook"}
    assert headers["Warning"] == '299 - "changed it"'
    assert plane.json("GET", f"{maps}/m")["data"] == {"by": "hook"}


def test_what_is_changed_is_defaulted_and_checked_again(plane, namespace, hooks, configure):
    sidecar = {"name": "side", "image": "side:1"}
    hooks.on(f"/{namespace}/0", lambda _: patch({"op": "add", "path": "/spec/containers/-", "value": sidecar}))
    configure("Mutating", {"rules": [{**CREATE, "resources": ["pods"]}]})
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    made = plane.json("POST", f"/api/v1/namespaces/{namespace}/pods", pod)
    [_, side] = made["spec"]["containers"]
    assert side["imagePullPolicy"] == "IfNotPresent"
    assert side["terminationMessagePath"] == "/dev/termination-log"
    assert side["volumeMounts"][0]["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount"  # plugins look again

    sidecar["ports"] = [{"containerPort": "many"}]
    pod["metadata"]["name"] = "q"
    refused = plane.refused("POST", f"/api/v1/namespaces/{namespace}/pods", pod)
    assert refused["code"] == 500
    sidecar["ports"] = [{"containerPort": 70000}]
    refused = plane.refused("POST", f"/api/v1/namespaces/{namespace}/pods", pod)
    assert refused["code"] == 422
    assert "spec.containers[1].ports[0].containerPort" in refused["message"]


def test_what_a_webhook_may_not_change(plane, namespace, hooks, configure, maps):
    """Who an object is stays as the server says; another namespace or another name of what is there is refused."""
    operations = []
    hooks.on(f"/{namespace}/0", lambda _: patch(*operations))
    configure("Mutating", {"rules": [{**CREATE, "operations": ["CREATE", "UPDATE"]}]})
    operations[:] = [
        {"op": "replace", "path": "/metadata/uid", "value": "mine"},
        {"op": "replace", "path": "/metadata/creationTimestamp", "value": "2001-01-01T00:00:00Z"},
    ]
    made = plane.json("POST", maps, config_map())
    assert made["metadata"]["uid"] != "mine"
    assert made["metadata"]["creationTimestamp"] > "2020"
    operations[:] = [{"op": "replace", "path": "/metadata/namespace", "value": "kube-system"}]
    refused = plane.refused("POST", maps, config_map("other"))
    assert refused["message"] == (
        "the namespace of the provided object does not match the namespace sent on the request"
    )
    operations[:] = [{"op": "replace", "path": "/metadata/name", "value": "renamed"}]
    assert "metadata.name: Invalid value" in plane.refused("PUT", f"{maps}/m", config_map(data={"a": "b"}))["message"]


def test_a_webhook_of_a_status_changes_nothing_else(plane, namespace, hooks, configure):
    hooks.on(f"/{namespace}/0", lambda request: patch(
        {"op": "add", "path": "/spec/replicas", "value": 9},
        {"op": "add", "path": "/status", "value": {"replicas": 7, "observedGeneration": 1}},
    ))  # fmt: skip
    rule = {"operations": ["*"], "apiGroups": ["apps"], "apiVersions": ["v1"]}
    configure("Mutating", {"rules": [{**rule, "resources": ["deployments/*"]}]})
    deployments, labels = f"/apis/apps/v1/namespaces/{namespace}/deployments", {"app": "d"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    made = plane.json("POST", deployments, {
        "metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": labels}, "template": template}})  # fmt: skip
    assert made["spec"]["replicas"] == 9
    assert "replicas" not in made.get("status", {})
    plane.json("PATCH", f"{deployments}/d", {"spec": {"replicas": 3}}, headers=MERGE)
    made = plane.json("PATCH", f"{deployments}/d/status", {"status": {"replicas": 1}}, headers=MERGE)
    assert (made["spec"]["replicas"], made["status"]["replicas"]) == (9, 7)
    hooks.on(f"/{namespace}/0", lambda request: patch({"op": "add", "path": "/spec/replicas", "value": 1}))
    made = plane.json("PATCH", f"{deployments}/d/status", {"status": {"replicas": 2}}, headers=MERGE)
    assert (made["spec"]["replicas"], made["status"]["replicas"]) == (9, 2)


def test_changes_go_in_the_order_of_names_and_are_seen_again(plane, namespace, hooks, configure, maps):
    seen = {"0": [], "1": []}

    def first(request):
        seen["0"].append(dict(request["object"].get("data") or {}))
        return {"allowed": True}

    def second(request):
        seen["1"].append(dict(request["object"].get("data") or {}))
        return patch({"op": "add", "path": "/data", "value": {"second": "1"}})

    hooks.on(f"/{namespace}/0", first)
    hooks.on(f"/{namespace}/1", second)
    configure("Mutating", {"reinvocationPolicy": "IfNeeded"}, {})
    plane.json("POST", maps, config_map())
    assert seen == {"0": [{}, {"second": "1"}], "1": [{}]}


def test_a_webhook_that_is_not_there(plane, namespace, configure, maps):
    nowhere = {"url": f"https://127.0.0.1:{free_port()}/x"}
    configure("Validating", {"clientConfig": nowhere}, name="fails")
    refused = plane.refused("POST", maps, config_map())
    assert refused["code"] == 500
    assert refused["message"].startswith(
        'Internal error occurred: failed calling webhook "0.fails.example.com": failed to call webhook: '
        f'Post "{nowhere["url"]}?timeout=10s": '
    )


def test_a_webhook_that_may_fail(plane, namespace, hooks, configure, maps):
    hooks.on(f"/{namespace}/0", lambda _: {"kind": "Nonsense"})
    configure("Validating", {"failurePolicy": "Ignore"}, name="v")
    configure("Mutating", {"failurePolicy": "Ignore"}, name="m")
    plane.json("POST", maps, config_map())
    assert len(hooks.asked[f"/{namespace}/0"]) == 2


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"kind": "Nonsense"}, "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got , Kind=Nonsense"),
        ({"uid": "other", "allowed": True}, "expected response.uid="),
        ({"allowed": True, "patch": "W10="}, "webhook returned response.patch but not response.patchType"),
        ({"allowed": True, "patchType": "JSONPatch"}, "webhook returned response.patchType but not response.patch"),
        (patch({"op": "remove", "path": "/nothing"}), "its patch cannot be applied"),
    ],
    ids=["kind", "uid", "no-type", "no-patch", "no-such-path"],
)  # fmt: skip
def test_answers_that_are_none(plane, namespace, hooks, configure, maps, answer, why):
    hooks.on(f"/{namespace}/0", lambda _: answer)
    configure("Mutating", {})
    message = plane.refused("POST", maps, config_map())["message"]
    assert message.startswith('Internal error occurred: failed calling webhook "0.a.example.com": ')
    assert why in message


def test_only_version_1_of_reviews_is_spoken(plane, namespace, configure, maps):
    configure("Validating", {"admissionReviewVersions": ["v1beta1"]})
    message = plane.refused("POST", maps, config_map())["message"]
    assert "webhook does not accept known AdmissionReview versions (v1)" in message


def test_a_slow_webhook(plane, namespace, hooks, configure, maps):
    hooks.on(f"/{namespace}/0", slowly(1.5, allow))
    configure("Validating", {"timeoutSeconds": 1})
    message = plane.refused("POST", maps, config_map())["message"]
    assert "context deadline exceeded" in message


def test_validating_webhooks_are_asked_at_once(plane, namespace, hooks, configure, maps):
    for index in range(4):
        hooks.on(f"/{namespace}/{index}", slowly(0.3, allow))
    configure("Validating", {}, {}, {}, {})
    hooks.most_at_once = 0
    began = time.monotonic()
    plane.json("POST", maps, config_map())
    assert hooks.most_at_once >= 4
    assert time.monotonic() - began < 1.0


def test_conditions_in_cel(plane, namespace, hooks, configure, maps):
    hooks.on(f"/{namespace}/0", lambda _: {"allowed": False})
    configure("Validating", {"matchConditions": [
        {"name": "not-leases", "expression": "request.resource.resource != 'leases'"},
        {"name": "marked", "expression": "has(object.data) && 'judge' in object.data"},
        {"name": "may-not-all", "expression": "!authorizer.group('').resource('pods').namespace('x').check('fly').allowed() || true"},
    ]})  # fmt: skip
    plane.json("POST", maps, config_map("one"))
    plane.refused("POST", maps, config_map("two", data={"judge": "me"}))


def test_conditions_that_fail(plane, namespace, hooks, configure, maps):
    hooks.on(f"/{namespace}/0", allow)
    broken = [{"name": "broken", "expression": "object.spec.nothing == 1"}]
    configure("Validating", {"matchConditions": broken, "failurePolicy": "Ignore"}, name="lenient")
    plane.json("POST", maps, config_map("one"))
    assert hooks.asked[f"/{namespace}/0"] == []
    configure("Validating", {"matchConditions": broken}, name="strict")
    refused = plane.refused("POST", maps, config_map("two"))
    assert refused["code"] == 403
    assert "no such key: spec" in refused["message"]


def test_a_rule_about_another_version(plane, namespace, hooks, configure):
    rule = {"operations": ["CREATE"], "apiGroups": ["autoscaling"], "apiVersions": ["v1"],
            "resources": ["horizontalpodautoscalers"]}  # fmt: skip
    hooks.on(f"/{namespace}/0", lambda _: patch({"op": "replace", "path": "/spec/maxReplicas", "value": 7}))
    hooks.on(f"/{namespace}/1", allow)
    configure("Mutating", {"rules": [rule]}, {"rules": [rule], "matchPolicy": "Exact"})
    made = plane.json("POST", f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers", {
        "metadata": {"name": "h"},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}, "maxReplicas": 3},
    })  # fmt: skip
    assert made["apiVersion"] == "autoscaling/v2"
    assert made["spec"]["maxReplicas"] == 7
    [asked] = hooks.asked[f"/{namespace}/0"]
    assert asked["kind"]["version"] == asked["resource"]["version"] == "v1"
    assert asked["requestKind"]["version"] == asked["requestResource"]["version"] == "v2"
    assert asked["object"]["apiVersion"] == "autoscaling/v1"
    assert hooks.asked[f"/{namespace}/1"] == []


def test_subresources(plane, namespace, hooks, configure):
    hooks.on(f"/{namespace}/0", lambda request: patch({"op": "replace", "path": "/spec/replicas", "value": 5}))
    configure("Mutating", {"rules": [{"operations": ["UPDATE"], "apiGroups": ["apps"], "apiVersions": ["*"],
                                      "resources": ["*/scale"]}]})  # fmt: skip
    deployments = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    labels = {"app": "d"}
    plane.json("POST", deployments, {
        "metadata": {"name": "d"},
        "spec": {"selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}},
    })  # fmt: skip
    plane.kubectl("scale", "deployment/d", "--replicas=2", "-n", namespace)
    assert plane.json("GET", f"{deployments}/d")["spec"]["replicas"] == 5
    [asked] = hooks.asked[f"/{namespace}/0"]
    assert asked["kind"] == {"group": "autoscaling", "version": "v1", "kind": "Scale"}
    assert (asked["subResource"], asked["object"]["spec"]) == ("scale", {"replicas": 2})


def test_bindings(plane, namespace, hooks, configure):
    """A bind is the creation of a Binding, in which a webhook may set annotations."""
    hooks.on(
        f"/{namespace}/0", lambda _: patch({"op": "add", "path": "/metadata/annotations", "value": {"by": "hook"}})
    )
    configure("Mutating", {"rules": [{**CREATE, "resources": ["pods/binding"]}]})
    pods = f"/api/v1/namespaces/{namespace}/pods"
    plane.json("POST", pods, {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "one"}}
    plane.json("POST", f"{pods}/p/binding", binding)
    bound = plane.json("GET", f"{pods}/p")
    assert (bound["spec"]["nodeName"], bound["metadata"]["annotations"]) == ("one", {"by": "hook"})
    [asked] = hooks.asked[f"/{namespace}/0"]
    assert (asked["kind"]["kind"], asked["operation"], asked["subResource"]) == ("Binding", "CREATE", "binding")
    assert asked["object"]["target"] == {"kind": "Node", "name": "one"}
    assert asked["oldObject"] is None


def test_selectors_of_objects(plane, namespace, hooks, configure, maps):
    hooks.on(f"/{namespace}/0", lambda _: {"allowed": False})
    configure("Validating", {"objectSelector": {"matchExpressions": [{"key": "judge", "operator": "Exists"}]}})
    plane.json("POST", maps, config_map("one"))
    marked = config_map("two")
    marked["metadata"]["labels"] = {"judge": ""}
    plane.refused("POST", maps, marked)


def test_webhooks_are_not_asked_about_webhooks(plane, namespace, hooks, configure):
    hooks.on(f"/{namespace}/0", lambda _: {"allowed": False})
    rule = {**EVERY_WRITE, "apiGroups": ["admissionregistration.k8s.io"]}
    configure("Validating", {"rules": [rule], "namespaceSelector": {}})
    configure("Validating", {"rules": [rule], "namespaceSelector": {}}, name="b")
    assert hooks.asked[f"/{namespace}/0"] == []


def test_a_namespace_is_chosen_by_its_own_labels(plane, namespace, hooks, configure):
    hooks.on(f"/{namespace}/0", lambda _: {"allowed": False, "status": {"message": "no"}})
    configure("Validating", {"rules": [{**CREATE, "resources": ["namespaces"]}],
                             "namespaceSelector": {"matchLabels": {"of": namespace}}})  # fmt: skip
    plane.json("POST", "/api/v1/namespaces", {"metadata": {"name": f"{namespace}-free"}})
    chosen = {"metadata": {"name": f"{namespace}-chosen", "labels": {"of": namespace}}}
    plane.refused("POST", "/api/v1/namespaces", chosen)
    [asked] = hooks.asked[f"/{namespace}/0"]
    assert asked["namespace"] == asked["name"] == f"{namespace}-chosen"


def test_a_webhook_behind_a_service(plane, namespace, configure, maps, tmp_path):
    """The endpoint that is ready is asked at its own port, by a certificate for the service's name."""
    service = {"namespace": namespace, "name": "hook", "path": "/judge"}
    services = f"/api/v1/namespaces/{namespace}/services"
    slices = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
    if not (address := advertised("0.0.0.0")):
        pytest.skip("this machine has no address but loopback, and no endpoint may be there")
    with webhook_server(tmp_path, f"hook.{namespace}.svc", host=address) as hooks:
        configure("Validating", {"clientConfig": {"service": service, "caBundle": hooks.ca}, "timeoutSeconds": 1})
        failed = 'failed to call webhook: service "hook" not found'
        assert failed in plane.refused("POST", maps, config_map())["message"]

        ports = [{"name": "https", "port": 443, "targetPort": 9}]
        plane.json("POST", services, {"metadata": {"name": "hook"}, "spec": {"clusterIP": "None", "ports": ports}})
        failed = 'failed to call webhook: no endpoints available for service "hook"'
        assert failed in plane.refused("POST", maps, config_map())["message"]

        found = {
            "metadata": {"name": "hook-1", "labels": {"kubernetes.io/service-name": "hook"}},
            "addressType": "IPv4", "ports": [{"name": "https", "port": hooks.port}, {"name": "other", "port": 1}],
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}},
                          {"addresses": ["192.0.2.99"], "conditions": {"ready": False}}],
        }  # fmt: skip
        plane.json("POST", slices, found)
        hooks.on("/judge", allow)
        plane.json("POST", maps, config_map())
        assert len(hooks.asked["/judge"]) == 1


def test_a_certificate_for_somebody_else(plane, namespace, hooks, configure, maps):
    elsewhere = hooks.config(f"/{namespace}/0")["url"].replace("127.0.0.1", "localhost")
    configure("Validating", {"clientConfig": {"url": elsewhere, "caBundle": hooks.ca}})
    message = plane.refused("POST", maps, config_map())["message"]
    assert f'Post "{elsewhere}?timeout=10s"' in message
    assert "certificate is not valid for" in message
