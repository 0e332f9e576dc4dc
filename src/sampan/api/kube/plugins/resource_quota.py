"""Nothing is let in that would exceed a quota of its namespace. Spec: admission plugin ResourceQuota."""

from __future__ import annotations

from sampan.api.kube.admission import Attributes
from sampan.api.kube.quotas import Exceeded, Quotas
from sampan.kube import status

_GROWS = ("pods", "services", "persistentvolumeclaims")
"""Core kinds whose use may grow by a change."""


class ResourceQuotaAdmission:
    """Has to be the last plugin but those that look at rights: what it counts is let in."""

    name = "ResourceQuota"

    def __init__(self, quotas: Quotas) -> None:
        self._quotas = quotas

    async def mutate(self, attributes: Attributes) -> None:
        pass

    async def validate(self, attributes: Attributes) -> None:
        new, resource = attributes.object, attributes.resource
        if new is None or not resource.namespaced or attributes.dry_run or attributes.subresource not in ("", "resize"):
            return
        if attributes.operation != "CREATE" and (resource.group or resource.plural not in _GROWS):
            return
        try:
            attributes.failed.append(await self._quotas.admit(resource, new))
        except Exceeded as error:
            raise status.forbidden(resource.plural, resource.group, attributes.name, str(error)) from None
