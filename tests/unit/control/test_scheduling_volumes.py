"""Claims that wait for their first consumer, and the volumes that they may be bound to, as the API has them."""

from __future__ import annotations

import pytest

from sampan.control.scheduling.volumes import Volumes, claim, storage_class, volume
from sampan.kube.selector import Requirement
from sampan.schedule.claimable import ClaimableVolumes, FreeVolume
from sampan.schedule.shape import NodeTerm, Shape, UnboundClaim, VolumeWish

GI = 1 << 30
PLAIN = Shape(namespace="n")
LATE = {"volumeBindingMode": "WaitForFirstConsumer"}
ZONE_A = {"key": "zone", "values": ["a"]}


def claimed(name: str = "c", **spec) -> dict:
    asked = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1500M"}}, "storageClassName": "s"}
    return {"metadata": {"namespace": "n", "name": name, "uid": "u"}, "spec": {**asked, **spec}}


def offered(phase: str = "Available", meta: dict | None = None, **spec) -> dict:
    has = {"accessModes": ["ReadWriteOnce", "ReadOnlyMany"], "capacity": {"storage": "2Gi"}, "storageClassName": "s"}
    return {"metadata": {"name": "v", **(meta or {})}, "spec": {**has, **spec}, "status": {"phase": phase}}


def known(provisioner: str = "kubernetes.io/no-provisioner", **more) -> Volumes:
    found = Volumes(ClaimableVolumes())
    found.classes["s"] = storage_class({"provisioner": provisioner, **LATE, **more})
    found.claims["n", "c"] = claim(claimed())
    return found


def test_what_a_claim_asks_for():
    found = claim(
        claimed(selector={"matchLabels": {"disk": "ssd"}}, volumeMode="Block", volumeAttributesClassName="fast")
    )
    wish = VolumeWish(
        storage_class="s",
        size_bytes=1_500_000_000,
        access_modes=("ReadWriteOnce",),
        mode="Block",
        attributes_class="fast",
        selector=(Requirement("disk", "In", ("ssd",)),),
    )
    assert found.unbound == UnboundClaim(key="n/c", uid="u", wish=wish)
    assert claim(claimed(volumeName="v")).unbound is None
    old = claimed(storageClassName=None)
    old["metadata"]["annotations"] = {"volume.beta.kubernetes.io/storage-class": "old"}
    assert claim(old).storage_class == "old"


def test_what_a_volume_offers():
    free = FreeVolume(name="v", storage_class="s", size_bytes=2 * GI, access_modes=("ReadWriteOnce", "ReadOnlyMany"))
    assert volume(offered()).free == free
    preset = {"claimRef": {"namespace": "n", "name": "c", "uid": "u"}}
    for phase in ("Pending", "Available", "Bound"):
        told = volume(offered(phase, **preset)).free
        assert told is not None
        assert (told.claim, told.claim_uid) == ("n/c", "u")


@pytest.mark.parametrize("phase", ["", "Pending", "Released", "Failed", "Bound"])
def test_a_volume_that_is_not_available_is_offered_to_nobody(phase):
    assert volume(offered(phase)).free is None


def test_a_volume_that_is_being_deleted_is_offered_to_nobody():
    assert volume(offered(meta={"deletionTimestamp": "2026-01-01T00:00:00Z"})).free is None


def test_where_nobody_makes_volumes_a_claim_needs_one_that_is_there():
    wanted = known().wanted(PLAIN, ["c", "c"])
    [unbound] = wanted.shape.unbound
    assert (unbound.key, unbound.made_on, wanted.to_select, wanted.fault) == ("n/c", None, ("c",), "")


def test_where_somebody_makes_volumes_one_that_is_there_may_be_taken_too():
    found = known("d")
    assert found.wanted(PLAIN, ["c"]) == (PLAIN, "", ("c",))
    found._claimable.put("v", volume(offered()).free)
    [unbound] = found.wanted(PLAIN, ["c"]).shape.unbound
    assert unbound.made_on == ()
    selected = claimed()
    selected["metadata"]["annotations"] = {"volume.kubernetes.io/selected-node": "a"}
    found.claims["n", "c"] = claim(selected)
    shape = found.wanted(PLAIN, ["c"]).shape
    assert (shape.unbound, len(shape.volume_terms)) == ((), 1)


def test_where_volumes_are_made_in_some_zones_only():
    found = known("d", allowedTopologies=[{"matchLabelExpressions": [ZONE_A]}])
    [unbound] = found.wanted(PLAIN, ["c"]).shape.unbound
    assert unbound.made_on == (NodeTerm((Requirement("zone", "In", ("a",)),)),)


def test_what_is_awaited():
    found = known("d")
    found.claims["n", "e"] = claim(claimed("e"))
    assert found.awaited("n", ["c", "e"], "a", {"n/c": "v"}) == (
        "persistentvolumeclaim c: is to be bound to volume v; persistentvolumeclaim e: d was told to make the volume for node a"
    )
