"""`cp`: files between a container and this machine, as a tar in either direction."""

from __future__ import annotations

import base64
import json
import os
import tarfile
import tempfile
from collections.abc import Iterator

from sampan.cli.attach import write_all
from sampan.cli.errors import CliError, UsageError
from sampan.cli.flags import BOOL, Flag, Given
from sampan.cli.http import API, Answer, Client, query, quote
from sampan.cli.verb import Verb


def cp(client: Client, given: Given) -> int:
    (source_name, source), (target_name, target) = (_split(word) for word in given.words)
    if bool(source_name) == bool(target_name):
        raise UsageError("cp copies between a container and this machine: write one side as CONTAINER:PATH")
    if source_name:
        _from_container(client, source_name, source, target)
    else:
        _to_container(client, source, target_name, target, ids=given.on("archive"))
    return 0


def _split(word: str) -> tuple[str, str]:
    """`("", path)` for a local path, `(container, path)` otherwise."""
    name, colon, path = word.partition(":")
    return ("", word) if not colon or word.startswith(("/", ".")) else (name, path)


def _stat(client: Client, name: str, path: str) -> dict[str, object] | None:
    """What is at `path` in the container, None when nothing is."""
    answer = client.send("HEAD", f"{API}/containers/{quote(name)}/archive{query(path=path)}")
    header = answer.headers.get("x-docker-container-path-stat")
    if not header:
        # Only to learn whether the container or the path is missing: a HEAD answer has no text.
        client.get(f"/containers/{quote(name)}/json")
        return None
    found = json.loads(base64.b64decode(header))
    return found if isinstance(found, dict) else None


_GO_DIRECTORY = 1 << 31


def _is_directory(stat: dict[str, object] | None) -> bool:
    return stat is not None and bool(int(str(stat["mode"])) & _GO_DIRECTORY)


def _from_container(client: Client, name: str, path: str, target: str) -> None:
    answer = client.request("GET", f"/containers/{quote(name)}/archive{query(path=path)}")
    if target == "-":
        for piece in answer:
            write_all(1, piece)
        return
    stat = json.loads(base64.b64decode(answer.headers["x-docker-container-path-stat"]))
    contents = path.endswith("/.") and _is_directory(stat)
    base = str(stat["name"])
    into = target if contents or not os.path.isdir(target) else os.path.join(target, base)
    if not os.path.isdir(os.path.dirname(into.rstrip("/")) or "."):
        raise CliError(f"there is no directory {os.path.dirname(into)}: make it first.")
    _unpack(answer, base, into)


def _unpack(answer: Answer, base: str, into: str) -> None:
    """Write the members below `base` to `into`; nothing can land outside it."""
    with tempfile.TemporaryFile() as spool:
        for piece in answer:
            spool.write(piece)
        spool.seek(0)
        parent, last = os.path.split(os.path.abspath(into))
        with tarfile.open(fileobj=spool) as tar:
            members = []
            for member in tar:
                top, _, rest = member.name.strip("/").partition("/")
                if base not in ("/", ".") and top != base:
                    raise CliError(f"the daemon sent '{member.name}', which is not below {base}: nothing was copied.")
                member.name = f"{last}/{rest}" if rest else last
                if member.islnk():
                    member.linkname = last + "/" + member.linkname.strip("/").partition("/")[2]
                members.append(member)
            tar.extraction_filter = lambda member, _: member  # what an older Python does not have, nor need
            tar.extractall(parent, _inside(members, parent))  # noqa: S202  (looked at one by one)


def _inside(members: list[tarfile.TarInfo], parent: str) -> Iterator[tarfile.TarInfo]:
    """Yield members just before each is written; one whose path leads out by then ends it. Set-id bits are dropped."""
    root = os.path.realpath(parent)
    for member in members:
        path = os.path.realpath(os.path.join(root, member.name))
        if os.path.commonpath([root, path]) != root:
            raise CliError(f"the daemon sent '{member.name}', which leads out of {parent}: the rest was not copied.")
        member.mode &= 0o755
        yield member


def _to_container(client: Client, source: str, name: str, target: str, *, ids: bool) -> None:
    stat = _stat(client, name, target)
    wishes: dict[str, object] = {"noOverwriteDirNonDir": True, "copyUIDGID": ids}
    if source == "-":
        if not _is_directory(stat):
            raise CliError(f"{name}:{target} must be a directory: a tar from stdin is unpacked into it.")
        _put(client, name, target, iter(lambda: os.read(0, 1 << 20), b""), wishes)
        return
    if not os.path.lexists(source):
        raise CliError(f"there is no {source} on this machine.")
    contents = source.endswith("/.") and os.path.isdir(source)
    into, base = _place(source, target, stat)
    if contents and _is_directory(stat):
        into, base = target, "."
    with tempfile.TemporaryFile() as spool:
        with tarfile.open(fileobj=spool, mode="w", format=tarfile.PAX_FORMAT) as tar:
            tar.add(source.removesuffix("/."), arcname=base, filter=None if ids else _as_root)
        spool.seek(0)
        _put(client, name, into, iter(lambda: spool.read(1 << 20), b""), wishes)


def _as_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _place(source: str, target: str, stat: dict[str, object] | None) -> tuple[str, str]:
    """The directory to unpack in, and the name there."""
    base = os.path.basename(os.path.abspath(source))
    if _is_directory(stat):
        return target, base
    if target.endswith("/") and (stat is not None or not os.path.isdir(source)):
        raise CliError(f"{target} is not a directory in the container.")
    parent, last = os.path.split(target.rstrip("/"))
    return parent or "/", last


def _put(client: Client, name: str, path: str, pieces: Iterator[bytes], wishes: dict[str, object]) -> None:
    client.request("PUT", f"/containers/{quote(name)}/archive{query(path=path, **wishes)}", raw=pieces).read()


CP = Verb(
    cp, "[OPTIONS] CONTAINER:PATH PATH|-  or  PATH|- CONTAINER:PATH", "Copy between a container and this machine.",
    (Flag("archive", BOOL, "Keep owners", "a"), Flag("quiet", BOOL, "Kept for compatibility", "q")), (2, 2),
)  # fmt: skip
