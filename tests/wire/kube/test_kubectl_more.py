"""Unmodified kubectl, the commands that `test_kubectl.py` leaves out: watches as tables, dry runs, histories, evictions, refusals."""

from __future__ import annotations

import json
import re

import pytest

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "nginx:1"}]}
"""


@pytest.fixture
def k(plane, namespace):
    """kubectl in the test's namespace: `k("get pods")`, or words with spaces as a list."""

    def run(words, stdin="", check=True):
        argv = words.split() if isinstance(words, str) else words
        return plane.kubectl("-n", namespace, *argv, stdin=stdin, check=check)

    return run


@pytest.fixture
def background(plane, namespace):
    """Start kubectl and leave it running; it ends with the test."""
    running = []

    def start(*argv, watches=True):
        process = plane.background("-n", namespace, *argv, watches=watches)
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()


def test_get_w_prints_rows(k, background):
    k("create configmap first --from-literal=a=b")
    watching = background("get", "configmaps", "-w")
    lines = [watching.stdout.readline() for _ in range(2)]
    assert lines[0].split() == ["NAME", "DATA", "AGE"]
    k("create configmap second --from-literal=a=b --from-literal=c=d")
    while not lines[-1].startswith("second"):
        lines.append(watching.stdout.readline())
    assert lines[-1].split()[1] == "2"


def test_watch_only_and_events(k, background):
    k("create configmap first")
    watching = background("get", "configmaps", "--watch-only", "--output-watch-events", "-l", "set=a")
    labelled = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "later", "labels": {"set": "a"}}}
    waiting = background("wait", "--for=create", "configmap/later", "--timeout=20s", watches=False)
    k("apply -f -", stdin=json.dumps(labelled))
    assert watching.stdout.readline().split()[:2] == ["EVENT", "NAME"]
    assert watching.stdout.readline().split()[:2] == ["ADDED", "later"]
    assert "condition met" in waiting.communicate(timeout=20)[0]
    k("label configmap later set=b --overwrite")
    assert watching.stdout.readline().split()[:2] == ["DELETED", "later"]


@pytest.mark.parametrize("how", ["client", "server"])
def test_dry_runs_change_nothing(k, how):
    k("create configmap there --from-literal=a=b")
    before = k("get configmap there -o yaml")
    for words in (
        f"create configmap new --dry-run={how}",
        f"run pod --image=i --dry-run={how}",
        f"annotate configmap there x=y --dry-run={how}",
        f"label configmap there x=y --dry-run={how}",
        f"delete configmap there --dry-run={how}",
        f"create deployment d --image=i --dry-run={how} -o yaml",
    ):
        k(words)
    k(["patch", "configmap", "there", f"--dry-run={how}", "-p", '{"data":{"a":"c"}}'])
    assert k("get configmap there -o yaml") == before
    assert "NotFound" in k("get configmap new", check=False)
    assert "No resources found" in k("get pods,deployments", check=False)


def test_diff_by_its_exit_code(plane, namespace, k):
    k("apply -f -", stdin=DEPLOYMENT)
    for text, code in ((DEPLOYMENT, 0), (DEPLOYMENT.replace("nginx:1", "nginx:2"), 1)):
        for further in ((), ("--server-side",)):
            argv = ("-n", namespace, "diff", "-f", "-", *further)
            assert plane.run("kubectl", *argv, stdin=text, check=False).returncode == code


def test_last_applied(k):
    k("create -f -", stdin=DEPLOYMENT)
    assert "missing the kubectl.kubernetes.io/last-applied-configuration" in k(
        "apply -f -", stdin=DEPLOYMENT, check=False
    )
    assert '"image":"nginx:1"' in k("apply view-last-applied deploy/web -o json").replace(" ", "")
    k("apply set-last-applied -f -", stdin=DEPLOYMENT.replace("nginx:1", "nginx:3"))
    assert "nginx:3" in k("apply view-last-applied deploy/web")


def test_from_client_side_to_server_side_apply(k):
    k("apply -f -", stdin=DEPLOYMENT)
    k("apply --server-side -f -", stdin=DEPLOYMENT.replace("nginx:1", "nginx:2"))
    fields = json.loads(k("get deploy web -o json --show-managed-fields"))["metadata"]["managedFields"]
    managers = {(entry["manager"], entry["operation"]) for entry in fields}
    assert managers == {("kubectl", "Apply"), ("kubectl-last-applied", "Apply")}
    [own] = (entry["fieldsV1"] for entry in fields if entry["manager"] == "kubectl")
    assert "f:progressDeadlineSeconds" not in own["f:spec"]  # what it applies, and no more


def test_create_replace_and_delete_of_several(k):
    several = DEPLOYMENT + "---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n"
    assert k("create -f -", stdin=several) == "deployment.apps/web created\nservice/web created\n"
    assert "AlreadyExists" in k("create -f -", stdin=several, check=False)
    assert "service/web replaced" in k("replace --force -f -", stdin=several)
    items = json.dumps({"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "g-"}}]})  # fmt: skip
    assert re.match(r"configmap/g-[a-z0-9]{5} created", k("create -f -", stdin=items))
    assert k("delete -f -", stdin=several).count("deleted") == 2


def test_kustomize(k, tmp_path):
    (tmp_path / "web.yaml").write_text(DEPLOYMENT)
    (tmp_path / "kustomization.yaml").write_text(
        "resources: [web.yaml]\nnamePrefix: pre-\nconfigMapGenerator: [{name: c, literals: [a=b]}]\n"
    )
    assert "deployment.apps/pre-web created" in k(["apply", "-k", str(tmp_path)])
    assert k(["delete", "-k", str(tmp_path)]).count("deleted") == 2


def test_labels_and_annotations_come_and_go(k):
    k("create configmap c")
    assert k("label configmap c a=b") == "configmap/c labeled\n"
    assert "already has a value" in k("label configmap c a=c", check=False)
    assert k("label configmap c a=c --overwrite") == "configmap/c labeled\n"
    assert k("label configmap c a-") == "configmap/c unlabeled\n"
    assert k("annotate configmap c n=m") == "configmap/c annotated\n"
    assert k("annotate configmaps --all n-") == "configmap/c annotated\nconfigmap/kube-root-ca.crt annotated\n"


def test_set_selector_subject_and_env_of_a_secret(k):
    k("create service clusterip s --tcp=80")
    assert k("set selector service s a=b") == "service/s selector updated\n"
    k("create rolebinding r --clusterrole=view --user=a")
    assert "subjects updated" in k("set subject rolebinding r --user=b")
    k("create secret generic s --from-literal=KEY=v")
    k("apply -f -", stdin=DEPLOYMENT)
    assert "env updated" in k("set env deploy/web --from=secret/s")
    assert "KEY" in k("set env deploy/web --list")


def test_history_and_undo(k, plane, namespace):
    """No controller runs: two replica sets as it would have made them."""
    k("apply -f -", stdin=DEPLOYMENT.replace("nginx:1", "nginx:2"))
    k("annotate deploy web deployment.kubernetes.io/revision=2")
    owner = json.loads(k("get deploy web -o json"))["metadata"]
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": owner["uid"], "controller": True}
    for revision in (1, 2):
        labels = {"app": "web", "pod-template-hash": str(revision)}
        spec = {"containers": [{"name": "web", "image": f"nginx:{revision}"}]}
        template = {"metadata": {"labels": labels}, "spec": spec}
        notes = {"deployment.kubernetes.io/revision": str(revision), "kubernetes.io/change-cause": f"to {revision}"}
        meta = {"name": f"web-{revision}", "labels": labels, "annotations": notes, "ownerReferences": [reference]}
        body = {"metadata": meta, "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}}
        plane.json("POST", f"/apis/apps/v1/namespaces/{namespace}/replicasets", body)
    history = k("rollout history deploy/web")
    assert re.search(r"1 +to 1\n2 +to 2", history)
    assert "Image:\tnginx:1" in k("rollout history deploy/web --revision=1")
    k("rollout undo deploy/web --to-revision=1")
    assert '"nginx:1"' in k("get deploy web -o json")
    for kind, spec in (
        ("DaemonSet", {}),
        ("StatefulSet", {"serviceName": "s"}),
    ):
        template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        spec |= {"selector": {"matchLabels": {"a": "b"}}, "template": template}
        body = {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "s"}, "spec": spec}
        k("create -f -", stdin=json.dumps(body))
        assert f"{kind.lower()}.apps/s restarted" in k(f"rollout restart {kind}/s")
        k(f"rollout history {kind}/s")


def test_rollout_status_waits(k, plane, namespace, background):
    k("apply -f -", stdin=DEPLOYMENT)
    waiting = background("rollout", "status", "deploy/web", "--timeout=20s")
    assert "Waiting for deployment" in waiting.stdout.readline()
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/web"
    found = plane.json("GET", path)
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 1)
    found["status"] = {"observedGeneration": found["metadata"]["generation"], **counts}
    plane.json("PUT", f"{path}/status", found)
    assert "successfully rolled out" in waiting.communicate(timeout=20)[0]


def test_wait_for_a_condition(k, plane, namespace):
    k("run p --image=i")
    path = f"/api/v1/namespaces/{namespace}/pods/p"
    found = plane.json("GET", path)
    found["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    plane.json("PUT", f"{path}/status", found)
    assert k("wait pod/p --for=condition=Ready --timeout=10s") == "pod/p condition met\n"
    assert "timed out" in k("wait pod/p --for=condition=Nope --timeout=1s", check=False)


def test_drain_evicts_as_budgets_allow(k, plane, namespace):
    node = f"n-{namespace}"
    plane.json("POST", "/api/v1/nodes", {"metadata": {"name": node}})
    for name in ("a", "b"):
        spec = {"nodeName": node, "containers": [{"name": "c", "image": "i"}]}
        path = f"/api/v1/namespaces/{namespace}/pods"
        plane.json("POST", path, {"metadata": {"name": name, "labels": {"app": name}}, "spec": spec})
        pod = plane.json("GET", f"{path}/{name}")
        pod["status"] |= {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        plane.json("PUT", f"{path}/{name}/status", pod)
    k("create poddisruptionbudget b --selector=app=b --min-available=1")
    budget = json.loads(k("get poddisruptionbudget b -o json"))
    budget["status"] = {"observedGeneration": budget["metadata"]["generation"], "disruptionsAllowed": 0, "desiredHealthy": 1, "currentHealthy": 1, "expectedPods": 1}  # fmt: skip
    plane.json("PUT", f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets/b/status", budget)
    refused = k(f"drain {node} --force --timeout=3s --grace-period=0", check=False)
    assert "pod/a evicted" in refused
    assert "Cannot evict pod as it would violate the pod's disruption budget" in refused
    k("delete poddisruptionbudget b")
    assert "drained" in k(f"drain {node} --force --timeout=20s --grace-period=0")
    assert k(f"taint nodes {node} a=b:NoExecute") == f"node/{node} tainted\n"
    assert k(f"taint nodes {node} a-") == f"node/{node} untainted\n"
    assert "not found" in k(f"taint nodes {node} a-", check=False)
    k(f"delete node {node}")


def test_certificates_denied(k, plane, namespace):
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ann")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())  # fmt: skip
    import base64

    pem = base64.encodebytes(request.public_bytes(serialization.Encoding.PEM)).decode()  # in lines, as base64(1) prints
    spec = {"request": pem, "signerName": "example.org/test", "usages": ["client auth"]}
    plane.json(
        "POST",
        "/apis/certificates.k8s.io/v1/certificatesigningrequests",
        {"metadata": {"name": namespace}, "spec": spec},
    )
    assert k(f"certificate deny {namespace}") == f"certificatesigningrequest.certificates.k8s.io/{namespace} denied\n"
    assert "Denied" in k(f"get csr {namespace}")


def test_auth_reconcile(k, namespace):
    role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: r, namespace: NS}\nrules: [{apiGroups: [''], resources: [pods], verbs: [%s]}]\n"
    role = role.replace("NS", namespace)
    assert "reconciled" in k("auth reconcile -f -", stdin=role % "get")
    k("auth reconcile -f -", stdin=role % "list")
    assert "list" in k("get role r -o yaml")
    assert "get" in k("get role r -o yaml")


def test_expose_and_run(k):
    k("run p --image=i --labels=a=b --port=80")
    assert k("expose pod p --port=80") == "service/p exposed\n"
    assert json.loads(k("get service p -o json"))["spec"]["selector"] == {"a": "b"}
    assert "no pod templates" not in k("apply -f -", stdin=DEPLOYMENT)
    assert k("expose deploy web --port=80 --target-port=8080 --type=NodePort --name=out") == "service/out exposed\n"


def test_events(k, plane, namespace):
    k("run p --image=i")
    uid = plane.json("GET", f"/api/v1/namespaces/{namespace}/pods/p")["metadata"]["uid"]
    about = {"kind": "Pod", "name": "p", "namespace": namespace, "apiVersion": "v1", "uid": uid}
    event = {"metadata": {"name": "e"}, "involvedObject": about, "reason": "Tried", "message": "to run", "type": "Warning", "count": 2, "lastTimestamp": "2026-01-02T03:04:05Z"}  # fmt: skip
    plane.json("POST", f"/api/v1/namespaces/{namespace}/events", event)
    assert re.search(r"Warning +Tried +pod/p +to run", k("get events"))
    assert "Tried" in k("events --for pod/p")
    assert "Tried" in k("describe pod p")


def test_what_needs_a_node_is_refused_with_words(k):
    k("run p --image=i")
    for words in ("logs p", "exec p -- true", "attach p"):
        refused = k(words, check=False)
        assert "node agent" in refused or "does not have a host assigned" in refused or "not running" in refused, (
            refused
        )


def test_explain_a_custom_resource(k, plane, namespace):
    group = f"{namespace}.example.org"
    schema = {
        "type": "object",
        "properties": {
            "spec": {"type": "object", "properties": {"size": {"type": "integer", "description": "how big"}}}
        },
    }
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "boats", "kind": "Boat", "singular": "boat", "shortNames": [f"b{namespace}"]}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": f"boats.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [version]},
    }  # fmt: skip
    k("apply -f -", stdin=json.dumps(definition))
    k(f"wait crd/boats.{group} --for=condition=Established --timeout=10s")
    assert "how big" in k(
        f"explain boats.{group} --recursive=false --api-version={group}/v1".replace(f"boats.{group} ", "boats.spec ")
    )
    boat = {"apiVersion": f"{group}/v1", "kind": "Boat", "metadata": {"name": "one"}, "spec": {"size": 3}}
    assert f"boat.{group}/one created" in k("apply -f -", stdin=json.dumps(boat))
    assert k(f"get b{namespace} -o name") == f"boat.{group}/one\n"
    k(f"delete crd boats.{group}")


def test_raw_and_dump(k, plane):
    assert json.loads(k("get --raw /apis"))["kind"] == "APIGroupList"
    assert "apiserver_request_total" in k("get --raw /metrics")
    assert json.loads(k("get --raw /openapi/v2"))["swagger"] == "2.0"
    k("run p --image=i")
    assert '"kind": "PodList"' in plane.kubectl("cluster-info", "dump")
