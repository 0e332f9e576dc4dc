"""`inspect`: the whole document of containers, images, networks or volumes, whichever has the name."""

from __future__ import annotations

import sys

from sampan.cli.errors import UsageError
from sampan.cli.flags import BOOL, TEXT, Flag, Given
from sampan.cli.http import Client, EngineError, quote
from sampan.cli.verb import Verb

PATHS = {
    "container": "/containers/{}/json",
    "image": "/images/{}/json",
    "network": "/networks/{}",
    "volume": "/volumes/{}",
}


def inspect(client: Client, given: Given) -> int:
    kind = given.text("type")
    if kind and kind not in PATHS:
        raise UsageError(f"--type {kind}: use one of {', '.join(PATHS)}")
    return documents(client, given, [kind] if kind else list(PATHS))


def documents(client: Client, given: Given, kinds: list[str]) -> int:
    """Print what is known of every word, looked up as each of `kinds` in turn; 1 when one was not found."""
    found, failed = [], 0
    for name in given.words:
        document = _find(client, name, kinds)
        if document is None:
            print(f"Error: No such {kinds[0] if len(kinds) == 1 else 'object'}: {name}", file=sys.stderr)
            failed = 1
        else:
            found.append(document)
    _print(found, given.text("format"))
    return failed


def _find(client: Client, name: str, kinds: list[str]) -> object:
    for kind in kinds:
        try:
            return client.get(PATHS[kind].format(quote(name)))
        except EngineError as error:
            if error.status != 404:
                raise
    return None


def _print(found: list[object], template: str) -> None:
    if not template:
        import json

        print(json.dumps(found, indent=4, ensure_ascii=False))
        return
    from sampan.cli.table import render

    for document in found:
        print(render(template, document))


FORMAT = Flag("format", TEXT, "json, or a template such as '{{.State.Pid}}'", "f")
INSPECT = Verb(
    inspect, "[OPTIONS] NAME|ID [NAME|ID...]", "Show all that is known of containers, images, networks or volumes.",
    (FORMAT, Flag("type", TEXT, "container, image, network or volume"), Flag("size", BOOL, "Show sizes", "s")), (1, None),
)  # fmt: skip
