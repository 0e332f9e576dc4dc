"""What the server does to objects on their way in: accounts, limits, quotas, priorities, classes, security."""

from __future__ import annotations

import base64
import concurrent.futures

import pytest

from kube import eventually


def pod(name="p", *, resources=None, **spec):
    container = {"name": "c", "image": "i", **({"resources": resources} if resources else {})}
    return {"metadata": {"name": name}, "spec": {"containers": [container], **spec}}


@pytest.fixture
def pods(namespace):
    return f"/api/v1/namespaces/{namespace}/pods"


# --- service accounts -------------------------------------------------------------------------------------------------


def test_pods_get_an_account_and_its_token(plane, pods):
    made = plane.json("POST", pods, pod())
    spec = made["spec"]
    assert spec["serviceAccountName"] == "default"
    [volume] = spec["volumes"]
    assert volume["name"].startswith("kube-api-access-")
    assert [next(iter(source)) for source in volume["projected"]["sources"]] == [
        "serviceAccountToken", "configMap", "downwardAPI",
    ]  # fmt: skip
    assert spec["containers"][0]["volumeMounts"] == [
        {"name": volume["name"], "readOnly": True, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
    ]


def test_a_pod_may_go_without_a_token(plane, pods):
    assert not plane.json("POST", pods, pod(automountServiceAccountToken=False))["spec"].get("volumes")


def test_an_account_that_is_not_there(plane, namespace, pods):
    refused = plane.refused("POST", pods, pod(serviceAccountName="nobody"))
    assert refused["message"] == (
        f'pods "p" is forbidden: error looking up service account {namespace}/nobody: serviceaccount "nobody" not found'
    )


def test_mirror_pods_act_as_nobody(plane, pods):
    mirror = pod()
    mirror["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    made = plane.json("POST", pods, mirror)
    assert "serviceAccountName" not in made["spec"] and not made["spec"].get("volumes")
    refused = plane.refused("POST", pods, {**mirror, "spec": {**mirror["spec"], "serviceAccountName": "default"}})
    assert refused["message"] == 'pods "p" is forbidden: a mirror pod may not reference service accounts'


# --- limit ranges -----------------------------------------------------------------------------------------------------


LIMITS = [
    {"type": "Container", "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "100m", "memory": "64Mi"},
     "max": {"cpu": "1"}, "min": {"memory": "32Mi"}, "maxLimitRequestRatio": {"cpu": "10"}},
    {"type": "Pod", "max": {"cpu": "1500m"}},
    {"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}, "min": {"storage": "1Mi"}},
]  # fmt: skip


@pytest.fixture
def limited(plane, namespace):
    path = f"/api/v1/namespaces/{namespace}/limitranges"
    plane.json("POST", path, {"metadata": {"name": "l"}, "spec": {"limits": LIMITS}})


def test_containers_get_default_resources(plane, limited, pods):
    made = plane.json("POST", pods, pod())
    wanted = {"limits": {"cpu": "500m"}, "requests": {"cpu": "100m", "memory": "64Mi"}}
    assert made["spec"]["containers"][0]["resources"] == wanted
    told = made["metadata"]["annotations"]["kubernetes.io/limit-ranger"]
    assert told == "LimitRanger plugin set: cpu, memory request for container c; cpu limit for container c"


@pytest.mark.parametrize(
    ("resources", "why"),
    [
        ({"limits": {"cpu": "2"}}, "maximum cpu usage per Container is 1, but limit is 2"),
        ({"requests": {"memory": "1Mi"}}, "minimum memory usage per Container is 32Mi, but request is 1Mi"),
        ({"requests": {"cpu": "10m"}}, "cpu max limit to request ratio per Container is 10, but provided ratio is 50"),
    ],
)
def test_containers_stay_within_bounds(plane, limited, pods, resources, why):
    refused = plane.refused("POST", pods, pod(resources=resources))
    assert refused["code"] == 403
    assert why in refused["message"]


def test_a_pod_as_a_whole_stays_within_bounds(plane, limited, pods):
    two = pod()
    two["spec"]["containers"] = [{"name": n, "image": "i", "resources": {"limits": {"cpu": "1"}}} for n in "ab"]
    assert "maximum cpu usage per Pod is 1500m, but limit is 2" in plane.refused("POST", pods, two)["message"]


def test_claims_stay_within_bounds(plane, limited, namespace):
    claim = {
        "metadata": {"name": "c"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}},
    }
    refused = plane.refused("POST", f"/api/v1/namespaces/{namespace}/persistentvolumeclaims", claim)
    assert "maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 2Gi" in refused["message"]


# --- quotas -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def quota(plane, namespace):
    path = f"/api/v1/namespaces/{namespace}/resourcequotas"

    def make(name="q", **spec):
        plane.json("POST", path, {"metadata": {"name": name}, "spec": spec})
        eventually(lambda: "used" in plane.json("GET", f"{path}/{name}").get("status", {}))
        return lambda: plane.json("GET", f"{path}/{name}")["status"]["used"]

    return make


def test_a_quota_is_never_exceeded(plane, quota, pods):
    used = quota(hard={"pods": "5"})
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda n: plane.call("POST", pods, pod(f"p{n}"))[0], range(24)))
    assert sorted(codes) == [201] * 5 + [403] * 19
    eventually(lambda: used() == {"pods": "5"})
    refused = plane.refused("POST", pods, pod("more"))
    assert refused["message"] == (
        'pods "more" is forbidden: exceeded quota: q, requested: pods=1, used: pods=5, limited: pods=5'
    )


def test_what_goes_is_given_back(plane, quota, pods):
    used = quota(hard={"pods": "1", "requests.memory": "1Gi"})
    plane.json("POST", pods, pod("a", resources={"requests": {"memory": "600Mi"}}))
    eventually(lambda: used() == {"pods": "1", "requests.memory": "600Mi"})
    plane.json("DELETE", f"{pods}/a?gracePeriodSeconds=0")
    eventually(lambda: used() == {"pods": "0", "requests.memory": "0"})
    plane.json("POST", pods, pod("b", resources={"requests": {"memory": "1Gi"}}))


def test_what_is_refused_later_is_given_back(plane, quota, namespace):
    quota(hard={"configmaps": "2"})  # with kube-root-ca.crt
    maps = f"/api/v1/namespaces/{namespace}/configmaps"
    plane.json("POST", maps, {"metadata": {"name": "a"}})
    for _ in range(3):
        assert plane.refused("POST", maps, {"metadata": {"name": "a"}})["reason"] in ("AlreadyExists", "Forbidden")
    plane.json("DELETE", f"{maps}/a")
    plane.json("POST", maps, {"metadata": {"name": "b"}})


def test_bounded_resources_have_to_be_said(plane, quota, pods):
    quota(hard={"requests.cpu": "1", "limits.memory": "1Gi"})
    refused = plane.refused("POST", pods, pod())
    assert "failed quota: q: must specify limits.memory for: c; requests.cpu for: c" in refused["message"]


def test_a_quota_counts_what_was_there(plane, quota, pods, namespace):
    plane.json("POST", pods, pod())
    used = quota(hard={"count/pods": "1", "count/deployments.apps": "3", "services": "1"})
    assert used() == {"count/pods": "1", "count/deployments.apps": "0", "services": "0"}
    assert plane.refused("POST", pods, pod("q"))["code"] == 403


def test_scopes_choose_what_is_counted(plane, quota, pods):
    used = quota("best", hard={"pods": "1"}, scopes=["BestEffort"])
    plane.json("POST", pods, pod("a", resources={"requests": {"cpu": "1m"}}))
    plane.json("POST", pods, pod("b"))
    eventually(lambda: used() == {"pods": "1"})
    assert "exceeded quota: best" in plane.refused("POST", pods, pod("c"))["message"]
    plane.json("POST", pods, pod("d", resources={"requests": {"cpu": "1m"}}))


def test_dry_runs_are_not_counted(plane, quota, pods):
    used = quota(hard={"pods": "1"})
    plane.json("POST", f"{pods}?dryRun=All", pod("a"))
    plane.json("POST", pods, pod("b"))
    eventually(lambda: used() == {"pods": "1"})


# --- priorities, classes, tolerations ---------------------------------------------------------------------------------


def test_priorities_come_from_classes(plane, pods):
    classes = "/apis/scheduling.k8s.io/v1/priorityclasses"
    plane.json("POST", classes, {"metadata": {"name": "high"}, "value": 1000, "preemptionPolicy": "Never"})
    try:
        spec = plane.json("POST", pods, pod("a", priorityClassName="high"))["spec"]
        assert (spec["priority"], spec["preemptionPolicy"]) == (1000, "Never")
        assert plane.json("POST", pods, pod("b"))["spec"]["priority"] == 0
        refused = plane.refused("POST", pods, pod("c", priorityClassName="none"))
        assert refused["message"] == 'pods "c" is forbidden: no PriorityClass with name none was found'
        assert "must not be provided in pod spec" in plane.refused("POST", pods, pod("d", priority=7))["message"]
    finally:
        plane.json("DELETE", f"{classes}/high")


def test_there_is_one_default_priority(plane):
    classes = "/apis/scheduling.k8s.io/v1/priorityclasses"
    plane.json("POST", classes, {"metadata": {"name": "usual"}, "value": 5, "globalDefault": True})
    try:
        refused = plane.refused("POST", classes, {"metadata": {"name": "other"}, "value": 6, "globalDefault": True})
        assert "PriorityClass usual is already marked as default" in refused["message"]
    finally:
        plane.json("DELETE", f"{classes}/usual")


def test_pods_tolerate_short_failures(plane, pods):
    found = plane.json("POST", pods, pod())["spec"]["tolerations"]
    assert [(each["key"], each["tolerationSeconds"]) for each in found] == [
        ("node.kubernetes.io/not-ready", 300),
        ("node.kubernetes.io/unreachable", 300),
    ]
    own = [{"operator": "Exists"}]
    assert plane.json("POST", pods, pod("q", tolerations=own))["spec"]["tolerations"] == own


def test_claims_get_the_default_class_and_stay_in_use(plane, namespace):
    classes = "/apis/storage.k8s.io/v1/storageclasses"
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"}
    plane.json("POST", classes, {"metadata": {"name": "usual", "annotations": annotations}, "provisioner": "x.io/y"})
    try:
        claim = {
            "metadata": {"name": "c"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        }
        claims = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims"
        made = plane.json("POST", claims, claim)
        assert made["spec"]["storageClassName"] == "usual"
        assert made["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
        made["spec"]["resources"]["requests"]["storage"] = "2Gi"
        assert (
            "only bound persistent volume claims can be expanded"
            in (plane.refused("PUT", f"{claims}/c", made)["message"])
        )
    finally:
        plane.json("DELETE", f"{classes}/usual")


def test_the_overhead_of_a_runtime_class(plane, pods):
    classes = "/apis/node.k8s.io/v1/runtimeclasses"
    vm = {"metadata": {"name": "vm"}, "handler": "vm", "overhead": {"podFixed": {"memory": "100Mi"}}}
    plane.json("POST", classes, {**vm, "scheduling": {"nodeSelector": {"vm": "yes"}}})
    try:
        spec = plane.json("POST", pods, pod("a", runtimeClassName="vm"))["spec"]
        assert (spec["overhead"], spec["nodeSelector"]) == ({"memory": "100Mi"}, {"vm": "yes"})
        refused = plane.refused("POST", pods, pod("b", runtimeClassName="none"))
        assert 'RuntimeClass "none" not found' in refused["message"]
        assert "Pod Overhead set without" in plane.refused("POST", pods, pod("c", overhead={"cpu": "1"}))["message"]
    finally:
        plane.json("DELETE", f"{classes}/vm")


def test_a_new_node_is_not_ready(plane):
    made = plane.json("POST", "/api/v1/nodes", {"metadata": {"name": "fresh"}})
    plane.json("DELETE", "/api/v1/nodes/fresh")
    assert made["spec"]["taints"] == [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]


# --- pod security -----------------------------------------------------------------------------------------------------

GOOD = {
    "runAsNonRoot": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


@pytest.fixture
def secured(plane, namespace):
    def label(**labels):
        found = plane.json("GET", f"/api/v1/namespaces/{namespace}")
        found["metadata"]["labels"] |= {f"pod-security.kubernetes.io/{key}": value for key, value in labels.items()}
        plane.json("PUT", f"/api/v1/namespaces/{namespace}", found)

    return label


def test_a_restricted_namespace(plane, secured, pods):
    secured(enforce="restricted")
    refused = plane.refused("POST", pods, pod())
    assert refused["message"] == (
        'pods "p" is forbidden: violates PodSecurity "restricted:latest": '
        'allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), '
        'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), '
        'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or '
        '"Localhost"), '
        'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"])'
    )
    good = pod()
    good["spec"]["containers"][0]["securityContext"] = GOOD
    plane.json("POST", pods, good)


def test_a_baseline_namespace(plane, secured, pods):
    secured(enforce="baseline")
    plane.json("POST", pods, pod("fine"))
    bad = pod("bad", hostNetwork=True, volumes=[{"name": "v", "hostPath": {"path": "/"}}])
    bad["spec"]["containers"][0]["securityContext"] = {"privileged": True}
    message = plane.refused("POST", pods, bad)["message"]
    for part in (
        "host namespaces (hostNetwork=true)",
        'hostPath volumes (volume "v")',
        'privileged (container "c" must',
    ):
        assert part in message


def test_warnings_of_pod_security(plane, secured, namespace):
    secured(warn="baseline")
    template = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"hostPID": True, "containers": [{"name": "c", "image": "i"}]},
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template},
    }
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    code, headers, _ = plane.exchange("POST", path, deployment)
    assert code == 201
    assert "host namespaces (hostPID=true)" in headers["Warning"]


# --- certificates -----------------------------------------------------------------------------------------------------


def test_requests_say_who_made_them_and_nobody_asks_for_a_master(plane):
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    def request(organization):
        name = x509.Name(
            [x509.NameAttribute(NameOID.COMMON_NAME, "me"), x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)]
        )
        key = ec.generate_private_key(ec.SECP256R1())
        signed = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
        return base64.b64encode(signed.public_bytes(serialization.Encoding.PEM)).decode()

    path = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
    spec = {"signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"], "username": "forged"}
    made = plane.json("POST", path, {"metadata": {"name": "r"}, "spec": {**spec, "request": request("devs")}})
    plane.json("DELETE", f"{path}/r")
    assert (made["spec"]["username"], made["spec"]["groups"]) == ("tester", ["system:masters", "system:authenticated"])
    refused = plane.refused(
        "POST", path, {"metadata": {"name": "s"}, "spec": {**spec, "request": request("system:masters")}}
    )
    assert "system:masters group is not allowed" in refused["message"]


def test_a_quota_counts_more_than_a_page(plane, quota, namespace):
    maps = f"/api/v1/namespaces/{namespace}/configmaps"
    for number in range(450):
        plane.json("POST", maps, {"metadata": {"name": f"m{number}"}})
    used = quota(hard={"configmaps": "451", "pods": "3"})
    assert used()["configmaps"] == "451"  # with kube-root-ca.crt
    assert plane.refused("POST", maps, {"metadata": {"name": "more"}})["code"] == 403
    plane.json("DELETE", f"{maps}/m7")
    eventually(lambda: used()["configmaps"] == "450")
    plane.json("POST", maps, {"metadata": {"name": "more"}})
