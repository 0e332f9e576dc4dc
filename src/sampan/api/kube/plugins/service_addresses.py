"""Services get their virtual address and node ports: unique, inside the ranges, kept for as long as the service is there.

Spec: Kubernetes "Service ClusterIP allocation", "NodePort".
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator

from sampan.api.kube.admission import Attributes
from sampan.api.kube.records import Change
from sampan.api.kube.view import View
from sampan.kube import object as objects
from sampan.kube import status
from sampan.kube.fielderror import invalid
from sampan.kube.object import Object

NODE_PORTS = range(30_000, 32_768)


class ServiceAddresses:
    """What a service in the making was given is taken at once, before the store shows it."""

    name = "ServiceAddresses"

    def __init__(self, view: View, cidr: str, choose: Callable[[int], int]) -> None:
        """`view`: of services. `choose(n)`: a number below n."""
        self._network = ipaddress.ip_network(cidr)
        self._choose = choose
        self._holders: dict[str, str] = {}  # address or port -> namespace/name
        view.on_change(self._changed)

    def _changed(self, change: Change) -> None:
        owner = _owner(change.object)
        before = set(_held(change.previous)) if change.previous else set()
        after = set(_held(change.object)) if change.type != "DELETED" else set()
        for held in before - after:
            if self._holders.get(held) == owner:
                del self._holders[held]
        for held in after:
            self._holders[held] = owner

    async def mutate(self, attributes: Attributes) -> None:
        obj = attributes.object
        if (
            attributes.resource.plural != "services"
            or attributes.resource.group
            or obj is None
            or attributes.subresource
        ):
            return
        spec = obj.get("spec")
        if not isinstance(spec, dict):
            return
        old_spec = (attributes.old or {}).get("spec") or {}
        if spec.get("type") == "ExternalName":
            for key in ("clusterIP", "clusterIPs"):
                spec.pop(key, None)
            return
        self._require_family(obj, spec)
        self._give_address(attributes, obj, spec, old_spec)
        if spec.get("type") in ("NodePort", "LoadBalancer") and spec.get("allocateLoadBalancerNodePorts", True):
            for index, port in enumerate(spec.get("ports") or []):
                if isinstance(port, dict):
                    self._give_port(attributes, obj, port, index, old_spec)
        if (spec.get("type"), spec.get("externalTrafficPolicy")) == ("LoadBalancer", "Local"):
            self._give_check(attributes, obj, spec, old_spec)

    async def validate(self, attributes: Attributes) -> None:
        pass

    def _require_family(self, obj: Object, spec: Object) -> None:
        """Refuse what services of two families ask for: this server has addresses of one."""
        own, policy = f"IPv{self._network.version}", spec.get("ipFamilyPolicy")
        faults = [
            invalid(f"spec.ipFamilies[{index}]", family, "not configured on this cluster")
            for index, family in enumerate(spec.get("ipFamilies") or [])
            if family in ("IPv4", "IPv6") and family != own
        ]
        if policy == "RequireDualStack":
            why = "this cluster is not configured for dual-stack services"
            faults.append(invalid("spec.ipFamilyPolicy", policy, why))
        if faults:
            raise status.invalid("Service", "", objects.name(obj), faults)

    def _give_check(self, attributes: Attributes, obj: Object, spec: Object, old: Object) -> None:
        """Give the port at which a balancer asks whether a node has endpoints."""
        if spec.get("healthCheckNodePort") or old.get("healthCheckNodePort"):
            spec.setdefault("healthCheckNodePort", old.get("healthCheckNodePort"))
            return
        number = spec["healthCheckNodePort"] = self._free_port()
        if not attributes.dry_run:
            self._holders.setdefault(f":{number}", _owner(obj))

    def _free_port(self) -> int:
        start = self._choose(len(NODE_PORTS))
        numbers = (NODE_PORTS[(start + step) % len(NODE_PORTS)] for step in range(len(NODE_PORTS)))
        found = next((number for number in numbers if f":{number}" not in self._holders), None)
        if found is None:
            raise status.internal("failed to allocate a nodePort: range is full")
        return found

    def _give_address(self, attributes: Attributes, obj: Object, spec: Object, old: Object) -> None:
        address = spec.get("clusterIP") or (spec.get("clusterIPs") or [""])[0] or old.get("clusterIP")
        owner = _owner(obj)
        if not address:
            address = next((found for found in self._candidates() if found not in self._holders), "")
            if not address:
                raise status.internal("failed to allocate a serviceIP: range is full")
        elif address not in ("None", old.get("clusterIP")):
            self._check_address(attributes, obj, address, owner)
        spec["clusterIP"], spec["clusterIPs"] = address, spec.get("clusterIPs") or [address]
        if address != "None" and not attributes.dry_run:
            self._holders.setdefault(address, owner)

    def _check_address(self, attributes: Attributes, obj: Object, address: str, owner: str) -> None:
        why = ""
        try:
            inside = ipaddress.ip_address(address) in self._network
        except ValueError:
            return  # validation says it
        if not inside:
            why = f"failed to allocate IP {address}: the provided IP ({address}) is not in the valid range"
        elif self._holders.get(address, owner) != owner:
            why = f"failed to allocate IP {address}: provided IP is already allocated"
        if why:
            raise status.invalid("Service", "", objects.name(obj), [invalid("spec.clusterIPs", [address], why)])

    def _candidates(self) -> Iterator[str]:
        """Yield addresses, beginning anywhere; the first ones of the range are left for those who ask by name."""
        reserved = min(256, self._network.num_addresses // 16 + 1)
        count = self._network.num_addresses - reserved - 1
        start = self._choose(count)
        for step in range(count):
            yield str(self._network[reserved + (start + step) % count])

    def _give_port(self, attributes: Attributes, obj: Object, port: Object, index: int, old: Object) -> None:
        owner, wanted = _owner(obj), port.get("nodePort")
        kept = [item.get("nodePort") for item in old.get("ports") or []]
        if not wanted:
            same = [
                item
                for item in old.get("ports") or []
                if (item.get("port"), item.get("protocol")) == (port.get("port"), port.get("protocol"))
            ]
            wanted = same[0].get("nodePort") if same else None
        if not wanted:
            wanted = self._free_port()
        elif wanted not in kept:
            path = f"spec.ports[{index}].nodePort"
            if wanted not in NODE_PORTS:
                why = f"provided port is not in the valid range. The range of valid ports is {NODE_PORTS.start}-{NODE_PORTS.stop - 1}"
                raise status.invalid("Service", "", objects.name(obj), [invalid(path, wanted, why)])
            if self._holders.get(f":{wanted}", owner) != owner:
                raise status.invalid(
                    "Service", "", objects.name(obj), [invalid(path, wanted, "provided port is already allocated")]
                )
        port["nodePort"] = wanted
        if not attributes.dry_run:
            self._holders.setdefault(f":{wanted}", owner)


def _owner(obj: Object) -> str:
    return f"{objects.namespace(obj)}/{objects.name(obj)}"


def _held(obj: Object) -> Iterator[str]:
    spec = obj.get("spec") or {}
    for address in spec.get("clusterIPs") or []:
        if address != "None":
            yield address
    for port in spec.get("ports") or []:
        if port.get("nodePort"):
            yield f":{port['nodePort']}"
    if number := spec.get("healthCheckNodePort"):
        yield f":{number}"
