"""Two control processes on one etcd: both serve, one runs the controllers; when it ends or is killed, the other does."""

from __future__ import annotations

import contextlib
import shutil

import pytest

from etcd import etcd
from kube import ControlPlane, eventually

LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-controller-manager"


def holder(plane: ControlPlane) -> str:
    code, _ = plane.call("GET", LEASE)
    return plane.json("GET", LEASE)["spec"].get("holderIdentity", "") if code == 200 else ""


def leads(plane: ControlPlane) -> bool:
    return "this process leads" in plane.log.read_text()


@pytest.fixture
def two(tmp_path):
    """Two control processes; the second one has the first one's keys, as those of a cluster have."""
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(etcd(tmp_path / "etcd")).url
        planes = [ControlPlane(tmp_path / name, store=url) for name in ("one", "two")]
        for plane in planes:
            stack.callback(plane.kill)
        planes[0].start()
        shutil.copytree(planes[0].directory / "pki", planes[1].directory / "pki")
        planes[1].start()
        yield planes


def furnished(plane: ControlPlane, namespace: str) -> bool:
    """Return whether a controller has been at work in a namespace."""
    return plane.call("GET", f"/api/v1/namespaces/{namespace}/configmaps/kube-root-ca.crt")[0] == 200


def test_one_of_two_runs_the_controllers(two) -> None:
    one, other = two
    first = eventually(lambda: holder(one), 10)
    eventually(lambda: leads(one), 5)
    other.json("POST", "/api/v1/namespaces", {"metadata": {"name": "by-the-other"}})
    eventually(lambda: furnished(other, "by-the-other"), 5)
    assert not leads(other)
    one.stop()  # the lease is given back
    eventually(lambda: leads(other), 8)
    second = holder(other)
    assert second not in ("", first)
    other.json("POST", "/api/v1/namespaces", {"metadata": {"name": "alone"}})
    eventually(lambda: furnished(other, "alone"), 5)
    one.start()
    other.kill()  # nothing is given back: the lease has to run out
    one.json("POST", "/api/v1/namespaces", {"metadata": {"name": "after-a-kill"}})
    assert not furnished(one, "after-a-kill")
    eventually(lambda: furnished(one, "after-a-kill"), 25)
    assert holder(one) not in ("", first, second)
