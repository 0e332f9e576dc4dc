from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from sampan.api.kube.api import Api
from sampan.base.clock import SystemClock
from sampan.control.controller import NAMESPACES
from unit.control.live import client
from unit.control.server import server


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    """A server with the namespace `default`."""
    async with server(SystemClock()) as made:
        await client(made).create(NAMESPACES, {"metadata": {"name": "default"}})
        yield made
