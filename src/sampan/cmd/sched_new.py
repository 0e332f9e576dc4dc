"""`sampan sched new NAME`: a scheduling policy to begin with, and its test."""

from __future__ import annotations

import keyword
import re
from pathlib import Path

from sampan.base.errors import AlreadyExists, InvalidArgument, Unavailable

_NAME = re.compile(r"[a-z][a-z0-9_]*")


def write(name: str, folder: Path) -> tuple[Path, Path]:
    """Write NAME.py and test_NAME.py into a folder; returns their paths.

    Raises:
        InvalidArgument: no module can have that name.
        AlreadyExists: one of them is there; nothing was written.
        Unavailable: they cannot be written.
    """
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise InvalidArgument(f"{name} is no module's name: write it as quiet_nodes: a-z, 0-9 and _, a letter first")
    words = {"name": name, "class": "".join(word.capitalize() for word in name.split("_"))}
    files = {folder / f"{name}.py": _POLICY, folder / f"test_{name}.py": _TEST}
    for path in files:
        if path.exists():
            raise AlreadyExists(f"{path} is there already and is left as it is: take another name, or move it away")
    for path, text in files.items():
        try:
            path.write_text(re.sub(r"<(name|class)>", lambda found: words[found[1]], text))
        except OSError as error:
            raise Unavailable(f"cannot write {path}: {error.strerror}") from error
    policy, test = files
    return policy, test


_POLICY = '''\
"""A scheduling policy: on which nodes pods may run, and which is best.

    pytest test_<name>.py                                                 # without a cluster
    sampan sched whatif -f manifest.yaml --policy <name>.py:<class>       # on a live one; nothing is changed
    sampan daemon --scheduler-policy <name>.py:<class>                    # for good
"""


class <class>:
    # "node": an answer for a node depends on that node and the pod only; many equal pods are then placed at once.
    # Take it out when you compare nodes, as in nodes.free("cpu").max().
    reach = "node"

    # Said of pods that wait, after the number of nodes.
    reason = "node(s) keep a tenth of their memory for urgent pods"

    def filter(self, pod, nodes):
        """Return on which nodes the pod may run: an array of bools, one a node.

        What the pod asks for (resources, selectors, taints, affinity ...) holds in any case: this only takes nodes away.
        """
        kept = 0.0 if pod.labels.get("urgent") == "true" else 0.1
        return nodes.left("memory") >= kept  # the part that is left with the pod there

    def score(self, pod, nodes):
        """Return points, an array of numbers, one a node; 0 to 100 is usual. The highest wins, of equals the smallest name.

        Preferences that the pod states (preferred affinity, soft spread) are added to it, 200 points each at most.
        """
        used = 1 - nodes.left("cpu")  # the fullest node first, so that others stay empty ...
        alike = nodes.pods({"app": pod.labels["app"]}, pod.namespace) if "app" in pod.labels else 0
        return 100 * used - 30 * alike  # ... but rather not beside pods of the same app


# A pod has: namespace, labels, request("cpu"), and shape, all that it asks for.
# Nodes have, as arrays with one value a node: names, label("topology.kubernetes.io/zone") ("" for none),
# allocatable("cpu"), free("cpu") (before the pod is placed), left("cpu") (0 to 1, with it),
# pods({"app": "web"}, namespace), devices("gpu") (thousandths that are free, [devices, nodes]).
# CPU is in millicores, memory in bytes. The same pod and nodes must get the same answer: no clock, no random numbers.
'''

_TEST = '''\
"""What the policy decides, on nodes made up for it: pods go through the scheduler that runs in a cluster."""

from pathlib import Path

import pytest

from sampan.cmd.scheduling_policies import profile
from sampan.schedule.node import Node
from sampan.schedule.place import Scheduler
from sampan.schedule.pod import Pod
from sampan.schedule.shape import Shape, amounts, pairs
from sampan.schedule.snapshot import Snapshot

GI = 1 << 30


@pytest.fixture
def scheduler():
    """Two equal nodes, and the policy; it is tried on a made-up cluster when it is loaded."""
    has = amounts({"cpu": 4000, "memory": 10 * GI, "pods": 110})
    policy = profile(f"{Path(__file__).with_name('<name>.py')}:<class>")
    return Scheduler(Snapshot([Node(name="a", allocatable=has), Node(name="b", allocatable=has)]), policy)


def pod(name, cpu=500, memory=GI, **labels):
    return Pod(f"default/{name}", Shape(labels=pairs(labels), requests=amounts({"cpu": cpu, "memory": memory})))


def test_fullest_node_first(scheduler):
    placed = scheduler.place([pod("one"), pod("two"), pod("three")]).placements
    assert set(placed.values()) == {"a"}


def test_not_beside_the_same_app(scheduler):
    placed = scheduler.place([pod("one", app="web"), pod("two", app="web")]).placements
    assert set(placed.values()) == {"a", "b"}


def test_memory_is_kept_for_urgent_pods(scheduler):
    found = scheduler.place([pod("large", memory=10 * GI), pod("urgent", memory=10 * GI, urgent="true")])
    assert found.placements == {"default/urgent": "a"}
    assert "keep a tenth of their memory" in found.reasons["default/large"].message()
'''
