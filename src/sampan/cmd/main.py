"""The `sampan` command: verbs about the engine run here, docker's verbs go to the CLI. Imports only what the verb needs."""

from __future__ import annotations

import sys

_VERBS = {
    "daemon": "daemon:main",
    "ledger": "ledger:main",
    "up": "up:up",
    "down": "up:down",
    "status": "up:status",
    "doctor": "doctor:main",
    "env": "env:main",
    "kubeconfig": "kubeconfig:main",
    "policy": "policy:main",
    "rotate-keys": "sealing:main",
    "explain": "explain:main",
    "sched": "sched:main",
    "sim": "sim:main",
}
"""Verb -> module and function in this package; each takes the words after the verb and returns the exit code."""


_FURTHER = {"image bootstrap": "sampan.cmd.bootstrap:VERB"}
"""CLI verbs that need more than the daemon's socket."""


def main(argv: list[str] | None = None) -> int:
    """Run one command line; returns the exit code."""
    words = sys.argv[1:] if argv is None else argv
    if words and words[0] in _VERBS:
        import importlib

        module, _, function = _VERBS[words[0]].partition(":")
        return int(getattr(importlib.import_module(f"sampan.cmd.{module}"), function)(words[1:]))
    from sampan.cli.main import main as cli

    return cli(words, _FURTHER)
