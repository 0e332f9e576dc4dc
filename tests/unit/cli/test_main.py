from __future__ import annotations

import pytest

from sampan.cli import main
from sampan.cli.verb import Verb

TARGETS = sorted(
    {where for where, _ in main.VERBS.values()}
    | {main.resolve([group, verb])[1] for group, verbs in main.GROUPS.items() for verb in verbs}
)


@pytest.mark.parametrize("where", TARGETS)
def test_every_verb_is_there(where):
    verb = main.load(where)
    assert isinstance(verb, Verb)
    letters = [flag.short for flag in verb.flags if flag.short]
    names = [flag.name for flag in verb.flags]
    assert len(letters) == len(set(letters))
    assert len(names) == len(set(names))
    assert verb.help("x").startswith("Usage:  sampan x ")


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (["imags"], "Did you mean sampan images?\nSee 'sampan --help'."),
        (["ps", "--al"], "Did you mean --all?\nSee 'sampan ps --help'."),
        (["network", "craete"], "'network craete' is not a sampan command. Did you mean create?"),
        (["rm"], '"sampan rm" needs at least 1 argument.'),
        (["rename", "a"], '"sampan rename" needs exactly 2 arguments.'),
        (["run", "--gpus", "all", "x"], "--gpus is not supported"),
        (["run", "--rm", "--restart", "always", "x"], "--rm and --restart conflict"),
        (["run", "-d", "-a", "stdin", "x"], "--detach and --attach conflict"),
        (["run", "--env-file", "/nonexistent", "x"], "cannot read /nonexistent"),
        (["run", "-v", "/a:/b", "--mount", "tyep=bind", "x"], "unexpected key 'tyep'. Did you mean type?"),
    ],
)
def test_wrong_usage_says_what_to_type(argv, shown, capsys):
    assert main.main(argv) == 125
    assert shown in capsys.readouterr().err


def test_no_daemon_says_how_to_start_one(capsys):
    assert main.main(["-H", "unix:///nonexistent", "ps"]) == 1
    assert "no daemon answers at unix:///nonexistent" in (err := capsys.readouterr().err)
    assert "sampan up" in err


def test_the_socket_is_chosen_in_order(monkeypatch):
    monkeypatch.delenv("SAMPAN_HOST", raising=False)
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    assert main.host("") == "unix:///run/sampan/sampan.sock"
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    assert main.host("") == "tcp://127.0.0.1:1"
    monkeypatch.setenv("SAMPAN_HOST", "/s")
    assert main.host("") == "unix:///s"
    assert main.host("unix:///x") == "unix:///x"
