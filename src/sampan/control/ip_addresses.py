"""Each virtual address of a service has an IPAddress that names it; one whose service is gone goes too.

The addresses themselves are given out when a service is written: this tells of them. Spec: networking.k8s.io/v1 IPAddress, ServiceCIDR.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator

from sampan.client.informer import Informer
from sampan.client.port import Client
from sampan.control.controller import IP_ADDRESSES, SERVICE_CIDRS, SERVICES
from sampan.kube import object as objects
from sampan.kube.object import Object
from sampan.kube.status import ApiError
from sampan.reconcile.loop import Loop

_FAMILY, _MANAGED = "ipaddress.kubernetes.io/ip-family", "ipaddress.kubernetes.io/managed-by"
_BY = "ipallocator.k8s.io"
FINALIZER = "networking.k8s.io/service-cidr-finalizer"
_MESSAGE = "Kubernetes Service CIDR is ready"


class IpAddresses:
    name = "ip-addresses"

    def __init__(self, client: Client) -> None:
        self._client = client
        self._services = Informer(client, SERVICES, keep=_with_addresses)
        self._addresses = Informer(client, IP_ADDRESSES)
        self._holders: dict[str, Object] = {}  # address -> service
        self._loop: Loop[str] = Loop(self.name, self._reconcile, workers=2)

    async def start(self) -> None:
        def changed(old: Object | None, new: Object | None) -> None:
            for address in _addresses(old):
                self._holders.pop(address, None)
                self._loop.queue.add(address)
            for address in _addresses(new):
                self._holders[address] = new or {}
                self._loop.queue.add(address)

        self._services.on_change(changed)
        self._addresses.on_change(lambda old, new: self._loop.queue.add(objects.name(new or old or {})))
        self._services.start()
        self._addresses.start()
        self._loop.start()

    async def close(self) -> None:
        await self._loop.close()
        await self._services.close()
        await self._addresses.close()

    async def _reconcile(self, address: str) -> None:
        await self._services.synced()
        await self._addresses.synced()
        service, live = self._holders.get(address), self._addresses.get("", address)
        if service is None:
            if live is not None and objects.labels(live).get(_MANAGED) == _BY:
                await self._write(lambda: self._client.delete(IP_ADDRESSES, "", address))
        elif live is None:
            await self._write(lambda: self._client.create(IP_ADDRESSES, _wanted(address, service)))

    async def _write(self, write: Callable[[], object]) -> None:
        try:
            await write()  # type: ignore[misc]
        except ApiError as error:
            if error.code != 404 and error.reason != "AlreadyExists":
                raise


class ServiceCidrs:
    """A range is ready as soon as it is there, and stays while an address of it is in use."""

    name = "service-cidrs"

    def __init__(self, client: Client, now: Callable[[], str]) -> None:
        """`now`: RFC 3339."""
        self._client = client
        self._now = now
        self._cidrs = Informer(client, SERVICE_CIDRS)
        self._addresses = Informer(client, IP_ADDRESSES)
        self._loop: Loop[str] = Loop(self.name, self._reconcile)

    async def start(self) -> None:
        self._cidrs.on_change(lambda old, new: self._loop.queue.add(objects.name(new or old or {})))
        self._addresses.on_change(self._freed)
        self._cidrs.start()
        self._addresses.start()
        self._loop.start()

    async def close(self) -> None:
        await self._loop.close()
        await self._cidrs.close()
        await self._addresses.close()

    def _freed(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            for cidr in self._cidrs:
                if objects.deleting(cidr):
                    self._loop.queue.add(objects.name(cidr))

    async def _reconcile(self, name: str) -> None:
        await self._addresses.synced()
        cidr = self._cidrs.get("", name)
        if cidr is None:
            return
        if objects.deleting(cidr):
            if FINALIZER in objects.finalizers(cidr) and not self._used(cidr):
                left = [item for item in objects.finalizers(cidr) if item != FINALIZER]
                await self._client.update(
                    SERVICE_CIDRS, {**cidr, "metadata": {**objects.metadata(cidr), "finalizers": left}}
                )
            return
        if FINALIZER not in objects.finalizers(cidr):
            meta = {**objects.metadata(cidr), "finalizers": [*objects.finalizers(cidr), FINALIZER]}
            cidr = await self._client.update(SERVICE_CIDRS, {**cidr, "metadata": meta})
        conditions = objects.at(cidr, "status", "conditions") or []
        if not any(each.get("type") == "Ready" for each in conditions):
            ready = {
                "type": "Ready",
                "status": "True",
                "reason": "",
                "message": _MESSAGE,
                "lastTransitionTime": self._now(),
            }
            status = {"conditions": [*conditions, ready]}
            await self._client.update(SERVICE_CIDRS, {**cidr, "status": status}, subresource="status")

    def _used(self, cidr: Object) -> bool:
        """Return whether an address is of this range and of no other that stays."""
        gone = _networks(cidr)
        stay = [net for other in self._cidrs if not objects.deleting(other) for net in _networks(other)]
        return any(
            any(address in net for net in gone) and not any(address in net for net in stay)
            for address in map(ipaddress.ip_address, map(objects.name, self._addresses))
        )


def _networks(cidr: Object) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    return [ipaddress.ip_network(text) for text in objects.at(cidr, "spec", "cidrs") or []]


def _addresses(service: Object | None) -> Iterator[str]:
    for address in objects.at(service or {}, "spec", "clusterIPs") or []:
        if address != "None":
            yield address


def _with_addresses(service: Object) -> Object | None:
    """Return what has to be remembered of a service, to save memory."""
    meta, found = objects.metadata(service), list(_addresses(service))
    if not found:
        return None
    return {"metadata": {key: meta[key] for key in ("name", "namespace")}, "spec": {"clusterIPs": found}}


def _wanted(address: str, service: Object) -> Object:
    parent = {
        "group": "",
        "resource": "services",
        "namespace": objects.namespace(service),
        "name": objects.name(service),
    }
    family = f"IPv{ipaddress.ip_address(address).version}"
    return {"metadata": {"name": address, "labels": {_FAMILY: family, _MANAGED: _BY}}, "spec": {"parentRef": parent}}
