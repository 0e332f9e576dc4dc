"""Flags with docker's grammar: `-it`, `-p80:80`, `--rm=false`, `--name x`, `--`, and `run` stopping at the image.

argparse knows neither `--rm=false` nor values that look like flags (`-e -x`), and costs 12 ms to import; see
docs/adr/0004-cli-flags.md. A verb declares its flags as data; parsing and help both read that table.
"""

from __future__ import annotations

from sampan.cli.errors import UsageError

BOOL, TEXT, LIST, INT = "bool", "text", "list", "int"

_TRUE = ("1", "t", "true", "TRUE", "True")
_FALSE = ("0", "f", "false", "FALSE", "False")


class Flag:
    """One flag: long name, kind, help, one-letter form, the value a text flag has when absent, its metavariable."""

    __slots__ = ("default", "help", "kind", "metavar", "name", "short")

    def __init__(self, name: str, kind: str, text: str, short: str = "", default: str = "", metavar: str = "") -> None:
        self.name = name
        self.kind = kind
        self.help = text
        self.short = short
        self.default = default
        self.metavar = metavar or {BOOL: "", TEXT: "string", LIST: "list", INT: "int"}[kind]


class Given:
    """The parsed command line: flags that were given, and the positional words."""

    def __init__(self, flags: tuple[Flag, ...]) -> None:
        self._flags = {flag.name: flag for flag in flags}
        self._values: dict[str, list[str]] = {}
        self.words: list[str] = []

    def add(self, flag: Flag, value: str) -> None:
        if flag.kind == BOOL and value not in _TRUE + _FALSE:
            raise UsageError(f'invalid argument "{value}" for --{flag.name}: use true or false')
        if flag.kind == INT:
            _as_int(flag, value)
        self._values.setdefault(flag.name, []).append(value)

    def has(self, name: str) -> bool:
        """Whether the flag was given at all."""
        return name in self._values

    def on(self, name: str) -> bool:
        """Whether a BOOL flag is true."""
        return self._values.get(name, [self._flags[name].default])[-1] in _TRUE

    def text(self, name: str) -> str:
        """The last value of a TEXT flag, or its default."""
        return self._values.get(name, [self._flags[name].default])[-1]

    def list(self, name: str) -> list[str]:
        """Every value of a LIST flag, in the order given."""
        return self._values.get(name, [])

    def int(self, name: str) -> int | None:
        """The value of an INT flag, None when it was not given."""
        return _as_int(self._flags[name], self._values[name][-1]) if name in self._values else None


def _as_int(flag: Flag, value: str) -> int:
    try:
        return int(value, 0)
    except ValueError:
        raise UsageError(f'invalid argument "{value}" for --{flag.name}: a whole number is needed') from None


class _Table:
    def __init__(self, flags: tuple[Flag, ...]) -> None:
        self.long = {flag.name: flag for flag in flags}
        self.short = {flag.short: flag for flag in flags if flag.short}


def parse(flags: tuple[Flag, ...], argv: list[str], *, interspersed: bool = True) -> Given:
    """Return what `argv` gives. With `interspersed` false everything after the first word is left alone.

    Raises:
        UsageError: an unknown flag (with the nearest known one), or a flag without its value.
    """
    table, given, rest = _Table(flags), Given(flags), list(argv)
    while rest:
        word = rest.pop(0)
        if word == "--":
            given.words += rest
            break
        if word.startswith("--"):
            _long(table, given, word[2:], rest)
        elif word.startswith("-") and word != "-":
            _short(table, given, word[1:], rest)
        else:
            given.words.append(word)
            if not interspersed:
                given.words += rest
                break
    return given


def _long(table: _Table, given: Given, text: str, rest: list[str]) -> None:
    name, equals, value = text.partition("=")
    flag = table.long.get(name)
    if flag is None:
        raise UsageError(f"unknown flag: --{name}{nearest(name, list(table.long), '--')}")
    if equals:
        given.add(flag, value)
    elif flag.kind == BOOL:
        given.add(flag, "true")
    else:
        given.add(flag, _take(f"--{name}", rest))


def _short(table: _Table, given: Given, letters: str, rest: list[str]) -> None:
    while letters:
        letter, letters = letters[0], letters[1:]
        flag = table.short.get(letter)
        if flag is None:
            raise UsageError(f"unknown shorthand flag: '{letter}' in -{letter}{letters}")
        if flag.kind != BOOL:
            given.add(flag, letters.removeprefix("=") if letters else _take(f"-{letter}", rest))
            return
        if letters.startswith("="):
            given.add(flag, letters[1:])
            return
        given.add(flag, "true")


def _take(shown: str, rest: list[str]) -> str:
    if not rest:
        raise UsageError(f"flag needs an argument: {shown}")
    return rest.pop(0)


def nearest(wrong: str, known: list[str], prefix: str = "") -> str:
    """Return `. Did you mean …?` with the closest known name, or "" when nothing is close."""
    import difflib

    close = difflib.get_close_matches(wrong, known, n=1, cutoff=0.5)
    return f". Did you mean {prefix}{close[0]}?" if close else ""


def describe(flags: tuple[Flag, ...]) -> str:
    """Return the `Options:` block of a help text."""
    rows = []
    for flag in sorted(flags, key=lambda each: each.name):
        short = f"-{flag.short}, " if flag.short else "    "
        rows.append((f"  {short}--{flag.name} {flag.metavar}".rstrip(), flag.help))
    width = max((len(left) for left, _ in rows), default=0)
    return "\n".join(f"{left:<{width}}   {right}" for left, right in rows)
