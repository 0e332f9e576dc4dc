"""What each of the controllers may do; the service account of its name in kube-system has the role."""

from __future__ import annotations

from collections.abc import Mapping

from sampan.kube.object import Object
from sampan.kube.rbac_defaults.make import CHANGE, READ, TELL, binding, role, rule

_PREFIX = "system:controller:"
_OWN = f"{READ} create delete patch update"
"""What a controller does with objects that it makes."""
_MADE_PODS = rule("create delete list patch watch", "core", "pods")
_REVISIONS = rule(_OWN, "apps", "controllerrevisions")
_SLICES = rule(f"{READ} create delete update", "discovery.k8s.io", "endpointslices")

_NODES_AND_PODS: Mapping[str, tuple[Object, ...]] = {
    "device-taint-eviction-controller": (
        rule(f"{READ} delete", "core", "pods"),
        rule(CHANGE, "core", "pods/status"),
        rule(READ, "resource.k8s.io", "resourceclaims"),
        rule(READ, "resource.k8s.io", "resourceslices"),
        rule(READ, "resource.k8s.io", "deviceclasses"),
        TELL,
        rule(CHANGE, "resource.k8s.io", "devicetaintrules/status"),
        rule(READ, "resource.k8s.io", "devicetaintrules"),
    ),
    "node-controller": (
        rule(f"{READ} delete patch update", "core", "nodes"),
        rule(CHANGE, "core", "nodes/status"),
        rule(CHANGE, "core", "pods/status"),
        rule(f"{READ} delete", "core", "pods"),
        rule(READ, "coordination.k8s.io", "leases"),
        TELL,
    ),
    "pod-garbage-collector": (
        rule("delete list watch", "core", "pods"),
        rule(READ, "core", "nodes"),
        rule("patch", "core", "pods/status"),
    ),
    "resource-claim-controller": (
        rule(READ, "core", "pods"),
        rule("update", "core", "pods/finalizers"),
        rule(f"{READ} create delete", "resource.k8s.io", "resourceclaims"),
        rule(CHANGE, "resource.k8s.io", "resourceclaims resourceclaims/status"),
        rule(CHANGE, "core", "pods/status"),
        TELL,
        rule(CHANGE, "resource.k8s.io", "resourceclaims/binding"),
    ),
    "route-controller": (rule("list watch", "core", "nodes"), rule("patch", "core", "nodes/status"), TELL),
    "ttl-controller": (rule("list patch update watch", "core", "nodes"), TELL),
}

_WORKLOADS: Mapping[str, tuple[Object, ...]] = {
    "cronjob-controller": (
        rule(f"{READ} update", "batch", "cronjobs"),
        rule(_OWN, "batch", "jobs"),
        rule("update", "batch", "cronjobs/status"),
        rule("update", "batch", "cronjobs/finalizers"),
        rule("delete list watch", "core", "pods"),
        TELL,
    ),
    "daemon-set-controller": (
        rule(READ, "apps extensions", "daemonsets"),
        rule("update", "apps extensions", "daemonsets/status"),
        rule("update", "apps extensions", "daemonsets/finalizers"),
        rule("list watch", "core", "nodes"),
        _MADE_PODS,
        rule("create", "core", "pods/binding"),
        _REVISIONS,
        TELL,
    ),
    "deployment-controller": (
        rule(f"{READ} update", "apps extensions", "deployments"),
        rule("update", "apps extensions", "deployments/status"),
        rule("update", "apps extensions", "deployments/finalizers"),
        rule(_OWN, "apps extensions", "replicasets"),
        rule(f"{READ} update", "core", "pods"),
        TELL,
    ),
    "disruption-controller": (
        rule(READ, "apps extensions", "deployments"),
        rule(READ, "apps extensions", "replicasets"),
        rule(READ, "core", "replicationcontrollers"),
        rule(READ, "policy", "poddisruptionbudgets"),
        rule(READ, "apps", "statefulsets"),
        rule("update", "policy", "poddisruptionbudgets/status"),
        rule(CHANGE, "core", "pods/status"),
        rule("get", "*", "*/scale"),
        TELL,
    ),
    "horizontal-pod-autoscaler": (
        rule(READ, "autoscaling", "horizontalpodautoscalers"),
        rule("update", "autoscaling", "horizontalpodautoscalers/status"),
        rule("get update", "*", "*/scale"),
        rule("list watch", "core", "pods"),
        rule("list watch", "metrics.k8s.io", "pods"),
        rule(READ, "custom.metrics.k8s.io", "*"),
        rule(READ, "external.metrics.k8s.io", "*"),
        TELL,
    ),
    "job-controller": (
        rule(f"{READ} patch update", "batch", "jobs"),
        rule("update", "batch", "jobs/status"),
        rule("update", "batch", "jobs/finalizers"),
        _MADE_PODS,
        TELL,
    ),
    "replicaset-controller": (
        rule(f"{READ} update", "apps extensions", "replicasets"),
        rule("update", "apps extensions", "replicasets/status"),
        rule("update", "apps extensions", "replicasets/finalizers"),
        _MADE_PODS,
        TELL,
    ),
    "replication-controller": (
        rule(f"{READ} update", "core", "replicationcontrollers"),
        rule("update", "core", "replicationcontrollers/status"),
        rule("update", "core", "replicationcontrollers/finalizers"),
        _MADE_PODS,
        TELL,
    ),
    "statefulset-controller": (
        rule("list watch", "core", "pods"),
        rule(READ, "apps", "statefulsets"),
        rule("update", "apps", "statefulsets/status"),
        rule("update", "apps", "statefulsets/finalizers"),
        rule("create delete get patch update", "core", "pods"),
        _REVISIONS,
        rule(f"{READ} create", "core", "persistentvolumeclaims"),
        rule("delete update", "core", "persistentvolumeclaims"),
        rule("update", "core", "pods/finalizers"),
        TELL,
    ),
    "ttl-after-finished-controller": (rule(f"{READ} delete", "batch", "jobs"), TELL),
}

_NETWORK: Mapping[str, tuple[Object, ...]] = {
    "endpoint-controller": (
        rule(READ, "core", "pods services"),
        rule(f"{READ} create delete update", "core", "endpoints"),
        rule("create", "core", "endpoints/restricted"),
        TELL,
    ),
    "endpointslice-controller": (
        rule(READ, "core", "nodes pods services"),
        rule("update", "core", "services/finalizers"),
        _SLICES,
        TELL,
    ),
    "endpointslicemirroring-controller": (
        rule(READ, "core", "endpoints services"),
        rule("update", "core", "services/finalizers"),
        rule("update", "core", "endpoints/finalizers"),
        _SLICES,
        TELL,
    ),
    "service-cidrs-controller": (
        rule(f"{READ} patch update", "networking.k8s.io", "servicecidrs"),
        rule(CHANGE, "networking.k8s.io", "servicecidrs/finalizers"),
        rule(CHANGE, "networking.k8s.io", "servicecidrs/status"),
        rule(READ, "networking.k8s.io", "ipaddresses"),
        TELL,
    ),
    "service-controller": (
        rule(READ, "core", "services"),
        rule(CHANGE, "core", "services/status"),
        rule("list watch", "core", "nodes"),
        TELL,
    ),
}

_STORAGE: Mapping[str, tuple[Object, ...]] = {
    "attachdetach-controller": (
        rule("list watch", "core", "persistentvolumeclaims persistentvolumes"),
        rule(READ, "core", "nodes"),
        rule(CHANGE, "core", "nodes/status"),
        rule("list watch", "core", "pods"),
        TELL,
        rule(f"{READ} create delete", "storage.k8s.io", "volumeattachments"),
        rule(READ, "storage.k8s.io", "csidrivers"),
        rule(READ, "storage.k8s.io", "csinodes"),
    ),
    "ephemeral-volume-controller": (
        rule(READ, "core", "pods"),
        rule("update", "core", "pods/finalizers"),
        rule(f"{READ} create", "core", "persistentvolumeclaims"),
        TELL,
    ),
    "expand-controller": (
        rule(f"{READ} patch update", "core", "persistentvolumes"),
        rule(CHANGE, "core", "persistentvolumeclaims/status"),
        rule(READ, "core", "persistentvolumeclaims"),
        TELL,
    ),
    "persistent-volume-binder": (
        rule(f"{READ} create delete update", "core", "persistentvolumes"),
        rule("update", "core", "persistentvolumes/status"),
        rule(f"{READ} update", "core", "persistentvolumeclaims"),
        rule("update", "core", "persistentvolumeclaims/status"),
        rule(f"{READ} create delete", "core", "pods"),
        rule(READ, "storage.k8s.io", "storageclasses"),
        rule("list watch", "core", "nodes"),
        TELL,
        rule("watch", "core", "events"),
    ),
    "pv-protection-controller": (rule(f"{READ} update", "core", "persistentvolumes"), TELL),
    "pvc-protection-controller": (
        rule(f"{READ} update", "core", "persistentvolumeclaims"),
        rule("update", "core", "persistentvolumeclaims/status"),
        rule(READ, "core", "pods"),
        TELL,
    ),
    "selinux-warning-controller": (
        TELL,
        rule(READ, "core", "persistentvolumes"),
        rule(READ, "core", "persistentvolumeclaims"),
        rule(READ, "core", "pods"),
        rule(READ, "storage.k8s.io", "csidrivers"),
    ),
    "storage-version-migrator-controller": (
        rule("list patch", "*", "*"),
        rule("get", "apiextensions.k8s.io", "customresourcedefinitions"),
        rule("patch", "apiextensions.k8s.io", "customresourcedefinitions/status"),
        rule("update", "storagemigration.k8s.io", "storageversionmigrations/status"),
    ),
    "volumeattributesclass-protection-controller": (
        rule(READ, "core", "persistentvolumeclaims"),
        rule(READ, "core", "persistentvolumes"),
        rule(f"{READ} update", "storage.k8s.io", "volumeattributesclasses"),
        TELL,
    ),
}

_CLUSTER: Mapping[str, tuple[Object, ...]] = {
    "certificate-controller": (
        rule(f"{READ} delete", "certificates.k8s.io", "certificatesigningrequests"),
        rule(
            "update",
            "certificates.k8s.io",
            "certificatesigningrequests/approval certificatesigningrequests/status",
        ),
        rule("approve", "certificates.k8s.io", "signers", "kubernetes.io/kube-apiserver-client-kubelet"),
        rule(
            "sign",
            "certificates.k8s.io",
            "signers",
            "kubernetes.io/kube-apiserver-client kubernetes.io/kube-apiserver-client-kubelet "
            "kubernetes.io/kubelet-serving kubernetes.io/legacy-unknown",
        ),
        rule("create", "authorization.k8s.io", "subjectaccessreviews"),
        TELL,
    ),
    "clusterrole-aggregation-controller": (
        rule(f"{READ} escalate patch update", "rbac.authorization.k8s.io", "clusterroles"),
    ),
    "generic-garbage-collector": (rule(f"{READ} delete patch update", "*", "*"), TELL),
    "kube-apiserver-serving-clustertrustbundle-publisher": (
        rule("attest", "certificates.k8s.io", "signers", "kubernetes.io/kube-apiserver-serving"),
        rule("create delete list update watch", "certificates.k8s.io", "clustertrustbundles"),
        TELL,
    ),
    "legacy-service-account-token-cleaner": (
        rule("get", "core", "configmaps", "kube-apiserver-legacy-service-account-token-tracking"),
        rule("delete patch", "core", "secrets"),
    ),
    "namespace-controller": (
        rule(f"{READ} delete", "core", "namespaces"),
        rule("update", "core", "namespaces/finalize namespaces/status"),
        rule(f"{READ} delete deletecollection", "*", "*"),
    ),
    "podcertificaterequestcleaner": (rule(f"{READ} delete", "certificates.k8s.io", "podcertificaterequests"),),
    "resourcequota-controller": (
        rule("list watch", "*", "*"),
        rule("update", "core", "resourcequotas/status"),
        TELL,
    ),
    "root-ca-cert-publisher": (rule("create update", "core", "configmaps"), TELL),
    "service-account-controller": (rule("create", "core", "serviceaccounts"), TELL),
    "validatingadmissionpolicy-status-controller": (
        rule(READ, "admissionregistration.k8s.io", "validatingadmissionpolicies"),
        rule("get patch update", "admissionregistration.k8s.io", "validatingadmissionpolicies/status"),
        TELL,
    ),
}

_RULES: Mapping[str, tuple[Object, ...]] = dict(
    sorted({**_NODES_AND_PODS, **_WORKLOADS, **_NETWORK, **_STORAGE, **_CLUSTER}.items())
)

CONTROLLER_ROLES: tuple[Object, ...] = tuple(role(f"{_PREFIX}{name}", *rules) for name, rules in _RULES.items())
CONTROLLER_BINDINGS: tuple[Object, ...] = tuple(binding(f"{_PREFIX}{name}", name) for name in _RULES)
