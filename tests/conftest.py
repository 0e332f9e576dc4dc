"""How the suite is spread over xdist's workers: pure tests anywhere, tests of one kind of real thing on one worker."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parent
ALONE = ("host", "wire", "docs", "crash", "cve")
"""Folders whose tests share fixtures (a daemon) or measure time: one worker each, in their own order."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder = item.path.relative_to(ROOT).parts[0]
        if folder in ALONE:
            item.add_marker(pytest.mark.xdist_group(folder))
