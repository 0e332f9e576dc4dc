"""`sampan ledger` against a real daemon: nothing to tell when all is well, and each planted leak by its name."""

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import time

import pytest

from crash.harness import CrashDaemon, Ops, kill
from daemon import need_daemon
from sampan.cmd.ledger import Ledger, as_json, as_table, main, take
from sampan.host import syscalls


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    need_daemon()
    daemon = CrashDaemon(tmp_path_factory.mktemp("ledger"))
    assert daemon.launch()
    daemon.load("busybox")
    yield daemon
    daemon.purge()


@pytest.fixture(scope="module")
def container(daemon):
    ops = Ops(daemon)
    host = {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}, "Binds": ["named:/data"]}
    started = ops.run("sleep", "1000", host=host)
    daemon.assert_no_difference()  # that it runs is answered before it is recorded
    return started


def opened(daemon):
    return sqlite3.connect(daemon.home / "data/engine.db", isolation_level=None)


def record(database, container):
    """Return what is recorded of a container."""
    wanted = "SELECT value FROM record WHERE kind = 'container' AND key = ?"
    return json.loads(database.execute(wanted, (container,)).fetchone()[0])


def differing(daemon):
    return {row.kind: row for row in take(daemon.where, wait_s=0).difference()}


def test_a_quiet_daemon_has_no_difference(daemon, container):
    ledger = take(daemon.where)
    assert ledger.difference() == ()
    assert ledger.alive
    name = container[:12]
    for kind in ("monitor", "bundle", "runtime state", "writable layer"):
        assert ledger.found[kind] == {name}, kind
    assert len(ledger.found["nft rule"]) == 1
    assert ledger.found["volume"] == {"named"}
    assert "no difference" in as_table(ledger)
    assert json.loads(as_json(ledger))["difference"] == []


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("bundle", "run/containers/" + "a" * 64),
        ("runtime state", "run/state/crun/" + "a" * 64),
        ("container files", "run/etc/" + "a" * 64),
        ("writable layer", "data/containers/" + "a" * 64),
        ("shared memory", "data/shm/" + "a" * 64),
        ("volume", "data/volumes/stray"),
        ("layer", "data/layers/" + "a" * 64),
        ("temporary file", "data/layers/tmp-1"),
        ("temporary file", "data/images/ingest/tmp-1"),
        ("blob", "data/images/blobs/sha256/" + "a" * 64),
        ("netns", "run/netns/0123456789ab"),
    ],
)
def test_what_lies_about_is_extra(daemon, container, kind, path):
    os.makedirs(daemon.home / path)
    rows = differing(daemon)
    os.rmdir(daemon.home / path)
    assert set(rows) == {kind}
    assert len(rows[kind].extra) == 1


def test_a_stray_mount_is_extra(daemon, container):
    place = daemon.home / "data/containers"
    syscalls.mount("tmpfs", str(place / container / "work"), "tmpfs")
    rows = differing(daemon)
    syscalls.umount(str(place / container / "work"))
    assert rows["mount"].extra == (f"data/containers/{container[:12]}/work",)


def test_a_stray_interface_is_extra(daemon, container):
    name = f"v{daemon.where.tag}0000beef"
    subprocess.run(["ip", "link", "add", name, "type", "veth", "peer", "name", f"p{daemon.where.tag}beef"], check=True)
    rows = differing(daemon)
    subprocess.run(["ip", "link", "del", name], check=True)
    assert rows["veth"].extra == (name,)


def test_a_stray_cgroup_with_a_process_is_extra(daemon, container):
    from sampan.host.cgroup import Hierarchies

    root = Hierarchies().roots()[0]
    directory = f"{root}/sampan-{daemon.where.tag}/{'b' * 64}"
    os.mkdir(directory)
    with subprocess.Popen(["sleep", "100"]) as process:
        with open(f"{directory}/cgroup.procs", "w") as procs:
            procs.write(str(process.pid))
        rows = differing(daemon)
        process.kill()
    deadline = time.monotonic() + 5
    while os.path.isdir(directory) and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            os.rmdir(directory)
    assert rows["process"].extra == (f"{'b' * 12} {process.pid}",)
    assert rows["cgroup"].extra == (f"{os.path.basename(root)} {'b' * 12}",)


def test_a_dead_daemon_is_compared_by_its_database(daemon, container):
    ops = Ops(daemon, "other-")
    other = ops.run("sleep", "1000")
    pid = ops.state(other)["Pid"]
    with contextlib.closing(opened(daemon)) as database:
        while record(database, other)["state"]["phase"] != "running":  # it is answered before it is recorded
            time.sleep(0.01)
    daemon.kill()
    assert not take(daemon.where).alive
    assert differing(daemon) == {}
    kill(pid)
    while os.path.exists(f"/proc/{pid}"):  # its monitor buries it
        time.sleep(0.01)
    ledger = take(daemon.where, wait_s=0.5)
    missing = {row.kind: row.missing for row in ledger.difference()}
    assert missing["process"] == (f"{other[:12]} {pid}",)
    assert "MISSING  process" in as_table(ledger)
    assert daemon.launch()
    ops.remove(other)
    daemon.assert_no_difference()


def test_a_start_whose_end_was_not_recorded(daemon, container):
    ops = Ops(daemon, "late-")
    late = ops.run("sleep", "1000")
    daemon.kill()
    with contextlib.closing(opened(daemon)) as database:
        before = record(database, late)
        before["state"] |= {"phase": "starting", "pid": 0}
        value = json.dumps(before).encode()
        database.execute("UPDATE record SET value = ? WHERE kind = 'container' AND key = ?", (value, late))
    assert differing(daemon) == {}
    assert daemon.launch()
    assert ops.state(late)["Running"]
    ops.remove(late)
    daemon.assert_no_difference()


def test_the_command(daemon, container, capsys):
    flags = [*daemon.roots, "-H", daemon.host]
    assert main(flags) == 0
    assert "no difference" in capsys.readouterr().out
    os.mkdir(daemon.home / "data/volumes/stray")
    assert main([*flags, "--json", "--wait", "0"]) == 1
    assert json.loads(capsys.readouterr().out)["difference"] == [{"kind": "volume", "extra": ["stray"], "missing": []}]
    os.rmdir(daemon.home / "data/volumes/stray")
    assert main(["--data-root", str(daemon.home / "nowhere")]) == 2
    assert "no daemon has used" in capsys.readouterr().err


def test_the_wait_is_for_teardown_under_way(daemon, container):
    os.mkdir(daemon.home / "data/volumes/leaving")
    with subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import os, time; time.sleep(0.7); os.rmdir({str(daemon.home / 'data/volumes/leaving')!r})",
        ]
    ):
        assert take(daemon.where).difference() == ()


def test_difference_is_extra_and_missing():
    ledger = Ledger(True, {"a": {"x", "y"}}, {"a": {"z"}}, {"a": {"y"}})
    (row,) = ledger.difference()
    assert (row.kind, row.extra, row.missing) == ("a", ("x",), ("z",))
