"""A virtual machine, a bare process and a whole machine are placed beside pods, by the same core."""

from __future__ import annotations

from sampan.schedule.forms import KVM, bare_process, virtual_machine, whole_machine
from sampan.schedule.node import Node
from sampan.schedule.place import Scheduler
from sampan.schedule.pod import Pod
from sampan.schedule.shape import HostPort, Shape, amounts
from sampan.schedule.snapshot import Snapshot

GI = 1 << 30
GUEST = Shape(requests=amounts({"cpu": 1000, "memory": 2 * GI}))
POD = Shape(requests=amounts({"cpu": 100}), images=("i:latest",))


def node(name: str, machines: int = 0, cpu: int = 4000) -> Node:
    has = {"cpu": cpu, "memory": 8 * GI, "pods": 20} | ({KVM: machines} if machines else {})
    return Node(name=name, allocatable=amounts(has))


def pods(name: str, shape: Shape, count: int, priority: int = 0) -> list[Pod]:
    return [Pod(f"default/{name}{number}", shape, priority) for number in range(count)]


def test_a_virtual_machine_takes_kvm_and_its_overhead():
    scheduler = Scheduler(Snapshot([node("plain"), node("few", 2), node("many", 10)]))
    machine = virtual_machine(GUEST, amounts({"cpu": 250, "memory": GI // 2}))
    found = scheduler.place(pods("vm", machine, 6))
    assert sorted(found.placements.values()) == ["few"] * 2 + ["many"] * 3  # of 1.25 CPU and 2.5 Gi each
    assert found.reasons["default/vm5"].message() == (
        f"0/3 nodes are available: 1 Insufficient cpu, 1 Insufficient memory, 2 Insufficient {KVM}."
    )


def test_a_bare_process_is_on_the_nodes_ports():
    scheduler = Scheduler(Snapshot([node("a"), node("b")]))
    process = bare_process(POD, (HostPort(80),))
    assert not process.images
    found = scheduler.place(pods("process", process, 3))
    assert sorted(found.placements.values()) == ["a", "b"]
    assert "2 node(s) didn't have free ports" in found.reasons["default/process2"].message()
    assert scheduler.place(pods("p", POD, 2)).placements.keys() == {"default/p0", "default/p1"}


def test_a_whole_machine_has_it_alone():
    snapshot = Snapshot([node("a"), node("b"), node("small", cpu=500)])
    scheduler = Scheduler(snapshot)
    scheduler.place([Pod("other/pod", Shape(namespace="other", node_name="a"))])
    whole = whole_machine(GUEST)
    found = scheduler.place(pods("whole", whole, 2))
    assert found.placements == {"default/whole0": "b"}
    assert "1 Insufficient cpu, 2 node(s) had more pods" in found.reasons["default/whole1"].message()
    placed = scheduler.place([*pods("p", POD, 30), Pod("other/named", Shape(namespace="other", node_name="b"))])
    assert "b" not in placed.placements.values()
    told = placed.reasons["other/named"].message()
    assert "1 node(s) had pods that allow no more such pods beside them" in told
    snapshot.remove("default/whole0")
    assert scheduler.place(pods("late", POD, 1)).placements == {"default/late0": "b"}


def test_a_whole_machine_may_evict_all_that_are_there():
    snapshot = Snapshot([node("a"), node("b")])
    scheduler = Scheduler(snapshot)
    scheduler.place([*pods("low", POD, 5), *pods("high", POD, 1, priority=9)])
    kept = snapshot.node_of("default/high0")
    found = scheduler.place(pods("whole", whole_machine(GUEST), 1, priority=5))
    [(_, got)] = found.placements.items()
    assert got != kept
    assert [pod.key for pod, _ in snapshot.pods.on(snapshot.rows[got])] == ["default/whole0"]
    assert len(found.evictions) >= 2
