"""The backups of docs/store.md are made and restored as it says: what was there then is there again."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from etcd import etcd
from kube import client, control_plane

PAGE = (Path(__file__).parents[2] / "docs" / "store.md").read_text()


def run(label, cwd, **environ):
    [block] = re.findall(rf"^```sh {label}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block], cwd=cwd, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def make(plane, name):
    plane.kubectl("create", "secret", "generic", name, "--from-literal=word=hunter2")


def restored(plane):
    """Check what is there: of before the backup, readable; the store goes on."""
    assert plane.kubectl("get", "secret", "before", "-o", "jsonpath={.data.word}") == "aHVudGVyMg=="
    assert "NotFound" in plane.kubectl("get", "secret", "after", check=False)
    make(plane, "again")
    plane.kubectl("delete", "secret", "again")


def test_sqlite(tmp_path):
    environ = {**client_environ(), "D": str(tmp_path / "plane" / "data")}
    with control_plane(tmp_path / "plane") as plane:
        make(plane, "before")
        run("with-sqlite", tmp_path, **environ)
        make(plane, "after")
        plane.stop()
        run("with-sqlite-stopped", tmp_path, **environ)
        plane.start()
        restored(plane)


def test_etcd(tmp_path):
    with etcd(tmp_path / "etcd") as server, control_plane(tmp_path / "plane", store=server.url) as plane:
        [member] = server.members
        environ = {**client_environ(), "D": str(plane.home / "data"), "ETCD": member.endpoint}
        make(plane, "before")
        run("with-etcd", tmp_path, **environ)
        make(plane, "after")
        plane.stop()
        member.kill()
        run("with-etcd-stopped", tmp_path, **environ)
        member.argv = member.argv[: member.argv.index("--initial-cluster")]
        member.argv[member.argv.index("--data-dir") + 1] = str(tmp_path / "restored")
        member.restart()
        plane.start()
        restored(plane)
        old = "/api/v1/namespaces/default/secrets?watch=1&resourceVersion=5&timeoutSeconds=1"
        assert b'"code":410' in plane.call("GET", old)[1]


def test_a_backup_without_its_keys_has_no_secrets(tmp_path):
    environ = {**client_environ(), "D": str(tmp_path / "plane" / "data")}
    with control_plane(tmp_path / "plane") as plane:
        make(plane, "before")
        run("with-sqlite", tmp_path, **environ)
    with control_plane(tmp_path / "other") as plane:
        plane.stop()
        (plane.directory / "state.db").write_bytes((tmp_path / "backup" / "state.db").read_bytes())
        for rest in plane.directory.glob("state.db-*"):
            rest.unlink()
        plane.start()
        code, raw = plane.call("GET", "/api/v1/namespaces/default/secrets/before")
        assert code == 500
        assert b"/core/secrets/default/before" in raw
        assert b"hunter2" not in raw


def client_environ():
    folders = {str(Path(client(name)).parent) for name in ("etcdctl", "kubectl")}
    return {**os.environ, "PATH": ":".join([*sorted(folders), os.environ["PATH"]])}
