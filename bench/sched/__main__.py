# ruff: noqa: A005  (nothing here imports the standard sched)
"""The scheduler: `python -m bench.sched [NAME…] [--runs N]`, or `make bench ONLY=sched`: its core, offers, through the API, quality.

JSON lines go to build/bench/NAME.jsonl like those of `python -m bench`. What a measure is: the head of its file here.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy reads it

import argparse
import sys

from bench.peers import Missing
from bench.result import save
from bench.sched import api, core, offers, quality, simulation

RUNS = 5
MEASURES = {**core.MEASURES, **offers.MEASURES, **simulation.MEASURES, **api.MEASURES, **quality.MEASURES}


def main(argv: list[str] | None = None) -> int:
    """Measure and return the exit code: 2 where something that was asked for by name is not to be had here."""
    parser = argparse.ArgumentParser(prog="bench.sched", description="Measures the scheduler.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MEASURES)}; all when there is none")
    parser.add_argument("--runs", type=int, default=RUNS)
    arguments = parser.parse_args(argv)
    if unknown := set(arguments.names) - MEASURES.keys():
        parser.error(f"no measure {', '.join(sorted(unknown))}: there are {', '.join(MEASURES)}")
    missing = False
    for name in arguments.names or MEASURES:
        try:
            lines = MEASURES[name](arguments.runs)
        except Missing as error:
            print(f"({name} left out: {error})", flush=True)
            missing = True
            continue
        for measure in dict.fromkeys(line.measure for line in lines):
            save(measure, [line for line in lines if line.measure == measure])
    return 2 if missing and arguments.names else 0


if __name__ == "__main__":
    sys.exit(main())
