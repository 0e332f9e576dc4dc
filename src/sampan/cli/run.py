"""`run`, `create`, `start`, `attach`: from flags to a container whose output is here and whose exit code is ours."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

from sampan.cli import terminal
from sampan.cli.attach import Session, Signals
from sampan.cli.container_body import Body, Surroundings, body
from sampan.cli.container_flags import CREATE, RUN
from sampan.cli.errors import CliError, UsageError
from sampan.cli.flags import BOOL, TEXT, Flag, Given
from sampan.cli.http import Answer, Client, EngineError, query, quote
from sampan.cli.verb import Verb

_SILENT = (signal.SIGCHLD, signal.SIGPIPE, signal.SIGWINCH, signal.SIGKILL, signal.SIGSTOP, signal.SIGTSTP,
           signal.SIGTTIN, signal.SIGTTOU, signal.SIGURG, signal.SIGCONT)  # fmt: skip
PROXIED = tuple(
    number
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
    if number not in _SILENT
)


def run(client: Client, given: Given) -> int:
    """Create, attach, start, and wait; the exit code is the container's, 125 the engine's refusal, 126/127 the program's."""
    detach = given.on("detach")
    if detach and given.has("attach"):
        raise UsageError("--detach and --attach conflict: give one or the other")
    try:
        container = _create(client, given, detach=detach)
        if detach:
            _start(client, given, container)
            print(container)
            return 0
        return _foreground(client, given, container)
    except EngineError as error:
        raise CliError(str(error), exit_code=start_code(error.message)) from None


def start_code(message: str) -> int:
    """Return docker's exit code for a failed start: 127 not found, 126 cannot be invoked, else 125."""
    if any(
        text in message for text in ("executable file not found", "no such file or directory", "system cannot find")
    ):
        return 127
    return 126 if any(text in message for text in ("permission denied", "is a directory", "exec format error")) else 125


def create(client: Client, given: Given) -> int:
    print(_create(client, given, detach=False))
    return 0


def surroundings() -> Surroundings:
    """What a body may take from this process."""
    return Surroundings(os.environ, os.getcwd(), _read_text)


def _read_text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None


def _create(client: Client, given: Given, *, detach: bool) -> str:
    wanted = body(given, surroundings(), detach=detach)
    if given.text("cidfile") and os.path.exists(given.text("cidfile")):
        raise UsageError(f"the file {given.text('cidfile')} exists already: remove it, or give another --cidfile")
    image, policy = given.words[0], given.text("pull")
    if policy not in ("always", "missing", "never"):
        raise UsageError(f"--pull {policy}: use always, missing or never")
    if policy == "always":
        _pull(client, given, image)
    path = "/containers/create" + query(name=given.text("name"), platform=given.text("platform"))
    try:
        answer = client.request("POST", path, wanted)
    except EngineError as error:
        if error.status != 404 or policy != "missing" or "image" not in error.message.lower():
            raise
        if not given.on("quiet"):
            print(f"Unable to find image '{_tagged(image)}' locally", file=sys.stderr)
        _pull(client, given, image)
        answer = client.request("POST", path, wanted)
    return _created(answer, given)


def _created(answer: Answer, given: Given) -> str:
    made = answer.json()
    assert isinstance(made, dict)  # noqa: S101  the API's shape
    for warning in made.get("Warnings") or ():
        print(f"WARNING: {warning}", file=sys.stderr)
    container = str(made["Id"])
    if given.text("cidfile"):
        with open(given.text("cidfile"), "w", encoding="ascii") as file:
            file.write(container)
    return container


def _tagged(image: str) -> str:
    return image if "@" in image or ":" in image.rpartition("/")[2] else f"{image}:latest"


def _pull(client: Client, given: Given, image: str) -> None:
    from sampan.cli.images import pull_image

    pull_image(client, image, platform=given.text("platform"), quiet=given.on("quiet"), out=sys.stderr)


def _foreground(client: Client, given: Given, container: str) -> int:
    tty, stdin = given.on("tty"), given.on("interactive")
    if tty and stdin and not os.isatty(0):
        client.request("DELETE", f"/containers/{container}")
        raise UsageError("the input device is not a TTY: leave out -t")
    streams = [name.lower() for name in given.list("attach")] or ["stdout", "stderr", *(["stdin"] if stdin else [])]
    start: Callable[[], None] = lambda: _start(client, given, container)  # noqa: E731
    condition = "removed" if given.on("rm") else "next-exit"
    return attached(
        client, container, streams=streams, tty=tty, proxy=given.on("sig-proxy"), condition=condition,
        detach_keys=given.text("detach-keys"), start=start,
    )  # fmt: skip


def _start(client: Client, given: Given, container: str) -> None:
    try:
        _post(client, f"/containers/{container}/start")
    except EngineError:
        if given.on("rm"):
            client.request("DELETE", f"/containers/{container}{query(force=True, v=True)}", ok=(404, 409))
        raise


def attached(
    client: Client, container: str, *, streams: list[str], tty: bool, proxy: bool, condition: str, detach_keys: str,
    start: Callable[[], None] | None,
) -> int:  # fmt: skip
    """Attach, register the wait, start if asked, move bytes; returns the exit code (0 after detaching)."""
    keys = terminal.parse_detach_keys(detach_keys)
    stdin = 0 if "stdin" in streams else None
    wishes = query(stream=True, detachKeys=detach_keys, **dict.fromkeys(streams, True))
    connection, received = client.hijack(f"/containers/{container}/attach{wishes}", None)
    wait = client.request("POST", f"/containers/{container}/wait?condition={condition}")
    with Signals((*(PROXIED if proxy else ()), signal.SIGWINCH)) as signals:
        if start:
            start()
        resize = resizer(client, f"/containers/{container}/resize") if tty else None
        if resize:
            resize()
        session = Session(
            connection, received, tty=tty, stdin=stdin, detach=terminal.DetachFilter(keys) if tty and stdin == 0 else None,
            signals=signals, on_signal=lambda number: _on_signal(client, container, number, resize),
        )  # fmt: skip
        detached = in_raw_mode(session, raw=tty and stdin == 0)
    return 0 if detached else _exit_code(container, wait)


def in_raw_mode(session: Session, *, raw: bool) -> bool:
    """Run the session, with the terminal raw where asked; returns whether the user detached."""
    if not raw or not os.isatty(0):
        return session.run()
    with terminal.RawMode(0):
        return session.run()


def resizer(client: Client, path: str) -> Callable[[], None]:
    """Return a function that tells the engine this terminal's size, where there is one."""

    def resize() -> None:
        cells = terminal.size(1)
        if cells:
            client.request("POST", f"{path}?h={cells[0]}&w={cells[1]}", ok=(404, 409, 500)).read()

    return resize


def _on_signal(client: Client, container: str, number: int, resize: Callable[[], None] | None) -> None:
    if number == signal.SIGWINCH:
        if resize:
            resize()
    else:
        client.request("POST", f"/containers/{container}/kill?signal={number}", ok=(404, 409)).read()


def _exit_code(container: str, wait: Answer) -> int:
    """Read the answer of the wait that was registered before the start."""
    try:
        result = wait.json()
    except (CliError, OSError, ValueError):
        result = None
    if not isinstance(result, dict):
        raise CliError(
            f"the daemon went away while {container[:12]} ran. The container runs on: "
            f"'sampan attach {container[:12]}' once the daemon is back.",
            exit_code=125,
        )
    error = result.get("Error")
    if isinstance(error, dict) and error.get("Message"):
        raise CliError(f"Error response from daemon: {error['Message']}", exit_code=125)
    return int(result["StatusCode"])


def start(client: Client, given: Given) -> int:
    if not given.on("attach") and not given.on("interactive"):
        return each(given.words, lambda name: client.request("POST", f"/containers/{quote(name)}/start").read())
    if len(given.words) > 1:
        raise UsageError("start -a attaches to one container: name one")
    details = inspect(client, given.words[0])
    identity, container = str(details["Id"]), details["Config"]
    assert isinstance(container, dict)  # noqa: S101  the API's shape
    streams = ["stdout", "stderr", *(["stdin"] if given.on("interactive") and container["OpenStdin"] else [])]
    return attached(
        client, identity, streams=streams, tty=bool(container["Tty"]), proxy=given.on("sig-proxy"), condition="next-exit",
        detach_keys=given.text("detach-keys"), start=lambda: _post(client, f"/containers/{identity}/start"),
    )  # fmt: skip


def _post(client: Client, path: str) -> None:
    client.request("POST", path).read()


def inspect(client: Client, name: str) -> Body:
    """Return a container's inspect document."""
    details = client.get(f"/containers/{quote(name)}/json")
    assert isinstance(details, dict)  # noqa: S101  the API's shape
    return details


def attach(client: Client, given: Given) -> int:
    details = inspect(client, given.words[0])
    state, config = details["State"], details["Config"]
    assert isinstance(state, dict)  # noqa: S101  the API's shape
    assert isinstance(config, dict)  # noqa: S101  the API's shape
    if not state["Running"]:
        raise CliError(
            f"container {given.words[0]} does not run: 'sampan start -a {given.words[0]}' starts and attaches."
        )
    streams = ["stdout", "stderr", *(["stdin"] if config["OpenStdin"] and not given.on("no-stdin") else [])]
    return attached(
        client, str(details["Id"]), streams=streams, tty=bool(config["Tty"]), proxy=given.on("sig-proxy"),
        condition="not-running", detach_keys=given.text("detach-keys"), start=None,
    )  # fmt: skip


def each(names: list[str], act: Callable[[str], object], *, echo: bool = True) -> int:
    """Do `act` to every name, print each name that worked, and go on after errors; returns 1 if any failed."""
    failed = 0
    for name in names:
        try:
            act(name)
        except EngineError as error:
            print(error, file=sys.stderr)
            failed = 1
        else:
            if echo:
                print(name)
    return failed


_ATTACH_FLAGS = (
    Flag("detach-keys", TEXT, "Keys that detach from the container"),
    Flag("sig-proxy", BOOL, "Pass received signals on to the process", default="true"),
)
RUN_VERB = Verb(
    run, "[OPTIONS] IMAGE [COMMAND] [ARG...]", "Run a command in a new container.", RUN, (1, None), interspersed=False
)
CREATE_VERB = Verb(
    create, "[OPTIONS] IMAGE [COMMAND] [ARG...]", "Create a container without starting it.", CREATE, (1, None),
    interspersed=False,
)  # fmt: skip
START_VERB = Verb(
    start, "[OPTIONS] CONTAINER [CONTAINER...]", "Start stopped containers.",
    (
        Flag("attach", BOOL, "Attach to its output and pass signals on", "a"),
        Flag("interactive", BOOL, "Attach its stdin", "i"),
        *_ATTACH_FLAGS,
    ),
    (1, None),
)  # fmt: skip
ATTACH_VERB = Verb(
    attach, "[OPTIONS] CONTAINER", "Attach to a running container.",
    (Flag("no-stdin", BOOL, "Do not attach stdin"), *_ATTACH_FLAGS), (1, 1),
)  # fmt: skip
