from __future__ import annotations

import json

import pytest

from sampan.base.errors import InvalidArgument, TooLarge
from sampan.image import parse
from sampan.image.parse import chain_ids, parse_platform, parse_reference, parse_tag
from sampan.spec import oci_image as oci

HEX = "0123456789abcdef" * 4
DIGEST = "sha256:" + HEX


@pytest.mark.parametrize(
    ("text", "domain", "path", "tag", "digest", "familiar"),
    [
        ("busybox", "docker.io", "library/busybox", "", "", "busybox"),
        ("busybox:1.36", "docker.io", "library/busybox", "1.36", "", "busybox:1.36"),
        ("library/busybox", "docker.io", "library/busybox", "", "", "busybox"),
        ("docker.io/busybox", "docker.io", "library/busybox", "", "", "busybox"),
        ("index.docker.io/library/busybox", "docker.io", "library/busybox", "", "", "busybox"),
        ("team/app", "docker.io", "team/app", "", "", "team/app"),
        ("docker.io/library/a/b", "docker.io", "library/a/b", "", "", "library/a/b"),
        ("localhost/app", "localhost", "app", "", "", "localhost/app"),
        ("localhost:5000/a/b:x", "localhost:5000", "a/b", "x", "", "localhost:5000/a/b:x"),
        ("127.0.0.1:5000/a", "127.0.0.1:5000", "a", "", "", "127.0.0.1:5000/a"),
        ("[::1]:5000/a", "[::1]:5000", "a", "", "", "[::1]:5000/a"),
        ("quay.io/a/b@" + DIGEST, "quay.io", "a/b", "", DIGEST, "quay.io/a/b@" + DIGEST),
        ("a:1@" + DIGEST, "docker.io", "library/a", "1", DIGEST, "a:1@" + DIGEST),
        ("a__b-c/e--f.g", "docker.io", "a__b-c/e--f.g", "", "", "a__b-c/e--f.g"),
        ("UPPER/case", "UPPER", "case", "", "", "UPPER/case"),
    ],
)
def test_references(text, domain, path, tag, digest, familiar):
    parsed = parse_reference(text)
    assert (parsed.domain, parsed.path, parsed.tag, parsed.digest) == (domain, path, tag, digest)
    assert parsed.familiar == familiar


@pytest.mark.parametrize(
    "text",
    ["", ":", "@", "a:", "a@", "a@sha256:123", "a@md5:" + HEX, "Upper", "a/Upper", "a//b", "/a", "a/", "-a", "a-", "a..b",
     "a___b", "a b", "a\n", "a:b c", "a:" + "x" * 129, HEX, "../a", "a/../b", "a:-x", "é", "a" * 300, "http://a/b",
     "localhost:port/a", "ex_ample.com/a"],
)  # fmt: skip
def test_what_is_no_reference(text):
    with pytest.raises(InvalidArgument, match=r"invalid re(ference format|pository name)"):
        parse_reference(text)


def test_tags_have_a_default_and_no_digest():
    assert parse_tag("a/b").tagged == "a/b:latest"
    with pytest.raises(InvalidArgument, match="digest reference"):
        parse_tag("a@" + DIGEST)


def test_chain_ids():
    one, two = "sha256:" + "1" * 64, "sha256:" + "2" * 64
    assert chain_ids(()) == ()
    assert chain_ids((one,)) == (one,)
    first, second = chain_ids((one, two))
    assert (first, second) == (one, parse.digest_of(f"{one} {two}".encode()))
    assert chain_ids((two, one))[1] != second


HERE = oci.Platform(os="linux", architecture="amd64")


@pytest.mark.parametrize(
    ("text", "os", "architecture", "variant"),
    [
        ("", "linux", "amd64", ""),
        ("linux/arm64", "linux", "arm64", ""),
        ("linux/arm/v7", "linux", "arm", "v7"),
        ("Linux/X86_64", "linux", "amd64", ""),
        ("arm64", "linux", "arm64", ""),
    ],
)
def test_platforms(text, os, architecture, variant):
    parsed = parse_platform(text, HERE)
    assert (parsed.os, parsed.architecture, parsed.variant) == (os, architecture, variant)


def test_an_index_entry_without_a_platform_serves_anyone():
    assert parse.matches_platform(None, HERE)
    assert parse.matches_platform(oci.Platform(os="linux", architecture="amd64", variant="v1"), HERE)
    assert not parse.matches_platform(oci.Platform(os="windows", architecture="amd64"), HERE)


def test_a_config_with_nulls_everywhere_is_read():
    document = {
        "architecture": "amd64",
        "os": "linux",
        "created": None,
        "author": None,
        "history": None,
        "rootfs": {"type": "layers", "diff_ids": None},
        "config": dict.fromkeys(
            ["User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "Labels", "Healthcheck", "OnBuild", "Shell"]
        ),
        "unknown": {"is": "kept out"},
    }
    image = parse.image_from(json.dumps(document).encode())
    assert (image.layers, image.config.args, image.config.labels) == ((), None, {})


def test_history_gets_the_sizes_of_its_layers():
    document = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [DIGEST, DIGEST]},
        "history": [
            {"created_by": "a"},
            {"created_by": "b", "empty_layer": True},
            {"created_by": "c", "comment": "last"},
        ],
    }
    image = parse.image_from(json.dumps(document).encode(), layer_sizes=(5, 7))
    assert [row.size_bytes for row in image.history] == [5, 0, 7]
    assert (image.comment, image.size_bytes) == ("last", 12)


def test_documents_have_a_limit():
    with pytest.raises(TooLarge):
        parse.decode_config(b" " * (parse.MAX_DOCUMENT_BYTES + 1))
