"""`sampan env`: what to put into a shell so that docker, compose and every SDK talk to sampan."""

from __future__ import annotations

import os

from sampan.cli.http import DEFAULT_HOST


def main(argv: list[str]) -> int:
    """Print an export line for the shell: `eval "$(sampan env)"`. `--unset` takes it back; `-H` names another socket."""
    if argv == ["--unset"]:
        print("unset DOCKER_HOST")
        return 0
    if argv[:1] in (["-H"], ["--host"]) and len(argv) == 2:
        host = argv[1]
    elif not argv:
        host = os.environ.get("SAMPAN_HOST") or DEFAULT_HOST
    else:
        print('Usage:  sampan env [-H SOCKET | --unset]\n\nUse it as: eval "$(sampan env)"')
        return 0 if argv == ["--help"] else 125
    print(f"export DOCKER_HOST={host}")
    return 0
