"""Random kill -9 of the daemon under four churning clients: nothing lost, nothing unseen, nothing left."""

from __future__ import annotations

import random
import time

import pytest

from crash.churn import Churn, Client
from crash.harness import CrashDaemon, Ops, alive
from daemon import need_daemon

CLIENTS = 4


@pytest.fixture
def daemon(tmp_path):
    need_daemon()
    daemon = CrashDaemon(tmp_path, "--netns-pool", "6")
    assert daemon.launch()
    daemon.load("busybox")
    yield daemon
    daemon.purge()


def killed_often(daemon: CrashDaemon, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    ops = Ops(daemon)
    resident = ops.run("sleep", "100000")
    pid = ops.state(resident)["Pid"]
    churn = Churn([Client(Ops(daemon, f"client{number}-"), f"{number}") for number in range(CLIENTS)])
    starts = []
    for number in range(kills):
        context = f"kill {number} of seed {seed}"
        churn.start()
        time.sleep(chance.uniform(0.02, 0.6))
        daemon.kill()
        churn.join()
        assert not churn.refused, f"{context}: {churn.refused}\n--- daemon\n{daemon.tail()}"
        begun = time.monotonic()
        assert daemon.launch()
        starts.append(time.monotonic() - begun)
        daemon.assert_no_difference(context)
        wrong = [row for client in churn.clients for row in client.check()]
        assert not wrong, f"{context}:\n" + "\n".join(wrong) + f"\n--- daemon\n{daemon.tail()}"
        state = ops.state(resident)
        assert (state["Status"], state["Pid"]) == ("running", pid), context
        assert alive(pid)
    ops.sweep(())
    daemon.assert_no_difference("when all is removed")
    turns = sum(client.done for client in churn.clients)
    print(
        f"{kills} kills, {turns} operations done, start {sorted(starts)[len(starts) // 2]:.2f} s, worst {max(starts):.2f} s"
    )
    assert turns > kills


@pytest.mark.timeout(300)
def test_30_kills_under_churn(daemon):
    killed_often(daemon, 30, seed=1)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_1000_kills_under_churn(daemon):
    killed_often(daemon, 1000, seed=time.time_ns())
