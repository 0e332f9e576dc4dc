"""The forms of names."""

from __future__ import annotations

import pytest

from sampan.kube.kinds import names

LONG = "a" * 254

GOOD = {
    names.dns_label: ["a", "0", "a-b", "a" * 63],
    names.dns_subdomain: ["a", "a.b", "0.0-1", "a" * 253],
    names.dns_1035_label: ["a", "a-0"],
    names.wildcard_subdomain: ["*.a", "*.a.b"],
    names.label_value: ["", "A_b.c-d", "0"],
    names.qualified_name: ["a", "A_b.c-d", "e.io/A"],
    names.path_segment: ["", "a:b", "..."],
    names.port_name: ["http", "a-1", "0a"],
}
BAD = {
    names.dns_label: ["", "A", "-a", "a-", "a.b", "a\n", "a" * 64, "ä"],
    names.dns_subdomain: ["", "A", "a..b", ".a", "a.", "a_b", "a\n", LONG],
    names.dns_1035_label: ["", "0a", "a.b", "a" * 64],
    names.wildcard_subdomain: ["*", "a.b", "*.*.b", "*a.b", "*.A"],
    names.label_value: ["-a", "a b", "a" * 64, "a\n"],
    names.qualified_name: ["", "/a", "a/", "a/b/c", "A.io/b", "e.io/-a", "a" * 64],
    names.path_segment: [".", "..", "a/b", "a%b"],
    names.port_name: ["", "A", "80", "a--b", "-a", "a-", "a" * 16],
}


@pytest.mark.parametrize(("rule", "value"), [(rule, value) for rule, values in GOOD.items() for value in values])
def test_good(rule: names.Rule, value: str) -> None:
    assert rule(value) == ""


@pytest.mark.parametrize(("rule", "value"), [(rule, value) for rule, values in BAD.items() for value in values])
def test_bad(rule: names.Rule, value: str) -> None:
    assert rule(value)


@pytest.mark.parametrize(
    ("rule", "value", "why"),
    [
        (
            names.dns_label,
            "A",
            (
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and"
                " end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is"
                " '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
            ),
        ),
        (names.dns_label, "a.b", "must not contain dots"),
        (names.dns_label, "a" * 64, "must be no more than 63 bytes"),
        (
            names.label_value,
            "-",
            (
                "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must"
                " start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used"
                " for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
            ),
        ),
        (names.qualified_name, "/a", "prefix part must be non-empty"),
        (names.qualified_name, "a/", "name part must be non-empty"),
        (names.port_name, "80", "must contain at least one letter (a-z)"),
        (names.port_name, "a--b", "must not contain consecutive hyphens"),
        (names.path_segment, "..", "may not be '..'"),
    ],
)
def test_words(rule: names.Rule, value: str, why: str) -> None:
    assert rule(value) == why
