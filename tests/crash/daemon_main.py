"""`sampan daemon` that tells on SIGUSR1 what every task and thread waits for: a hang is a finding, not a riddle."""

from __future__ import annotations

import asyncio
import faulthandler
import signal
import sys
from types import FrameType

from sampan.cmd.daemon import main


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


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, tell)
    sys.exit(main(sys.argv[1:]))
