"""Arrivals and policies for GPUs: every choice is the best of all nodes as a plain look has it, and the core takes what it says."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from sampan.base.errors import InvalidArgument, NotFound
from sampan.schedule.node import Node
from sampan.schedule.place import Scheduler
from sampan.schedule.pod import Pod
from sampan.schedule.shape import Shape
from sampan.schedule.snapshot import Snapshot
from sampan.sim.arrivals import Outcome, allocation, curve, gpu_milli, replay
from sampan.sim.figures import figures, mean
from sampan.sim.gpu import Asks, States, Workload
from sampan.sim.gpu_policy import POLICIES, GpuFragmentation, Stranding
from sampan.sim.gpu_score import profile
from sampan.sim.traces import machine, openb

GI = 1 << 30


def cluster(seed: int, count: int = 12) -> list[Node]:
    rng = np.random.default_rng(seed)
    return [
        machine.node(
            f"n{number:02}",
            int(rng.choice([32_000, 64_000, 96_000])),
            int(rng.choice([128, 256])) * GI,
            int(rng.choice([0, 1, 2, 4, 8])),
            str(rng.choice(["A", "B", "C"])),
        )
        for number in range(count)
    ]


def workload(seed: int, pods: int) -> list[Shape]:
    rng = np.random.default_rng(seed)
    shapes = [machine.shape(int(rng.integers(1, 16)) * 1000, int(rng.integers(1, 64)) * GI) for _ in range(2)]
    for _ in range(6):
        gpus = int(rng.choice([1, 1, 1, 2, 4]))
        milli = int(rng.choice([300, 470, 810, 1000])) if gpus == 1 else 1000
        models = () if rng.random() < 0.7 else tuple(sorted(rng.choice(["A", "B", "C"], 2, replace=False).tolist()))
        asked = int(rng.integers(1, 16)) * 1000, int(rng.integers(1, 64)) * GI
        shapes.append(machine.shape(*asked, gpus, milli, models))
    return [shapes[place] for place in rng.integers(0, len(shapes), pods)]


class Free:
    """What is free on one node, in plain numbers."""

    def __init__(self, node: Node) -> None:
        have = dict(node.allocatable)
        self.name, self.model = node.name, dict(node.labels).get("gpu-model", "")
        self.cpu, self.memory = have["cpu"], have["memory"]
        self.gpus = [1000] * (have.get("gpu", 0) // 1000)

    def state(self, models: list[str], most: int) -> States:
        gpus = sorted([0] * (most - len(self.gpus)) + self.gpus)
        return States(np.array([models.index(self.model)]), np.array([self.cpu]), np.array([gpus]))

    def left(self, shape: Shape) -> Free | None:
        """Return what a pod leaves, None where it does not fit."""
        asked = dict(shape.requests)
        left = object.__new__(Free)
        left.name, left.model = self.name, self.model
        left.cpu, left.memory = self.cpu - asked.get("cpu", 0), self.memory - asked.get("memory", 0)
        left.gpus = sorted(self.gpus)
        for wish in shape.devices:
            if shape.node_terms is not None and self.model not in shape.node_terms[0].labels[0].values:
                return None
            for _ in range(wish.count):
                fitting = [free for free in left.gpus if (free == 1000 if wish.milli == 1000 else free >= wish.milli)]
                if not fitting:
                    return None
                left.gpus.remove(fitting[0])
                left.gpus.append(fitting[0] - wish.milli)
            left.gpus.sort()
        return left if left.cpu >= 0 and left.memory >= 0 else None


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("seed", range(4))
def test_every_placement_is_the_best_of_all_nodes(name, seed):
    machines, pods = cluster(seed), workload(seed, 120)
    known = Workload.of(Counter(pods))
    outcome = replay(machines, pods, profile(name, machines, known))
    models = sorted({dict(node.labels).get("gpu-model", "") for node in machines})
    policy = POLICIES[name](known, models)
    free = {node.name: Free(node) for node in machines}
    for shape, node in zip(pods, outcome.nodes, strict=True):
        asks = Asks.of([shape], models)
        scores = {}
        for one in free.values():
            left = one.left(shape)
            if left is not None:
                scores[one.name] = policy.score(one.state(models, 8), left.state(models, 8), asks)[0]
        if node is None:
            assert not scores
        else:
            assert scores[node] == pytest.approx(max(scores.values()), abs=1e-5)
            left = free[node].left(shape)
            assert left is not None
            free[node] = left
    ends = States.of(outcome.snapshot, np.arange(len(machines)), models)
    assert ends.cpu.tolist() == [one.cpu for one in free.values()]
    assert [sum(row) for row in ends.gpus.tolist()] == [sum(one.gpus) for one in free.values()]
    assert ends.gpus.tolist() == [one.state(models, ends.gpus.shape[1]).gpus[0].tolist() for one in free.values()]


@pytest.mark.parametrize("seed", range(5))
def test_what_a_pod_leaves_is_what_the_core_leaves(seed):
    machines, pods = cluster(seed), workload(seed, 60)
    shapes = list(dict.fromkeys(pods))
    models = sorted({dict(node.labels).get("gpu-model", "") for node in machines})
    snapshot = Snapshot(machines)
    scheduler = Scheduler(snapshot)
    for number, shape in enumerate(pods):
        before = States.of(snapshot, np.arange(len(machines)), models) if number else None
        found = scheduler.place([Pod(str(number), shape)]).placements.get(str(number))
        if found is None or before is None:
            continue
        row = snapshot.rows[found]
        one = States(before.model[row : row + 1], before.cpu[row : row + 1], before.gpus[row : row + 1])
        foretold = one.after(Asks.of(shapes, models))
        now = States.of(snapshot, np.array([row]), models)
        assert foretold.cpu[shapes.index(shape)] == now.cpu[0]
        assert foretold.gpus[shapes.index(shape)].tolist() == now.gpus[0].tolist()


def test_the_same_again_and_what_was_learnt_changes_nothing():
    machines, pods = cluster(1), workload(1, 60)
    policy = profile("lasting", machines, Workload.of(Counter(pods)))
    first, other, again = (replay(machines, order, policy).nodes for order in (pods, pods[::-1], pods))
    fresh = replay(machines, pods, profile("lasting", machines, Workload.of(Counter(pods)))).nodes
    assert first == again == fresh
    assert len(other) == len(first)


def test_fragmentation_by_hand():
    """One GPU with 600 milli left and 8 cores: a shape of 500 can use it, one of 700 and one with 9 cores cannot."""
    shapes = [
        machine.shape(1000, 1, 1, 500),
        machine.shape(1000, 1, 1, 700),
        machine.shape(9000, 1, 1, 500),
        machine.shape(1, 1, 1, 1, ("B",)),
    ]
    amount = GpuFragmentation(Workload.of(Counter(shapes)), ["A"]).amount
    gpus = np.array([[0] * 7 + [600]])
    assert amount(States(np.array([0]), np.array([8000]), gpus)).tolist() == [450.0]


def test_figures_and_allocation_by_hand():
    machines = [machine.node("n", 4000, 1000, 2, "A")]
    pods = [machine.shape(1000, 250, 1)] * 4
    known = Workload.of(Counter(pods))
    outcome = replay(machines, pods, profile("best-fit", machines, known))
    assert outcome.placed.tolist() == [1000, 2000, 2000, 2000]
    milli = gpu_milli(machines)
    assert milli == 2000
    assert allocation(outcome, milli, 150) == 100
    with pytest.raises(InvalidArgument, match="they end at 200 %"):
        allocation(outcome, milli, 130)
    found = figures(known, outcome)
    assert found == (2, 2, 100, 50, 50, 0)
    assert mean([found, found._replace(placed=4)]).placed == 3
    assert curve(outcome, milli)[[50, 100, 150, 200]].tolist() == [50, 100, 100, 100]


def test_no_arrivals_are_told():
    none = Outcome(np.zeros(0, np.int64), np.zeros(0, np.int64), [], Snapshot())
    with pytest.raises(InvalidArgument, match="they end at 0 %"):
        allocation(none, 1000)


def test_a_folder_without_the_trace_is_told(tmp_path):
    with pytest.raises(NotFound, match="is no folder of openb: it has no openb_pod_list_WORKLOAD"):
        openb.arrivals(tmp_path, "default")


def test_the_traces_files_are_read(tmp_path):
    (tmp_path / openb.GPU_NODES).write_text("sn,cpu_milli,memory_mib,gpu,model\nb,2000,20,2,T4\na,1000,10,1,V100\n")
    (tmp_path / "openb_pod_list_x.csv").write_text(
        "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec\np,1,2,1,500,V100|T4\nq,3,4,0,0,\nr,1,2,1,500,T4|V100\n"
    )
    (tmp_path / "orders").mkdir()
    (tmp_path / "orders" / "x.42").write_text("2\n0\n1\n")
    found = openb.arrivals(tmp_path, "x")
    assert [node.name for node in found.nodes] == ["b", "a"]
    first, second = machine.shape(1, 2 << 20, 1, 500, ("T4", "V100")), machine.shape(3, 4 << 20)
    assert found.shapes == [first, second, first]
    assert found.orders == {42: [2, 0, 1]}
    (tmp_path / "openb_pod_list_y.csv").write_text("name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec\n")
    (tmp_path / "orders" / "y.first").write_text("0")
    with pytest.raises(NotFound, match="no order of arrival y"):
        openb.arrivals(tmp_path, "y")
    with pytest.raises(NotFound, match="--workload names one of x, y"):
        openb.arrivals(tmp_path, "z")
    for word in ("3", "-1", "one"):
        (tmp_path / "orders" / "x.42").write_text(f"2\n{word}\n")
        with pytest.raises(InvalidArgument, match=f"x.42, number 2 is '{word}': rows of the list of pods are 0 to 2"):
            openb.arrivals(tmp_path, "x")
    (tmp_path / openb.GPU_NODES).write_text("sn,cpu_milli,memory_mib,gpu,model\na,1000,10,0,\n")
    with pytest.raises(InvalidArgument, match="has no GPU: arrivals are measured by how many of them are placed"):
        openb.arrivals(tmp_path, "x")


def test_stranding_by_hand():
    """8 GPUs and 4 cores, filled with pods of a core a GPU, leave 4 GPUs free, whatever pods without GPU there are."""
    with_gpu, without = machine.shape(1000, GI, 1), machine.shape(500, GI)
    snapshot = Snapshot([machine.node("n", 4000, 64 * GI, 8)])
    snapshot.settle()
    state = States.of(snapshot, np.arange(1), [""])
    for shapes in ({with_gpu: 1}, {with_gpu: 1, without: 3}):
        assert Stranding(Workload.of(shapes), [""]).amount(state).tolist() == [4000]
