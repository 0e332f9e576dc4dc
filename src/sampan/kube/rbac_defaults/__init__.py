"""The roles and bindings that every cluster has. Spec: Kubernetes "Using RBAC Authorization", "Default roles and role bindings"."""

from sampan.kube.rbac_defaults.cluster import CLUSTER_BINDINGS, CLUSTER_ROLES
from sampan.kube.rbac_defaults.controllers import CONTROLLER_BINDINGS, CONTROLLER_ROLES
from sampan.kube.rbac_defaults.namespaced import NAMESPACED_BINDINGS, NAMESPACED_ROLES
from sampan.kube.rbac_defaults.reconciled import reconciled

ROLES = (*CLUSTER_ROLES, *CONTROLLER_ROLES)
BINDINGS = (*CLUSTER_BINDINGS, *CONTROLLER_BINDINGS)

__all__ = ["BINDINGS", "NAMESPACED_BINDINGS", "NAMESPACED_ROLES", "ROLES", "reconciled"]
