"""`sampan sim`: machines that are not there: nodes for a real API server, or a whole cluster in memory."""

from __future__ import annotations

import importlib
import sys

_VERBS = {
    "colocate": ("sim_colocate:main", "run best-effort work on what services reserve and do not use"),
    "nodes": ("sim_nodes:main", "register hollow nodes that run pods without a container"),
    "run": ("sim_run:main", "replay a trace in memory, by one scheduling policy beside another"),
}
"""Verb -> module and function in this package, and a line of help."""


def main(argv: list[str]) -> int:
    """Run `sampan sim VERB`; returns the exit code."""
    if not argv or argv[0] not in _VERBS:
        print("usage: sampan sim VERB; `sampan sim VERB --help` says more\n", file=sys.stderr)
        for name, (_, line) in _VERBS.items():
            print(f"  {name:8} {line}", file=sys.stderr)
        return 0 if argv[:1] in (["-h"], ["--help"]) else 2
    module, _, function = _VERBS[argv[0]][0].partition(":")
    return int(getattr(importlib.import_module(f"sampan.cmd.{module}"), function)(argv[1:]))
