"""Measures: one file each; the list below is all there are and their order. Each yields lines named by a bar."""

from __future__ import annotations

from collections.abc import Callable

from bench.measures import create_start, cycle, cycle_8, exec_true, hundred, load, restart, run_cli
from bench.result import Result
from bench.session import Session

Measure = Callable[[Session], list[Result]]

MEASURES: dict[str, Measure] = {
    "run-cli": run_cli.measure,
    "create-start": create_start.measure,
    "cycle": cycle.measure,
    "cycle-8": cycle_8.measure,
    "exec": exec_true.measure,
    "hundred": hundred.measure,
    "restart-100": restart.measure,
    "load-200mb": load.measure,
}
ALIASES = {"memory-100": "hundred", "exec-api": "exec"}
"""Measures that come out of the run of another."""
