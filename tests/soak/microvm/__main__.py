"""`scripts/microvm [PYTEST ARGUMENT]…`: boot the microVM, run tests in it, show its console."""

from __future__ import annotations

import sys
import time

import pytest

from soak.microvm import machine
from soak.microvm.image import prepared

BASE = ("-v", "--color=no", "-rN", "--timeout", "900")
CHECKS = "tests/soak/microvm/guest/checks.py"


def main(arguments: list[str]) -> int:
    """Return pytest's exit status in the guest."""
    began = time.monotonic()
    status = 1
    try:
        with prepared([*BASE, *(arguments or [CHECKS])]) as boot:
            print(f"{time.monotonic() - began:7.2f} s image made", flush=True)
            for line in machine.lines(boot, timeout_s=7200):
                if line:
                    print(f"{time.monotonic() - began:7.2f} s {line}", flush=True)
                status = (machine.report(line) or {}).get("exit", status)
    except pytest.skip.Exception as reason:
        print(f"microvm: {reason}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
