"""The grammar: a text into a tree. Spec: cel-spec "Syntax", with optional fields and elements (`.?`, `[?…]`)."""

from __future__ import annotations

import re
from typing import Any, NamedTuple, TypeAlias

from sampan.kube.cel.fault import CelError
from sampan.kube.cel.value import Uint


class Literal(NamedTuple):
    value: Any
    position: int


class Name(NamedTuple):
    name: str
    position: int


class Select(NamedTuple):
    """`of.field`; `optional`: `of.?field`."""

    of: Expression
    field: str
    optional: bool
    position: int


class Index(NamedTuple):
    of: Expression
    key: Expression
    optional: bool
    position: int


class Call(NamedTuple):
    """`name(arguments)`, or `target.name(arguments)`. Operators are calls of `+`, `!`, `in`, `-x` and so on."""

    target: Expression | None
    name: str
    arguments: tuple[Expression, ...]
    position: int


class Both(NamedTuple):
    """`left && right`, or `||`."""

    left: Expression
    right: Expression
    any: bool
    position: int


class Choice(NamedTuple):
    condition: Expression
    yes: Expression
    no: Expression
    position: int


class ListOf(NamedTuple):
    items: tuple[tuple[Expression, bool], ...]  # and whether `?` is before it
    position: int


class MapOf(NamedTuple):
    """A map, or with `type` a message such as `Object.spec{replicas: 1}`."""

    entries: tuple[tuple[Expression, Expression, bool], ...]
    type: str
    position: int


Expression: TypeAlias = "Literal | Name | Select | Index | Call | Both | Choice | ListOf | MapOf"

_TOKEN = re.compile(
    r"""
      (?P<space>(?:[ \t\r\n\f]|//[^\n]*)+)
    | (?P<float>\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?)
    | (?P<int>0[xX][0-9a-fA-F]+[uU]?|\d+[uU]?)
    | (?P<string>(?:[rR][bB]?|[bB][rR]?)?(?:\"\"\"(?:\\.|[^\\])*?\"\"\"|'''(?:\\.|[^\\])*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
    | (?P<name>[_a-zA-Z][_a-zA-Z0-9]*)
    | (?P<sign>&&|\|\||==|!=|<=|>=|[-+*/%<>!?:.,()\[\]{}])
    """,
    re.VERBOSE | re.DOTALL,
)
_RAW = re.compile(r"(?:[rR][bB]?|[bB][rR])(\"\"\"|'''|\"|')(?:(?!\1).|\\.)*?\1", re.DOTALL)
RESERVED = frozenset(
    "as break const continue else for function if import let loop package namespace return var void while".split()
)
_RELATIONS = ("==", "!=", "<", "<=", ">", ">=")
_DEPTH = 60
_INT_MAX, _UINT_MAX = 2**63 - 1, 2**64 - 1
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|X[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-3][0-7]{2}|.)", re.DOTALL)
_SIMPLE = dict(zip("abfnrtv\\?\"'`", "\a\b\f\n\r\t\v\\?\"'`", strict=True))


class _Token(NamedTuple):
    kind: str
    text: str
    position: int


def parse(text: str) -> Expression:
    """Return the tree of an expression.

    Raises:
        CelError
    """
    return _Parser(text).whole()


def _tokens(text: str) -> list[_Token]:
    found, position = [], 0
    while position < len(text):
        match = _RAW.match(text, position)
        if match is not None:
            kind = "string"
        else:
            match = _TOKEN.match(text, position)
            if match is None:
                raise CelError(f"Syntax error: token recognition error at: '{text[position]}'", text, position)
            kind = str(match.lastgroup)
        if kind != "space":
            found.append(_Token(kind, match[0], position))
        position = match.end()
    return [*found, _Token("end", "<EOF>", len(text))]


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._at = 0
        self._depth = 0

    def whole(self) -> Expression:
        found = self._expression()
        if self._now.kind != "end":
            raise self._unexpected()
        return found

    # --- tokens

    @property
    def _now(self) -> _Token:
        return self._tokens[self._at]

    def _take(self, *signs: str) -> _Token | None:
        token = self._now
        if token.text in signs and token.kind in ("sign", "name"):
            self._at += 1
            return token
        return None

    def _need(self, sign: str) -> _Token:
        token = self._take(sign)
        if token is None:
            raise self._unexpected(f", expecting '{sign}'")
        return token

    def _word(self) -> _Token:
        token = self._now
        if token.kind != "name":
            raise self._unexpected(", expecting a name")
        self._at += 1
        return token

    def _unexpected(self, more: str = "") -> CelError:
        token = self._now
        return CelError(f"Syntax error: mismatched input '{token.text}'{more}", self._text, token.position)

    # --- expressions, the loosest first

    def _expression(self) -> Expression:
        self._depth += 1
        if self._depth > _DEPTH:
            raise CelError(f"expression is nested deeper than {_DEPTH}", self._text, self._now.position)
        found = self._either()
        if token := self._take("?"):
            yes = self._either()
            self._need(":")
            found = Choice(found, yes, self._expression(), token.position)
        self._depth -= 1
        return found

    def _either(self) -> Expression:
        found = self._both()
        while token := self._take("||"):
            found = Both(found, self._both(), any=True, position=token.position)
        return found

    def _both(self) -> Expression:
        found = self._relation()
        while token := self._take("&&"):
            found = Both(found, self._relation(), any=False, position=token.position)
        return found

    def _relation(self) -> Expression:
        found = self._sum()
        while token := self._take(*_RELATIONS, "in"):
            found = Call(None, token.text, (found, self._sum()), token.position)
        return found

    def _sum(self) -> Expression:
        found = self._product()
        while token := self._take("+", "-"):
            found = Call(None, token.text, (found, self._product()), token.position)
        return found

    def _product(self) -> Expression:
        found = self._unary()
        while token := self._take("*", "/", "%"):
            found = Call(None, token.text, (found, self._unary()), token.position)
        return found

    def _unary(self) -> Expression:
        signs = []
        while token := self._take("!", "-"):
            signs.append(token)
            if signs[-1].text != signs[0].text:
                raise CelError("Syntax error: ! and - are not mixed", self._text, token.position)
        if signs and signs[-1].text == "-" and self._now.kind in ("int", "float"):
            found: Expression = self._members(self._number(signs.pop().position, "-"))
        else:
            found = self._members(self._primary())
        for token in reversed(signs):
            found = Call(None, "!x" if token.text == "!" else "-x", (found,), token.position)
        return found

    def _members(self, found: Expression) -> Expression:
        while token := self._take(".", "["):
            optional = self._take("?") is not None
            if token.text == "[":
                key = self._expression()
                self._need("]")
                found = Index(found, key, optional, token.position)
                continue
            name = self._word()
            if not optional and self._take("("):
                found = Call(found, name.text, self._arguments(")"), name.position)
            else:
                found = Select(found, name.text, optional, name.position)
                if self._now.text == "{" and (type_ := _dotted(found)) and type_[0].isupper():
                    found = self._message(type_)
        return found

    def _primary(self) -> Expression:
        token = self._now
        if token.kind in ("int", "float"):
            return self._number(token.position, "")
        if token.kind == "string":
            return self._string()
        if self._take("("):
            found = self._expression()
            self._need(")")
            return found
        if self._take("["):
            return ListOf(self._items(), token.position)
        if self._take("{"):
            return MapOf(self._entries(names=False), "", token.position)
        self._take(".")
        name = self._word().text
        if name in ("true", "false", "null"):
            return Literal({"true": True, "false": False, "null": None}[name], token.position)
        if name in RESERVED or name == "in":
            raise CelError(f"reserved identifier: {name}", self._text, token.position)
        if self._take("("):
            return Call(None, name, self._arguments(")"), token.position)
        if self._now.text == "{" and name[0].isupper():
            return self._message(name)
        return Name(name, token.position)

    def _message(self, type_: str) -> Expression:
        token = self._need("{")
        return MapOf(self._entries(names=True), type_, token.position)

    # --- lists of things

    def _arguments(self, end: str) -> tuple[Expression, ...]:
        found: list[Expression] = []
        while not self._take(end):
            if found:
                self._need(",")
            found.append(self._expression())
        return tuple(found)

    def _items(self) -> tuple[tuple[Expression, bool], ...]:
        found: list[tuple[Expression, bool]] = []
        while not self._take("]"):
            if found:
                self._need(",")
                if self._take("]"):
                    break
            optional = self._take("?") is not None
            found.append((self._expression(), optional))
        return tuple(found)

    def _entries(self, *, names: bool) -> tuple[tuple[Expression, Expression, bool], ...]:
        found: list[tuple[Expression, Expression, bool]] = []
        while not self._take("}"):
            if found:
                self._need(",")
                if self._take("}"):
                    break
            optional = self._take("?") is not None
            key: Expression
            if names:
                word = self._word()
                key = Literal(unescape(word.text), word.position)
            else:
                key = self._expression()
            self._need(":")
            found.append((key, self._expression(), optional))
        return tuple(found)

    # --- literals

    def _number(self, position: int, sign: str) -> Literal:
        token = self._now
        self._at += 1
        if token.kind == "float":
            return Literal(float(sign + token.text), position)
        digits = token.text.rstrip("uU")
        number = int(digits, 16 if digits[:2] in ("0x", "0X") else 10)
        if digits != token.text:
            if number > _UINT_MAX or sign:
                raise CelError("invalid uint literal", self._text, position)
            return Literal(Uint(number), position)
        if number > _INT_MAX + (sign == "-"):
            raise CelError("invalid int literal", self._text, position)
        return Literal(-number if sign else number, position)

    def _string(self) -> Literal:
        token = self._now
        self._at += 1
        prefix = re.match("[rRbB]*", token.text)
        kinds = prefix[0].lower() if prefix else ""
        body = token.text[len(kinds) :]
        size = 3 if body[:3] in ('"""', "'''") else 1
        body = body[size:-size]
        if "r" not in kinds:
            body = _ESCAPE.sub(lambda match: self._escaped(match[1], token.position), body)
        return Literal(body.encode() if "b" in kinds else body, token.position)

    def _escaped(self, what: str, position: int) -> str:
        if len(what) == 1 and what in _SIMPLE:
            return _SIMPLE[what]
        if what[0] in "xXuU" and len(what) > 1:
            code = int(what[1:], 16)
        elif what.isdecimal() and len(what) == 3:
            code = int(what, 8)
        else:
            raise CelError(f"invalid escape sequence \\{what}", self._text, position)
        if code > 0x10FFFF or 0xD800 <= code < 0xE000:
            raise CelError("invalid unicode code point", self._text, position)
        return chr(code)


def _dotted(found: Expression) -> str:
    """Return `A.b.c` of selections of names, "" of others."""
    if isinstance(found, Name):
        return found.name
    if isinstance(found, Select) and not found.optional and (before := _dotted(found.of)):
        return f"{before}.{found.field}"
    return ""


_WRITTEN = {"__underscores__": "__", "__dot__": ".", "__dash__": "-", "__slash__": "/"}
_KEYWORDS = {f"__{word}__": word for word in (*RESERVED, "true", "false", "null", "in")}


def unescape(name: str) -> str:
    """Return the field that a name stands for: `__dash__` and the like are what a name cannot hold.

    Spec: Kubernetes documentation, "CEL: Escaping".
    """
    if "__" not in name:
        return name
    if name in _KEYWORDS:
        return _KEYWORDS[name]
    return re.sub("__(?:underscores|dot|dash|slash)__", lambda match: _WRITTEN[match[0]], name)
