"""Daemons on order, forked from a process that has imported everything: a start costs no second of imports.

Reads a JSON line for each order on stdin and answers with one: `{"start": [flags…], "log": F, "env": {…}}` -> pid,
`{"poll": pid}` -> exit status or null. A daemon tells on SIGUSR1 what every task and thread waits for: a hang is a
finding, not a riddle.
"""

from __future__ import annotations

import asyncio
import faulthandler
import json
import os
import signal
import sys
from types import FrameType

from sampan.base import crash
from sampan.cmd import engine as _preloaded  # noqa: F401  (before the fork, not after each)
from sampan.cmd.daemon import main

_ended: dict[int, int] = {}


def tell(_number: int, _frame: FrameType | None) -> None:
    for task in asyncio.all_tasks(asyncio.get_running_loop()):
        print(f"--- {task.get_name()}", file=sys.stderr)
        awaited = task.get_coro()
        while awaited is not None:
            frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "ag_frame", None)
            where = f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else repr(awaited)
            print(f"    {where}", file=sys.stderr)
            awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "ag_await", None)
    faulthandler.dump_traceback(all_threads=True)


def start(flags: list[str], log: str, environment: dict[str, str]) -> int:
    """Return the pid of a new daemon."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        _ended.pop(pid, None)  # a number that is used again
        return pid
    status = 70
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        target = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.dup2(target, 1)
        os.dup2(target, 2)
        os.environ.update(environment)
        crash._plan = crash._Plan(crash._parse(environment["SAMPAN_CRASH"]), environment["SAMPAN_CRASH_LIST"] or None)
        signal.signal(signal.SIGUSR1, tell)
        status = main(flags)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(status)


def poll(pid: int) -> int | None:
    """Return how the daemon ended, as subprocess tells it; None when it lives."""
    if pid not in _ended:
        found, status = os.waitpid(pid, os.WNOHANG)
        if not found:
            return None
        _ended[pid] = os.waitstatus_to_exitcode(status)
    return _ended[pid]


if __name__ == "__main__":
    for line in sys.stdin:
        order = json.loads(line)
        answer = start(order["start"], order["log"], order["env"]) if "start" in order else poll(order["poll"])
        print(json.dumps(answer), flush=True)
