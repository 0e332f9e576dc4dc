"""What a runtime class gives the pods that name it: overhead, and the nodes that have the runtime. Pure.

Spec: node.k8s.io/v1 RuntimeClass; Kubernetes admission plugin RuntimeClass; "Pod Overhead".
"""

from __future__ import annotations

from sampan.kube.object import Object
from sampan.kube.reading import items, mapping


def given(spec: Object, runtime_class: Object) -> str:
    """Give a pod's spec what its runtime class says; returns why it cannot have it, "" where it has."""
    overhead = mapping(runtime_class, "overhead", "podFixed")
    if spec.get("overhead") and spec["overhead"] != overhead:
        return "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"
    if overhead:
        spec["overhead"] = dict(overhead)
    scheduling = mapping(runtime_class, "scheduling")
    selector = dict(mapping(spec, "nodeSelector"))
    for key, value in mapping(scheduling, "nodeSelector").items():
        if selector.setdefault(key, value) != value:
            return f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; pod.spec.nodeSelector[{key}] = {selector[key]}"
    if selector:
        spec["nodeSelector"] = selector
    there = items(spec, "tolerations")
    if fresh := [item for item in items(scheduling, "tolerations") if item not in there]:
        spec["tolerations"] = [*there, *fresh]
    return ""
