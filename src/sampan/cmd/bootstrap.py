"""`sampan image bootstrap`: the archive is made on this machine and loaded like any other; the engine needs no special door."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator

from sampan.base.errors import SampanError
from sampan.cli.errors import CliError
from sampan.cli.flags import TEXT, Flag, Given
from sampan.cli.http import Client
from sampan.cli.images import name_image
from sampan.cli.progress import show
from sampan.cli.verb import Verb
from sampan.image.bootstrap import bootstrap


def run(client: Client, given: Given) -> int:
    kind, name = given.words[0], given.text("tag")
    client.get("/version")  # before the archive is made, which may take a minute
    try:
        show(client.request("POST", "/images/load?quiet=1", raw=_chunks(kind)).lines(), sys.stdout)
    except SampanError as error:
        raise CliError(error.message) from None
    if name:
        name_image(client, f"{kind}:latest", name)
    return 0


def _chunks(kind: str) -> Iterator[bytes]:
    """Run the asynchronous maker one piece at a time: the client's side is blocking."""
    chunks = bootstrap(kind)
    with asyncio.Runner() as runner:
        while (chunk := runner.run(_next(chunks))) is not None:
            yield chunk


async def _next(chunks: AsyncIterator[bytes]) -> bytes | None:
    return await anext(chunks, None)


VERB = Verb(
    run,
    "[OPTIONS] busybox|debian",
    "Make an image of this machine's Debian packages, with no registry.",
    (Flag("tag", TEXT, "A further name for the image", "t"),),
    (1, 1),
)
