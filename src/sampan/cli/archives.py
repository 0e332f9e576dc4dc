"""Images and containers as archives: load, save, import, export; and commit, which makes an image of a container."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from sampan.cli.attach import write_all
from sampan.cli.errors import CliError, UsageError
from sampan.cli.flags import BOOL, LIST, TEXT, Flag, Given
from sampan.cli.http import Client, query, quote
from sampan.cli.images import split_tag
from sampan.cli.verb import Verb


def load(client: Client, given: Given) -> int:
    from sampan.cli.progress import show

    path = given.text("input")
    if not path and os.isatty(0):
        raise UsageError("load reads an archive: give -i FILE, or pipe one in")
    answer = client.request("POST", "/images/load" + query(quiet=given.on("quiet")), raw=_pieces(path))
    show(answer.lines(), sys.stdout)
    return 0


def _pieces(path: str) -> Iterator[bytes]:
    """The bytes of a file, or of stdin for "" and "-"."""
    try:
        fd = 0 if path in ("", "-") else os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise CliError(f"cannot read {path}: {error.strerror}") from None
    try:
        while piece := os.read(fd, 1 << 20):
            yield piece
    finally:
        if fd:
            os.close(fd)


def save(client: Client, given: Given) -> int:
    names = "&".join(f"names={quote(word)}" for word in given.words)
    return _write(client, given, f"/images/get?{names}")


def export(client: Client, given: Given) -> int:
    return _write(client, given, f"/containers/{quote(given.words[0])}/export")


def _write(client: Client, given: Given, url: str) -> int:
    """Write an answer to --output or stdout; a terminal is refused."""
    path = given.text("output")
    if not path and os.isatty(1):
        raise UsageError("this writes an archive: give -o FILE, or redirect the output")
    answer = client.request("GET", url)
    fd = 1 if not path else os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    for piece in answer:
        write_all(fd, piece)
    return 0


def import_(client: Client, given: Given) -> int:
    from sampan.cli.progress import show

    source, *target = given.words
    repository, tag = split_tag(target[0]) if target else ("", "")
    path = "/images/create" + query(fromSrc="-", repo=repository, tag=tag, message=given.text("message"))
    show(client.request("POST", path + _changes(given), raw=_pieces(source)).lines(), sys.stdout)
    return 0


def commit(client: Client, given: Given) -> int:
    container, *target = given.words
    repository, tag = split_tag(target[0]) if target else ("", "")
    wishes = query(
        container=container, repo=repository, tag=tag, comment=given.text("message"), author=given.text("author")
    )
    pause = "" if given.on("pause") else "&pause=0"
    made = client.request("POST", f"/commit{wishes}{pause}{_changes(given)}").json()
    assert isinstance(made, dict)  # noqa: S101  the API's shape
    print(made["Id"])
    return 0


def _changes(given: Given) -> str:
    return "".join(f"&changes={quote(change)}" for change in given.list("change"))


_OUTPUT = Flag("output", TEXT, "Write to this file instead of stdout", "o")
_CHANGE = Flag("change", LIST, "Dockerfile instruction to apply", "c")
_MESSAGE = Flag("message", TEXT, "Commit message", "m")
LOAD = Verb(
    load,
    "[OPTIONS]",
    "Load images from an archive (docker or OCI, plain, gzip or zstd).",
    (
        Flag("input", TEXT, "Read from this file instead of stdin", "i"),
        Flag("quiet", BOOL, "Show no progress", "q"),
    ),
)
SAVE = Verb(save, "[OPTIONS] IMAGE [IMAGE...]", "Save images to an archive.", (_OUTPUT,), (1, None))
EXPORT = Verb(export, "[OPTIONS] CONTAINER", "Write a container's filesystem as a tar.", (_OUTPUT,), (1, 1))
IMPORT = Verb(
    import_,
    "[OPTIONS] FILE|- [NAME[:TAG]]",
    "Make an image of a root filesystem archive.",
    (_CHANGE, _MESSAGE),
    (1, 2),
)
COMMIT = Verb(
    commit,
    "[OPTIONS] CONTAINER [NAME[:TAG]]",
    "Make an image of a container.",
    (
        Flag("author", TEXT, "Author", "a"),
        _CHANGE,
        _MESSAGE,
        Flag("pause", BOOL, "Freeze the container meanwhile", "p", default="true"),
    ),
    (1, 2),
)
