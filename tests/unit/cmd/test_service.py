from __future__ import annotations

import pytest

from sampan.cmd import doctor, env, up
from sampan.cmd.settings import load


def test_the_unit_does_not_kill_what_outlives_the_daemon():
    text = up.unit(["/opt/my venv/python", "-m", "sampan", "daemon", "--bridge", "b0"])
    assert "KillMode=process\n" in text
    assert "Delegate=yes\n" in text
    assert "ExecStart='/opt/my venv/python' -m sampan daemon --bridge b0\n" in text


@pytest.mark.parametrize(
    ("release", "state"),
    [("6.1.0-18-amd64", "ok"), ("6.18.44-x", "ok"), ("5.15.0", "fail"), ("7.0", "ok"), ("6.0.12", "fail")],
)
def test_the_kernel_is_judged_by_numbers(release, state):
    assert doctor.judge_kernel(release).state == state


def test_foreign_chains_that_drop_are_told():
    rows = [
        {"chain": {"family": "ip", "table": "filter", "name": "FORWARD", "hook": "forward", "policy": "drop"}},
        {"chain": {"family": "ip", "table": "sampan_x", "name": "forward", "hook": "forward", "policy": "drop"}},
        {"chain": {"family": "ip", "table": "filter", "name": "INPUT", "hook": "input", "policy": "drop"}},
        {"table": {"family": "ip", "name": "filter"}},
    ]
    assert ["ip filter FORWARD" in finding.what for finding in doctor._dropping(rows)] == [True]


def test_env_prints_a_line_for_the_shell(capsys, monkeypatch):
    monkeypatch.delenv("SAMPAN_HOST", raising=False)
    assert env.main([]) == 0
    assert env.main(["-H", "unix:///x"]) == 0
    assert env.main(["--unset"]) == 0
    assert env.main(["--nonsense"]) == 125
    assert capsys.readouterr().out.splitlines()[:3] == [
        "export DOCKER_HOST=unix:///run/sampan/sampan.sock", "export DOCKER_HOST=unix:///x", "unset DOCKER_HOST",
    ]  # fmt: skip


def test_a_stale_pidfile_names_nobody(tmp_path):
    settings = load(["--exec-root", str(tmp_path), "--data-root", str(tmp_path)])
    assert up.running_pid(settings) == 0
    for text in ("", "not a number", "1", "999999999"):
        settings.pidfile.write_text(text)
        assert up.running_pid(settings) == 0
    assert not up.answers(settings)
