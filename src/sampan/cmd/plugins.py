"""The server's own admission plugins, put together."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from sampan.api.kube.access import Authorizer
from sampan.api.kube.admission import Plugin
from sampan.api.kube.plugins.certificates import CertificateAdmission
from sampan.api.kube.plugins.limit_ranger import LimitRanger
from sampan.api.kube.plugins.namespace_lifecycle import NamespaceLifecycle
from sampan.api.kube.plugins.pod_defaults import DefaultTolerations, RuntimeClassAdmission, TaintNewNodes
from sampan.api.kube.plugins.pod_security import PodSecurity
from sampan.api.kube.plugins.priority import PriorityAdmission
from sampan.api.kube.plugins.service_account import ServiceAccountAdmission
from sampan.api.kube.plugins.service_addresses import ServiceAddresses
from sampan.api.kube.plugins.storage import ClaimResize, DefaultClasses, StorageInUse
from sampan.cmd.views import Views

SERVICE_CIDR = "10.96.0.0/12"


def own(views: Views, authorizer: Authorizer, now: Callable[[], str]) -> list[Plugin]:
    """Return the plugins in their order; quotas count later, what all others let through."""
    return [
        NamespaceLifecycle(views.lookup("namespaces")),
        LimitRanger(views["limitranges"]),
        ServiceAccountAdmission(views.lookup("serviceaccounts")),
        TaintNewNodes(),
        PodSecurity(views.lookup("namespaces")),
        PriorityAdmission(views["priorityclasses"], views.lookup("priorityclasses")),
        DefaultTolerations(),
        DefaultClasses(views["storageclasses"], views["ingressclasses"]),
        StorageInUse(),
        ClaimResize(views["storageclasses"]),
        RuntimeClassAdmission(views.lookup("runtimeclasses")),
        CertificateAdmission(authorizer, now),
        ServiceAddresses(views["services"], SERVICE_CIDR, secrets.randbelow),
    ]
