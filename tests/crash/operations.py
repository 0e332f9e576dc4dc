"""Every operation in its cheapest form, cheapest first: what passes a crash point first is what tests it.

An operation is a pair of functions: `prepare` returns what `act` gets. Both take `Ops`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from crash.harness import Ops, tar_of


class Operation(NamedTuple):
    name: str
    act: Callable[[Ops, Any], object]
    prepare: Callable[[Ops], Any] = lambda ops: None


def _volume(ops: Ops) -> str:
    return ops.call("POST", "/volumes/create", {"Name": ops.name("vol")})["Name"]


def _network(ops: Ops) -> str:
    return ops.call("POST", "/networks/create", {"Name": ops.name("net")})["Id"]


def _bind(volume: str, target: str) -> dict:
    return {"Binds": [f"{volume}:{target}"]}


def _tmpfs_volume(ops: Ops) -> str:
    options = {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}
    return ops.call("POST", "/volumes/create", {"Name": ops.name("ram"), "DriverOpts": options})["Name"]


def _ended(ops: Ops) -> str:
    container = ops.run("true")
    ops.wait(container)
    return container


def _run_and_wait(ops: Ops, *command: str, **options: Any) -> None:
    ops.wait(ops.run(*command, **options))


def _run_once(ops: Ops) -> None:
    container = ops.run("true", host={"AutoRemove": True})
    ops.call("POST", f"/containers/{container}/wait?condition=removed", ok=(404,))  # it may be gone already


def _post(path: str, body: object = None) -> Callable[[Ops, Any], object]:
    return lambda ops, subject: ops.call("POST", path.format(subject), body)


def _delete(path: str) -> Callable[[Ops, Any], object]:
    return lambda ops, subject: ops.call("DELETE", path.format(subject))


def _on_network(ops: Ops) -> str:
    network = _network(ops)
    container = ops.run("sleep", "1000", host={"NetworkMode": network})
    return f"{network} {container}"


def _disconnect(ops: Ops, subject: str) -> None:
    network, container = subject.split()
    ops.call("POST", f"/networks/{network}/disconnect", {"Container": container})


def _paused(ops: Ops) -> str:
    container = ops.run()
    ops.call("POST", f"/containers/{container}/pause")
    return container


def _use_and_remove(ops: Ops, volume: str) -> None:
    container = ops.run("true", host=_bind(volume, "/mnt"))
    ops.wait(container)
    ops.remove(container)
    ops.call("DELETE", f"/volumes/{volume}")


OPERATIONS = (
    Operation("volume create", lambda ops, _: _volume(ops)),
    Operation("volume rm", _delete("/volumes/{}"), _volume),
    Operation("network create", lambda ops, _: _network(ops)),
    Operation("network rm", _delete("/networks/{}"), _network),
    Operation("tag", lambda ops, _: ops.call("POST", f"/images/busybox/tag?repo=busybox&tag={ops.name('t')}")),
    Operation("import", lambda ops, _: ops.import_image()),
    Operation("rmi", _delete("/images/{}"), Ops.import_image),
    Operation("create", lambda ops, _: ops.create()),
    Operation("rm created", _delete("/containers/{}"), Ops.create),
    Operation("start", _post("/containers/{}/start"), Ops.create),
    Operation("exit", lambda ops, _: _run_and_wait(ops, "true")),
    Operation("exec", lambda ops, c: ops.exec(c, "true"), Ops.run),
    Operation("pause", _post("/containers/{}/pause"), Ops.run),
    Operation("unpause", _post("/containers/{}/unpause"), _paused),
    Operation("update", _post("/containers/{}/update", {"Memory": 64 << 20, "MemorySwap": -1}), Ops.run),
    Operation("rename", lambda ops, c: ops.call("POST", f"/containers/{c}/rename?name={ops.name('n')}"), Ops.create),
    Operation("kill", _post("/containers/{}/kill"), Ops.run),
    Operation("stop", _post("/containers/{}/stop?t=0"), Ops.run),
    Operation("restart", _post("/containers/{}/restart?t=0"), Ops.run),
    Operation("rm", _delete("/containers/{}"), _ended),
    Operation("rm -f", _delete("/containers/{}?force=1"), Ops.run),
    Operation("run --rm", lambda ops, _: _run_once(ops)),
    Operation("publish", lambda ops, _: ops.run(host={"PortBindings": {"80/tcp": [{"HostPort": ""}]}})),
    Operation("copy-up", lambda ops, v: ops.run("true", host=_bind(v, "/bin/../etc")), _volume),
    Operation("mount volume", lambda ops, v: ops.run("true", host=_bind(v, "/mnt")), _tmpfs_volume),
    Operation("unmount volume", _use_and_remove, _tmpfs_volume),
    Operation("shareable ipc", lambda ops, _: ops.remove(ops.run(host={"IpcMode": "shareable"}))),
    Operation("user network", lambda ops, n: ops.run(host={"NetworkMode": n}), _network),
    Operation("no network", lambda ops, _: ops.remove(ops.run(host={"NetworkMode": "none"}))),
    Operation("connect", lambda ops, n: ops.call("POST", f"/networks/{n}/connect", {"Container": ops.run()}), _network),
    Operation("disconnect", _disconnect, _on_network),
    Operation(
        "cp", lambda ops, c: ops.call("PUT", f"/containers/{c}/archive?path=/tmp", raw=tar_of({"f": b""})), Ops.create
    ),
    Operation("commit", lambda ops, c: ops.call("POST", f"/commit?container={c}&repo={ops.name('made')}"), Ops.run),
    Operation("prune", _post("/containers/prune"), _ended),
)
