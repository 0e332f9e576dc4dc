"""Simulates a cluster under a virtual clock: five pods on two nodes, one of which fails; an observer tells what happens."""

from __future__ import annotations

from sampan.schedule.profile import PACKING
from sampan.sim.observer import Observer
from sampan.sim.simulation import Simulation
from sampan.sim.task import Task
from sampan.sim.traces import machine


class Diary(Observer):
    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        simulation.observers.append(self)

    def started(self, instances):
        self._say("starts", instances)

    def ended(self, instances):
        self._say("ends", instances)

    def evicted(self, instance, reason):
        self._say(f"is evicted, as {reason},", [instance])

    def _say(self, what, instances):
        for one in instances:
            print(f"{self._simulation.now_s:5.0f} s: {one.key} {what} on {one.node}")


def main() -> None:
    nodes = [machine.node(f"n{number}", cpu=4000, memory=16 << 30) for number in range(2)]
    tasks = [Task(name="web", arrival_s=0.0, duration_s=60.0, shape=machine.shape(1000, 1 << 30), count=5)]
    simulation = Simulation(nodes, tasks, PACKING)
    Diary(simulation)
    simulation.at(30.0, lambda: simulation.fail("n0"))
    simulation.run()


if __name__ == "__main__":
    main()
