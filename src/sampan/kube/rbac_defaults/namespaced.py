"""Default roles of single namespaces, and who has them."""

from __future__ import annotations

from sampan.kube.object import Object
from sampan.kube.rbac_defaults.make import READ, TELL, binding, role, rule

_SYSTEM, _PUBLIC = "kube-system", "kube-public"
_LEADING = (
    rule("create get list update watch", "coordination.k8s.io", "leases"),
    rule("create get list update watch", "coordination.k8s.io", "leasecandidates"),
)
_MANAGER, _SCHEDULER = "user:system:kube-controller-manager", "user:system:kube-scheduler"
_SIGNER, _READER = "system:controller:bootstrap-signer", "extension-apiserver-authentication-reader"

NAMESPACED_ROLES: tuple[Object, ...] = (
    role(
        _SIGNER,
        rule(READ, "core", "configmaps"),
        rule("update", "core", "configmaps", "cluster-info"),
        TELL,
        namespace=_PUBLIC,
    ),
    role(_READER, rule(READ, "core", "configmaps", "extension-apiserver-authentication"), namespace=_SYSTEM),
    role("system::leader-locking-kube-controller-manager", *_LEADING, namespace=_SYSTEM),
    role("system::leader-locking-kube-scheduler", *_LEADING, namespace=_SYSTEM),
    role(_SIGNER, rule(READ, "core", "secrets"), namespace=_SYSTEM),
    role("system:controller:cloud-provider", rule(f"{READ} create", "core", "configmaps"), namespace=_SYSTEM),
    role("system:controller:token-cleaner", rule(f"{READ} delete", "core", "secrets"), TELL, namespace=_SYSTEM),
)

NAMESPACED_BINDINGS: tuple[Object, ...] = (
    binding(_SIGNER, "bootstrap-signer", namespace=_PUBLIC),
    binding(f"system::{_READER}", _MANAGER, _SCHEDULER, namespace=_SYSTEM, to=_READER),
    binding(
        "system::leader-locking-kube-controller-manager",
        _MANAGER,
        "kube-controller-manager",
        "leader-election-controller",
        namespace=_SYSTEM,
    ),
    binding("system::leader-locking-kube-scheduler", _SCHEDULER, "kube-scheduler", namespace=_SYSTEM),
    binding(_SIGNER, "bootstrap-signer", namespace=_SYSTEM),
    binding("system:controller:cloud-provider", "cloud-provider", namespace=_SYSTEM),
    binding("system:controller:token-cleaner", "token-cleaner", namespace=_SYSTEM),
)
