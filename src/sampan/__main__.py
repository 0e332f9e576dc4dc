"""`sampan` and `python -m sampan`."""

from __future__ import annotations

import sys

from sampan.cmd.main import main

if __name__ == "__main__":
    sys.exit(main())
