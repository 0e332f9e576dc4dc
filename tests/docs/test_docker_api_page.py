"""docs/docker-api.md names every noun of the route table."""

from __future__ import annotations

from pathlib import Path

from sampan.api.docker.routes import ROUTES

PAGE = (Path(__file__).parents[2] / "docs/docker-api.md").read_text()


def test_every_route_is_documented():
    missing = set()
    for route in ROUTES:
        parts = [part for part in route.path.split("/") if part and "{" not in part]
        missing |= {part for part in parts if part not in PAGE}
    assert missing == set()
