"""The forms that names have, each as a function from a value to what is wrong with it, "" when nothing is.

Spec: Kubernetes documentation, "Object Names and IDs", "Labels and Selectors"; RFC 1123, RFC 1035.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from sampan.base.remember import of_short_texts

Rule = Callable[[str], str]

LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN = rf"{LABEL}(\.{LABEL})*"
WILDCARD = rf"\*\.{SUBDOMAIN}"
LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
LABEL_VALUE = f"({QUALIFIED})?"

LABEL_BYTES = 63
SUBDOMAIN_BYTES = 253
PORT_NAME_BYTES = 15

_subdomain = re.compile(SUBDOMAIN).fullmatch
_port_name = re.compile("[-a-z0-9]+").fullmatch
_NAME = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
)
_EXAMPLES = ("MyName", "my.name", "123-abc")


def _too_long(limit: int) -> str:
    return f"must be no more than {limit} bytes"


def explained(text: str, pattern: str, *examples: str) -> str:
    """Return `text` with examples of what is right and the pattern."""
    shown = " or ".join(f"'{example}', " for example in examples)
    return f"{text} ({'e.g. ' if shown else ''}{shown}regex used for validation is '{pattern}')"


def _form(pattern: str, limit: int, text: str, *examples: str) -> Rule:
    """Return the rule that a value has a form and no more than `limit` bytes."""
    matches, why, too_long = re.compile(pattern).fullmatch, explained(text, pattern, *examples), _too_long(limit)

    @of_short_texts(4096)  # the same names come again and again
    def rule(value: str) -> str:
        if len(value) > limit:
            return too_long
        return "" if matches(value) else why

    return rule


dns_subdomain = _form(
    SUBDOMAIN,
    SUBDOMAIN_BYTES,
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end"
    " with an alphanumeric character",
    "example.com",
)
dns_1035_label = _form(
    LABEL_1035,
    LABEL_BYTES,
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and"
    " end with an alphanumeric character",
    "my-name",
    "abc-123",
)
wildcard_subdomain = _form(
    WILDCARD,
    SUBDOMAIN_BYTES,
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower"
    " case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
    "*.example.com",
)
label_value = _form(
    LABEL_VALUE,
    LABEL_BYTES,
    f"a valid label must be an empty string or {_NAME.removeprefix('must ')}",
    "MyValue",
    "my_value",
    "12345",
)
_dns_label = _form(
    LABEL,
    LABEL_BYTES,
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an"
    " alphanumeric character",
    "my-name",
    "123-abc",
)
_name_part = _form(QUALIFIED, LABEL_BYTES, _NAME, *_EXAMPLES)


@of_short_texts(4096)
def dns_label(value: str) -> str:
    why = _dns_label(value)
    return "must not contain dots" if why and len(value) <= LABEL_BYTES and _subdomain(value) else why


@of_short_texts(4096)
def qualified_name(value: str) -> str:
    """Check for a label's key: a name, or a DNS subdomain, a slash and a name."""
    prefix, slash, name = value.rpartition("/")
    if "/" in prefix:
        pattern = explained(f"a valid label key {_NAME}", QUALIFIED, *_EXAMPLES)
        return f"{pattern} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
    if slash and not prefix:
        return "prefix part must be non-empty"
    if slash and (why := dns_subdomain(prefix)):
        return f"prefix part {why}"
    if not name:
        return "name part must be non-empty"
    why = _name_part(name)
    return f"name part {why}" if why else ""


def path_segment(value: str) -> str:
    """Check for what can be a part of a URL's path."""
    if value in (".", ".."):
        return f"may not be '{value}'"
    return next((f"may not contain '{part}'" for part in "/%" if part in value), "")


def port_name(value: str) -> str:
    """Check for a service's name. Spec: RFC 6335 section 5.1, lower case only."""
    if len(value) > PORT_NAME_BYTES:
        return _too_long(PORT_NAME_BYTES)
    if not _port_name(value):
        return "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
    if not any("a" <= character <= "z" for character in value):
        return "must contain at least one letter (a-z)"
    if "--" in value:
        return "must not contain consecutive hyphens"
    return "must not begin or end with a hyphen" if value[0] == "-" or value[-1] == "-" else ""
