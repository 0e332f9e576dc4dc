"""Which containers get names resolved, and by whom. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from sampan.model.container import Endpoint
from sampan.model.network import Network

EMBEDDED_NAMESERVER = "127.0.0.11"
"""The server's address inside every container on a user-defined network; configurations out there name it."""


def resolves_names(endpoints: Iterable[Endpoint], networks: dict[str, Network]) -> bool:
    """Return whether one of the endpoints is on a user-defined network (the default bridge has no names)."""
    return any(
        (network := networks.get(endpoint.network_id)) is not None and not network.builtin for endpoint in endpoints
    )
