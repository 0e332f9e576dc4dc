"""Sentences and shapes that people and clients read."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from sampan.api.docker.errors import message_of, status_of
from sampan.api.docker.render.container import command_text, render_inspect, status_text
from sampan.api.docker.render.event import render_event, render_stats
from sampan.api.docker.render.image import human_size, progress_bar, render_progress
from sampan.api.docker.render.moment import human_duration, rfc3339, rfc3339_fixed, unix_seconds
from sampan.base import errors
from sampan.engine.port import HostInfo, Progress, RuntimeInfo, Stats, Usage
from sampan.model.container import Container, ContainerSpec, ContainerState, Health, Phase
from sampan.model.event import Event

S = 1_000_000_000
NOW = 1_700_000_000 * S
INFO = HostInfo(
    id="x",
    name="h",
    version="1",
    kernel="6",
    operating_system="Debian",
    os_version="12",
    architecture="x86_64",
    cpus=2,
    memory_bytes=1 << 34,
    data_root="/d",
    exec_root="/e",
    runtime=RuntimeInfo(default="crun"),
)


def made(phase, **state):
    return Container(
        id="a" * 64,
        name="n",
        created_at_ns=NOW,
        spec=ContainerSpec(image="i"),
        state=ContainerState(phase=phase, **state),
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (119, "About a minute"),
        (120, "2 minutes"),
        (45 * 60, "45 minutes"),
        (3600, "About an hour"),
        (2 * 3600, "2 hours"),
        (47 * 3600, "47 hours"),
        (72 * 3600, "3 days"),
        (15 * 86400, "2 weeks"),
        (90 * 86400, "3 months"),
        (800 * 86400, "2 years"),
    ],
)
def test_human_duration(seconds, text):
    assert human_duration(int(seconds * S)) == text


@pytest.mark.parametrize(
    ("container", "text"),
    [
        (made(Phase.CREATED), "Created"),
        (made(Phase.STARTING), "Created"),
        (made(Phase.RUNNING, started_at_ns=NOW - 3 * S), "Up 3 seconds"),
        (made(Phase.RUNNING, started_at_ns=NOW - 3 * S, health=Health()), "Up 3 seconds (health: starting)"),
        (made(Phase.RUNNING, started_at_ns=NOW - 3 * S, health=Health(status="healthy")), "Up 3 seconds (healthy)"),
        (made(Phase.PAUSED, started_at_ns=NOW - 60 * S), "Up About a minute (Paused)"),
        (made(Phase.EXITED, exit_code=1, finished_at_ns=NOW - 2 * S), "Exited (1) 2 seconds ago"),
        (made(Phase.RESTARTING, exit_code=3, finished_at_ns=NOW - 5 * S), "Restarting (3) 5 seconds ago"),
    ],
)
def test_status_text(container, text):
    assert status_text(container, NOW) == text


def test_times():
    assert rfc3339(0) == "0001-01-01T00:00:00Z"
    assert rfc3339(NOW + 120_000_000) == "2023-11-14T22:13:20.12Z"
    assert rfc3339_fixed(NOW + 5) == "2023-11-14T22:13:20.000000005Z"
    assert unix_seconds("2023-11-14T22:13:20.12Z") == 1_700_000_000
    assert unix_seconds("") == 0


def test_command_text():
    assert command_text(("sh", "-c", "echo hi")) == "sh -c 'echo hi'"


def test_progress():
    step = Progress(status="Downloading", id="abc", current=500_000, total=1_000_000)
    line = render_progress(step)
    assert line["progressDetail"] == {"current": 500_000, "total": 1_000_000}
    assert line["progress"].endswith("500kB/1MB")
    assert render_progress(Progress(stream="Loaded image: x\n")) == {"stream": "Loaded image: x\n"}
    assert human_size(1_234_000) == "1.234MB"
    assert len(progress_bar(0, 10)) == len(progress_bar(10, 10))


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (errors.NotFound("x"), 404, "x"),
        (errors.Conflict("x"), 409, "x"),
        (errors.RuntimeFailed("nope", 127), 400, "executable file not found"),
        (errors.RuntimeFailed("nope", 126), 400, "permission denied"),
        (errors.RuntimeFailed("sh: no such file or directory", 127), 400, "no such file or directory"),
        (errors.RuntimeFailed("boom"), 500, "boom"),
        (errors.Unsupported("x"), 501, "x"),
    ],
)
def test_errors(error, status, words):
    assert status_of(error) == status
    assert words in message_of(error)


def test_every_kind_of_error_has_a_status():
    from sampan.api.docker.errors import STATUS

    kinds = {kind.kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)}
    assert kinds == set(STATUS)


def test_event_has_the_old_fields_for_containers_only():
    event = Event(kind="container", action="start", id="x", attributes={"image": "i"}, time_ns=NOW + 5)
    assert render_event(event) == {
        "status": "start",
        "id": "x",
        "from": "i",
        "Type": "container",
        "Action": "start",
        "Actor": {"ID": "x", "Attributes": {"image": "i"}},
        "scope": "local",
        "time": NOW // S,
        "timeNano": NOW + 5,
    }
    assert "status" not in render_event(replace(event, kind="volume"))


def test_stats_of_a_stopped_container_are_zero():
    empty = render_stats("n", "id", Stats(time_ns=0, system_cpu_ns=0, online_cpus=2, usage=Usage()), 100)
    assert empty["read"] == "0001-01-01T00:00:00Z"
    assert empty["memory_stats"] == empty["pids_stats"] == {}
    assert "networks" not in empty
    sample = Stats(
        time_ns=NOW,
        system_cpu_ns=10,
        online_cpus=2,
        usage=Usage(cpu_total_ns=7, memory_bytes=5, memory_limit_bytes=2**63, pids=3),
        previous_time_ns=NOW - S,
        previous_system_cpu_ns=5,
        previous=Usage(cpu_total_ns=2),
    )
    shown = render_stats("n", "id", sample, 100)
    assert shown["memory_stats"]["limit"] == 100
    assert shown["precpu_stats"]["cpu_usage"]["total_usage"] == 2
    assert shown["cpu_stats"]["online_cpus"] == 2


def test_image_arguments_stay_out_of_the_command_of_an_own_entrypoint():
    from sampan.model.container import Process

    spec = ContainerSpec(image="i", process=Process(entrypoint=("sh",), args=("-c", "x")))
    container = replace(made(Phase.CREATED), spec=spec, args=("sh", "-c", "x"))
    config = render_inspect(container, INFO)["Config"]
    assert (config["Entrypoint"], config["Cmd"]) == (["sh"], ["-c", "x"])
