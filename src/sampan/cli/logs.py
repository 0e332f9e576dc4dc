"""`logs`: what a container wrote, from the beginning or as it comes."""

from __future__ import annotations

from sampan.cli.attach import Demux, write_all
from sampan.cli.flags import BOOL, TEXT, Flag, Given
from sampan.cli.http import Client, query
from sampan.cli.run import inspect
from sampan.cli.verb import Verb


def logs(client: Client, given: Given) -> int:
    details = inspect(client, given.words[0])
    config = details["Config"]
    assert isinstance(config, dict)  # noqa: S101  the API's shape
    wishes = query(
        stdout=True, stderr=True, follow=given.on("follow"), timestamps=given.on("timestamps"),
        details=given.on("details"), tail=given.text("tail"), since=_time(given, "since"), until=_time(given, "until"),
    )  # fmt: skip
    demux = Demux(write_all)
    for piece in client.request("GET", f"/containers/{details['Id']}/logs{wishes}"):
        if config["Tty"]:
            write_all(1, piece)
        else:
            demux.feed(piece)
    return 0


def _time(given: Given, name: str) -> str:
    if not given.text(name):
        return ""
    import time

    from sampan.cli.units import timestamp

    return timestamp(given.text(name), time.time())  # noqa: TID251  "10m ago" is by this machine's clock


LOGS = Verb(
    logs, "[OPTIONS] CONTAINER", "Show the output of a container.",
    (
        Flag("follow", BOOL, "Go on with what comes", "f"),
        Flag("timestamps", BOOL, "Show when each line was written", "t"),
        Flag("tail", TEXT, "Number of lines from the end", "n", default="all"),
        Flag("since", TEXT, "From this time, or this long ago: 10m"),
        Flag("until", TEXT, "To this time, or this long ago"),
        Flag("details", BOOL, "Show extra attributes"),
    ),
    (1, 1),
)  # fmt: skip
