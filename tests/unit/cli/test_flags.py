from __future__ import annotations

import pytest

from sampan.cli.errors import UsageError
from sampan.cli.flags import BOOL, INT, LIST, TEXT, Flag, parse

FLAGS = (
    Flag("interactive", BOOL, "", "i"),
    Flag("tty", BOOL, "", "t"),
    Flag("rm", BOOL, ""),
    Flag("sig-proxy", BOOL, "", default="true"),
    Flag("env", LIST, "", "e"),
    Flag("publish", LIST, "", "p"),
    Flag("name", TEXT, "", default="none"),
    Flag("pids-limit", INT, ""),
)


def run(*argv: str):
    return parse(FLAGS, list(argv), interspersed=False)


def test_joined_letters_and_values():
    given = run("-it", "-p80:80", "-e=A=1", "-e", "-x", "--name=web", "image", "sh", "-c", "--rm")
    assert given.on("interactive")
    assert given.on("tty")
    assert given.list("publish") == ["80:80"]
    assert given.list("env") == ["A=1", "-x"]
    assert given.text("name") == "web"
    assert given.words == ["image", "sh", "-c", "--rm"]
    assert not given.on("rm")


def test_a_letter_that_takes_a_value_ends_the_joined_letters():
    given = run("-ite", "A=1", "x")
    assert (given.on("tty"), given.list("env"), given.words) == (True, ["A=1"], ["x"])


def test_booleans_take_values_only_with_equals():
    assert not run("--rm=false").on("rm")
    assert not run("--sig-proxy=0").on("sig-proxy")
    assert run().on("sig-proxy")
    assert run("--rm", "false").words == ["false"]


def test_defaults_and_numbers():
    assert run().text("name") == "none"
    assert run().int("pids-limit") is None
    assert run("--pids-limit", "-1").int("pids-limit") == -1
    assert run("--pids-limit=0x10").int("pids-limit") == 16


def test_two_dashes_end_the_flags():
    given = parse(FLAGS, ["a", "--", "--rm", "-"])
    assert given.words == ["a", "--rm", "-"]


def test_flags_after_words_where_they_may_be():
    given = parse(FLAGS, ["a", "--rm", "b"])
    assert given.on("rm")
    assert given.words == ["a", "b"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--rn"], r"unknown flag: --rn. Did you mean --rm\?"),
        (["-x"], "unknown shorthand flag: 'x' in -x"),
        (["-ix"], "unknown shorthand flag: 'x' in -x"),
        (["--name"], "flag needs an argument: --name"),
        (["-e"], "flag needs an argument: -e"),
        (["--rm=perhaps"], 'invalid argument "perhaps" for --rm'),
        (["--pids-limit", "many"], 'invalid argument "many" for --pids-limit'),
    ],
)
def test_wrong_flags_say_why(argv, message):
    with pytest.raises(UsageError, match=message):
        run(*argv)
