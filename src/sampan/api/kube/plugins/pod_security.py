"""Namespaces say by labels how secure their pods have to be: enforced, warned about, or written to the audit log.

Spec: Kubernetes "Pod Security Admission".
"""

from __future__ import annotations

from sampan.api.kube.admission import Attributes
from sampan.api.kube.lookup import Lookup
from sampan.kube import pod_security, status
from sampan.kube.fielderror import invalid
from sampan.kube.object import Object
from sampan.kube.pod_security import LEVELS, Level
from sampan.kube.reading import mapping, text

_LABEL = "pod-security.kubernetes.io/"
_TEMPLATES = {
    ("apps", "deployments"), ("apps", "replicasets"), ("apps", "statefulsets"), ("apps", "daemonsets"),
    ("batch", "jobs"), ("", "replicationcontrollers"),
}  # fmt: skip


class PodSecurity:
    name = "PodSecurity"

    def __init__(self, namespaces: Lookup) -> None:
        self._namespaces = namespaces

    async def mutate(self, attributes: Attributes) -> None:
        pass

    async def validate(self, attributes: Attributes) -> None:
        new = attributes.object
        if new is None:
            return
        if attributes.concerns("namespaces"):
            _labels(attributes, new)
            return
        pod = attributes.concerns("pods") or attributes.concerns("pods", subresource="ephemeralcontainers")
        template = _template(attributes, new)
        if not pod and template is None:
            return
        if pod and attributes.operation == "UPDATE" and not _weighs(attributes):
            return
        namespace = await self._namespaces.find("", attributes.namespace)
        labels = mapping(namespace, "metadata", "labels")
        checked = new if pod else template or {}
        metadata, spec = mapping(checked, "metadata"), mapping(checked, "spec")
        if pod and (why := _violated(labels, "enforce", metadata, spec)):
            raise status.forbidden("pods", "", attributes.name, f"violates PodSecurity {why}")
        if why := _violated(labels, "audit", metadata, spec):
            attributes.audit[f"{_LABEL}audit-violations"] = f"would violate PodSecurity {why}"
        if why := _violated(labels, "warn", metadata, spec):
            attributes.warnings.append(f"would violate PodSecurity {why}")


def _violated(labels: Object, mode: str, metadata: Object, spec: Object) -> str:
    level = Level(text(labels, _LABEL + mode), text(labels, f"{_LABEL}{mode}-version", missing="latest"))
    found = pod_security.violations(level.level, metadata, spec)
    return f'"{level}": {", ".join(found)}' if found else ""


def _weighs(attributes: Attributes) -> bool:
    """Return whether a change is of anything that the checks look at."""
    before, after = mapping(attributes.old, "spec"), mapping(attributes.object, "spec")
    return before != after or _annotations(attributes.old) != _annotations(attributes.object)


def _annotations(pod: Object | None) -> Object:
    return mapping(pod, "metadata", "annotations")


def _template(attributes: Attributes, new: Object) -> Object | None:
    resource = attributes.resource
    if attributes.subresource:
        return None
    if (resource.group, resource.plural) in _TEMPLATES:
        return mapping(new, "spec", "template")
    if (resource.group, resource.plural) == ("batch", "cronjobs"):
        return mapping(new, "spec", "jobTemplate", "spec", "template")
    if (resource.group, resource.plural) == ("", "podtemplates"):
        return mapping(new, "template")
    return None


def _labels(attributes: Attributes, namespace: Object) -> None:
    """Refuse labels that name no level."""
    before = mapping(attributes.old, "metadata", "labels")
    for mode in ("enforce", "audit", "warn"):
        level = mapping(namespace, "metadata", "labels").get(_LABEL + mode)
        if level is not None and level not in LEVELS and before.get(_LABEL + mode) != level:
            fault = invalid(f"metadata.labels[{_LABEL}{mode}]", level, f"must be one of {', '.join(LEVELS)}")
            raise status.invalid("Namespace", "", attributes.name, [fault])
