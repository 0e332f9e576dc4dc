"""`sampan policy`: try policies in Python on what a running server holds, before it uses them; list those it has."""

from __future__ import annotations

import argparse
import http.client
import json
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from sampan.api.kube.authz import MASTERS
from sampan.api.kube.dynamic.python_policies import files, load
from sampan.base.errors import SampanError, Unavailable
from sampan.cli.table import Row, show
from sampan.kube.policy import Asked, Bound, Broken, differences, judged

_DATA_ROOT = "/var/lib/sampan"
_PAGE = 500
_ADMIN = "kubernetes-admin"
"""Whom the certificate that the server is asked with is for: policies are tried as if this one wrote the objects."""
_OWN_GROUP = "admissionregistration.k8s.io"


def main(argv: list[str]) -> int:
    """Run `sampan policy test` or `list`; returns the exit code: 1 where something would be refused or cannot be used."""
    parser = argparse.ArgumentParser(prog="sampan policy", description="Policies in Python.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for name, text in (
        ("test", "try policies on every stored object, without changing anything"),
        ("list", "show the policies and the files that cannot be used"),
    ):
        verb = verbs.add_parser(name, help=text, description=text)
        verb.add_argument("--data-root", default=_DATA_ROOT, metavar="D", help=f"default {_DATA_ROOT}")
        verb.add_argument("--policies", metavar="DIR", help="a folder of policies; default D/control/policies")
        if name == "test":
            verb.add_argument("file", nargs="?", metavar="FILE.py", help="only this file")
    words = parser.parse_args(argv)
    folder = Path(words.policies or Path(words.data_root) / "control" / "policies")
    paths = [Path(words.file)] if getattr(words, "file", None) else list(files([folder]))
    if not paths:
        print(f"sampan: there are no policies in {folder}", file=sys.stderr)
        return 1
    held, broken = _load(paths, given=bool(getattr(words, "file", None)))
    if words.verb == "list":
        show([_row(each) for each in held], _COLUMNS)
    for path, why in broken:
        print(f"sampan: {path} cannot be used: {why}", file=sys.stderr)
    if words.verb == "list" or broken:
        return 1 if broken else 0
    try:
        return _test(held, Server(Path(words.data_root) / "control"))
    except SampanError as error:
        print(f"sampan: {error}", file=sys.stderr)
        return 1


def _load(paths: list[Path], *, given: bool) -> tuple[list[Bound], list[tuple[Path, str]]]:
    held: list[Bound] = []
    broken: list[tuple[Path, str]] = []
    for path in paths:
        try:
            held += load(path, given=given)
        except Broken as error:
            broken.append((path, str(error)))
    return held, broken


_COLUMNS = (("POLICY", "name"), ("JUDGES", "kinds"), ("OPERATIONS", "operations"), ("FILE", "file"))


def _row(bound: Bound) -> Row:
    return {
        "name": bound.name,
        "kinds": ",".join(bound.kinds),
        "operations": ",".join(bound.operations),
        "file": bound.file,
    }


# --- trying -----------------------------------------------------------------------------------------------------------


class Count:
    def __init__(self) -> None:
        self.tried = self.refused = self.changed = self.failed = 0


def _test(held: list[Bound], server: Server) -> int:
    """Try policies on every stored object, as if it were written anew; prints what they would do."""
    count = Count()
    for found in server.resources():
        concerned = [bound for bound in held if _operation(bound, found)]
        if concerned:
            for obj in server.objects(found):
                count.tried += 1
                for bound in concerned:
                    _try(bound, found, obj, count)
    print(
        f"{count.tried} objects were tried: {count.refused} would be refused, {count.changed} changed, "
        f"policies failed on {count.failed}."
    )
    return 1 if count.refused or count.failed else 0


def _operation(bound: Bound, found: Found) -> str:
    """Return as what a policy judges a resource's objects: CREATE, else UPDATE, else DELETE; "" for not at all."""
    asked = ("CREATE", "UPDATE", "DELETE")
    return next((each for each in asked if bound.about(each, found.group, found.kind)), "")


def _try(bound: Bound, found: Found, obj: dict[str, Any], count: Count) -> None:
    operation, meta = _operation(bound, found), obj["metadata"]
    old = None if operation == "CREATE" else obj
    space, name = meta.get("namespace", ""), meta["name"]
    asked = Asked(
        operation,
        found.group,
        found.version,
        found.kind,
        found.plural,
        space,
        name,
        user=_ADMIN,
        groups=(MASTERS,),
        dry_run=True,
        old=old,
    )
    verdict = judged(bound, obj, asked)
    where = f"{found.plural}{'.' if found.group else ''}{found.group} {f'{space}/' if space else ''}{name}"
    if verdict.failure:
        count.failed += 1
        print(f"fails on      {where}: {bound.name}: {verdict.failure}")
    elif verdict.refusal:
        count.refused += 1
        print(f"would refuse  {where}: {bound.name}: {verdict.refusal}")
    elif verdict.changed is not None:
        count.changed += 1
        print(f"would change  {where}: {bound.name}: {'; '.join(differences(obj, verdict.changed))}")


# --- the server -------------------------------------------------------------------------------------------------------


class Found(NamedTuple):
    """A resource that can be listed."""

    group: str
    version: str
    plural: str
    kind: str

    @property
    def path(self) -> str:
        return (
            f"/apis/{self.group}/{self.version}/{self.plural}" if self.group else f"/api/{self.version}/{self.plural}"
        )


class Server:
    """The API of a data root, asked with its administrator's certificate."""

    def __init__(self, directory: Path) -> None:
        """Read where it is.

        Raises:
            Unavailable: none was started, or its files are not ours to read.
        """
        pki = directory / "pki"
        try:
            self._host, _, port = (directory / "address").read_text().strip().rpartition(":")
            context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
            context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        except FileNotFoundError as error:
            raise Unavailable(f"{error.filename or directory} is not there: start the API with `sampan up`") from None
        except PermissionError as error:
            raise Unavailable(f"{error.filename or directory} can be read by root only: use sudo") from None
        self._connection = http.client.HTTPSConnection(self._host.strip("[]"), int(port), timeout=60, context=context)

    def resources(self) -> Iterator[Found]:
        """Yield every resource that can be listed, in the version that its group prefers."""
        yield from self._of("", "v1", "/api/v1")
        for group in self._get("/apis")["groups"]:
            if group["name"] not in ("events.k8s.io", _OWN_GROUP):  # the same events; what no policy judges
                preferred = group["preferredVersion"]
                yield from self._of(group["name"], preferred["version"], f"/apis/{preferred['groupVersion']}")

    def _of(self, group: str, version: str, path: str) -> Iterator[Found]:
        for each in self._get(path)["resources"]:
            if "/" not in each["name"] and "list" in each["verbs"]:
                yield Found(group, version, each["name"], each["kind"])

    def objects(self, found: Found) -> Iterator[dict[str, Any]]:
        """Yield all objects of a resource."""
        token = ""
        while True:
            query = {"limit": str(_PAGE), **({"continue": token} if token else {})}
            page = self._get(f"{found.path}?{urlencode(query)}")
            identity = {"apiVersion": f"{found.group}/{found.version}".lstrip("/"), "kind": found.kind}
            yield from ({**identity, **obj} for obj in page["items"])
            if not (token := page["metadata"].get("continue", "")):
                return

    def _get(self, path: str) -> Any:
        try:
            self._connection.request("GET", path, headers={"Accept": "application/json", "User-Agent": "sampan"})
            answer = self._connection.getresponse()
            found = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Unavailable(f"the API does not answer: {error}") from error
        if answer.status != 200:
            raise Unavailable(f"the API refuses {path}: {found.get('message', answer.status)}")
        return found
