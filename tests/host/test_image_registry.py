"""Pull and push: against Debian's docker-registry, and against one that lies."""

from __future__ import annotations

import asyncio
import os

import pytest

from host.image_archives import directory, docker_archive, file, oci_archive, tar
from host.image_registry import BINARY, LyingRegistry, basic, debian_registry
from host.image_world import World, root_only
from sampan.base.errors import DataLoss, InvalidArgument, NotFound, TooLarge, Unauthorized, Unavailable
from sampan.image import registry as client
from sampan.image.port import Credentials
from sampan.image.registry import connect

pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(root_only()), reason=root_only())]
needs_registry = pytest.mark.skipif(not BINARY, reason="docker-registry (Debian's) is not installed")

LAYER = tar(directory("etc"), file("etc/passwd", b"root\n"), file("big", os.urandom(300_000)))
SECOND = tar(file("etc/group", b"group\n"))
ME = Credentials(username="me", password="pw")


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path / "data")
    yield made
    made.close()
    assert made.temporary() == []


async def pull(world: World, reference: str, credentials: Credentials | None = None, platform: str = "") -> list[str]:
    return [step.status async for step in world.store.pull(reference, credentials, platform)]


async def push(world: World, reference: str, credentials: Credentials | None = None) -> list[str]:
    return [step.status async for step in world.store.push(reference, credentials) if step.status]


# --- Debian's registry --------------------------------------------------------------------------------------------------


@needs_registry
async def test_push_and_pull(world, tmp_path):
    async with debian_registry(tmp_path / "registry") as address:
        image = await world.load_one(oci_archive([LAYER, SECOND], tag=f"{address}/team/app:1"))
        steps = await push(world, f"{address}/team/app:1")
        assert steps.count("Pushed") == 2
        assert steps[-1].startswith(f"1: digest: {image.manifest_digest} size: ")
        assert (await push(world, f"{address}/team/app:1")).count("Layer already exists") == 2

        await world.store.tag(image.id, f"{address}/other/app:2")
        assert (await push(world, f"{address}/other/app")).count("Mounted from team/app") == 2

        there = World(tmp_path / "there")
        steps = await pull(there, f"{address}/team/app:1")
        pulled = there.store.get(f"{address}/team/app:1")
        assert (pulled.id, pulled.manifest_digest) == (image.id, image.manifest_digest)
        assert pulled.digests == (f"{address}/team/app@{image.manifest_digest}",)
        assert steps[0] == "Pulling from team/app"
        for step in ("Pulling fs layer", "Verifying Checksum", "Download complete", "Extracting", "Pull complete"):
            assert steps.count(step) == 2
        assert steps[-2:] == [
            f"Digest: {image.manifest_digest}",
            f"Status: Downloaded newer image for {address}/team/app:1",
        ]
        again = await pull(there, f"{address}/team/app@{image.manifest_digest}")
        assert again.count("Already exists") == 2
        assert again[-1].startswith("Status: Image is up to date for")
        assert there.store.get(f"{address}/team/app@{image.manifest_digest}").id == image.id
        with pytest.raises(NotFound, match=r"manifest for 127.0.0.1:\d+/team/app:nope not found: manifest unknown"):
            await pull(there, f"{address}/team/app:nope")
        there.close()


@needs_registry
async def test_a_registry_with_passwords(world, tmp_path):
    good = Credentials(username="sampan", password="s3cret")
    bad = Credentials(username="sampan", password="wrong")
    async with debian_registry(tmp_path / "registry", password=True) as address:
        await world.load(docker_archive([LAYER], tag=f"{address}/app:1"))
        with pytest.raises(Unauthorized):
            await push(world, f"{address}/app:1", bad)
        assert "Pushed" in await push(world, f"{address}/app:1", good)
        with pytest.raises(Unauthorized, match="may require 'docker login'"):
            await pull(world, f"{address}/app:1")
        assert "Already exists" in await pull(world, f"{address}/app:1", good)
        server = {"server_address": address}
        login = Credentials(username="sampan", password="s3cret", **server)
        assert await world.store.check_registry(login) == "Login Succeeded"
        with pytest.raises(Unauthorized) as caught:
            await world.store.check_registry(Credentials(username="sampan", password="hunter2", **server))
        assert "hunter2" not in str(caught.value)


@needs_registry
async def test_a_registry_with_tls(world, tmp_path):
    async with debian_registry(tmp_path / "registry", tls=True) as address:
        await world.load(docker_archive([LAYER], tag=f"{address}/app:1"))
        assert "Pushed" in await push(world, f"{address}/app:1")
        async with connect(address, "app", insecure=[address]) as found:
            assert found.base == f"https://{address}"
        strict = client._context(verify=True)
        assert strict.check_hostname


# --- lies ---------------------------------------------------------------------------------------------------------------


async def _lie(world: World, *lies: str, credentials: Credentials | None = None, **more) -> LyingRegistry:
    registry = LyingRegistry([LAYER, SECOND], *lies)
    for name, value in more.items():
        setattr(registry, name, value)
    async with registry.serve() as address:
        await pull(world, f"{address}/a/b", credentials)
    return registry


def _nothing(world: World) -> bool:
    return (world.layers(), world.blobs(), world.temporary(), world.store.list()) == ([], [], [], ())


async def test_an_honest_registry_is_believed(world):
    await _lie(world)
    assert world.store.list()[0].layer_sizes == (300_005, 6)


@pytest.mark.parametrize("lie", ["bit", "other", "longer", "shorter", "manifest bit", "config bit"])
async def test_other_bytes_than_the_digest_says_are_refused(world, lie):
    with pytest.raises((DataLoss, InvalidArgument)) as caught:
        await _lie(world, lie)
    assert isinstance(caught.value, DataLoss)
    assert _nothing(world)


async def test_a_huge_manifest_is_refused(world):
    with pytest.raises(TooLarge):
        await _lie(world, "huge manifest")
    assert _nothing(world)


async def test_schema_1_is_told(world):
    with pytest.raises(InvalidArgument, match="schema 1"):
        await _lie(world, "old schema")


async def test_a_broken_download_goes_on_where_it_broke(world):
    registry = await _lie(world, "cut", "ranges")
    assert len(registry.ranges) >= 2
    assert all(asked != "bytes=0-" for asked in registry.ranges)
    assert world.store.list()[0].layer_sizes == (300_005, 6)


async def test_a_server_without_ranges_begins_anew(world):
    registry = await _lie(world, "cut", "once")
    assert registry.ranges
    assert world.store.list()[0].layer_sizes == (300_005, 6)


async def test_a_wrong_range_is_refused(world):
    with pytest.raises(DataLoss, match="another range"):
        await _lie(world, "cut", "ranges", "wrong range")
    assert _nothing(world)


async def test_a_download_that_never_gets_on_ends(world):
    with pytest.raises(Unavailable, match="could not be downloaded"):
        await _lie(world, "cut", "ranges", "for ever")
    assert _nothing(world)


async def test_a_busy_registry_is_asked_again(world):
    await _lie(world, "busy")
    assert world.store.list()


async def test_a_cancelled_pull_leaves_nothing(world):
    registry = LyingRegistry([LAYER], "cut", "ranges", "for ever")
    async with registry.serve() as address:
        task = asyncio.create_task(pull(world, f"{address}/a/b"))
        await registry.stuck.wait()
        task.cancel()
        with pytest.raises((asyncio.CancelledError, Unavailable)):
            await task
    assert _nothing(world)


# --- credentials --------------------------------------------------------------------------------------------------------


async def test_tokens(world):
    registry = await _lie(world, "bearer", credentials=ME)
    asked = [row for row in registry.requests if row[1] == "/token"]
    assert asked == [("GET", "/token", basic("me", "pw"))]
    seen = {row[2] for row in registry.requests if row[1].startswith("/v2/")}
    assert seen == {"", "Bearer good-token"}, "the registry itself never sees the password"


async def test_an_identity_token_is_exchanged(world):
    registry = await _lie(world, "bearer", credentials=Credentials(identity_token="refresh"))
    assert ("POST", "/token", "") in registry.requests


async def test_a_registry_token_is_used_as_it_is(world):
    registry = await _lie(world, "bearer", credentials=Credentials(registry_token="good-token"))
    assert not [row for row in registry.requests if row[1] == "/token"]


async def test_anonymous_tokens(world):
    await _lie(world, "bearer", "anonymous")


async def test_wrong_passwords_are_told_once(world):
    with pytest.raises(Unauthorized, match="incorrect username or password"):
        await _lie(world, "bearer", credentials=Credentials(username="me", password="no"))


async def test_basic(world):
    registry = await _lie(world, "basic", credentials=ME)
    assert {row[2] for row in registry.requests} == {"", basic("me", "pw")}


async def test_a_token_server_of_another_host_gets_no_credentials(world):
    thief = LyingRegistry([LAYER], host="127.0.0.2")
    async with thief.serve() as other:
        with pytest.raises(Unauthorized):
            await _lie(world, "bearer", credentials=ME, realm=f"http://{other}/token")
    assert thief.requests
    assert {row[2] for row in thief.requests} == {""}


async def test_redirected_blobs_are_fetched_without_credentials(world):
    storage = LyingRegistry([LAYER, SECOND], host="127.0.0.2")
    async with storage.serve() as other:
        registry = await _lie(
            world, "redirect", "basic", credentials=ME, elsewhere=f"http://{other}/elsewhere/{{digest}}"
        )
    assert len(storage.requests) == 2
    assert {row[2] for row in storage.requests} == {""}
    assert basic("me", "pw") in {row[2] for row in registry.requests}
    assert world.store.list()


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://user:pw@127.0.0.1/x", "gopher://x/"]
)
async def test_redirects_to_odd_places_are_not_followed(world, target):
    with pytest.raises(DataLoss, match="redirect that is not followed"):
        await _lie(world, "redirect", elsewhere=target)
    assert _nothing(world)


async def test_redirect_loops_end(world):
    registry = LyingRegistry([LAYER], "redirect")
    async with registry.serve() as address:
        registry.elsewhere = f"http://{address}/v2/a/b/blobs/{{digest}}"
        with pytest.raises(Unavailable, match="redirects more than"):
            await pull(world, f"{address}/a/b")
    assert _nothing(world)


# --- mirrors ----------------------------------------------------------------------------------------------------------


async def test_mirrors_of_docker_hub_are_asked_first_and_get_no_credentials(tmp_path):
    empty, full = LyingRegistry([]), LyingRegistry([LAYER])
    empty.manifests.clear()
    async with empty.serve() as first, full.serve() as second:
        world = World(tmp_path / "data", registry_mirrors=[f"http://{first}/", second])
        await pull(world, "busybox", ME)
        assert world.store.get("busybox").digests[0].startswith("busybox@sha256:")
        world.close()
    assert {row[1] for row in empty.requests} == {"/v2/library/busybox/manifests/latest"}
    assert {row[2] for row in full.requests} == {""}


async def test_a_mirror_that_lies_is_not_passed_over_in_silence(tmp_path):
    registry = LyingRegistry([LAYER], "bit")
    async with registry.serve() as address:
        world = World(tmp_path / "data", registry_mirrors=[address])
        with pytest.raises(DataLoss):
            await pull(world, "busybox")
        world.close()


# --- platforms ----------------------------------------------------------------------------------------------------------


async def test_the_platform_chooses_in_an_index(world):
    registry = LyingRegistry([LAYER])
    registry.index({"os": "linux", "architecture": "arm64", "variant": "v8"})
    async with registry.serve() as address:
        await pull(world, f"{address}/a/b", platform="linux/arm64")
        assert world.store.list()
        with pytest.raises(NotFound, match="no matching manifest for linux/s390x"):
            await pull(world, f"{address}/a/b", platform="linux/s390x")
        with pytest.raises(InvalidArgument, match="is not a platform"):
            await pull(world, f"{address}/a/b", platform="a/b/c/d")


async def test_indexes_nested_for_ever_are_refused(world):
    registry = LyingRegistry([LAYER])
    registry.index({"os": "linux", "architecture": "amd64"})
    registry.manifests[next(reversed(registry.manifests))] = registry.manifests["latest"]
    async with registry.serve() as address:
        with pytest.raises((InvalidArgument, DataLoss)):
            await pull(world, f"{address}/a/b")
    assert _nothing(world)


async def test_plain_http_only_where_it_is_allowed():
    async with connect("10.255.255.1:5000", "a/b") as found:
        assert found.base == "https://10.255.255.1:5000"


async def test_nobody_listens(world):
    with pytest.raises(Unavailable, match=r"cannot reach 127.0.0.1: .*sampan image bootstrap busybox"):
        await pull(world, "127.0.0.1:1/a/b")


async def test_pulls_of_one_image_at_once(world):
    registry = LyingRegistry([LAYER, SECOND])
    async with registry.serve() as address:
        await asyncio.gather(*(pull(world, f"{address}/a/b") for _ in range(4)))
    assert len(world.store.list()) == 1
    assert len(world.layers()) == 2
