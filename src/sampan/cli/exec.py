"""`exec`: a further process in a running container; its exit code is ours."""

from __future__ import annotations

import os
import signal

from sampan.cli import terminal
from sampan.cli.attach import Session, Signals
from sampan.cli.container_body import environment
from sampan.cli.errors import CliError, UsageError
from sampan.cli.flags import BOOL, LIST, TEXT, Flag, Given
from sampan.cli.http import Client, quote
from sampan.cli.run import in_raw_mode, resizer, surroundings
from sampan.cli.verb import Verb


def exec_(client: Client, given: Given) -> int:
    container, *command = given.words
    tty, stdin, detach = given.on("tty"), given.on("interactive"), given.on("detach")
    if tty and stdin and not detach and not os.isatty(0):
        raise UsageError("the input device is not a TTY: leave out -t")
    made = client.request("POST", f"/containers/{quote(container)}/exec", _body(given, command)).json()
    assert isinstance(made, dict)  # noqa: S101  the API's shape
    identity = str(made["Id"])
    if detach:
        client.request("POST", f"/exec/{identity}/start", {"Detach": True, "Tty": tty}).read()
        return 0
    return _attached(client, given, identity, tty=tty, stdin=stdin)


def _body(given: Given, command: list[str]) -> dict[str, object]:
    detach = given.on("detach")
    wanted: dict[str, object] = {
        "Cmd": command,
        "Env": environment(given, surroundings()),
        "Tty": given.on("tty"),
        "Privileged": given.on("privileged"),
        "User": given.text("user"),
        "WorkingDir": given.text("workdir"),
        "DetachKeys": given.text("detach-keys"),
        "AttachStdin": given.on("interactive") and not detach,
        "AttachStdout": not detach,
        "AttachStderr": not detach,
    }
    if given.on("tty") and (cells := terminal.size(1)):
        wanted["ConsoleSize"] = list(cells)
    return wanted


def _attached(client: Client, given: Given, identity: str, *, tty: bool, stdin: bool) -> int:
    keys = terminal.parse_detach_keys(given.text("detach-keys"))
    start: dict[str, object] = {"Detach": False, "Tty": tty}
    if tty and (cells := terminal.size(1)):
        start["ConsoleSize"] = list(cells)
    connection, received = client.hijack(f"/exec/{identity}/start", start)
    resize = resizer(client, f"/exec/{identity}/resize") if tty else None
    with Signals((signal.SIGWINCH,)) as signals:
        session = Session(
            connection, received, tty=tty, stdin=0 if stdin else None,
            detach=terminal.DetachFilter(keys) if tty and stdin else None,
            signals=signals, on_signal=lambda _: resize() if resize else None,
        )  # fmt: skip
        if in_raw_mode(session, raw=tty and stdin):
            return 0
    return _exit_code(client, identity)


def _exit_code(client: Client, identity: str) -> int:
    details = client.get(f"/exec/{identity}/json")
    assert isinstance(details, dict)  # noqa: S101  the API's shape
    code = details.get("ExitCode")
    if code is None:
        raise CliError("the connection ended while the process runs on: its exit code is not known.")
    return int(code)


EXEC_VERB = Verb(
    exec_, "[OPTIONS] CONTAINER COMMAND [ARG...]", "Run a command in a running container.",
    (
        Flag("detach", BOOL, "Run in the background", "d"),
        Flag("detach-keys", TEXT, "Keys that detach from the process"),
        Flag("env", LIST, "Set environment variables", "e"),
        Flag("env-file", LIST, "Read environment variables from a file"),
        Flag("interactive", BOOL, "Keep stdin open", "i"),
        Flag("privileged", BOOL, "Give all privileges"),
        Flag("tty", BOOL, "Give the process a terminal", "t"),
        Flag("user", TEXT, "User name or id, with :group if wanted", "u"),
        Flag("workdir", TEXT, "Working directory inside the container", "w"),
    ),
    (2, None),
    interspersed=False,
)  # fmt: skip
