"""What history no longer has: lists that are not continued where they were, watches that are begun anew."""

from __future__ import annotations

import json

import pytest

from sampan.api.kube.local import LocalClient
from sampan.api.kube.request import Request, User
from sampan.base.clock import ManualClock
from sampan.control.controller import CONFIG_MAPS
from sampan.kube.status import ApiError
from sampan.store.kv.memory import MemoryStore
from unit.control.server import server

MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture
async def served():
    store = MemoryStore()
    async with server(ManualClock(), store) as api:
        client = LocalClient(api, User("tester"), "tester")
        for name in "abcd":
            await client.create(CONFIG_MAPS, {"metadata": {"name": name, "namespace": "default"}})
        yield api, client, store


async def asked(api, query):
    answer = await api.handle_as(User("tester"), Request("GET", MAPS, query))
    return answer.status, json.loads(answer.body)


async def test_a_list_whose_history_is_gone_goes_on_as_things_are_now(served) -> None:
    api, client, store = served
    _, first = await asked(api, "limit=2")
    await client.create(CONFIG_MAPS, {"metadata": {"name": "bb", "namespace": "default"}})
    await client.delete(CONFIG_MAPS, "default", "c")
    await store.compact(store.revision)
    code, refused = await asked(api, f"limit=2&continue={first['metadata']['continue']}")
    assert (code, refused["reason"]) == (410, "Expired")
    code, rest = await asked(api, f"limit=9&continue={refused['metadata']['continue']}")
    assert code == 200
    assert [item["metadata"]["name"] for item in rest["items"]] == ["bb", "d"]  # of another moment, and it was told


async def test_a_snapshot_is_listed_while_history_has_it(served) -> None:
    api, client, _ = served
    _, first = await asked(api, "limit=2")
    await client.delete(CONFIG_MAPS, "default", "c")
    _, rest = await asked(api, f"limit=9&continue={first['metadata']['continue']}")
    assert [item["metadata"]["name"] for item in rest["items"]] == ["c", "d"]


async def test_old_versions_are_refused(served) -> None:
    api, client, store = served
    old = (await client.list(CONFIG_MAPS, "default")).resource_version
    await client.delete(CONFIG_MAPS, "default", "a")
    await client.delete(CONFIG_MAPS, "default", "b")
    await store.compact(store.revision)
    code, refused = await asked(api, f"resourceVersion={old}&resourceVersionMatch=Exact")
    assert (code, refused["reason"]) == (410, "Expired")
    with pytest.raises(ApiError) as ended:
        async for _ in client.watch(CONFIG_MAPS, old, "default"):
            pass
    assert (ended.value.code, ended.value.reason) == (410, "Expired")
