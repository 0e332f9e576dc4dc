"""Rows of rbac.authorization.k8s.io. Roles have no columns of their own."""

from __future__ import annotations

from typing import Any

from sampan.kube.object import Object
from sampan.kube.printing.cell import AGE, NAME, age, name
from sampan.kube.reading import items, text
from sampan.kube.strategy import Column, Printer


def _subjects(binding: Object, kind: str) -> str:
    subjects = (each for each in items(binding, "subjects") if each.get("kind") == kind)
    if kind == "ServiceAccount":
        return ", ".join(f"{text(each, 'namespace')}/{text(each, 'name')}" for each in subjects)
    return ", ".join(text(each, "name") for each in subjects)


def _binding(obj: Object, now_s: float) -> list[Any]:
    return [
        name(obj),
        f"{text(obj, 'roleRef', 'kind')}/{text(obj, 'roleRef', 'name')}",
        age(obj, now_s),
        *(_subjects(obj, kind) for kind in ("User", "Group", "ServiceAccount")),
    ]


BINDING = Printer(
    (
        NAME,
        Column("Role", description="What it grants."),
        AGE,
        Column("Users", description="Users that it is granted to.", priority=1),
        Column("Groups", description="Groups that it is granted to.", priority=1),
        Column("ServiceAccounts", description="ServiceAccounts that it is granted to.", priority=1),
    ),
    _binding,
)
"""Of RoleBinding and ClusterRoleBinding."""
