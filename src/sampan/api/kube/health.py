"""/version, health and the list of paths: what is asked before anything else."""

from __future__ import annotations

import platform
from collections.abc import Awaitable, Callable, Mapping

from sampan import __version__
from sampan.api.kube import answers
from sampan.api.kube.request import Request, Response

VERSION = "1.37.0"
Check = Callable[[], Awaitable[str]]
"""Return what is wrong, "" when nothing is."""
_ROOTS = ("/livez", "/readyz", "/healthz")


class Health:
    """Named checks; the server is ready when all of them are content."""

    def __init__(self, checks: Mapping[str, Check], paths: Callable[[], list[str]]) -> None:
        self._checks = {"ping": _ping, **checks}
        self._paths = paths

    async def page(self, request: Request) -> Response | None:
        """Return the answer, None for another path."""
        path = request.path.rstrip("/") or "/"
        if path == "/":
            return answers.json({"paths": self._paths()})
        if path == "/version":
            return answers.json(version())
        root, _, name = path[1:].partition("/")
        if f"/{root}" not in _ROOTS:
            return None
        if name:
            if name not in self._checks:
                return None
            fault = await self._checks[name]()
            return Response(500 if fault else 200, (fault or "ok").encode(), "text/plain; charset=utf-8")
        return await self._all(request, root)

    async def _all(self, request: Request, root: str) -> Response:
        excluded = set(request.parameters.get("exclude", ()))
        faults = {name: await check() for name, check in self._checks.items() if name not in excluded}
        bad = any(faults.values())
        if not bad and not request.flag("verbose"):
            return Response(200, b"ok", "text/plain; charset=utf-8")
        lines = [
            f"[{'-' if fault else '+'}]{name} {'failed: ' + fault if fault else 'ok'}" for name, fault in faults.items()
        ]
        lines += [f"[+]{name} excluded: ok" for name in sorted(excluded)]
        lines.append(f"{root} check {'failed' if bad else 'passed'}")
        return Response(500 if bad else 200, ("\n".join(lines) + "\n").encode(), "text/plain; charset=utf-8")


async def _ping() -> str:
    return ""


def version() -> dict[str, str]:
    """Return the version that clients negotiate by: Kubernetes', with ours after the plus."""
    major, minor, _ = VERSION.split(".")
    return {
        "major": major,
        "minor": minor,
        "gitVersion": f"v{VERSION}+sampan.{__version__}",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": f"python{platform.python_version()}",
        "compiler": platform.python_implementation(),
        "platform": f"linux/{ {'x86_64': 'amd64', 'aarch64': 'arm64'}.get(platform.machine(), platform.machine()) }",
    }
