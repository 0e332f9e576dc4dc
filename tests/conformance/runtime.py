"""What every Runtime does. Subclasses give a `runtime` fixture and a `rootfs` with busybox's usual names."""

import asyncio

import pytest

from sampan.base import ids
from sampan.base.errors import Conflict, NotFound, RuntimeFailed
from sampan.model.container import Container, ContainerSpec, Process
from sampan.runtime.port import ExecSpec, LaunchSpec

ENV = ("PATH=/bin",)


def container(*args: str, **spec: object) -> Container:
    """Return a container of these arguments; `spec` are fields of ContainerSpec."""
    identity = ids.random_id()
    return Container(
        id=identity,
        name=f"test-{identity[:6]}",
        created_at_ns=0,
        spec=ContainerSpec(image="test", **spec),
        args=args,
        env=ENV,
        cwd="/",
        hostname="boat",
    )


async def collect(streams) -> dict[str, bytes]:
    """Return all output by stream."""
    found = {"stdout": b"", "stderr": b""}
    async for stream, data in streams.output():
        found[stream] += data
    return found


async def read_logs(runtime, of, **options):
    wanted = {"follow": False, "tail": None, "since_ns": 0, "until_ns": 0} | options
    return [line async for line in runtime.logs(of, **wanted)]


class RuntimeSuite:
    @pytest.fixture
    def rootfs(self):
        return "/nowhere"

    @pytest.fixture
    async def create(self, runtime, rootfs):
        """Create containers; all of them are deleted after the test."""
        made = []

        async def create(*args, **spec):
            of = container(*args, **spec)
            made.append(of.id)
            await runtime.create(LaunchSpec(container=of, rootfs=rootfs))
            return of

        yield create
        for container_id in made:
            await runtime.delete(container_id)
            await runtime.remove_logs(container_id)

    async def test_a_program_runs_to_its_exit_code(self, runtime, create):
        of = await create("sh", "-c", "exit 3")
        await runtime.start(of.id)
        assert (await runtime.wait(of.id)).code == 3

    async def test_nothing_runs_before_start(self, runtime, create):
        of = await create("echo", "hello")
        found = (await runtime.survey())[of.id]
        assert not found.started
        assert found.pid > 0
        assert found.exit is None
        assert await read_logs(runtime, of) == []

    async def test_attach_before_start_misses_nothing(self, runtime, create):
        of = await create("sh", "-c", "echo out; echo err >&2")
        first, second = await runtime.attach(of.id), await runtime.attach(of.id)
        await runtime.start(of.id)
        wanted = {"stdout": b"out\n", "stderr": b"err\n"}
        assert await collect(first) == wanted
        assert await collect(second) == wanted

    async def test_attach_after_the_end_is_empty(self, runtime, create):
        of = await create("echo", "x")
        await runtime.start(of.id)
        await runtime.wait(of.id)
        streams = await runtime.attach(of.id)
        assert streams is not None

    async def test_logs_keep_order_stream_and_time(self, runtime, create):
        of = await create("sh", "-c", "echo one; echo two")
        await runtime.start(of.id)
        await runtime.wait(of.id)
        lines = await read_logs(runtime, of)
        assert [(line.stream, line.data) for line in lines] == [("stdout", b"one\n"), ("stdout", b"two\n")]
        assert lines[0].time_ns <= lines[1].time_ns
        assert [line.data for line in await read_logs(runtime, of, tail=1)] == [b"two\n"]
        assert await read_logs(runtime, of, tail=0) == []
        assert await read_logs(runtime, of, since_ns=lines[1].time_ns + 1) == []
        assert await read_logs(runtime, of, until_ns=lines[0].time_ns - 1) == []

    async def test_logs_outlive_deletion_until_removed(self, runtime, create):
        of = await create("echo", "kept")
        await runtime.start(of.id)
        await runtime.wait(of.id)
        await runtime.delete(of.id)
        assert [line.data for line in await read_logs(runtime, of)] == [b"kept\n"]
        await runtime.remove_logs(of.id)
        await runtime.remove_logs(of.id)
        assert await read_logs(runtime, of) == []

    async def test_followed_logs_end_with_the_container(self, runtime, create):
        of = await create("sh", "-c", "echo one; sleep 0.1; echo two")
        await runtime.start(of.id)
        lines = await asyncio.wait_for(read_logs(runtime, of, follow=True), 10)
        assert [line.data for line in lines] == [b"one\n", b"two\n"]

    async def test_stdin_reaches_the_program_and_ends(self, runtime, create):
        of = await create("cat", process=Process(stdin_open=True, stdin_once=True))
        streams = await runtime.attach(of.id)
        await runtime.start(of.id)
        await streams.write(b"hello ")
        await streams.write(b"world")
        await streams.close_stdin()
        await streams.close_stdin()
        assert (await collect(streams))["stdout"] == b"hello world"
        assert (await runtime.wait(of.id)).code == 0

    async def test_detach_leaves_the_program_running(self, runtime, create):
        of = await create("cat", process=Process(stdin_open=True))
        streams = await runtime.attach(of.id)
        await runtime.start(of.id)
        streams.detach()
        streams.detach()
        again = await runtime.attach(of.id)
        await again.write(b"still here\n")
        assert (await anext(again.output()))[1] == b"still here\n"

    async def test_kill_gives_137(self, runtime, create):
        of = await create("sleep", "100")
        await runtime.start(of.id)
        await runtime.signal(of.id, 9)
        assert (await runtime.wait(of.id)).code == 137
        with pytest.raises(Conflict):
            await runtime.signal(of.id, 9)

    async def test_the_first_process_ignores_a_signal_without_handler(self, runtime, create):
        of = await create("sleep", "100")
        await runtime.start(of.id)
        await runtime.signal(of.id, 15)
        waiting = asyncio.ensure_future(runtime.wait(of.id))
        done, _ = await asyncio.wait({waiting}, timeout=0.1)
        assert not done
        await runtime.signal(of.id, 9)
        assert (await waiting).code == 137

    async def test_a_missing_program_is_127(self, runtime, rootfs):
        of = container("no-such-program")
        with pytest.raises(RuntimeFailed, match='"no-such-program": executable file not found') as failure:
            await runtime.create(LaunchSpec(container=of, rootfs=rootfs))
        assert failure.value.exit_code == 127
        assert of.id not in await runtime.survey()

    async def test_delete_is_idempotent_and_ends_what_runs(self, runtime, create):
        of = await create("sleep", "100")
        await runtime.start(of.id)
        waiting = asyncio.ensure_future(runtime.wait(of.id))
        await asyncio.sleep(0)
        await runtime.delete(of.id)
        assert (await waiting).code == 137
        await runtime.delete(of.id)
        assert of.id not in await runtime.survey()
        with pytest.raises(NotFound):
            await runtime.start(of.id)

    async def test_a_created_container_can_be_deleted(self, runtime, create):
        of = await create("sleep", "100")
        await runtime.delete(of.id)
        assert of.id not in await runtime.survey()

    async def test_a_container_can_be_created_again_after_its_end(self, runtime, create, rootfs):
        of = await create("true")
        await runtime.start(of.id)
        await runtime.wait(of.id)
        await runtime.create(LaunchSpec(container=of, rootfs=rootfs))
        await runtime.start(of.id)
        assert (await runtime.wait(of.id)).code == 0

    async def test_exec_has_its_own_streams_and_exit_code(self, runtime, create):
        of = await create("sleep", "100")
        await runtime.start(of.id)
        run = await runtime.exec(
            of, ids.random_id(), ExecSpec(args=("sh", "-c", "echo in; echo bad >&2; exit 5"), env=ENV)
        )
        assert run.pid > 0
        assert await collect(run.streams) == {"stdout": b"in\n", "stderr": b"bad\n"}
        assert (await run.wait()).code == 5
        assert (await run.wait()).code == 5

    async def test_exec_with_stdin(self, runtime, create):
        of = await create("sleep", "100")
        await runtime.start(of.id)
        run = await runtime.exec(of, ids.random_id(), ExecSpec(args=("cat",), env=ENV, stdin=True))
        await run.streams.write(b"abc")
        await run.streams.close_stdin()
        assert (await collect(run.streams))["stdout"] == b"abc"
        assert (await run.wait()).code == 0

    async def test_exec_of_a_missing_program_is_127(self, runtime, create):
        of = await create("sleep", "100")
        await runtime.start(of.id)
        with pytest.raises(RuntimeFailed, match='exec: "nope": executable file not found') as failure:
            await runtime.exec(of, ids.random_id(), ExecSpec(args=("nope",), env=ENV))
        assert failure.value.exit_code == 127

    async def test_exec_needs_a_running_container(self, runtime, create):
        of = await create("true")
        await runtime.start(of.id)
        await runtime.wait(of.id)
        with pytest.raises(Conflict):
            await runtime.exec(of, ids.random_id(), ExecSpec(args=("true",), env=ENV))

    async def test_pause_stops_output_and_exec_until_resume(self, runtime, create):
        of = await create("cat", process=Process(stdin_open=True))
        streams = await runtime.attach(of.id)
        await runtime.start(of.id)
        await runtime.pause(of.id)
        await runtime.pause(of.id)
        with pytest.raises(Conflict, match="paused"):
            await runtime.exec(of, ids.random_id(), ExecSpec(args=("true",), env=ENV))
        await streams.write(b"late\n")
        reading = asyncio.ensure_future(anext(streams.output()))
        done, _ = await asyncio.wait({reading}, timeout=0.1)
        assert not done
        await runtime.resume(of.id)
        assert (await reading)[1] == b"late\n"

    async def test_usage_and_processes(self, runtime, create):
        of = await create("sleep", "100")
        await runtime.start(of.id)
        pids = await runtime.processes(of.id)
        assert (await runtime.survey())[of.id].pid in pids
        assert (await runtime.usage(of.id)).pids >= 1

    async def test_unknown_containers_are_not_found(self, runtime):
        for call in (runtime.start, runtime.wait, runtime.pause, runtime.attach, runtime.usage, runtime.processes):
            with pytest.raises(NotFound):
                await call("0" * 64)
        await runtime.delete("0" * 64)

    async def test_info_names_a_default(self, runtime):
        info = runtime.info()
        assert info.default in info.runtimes
