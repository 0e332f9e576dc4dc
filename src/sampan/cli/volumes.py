"""The verbs on volumes."""

from __future__ import annotations

from sampan.cli.container_body import pairs
from sampan.cli.containers import FILTER, FORMAT, QUIET, filters
from sampan.cli.flags import BOOL, LIST, TEXT, Flag, Given
from sampan.cli.http import Client, query, quote
from sampan.cli.inspect import FORMAT as INSPECT_FORMAT
from sampan.cli.inspect import documents
from sampan.cli.run import each
from sampan.cli.verb import Verb


def ls(client: Client, given: Given) -> int:
    from sampan.cli.table import show

    found = client.get("/volumes" + query(filters=filters(given.list("filter"))))
    assert isinstance(found, dict)  # noqa: S101  the API's shape
    volumes = sorted(found.get("Volumes") or [], key=lambda one: str(one["Name"]))
    columns = (("DRIVER", "Driver"), ("VOLUME NAME", "Name"))
    show(volumes, columns, given.text("format"), quiet="Name" if given.on("quiet") else "")
    return 0


def create(client: Client, given: Given) -> int:
    wanted = {
        "Name": given.words[0] if given.words else "",
        "Driver": given.text("driver"),
        "DriverOpts": pairs(given.list("opt")),
        "Labels": pairs(given.list("label")),
    }
    made = client.request("POST", "/volumes/create", wanted).json()
    assert isinstance(made, dict)  # noqa: S101  the API's shape
    print(made["Name"])
    return 0


def rm(client: Client, given: Given) -> int:
    wishes = query(force=given.on("force"))
    return each(given.words, lambda name: client.request("DELETE", f"/volumes/{quote(name)}{wishes}").read())


def inspect(client: Client, given: Given) -> int:
    return documents(client, given, ["volume"])


LS = Verb(ls, "[OPTIONS]", "List volumes.", (FILTER, FORMAT, QUIET))
CREATE = Verb(
    create, "[OPTIONS] [VOLUME]", "Create a volume.",
    (
        Flag("driver", TEXT, "Driver", "d", default="local"),
        Flag("opt", LIST, "Option of the driver", "o"),
        Flag("label", LIST, "Label: key=value"),
    ),
    (0, 1),
)  # fmt: skip
RM = Verb(
    rm, "[OPTIONS] VOLUME [VOLUME...]", "Remove volumes.",
    (Flag("force", BOOL, "No error when it is not there", "f"),), (1, None),
)  # fmt: skip
INSPECT = Verb(
    inspect, "[OPTIONS] VOLUME [VOLUME...]", "Show all that is known of volumes.", (INSPECT_FORMAT,), (1, None)
)
