"""Shape: everything a pod asks for, and nothing that tells one pod from its twin.

Pods of equal shape are one equivalence class: they are scored together. A shape holds no wire words and knows nothing of
where pods come from; whoever reads pods makes shapes. Mappings are tuples of pairs in order of their keys, so that equal
wishes are equal shapes. CPU is in millicores, memory and storage in bytes, other resources as they are counted.

Spec: Kubernetes PodSpec (core/v1), "Assigning Pods to Nodes", "Pod Topology Spread Constraints", "Taints and Tolerations".
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from sampan.kube.selector import Requirement

Pairs = tuple[tuple[str, str], ...]
Amounts = tuple[tuple[str, int], ...]
Selector = tuple[Requirement, ...]
"""All requirements hold; none of them: everything."""


class Frozen(msgspec.Struct, frozen=True, cache_hash=True):
    """Compares by value, hashes once."""


class Toleration(Frozen, frozen=True, kw_only=True):
    """`operator`: Equal, Exists, Gt or Lt (the taint's value is above or below `value`, both whole numbers).

    `key` empty with Exists: every taint; `effect` empty: every effect.
    """

    key: str = ""
    value: str = ""
    operator: str = "Equal"
    effect: str = ""


class NodeTerm(Frozen, frozen=True):
    """All requirements hold: on the node's labels, and on its fields (`metadata.name` is the only one)."""

    labels: Selector = ()
    fields: Selector = ()


class PodTerm(Frozen, frozen=True, kw_only=True):
    """Pods that `selector` matches, in the same domain of `topology`.

    `selector` None matches no pod. Namespaces are those named and those that `namespace_selector` matches; whoever
    makes the term names the pod's own namespace where it asked for none.
    """

    topology: str
    selector: Selector | None
    namespaces: tuple[str, ...] = ()
    namespace_selector: Selector | None = None


class AtMost(Frozen, frozen=True):
    """At most `most` of the pods that `pods` matches on the same node, not counting the pod that says it.

    The topology of `pods` is the host name's.
    """

    most: int
    pods: PodTerm


class Spread(Frozen, frozen=True, kw_only=True):
    """At most `max_skew` more of the pods that `selector` matches (same namespace) than in the emptiest domain."""

    topology: str
    max_skew: int
    selector: Selector | None
    hard: bool = True
    min_domains: int = 1
    honor_affinity: bool = True
    honor_taints: bool = False


class HostPort(Frozen, frozen=True):
    port: int
    protocol: str = "TCP"
    address: str = "0.0.0.0"  # every address


class DeviceAsk(Frozen, frozen=True):
    """`count` devices of a kind: wholly free ones, or, with `milli` below 1,000, a share of one."""

    kind: str
    count: int = 1
    milli: int = 1000


class Attachment(Frozen, frozen=True):
    """A volume that occupies one of a node's attachments of `driver`."""

    driver: str
    volume: str


class VolumeWish(Frozen, frozen=True, kw_only=True):
    """What a claim asks of a volume."""

    storage_class: str = ""
    size_bytes: int = 0
    access_modes: tuple[str, ...] = ()
    mode: str = "Filesystem"
    attributes_class: str = ""
    selector: Selector = ()


class UnboundClaim(Frozen, frozen=True, kw_only=True):
    """A claim that is bound when its pod has a node. `key`: `namespace/name`.

    `made_on`: where somebody makes a volume for it, one of the terms holds there, all nodes where there are none; None: nobody does.
    """

    key: str
    uid: str = ""
    wish: VolumeWish = VolumeWish()
    made_on: tuple[NodeTerm, ...] | None = None


class Shape(Frozen, frozen=True, kw_only=True):
    """What a pod asks for. `requests` are the effective ones: init containers and overhead counted."""

    namespace: str = "default"
    labels: Pairs = ()
    requests: Amounts = ()
    node_name: str = ""
    node_selector: Pairs = ()
    node_terms: tuple[NodeTerm, ...] | None = None  # one of them holds; None: not asked for
    preferred_nodes: tuple[tuple[int, NodeTerm], ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    affinity: tuple[PodTerm, ...] = ()
    anti_affinity: tuple[PodTerm, ...] = ()
    preferred_pods: tuple[tuple[int, PodTerm], ...] = ()  # a negative weight: rather not beside them
    at_most: tuple[AtMost, ...] = ()
    spread: tuple[Spread, ...] = ()
    spread_is_default: bool = False  # the cluster's own constraints: nodes without their labels are scored too
    ports: tuple[HostPort, ...] = ()
    volume_terms: tuple[tuple[NodeTerm, ...], ...] = ()  # of each volume: one of them holds
    unbound: tuple[UnboundClaim, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    exclusive: tuple[str, ...] = ()  # volumes that one pod in the cluster may use (ReadWriteOncePod)
    images: tuple[str, ...] = ()
    devices: tuple[DeviceAsk, ...] = ()
    gates: tuple[str, ...] = ()
    ending: bool = False  # it is there, but on its way out: spread does not count it


def pairs(mapping: Mapping[str, str]) -> Pairs:
    """Return a mapping as a shape holds it."""
    return tuple(sorted(mapping.items()))


def amounts(mapping: Mapping[str, int]) -> Amounts:
    """Return amounts as a shape holds them."""
    return tuple(sorted(mapping.items()))


def matches(selector: Selector | None, labels: Mapping[str, str]) -> bool:
    """Return whether all requirements hold; None matches nothing."""
    return selector is not None and all(requirement.matches(labels) for requirement in selector)
