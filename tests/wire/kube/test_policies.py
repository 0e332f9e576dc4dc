"""ValidatingAdmissionPolicy and MutatingAdmissionPolicy: the documented examples, and each field once."""

from __future__ import annotations

import json

import pytest

from kube import eventually

GROUP = "/apis/admissionregistration.k8s.io/v1"
MERGE = {"Content-Type": "application/merge-patch+json"}


def rule(resource, *operations, group=""):
    return {
        "apiGroups": [group],
        "apiVersions": ["v1"],
        "resources": [resource],
        "operations": operations or ["CREATE", "UPDATE"],
    }


DEPLOYMENTS, MAPS = rule("deployments", group="apps"), rule("configmaps")


class Kept:
    """Policies and bindings of one test, for its namespace only."""

    def __init__(self, plane, namespace):
        self.plane, self.namespace, self.made = plane, namespace, []

    def keep(self, spec, *, binding=None, name="p", kind="Validating", rules=(MAPS,)):
        """Keep a policy with one binding; returns the binding's name, which is the policy's, too."""
        name = f"{name}.{self.namespace}"
        base = f"{GROUP}/{kind.lower()}admissionpolic"
        constraints = {"resourceRules": list(rules)}
        more = {"reinvocationPolicy": "Never"} if kind == "Mutating" else {}
        policy = {"metadata": {"name": name}, "spec": {"matchConstraints": constraints, **more, **spec}}
        bound = {
            "policyName": name,
            "matchResources": {"namespaceSelector": {"matchLabels": {"test": self.namespace}}},
            **({"validationActions": ["Deny"]} if kind == "Validating" else {}),
            **(binding or {}),
        }
        self._post(f"{base}ies", policy)
        self._post(f"{base}ybindings", {"metadata": {"name": name}, "spec": bound})
        return name

    def bind(self, policy, **binding):
        """Bind a policy once more."""
        name = f"{policy}-{len(self.made)}"
        spec = {"policyName": policy, "validationActions": ["Deny"],
                "matchResources": {"namespaceSelector": {"matchLabels": {"test": self.namespace}}}, **binding}  # fmt: skip
        self._post(f"{GROUP}/validatingadmissionpolicybindings", {"metadata": {"name": name}, "spec": spec})
        return name

    def _post(self, path, body):
        self.plane.json("POST", path, body)
        self.made.append(f"{path}/{body['metadata']['name']}")


@pytest.fixture
def policies(plane, namespace):
    plane.json("PATCH", f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": {"test": namespace}}}, headers=MERGE)
    kept = Kept(plane, namespace)
    yield kept
    for path in reversed(kept.made):
        plane.json("DELETE", path)


@pytest.fixture
def maps(namespace):
    return f"/api/v1/namespaces/{namespace}/configmaps"


def config_map(name="m", **more):
    return {"metadata": {"name": name}, **more}


def deployment(name="d", replicas=1, image="nginx:1", **labels):
    labels = {"app": name, **labels}
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": image}]}},
        },
    }


# --- the documentation's examples -------------------------------------------------------------------------------------


def test_at_most_five_replicas(plane, namespace, policies):
    """Spec: documentation, "Creating a ValidatingAdmissionPolicy"."""
    name = policies.keep({"validations": [{"expression": "object.spec.replicas <= 5"}]}, rules=[DEPLOYMENTS])
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    plane.json("POST", path, deployment(replicas=5))
    refused = plane.refused("POST", path, deployment("many", replicas=6))
    assert refused["code"] == 422
    assert refused["reason"] == "Invalid"
    said = f"ValidatingAdmissionPolicy '{name}' with binding '{name}' denied request: failed expression: object.spec.replicas <= 5"
    assert refused["message"] == f'deployments.apps "many" is forbidden: {said}'
    assert refused["details"]["causes"] == [{"message": said}]
    shown = plane.kubectl("create", "deployment", "k", "--image=i", "--replicas=6", "-n", namespace, check=False)
    assert said in shown
    # the scale of a deployment is another resource, which this policy does not name
    plane.kubectl("scale", "deployment/d", "--replicas=9", "-n", namespace)


def test_parameters_by_a_custom_resource(plane, namespace, policies):
    """Spec: documentation, "Parameter resources": the limit is an object of a CRD."""
    group = f"rules-{namespace}.example.com"
    schema = {"type": "object", "properties": {"maxReplicas": {"type": "integer"}}}
    plane.json("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
        "metadata": {"name": f"replicalimits.{group}"},
        "spec": {"group": group, "scope": "Namespaced",
                 "names": {"plural": "replicalimits", "kind": "ReplicaLimit"},
                 "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}]},
    })  # fmt: skip
    plane.kubectl("wait", "--for=condition=Established", f"crd/replicalimits.{group}", "--timeout=10s")
    limits = f"/apis/{group}/v1/namespaces/{namespace}/replicalimits"
    plane.json("POST", limits, {"apiVersion": f"{group}/v1", "kind": "ReplicaLimit",
                                "metadata": {"name": "test", "labels": {"is": "limit"}}, "maxReplicas": 3})  # fmt: skip
    validation = {"expression": "object.spec.replicas <= params.maxReplicas",
                  "messageExpression": "'object.spec.replicas must be no greater than ' + string(params.maxReplicas)",
                  "reason": "Forbidden"}  # fmt: skip
    name = policies.keep(
        {"paramKind": {"apiVersion": f"{group}/v1", "kind": "ReplicaLimit"}, "validations": [validation]},
        binding={"paramRef": {"name": "test", "namespace": namespace, "parameterNotFoundAction": "Deny"}},
        rules=[DEPLOYMENTS],
    )
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    plane.json("POST", path, deployment(replicas=3))
    refused = plane.refused("POST", path, deployment("many", replicas=4))
    assert refused["code"] == 403
    assert refused["message"].endswith("denied request: object.spec.replicas must be no greater than 3")

    plane.json("PATCH", f"{limits}/test", {"maxReplicas": 4}, headers=MERGE)
    plane.json("POST", path, deployment("many", replicas=4))
    second = policies.bind(
        name, paramRef={"selector": {"matchLabels": {"is": "none"}}, "parameterNotFoundAction": "Deny"}
    )
    why = "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction"
    assert f"binding '{second}' denied request: {why}" in plane.refused("POST", path, deployment("more"))["message"]
    plane.json("POST", limits, {"apiVersion": f"{group}/v1", "kind": "ReplicaLimit",
                                "metadata": {"name": "other", "labels": {"is": "none"}}, "maxReplicas": 0})  # fmt: skip
    assert "no greater than 0" in plane.refused("POST", path, deployment("more"))["message"]


def test_variables_and_the_namespace(plane, namespace, policies):
    """Spec: documentation, "Variable composition": images must match the environment of their namespace."""
    policies.keep({
        "variables": [
            {"name": "environment", "expression":
                "'environment' in namespaceObject.metadata.labels ? namespaceObject.metadata.labels['environment'] : 'prod'"},
            {"name": "exempt", "expression": "has(object.metadata.labels) && 'exempt' in object.metadata.labels && object.metadata.labels['exempt'] == 'true'"},
            {"name": "containers", "expression": "object.spec.template.spec.containers"},
            {"name": "containersToCheck", "expression": "variables.containers.filter(c, c.image.contains('example.com/'))"},
        ],
        "validations": [{
            "expression": "variables.exempt || variables.containersToCheck.all(c, c.image.startsWith(variables.environment + '.'))",
            "messageExpression": "'only ' + variables.environment + ' images are allowed in namespace ' + namespaceObject.metadata.name",
        }],
    }, rules=[DEPLOYMENTS])  # fmt: skip
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    plane.json("POST", path, deployment("fine", image="prod.example.com/nginx"))
    plane.json("POST", path, deployment("exempt", image="dev.example.com/nginx", exempt="true"))
    refused = plane.refused("POST", path, deployment("wrong", image="dev.example.com/nginx"))
    assert refused["message"].endswith(f"denied request: only prod images are allowed in namespace {namespace}")


def test_conditions_of_a_policy(plane, policies, maps):
    """Spec: documentation, "Match conditions"; the first is about who asks, the last asks the authorizer."""
    policies.keep({
        "matchConditions": [
            {"name": "exclude-leases", "expression": "!(request.resource.group == 'coordination.k8s.io' && request.resource.resource == 'leases')"},
            {"name": "exclude-kubelet-requests", "expression": "!('system:nodes' in request.userInfo.groups)"},
            {"name": "may-break", "expression": "authorizer.group('').resource('pods').namespace('default').check('delete').allowed()"},
        ],
        "validations": [{"expression": "!has(object.data)"}],
    })  # fmt: skip
    plane.json("POST", maps, config_map("one"))
    plane.refused("POST", maps, config_map("two", data={"a": "b"}))


def test_audit_annotations_and_what_they_see(plane, policies, maps):
    """Spec: documentation, "Audit annotations": evaluated beside the validations; one that fails refuses."""
    policies.keep(
        {"auditAnnotations": [{"key": "keys", "valueExpression": "'has ' + string(size(object.data)) + ' keys'"}]}
    )
    plane.json("POST", maps, config_map("one", data={"a": "b"}))
    refused = plane.refused("POST", maps, config_map("two"))
    assert (
        "valueExpression ''has ' + string(size(object.data)) + ' keys'' resulted in error: no such key: data"
        in refused["message"]
    )


# --- each field once --------------------------------------------------------------------------------------------------


def test_warnings_and_refusals(plane, policies, maps):
    validation = {"expression": "false", "message": "a bad map"}
    name = policies.keep({"validations": [validation]}, binding={"validationActions": ["Warn", "Audit"]})
    code, headers, _ = plane.exchange("POST", maps, config_map("one"))
    assert code == 201
    assert (
        headers["Warning"]
        == f"299 - \"Validation failed for ValidatingAdmissionPolicy '{name}' with binding '{name}': a bad map\""
    )
    assert "Warning: Validation failed" in plane.run("kubectl", "create", "cm", "two", "-n", policies.namespace).stderr


def test_a_policy_that_nothing_binds(plane, policies, maps):
    policies.keep({"validations": [{"expression": "false"}]}, binding={"policyName": "another"})
    plane.json("POST", maps, config_map())


@pytest.mark.parametrize(
    ("reason", "code"), [("Unauthorized", 401), ("Forbidden", 403), ("RequestEntityTooLarge", 413), ("Invalid", 422)]
)
def test_reasons(plane, policies, maps, reason, code):
    policies.keep({"validations": [{"expression": "false", "reason": reason}]})
    refused = plane.refused("POST", maps, config_map())
    assert (refused["code"], refused["reason"]) == (code, reason)


def test_expressions_that_fail(plane, policies, maps):
    broken = {"validations": [{"expression": "object.data.a == 'b'"}]}
    policies.keep({**broken, "failurePolicy": "Ignore"}, name="lenient")
    plane.json("POST", maps, config_map("one"))
    policies.keep(broken, name="strict")
    message = plane.refused("POST", maps, config_map("two"))["message"]
    assert message.endswith("denied request: expression 'object.data.a == 'b'' resulted in error: no such key: data")


def test_a_variable_that_fails(plane, policies, maps):
    policies.keep(
        {
            "variables": [{"name": "a", "expression": "object.data.a"}],
            "validations": [{"expression": "variables.a == 'b'"}],
        }
    )
    plane.json("POST", maps, config_map("one", data={"a": "b"}))
    message = plane.refused("POST", maps, config_map("two"))["message"]
    assert 'composited variable "a" fails to evaluate: no such key: data' in message


def test_what_takes_too_much(plane, policies, maps):
    """One expression may take so much; all of a policy's together may take so much."""
    policies.keep(
        {"validations": [{"expression": "lists.range(1000).all(i, lists.range(1000).all(j, i + j >= 0))"}]}, name="one"
    )
    assert "cost limit exceeded" in plane.refused("POST", maps, config_map())["message"]


def test_what_takes_too_much_together(plane, policies, maps):
    loops = "lists.range(100).all(i, lists.range(100).all(j, i + j >= 0))"
    policies.keep({"validations": [{"expression": f"{loops} && {index} >= 0"} for index in range(20)]})
    message = plane.refused("POST", maps, config_map())["message"]
    assert "validation failed due to running out of cost budget, no further validation rules will be run" in message


def test_changes_see_both_objects(plane, policies, maps):
    policies.keep({"validations": [
        {"expression": "request.operation != 'UPDATE' || object.data.keep == oldObject.data.keep", "message": "keep it"},
    ]})  # fmt: skip
    plane.json("POST", maps, config_map(data={"keep": "a"}))
    plane.json("PUT", f"{maps}/m", config_map(data={"keep": "a", "more": "b"}))
    assert plane.refused("PUT", f"{maps}/m", config_map(data={"keep": "b"}))["message"].endswith("keep it")


def test_deletes(plane, policies, maps):
    policies.keep({"validations": [{"expression": "object == null && !('locked' in oldObject.data)", "message": "locked"}]},
                  rules=[rule("configmaps", "DELETE")])  # fmt: skip
    plane.json("POST", maps, config_map("one", data={"a": "b"}))
    plane.json("POST", maps, config_map("two", data={"locked": ""}))
    plane.json("DELETE", f"{maps}/one")
    assert plane.refused("DELETE", f"{maps}/two")["message"].endswith("locked")


def test_rules_leave_out_and_name(plane, policies, maps):
    constraints = {"resourceRules": [MAPS], "excludeResourceRules": [{**MAPS, "resourceNames": ["free"]}]}
    policies.keep({"matchConstraints": constraints, "validations": [{"expression": "false"}]})
    plane.json("POST", maps, config_map("free"))
    plane.refused("POST", maps, config_map("bound"))


def test_a_binding_narrows(plane, policies, maps):
    resources = {"namespaceSelector": {"matchLabels": {"test": policies.namespace}},
                 "resourceRules": [{**MAPS, "resourceNames": ["judged"]}]}  # fmt: skip
    policies.keep({"validations": [{"expression": "false"}]}, binding={"matchResources": resources})
    plane.json("POST", maps, config_map("free"))
    plane.refused("POST", maps, config_map("judged"))


def test_parameters_that_are_no_resource(plane, policies, maps):
    spec = {"paramKind": {"apiVersion": "none.example.com/v1", "kind": "None"}, "validations": [{"expression": "true"}]}
    name = policies.keep(spec, binding={"paramRef": {"name": "x", "parameterNotFoundAction": "Allow"}})
    message = plane.refused("POST", maps, config_map())["message"]
    why = "failed to find resource referenced by paramKind: 'none.example.com/v1, Kind=None'"
    assert message.endswith(f"ValidatingAdmissionPolicy '{name}' denied request: failed to configure policy: {why}")


def test_parameters_in_the_namespace_of_the_write(plane, policies, maps):
    policies.keep({
        "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "matchConditions": [{"name": "others", "expression": "object.metadata.name != 'limit'"}],
        "validations": [{"expression": "size(object.data) <= int(params.data.most)"}],
    }, binding={"paramRef": {"name": "limit", "parameterNotFoundAction": "Allow"}})  # fmt: skip
    plane.json("POST", maps, config_map("before", data={"a": "", "b": ""}))
    plane.json("POST", maps, config_map("limit", data={"most": "1"}))
    plane.refused("POST", maps, config_map("after", data={"a": "", "b": ""}))


# --- policies that change ---------------------------------------------------------------------------------------------


def test_a_sidecar(plane, namespace, policies):
    """Spec: documentation, "Mutating Admission Policy": a configuration that is applied."""
    policies.keep({
        "matchConditions": [{"name": "no-sidecar", "expression":
            "!object.spec.?initContainers.orValue([]).exists(c, c.name == 'mesh-proxy')"}],
        "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": """
            Object{
              spec: Object.spec{
                initContainers: [
                  Object.spec.initContainers{
                    name: "mesh-proxy", image: "mesh/proxy:v1.0.0", restartPolicy: "Always"
                  }
                ]
              }
            }"""}}],
    }, kind="Mutating", rules=[rule("pods", "CREATE")])  # fmt: skip
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    made = plane.json("POST", f"/api/v1/namespaces/{namespace}/pods", pod)
    [proxy] = made["spec"]["initContainers"]
    assert (proxy["name"], proxy["restartPolicy"], proxy["imagePullPolicy"]) == ("mesh-proxy", "Always", "IfNotPresent")
    assert [container["name"] for container in made["spec"]["containers"]] == ["c"]
    assert proxy["volumeMounts"]


def test_a_patch(plane, policies, maps):
    """Each mutation sees what those before it made; one with a test that does not hold changes nothing."""
    first = """
        [JSONPatch{op: "add", path: "/metadata/labels", value: {"by": "policy"}},
         JSONPatch{op: "add", path: "/metadata/labels/" + jsonpatch.escapeKey("example.com/of"), value: object.metadata.name}]"""
    second = """
        [JSONPatch{op: "test", path: "/metadata/labels/by", value: "policy"},
         JSONPatch{op: "copy", from: "/metadata/labels/by", path: "/metadata/labels/again"}]"""
    third = """
        [JSONPatch{op: "test", path: "/metadata/labels/by", value: "nobody"},
         JSONPatch{op: "remove", path: "/metadata/labels/by"}]"""
    mutations = [{"patchType": "JSONPatch", "jsonPatch": {"expression": each}} for each in (first, second, third)]
    policies.keep({"mutations": mutations}, kind="Mutating")
    made = plane.json("POST", maps, config_map())
    assert made["metadata"]["labels"] == {"by": "policy", "example.com/of": "m", "again": "policy"}


def test_a_mutation_that_fails(plane, policies, maps):
    name = policies.keep({"mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": '[JSONPatch{op: "remove", path: "/data"}]'}}]},
                         kind="Mutating")  # fmt: skip
    plane.json("POST", maps, config_map("one", data={"a": "b"}))
    refused = plane.refused("POST", maps, config_map("two"))
    assert (refused["code"], refused["reason"]) == (403, "Invalid")
    assert refused["message"].startswith(f"policy '{name}' with binding '{name}' denied request: JSON Patch: ")


def test_an_atomic_list_is_not_applied(plane, namespace, policies):
    policies.keep({"mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression":
        'Object{spec: Object.spec{containers: [Object.spec.containers{name: "c", args: ["x"]}]}}'}}]},
        kind="Mutating", rules=[rule("pods", "CREATE")])  # fmt: skip
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    message = plane.refused("POST", f"/api/v1/namespaces/{namespace}/pods", pod)["message"]
    assert "may not mutate atomic arrays, maps or structs: .spec.containers[0].args" in message


def test_mutations_are_judged_by_validations(plane, policies, maps):
    policies.keep({"mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression":
        '[JSONPatch{op: "add", path: "/data", value: {"bad": "yes"}}]'}}]}, kind="Mutating")  # fmt: skip
    policies.keep({"validations": [{"expression": "!('bad' in object.data)", "message": "bad data"}]})
    assert plane.refused("POST", maps, config_map())["message"].endswith("bad data")


def test_policies_are_not_asked_about_policies(plane, policies):
    everything = {"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"], "operations": ["*"]}
    resources = {"resourceRules": [{**everything, "apiGroups": ["admissionregistration.k8s.io"]}]}
    policies.keep(
        {"matchConstraints": resources, "validations": [{"expression": "false"}]}, binding={"matchResources": {}}
    )
    policies.keep({"validations": [{"expression": "true"}]}, name="another")


def test_an_expression_that_is_none(plane):
    bad = {"metadata": {"name": "bad"}, "spec": {
        "matchConstraints": {"resourceRules": [MAPS]}, "validations": [{"expression": "object.spec.replicas <"}]}}  # fmt: skip
    refused = plane.refused("POST", f"{GROUP}/validatingadmissionpolicies", bad)
    assert refused["code"] == 422
    [cause] = refused["details"]["causes"]
    assert cause["field"] == "spec.validations[0].expression"
    assert "compilation failed: ERROR: <input>:1:23: " in cause["message"]
    assert json.dumps(refused).count("compilation failed") == 2


def test_what_an_expression_gets_wrong_about_a_kind_is_in_the_status(plane, policies):
    """Spec: documentation, "Type checking": told, and no reason to refuse the policy."""
    name = policies.keep(
        {
            "variables": [{"name": "count", "expression": "object.spec.replicas"}],
            "validations": [
                {"expression": "object.spec.replicas > 1", "messageExpression": "'has ' + object.spec.replicas"},
                {"expression": "object.replicas > 1 || variables.count == 'x'"},
                {"expression": "variables.count > 1 && object.metadata.name != ''"},
            ],
        },
        rules=[{**DEPLOYMENTS, "resources": ["deployments", "*/scale"]}],
    )
    path = f"{GROUP}/validatingadmissionpolicies/{name}"
    status = eventually(lambda: plane.json("GET", path).get("status"))
    assert status["observedGeneration"] == 1
    [joined, missing] = status["typeChecking"]["expressionWarnings"]
    assert joined["fieldRef"] == "spec.validations[0].messageExpression"
    assert "apps/v1, Kind=Deployment: ERROR: <input>:1:8: found no matching overload for '_+_'" in joined["warning"]
    assert missing["fieldRef"] == "spec.validations[1].expression"
    assert "undefined field 'replicas'" in missing["warning"]
    assert "Type Checking" in plane.kubectl("describe", "validatingadmissionpolicy", name)
    mended = {"spec": {"validations": [{"expression": "object.spec.replicas > 1"}]}}
    plane.json("PATCH", path, mended, headers=MERGE)
    eventually(lambda: plane.json("GET", path)["status"] == {"observedGeneration": 2, "typeChecking": {}})


@pytest.mark.parametrize(
    ("field", "said", "why"),
    [
        ("expression", "1 + 1", "must evaluate to bool"),
        ("expression", "'a' + 1 == 'b'", "found no matching overload for '_+_' applied to '(string, int)'"),
        ("messageExpression", "size('a')", "must evaluate to string"),
    ],
)
def test_an_expression_of_a_wrong_type(plane, field, said, why):
    validation = {"expression": "true", field: said}
    bad = {"metadata": {"name": "bad"}, "spec": {
        "matchConstraints": {"resourceRules": [MAPS]}, "validations": [validation]}}  # fmt: skip
    refused = plane.refused("POST", f"{GROUP}/validatingadmissionpolicies", bad)
    assert refused["details"]["causes"][0]["field"] == f"spec.validations[0].{field}"
    assert f"compilation failed: {why}" in refused["message"] or why in refused["message"]
