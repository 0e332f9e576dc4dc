"""`version`: this program's, and the engine's where one answers."""

from __future__ import annotations

from sampan import __version__
from sampan.cli.errors import CliError
from sampan.cli.flags import BOOL, TEXT, Flag, Given
from sampan.cli.http import API, Client
from sampan.cli.verb import Verb


def version(client: Client, given: Given) -> int:
    if given.on("short"):
        print(f"sampan {__version__}")
        return 0
    engine = _engine(client)
    if given.text("format"):
        from sampan.cli.table import render

        print(
            render(given.text("format"), {"Client": {"Version": __version__, "ApiVersion": API[2:]}, "Server": engine})
        )
        return 0
    print(f"Client:   sampan {__version__}, API {API[2:]}")
    if engine is None:
        print(f"Engine:   none answers at {client.host}. Start one with 'sampan up'.")
        return 0
    print(f"Engine:   {engine['Version']}, API {engine['ApiVersion']} (from {engine['MinAPIVersion']})")
    print(f"Kernel:   {engine['KernelVersion']} {engine['Os']}/{engine['Arch']}")
    return 0


def _engine(client: Client) -> dict[str, object] | None:
    try:
        answer = client.get("/version")
    except CliError:
        return None
    assert isinstance(answer, dict)  # noqa: S101  the API's shape
    return answer


VERSION = Verb(
    version, "[OPTIONS]", "Show the versions of the CLI and the engine.",
    (Flag("format", TEXT, "json, or a template such as '{{.Server.Version}}'", "f"), Flag("short", BOOL, "One line, no engine asked")),
)  # fmt: skip
