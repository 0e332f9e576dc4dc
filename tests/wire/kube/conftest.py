from __future__ import annotations

import itertools

import pytest

from kube import ControlPlane, control_plane

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def plane(tmp_path_factory) -> ControlPlane:
    """One control process for all tests of a worker; each takes a namespace of its own."""
    with control_plane(tmp_path_factory.mktemp("kube")) as plane:
        yield plane


@pytest.fixture
def namespace(plane) -> str:
    name = f"t{next(_numbers)}"
    plane.json("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    return name
