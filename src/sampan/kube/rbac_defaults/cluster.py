"""Default roles of users, of nodes and of the cluster's own programs, and who has them."""

from __future__ import annotations

from sampan.kube.object import Object
from sampan.kube.rbac_defaults.make import ALL, API, CHANGE, READ, TELL, WRITE, binding, role, rule, urls

_CSR = "certificatesigningrequests"
_SIGNERS = "kube-apiserver-client kube-apiserver-client-kubelet kubelet-serving legacy-unknown"
_CONNECT = "pods/attach pods/exec pods/portforward pods/proxy"
_SCALED = "deployments/scale replicasets/scale"
_APPS = f"daemonsets deployments replicasets statefulsets statefulsets/scale {_SCALED}"
_APPS_STATUS = "daemonsets/status deployments/status replicasets/status statefulsets/status"
_OLD_WRITTEN = (
    f"daemonsets deployments deployments/rollback ingresses networkpolicies replicasets {_SCALED} "
    "replicationcontrollers/scale"
)
_OLD_SEEN = (
    f"daemonsets daemonsets/status deployments deployments/status ingresses ingresses/status networkpolicies replicasets "
    f"replicasets/status {_SCALED} replicationcontrollers/scale"
)
_CORE_WRITTEN = (
    "configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets serviceaccounts "
    "services services/proxy"
)
_CORE_SEEN = (
    "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers "
    "replicationcontrollers/scale serviceaccounts services services/status"
)
_CORE_TOLD = (
    "bindings events limitranges namespaces/status pods/log pods/status replicationcontrollers/status resourcequotas "
    "resourcequotas/status"
)

_USERS = (
    role("admin", aggregates=("admin",)),
    role("cluster-admin", rule("*", "*", "*"), urls("*", "*")),
    role("edit", aggregates=("edit",), to="admin"),
    role("view", aggregates=("view",), to="edit"),
    role(
        "system:aggregate-to-admin",
        rule("create", "authorization.k8s.io", "localsubjectaccessreviews"),
        rule(ALL, API, "roles rolebindings"),
        to="admin",
    ),
    role(
        "system:aggregate-to-edit",
        rule(READ, "core", f"{_CONNECT} secrets services/proxy"),
        rule("impersonate", "core", "serviceaccounts"),
        rule(WRITE, "core", f"pods {_CONNECT}"),
        rule("create", "core", "pods/eviction"),
        rule(WRITE, "core", _CORE_WRITTEN),
        rule("create", "core", "serviceaccounts/token"),
        rule(WRITE, "apps", f"{_APPS} deployments/rollback"),
        rule(WRITE, "autoscaling", "horizontalpodautoscalers"),
        rule(WRITE, "batch", "cronjobs jobs"),
        rule(WRITE, "extensions", _OLD_WRITTEN),
        rule(WRITE, "policy", "poddisruptionbudgets"),
        rule(WRITE, "networking.k8s.io", "ingresses networkpolicies"),
        rule(ALL, "coordination.k8s.io", "leases"),
        rule(WRITE, "resource.k8s.io", "resourceclaims resourceclaimtemplates"),
        to="edit",
    ),
    role(
        "system:aggregate-to-view",
        rule(READ, "core", _CORE_SEEN),
        rule(READ, "core", _CORE_TOLD),
        rule(READ, "core", "namespaces"),
        rule(READ, "discovery.k8s.io", "endpointslices"),
        rule(READ, "apps", f"controllerrevisions {_APPS} {_APPS_STATUS}"),
        rule(READ, "autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"),
        rule(READ, "batch", "cronjobs cronjobs/status jobs jobs/status"),
        rule(READ, "extensions", _OLD_SEEN),
        rule(READ, "policy", "poddisruptionbudgets poddisruptionbudgets/status"),
        rule(READ, "networking.k8s.io", "ingresses ingresses/status networkpolicies"),
        rule(READ, "resource.k8s.io", "resourceclaims resourceclaims/status resourceclaimtemplates"),
        to="view",
    ),
    role(
        "system:basic-user",
        rule("create", "authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews"),
        rule("create", "authentication.k8s.io", "selfsubjectreviews"),
    ),
    role("system:cluster-trust-bundle-discovery", rule(READ, "certificates.k8s.io", "clustertrustbundles")),
    role(
        "system:discovery",
        urls("/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/"),
    ),
    role("system:public-info-viewer", urls("/healthz /livez /readyz /version /version/")),
    role(
        "system:service-account-issuer-discovery",
        urls(
            "/.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks /openid/v1/jwks/",
        ),
    ),
)

_APPROVERS = (
    *(
        role(
            f"system:certificates.k8s.io:{_CSR}:{kind}",
            rule("create", "certificates.k8s.io", f"{_CSR}/{kind}"),
        )
        for kind in ("nodeclient", "selfnodeclient")
    ),
    *(
        role(
            f"system:certificates.k8s.io:{signer}-approver",
            rule("approve", "certificates.k8s.io", "signers", f"kubernetes.io/{signer}"),
        )
        for signer in _SIGNERS.split()
    ),
)

_PROGRAMS = (
    role(
        "system:auth-delegator",
        rule("create", "authentication.k8s.io", "tokenreviews"),
        rule("create", "authorization.k8s.io", "subjectaccessreviews"),
    ),
    role(
        "system:heapster",
        rule(READ, "core", "events namespaces nodes pods"),
        rule(READ, "extensions", "deployments"),
    ),
    role("system:kube-aggregator", rule(READ, "core", "endpoints services")),
    role(
        "system:kube-controller-manager",
        TELL,
        rule("create", "coordination.k8s.io", "leases"),
        rule("get update", "coordination.k8s.io", "leases", "kube-controller-manager"),
        rule("create", "core", "secrets serviceaccounts"),
        rule("delete", "core", "secrets"),
        rule("get", "core", "configmaps namespaces secrets serviceaccounts"),
        rule("update", "core", "secrets serviceaccounts"),
        rule("create", "authentication.k8s.io", "tokenreviews"),
        rule("create", "authorization.k8s.io", "subjectaccessreviews"),
        rule("list watch", "*", "*"),
        rule("create", "core", "serviceaccounts/token"),
    ),
    role(
        "sampan:gang-scheduler", rule(READ, "scheduling.k8s.io", "podgroups")
    ),  # ours: a beta kind is in no default role
    role("system:kube-dns", rule("list watch", "core", "endpoints services")),
    role(
        "system:kube-scheduler",
        TELL,
        rule("create", "coordination.k8s.io", "leases"),
        rule("get list update watch", "coordination.k8s.io", "leases", "kube-scheduler"),
        rule(ALL, "coordination.k8s.io", "leasecandidates"),
        rule(READ, "core", "nodes"),
        rule(f"{READ} delete", "core", "pods"),
        rule("create", "core", "bindings pods/binding"),
        rule(CHANGE, "core", "pods/status"),
        rule(READ, "core", "replicationcontrollers services"),
        rule(READ, "apps extensions", "replicasets"),
        rule(READ, "apps", "statefulsets"),
        rule(READ, "policy", "poddisruptionbudgets"),
        rule(READ, "core", "persistentvolumeclaims persistentvolumes"),
        rule("create", "authentication.k8s.io", "tokenreviews"),
        rule("create", "authorization.k8s.io", "subjectaccessreviews"),
        rule(READ, "storage.k8s.io", "csinodes"),
        rule(READ, "storage.k8s.io", "volumeattachments"),
        rule(READ, "core", "namespaces"),
        rule(READ, "storage.k8s.io", "csidrivers"),
        rule(READ, "storage.k8s.io", "csistoragecapacities"),
        rule(READ, "resource.k8s.io", "deviceclasses"),
        rule(f"{READ} {CHANGE}", "resource.k8s.io", "resourceclaims"),
        rule(f"{READ} {CHANGE}", "resource.k8s.io", "resourceclaims/status"),
        rule(f"{READ} {CHANGE}", "core", "pods/finalizers"),
        rule(READ, "resource.k8s.io", "resourceslices"),
        rule(READ, "resource.k8s.io", "devicetaintrules"),
        rule(CHANGE, "resource.k8s.io", "resourceclaims/binding"),
    ),
    role(
        "system:kubelet-api-admin",
        rule(READ, "core", "nodes"),
        rule("proxy", "core", "nodes"),
        rule("*", "core", "nodes/log nodes/metrics nodes/proxy nodes/stats"),
        rule("*", "core", "nodes/configz nodes/healthz nodes/pods"),
    ),
    role(
        "system:monitoring",
        urls("/healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/*"),
    ),
    role(
        "system:persistent-volume-provisioner",
        rule(f"{READ} create delete", "core", "persistentvolumes"),
        rule(f"{READ} update", "core", "persistentvolumeclaims"),
        rule(READ, "storage.k8s.io", "storageclasses"),
        rule("watch", "core", "events"),
        TELL,
    ),
    role(
        "system:volume-scheduler",
        rule(f"{READ} {CHANGE}", "core", "persistentvolumes"),
        rule(READ, "storage.k8s.io", "storageclasses"),
        rule(f"{READ} {CHANGE}", "core", "persistentvolumeclaims"),
    ),
)

_NODES = (
    role(
        "system:node",
        rule("create", "authentication.k8s.io", "tokenreviews"),
        rule("create", "authorization.k8s.io", "localsubjectaccessreviews subjectaccessreviews"),
        rule(READ, "core", "services"),
        rule(f"{READ} create", "core", "nodes"),
        rule(CHANGE, "core", "nodes/status"),
        rule(CHANGE, "core", "nodes"),
        rule("create patch update", "core", "events"),
        rule(READ, "core", "pods"),
        rule("create delete", "core", "pods"),
        rule(CHANGE, "core", "pods/status"),
        rule("create", "core", "pods/eviction"),
        rule(READ, "core", "configmaps secrets"),
        rule("get", "core", "persistentvolumeclaims persistentvolumes"),
        rule("get", "core", "endpoints"),
        rule(f"{READ} create", "certificates.k8s.io", _CSR),
        rule("create delete get patch update", "coordination.k8s.io", "leases"),
        rule("get", "storage.k8s.io", "volumeattachments"),
        rule("create", "core", "serviceaccounts/token"),
        rule("get patch update", "core", "persistentvolumeclaims/status"),
        rule(READ, "storage.k8s.io", "csidrivers"),
        rule("create delete get patch update", "storage.k8s.io", "csinodes"),
        rule(READ, "node.k8s.io", "runtimeclasses"),
        rule("get", "resource.k8s.io", "resourceclaims"),
        rule("deletecollection", "resource.k8s.io", "resourceslices"),
        rule(READ, "certificates.k8s.io", "clustertrustbundles"),
        rule(f"{READ} create", "certificates.k8s.io", "podcertificaterequests"),
        rule("get", "core", "serviceaccounts"),
    ),
    role("system:node-bootstrapper", rule(f"{READ} create", "certificates.k8s.io", _CSR)),
    role("system:node-problem-detector", rule("get", "core", "nodes"), rule("patch", "core", "nodes/status"), TELL),
    role(
        "system:node-proxier",
        rule("list watch", "core", "endpoints services"),
        rule(READ, "core", "nodes"),
        TELL,
        rule("list watch", "networking.k8s.io", "servicecidrs"),
        rule("list watch", "discovery.k8s.io", "endpointslices"),
    ),
)

CLUSTER_ROLES: tuple[Object, ...] = (*_USERS, *_APPROVERS, *_PROGRAMS, *_NODES)

CLUSTER_BINDINGS: tuple[Object, ...] = (
    binding("cluster-admin", "group:system:masters"),
    binding("sampan:gang-scheduler", "user:system:kube-scheduler"),
    binding("system:basic-user", "group:system:authenticated"),
    binding("system:cluster-trust-bundle-discovery", "group:system:serviceaccounts"),
    binding("system:discovery", "group:system:authenticated"),
    binding("system:kube-controller-manager", "user:system:kube-controller-manager"),
    binding("system:kube-dns", "kube-dns"),
    binding("system:kube-scheduler", "user:system:kube-scheduler"),
    binding("system:monitoring", "group:system:monitoring"),
    binding("system:node"),  # nodes are judged by what they are, not by this role
    binding("system:node-proxier", "user:system:kube-proxy"),
    binding("system:public-info-viewer", "group:system:authenticated", "group:system:unauthenticated"),
    binding("system:service-account-issuer-discovery", "group:system:serviceaccounts"),
    binding("system:volume-scheduler", "user:system:kube-scheduler"),
)
