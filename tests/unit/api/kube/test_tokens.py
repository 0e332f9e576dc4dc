"""Service accounts' tokens and clocks that are not quite right."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sampan.api.kube.records import Records
from sampan.api.kube.server import registry
from sampan.api.kube.tokens import AccountTokens
from sampan.base.clock import ManualClock
from sampan.kube.status import ApiError
from sampan.store.kv.memory import MemoryStore
from unit.api.kube.cluster import resource

KEY = ec.generate_private_key(ec.SECP256R1()).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
ACCOUNT = {
    "apiVersion": "v1",
    "kind": "ServiceAccount",
    "metadata": {"name": "robot", "namespace": "a", "uid": "u-1"},
}


@pytest.mark.parametrize(("back_s", "good"), [(0, True), (59, True), (3600, False)])
async def test_a_token_is_good_after_the_clock_was_set_back_a_little(back_s: int, good: bool) -> None:
    store = MemoryStore()
    records = Records(store)
    await records.create(resource("serviceaccounts"), ACCOUNT)

    def tokens(now_s: int) -> AccountTokens:
        clock = ManualClock()
        clock.advance(now_s)
        return AccountTokens(KEY, records, registry(), clock, lambda: "id")

    token, _ = tokens(7200).issue(ACCOUNT, audiences=["x"], seconds=600)
    later = tokens(7200 - back_s)
    if good:
        found = await later.find(token, ["x"])
        assert found is not None
        assert found.user.name == "system:serviceaccount:a:robot"
    else:
        with pytest.raises(ApiError):
            await later.find(token, ["x"])
    await store.close()
