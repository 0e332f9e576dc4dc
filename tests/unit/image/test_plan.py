from __future__ import annotations

import json

import pytest

from sampan.base.errors import Conflict
from sampan.image import parse, plan
from sampan.model.container import Healthcheck
from sampan.model.image import Image, ImageConfig

ID = "sha256:" + "a" * 64
USED = ("c" * 64,)


def image(*tags: str, digests: tuple[str, ...] = ()) -> Image:
    return Image(id=ID, tags=tags, digests=digests)


@pytest.mark.parametrize(
    ("tags", "name", "force", "used", "names", "delete"),
    [
        (("a:1",), "a:1", False, (), ("a:1",), True),
        (("a:1", "a:2"), "a:1", False, (), ("a:1",), False),
        (("a:1", "b:1"), "b:1", False, USED, ("b:1",), False),
        (("a:1",), "a:1", True, USED, ("a:1",), False),
        (("a:1",), "", False, (), ("a:1",), True),
        (("a:1", "a:2"), "", False, (), ("a:1", "a:2"), True),
        (("a:1", "b:1"), "", True, (), ("a:1", "b:1"), True),
        ((), "", False, (), (), True),
        ((), "", True, USED, (), False),
    ],
)
def test_removal(tags, name, force, used, names, delete):
    removal = plan.plan_removal(image(*tags), name or ID, name, force=force, containers=used)
    assert (removal.names, removal.delete) == (names, delete)


@pytest.mark.parametrize(
    ("tags", "name", "used", "words"),
    [
        (
            ("a:1",),
            "a:1",
            USED,
            'unable to remove repository reference "a:1" (must force) - container cccccccccccc is using',
        ),
        (("a:1",), "", USED, "(must be forced) - image is being used by stopped container cccccccccccc"),
        (("a:1", "b:1"), "", (), "(must be forced) - image is referenced in multiple repositories"),
    ],
)
def test_conflicts_use_dockers_words(tags, name, used, words):
    with pytest.raises(Conflict) as caught:
        plan.plan_removal(image(*tags), name or ID, name, force=False, containers=used)
    assert words in str(caught.value)


def test_the_last_tag_takes_the_digests_along():
    digest = "a@sha256:" + "d" * 64
    tagged = image("a:1", digests=(digest,))
    assert plan.plan_removal(tagged, "a:1", "a:1", force=False, containers=()).names == ("a:1", digest)
    assert plan.plan_removal(tagged, digest, digest, force=False, containers=()) == plan.Removal(names=(digest,))


def test_prune_takes_what_nobody_uses():
    used, dangling, tagged = Image(id="1"), Image(id="2"), Image(id="3", tags=("a:1",))
    every = (used, dangling, tagged)
    assert plan.plan_prune(every, {"1": USED}, dangling_only=True) == [dangling]
    assert plan.plan_prune(every, {"1": USED}, dangling_only=False) == [dangling, tagged]


def test_repositories():
    assert plan.repository("localhost:5000/a/b:1") == "localhost:5000/a/b"
    assert plan.repository("localhost:5000/a/b") == "localhost:5000/a/b"
    assert plan.repository("a@sha256:1") == "a"


CONFIG = ImageConfig(
    entrypoint=("/e",),
    args=("a", "b"),
    env=("A=1",),
    cwd="/w",
    user="1:2",
    labels={"x": "y"},
    volumes=("/v",),
    exposed=("80/tcp",),
    stop_signal="SIGINT",
    healthcheck=Healthcheck(test=("CMD", "true"), interval_ns=5, retries=3),
    shell=("/bin/sh", "-c"),
    on_build=("RUN x",),
)


def test_a_config_survives_being_written_and_read():
    data = plan.config_with_layer(b"{}", CONFIG, diff_id=ID, created="now", created_by="x", author="me", comment="c")
    read = parse.image_from(data, layer_sizes=(3,))
    assert read.config == CONFIG
    assert (read.layers, read.author, read.comment, read.history[0].created_by) == ((ID,), "me", "c", "x")


def test_what_is_not_known_in_a_config_is_kept():
    base = json.dumps({"os": "linux", "architecture": "riscv64", "os.features": ["x"], "container": "old"}).encode()
    data = plan.config_with_layer(base, ImageConfig(), diff_id=ID, created="now", created_by="", author="", comment="")
    document = json.loads(data)
    assert (document["os.features"], document["architecture"]) == (["x"], "riscv64")
    assert "container" not in document


@pytest.mark.parametrize(
    ("ns", "text"),
    [(0, "1970-01-01T00:00:00Z"), (1_700_000_000_120_000_000, "2023-11-14T22:13:20.12Z")],
)
def test_times(ns, text):
    assert plan.rfc3339(ns) == text


def test_the_last_tag_of_a_repository_takes_its_digests_along_and_no_others():
    ours, theirs = "a@sha256:" + "d" * 64, "b@sha256:" + "d" * 64
    tagged = image("a:1", "a:2", "b:1", digests=(ours, theirs))
    assert plan.plan_removal(tagged, "a:1", "a:1", force=False, containers=()).names == ("a:1",)
    assert plan.plan_removal(tagged, "b:1", "b:1", force=False, containers=()) == plan.Removal(names=("b:1", theirs))
