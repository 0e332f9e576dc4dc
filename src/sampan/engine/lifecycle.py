"""Lifecycle: start, end, stop, restart and removal of containers.

The order is always: decide, record the intent durably, act on the host, record the outcome. What stands on the host
derives from the container's id or from what the intent recorded, so recovery (`recovery.py`) can finish or undo it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from sampan.base import log
from sampan.base.clock import Clock
from sampan.base.errors import Conflict, Exhausted, NotFound, NotModified, RuntimeFailed, SampanError, Unavailable
from sampan.engine.connections import Connections, detached
from sampan.engine.events import Events
from sampan.engine.health import HealthMonitor
from sampan.engine.machine import Machine
from sampan.engine.pending import Attachments
from sampan.engine.plan import log_limits, parse_signal, restart_delay
from sampan.engine.port import Waiter
from sampan.engine.registry import Registry, delete
from sampan.engine.rootfs import Rootfs
from sampan.engine.tasks import Tasks
from sampan.engine.teardown import Teardowns
from sampan.engine.waiters import Waiters
from sampan.model.container import Container, Phase, move, with_state
from sampan.model.volume import Volume
from sampan.network.port import Attachment
from sampan.runtime.port import Exit, HostMount, LaunchSpec, Runtime
from sampan.store.port import Write

_log = log.get("engine")
_STOP_TIMEOUT_S = 10
_KILL_TIMEOUT_S = 10
_RUNNING = (Phase.RUNNING, Phase.PAUSED)


class Lifecycle:
    """Moves containers through their phases. One per engine."""

    def __init__(
        self,
        registry: Registry,
        runtime: Runtime,
        rootfs: Rootfs,
        connections: Connections,
        machine: Machine,
        events: Events,
        health: HealthMonitor,
        attachments: Attachments,
        waiters: Waiters,
        teardowns: Teardowns,
        tasks: Tasks,
        clock: Clock,
    ) -> None:
        self._registry = registry
        self._runtime = runtime
        self._rootfs = rootfs
        self._connections = connections
        self._machine = machine
        self._events = events
        self._health = health
        self._attachments = attachments
        self._waiters = waiters
        self._teardowns = teardowns
        self._tasks = tasks
        self._clock = clock
        self._watchers = Tasks()
        self._restarts: dict[str, asyncio.Task[None]] = {}
        self.closing = False

    # --- start --------------------------------------------------------------------------------------------------------

    async def start(self, reference: str) -> None:
        """Run a created or exited container.

        Raises:
            NotModified: it runs already.
            Conflict: it is paused or being removed.
        """
        container = self._registry.container(reference)
        async with self._registry.lock(container.id):
            container = self._registry.container(container.id)
            self._cancel_restart(container.id)
            await self._start(with_state(container, restart_count=0))

    async def _start(self, container: Container) -> None:
        phase = container.state.phase
        if phase is Phase.RUNNING:
            raise NotModified(f"container {container.short_id} is already running")
        if phase is Phase.PAUSED:
            raise Conflict("cannot start a paused container, try unpause instead")
        await self._teardowns.wait(container.id)
        starting = container
        try:
            attachment = self._connections.reserve(container)
            starting = move(
                container,
                Phase.STARTING,
                error="",
                exit_code=0,
                oom_killed=False,
                stopped_by_user=False,
                **_attached(attachment),
            )
            await self._launch(starting, attachment, self._registry.record(starting))
        except BaseException as error:
            await self._undo_start(starting, error)
            raise

    async def _launch(self, container: Container, attachment: Attachment, intent: asyncio.Future[None]) -> None:
        """Make the root, the network and the processes; record that it runs.

        The program starts only when the intent is durable. What is made before derives from the id or from a recorded
        slot, so a crash before that leaves a container that was never started, and its parts are swept.
        """
        try:
            root, mounts, attachment = await self._prepare(container, attachment)
            launched = await self._runtime.create(await self._launch_spec(container, root, mounts, attachment))
        finally:
            await asyncio.wait([intent])
        intent.result()
        await self._attachments.bind(container.id)
        await self._runtime.start(container.id)
        running = move(
            container,
            Phase.RUNNING,
            pid=launched.pid,
            pid_start_ticks=launched.pid_start_ticks,
            started_at_ns=self._clock.now_ns(),
            **_attached(attachment),
        )
        self._tasks.spawn(_later(self._registry.record(running)), f"record start of {container.short_id}")
        self._connections.publish_names(running)
        for endpoint in running.state.endpoints:
            self._network_event("connect", endpoint.network_id, endpoint.network_name, running)
        self.emit("start", running)
        self.watch(running)

    async def _prepare(
        self, container: Container, attachment: Attachment
    ) -> tuple[str, tuple[HostMount, ...], Attachment]:
        """Mount the root and join the networks, side by side."""
        mounted = asyncio.ensure_future(self._rootfs.mount(container))
        try:
            attachment = await self._connections.join(container, attachment)
        finally:
            await asyncio.wait([mounted])
        root, mounts = mounted.result()
        return root, mounts, attachment

    async def _launch_spec(
        self, container: Container, root: str, mounts: tuple[HostMount, ...], attachment: Attachment
    ) -> LaunchSpec:
        namespaces, spec = container.spec.namespaces, container.spec
        files = self._connections.files(container, attachment)
        taken = {mount.target for mount in mounts}
        written = self._machine.write_files(container.id, files) if files else {}
        file_mounts = tuple(
            HostMount(source=path, target=f"/etc/{name}", options=("rbind",), read_only=spec.security.readonly_rootfs)
            for name, path in written.items()
            if f"/etc/{name}" not in taken
        )
        shm, joined_ipc = "", ""
        if namespaces.ipc == "shareable":
            shm = await self._machine.mount_shm(container.id, spec.shm_size_bytes or 64 << 20)
        elif namespaces.ipc.startswith("container:"):
            other = self._joined(namespaces.ipc, "IPC")
            if other.spec.namespaces.ipc != "shareable":
                raise Conflict(f"non-shareable IPC (hint: use IpcMode:shareable for the donor container {other.name})")
            shm = await self._machine.mount_shm(other.id, 0)
            joined_ipc = f"/proc/{other.state.pid}/ns/ipc"
        joined_pid = ""
        if namespaces.pid.startswith("container:"):
            joined_pid = f"/proc/{self._joined(namespaces.pid, 'PID').state.pid}/ns/pid"
        log_bytes, log_files = log_limits(spec.log)
        return LaunchSpec(
            container=container,
            rootfs=root,
            mounts=(*mounts, *file_mounts),
            netns=attachment.sandbox_key,
            joined_pid=joined_pid,
            joined_ipc=joined_ipc,
            shm_path=shm,
            log_max_bytes=log_bytes,
            log_max_files=log_files,
        )

    def _joined(self, mode: str, what: str) -> Container:
        other = self._registry.container(mode.partition(":")[2])
        if not other.running:
            raise Conflict(f"cannot join {what} of a non running container: {other.id}")
        return other

    async def _undo_start(self, container: Container, error: BaseException) -> None:
        """Take back a start that failed; the container says why."""
        self._attachments.fail(container.id)
        code = error.exit_code if isinstance(error, RuntimeFailed) else 128
        text = str(error) if isinstance(error, SampanError) else f"start was interrupted: {error!r}"
        failed = detached(
            move(
                container,
                Phase.CREATED if not container.state.started_at_ns else Phase.EXITED,
                exit_code=code,
                error=text,
                finished_at_ns=self._clock.now_ns() if container.state.started_at_ns else 0,
            )
        )
        await self._teardowns.run(container, keep_layer=not container.spec.auto_remove)
        if container.spec.auto_remove:
            await self._forget(failed, volumes=True)
            return
        try:
            await self._registry.record(failed)
        except Exhausted as full:  # what is on record is older, and recovery comes to the same end from it
            _log.error("the failed start of %s is not on record: %s", container.short_id, full)
        self._waiters.ended(container.id, Exit(code=code, error=text))

    # --- end ----------------------------------------------------------------------------------------------------------

    def watch(self, container: Container) -> None:
        """Follow a running container to its end, and its health meanwhile."""
        self._watchers.spawn(self._watch(container.id), f"watch {container.short_id}")
        self._health.begin(container)

    async def _watch(self, container_id: str) -> None:
        exited = await self._runtime.wait(container_id)
        if self.closing:
            return
        async with self._registry.lock(container_id):
            container = self._registry.containers.get(container_id)
            if container is not None and container.state.phase in _RUNNING:
                await self.ended(container, exited)

    async def ended(self, container: Container, exited: Exit) -> None:
        """Record an end, free what the container held, and do what its policy says. Takes the container's lock as held."""
        self._health.end(container.id)
        now = self._clock.now_ns()
        finished = exited.finished_at_ns or now
        delay = restart_delay(container, exited.code, (finished - container.state.started_at_ns) / 1e9)
        gone = move(
            container,
            Phase.EXITED if delay is None else Phase.RESTARTING,
            exit_code=exited.code,
            oom_killed=exited.oom_killed,
            error=exited.error,
            finished_at_ns=finished,
            restart_count=container.state.restart_count + (delay is not None),
            restart_at_ns=0 if delay is None else now + int(delay * 1e9),
        )
        removing = delay is None and container.spec.auto_remove
        if _holds_scarce(container):
            await self._connections.leave(container)
        volumes = self._anonymous_volumes(container) if removing else ()
        record = partial(self._record_end, gone, volumes, removing=removing)
        written = record()
        self._tell_end(container, exited, removing=removing)
        self._waiters.ended(container.id, exited, restarting=delay is not None, removed=removing)
        # The monitor's record of the end stays until ours is durable, so no answer waits for the disk.
        self._teardowns.begin(container, keep_layer=not removing, after=self._durable(gone, written, record))
        for volume in volumes:
            self._tasks.spawn(self._rootfs.remove_volume(volume), f"remove volume {volume.name}")
        if removing:
            self._health.forget(container.id)
        if delay is not None:
            self._schedule_restart(container.id, delay)

    def _record_end(self, gone: Container, volumes: tuple[Volume, ...], *, removing: bool) -> asyncio.Future[None]:
        if not removing:
            return self._registry.record(detached(gone))
        self._registry.hide(*volumes)
        return self._registry.erase(gone, *map(delete, volumes))

    async def _durable(
        self, gone: Container, written: asyncio.Future[None], again: Callable[[], asyncio.Future[None]]
    ) -> None:
        """Return when an end is on record, however long the disk is full, or when it was removed meanwhile."""
        while True:
            try:
                await written
            except Exhausted as error:
                _log.error("the end of %s cannot be recorded yet: %s", gone.short_id, error)
                await asyncio.sleep(1.0)
                if gone.id not in self._registry.containers and not gone.spec.auto_remove:
                    return
                written = again()
            else:
                return

    def _tell_end(self, container: Container, exited: Exit, *, removing: bool) -> None:
        if exited.oom_killed:
            self.emit("oom", container)
        seconds = max(0, (exited.finished_at_ns or self._clock.now_ns()) - container.state.started_at_ns) // 10**9
        self.emit("die", container, exitCode=str(exited.code), execDuration=str(seconds))
        for endpoint in container.state.endpoints:
            self._network_event("disconnect", endpoint.network_id, endpoint.network_name, container)
        if removing:
            self.emit("destroy", container)

    # --- restart policy -----------------------------------------------------------------------------------------------

    def _schedule_restart(self, container_id: str, delay_s: float) -> None:
        self._restarts[container_id] = self._tasks.spawn(self._restart_later(container_id, delay_s), "restart")

    def resume_restart(self, container: Container) -> None:
        """Take up a restart that was due when the engine ended."""
        delay_s = max(0.0, (container.state.restart_at_ns - self._clock.now_ns()) / 1e9)
        self._schedule_restart(container.id, min(delay_s, 60.0))

    def _cancel_restart(self, container_id: str) -> None:
        if (task := self._restarts.pop(container_id, None)) and task is not asyncio.current_task():
            task.cancel()

    async def _restart_later(self, container_id: str, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        if self.closing:
            return
        async with self._registry.lock(container_id):
            self._restarts.pop(container_id, None)
            container = self._registry.containers.get(container_id)
            if container is None or container.state.phase not in (Phase.RESTARTING, Phase.EXITED):
                return
            try:
                await self._start(container)
            except SampanError as error:
                _log.warning("restart of %s failed: %s", container.short_id, error)
                await self._restart_failed(container_id, error)

    async def _restart_failed(self, container_id: str, error: SampanError) -> None:
        """Try again later when the policy wants it."""
        container = self._registry.containers.get(container_id)
        if container is None or container.state.phase is not Phase.EXITED:
            return
        delay = restart_delay(container, container.state.exit_code, 0.0)
        if delay is None:
            self._waiters.ended(container_id, Exit(code=container.state.exit_code, error=str(error)))
            return
        state = {"restart_count": container.state.restart_count + 1}
        await self._registry.save(with_state(container, **state))
        self._schedule_restart(container_id, delay)

    # --- asked-for ends -----------------------------------------------------------------------------------------------

    async def stop(self, reference: str, *, signal: str = "", timeout_s: int | None = None) -> None:
        """Ask the container to end, and kill it when it has not after the timeout (-1: wait for ever)."""
        container = self._registry.container(reference)
        if signal:
            parse_signal(signal)
        async with self._registry.lock(container.id):
            container = self._registry.container(container.id)
            if container.state.phase is Phase.RESTARTING:
                await self._give_up_restart(container)
                return
            if container.state.phase not in _RUNNING:
                raise NotModified(f"container {container.short_id} is not running")
            ended = self._waiters.add(container.id, "next-exit")
            container = await self._mark_stopped(container)
            number = parse_signal(signal or container.spec.stop_signal or "TERM")
            await self._signal_thawed(container, number)
        if timeout_s is None:
            timeout_s = container.spec.stop_timeout_s
        limit = _STOP_TIMEOUT_S if timeout_s is None else timeout_s
        try:
            await asyncio.wait_for(ended.result(), None if limit < 0 else max(limit, 0.001))
        except TimeoutError:
            await self._kill_and_wait(container.id)
        self.emit("stop", container)

    async def _signal_thawed(self, container: Container, number: int) -> None:
        """Signal a container; a paused one is thawed after it, or it would never see the signal."""
        self.emit("kill", container, signal=str(number))
        await self._ignore_gone(self._runtime.signal(container.id, number))
        if container.state.phase is Phase.PAUSED:
            await self._ignore_gone(self._runtime.resume(container.id))

    async def _ignore_gone(self, call: Coroutine[Any, Any, None]) -> None:
        try:
            await call
        except (NotFound, Conflict):
            return  # it ended by itself meanwhile

    async def _mark_stopped(self, container: Container) -> Container:
        if container.state.stopped_by_user:
            return container
        return await self._registry.save(with_state(container, stopped_by_user=True))

    async def _give_up_restart(self, container: Container) -> None:
        self._cancel_restart(container.id)
        await self._registry.save(move(container, Phase.EXITED, restart_at_ns=0, stopped_by_user=True))
        self._waiters.ended(container.id, Exit(code=container.state.exit_code))
        self.emit("stop", container)

    async def _kill_and_wait(self, container_id: str) -> None:
        async with self._registry.lock(container_id):
            container = self._registry.containers.get(container_id)
            if container is None or container.state.phase not in _RUNNING:
                return
            ended = self._waiters.add(container_id, "next-exit")
            await self._signal_thawed(await self._mark_stopped(container), parse_signal("KILL"))
        await self._gone(ended, container)

    async def kill(self, reference: str, signal: str = "KILL") -> None:
        """Send a signal now. KILL and the stop signal count as a stop by the user."""
        number = parse_signal(signal or "KILL")
        container = self._registry.container(reference)
        async with self._registry.lock(container.id):
            container = self._registry.container(container.id)
            if container.state.phase is Phase.RESTARTING and number == parse_signal("KILL"):
                await self._give_up_restart(container)
                return
            if container.state.phase not in _RUNNING:
                raise Conflict(f"Cannot kill container: {reference}: container {container.id} is not running")
            if number in (parse_signal("KILL"), parse_signal(container.spec.stop_signal or "TERM")):
                container = await self._mark_stopped(container)
            ended = self._waiters.add(container.id, "next-exit") if number == parse_signal("KILL") else None
            if number == parse_signal("KILL"):
                await self._signal_thawed(container, number)
            else:
                self.emit("kill", container, signal=str(number))
                await self._ignore_gone(self._runtime.signal(container.id, number))
        if ended is not None:
            await self._gone(ended, container)

    async def _gone(self, ended: Waiter, container: Container) -> None:
        """Return when a killed container has ended; a process that the kernel holds does not hold the caller."""
        try:
            await asyncio.wait_for(ended.result(), _KILL_TIMEOUT_S)
        except TimeoutError:
            raise Unavailable(
                f"container {container.short_id} has not ended {_KILL_TIMEOUT_S} s after SIGKILL: a process of it may hang "
                "in the kernel (a dead disk or NFS server?); try again later"
            ) from None

    async def restart(self, reference: str, *, signal: str = "", timeout_s: int | None = None) -> None:
        """Stop when it runs, then start."""
        container = self._registry.container(reference)
        try:
            await self.stop(container.id, signal=signal, timeout_s=timeout_s)
        except NotModified:
            pass
        await self.start(container.id)
        self.emit("restart", self._registry.container(container.id))

    async def pause(self, reference: str) -> None:
        container = self._registry.container(reference)
        async with self._registry.lock(container.id):
            container = self._registry.container(container.id)
            if container.state.phase is Phase.PAUSED:
                raise Conflict(f"Container {container.id} is already paused")
            if container.state.phase is not Phase.RUNNING:
                raise Conflict(f"Container {container.id} is not running")
            await self._runtime.pause(container.id)
            self.emit("pause", await self._registry.save(move(container, Phase.PAUSED)))

    async def unpause(self, reference: str) -> None:
        container = self._registry.container(reference)
        async with self._registry.lock(container.id):
            container = self._registry.container(container.id)
            if container.state.phase is not Phase.PAUSED:
                raise Conflict(f"Container {container.id} is not paused")
            await self._runtime.resume(container.id)
            self.emit("unpause", await self._registry.save(move(container, Phase.RUNNING)))

    # --- removal ------------------------------------------------------------------------------------------------------

    async def remove(self, reference: str, *, force: bool = False, volumes: bool = False) -> None:
        """Remove a container; it is gone from view when this returns, and from the host soon after."""
        container = self._registry.container(reference)
        if force and container.running:
            await self._kill_and_wait(container.id)
        async with self._registry.lock(container.id):
            container = self._registry.containers.get(container.id) or container
            if container.id not in self._registry.containers:
                if force:
                    return  # an auto-removed container that the kill above ended
                raise NotFound(f"No such container: {reference}")
            self._check_removable(container, force=force)
            self._cancel_restart(container.id)
            await self._forget(container, volumes=volumes)
            self.emit("destroy", container)

    def _check_removable(self, container: Container, *, force: bool) -> None:
        phase = container.state.phase
        if phase in _RUNNING or (phase is Phase.RESTARTING and not force):
            hint = "unpause and then stop" if phase is Phase.PAUSED else "stop"
            raise Conflict(
                f'cannot remove container "/{container.name}": container is {phase.value}: {hint} the container '
                "before removing or force remove"
            )

    async def _forget(self, container: Container, *, volumes: bool) -> None:
        doomed = self._anonymous_volumes(container) if volumes else ()
        writes: tuple[Write, ...] = tuple(map(delete, doomed))
        await self._registry.forget(container, *writes)
        self._registry.hide(*doomed)
        self._attachments.fail(container.id)
        self._waiters.removed(container.id, Exit(code=container.state.exit_code, error=container.state.error))
        self._teardowns.begin(container, keep_layer=False)
        for volume in doomed:
            self._tasks.spawn(self._rootfs.remove_volume(volume), f"remove volume {volume.name}")

    def _anonymous_volumes(self, container: Container) -> tuple[Volume, ...]:
        """Return the container's unnamed volumes that no other container mounts."""
        used = {
            mount.name
            for other in self._registry.containers.values()
            if other.id != container.id
            for mount in other.mounts
        }
        found = (self._registry.volumes.get(mount.name) for mount in container.mounts if mount.name not in used)
        return tuple(volume for volume in found if volume is not None and volume.anonymous)

    # --- events -------------------------------------------------------------------------------------------------------

    def emit(self, action: str, container: Container, **attributes: str) -> None:
        """Tell an event of a container, with its image, name and labels as attributes."""
        base = {"image": container.spec.image, "name": container.name, **container.spec.labels}
        self._events.emit("container", action, container.id, base | attributes)

    def _network_event(self, action: str, network_id: str, name: str, container: Container) -> None:
        network = self._registry.networks.get(network_id)
        driver = network.driver if network else ""
        self._events.emit("network", action, network_id, {"container": container.id, "name": name, "type": driver})

    async def close(self) -> None:
        """Stop following; containers go on."""
        self.closing = True
        await self._watchers.close(grace_s=0)
        for container_id in list(self._restarts):
            self._cancel_restart(container_id)


async def _later(written: asyncio.Future[None]) -> None:
    """Await a record that nobody waits for, so that its failure is told."""
    await written


def _holds_scarce(container: Container) -> bool:
    """Whether it holds what the next container may ask for by name: a port, or an address of its choice."""
    wishes = (endpoint.spec for endpoint in container.state.endpoints)
    return bool(container.state.ports) or any(
        wish is not None and (wish.ipv4 or wish.ipv6 or wish.mac) for wish in wishes
    )


def _attached(attachment: Attachment) -> dict[str, Any]:
    return {
        "endpoints": attachment.endpoints,
        "ports": attachment.ports,
        "sandbox_key": attachment.sandbox_key,
    }
