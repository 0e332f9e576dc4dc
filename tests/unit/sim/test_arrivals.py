"""Arrivals: nothing is over capacity, a pod that fits is placed, the best score is taken, and the same comes out again."""

from __future__ import annotations

import numpy as np
import pytest

from sampan.base.errors import InvalidArgument, NotFound
from sampan.sim import openb
from sampan.sim.arrivals import Replay, allocation
from sampan.sim.figures import curve, figures, mean
from sampan.sim.gpu import Asks, Cluster, Shape, States, Workload, steps
from sampan.sim.gpu_policy import BestFit, Fragmentation, FragmentationDescent, Lasting

POLICIES = [BestFit, FragmentationDescent, Lasting]


def cluster(seed: int, nodes: int = 12) -> Cluster:
    rng = np.random.default_rng(seed)
    return Cluster(
        names=[f"n{number:02}" for number in range(nodes)],
        models=rng.choice(["A", "B", "C"], nodes).tolist(),
        cpu=rng.choice([32_000, 64_000, 96_000], nodes),
        memory=rng.choice([131_072, 262_144], nodes),
        gpus=rng.choice([1, 2, 4, 8], nodes),
    )


def workload(seed: int, pods: int = 60) -> Workload:
    rng = np.random.default_rng(seed)
    shapes = [Shape(int(rng.integers(1, 16)) * 1000, int(rng.integers(1, 64)) * 1024, 0, 0, ()) for _ in range(2)]
    for _ in range(6):
        gpus = int(rng.choice([1, 1, 1, 2, 4]))
        milli = int(rng.choice([300, 470, 810, 1000])) if gpus == 1 else 1000
        models = () if rng.random() < 0.7 else tuple(sorted(rng.choice(["A", "B", "C"], 2, replace=False)))
        shapes.append(Shape(int(rng.integers(1, 16)) * 1000, int(rng.integers(1, 64)) * 1024, gpus, milli, models))
    return Workload(shapes, rng.integers(0, len(shapes), pods))


def fits_somewhere(
    shape: Shape, machine: Cluster, cpu: list[int], memory: list[int], gpus: list[list[int]]
) -> set[int]:
    """Return the nodes that a pod fits on, one after another."""
    found = set()
    for node in range(len(machine.names)):
        able = sum(1 for free in gpus[node] if free >= shape.milli) if shape.gpus else 0
        model = not shape.gpus or not shape.models or machine.models[node] in shape.models
        if cpu[node] >= shape.cpu and memory[node] >= shape.memory and able >= shape.gpus and model:
            found.add(node)
    return found


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("seed", range(5))
def test_each_pod_goes_where_it_fits_and_none_that_fits_is_refused(policy, seed):
    """GPUs are followed as a multiset of free milli: any GPU with room will do, so only the free ones at the end are compared."""
    machine, pods = cluster(seed), workload(seed, 150)
    outcome = Replay(machine, pods, policy(machine, pods)).run(np.arange(150))
    cpu, memory = machine.cpu.tolist(), machine.memory.tolist()
    for pod, node in enumerate(outcome.node.tolist()):
        shape = pods.shapes[pods.shape[pod]]
        if node >= 0:
            cpu[node] -= shape.cpu
            memory[node] -= shape.memory
            assert cpu[node] >= 0
            assert memory[node] >= 0
            assert not shape.gpus or not shape.models or machine.models[node] in shape.models
    assert outcome.free.cpu.tolist() == cpu
    assert outcome.free.memory.tolist() == memory
    left = outcome.free.gpus.sum(axis=1)
    assert (outcome.free.gpus >= 0).all()
    assert int(machine.milli - left.sum()) == int(outcome.placed[-1])
    for pod in np.flatnonzero(outcome.node < 0):
        shape = pods.shapes[pods.shape[pod]]
        assert not fits_somewhere(shape, machine, cpu, memory, outcome.free.gpus.tolist()) or not last(outcome, pod)


def last(outcome, pod) -> bool:
    """Tell whether nothing was placed after the pod: then the end is what it saw."""
    return bool((outcome.node[pod + 1 :] < 0).all())


def gpus_of(machine: Cluster, node: int) -> list[int]:
    return [0] * (8 - machine.gpus[node]) + [1000] * machine.gpus[node]


@pytest.mark.parametrize("policy", POLICIES)
def test_every_placement_is_the_best_of_all_nodes(policy):
    machine, pods = cluster(7), workload(7, 80)
    chosen = policy(machine, pods)
    outcome = Replay(machine, pods, chosen).run(np.arange(80))
    models = sorted(set(machine.models))
    asks = Asks.of(pods.shapes, models)
    free = [
        [models.index(machine.models[node]), machine.cpu[node], machine.memory[node], *gpus_of(machine, node)]
        for node in range(len(machine.names))
    ]
    for pod, node in enumerate(outcome.node.tolist()):
        best: tuple[float, int] | None = None
        after: dict[int, list[int]] = {}
        for candidate, row in enumerate(free):
            rows = np.array([row])
            before = States(rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3:])
            found = steps(before, asks)
            scores = chosen.score(before, found)
            mine = [n for n in range(len(scores)) if found.shape[n] == pods.shape[pod]]
            if mine:
                top = max(mine, key=lambda n: (scores[n], -found.gpu[n]))
                after[candidate] = [
                    row[0], found.after.cpu[top], found.after.memory[top], *found.after.gpus[top]
                ]  # fmt: skip
                if best is None or scores[top] > best[0]:
                    best = (scores[top], candidate)
        assert node == (best[1] if best else -1)
        if best:
            free[node] = after[node]


def test_the_same_again_and_the_trail_of_a_replay_leaves_nothing():
    machine, pods = cluster(1), workload(1)
    replay = Replay(machine, pods, Lasting(machine, pods))
    order = np.random.default_rng(0).permutation(60)
    first, other, again = replay.run(order), replay.run(order[::-1]), replay.run(order)
    assert np.array_equal(first.node, again.node)
    assert other.node.shape == first.node.shape


def test_fragmentation_by_hand():
    """One GPU with 600 milli left and 8 cores: a shape of 500 can use it, one of 700 and one with 9 cores cannot."""
    machine = Cluster(["n"], ["A"], np.array([8000]), np.array([1000]), np.array([1]))
    shapes = [
        Shape(1000, 1, 1, 500, ()),
        Shape(1000, 1, 1, 700, ()),
        Shape(9000, 1, 1, 500, ()),
        Shape(1, 1, 1, 1, ("B",)),
    ]
    amount = Fragmentation(machine, Workload(shapes, np.arange(4))).amount
    gpus = np.array([[0] * 7 + [600]])
    assert amount(States(np.array([0]), np.array([8000]), np.array([1000]), gpus)).tolist() == [450.0]


def test_figures_and_allocation_by_hand():
    machine = Cluster(["n"], ["A"], np.array([4000]), np.array([1000]), np.array([2]))
    pods = Workload([Shape(1000, 250, 1, 1000, ())], np.zeros(4, np.int64))
    outcome = Replay(machine, pods, BestFit(machine, pods)).run(np.arange(4))
    assert outcome.placed.tolist() == [1000, 2000, 2000, 2000]
    assert allocation(outcome, machine.milli, 150) == 100
    with pytest.raises(InvalidArgument, match="they end at 200 %"):
        allocation(outcome, machine.milli, 130)
    found = figures(machine, pods, outcome)
    assert found == (2, 2, 100, 50, 50, 0)
    assert mean([found, found._replace(placed=4)]).placed == 3
    assert curve(outcome, machine.milli)[[50, 100, 150, 200]].tolist() == [50, 100, 100, 100]


def test_a_folder_without_the_trace_is_told(tmp_path):
    with pytest.raises(NotFound, match="is this the trace's folder"):
        openb.cluster(tmp_path)


def test_the_traces_files_are_read(tmp_path):
    (tmp_path / openb.NODES).write_text("sn,cpu_milli,memory_mib,gpu,model\nb,2000,20,2,T4\na,1000,10,1,V100\n")
    (tmp_path / "openb_pod_list_x.csv").write_text(
        "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec\np,1,2,1,500,V100|T4\nq,3,4,0,0,\nr,1,2,1,500,T4|V100\n"
    )
    (tmp_path / "orders").mkdir()
    (tmp_path / "orders" / "x.42").write_text("2\n0\n1\n")
    assert openb.cluster(tmp_path).names == ["a", "b"]
    found = openb.workload(tmp_path, "x")
    assert found.shapes == [Shape(1, 2, 1, 500, ("T4", "V100")), Shape(3, 4, 0, 0, ())]
    assert found.shape.tolist() == [0, 1, 0]
    assert openb.orders(tmp_path, "x")[42].tolist() == [2, 0, 1]
    with pytest.raises(NotFound, match="no order of arrival y"):
        openb.orders(tmp_path, "y")
