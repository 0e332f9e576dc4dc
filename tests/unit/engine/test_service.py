"""The engine's rules, on memory twins: no kernel, no sleep, one event loop."""

import asyncio

import pytest

from sampan.base.errors import AlreadyExists, Conflict, Forbidden, InvalidArgument, NotFound, NotModified, RuntimeFailed
from sampan.engine.port import Filters
from sampan.model.container import (
    ContainerSpec,
    EndpointSpec,
    Healthcheck,
    MountKind,
    MountSpec,
    NetworkSpec,
    Phase,
    PortBinding,
    Process,
    Resources,
    RestartPolicy,
    move,
)
from sampan.model.network import Network
from sampan.model.volume import Volume
from sampan.runtime.port import ExecSpec
from sampan.store.port import Write
from unit.engine.memory_engine import World


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


@pytest.fixture
async def engine(world):
    engine = world.engine()
    await engine.open()
    yield engine
    await engine.close()


def spec(*args, **rest):
    process = Process(args=args or None, **rest.pop("process", {}))
    return ContainerSpec(image="busybox", process=process, **rest)


async def run(engine, *args, name="", **rest):
    made, _ = await engine.create(spec(*args, **rest), name)
    await engine.start(made.id)
    return made.id


async def until(engine, container_id, phase):
    async with asyncio.timeout(5):
        while engine.container(container_id).state.phase is not phase:
            await asyncio.sleep(0.005)
    return engine.container(container_id)


async def test_a_container_runs_to_its_end(engine):
    made, warnings = await engine.create(spec("echo", "hello"), "web")
    assert (made.state.phase, made.name, warnings) == (Phase.CREATED, "web", ())
    waiter = engine.wait("web", "next-exit")
    streams = await engine.attach("web")
    await engine.start("web")
    output = b"".join([data async for _, data in streams.output()])
    assert output == b"hello\n"
    assert (await waiter.result()).code == 0
    ended = engine.container("web")
    assert (ended.state.phase, ended.state.exit_code, ended.state.pid) == (Phase.EXITED, 0, 0)
    assert ended.state.finished_at_ns >= ended.state.started_at_ns > 0


async def test_names_are_unique_and_free_again_after_removal(engine):
    first, _ = await engine.create(spec("true"), "web")
    with pytest.raises(AlreadyExists, match='The container name "/web" is already in use'):
        await engine.create(spec("true"), "web")
    await engine.remove("web")
    again, _ = await engine.create(spec("true"), "/web")
    assert again.id != first.id


async def test_a_bad_request_leaves_nothing(engine, world):
    before = dict(world.records._records)
    for bad in (
        spec("true", resources=Resources(memory_bytes=1)),
        spec("true", network=NetworkSpec(mode="nowhere")),
        spec("true", runtime="nope"),
        spec("true", mounts=(MountSpec(kind=MountKind.BIND, source="/none", target="/x"),)),
        ContainerSpec(image="missing"),
    ):
        with pytest.raises((InvalidArgument, NotFound)):
            await engine.create(bad, "web")
    assert world.records._records == before
    assert engine.containers(all=True) == ()


async def test_a_program_that_is_not_there_leaves_a_created_container_that_says_why(engine, world):
    made, _ = await engine.create(spec("nope"), "web")
    with pytest.raises(RuntimeFailed) as raised:
        await engine.start("web")
    assert raised.value.exit_code == 127
    state = engine.container("web").state
    assert (state.phase, state.exit_code) == (Phase.CREATED, 127)
    assert "nope" in state.error
    assert made.id not in world.host.containers
    assert world.network.sandboxes == {}


async def test_auto_remove_takes_everything_with_it(engine, world):
    made, _ = await engine.create(spec("true", auto_remove=True, volumes=("/data",)))
    removed = engine.wait(made.id, "removed")
    await engine.start(made.id)
    assert (await removed.result()).code == 0
    with pytest.raises(NotFound):
        engine.container(made.id)
    await engine.close()
    assert engine.volumes() == ()
    assert world.host.containers == {}
    assert await world.snapshotter.containers() == ()


async def test_start_stop_and_kill_say_when_there_is_nothing_to_do(engine):
    container = await run(engine, "sleep", "100", name="web")
    with pytest.raises(NotModified):
        await engine.start("web")
    with pytest.raises(Conflict, match="container is running: stop the container before removing or force remove"):
        await engine.remove("web")
    await engine.stop("web", timeout_s=0)
    assert engine.container(container).state.exit_code == 137  # as PID 1, sleep takes no TERM
    with pytest.raises(NotModified):
        await engine.stop("web")
    with pytest.raises(Conflict, match="is not running"):
        await engine.kill("web")
    await engine.remove("web")


async def test_pause_and_its_refusals(engine):
    await run(engine, "sleep", "100", name="web")
    await engine.pause("web")
    with pytest.raises(Conflict, match="already paused"):
        await engine.pause("web")
    with pytest.raises(Conflict, match="is paused, unpause the container before exec"):
        await engine.exec_create("web", ExecSpec(args=("true",)), attach=(False, True, True))
    with pytest.raises(Conflict, match="try unpause instead"):
        await engine.start("web")
    await engine.unpause("web")
    await engine.remove("web", force=True)


async def test_on_failure_restarts_as_often_as_it_says(engine):
    made = await run(engine, "false", restart=RestartPolicy(name="on-failure", max_retries=2))
    async with asyncio.timeout(5):
        while not (
            engine.container(made).state.phase is Phase.EXITED and engine.container(made).state.restart_count == 2
        ):
            await asyncio.sleep(0.01)
    assert engine.container(made).state.exit_code == 1


async def test_a_stop_ends_a_restart_loop(engine):
    made = await run(engine, "false", restart=RestartPolicy(name="always"))
    await until(engine, made, Phase.RESTARTING)
    try:
        await engine.stop(made, timeout_s=0)
    except NotModified:
        pytest.fail("a container between two tries can be stopped")
    await asyncio.sleep(0.3)
    assert engine.container(made).state.phase is Phase.EXITED


async def test_exec(engine):
    await run(engine, "sleep", "100", name="web")
    record = await engine.exec_create("web", ExecSpec(args=("echo", "hi")), attach=(False, True, True))
    streams = await engine.exec_start(record.id, tty=False, detach=False)
    assert b"".join([data async for _, data in streams.output()]) == b"hi\n"
    async with asyncio.timeout(2):
        while engine.exec_inspect(record.id).exit_code is None:
            await asyncio.sleep(0.005)
    assert engine.exec_inspect(record.id).exit_code == 0
    with pytest.raises(Conflict, match="has already run"):
        await engine.exec_start(record.id, tty=False, detach=False)


async def test_networks_have_names_addresses_and_users(engine, world):
    network, _ = await engine.create_network(Network(id="", name="shop"))
    with pytest.raises(Conflict, match="already exists"):
        await engine.create_network(Network(id="", name="shop"))
    made = await run(engine, "sleep", "100", name="db", network=NetworkSpec(mode="shop"))
    endpoint = engine.container(made).state.endpoints[0]
    assert endpoint.ipv4
    assert world.network.names[network.id]["db"] == (endpoint.ipv4,)
    with pytest.raises(Forbidden, match="has active endpoints"):
        await engine.remove_network("shop")
    await engine.connect("bridge", "db", EndpointSpec(network="bridge"))
    assert len(engine.container("db").state.endpoints) == 2
    await engine.disconnect("bridge", "db", force=False)
    await engine.remove("db", force=True)
    assert world.network.names.get(network.id, {}).get("db") is None
    await engine.remove_network("shop")
    with pytest.raises(NotFound, match="network shop not found"):
        engine.network("shop")
    with pytest.raises(Forbidden, match="pre-defined network"):
        await engine.remove_network("bridge")


async def test_a_port_is_held_by_one_and_free_when_stop_returns(engine):
    port = NetworkSpec(ports=(PortBinding(container_port=80, host_port=8080),))
    await run(engine, "sleep", "100", name="one", network=port)
    second, _ = await engine.create(spec("sleep", "100", network=port), "two")
    with pytest.raises(Conflict, match="port is already allocated"):
        await engine.start("two")
    assert engine.container(second.id).state.phase is Phase.CREATED
    await engine.stop("one", timeout_s=0)
    await engine.start("two")


async def test_volumes_outlive_containers_unless_asked(engine):
    mount = MountSpec(kind=MountKind.VOLUME, source="db", target="/data")
    made, _ = await engine.create(spec("true", mounts=(mount,), volumes=("/tmp/x",)), "web")
    assert {point.target for point in made.mounts} == {"/data", "/tmp/x"}
    with pytest.raises(Conflict, match="volume is in use"):
        await engine.remove_volume("db", force=False)
    await engine.remove("web", volumes=True)
    assert [volume.name for volume in engine.volumes()] == ["db"]
    assert (await engine.create_volume(Volume(name="db"))).name == "db"
    await engine.remove_volume("db", force=False)
    with pytest.raises(NotFound, match="no such volume"):
        engine.volume("db")


async def test_volumes_from_and_namespace_sharing(engine):
    mount = MountSpec(kind=MountKind.VOLUME, source="db", target="/data")
    await run(engine, "sleep", "100", name="donor", mounts=(mount,))
    made, _ = await engine.create(spec("true", volumes_from=("donor:ro",)), "taker")
    assert made.mounts[0].read_only
    joined = await run(engine, "sleep", "1", network=NetworkSpec(mode="container:donor"))
    assert engine.container(joined).state.sandbox_key == engine.container("donor").state.sandbox_key
    await engine.remove(joined, force=True)
    assert engine.container("donor").running


async def test_rename_and_update(engine):
    await run(engine, "sleep", "100", name="one")
    await engine.rename("one", "two")
    assert engine.container("two").name == "two"
    with pytest.raises(NotFound):
        engine.container("one")
    await engine.update("two", {"memory_bytes": 64 << 20}, RestartPolicy(name="always"))
    assert engine.container("two").spec.resources.memory_bytes == 64 << 20
    with pytest.raises(InvalidArgument):
        await engine.update("two", {"memory_bytes": 1}, None)


async def test_health_follows_the_probe(engine):
    check = Healthcheck(test=("CMD", "false"), interval_ns=20_000_000, retries=2)
    made = await run(engine, "sleep", "100", healthcheck=check)
    assert engine.container(made).state.health.status == "starting"
    async with asyncio.timeout(5):
        while engine.container(made).state.health.status != "unhealthy":
            await asyncio.sleep(0.01)
    assert engine.containers(Filters(terms={"health": ("unhealthy",)}))[0].id == made


async def test_events_tell_a_life_in_order(engine):
    seen = []

    async def follow():
        async for event in engine.events(filters=Filters(terms={"type": ("container",)})):
            seen.append(event.action)
            if event.action == "destroy":
                return

    task = asyncio.ensure_future(follow())
    await asyncio.sleep(0)
    made = await run(engine, "true")
    await until(engine, made, Phase.EXITED)
    await engine.remove(made)
    await asyncio.wait_for(task, 2)
    assert seen == ["create", "start", "die", "destroy"]


# --- death of the engine ----------------------------------------------------------------------------------------------


async def reopened(world, engine):
    """Return a new engine on the same world; the old one is dropped as by kill -9."""
    await engine.close()
    world.records._closed = False
    again = world.engine()
    await again.open()
    return again


async def test_what_runs_is_adopted_and_what_ended_meanwhile_is_told(world):
    engine = world.engine()
    await engine.open()
    kept = await run(engine, "sleep", "100", name="kept")
    ends = await run(engine, "sleep", "100", name="ends", restart=RestartPolicy(name="no"))
    pid = engine.container(kept).state.pid
    await engine.close()
    world.records._closed = False
    world.host.containers[ends].end(7)
    again = world.engine()
    await again.open()
    assert (again.container(kept).running, again.container(kept).state.pid) == (True, pid)
    assert (again.container(ends).state.phase, again.container(ends).state.exit_code) == (Phase.EXITED, 7)
    await again.stop("kept", timeout_s=0)
    await again.close()


async def test_a_lost_machine_is_told_and_policies_are_kept(world):
    engine = world.engine()
    await engine.open()
    lost = await run(engine, "sleep", "100", name="lost")
    back = await run(engine, "sleep", "100", name="back", restart=RestartPolicy(name="always"))
    await engine.close()
    world.records._closed = False
    world.host.containers.clear()
    again = world.engine()
    await again.open()
    assert again.container(lost).state.exit_code == 255
    assert "not seen" in again.container(lost).state.error
    await until(again, back, Phase.RUNNING)
    await again.close()


async def test_leftovers_of_unknown_containers_are_swept(world):
    engine = world.engine()
    await engine.open()
    made = await run(engine, "sleep", "100")
    await engine.close()
    world.records._closed = False
    world.records._records.pop(("container", made))
    again = world.engine()
    await again.open()
    assert world.host.containers == {}
    assert await world.snapshotter.containers() == ()
    assert again.containers(all=True) == ()
    await again.close()


async def test_a_start_that_finds_no_port_ends_the_wait_of_an_auto_removed_container(engine):
    port = NetworkSpec(ports=(PortBinding(container_port=80, host_port=8080),))
    await run(engine, "sleep", "100", name="one", network=port)
    made, _ = await engine.create(spec("true", network=port, auto_remove=True))
    removed = engine.wait(made.id, "removed")
    with pytest.raises(Conflict):
        await engine.start(made.id)
    async with asyncio.timeout(2):
        assert "port is already allocated" in (await removed.result()).error
    with pytest.raises(NotFound):
        engine.container(made.id)


async def test_a_start_that_was_cut_keeps_its_wishes_and_blocks_no_start_of_the_engine(world):
    engine = world.engine()
    await engine.open()
    await engine.create_network(Network(id="", name="shop"))
    made, _ = await engine.create(spec("sleep", "100", network=NetworkSpec(mode="shop")), "web")
    engine._registry.record(move(engine.container("web"), Phase.STARTING))
    shop = engine.network("shop")
    engine._registry.hide(shop)
    world.records.commit_blocking(Write("network", shop.id, None))
    again = await reopened(world, engine)
    state = again.container(made.id).state
    assert (state.phase, [endpoint.network_name for endpoint in state.endpoints]) == (Phase.CREATED, ["shop"])
    with pytest.raises(NotFound, match=r"network .* not found"):
        await again.start("web")
    await again.close()
