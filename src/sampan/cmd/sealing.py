"""`sampan rotate-keys`, and what the control process does about it: what was sealed with an older key is sealed again."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from sampan.base.errors import SampanError
from sampan.cmd import pki
from sampan.store.kv.port import CompareFailed, Op, Store

_PAGE = 500


def main(argv: list[str]) -> int:
    """Add a key; returns the exit code."""
    parser = argparse.ArgumentParser(prog="sampan rotate-keys", description="Encrypt secrets with a new key.")
    parser.add_argument("--data-root", default="/var/lib/sampan", metavar="D")
    keys = pki.of(Path(parser.parse_args(argv).data_root))
    try:
        name = pki.rotate(keys)
    except (SampanError, OSError) as error:
        print(f"sampan: {error}", file=sys.stderr)
        return 1
    print(f"{name} was made: from the next start of the control process on, all secrets are sealed with it")
    return 0


async def reseal(store: Store, prefixes: Sequence[str], keys: pki.Pki) -> int:
    """Write everything below prefixes again unless that was done since the newest key was made; returns how many."""
    newest, mark = next(iter(keys.sealing())), keys.directory / "sealed-with"
    if mark.exists() and mark.read_text().strip() == newest:
        return 0
    count = 0
    for prefix in prefixes:
        count += await _again(store, prefix)
    beside = mark.with_suffix(".new")
    beside.write_text(f"{newest}\n")
    beside.rename(mark)
    return count


async def _again(store: Store, prefix: str) -> int:
    after, count = "", 0
    while True:
        page = await store.range(prefix, after=after, limit=_PAGE)
        for item in page.items:
            try:
                await store.commit([Op(item.key, item.value, item.mod_revision)])
                count += 1
            except CompareFailed:
                pass  # somebody has written it meanwhile, with the newest key
        if not page.remaining:
            return count
        after = page.items[-1].key
