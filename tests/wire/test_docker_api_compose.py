"""docker compose against a real daemon: up, health, configs, exec, run, recreate, attached up, down."""

from __future__ import annotations

import json
import subprocess
import time

import pytest

from daemon import DOCKER, PLUGINS, Daemon

COMPOSE = """
services:
  web:
    image: busybox
    command: sh -c 'cp /hello /index.html; exec httpd -f -p 80 -h /'
    healthcheck: {test: "wget -q -O- http://127.0.0.1/", interval: 200ms, start_period: 5s, start_interval: 100ms}
    volumes: ["data:/data"]
    configs: [hello]
    ports: ["127.0.0.1::80"]
  client:
    image: busybox
    command: sh -c 'wget -q -O- http://web/ && sleep 1000'
    depends_on: {web: {condition: service_healthy}}
    networks: {default: {aliases: [caller]}}
volumes: {data: {}}
configs:
  hello: {content: "hi there\\n"}
"""


@pytest.fixture
def project(daemon: Daemon, tmp_path):
    if (
        not (PLUGINS / "cli-plugins").exists()
        and subprocess.run([DOCKER, "compose", "version"], check=False).returncode
    ):
        pytest.skip("no docker compose plugin")
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    (tmp_path / ".env").write_text(f"COMPOSE_PROJECT_NAME=proj{time.time_ns() % 10**8}\n")

    def compose(*args: str, **options):
        return daemon.docker("compose", *args, cwd=tmp_path, **options)

    yield compose
    compose("down", "-v", "-t", "0", check=False)


def test_up_exec_run_down(daemon, project):
    project("up", "-d", "--wait")
    rows = [json.loads(line) for line in project("ps", "--format", "json").stdout.splitlines()]
    assert {row["Service"]: row["State"] for row in rows} == {"web": "running", "client": "running"}
    assert next(row["Health"] for row in rows if row["Service"] == "web") == "healthy"
    assert project("exec", "-T", "web", "cat", "/hello").stdout == b"hi there\n"
    assert project("exec", "-T", "web", "sh", "-c", "exit 5", check=False).returncode == 5
    assert b"hi there" in project("run", "--rm", "-T", "client", "wget", "-q", "-O-", "http://web/").stdout
    for _ in range(100):
        if b"hi there" in project("logs", "client").stdout:
            break
        time.sleep(0.05)
    else:
        raise AssertionError("client printed nothing")
    assert b"httpd" in project("top", "web").stdout
    project("pause", "web")
    project("unpause", "web")
    project("restart", "-t", "0", "client")
    project("up", "-d", "--force-recreate", "-t", "0")
    project("down", "-v", "-t", "0")
    assert daemon.out("ps", "-aq") == ""
    assert daemon.out("volume", "ls", "-q") == ""


def test_attached_up_ends_with_the_container(project, tmp_path):
    (tmp_path / "compose.yaml").write_text("services: {one: {image: busybox, command: sh -c 'echo printed; exit 3'}}\n")
    done = project("up", "--exit-code-from", "one", check=False)
    assert done.returncode == 3, done.stderr
    assert b"printed" in done.stdout
