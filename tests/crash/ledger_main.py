"""Takes a ledger for each line `data-root exec-root tag host` on stdin; answers with the differing rows as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from sampan.cmd.ledger import take
from sampan.cmd.ledger_host import Roots

for line in sys.stdin:
    data, exec_root, tag, host = line.split()
    ledger = take(Roots(Path(data), Path(exec_root), tag, (host,)))
    print(json.dumps([str(row) for row in ledger.difference()]), flush=True)
