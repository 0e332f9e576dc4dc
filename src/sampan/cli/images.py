"""The verbs on images."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from sampan.cli.containers import FILTER, FORMAT, NO_TRUNC, QUIET, filters
from sampan.cli.flags import BOOL, TEXT, Flag, Given
from sampan.cli.http import Client, query, quote
from sampan.cli.run import each
from sampan.cli.verb import Verb


def images(client: Client, given: Given) -> int:
    from sampan.cli.table import show

    wanted = given.list("filter") + [f"reference={word}" for word in given.words]
    found = client.get("/images/json" + query(all=given.on("all"), filters=filters(wanted)))
    assert isinstance(found, list)  # noqa: S101  the API's shape
    rows = [row for image in found for row in _rows(image, given)]
    digest = (("DIGEST", "Digest"),) if given.on("digests") else ()
    columns = (_COLUMNS[0], _COLUMNS[1], *digest, *_COLUMNS[2:])
    show(rows, columns, given.text("format"), quiet="ID" if given.on("quiet") else "")
    return 0


_COLUMNS = (
    ("REPOSITORY", "Repository"),
    ("TAG", "Tag"),
    ("IMAGE ID", "ID"),
    ("CREATED", "CreatedSince"),
    ("SIZE", "Size"),
)


def _rows(image: dict[str, object], given: Given) -> list[dict[str, object]]:
    import time

    from sampan.cli.units import human_duration, human_size

    tags, digests = image.get("RepoTags") or [], image.get("RepoDigests") or []
    assert isinstance(tags, list) and isinstance(digests, list)  # noqa: S101, PT018  the API's shape
    digest_of = {name: digest for name, _, digest in (str(one).partition("@") for one in digests)}
    identity, created = str(image["Id"]), int(str(image["Created"]))
    names = (
        [str(tag).rpartition(":")[::2] for tag in tags]
        or [(name, "<none>") for name in digest_of]
        or [("<none>", "<none>")]
    )
    return [
        {
            "Repository": repository,
            "Tag": tag,
            "Digest": digest_of.get(repository, "<none>"),
            "ID": identity if given.on("no-trunc") else identity.removeprefix("sha256:")[:12],
            "CreatedAt": time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(created)),
            "CreatedSince": human_duration(time.time() - created) + " ago" if created > 0 else "N/A",  # noqa: TID251
            "Size": human_size(int(str(image["Size"]))),
        }
        for repository, tag in names
    ]


def pull(client: Client, given: Given) -> int:
    if given.on("quiet"):
        pull_image(client, given.words[0], platform=given.text("platform"), quiet=True, out=sys.stderr)
        print(given.words[0])
    else:
        pull_image(client, given.words[0], platform=given.text("platform"), quiet=False, out=sys.stdout)
    return 0


def pull_image(client: Client, image: str, *, platform: str, quiet: bool, out: TextIO) -> None:
    """Pull `image`, showing its progress on `out`."""
    from sampan.cli.progress import show

    name, at, digest = image.partition("@")
    name, tag = split_tag(name)
    tag = digest if at else tag
    path = "/images/create" + query(fromImage=name, tag=tag or "latest", platform=platform)
    show(client.request("POST", path, headers=_credentials(name)).lines(), out, quiet=quiet)


def push(client: Client, given: Given) -> int:
    from sampan.cli.progress import show

    image = given.words[0]
    name, tag = split_tag(image)
    headers = _credentials(name) or (("X-Registry-Auth", "e30="),)
    answer = client.request("POST", f"/images/{quote(name)}/push{query(tag=tag or 'latest')}", headers=headers)
    show(answer.lines(), sys.stdout, quiet=given.on("quiet"))
    return 0


def _credentials(image: str) -> tuple[tuple[str, str], ...]:
    """What `docker login` left for the image's registry, as the API's header; nothing without it."""
    folder = os.environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker")
    try:
        with open(f"{folder}/config.json", encoding="utf-8") as file:
            text = file.read()
    except OSError:
        return ()
    import base64
    import json

    logins = json.loads(text).get("auths", {})
    first, slash, _ = image.partition("/")
    named = slash and ("." in first or ":" in first or first == "localhost")
    registry = first if named else next((name for name in logins if "docker.io" in name), "")
    secret = str(logins.get(registry, {}).get("auth", ""))
    if not secret:
        return ()
    user, _, password = base64.b64decode(secret).decode().partition(":")
    document = json.dumps({"username": user, "password": password, "serveraddress": registry})
    return (("X-Registry-Auth", base64.urlsafe_b64encode(document.encode()).decode()),)


def tag(client: Client, given: Given) -> int:
    source, target = given.words
    name_image(client, source, target)
    return 0


def name_image(client: Client, source: str, target: str) -> None:
    """Give the image `source` the further name `target`."""
    name, label = split_tag(target)
    client.request("POST", f"/images/{quote(source)}/tag{query(repo=name, tag=label or 'latest')}").read()


def split_tag(name: str) -> tuple[str, str]:
    """Return name and tag of a reference; the tag is "" when it has none."""
    if ":" not in name.rpartition("/")[2]:
        return name, ""
    repository, _, tag = name.rpartition(":")
    return repository, tag


def rmi(client: Client, given: Given) -> int:
    wishes = query(force=given.on("force"), noprune=given.on("no-prune"))

    def one(name: str) -> None:
        rows = client.request("DELETE", f"/images/{quote(name)}{wishes}").json()
        for row in rows if isinstance(rows, list) else ():
            for action, what in row.items():
                print(f"{action}: {what}")

    return each(given.words, one, echo=False)


def history(client: Client, given: Given) -> int:
    from sampan.cli.table import show
    from sampan.cli.units import human_size

    found = client.get(f"/images/{quote(given.words[0])}/history")
    assert isinstance(found, list)  # noqa: S101  the API's shape
    rows: list[dict[str, object]] = [
        {"ID": str(row["Id"]).removeprefix("sha256:")[:12], "By": row["CreatedBy"] if given.on("no-trunc") else row["CreatedBy"][:45],
         "Size": human_size(row["Size"]), "Comment": row["Comment"]}
        for row in found
    ]  # fmt: skip
    show(rows, (("IMAGE", "ID"), ("CREATED BY", "By"), ("SIZE", "Size"), ("COMMENT", "Comment")))
    return 0


IMAGES = Verb(
    images, "[OPTIONS] [REPOSITORY[:TAG]]", "List images.",
    (
        Flag("all", BOOL, "Show intermediate images, too", "a"),
        Flag("digests", BOOL, "Show digests"),
        FILTER, FORMAT, QUIET, NO_TRUNC,
    ),
    (0, 1),
)  # fmt: skip
_PLATFORM = Flag("platform", TEXT, "Platform to take")
PULL = Verb(pull, "[OPTIONS] NAME[:TAG|@DIGEST]", "Pull an image from a registry.",
            (_PLATFORM, Flag("quiet", BOOL, "Show no progress", "q")), (1, 1))  # fmt: skip
PUSH = Verb(push, "NAME[:TAG]", "Push an image to a registry.", (Flag("quiet", BOOL, "Show no progress", "q"),), (1, 1))
TAG = Verb(tag, "SOURCE[:TAG] TARGET[:TAG]", "Give an image a further name.", (), (2, 2))
RMI = Verb(
    rmi, "[OPTIONS] IMAGE [IMAGE...]", "Remove images.",
    (Flag("force", BOOL, "Remove it although containers use it", "f"), Flag("no-prune", BOOL, "Keep untagged parents")),
    (1, None),
)  # fmt: skip
HISTORY = Verb(history, "IMAGE", "Show how an image was made.", (NO_TRUNC,), (1, 1))
