"""The verbs of the CLI, each in the module that does it, imported only when it is called."""

from __future__ import annotations

import os
import sys

from sampan.cli.errors import CliError, UsageError
from sampan.cli.flags import BOOL, TEXT, Flag, nearest, parse
from sampan.cli.http import DEFAULT_HOST, Client
from sampan.cli.verb import Verb

VERBS = {
    "run": ("run:RUN_VERB", "Run a command in a new container"),
    "ps": ("containers:PS", "List containers"),
    "logs": ("logs:LOGS", "Show the output of a container"),
    "exec": ("exec:EXEC_VERB", "Run a command in a running container"),
    "stop": ("containers:STOP", "Stop containers"),
    "rm": ("containers:RM", "Remove containers"),
    "inspect": ("inspect:INSPECT", "Show all that is known of an object"),
    "create": ("run:CREATE_VERB", "Create a container without starting it"),
    "start": ("run:START_VERB", "Start stopped containers"),
    "restart": ("containers:RESTART", "Restart containers"),
    "kill": ("containers:KILL", "Send a signal to containers"),
    "pause": ("containers:PAUSE", "Freeze containers"),
    "unpause": ("containers:UNPAUSE", "Thaw containers"),
    "wait": ("containers:WAIT", "Wait for containers to stop"),
    "attach": ("run:ATTACH_VERB", "Attach to a running container"),
    "rename": ("containers:RENAME", "Rename a container"),
    "update": ("containers:UPDATE", "Change limits of containers"),
    "top": ("containers:TOP", "Show a container's processes"),
    "stats": ("stats:STATS", "Show what containers use, live"),
    "port": ("containers:PORT", "Show published ports"),
    "diff": ("containers:DIFF", "Show what changed in a container's filesystem"),
    "commit": ("archives:COMMIT", "Make an image of a container"),
    "export": ("archives:EXPORT", "Write a container's filesystem as a tar"),
    "cp": ("copy:CP", "Copy between a container and this machine"),
    "events": ("system:EVENTS", "Show what happens"),
    "images": ("images:IMAGES", "List images"),
    "pull": ("images:PULL", "Pull an image from a registry"),
    "push": ("images:PUSH", "Push an image to a registry"),
    "load": ("archives:LOAD", "Load images from an archive"),
    "save": ("archives:SAVE", "Save images to an archive"),
    "import": ("archives:IMPORT", "Make an image of a root filesystem archive"),
    "tag": ("images:TAG", "Give an image a further name"),
    "history": ("images:HISTORY", "Show how an image was made"),
    "rmi": ("images:RMI", "Remove images"),
    "info": ("system:INFO", "Show what the engine and its host are"),
    "version": ("version:VERSION", "Show the versions of the CLI and the engine"),
}
"""Docker's verbs: name -> module and attribute, and a line of help."""

SERVICE = {
    "daemon": "Run the engine in the foreground",
    "up": "Start the engine as a background service",
    "down": "Stop the background service; containers run on",
    "status": "Show whether the service runs",
    "doctor": "Check this machine and say the fix for what is missing",
    "ledger": "Compare what exists on the host with what the engine says",
    "env": "Print the DOCKER_HOST that points docker at sampan",
}
"""Verbs about the engine itself; `sampan.cmd.main` runs them."""

GROUPS = {
    "container": {
        "ls": "ps", "list": "ps", "ps": "ps",
        **{name: name for name in ("run create start restart stop kill pause unpause wait attach rename update rm "
                                   "logs exec inspect top stats port diff commit export cp").split()},
        "prune": "containers_prune",
    },
    "image": {
        "ls": "images", "list": "images", "rm": "rmi",
        "prune": "images_prune", **{name: name for name in "pull push load save import tag history inspect".split()},
    },
    "network": {
        "ls": "networks:LS", "list": "networks:LS", "create": "networks:CREATE", "rm": "networks:RM", "prune": "networks_prune",
        "remove": "networks:RM", "connect": "networks:CONNECT", "disconnect": "networks:DISCONNECT", "inspect": "networks:INSPECT",
    },
    "volume": {
        "ls": "volumes:LS", "list": "volumes:LS", "create": "volumes:CREATE", "rm": "volumes:RM", "remove": "volumes:RM",
        "inspect": "volumes:INSPECT", "prune": "volumes_prune",
    },
    "system": {"df": "system:DF", "events": "events", "info": "info"},
}  # fmt: skip
"""`sampan GROUP VERB`: a verb's name above, or a module and attribute."""

_PRUNE = {f"{name}s_prune": f"system:PRUNE_{name.upper()}S" for name in ("container", "image", "network", "volume")}

GLOBAL = (
    Flag("host", TEXT, "Socket of the daemon", "H"),
    Flag("help", BOOL, "Show this help", "h"),
    Flag("version", BOOL, "Show the version", "v"),
)


def main(argv: list[str], further: dict[str, str] | None = None) -> int:
    """Run one command line; returns the exit code.

    `further` holds verbs that need more than the socket, as the composition root has them: "GROUP VERB" -> "module:ATTRIBUTE".
    """
    try:
        return _main(argv, further or {})
    except CliError as error:
        print(f"sampan: {error}", file=sys.stderr)
        if isinstance(error, UsageError):
            print(f"See 'sampan {_known(argv)}--help'.", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the reader of our output has gone: `sampan ps | head -1`
        return 141
    except KeyboardInterrupt:
        return 130


def _known(argv: list[str]) -> str:
    """The verb (and group) of a command line that exists, with a space after it; "" for none."""
    words = [word for word in argv if not word.startswith("-")]
    if words and words[0] in GROUPS and words[1:2] and words[1] in GROUPS[words[0]]:
        return f"{words[0]} {words[1]} "
    return f"{words[0]} " if words and words[0] in VERBS else ""


def _main(argv: list[str], further: dict[str, str]) -> int:
    given = parse(GLOBAL, argv, interspersed=False)
    words = given.words
    if given.on("version"):
        words = ["version", "--short"]
    if not words or given.on("help") or words[0] == "help":
        return _help(words[1:] if words[:1] == ["help"] else [])
    client = Client(host(given.text("host")))
    two = " ".join(words[:2])
    name, where, rest = (two, further[two], words[2:]) if two in further else resolve(words)
    return load(where).call(client, name, rest)


def host(flag: str) -> str:
    """Return where the daemon is: -H, SAMPAN_HOST, DOCKER_HOST, or the service's socket."""
    chosen = flag or os.environ.get("SAMPAN_HOST") or os.environ.get("DOCKER_HOST") or DEFAULT_HOST
    return chosen if "://" in chosen else f"unix://{chosen}"


def resolve(words: list[str]) -> tuple[str, str, list[str]]:
    """Return the verb's name, `module:ATTRIBUTE`, and the words left.

    Raises:
        UsageError: there is no such verb; names the nearest.
    """
    first, *rest = words
    if first in VERBS:
        return first, VERBS[first][0], rest
    if first in GROUPS:
        verbs = GROUPS[first]
        second = rest[0] if rest else "--help"
        if second in ("--help", "-h"):
            raise UsageError(f"'sampan {first}' needs one of: {', '.join(verbs)}")
        if second not in verbs:
            raise UsageError(f"'{first} {second}' is not a sampan command{nearest(second, list(verbs))}")
        target = verbs[second]
        where = target if ":" in target else _PRUNE.get(target) or VERBS[target][0]
        return f"{first} {second}", where, rest[1:]
    if first in SERVICE:
        raise UsageError(f"write '{first}' first, its flags after it: sampan {first} …")
    known = [*VERBS, *GROUPS, *SERVICE]
    raise UsageError(f"'{first}' is not a sampan command{nearest(first, known, 'sampan ')}")


def load(where: str) -> Verb:
    """Import the module of a verb and return it."""
    import importlib

    module, _, attribute = where.partition(":")
    verb: Verb = getattr(importlib.import_module(module if "." in module else f"sampan.cli.{module}"), attribute)
    return verb


def _help(words: list[str]) -> int:
    if words and words[0] not in SERVICE:
        name, where, _ = resolve(words)
        print(load(where).help(name))
        return 0
    verbs = "\n".join(f"  {name:<10} {text}" for name, (_, text) in VERBS.items())
    service = "\n".join(f"  {name:<10} {text}" for name, text in SERVICE.items())
    print(
        "Usage:  sampan [-H SOCKET] COMMAND\n\nThe engine\n" + service + "\n\nContainers and images, as docker has them\n" + verbs
        + f"\n\nIn groups: {', '.join(GROUPS)}.\n'sampan COMMAND --help' says more about one."
    )  # fmt: skip
    return 0
