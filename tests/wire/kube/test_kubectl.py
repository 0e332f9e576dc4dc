"""Unmodified kubectl drives the API: every command that needs no node, and what it must print."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: %s
        ports: [{containerPort: 80}]
"""


@pytest.fixture
def k(plane, namespace):
    """kubectl in the test's namespace: `k("get pods")`, or words with spaces as a list."""

    def run(words, stdin="", check=True):
        argv = words.split() if isinstance(words, str) else words
        return plane.kubectl("-n", namespace, *argv, stdin=stdin, check=check)

    return run


def get(k, what):
    return json.loads(k(["get", *what.split(), "-o", "json"]))


def test_version_and_health(plane):
    assert "Server Version: v1.37" in plane.kubectl("version")
    assert plane.kubectl("get", "--raw", "/readyz") == "ok"
    assert "is running at" in plane.kubectl("cluster-info")
    assert "apps/v1" in plane.kubectl("api-versions")
    resources = plane.kubectl("api-resources", "-o", "wide")
    assert re.search(r"deployments +deploy +apps/v1 +true +Deployment +create,delete,", resources)


CREATED = {
    "configmap c --from-literal=a=b": "configmap/c",
    "secret generic s --from-literal=a=b": "secret/s",
    "secret docker-registry d --docker-username=u --docker-password=p": "secret/d",
    "deployment d --image=i --replicas=2": "deployment.apps/d",
    "job j --image=i": "job.batch/j",
    "cronjob c --image=i --schedule=@hourly": "cronjob.batch/c",
    "serviceaccount a": "serviceaccount/a",
    "role r --verb=get --resource=pods": "role.rbac.authorization.k8s.io/r",
    "rolebinding b --role=r --user=u": "rolebinding.rbac.authorization.k8s.io/b",
    "clusterrole {n} --verb=get --resource=pods": "clusterrole.rbac.authorization.k8s.io/{n}",
    "clusterrolebinding {n} --clusterrole=view --user=u": "clusterrolebinding.rbac.authorization.k8s.io/{n}",
    "quota q --hard=configmaps=100": "resourcequota/q",
    "poddisruptionbudget p --selector=a=b --min-available=1": "poddisruptionbudget.policy/p",
    "ingress i --rule=a/b=c:80": "ingress.networking.k8s.io/i",
    "priorityclass {n} --value=7": "priorityclass.scheduling.k8s.io/{n}",
    "service clusterip s --tcp=80": "service/s",
    "service nodeport n --tcp=81": "service/n",
    "service loadbalancer l --tcp=82": "service/l",
    "service externalname e --external-name=example.org": "service/e",
}


@pytest.mark.parametrize("what", CREATED)
def test_create(k, namespace, what):
    """Sent as protobuf by kubectl's typed commands."""
    name = CREATED[what].format(n=namespace)
    assert k(f"create {what.format(n=namespace)}") == f"{name} created\n"
    k(f"delete {name}")
    refused = k(f"get {name}", check=False)
    assert "NotFound" in refused


def test_create_token_and_namespace(k, plane, namespace):
    k("create serviceaccount robot")
    token = k("create token robot --duration=20m").strip()
    body = plane.json("GET", "/api/v1/namespaces/default", token=None)
    assert body["kind"] == "Namespace"
    assert plane.refused("GET", f"/api/v1/namespaces/{namespace}/pods", token=token)["reason"] == "Forbidden"
    assert f"namespace/{namespace}x created" in plane.kubectl("create", "namespace", f"{namespace}x")


def test_apply_diff_and_prune(k):
    assert k("apply -f -", stdin=DEPLOYMENT % "nginx:1") == "deployment.apps/web created\n"
    assert k("apply -f -", stdin=DEPLOYMENT % "nginx:1") == "deployment.apps/web unchanged\n"
    assert "+      - image: nginx:2" in k("diff -f -", stdin=DEPLOYMENT % "nginx:2", check=False)
    assert (
        k("apply -f - --dry-run=server", stdin=DEPLOYMENT % "nginx:2")
        == "deployment.apps/web configured (server dry run)\n"
    )
    assert k("apply -f -", stdin=DEPLOYMENT % "nginx:2") == "deployment.apps/web configured\n"
    assert get(k, "deployment web")["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx:2"
    config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, labels: {set: one}}\n"
    k("apply -f - --prune -l set=one", stdin=config % "first" + "---\n" + config % "second")
    assert "configmap/second pruned" in k("apply -f - --prune -l set=one", stdin=config % "first")


def test_server_side_apply_and_its_conflicts(k):
    assert "serverside-applied" in k("apply --server-side -f -", stdin=DEPLOYMENT % "nginx:1")
    k("scale deployment web --replicas=5")
    refused = k("apply --server-side --field-manager=other -f -", stdin=DEPLOYMENT % "nginx:1", check=False)
    assert 'conflict with "kubectl" with subresource "scale" using apps/v1' in refused
    assert ".spec.replicas" in refused
    k("apply --server-side --force-conflicts -f -", stdin=DEPLOYMENT % "nginx:1")
    assert get(k, "deployment web")["spec"]["replicas"] == 3
    managers = {
        (entry["manager"], entry["operation"])
        for entry in json.loads(k(["get", "deployment", "web", "-o", "json", "--show-managed-fields"]))["metadata"][
            "managedFields"
        ]
    }
    assert managers == {("kubectl", "Apply")}


def test_strict_validation(k):
    wrong = DEPLOYMENT % "nginx:1" + "        imagee: x\n"
    refused = k("apply -f -", stdin=wrong, check=False)
    assert 'strict decoding error: unknown field "spec.template.spec.containers[0].imagee"' in refused
    warned = k("apply --validate=warn -f -", stdin=wrong, check=False)
    assert 'Warning: unknown field "spec.template.spec.containers[0].imagee"' in warned
    assert "created" in warned


def test_a_field_that_nobody_knows_is_told_once(k):
    """It is kept, and who comes later with something else is not to blame for it."""
    k("apply -f -", stdin=DEPLOYMENT % "nginx:1")
    typed = ["patch", "deployment", "web", "-p", '{"spec":{"replicass":5}}']
    assert 'Warning: unknown field "spec.replicass"' in k(typed, check=False)
    assert k("apply -f -", stdin=DEPLOYMENT % "nginx:2") == "deployment.apps/web configured\n"
    assert "Warning" not in k("rollout restart deployment web", check=False)
    assert "serverside-applied" in k("apply --server-side --force-conflicts -f -", stdin=DEPLOYMENT % "nginx:3")
    assert get(k, "deployment web")["spec"]["replicass"] == 5


def test_duplicate_fields(plane, namespace):
    """kubectl itself drops them, so they are sent as they are."""
    twice = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"},"data":{"a":"1","a":"2"}}'
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    refused = plane.refused("POST", f"{path}?fieldValidation=Strict", twice)
    assert 'strict decoding error: duplicate field "data.a"' in refused["message"]
    assert plane.json("POST", path, twice)["data"] == {"a": "2"}


def test_get_in_its_forms(k):
    k("apply -f -", stdin=DEPLOYMENT % "nginx:1")
    assert re.search(r"NAME +READY +UP-TO-DATE +AVAILABLE +AGE\nweb +0/3 +0 +0 +", k("get deployments"))
    assert "CONTAINERS" in k("get deploy -o wide")
    assert k("get deploy -o name") == "deployment.apps/web\n"
    assert k(["get", "deploy", "-o", "custom-columns=N:.metadata.name,R:.spec.replicas"]).split() == [
        "N",
        "R",
        "web",
        "3",
    ]
    assert k(["get", "deploy", "web", "-o", "jsonpath={.spec.replicas}"]) == "3"
    assert "kind: Deployment" in k("get deploy web -o yaml")
    assert k("get deploy -l app=web -o name") == "deployment.apps/web\n"
    assert "No resources found" in k("get deploy -l app!=web", check=False)
    assert k("get deploy --field-selector=metadata.name=web -o name") == "deployment.apps/web\n"
    assert "web" in k("get deploy --show-labels --sort-by=.metadata.name")
    assert k("get deploy --chunk-size=1 -o name") == "deployment.apps/web\n"
    assert "deployment.apps/web" in k("get all")


def test_describe(k):
    k("apply -f -", stdin=DEPLOYMENT % "nginx:1")
    k("run single --image=busybox --restart=Never")
    k("create configmap c --from-literal=a=b")
    described = k("describe deployment web")
    assert "Replicas:               3 desired" in described
    assert "Image:         nginx:1" in described
    assert re.search(r"Status: +Pending", k("describe pod single"))
    assert "a:\n----\nb" in k("describe configmap c")
    for what in ("namespace default", "clusterrole view", "secret", "serviceaccount", "service"):
        k(f"describe {what}", check=False)


def test_edit_replace_and_set(k, plane, namespace):
    k("apply -f -", stdin=DEPLOYMENT % "nginx:1")
    whole = k("get deploy web -o yaml").replace("replicas: 3", "replicas: 4")
    assert k("replace -f -", stdin=whole) == "deployment.apps/web replaced\n"
    environ = {**plane.environ, "KUBE_EDITOR": "sed -i s/replicas:.4/replicas:\\ 6/"}
    from kube import client

    edited = subprocess.run(
        [client("kubectl"), "-n", namespace, "edit", "deploy", "web"], env=environ, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert "deployment.apps/web edited" in edited.stdout, edited.stderr
    for words in (
        "set image deploy/web web=nginx:9",
        "set env deploy/web A=B",
        "set resources deploy/web --limits=cpu=200m,memory=512Mi",
        "set serviceaccount deploy/web robot",
        "label deploy web color=blue",
        "annotate deploy web note=x",
    ):
        k(words)
    found = get(k, "deploy web")
    container = found["spec"]["template"]["spec"]["containers"][0]
    assert (found["spec"]["replicas"], container["image"]) == (6, "nginx:9")
    assert container["env"] == [{"name": "A", "value": "B"}]
    assert container["resources"]["limits"] == {"cpu": "200m", "memory": "512Mi"}
    assert found["metadata"]["labels"]["color"] == "blue"


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        ("strategic", '{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"x:1"}]}}}}'),
        ("merge", '{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"x:1"}]}}}}'),
        ("json", '[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"x:1"}]'),
    ],
)
def test_patch(k, kind, patch):
    k("apply -f -", stdin=DEPLOYMENT % "nginx:1")
    k(["patch", "deploy", "web", "--type", kind, "-p", patch])
    container = get(k, "deploy web")["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "x:1"
    assert ("ports" in container) == (kind != "merge")
    k(["patch", "deploy", "web", "--subresource=scale", "--type=merge", "-p", '{"spec":{"replicas":8}}'])
    assert get(k, "deploy web")["spec"]["replicas"] == 8


def test_rollout_scale_and_autoscale(k):
    k("apply -f -", stdin=DEPLOYMENT % "nginx:1")
    assert k("scale deploy web --current-replicas=3 --replicas=2") == "deployment.apps/web scaled\n"
    assert "Expected replicas to be 3" in k("scale deploy web --current-replicas=3 --replicas=2", check=False)
    assert (
        k("autoscale deploy web --min=1 --max=4 --cpu-percent=50")
        == "horizontalpodautoscaler.autoscaling/web autoscaled\n"
    )
    assert k("rollout pause deploy/web") == "deployment.apps/web paused\n"
    assert k("rollout resume deploy/web") == "deployment.apps/web resumed\n"
    assert k("rollout restart deploy/web") == "deployment.apps/web restarted\n"
    assert "deployment.apps/web" in k("rollout history deploy/web")


def test_nodes(k, plane, namespace):
    node = f"n-{namespace}"
    plane.json("POST", "/api/v1/nodes", {"metadata": {"name": node}})
    assert k(f"taint nodes {node} a=b:NoSchedule") == f"node/{node} tainted\n"
    assert k(f"cordon {node}") == f"node/{node} cordoned\n"
    assert "SchedulingDisabled" in k(f"get node {node}")
    pod = {"metadata": {"name": "p"}, "spec": {"nodeName": node, "containers": [{"name": "c", "image": "i"}]}}
    plane.json("POST", f"/api/v1/namespaces/{namespace}/pods", pod)
    drained = k(f"drain {node} --force --disable-eviction --grace-period=0 --timeout=20s")
    assert "drained" in drained
    assert k(f"uncordon {node}") == f"node/{node} uncordoned\n"
    k(f"delete node {node}")


def test_eviction(k, plane, namespace):
    pod = {"metadata": {"name": "p", "labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    base = f"/api/v1/namespaces/{namespace}/pods"
    plane.json("POST", base, pod)
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}
    assert plane.json("POST", f"{base}/p/eviction", eviction)["status"] == "Success"
    assert plane.refused("GET", f"{base}/p")["code"] == 404


def test_auth(k, namespace):
    k("create role reader --verb=get,list --resource=pods,pods/log")
    k("create rolebinding reader --role=reader --user=ann --serviceaccount=default:robot")
    assert k("auth can-i list pods --as ann") == "yes\n"
    assert k("auth can-i delete pods --as ann", check=False).startswith("no")
    assert k("auth can-i get pods --subresource=log --as system:serviceaccount:default:robot") == "yes\n"
    assert "pods/log" in k("auth can-i --list --as ann")
    assert "kubernetes-admin" in k("auth whoami")
    refused = k("get secrets --as ann", check=False)
    assert f'User "ann" cannot list resource "secrets" in API group "" in the namespace "{namespace}"' in refused


def test_explain(k):
    explained = k("explain deployment.spec.strategy.rollingUpdate")
    assert "FIELD: rollingUpdate <RollingUpdateDeployment>" in explained
    assert "maxSurge\t<IntOrString>" in explained
    assert "containers" in k("explain pod --recursive")


def test_wait_watch_and_delete(k, plane, namespace):
    k("create configmap c --from-literal=a=b")
    assert k(["wait", "configmap/c", "--for=jsonpath={.data.a}=b", "--timeout=10s"]) == "configmap/c condition met\n"
    watching = plane.background("-n", namespace, "get", "configmaps", "-w", "-o", "name")
    try:
        assert watching.stdout.readline() == "configmap/c\n"
        k("create configmap later")
        line = watching.stdout.readline()
        while "later" not in line:
            line = watching.stdout.readline()
    finally:
        watching.kill()
        watching.wait()
    waiting = plane.background("-n", namespace, "wait", "configmap/later", "--for=delete", "--timeout=20s")
    assert "deleted" in k("delete configmap later")
    assert "condition met" in waiting.communicate(timeout=30)[0]
    assert "deleted" in k("delete configmaps --all")


def test_deleting_a_namespace_takes_all_of_it(plane, namespace, k):
    k("apply -f -", stdin=DEPLOYMENT % "nginx:1")
    k("create secret generic s --from-literal=a=b")
    plane.kubectl("delete", "namespace", namespace, "--timeout=30s")
    assert plane.refused("GET", f"/api/v1/namespaces/{namespace}")["code"] == 404
    assert plane.json("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments")["items"] == []


def test_owners_and_dependents(plane, namespace, k):
    base = f"/api/v1/namespaces/{namespace}/configmaps"
    owner = plane.json("POST", base, {"metadata": {"name": "owner"}})
    reference = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": "owner",
        "uid": owner["metadata"]["uid"],
        "blockOwnerDeletion": True,
    }
    plane.json("POST", base, {"metadata": {"name": "kept", "ownerReferences": [reference]}})
    k("delete configmap owner --cascade=orphan")
    assert "ownerReferences" not in get(k, "configmap kept")["metadata"]
    owner = plane.json("POST", base, {"metadata": {"name": "owner"}})
    reference["uid"] = owner["metadata"]["uid"]
    plane.json("POST", base, {"metadata": {"name": "gone", "ownerReferences": [reference]}})
    k("delete configmap owner --cascade=foreground --timeout=20s")
    assert plane.refused("GET", f"{base}/gone")["code"] == 404
    owner = plane.json("POST", base, {"metadata": {"name": "owner"}})
    reference["uid"] = owner["metadata"]["uid"]
    plane.json("POST", base, {"metadata": {"name": "later", "ownerReferences": [reference]}})
    k("delete configmap owner")
    k("wait configmap/later --for=delete --timeout=20s")


def test_certificates(k, plane, namespace):
    import base64

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ann")])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    pem = base64.b64encode(request.public_bytes(serialization.Encoding.PEM)).decode()
    obj = {
        "metadata": {"name": namespace},
        "spec": {"request": pem, "signerName": "example.org/test", "usages": ["client auth"]},
    }
    plane.json("POST", "/apis/certificates.k8s.io/v1/certificatesigningrequests", obj)
    assert "Pending" in k(f"get csr {namespace}")
    assert (
        k(f"certificate approve {namespace}") == f"certificatesigningrequest.certificates.k8s.io/{namespace} approved\n"
    )
    assert "Approved" in k(f"get csr {namespace}")


def test_proxy(plane):
    from kube import client, free_port

    port = free_port()
    proxy = subprocess.Popen(
        [client("kubectl"), "proxy", f"--port={port}"], env=plane.environ, stdout=subprocess.PIPE, text=True
    )
    try:
        assert "Starting to serve" in proxy.stdout.readline()
        import urllib.request

        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/namespaces/default") as answer:
            assert json.load(answer)["metadata"]["name"] == "default"
    finally:
        proxy.kill()
        proxy.wait()
