"""The catalog: every built-in resource, and the strategy of every kind. A new kind is a line here and a file in `kinds/`.

Spec: Kubernetes API reference 1.37; the tables are what a server of that version tells in its discovery.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from sampan.kube.kinds import (
    admissionregistration,
    apiextensions,
    apiregistration,
    apps,
    authentication,
    authorization,
    autoscaling,
    batch,
    certificates,
    coordination,
    core,
    discovery,
    event,
    flowcontrol,
    networking,
    node,
    pod,
    podgroup,
    policy,
    rbac,
    resource,
    scheduling,
    service,
    storage,
    storagemigration,
    volumes,
)
from sampan.kube.printing.printers import PRINTERS
from sampan.kube.resource import VERBS, Resource, Subresource
from sampan.kube.strategy import Strategy

_STATUS = Subresource("status")
_SCALE = Subresource("scale", kind="Scale", group="autoscaling", version="v1")
_CREATE = ("create",)
_CONNECT = ("create", "get")
_PROXY = Subresource("proxy", ("create", "delete", "get", "patch", "update"))
_POD_PARTS = (
    Subresource("attach", _CONNECT, "PodAttachOptions"),
    Subresource("binding", _CREATE, "Binding"),
    Subresource("ephemeralcontainers"),
    Subresource("eviction", _CREATE, "Eviction", "policy", "v1"),
    Subresource("exec", _CONNECT, "PodExecOptions"),
    Subresource("log", ("get",)),
    Subresource("portforward", _CONNECT, "PodPortForwardOptions"),
    Subresource("proxy", _PROXY.verbs, "PodProxyOptions"),
    Subresource("resize"),
    _STATUS,
)
_NO_COLLECTION = tuple(verb for verb in VERBS if verb != "deletecollection")
_ALL = ("all",)


def _resource(  # the columns of the table below
    plural: str,
    kind: str,
    short: str = "",
    *,
    cluster: bool = False,
    parts: tuple[Subresource, ...] = (),
    categories: tuple[str, ...] = (),
    verbs: tuple[str, ...] = VERBS,
    package: str = "",
    stored_as: str = "",
    storage: str = "",
) -> Resource:
    return Resource(
        group="",
        version="v1",
        plural=plural,
        kind=kind,
        namespaced=not cluster,
        singular=kind.lower(),
        short_names=tuple(short.split()),
        categories=categories,
        verbs=verbs,
        subresources=parts,
        definition=f"{package}.{kind}" if package else "",
        stored_as=stored_as,
        storage=storage,
    )


def _group(name: str, package: str, *resources: Resource, version: str = "v1") -> tuple[Resource, ...]:
    """Return resources of one group and version; `package`: where their schemas are."""
    return tuple(
        msgspec.structs.replace(
            resource,
            group=name,
            version=version,
            definition=resource.definition or f"{package}.{version}.{resource.kind}",
        )
        for resource in resources
    )


_r = _resource
_API = "io.k8s.api"

RESOURCES: tuple[Resource, ...] = (
    *_group(
        "",
        f"{_API}.core",
        _r("bindings", "Binding", verbs=_CREATE),
        _r("componentstatuses", "ComponentStatus", "cs", cluster=True, verbs=("get", "list")),
        _r("configmaps", "ConfigMap", "cm"),
        _r("endpoints", "Endpoints", "ep"),
        _r("events", "Event", "ev"),
        _r("limitranges", "LimitRange", "limits"),
        _r("namespaces", "Namespace", "ns", cluster=True, verbs=_NO_COLLECTION,
           parts=(Subresource("finalize", ("update",)), _STATUS)),
        _r("nodes", "Node", "no", cluster=True, parts=(Subresource("proxy", _PROXY.verbs, "NodeProxyOptions"), _STATUS)),
        _r("persistentvolumeclaims", "PersistentVolumeClaim", "pvc", parts=(_STATUS,)),
        _r("persistentvolumes", "PersistentVolume", "pv", cluster=True, parts=(_STATUS,)),
        _r("pods", "Pod", "po", parts=_POD_PARTS, categories=_ALL),
        _r("podtemplates", "PodTemplate"),
        _r("replicationcontrollers", "ReplicationController", "rc", parts=(_SCALE, _STATUS), categories=_ALL),
        _r("resourcequotas", "ResourceQuota", "quota", parts=(_STATUS,)),
        _r("secrets", "Secret"),
        _r("serviceaccounts", "ServiceAccount", "sa",
           parts=(Subresource("token", _CREATE, "TokenRequest", "authentication.k8s.io", "v1"),)),
        _r("services", "Service", "svc", categories=_ALL,
           parts=(Subresource("proxy", _PROXY.verbs, "ServiceProxyOptions"), _STATUS)),
    ),
    *_group(
        "admissionregistration.k8s.io",
        f"{_API}.admissionregistration",
        _r("mutatingadmissionpolicies", "MutatingAdmissionPolicy", cluster=True),
        _r("mutatingadmissionpolicybindings", "MutatingAdmissionPolicyBinding", cluster=True),
        _r("mutatingwebhookconfigurations", "MutatingWebhookConfiguration", cluster=True, categories=("api-extensions",)),
        _r("validatingadmissionpolicies", "ValidatingAdmissionPolicy", cluster=True, parts=(_STATUS,),
           categories=("api-extensions",)),
        _r("validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding", cluster=True,
           categories=("api-extensions",)),
        _r("validatingwebhookconfigurations", "ValidatingWebhookConfiguration", cluster=True,
           categories=("api-extensions",)),
    ),
    *_group(
        "apiextensions.k8s.io",
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions",
        _r("customresourcedefinitions", "CustomResourceDefinition", "crd crds", cluster=True, parts=(_STATUS,),
           categories=("api-extensions",)),
    ),
    *_group(
        "apiregistration.k8s.io",
        "io.k8s.kube-aggregator.pkg.apis.apiregistration",
        _r("apiservices", "APIService", cluster=True, parts=(_STATUS,), categories=("api-extensions",)),
    ),
    *_group(
        "apps",
        f"{_API}.apps",
        _r("controllerrevisions", "ControllerRevision"),
        _r("daemonsets", "DaemonSet", "ds", parts=(_STATUS,), categories=_ALL),
        _r("deployments", "Deployment", "deploy", parts=(_SCALE, _STATUS), categories=_ALL),
        _r("replicasets", "ReplicaSet", "rs", parts=(_SCALE, _STATUS), categories=_ALL),
        _r("statefulsets", "StatefulSet", "sts", parts=(_SCALE, _STATUS), categories=_ALL),
    ),
    *_group(
        "authentication.k8s.io",
        f"{_API}.authentication",
        _r("selfsubjectreviews", "SelfSubjectReview", cluster=True, verbs=_CREATE),
        _r("tokenreviews", "TokenReview", cluster=True, verbs=_CREATE),
    ),
    *_group(
        "authorization.k8s.io",
        f"{_API}.authorization",
        _r("localsubjectaccessreviews", "LocalSubjectAccessReview", verbs=_CREATE),
        _r("selfsubjectaccessreviews", "SelfSubjectAccessReview", cluster=True, verbs=_CREATE),
        _r("selfsubjectrulesreviews", "SelfSubjectRulesReview", cluster=True, verbs=_CREATE),
        _r("subjectaccessreviews", "SubjectAccessReview", cluster=True, verbs=_CREATE),
    ),
    *_group(
        "autoscaling",
        f"{_API}.autoscaling",
        _r("horizontalpodautoscalers", "HorizontalPodAutoscaler", "hpa", parts=(_STATUS,), categories=_ALL),
        version="v2",
    ),
    *_group(
        "autoscaling",
        f"{_API}.autoscaling",
        _r("horizontalpodautoscalers", "HorizontalPodAutoscaler", "hpa", parts=(_STATUS,), categories=_ALL,
           storage="autoscaling/v2"),
    ),
    *_group(
        "batch",
        f"{_API}.batch",
        _r("cronjobs", "CronJob", "cj", parts=(_STATUS,), categories=_ALL),
        _r("jobs", "Job", parts=(_STATUS,), categories=_ALL),
    ),
    *_group(
        "certificates.k8s.io",
        f"{_API}.certificates",
        _r("certificatesigningrequests", "CertificateSigningRequest", "csr", cluster=True,
           parts=(Subresource("approval"), _STATUS)),
        _r("clustertrustbundles", "ClusterTrustBundle", cluster=True),
        _r("podcertificaterequests", "PodCertificateRequest", parts=(_STATUS,)),
    ),
    *_group("coordination.k8s.io", f"{_API}.coordination", _r("leases", "Lease")),
    *_group("discovery.k8s.io", f"{_API}.discovery", _r("endpointslices", "EndpointSlice")),
    *_group("events.k8s.io", f"{_API}.events", _r("events", "Event", "ev", stored_as="core/events", storage="v1")),
    *_group(
        "flowcontrol.apiserver.k8s.io",
        f"{_API}.flowcontrol",
        _r("flowschemas", "FlowSchema", cluster=True, parts=(_STATUS,)),
        _r("prioritylevelconfigurations", "PriorityLevelConfiguration", cluster=True, parts=(_STATUS,)),
    ),
    *_group(
        "networking.k8s.io",
        f"{_API}.networking",
        _r("ingressclasses", "IngressClass", cluster=True),
        _r("ingresses", "Ingress", "ing", parts=(_STATUS,)),
        _r("ipaddresses", "IPAddress", "ip", cluster=True),
        _r("networkpolicies", "NetworkPolicy", "netpol"),
        _r("servicecidrs", "ServiceCIDR", cluster=True, parts=(_STATUS,)),
    ),
    *_group("node.k8s.io", f"{_API}.node", _r("runtimeclasses", "RuntimeClass", cluster=True)),
    *_group(
        "policy", f"{_API}.policy", _r("poddisruptionbudgets", "PodDisruptionBudget", "pdb", parts=(_STATUS,))
    ),
    *_group(
        "rbac.authorization.k8s.io",
        f"{_API}.rbac",
        _r("clusterrolebindings", "ClusterRoleBinding", cluster=True),
        _r("clusterroles", "ClusterRole", cluster=True),
        _r("rolebindings", "RoleBinding"),
        _r("roles", "Role"),
    ),
    *_group(
        "resource.k8s.io",
        f"{_API}.resource",
        _r("deviceclasses", "DeviceClass", cluster=True),
        _r("devicetaintrules", "DeviceTaintRule", cluster=True, parts=(_STATUS,)),
        _r("resourceclaims", "ResourceClaim", parts=(_STATUS,)),
        _r("resourceclaimtemplates", "ResourceClaimTemplate"),
        _r("resourceslices", "ResourceSlice", cluster=True),
    ),
    *_group("scheduling.k8s.io", f"{_API}.scheduling", _r("priorityclasses", "PriorityClass", "pc", cluster=True)),
    *_group(
        "scheduling.k8s.io",
        f"{_API}.scheduling",
        _r("podgroups", "PodGroup", parts=(_STATUS,), storage="scheduling.k8s.io/v1beta1"),
        version="v1beta1",
    ),
    *_group(
        "storage.k8s.io",
        f"{_API}.storage",
        _r("csidrivers", "CSIDriver", cluster=True),
        _r("csinodes", "CSINode", cluster=True),
        _r("csistoragecapacities", "CSIStorageCapacity"),
        _r("storageclasses", "StorageClass", "sc", cluster=True),
        _r("volumeattachments", "VolumeAttachment", cluster=True, parts=(_STATUS,)),
        _r("volumeattributesclasses", "VolumeAttributesClass", "vac", cluster=True),
    ),
    *_group(
        "storagemigration.k8s.io",
        f"{_API}.storagemigration",
        _r("storageversionmigrations", "StorageVersionMigration", cluster=True, parts=(_STATUS,)),
    ),
)  # fmt: skip

_BY_GROUP: Mapping[str, Mapping[str, Strategy]] = {
    "": {
        **core.STRATEGIES,
        **pod.STRATEGIES,
        **service.STRATEGIES,
        **volumes.STRATEGIES,
        **event.STRATEGIES,
    },
    "admissionregistration.k8s.io": admissionregistration.STRATEGIES,
    "apiextensions.k8s.io": apiextensions.STRATEGIES,
    "apiregistration.k8s.io": apiregistration.STRATEGIES,
    "apps": apps.STRATEGIES,
    "authentication.k8s.io": authentication.STRATEGIES,
    "authorization.k8s.io": authorization.STRATEGIES,
    "autoscaling": autoscaling.STRATEGIES,
    "batch": batch.STRATEGIES,
    "certificates.k8s.io": certificates.STRATEGIES,
    "coordination.k8s.io": coordination.STRATEGIES,
    "discovery.k8s.io": discovery.STRATEGIES,
    "events.k8s.io": event.STRATEGIES,
    "flowcontrol.apiserver.k8s.io": flowcontrol.STRATEGIES,
    "networking.k8s.io": networking.STRATEGIES,
    "node.k8s.io": node.STRATEGIES,
    "policy": policy.STRATEGIES,
    "rbac.authorization.k8s.io": rbac.STRATEGIES,
    "resource.k8s.io": resource.STRATEGIES,
    "scheduling.k8s.io": {**scheduling.STRATEGIES, **podgroup.STRATEGIES},
    "storage.k8s.io": storage.STRATEGIES,
    "storagemigration.k8s.io": storagemigration.STRATEGIES,
}

STRATEGIES: Mapping[tuple[str, str], Strategy] = {
    (group, kind): msgspec.structs.replace(found, printer=PRINTERS.get((group, kind)) or found.printer)
    for group, strategies in _BY_GROUP.items()
    for kind, found in strategies.items()
}
"""(group, kind) -> behaviour. Kinds without one have none of their own."""

OLDER: Mapping[tuple[str, str, str], Strategy] = {
    ("autoscaling", "v1", "HorizontalPodAutoscaler"): msgspec.structs.replace(
        autoscaling.STRATEGY_V1, printer=PRINTERS.get(("autoscaling", "HorizontalPodAutoscaler"))
    ),
}
"""(group, version, kind) -> behaviour of versions that differ from the stored one."""


def strategy(resource: Resource) -> Strategy:
    """Return the behaviour of a resource's kind in its version."""
    older = OLDER.get((resource.group, resource.version, resource.kind))
    return older or STRATEGIES.get((resource.group, resource.kind)) or Strategy()
