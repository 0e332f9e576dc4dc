"""A client that makes, starts, uses and removes containers all the time, and knows what must be true after a kill."""

from __future__ import annotations

import random
import threading
from typing import NamedTuple

from crash.harness import Gone, Ops, Refused, alive

EXIT_CODES = (0, 3, 77)
_KEPT = 2


class Belief(NamedTuple):
    """What a client knows of one container. `sure` is False while a request on it has no answer."""

    sure: bool
    phase: str  # "created", "running", "ended", "removed"
    pid: int = 0
    exit_code: int = -1


class Client:
    """One client's containers, by id. `turn` does one random thing; `Gone` leaves a belief that is not sure."""

    def __init__(self, ops: Ops, seed: str) -> None:
        self._ops = ops
        self._random = random.Random(seed)
        self._seed = seed
        self._codes: dict[str, int] = {}  # of containers that end by themselves
        self.beliefs: dict[str, Belief] = {}
        self.done = 0

    def turn(self) -> None:
        living = [c for c, belief in self.beliefs.items() if belief.phase != "removed"]
        acts = (
            [self._create] if len(living) < _KEPT else [self._start, self._exec, self._end, self._remove, self._short]
        )
        self._random.choice(acts)(self._random.choice(living) if living else "")
        self.done += 1

    def _sent(self, container: str, phase: str, **more: int) -> None:
        self.beliefs[container] = Belief(False, phase, **more)

    def _sure(self, container: str, phase: str, **more: int) -> None:
        self.beliefs[container] = Belief(True, phase, **more)

    def _create(self, _: str) -> None:
        self._sure(self._ops.create("sleep", "1000", Labels={"client": self._seed}), "created")

    def _start(self, container: str) -> None:
        if self.beliefs[container].phase == "running":
            return
        if container in self._codes:
            self._start_short(container)
            return
        self._sent(container, "running")
        self._ops.start(container)
        self._sure(container, "running")
        self._sure(container, "running", pid=self._ops.state(container)["Pid"])

    def _exec(self, container: str) -> None:
        if self.beliefs[container].phase == "running":
            assert self._ops.exec(container, "sh", "-c", "exit 9") == 9

    def _end(self, container: str) -> None:
        if self.beliefs[container].phase != "running":
            return
        self._sent(container, "ended")
        self._ops.call("POST", f"/containers/{container}/{self._random.choice(('kill', 'stop?t=0'))}")
        self._ops.wait(container)
        self._sure(container, "ended", exit_code=137)

    def _remove(self, container: str) -> None:
        self._sent(container, "removed")
        self._ops.remove(container)
        self._sure(container, "removed")

    def _short(self, _: str) -> None:
        """A container that ends by itself, perhaps while no daemon is there."""
        code = self._random.choice(EXIT_CODES)
        script = f"sleep 0.{self._random.randrange(4)}; exit {code}"
        container = self._ops.create("sh", "-c", script, Labels={"client": self._seed, "code": str(code)})
        self._codes[container] = code
        self._sure(container, "created")
        self._start_short(container)

    def _start_short(self, container: str) -> None:
        self._sent(container, "ended")
        self._ops.start(container)
        self._sure(container, "ended", exit_code=self._codes[container])

    # --- after a restart ----------------------------------------------------------------------------------------------

    def check(self) -> list[str]:
        """Return what is not as it must be. What was not sure becomes what is."""
        rows = self._ops.call("GET", f'/containers/json?all=1&filters={{"label":["client={self._seed}"]}}')
        self._codes = {row["Id"]: int(row["Labels"]["code"]) for row in rows if "code" in row["Labels"]}
        told = {row["Id"] for row in rows}
        wrong = []
        for container, belief in list(self.beliefs.items()):
            if not belief.sure:
                self._learn(container, told)
            elif belief.phase == "removed":
                wrong += [f"{container[:12]} was removed and is told"] if container in told else []
                del self.beliefs[container]
            elif container not in told:
                wrong.append(f"{container[:12]} ({belief}) is lost")
                del self.beliefs[container]
            else:
                wrong += self._check_one(container, belief)
        for container in told - self.beliefs.keys():
            self._learn(container, told)  # created, but the answer was lost
        return wrong

    def _check_one(self, container: str, belief: Belief) -> list[str]:
        if belief.phase == "ended" and container in self._codes:
            self._ops.wait(container)  # it may be running still
        state = self._ops.state(container)
        expected = {"created": "created", "running": "running", "ended": "exited"}[belief.phase]
        if state["Status"] != expected:
            return [f"{container[:12]} is {state['Status']}, not {expected}: {state} {belief}"]
        if belief.pid and (state["Pid"] != belief.pid or not alive(belief.pid)):
            return [f"{container[:12]} has pid {state['Pid']}, not {belief.pid}"]
        if belief.phase == "ended" and state["ExitCode"] != belief.exit_code:
            return [f"{container[:12]} has exit code {state['ExitCode']}, not {belief.exit_code}"]
        return []

    def _learn(self, container: str, told: set[str]) -> None:
        if container not in told:
            self.beliefs.pop(container, None)
            return
        state = self._ops.state(container)
        phase = {"created": "created", "running": "running", "exited": "ended"}.get(state["Status"], "ended")
        if state["Running"] and container in self._codes:
            self._sure(container, "ended", exit_code=self._codes[container])
        elif state["Running"]:
            self._sure(container, "running")
        else:
            self._sure(container, phase, exit_code=state["ExitCode"])


class Churn:
    """Clients in threads of their own until the daemon is gone."""

    def __init__(self, clients: list[Client]) -> None:
        self.clients = clients
        self.refused: list[str] = []
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        self._stop.clear()
        self._threads = [threading.Thread(target=self._run, args=(client,)) for client in self.clients]
        for thread in self._threads:
            thread.start()

    def _run(self, client: Client) -> None:
        while not self._stop.is_set():
            try:
                client.turn()
            except Gone:
                return
            except (Refused, AssertionError) as error:
                self.refused.append(str(error))
                return

    def join(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
