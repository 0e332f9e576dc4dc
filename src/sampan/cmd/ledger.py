"""`sampan ledger`: what exists on the host for a daemon, beside what should, and the difference.

Works with the daemon dead or alive and changes nothing. Teardown under way is no difference: it is waited for.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import NamedTuple

from sampan.base.errors import SampanError
from sampan.cmd.ledger_host import Roots, found_on_host
from sampan.cmd.ledger_told import objects_of, read_records, told_by_api, told_by_records

WAIT_S = 5.0
_LOOK_AGAIN_S = 0.1


class Difference(NamedTuple):
    """One kind's rows that are on the host and should not be (`extra`), or should and are not (`missing`)."""

    kind: str
    extra: tuple[str, ...]
    missing: tuple[str, ...]


class Ledger(NamedTuple):
    """One moment. Rows by kind: on the host, those that must be there, those that may."""

    alive: bool
    found: dict[str, set[str]]
    required: dict[str, set[str]]
    allowed: dict[str, set[str]]

    def difference(self) -> tuple[Difference, ...]:
        """Return the kinds that do not agree."""
        rows = []
        for kind in sorted({*self.found, *self.required}):
            here, must = self.found.get(kind, set()), self.required.get(kind, set())
            extra, missing = here - must - self.allowed.get(kind, set()), must - here
            if extra or missing:
                rows.append(Difference(kind, tuple(sorted(extra)), tuple(sorted(missing))))
        return tuple(rows)


def take(roots: Roots, *, wait_s: float = WAIT_S) -> Ledger:
    """Return the ledger; when something differs, look again for `wait_s`, as teardown may be under way."""
    deadline = time.monotonic() + wait_s
    while True:
        ledger = _look(roots)
        if not ledger.difference() or time.monotonic() >= deadline:
            return ledger
        time.sleep(_LOOK_AGAIN_S)


def _look(roots: Roots) -> Ledger:
    objects = told_by_api(roots)
    records = read_records(roots)
    told = told_by_records(roots, records)
    found = found_on_host(roots)
    processes = (row for row in found.get("process", ()) if row.partition(" ")[0] in told.starting)
    told.allowed.setdefault("process", set()).update(processes)
    if objects is None:
        return Ledger(False, found, told.required, told.allowed)
    return Ledger(True, found | objects, told.required | objects_of(records), told.allowed)


# --- the command ------------------------------------------------------------------------------------------------------


def main(argv: list[str]) -> int:
    """Print the ledger; returns 1 when host and records differ, 2 when it cannot be taken."""
    parse = argparse.ArgumentParser(prog="sampan ledger", add_help=False)
    parse.add_argument("--json", action="store_true")
    parse.add_argument("--wait", type=float, default=WAIT_S)
    options, rest = parse.parse_known_args(argv)
    try:
        ledger = take(roots_of(rest), wait_s=options.wait)
    except (SampanError, OSError) as error:
        print(f"sampan: {error}", file=sys.stderr)
        return 2
    print(as_json(ledger) if options.json else as_table(ledger))
    return 1 if ledger.difference() else 0


def roots_of(argv: list[str]) -> Roots:
    """Return the roots that the daemon's own flags and configuration name.

    Raises:
        NotFound: there is no daemon's data.
    """
    from sampan.base.errors import NotFound
    from sampan.cmd.settings import load

    settings = load(argv)
    tag = settings.data_root / "tag"
    if not tag.exists():
        raise NotFound(f"no daemon has used {settings.data_root}: name its --data-root and --exec-root")
    hosts = tuple(dict.fromkeys((*settings.hosts, os.environ.get("SAMPAN_HOST", settings.hosts[0]))))
    return Roots(settings.data_root, settings.exec_root, tag.read_text().strip()[:6], hosts)


def as_json(ledger: Ledger) -> str:
    """Return everything, for programs."""
    import json

    kinds = sorted({*ledger.found, *ledger.required})
    return json.dumps(
        {
            "daemon": "alive" if ledger.alive else "dead",
            "found": {kind: sorted(ledger.found.get(kind, ())) for kind in kinds},
            "required": {kind: sorted(ledger.required.get(kind, ())) for kind in kinds},
            "difference": [row._asdict() for row in ledger.difference()],
        },
        indent=2,
    )


def as_table(ledger: Ledger) -> str:
    """Return counts by kind, and every row that differs."""
    source = "alive: host against API and database" if ledger.alive else "dead: host against its database"
    counts = [
        (kind, len(ledger.found.get(kind, ())), len(ledger.required.get(kind, ())))
        for kind in sorted({*ledger.found, *ledger.required})
    ]
    lines = [f"daemon {source}", f"{'KIND':<16} {'FOUND':>6} {'TOLD':>6}"]
    lines += [f"{kind:<16} {found:>6} {told:>6}" for kind, found, told in counts]
    for row in ledger.difference():
        lines += [f"EXTRA    {row.kind}: {name}" for name in row.extra]
        lines += [f"MISSING  {row.kind}: {name}" for name in row.missing]
    if not ledger.difference():
        lines.append("no difference")
    return "\n".join(lines)
