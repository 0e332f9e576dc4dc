"""restart-100: kill -9 of the daemon with 100 containers running, then the time from its start to GET /_ping.

The peer runs with live-restore on, or it would have killed its containers. All of Sampan's have to be there again.
"""

from __future__ import annotations

from bench.result import Result, Samples
from bench.session import Session
from bench.side import Side
from bench.stats import rounds

COUNT, QUICK_COUNT = 100, 5


def measure(session: Session) -> list[Result]:
    count = QUICK_COUNT if session.quick else COUNT
    sides = session.sampan[:1] + [side for side in [session.docker_restoring] if side]
    containers = {side.label: side.launch(count) for side in sides}
    samples: Samples = {}
    for _, side in rounds(sides, session.runs):
        samples.setdefault(side.label, []).append(_restarted(side))
        lost = count - side.running()
        if lost:
            print(f"  {side.label}: {lost} of {count} containers lost")
            assert side not in session.sampan, "Sampan may lose none"
    for side in sides:
        side.remove_all(containers[side.label])
    return session.results("restart-100", "s", samples)


def _restarted(side: Side) -> float:
    side.client.close()
    side.daemon.kill()
    return side.daemon.start()
