"""A small cluster in memory for tests of access: records, and roles in force."""

from __future__ import annotations

from sampan.api.kube.authz import Rbac
from sampan.api.kube.records import Records
from sampan.api.kube.view import View
from sampan.kube import catalog
from sampan.kube.object import Object
from sampan.kube.resource import Resource
from sampan.store.kv.memory import MemoryStore

RBAC = "rbac.authorization.k8s.io"
_PLURALS = {"Role": "roles", "ClusterRole": "clusterroles", "RoleBinding": "rolebindings"}
_PLURALS["ClusterRoleBinding"] = "clusterrolebindings"


def resource(plural: str, group: str = "") -> Resource:
    return next(item for item in catalog.RESOURCES if (item.plural, item.group) == (plural, group))


class Cluster:
    """Use it on one event loop; close it at the end."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.records = Records(self.store)
        self.views = [View(self.records, resource(plural, RBAC)) for plural in _PLURALS.values()]
        self.rbac = Rbac(*self.views)

    async def start(self) -> None:
        for view in self.views:
            await view.start()

    async def put(self, obj: Object, plural: str = "", group: str = "") -> Object:
        """Keep an object, whether there is one of that name or not."""
        kind = resource(plural, group) if plural else resource(_PLURALS[obj["kind"]], RBAC)
        meta = obj["metadata"]
        found = await self.records.get(kind, meta.get("namespace", ""), meta["name"])
        if found is None:
            revision = await self.records.create(kind, obj)
        else:
            revision = await self.records.update(kind, obj, int(found["metadata"]["resourceVersion"]))
        for view in self.views:
            await view.caught_up(revision)
        return obj

    async def drop(self, obj: Object) -> None:
        kind, meta = resource(_PLURALS[obj["kind"]], RBAC), obj["metadata"]
        found = await self.records.get(kind, meta.get("namespace", ""), meta["name"])
        assert found is not None
        version = int(found["metadata"]["resourceVersion"])
        revision = await self.records.delete(kind, meta.get("namespace", ""), meta["name"], version)
        for view in self.views:
            await view.caught_up(revision)

    async def close(self) -> None:
        for view in self.views:
            view.close()
        await self.store.close()


def role(name: str, *rules: Object, namespace: str = "") -> Object:
    kind = "Role" if namespace else "ClusterRole"
    return {"kind": kind, "metadata": _meta(name, namespace), "rules": list(rules)}


def rule(verbs: str, resources: str = "", group: str = "", names: str = "", urls: str = "") -> Object:
    """Return a rule; every argument is a list of words."""
    if urls:
        return {"verbs": verbs.split(), "nonResourceURLs": urls.split()}
    out: Object = {"verbs": verbs.split(), "apiGroups": [group], "resources": resources.split()}
    return {**out, "resourceNames": names.split()} if names else out


def bind(name: str, to: str, *subjects: str, namespace: str = "", role_kind: str = "ClusterRole") -> Object:
    """Return a binding of a role to subjects: `User:x`, `Group:x`, `ServiceAccount:namespace:x`."""
    listed = []
    for text in subjects:
        kind, *rest = text.split(":", 2 if text.startswith("ServiceAccount") else 1)
        listed.append({"kind": kind, "name": rest[-1], **({"namespace": rest[0]} if len(rest) > 1 else {})})
    return {
        "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
        "metadata": _meta(name, namespace),
        "roleRef": {"kind": role_kind, "name": to, "apiGroup": RBAC},
        "subjects": listed,
    }


def _meta(name: str, namespace: str) -> Object:
    return {"name": name, **({"namespace": namespace} if namespace else {})}
