"""A verb: what it is called with, what it understands, and the function that does it."""

from __future__ import annotations

from collections.abc import Callable

from sampan.cli.errors import UsageError
from sampan.cli.flags import BOOL, Flag, Given, describe, parse
from sampan.cli.http import Client

_HELP = Flag("help", BOOL, "Show this help")


class Verb:
    """`usage` is shown after the name; `words` is (least, most) of positional words, most None for any number."""

    __slots__ = ("flags", "interspersed", "run", "summary", "usage", "words")

    def __init__(
        self,
        run: Callable[[Client, Given], int],
        usage: str,
        summary: str,
        flags: tuple[Flag, ...] = (),
        words: tuple[int, int | None] = (0, 0),
        interspersed: bool = True,
    ) -> None:
        self.run = run
        self.usage = usage
        self.summary = summary
        self.flags = flags
        self.words = words
        self.interspersed = interspersed

    def call(self, client: Client, name: str, argv: list[str]) -> int:
        """Parse `argv` and run; returns the exit code. `--help` prints help instead."""
        given = parse((*self.flags, _HELP), argv, interspersed=self.interspersed)
        if given.on("help"):
            print(self.help(name))
            return 0
        least, most = self.words
        if len(given.words) < least or (most is not None and len(given.words) > most):
            raise UsageError(f'"sampan {name}" {_count(least, most)}.\nUsage:  sampan {name} {self.usage}')
        return self.run(client, given)

    def help(self, name: str) -> str:
        """Return the help text."""
        text = f"Usage:  sampan {name} {self.usage}\n\n{self.summary}"
        return f"{text}\n\nOptions:\n{describe(self.flags)}" if self.flags else text


def _count(least: int, most: int | None) -> str:
    plural = "" if least == 1 else "s"
    if least == most:
        return f"needs exactly {least} argument{plural}" if least else "takes no arguments"
    return f"needs at least {least} argument{plural}" if most is None else f"needs {least} to {most} arguments"
