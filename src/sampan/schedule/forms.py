"""Forms of work that no object of an API stands for yet, as shapes: a virtual machine, a bare process, a whole machine.

Pods in a virtual machine need none of this: their runtime class names overhead, device and nodes.
"""

from __future__ import annotations

from collections import Counter

import msgspec

from sampan.schedule.node import HOSTNAME
from sampan.schedule.shape import Amounts, AtMost, HostPort, PodTerm, Shape, amounts

KVM = "devices.kubevirt.io/kvm"
"""The resource by which nodes say how many virtual machines can have /dev/kvm. Spec: KubeVirt's device plugin."""

ANYBODY = PodTerm(topology=HOSTNAME, selector=(), namespace_selector=())


def virtual_machine(shape: Shape, overhead: Amounts) -> Shape:
    """Return a shape that runs as a machine of its own: its requests are the guest's, `overhead` is the monitor's."""
    takes = Counter(dict(shape.requests))
    takes.update({**dict(overhead), KVM: 1})
    return msgspec.structs.replace(shape, requests=amounts(takes))


def bare_process(shape: Shape, ports: tuple[HostPort, ...] = ()) -> Shape:
    """Return a shape that runs as a process of the node's: without image, and on the node's own ports."""
    return msgspec.structs.replace(shape, images=(), ports=(*shape.ports, *ports))


def whole_machine(shape: Shape) -> Shape:
    """Return a shape that only a node without others takes, and beside which nobody comes. Its requests say how large a node."""
    return msgspec.structs.replace(shape, at_most=(*shape.at_most, AtMost(0, ANYBODY)))
