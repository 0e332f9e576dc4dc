"""What a hollow node says of itself and of its pods: objects as a kubelet writes them. Pure.

Spec: core/v1 NodeStatus, PodStatus; coordination.k8s.io/v1 Lease; "Pod Lifecycle", "Node Status".
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address

from sampan.kube import object as objects
from sampan.kube.object import Object
from sampan.kube.reading import items, text

HOLLOW = "sampan.dev/hollow"
"""The label of all hollow nodes."""
LEASES_IN = "kube-node-lease"
_VERSION = "v1.37.0"
_FIRST_NODE, _FIRST_POD = IPv4Address("10.64.0.1"), IPv4Address("10.128.0.1")
_ADDRESSES = 1 << 22
_PRESSURES = (
    ("MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
)


def node(name: str, number: int, capacity: Mapping[str, str], labels: Mapping[str, str], now: str) -> Object:
    """Return a node that is ready."""
    own = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        HOLLOW: "true",
    }
    seen = {"lastHeartbeatTime": now, "lastTransitionTime": now}
    conditions = [
        {"type": type_, "status": "False", "reason": why, "message": said, **seen} for type_, why, said in _PRESSURES
    ]
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {**own, **labels}},
        "spec": {},
        "status": {
            "capacity": dict(capacity),
            "allocatable": dict(capacity),
            "conditions": [*conditions, {**ready, **seen}],
            "addresses": [
                {"type": "InternalIP", "address": node_address(number)},
                {"type": "Hostname", "address": name},
            ],
            "nodeInfo": {
                "machineID": "",
                "systemUUID": "",
                "bootID": "",
                "kernelVersion": "hollow",
                "osImage": "hollow",
                "containerRuntimeVersion": "hollow://1",
                "kubeletVersion": _VERSION,
                "kubeProxyVersion": "",
                "operatingSystem": "linux",
                "architecture": "amd64",
            },
        },
    }


def lease(name: str, now: str, version: str = "") -> Object:
    """Return the lease by which a node says that it lives. `version`: of the one it replaces."""
    meta: Object = {"name": name, "namespace": LEASES_IN}
    if version:
        meta["resourceVersion"] = version
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": meta,
        "spec": {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": now},
    }


def node_address(number: int) -> str:
    return str(_FIRST_NODE + number % _ADDRESSES)


def address(number: int) -> str:
    """Return the address of the pod that was started as this one."""
    return str(_FIRST_POD + number % _ADDRESSES)


def running(pod: Object, ip: str, host: str, now: str) -> Object:
    """Return a patch of a pod's status: all its containers run and are ready."""
    conditions = [
        {"type": type_, "status": "True", "lastProbeTime": None, "lastTransitionTime": now}
        for type_ in ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady")
    ]
    status: Object = {
        "phase": "Running",
        "conditions": conditions,
        "hostIP": host,
        "hostIPs": [{"ip": host}],
        "podIP": ip,
        "podIPs": [{"ip": ip}],
        "startTime": now,
        "containerStatuses": [
            _container(pod, item, {"running": {"startedAt": now}}, ready=True)
            for item in items(pod, "spec", "containers")
        ],
    }
    if first := items(pod, "spec", "initContainers"):
        status["initContainerStatuses"] = [_started(pod, item, now) for item in first]
    return {"status": status}


def succeeded(pod: Object, started: str, now: str) -> Object:
    """Return a patch of a pod's status: all its containers have ended well."""
    gone = {"status": "False", "reason": "PodCompleted", "lastProbeTime": None, "lastTransitionTime": now}
    ended = {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": started, "finishedAt": now}}
    return {
        "status": {
            "phase": "Succeeded",
            "conditions": [{"type": type_, **gone} for type_ in ("Ready", "ContainersReady")],
            "containerStatuses": [
                _container(pod, item, ended, ready=False) for item in items(pod, "spec", "containers")
            ],
        }
    }


def _started(pod: Object, item: Object, now: str) -> Object:
    if text(item, "restartPolicy") == "Always":
        return _container(pod, item, {"running": {"startedAt": now}}, ready=True)
    done = {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now}}
    return _container(pod, item, done, ready=True)


def _container(pod: Object, item: Object, state: Object, *, ready: bool) -> Object:
    image = text(item, "image")
    return {
        "name": text(item, "name"),
        "image": image,
        "imageID": f"hollow://{image}",
        "containerID": f"hollow://{objects.uid(pod)}/{text(item, 'name')}",
        "state": state,
        "ready": ready,
        "started": ready,
        "restartCount": 0,
    }
