"""Expressions and what they are: cel-spec's standard definitions, Kubernetes' libraries, and examples of its documentation."""

from __future__ import annotations

from typing import Any

import pytest

from sampan.kube.cel.fault import CelError, Exhausted, Fault
from sampan.kube.cel.program import compile as compiled

SELF: dict[str, Any] = {
    "replicas": 3,
    "minReplicas": 1,
    "maxReplicas": 5,
    "name": "web",
    "items": [{"name": "a", "n": 1}, {"name": "b", "n": 2}],
    "map": {"x": 1, "y": 2},
    "quantity": "1.5Gi",
    "expired": "2026-01-01T00:00:00Z",
    "foo-bar": True,
    "namespace": "n",
    "null": None,
    "list": [3, 1, 2],
}

TRUE = [
    # from Kubernetes' documentation, "Common Expression Language in Kubernetes" and "CRD validation rules"
    "self.minReplicas <= self.replicas && self.replicas <= self.maxReplicas",
    "'x' in self.map",
    "(self.list.size() == 0) != (self.map.size() == 0) || self.list.size() > 0",
    "self.map.all(k, self.map[k] > 0)",
    "self.items.exists_one(i, i.name == 'a')",
    "has(self.name) && !has(self.nope)",
    "self.items.filter(i, i.n > 1).size() == 1",
    "self.items.map(i, i.name) == ['a', 'b']",
    "self.items.map(i, i.n > 1, i.name) == ['b']",
    "type(self.name) == string && type(self.replicas) == int && type(null) == null_type",
    "self.items.all(i, i.name.matches('^[a-z]$'))",
    "self.foo__dash__bar && self.__namespace__ == 'n'",
    "timestamp(self.expired) + duration('24h') > timestamp('2026-01-01T23:59:59Z')",
    # logic absorbs what fails
    "true || self.nope == 1",
    "self.nope == 1 || true",
    "!(false && self.nope)",
    "self.items.exists(i, i.nope == 1 || i.n == 2)",
    "[1, 0].exists(i, 1 / i == 1)",
    "self.replicas > 2 ? true : self.nope",
    # numbers
    "1 + 2 * 3 == 7 && (1 + 2) * 3 == 9 && -7 / 2 == -3 && -7 % 2 == -1",
    "1 == 1.0 && 1u == 1 && 2 > 1.5 && 1 in [1.0]",
    "9223372036854775807 - 1 == 9223372036854775806 && -9223372036854775808 < 0",
    "int('42') == 42 && double('1.5') == 1.5 && string(1.0) == '1' && uint(3) == 3u && int(2.9) == 2",
    "0x1F == 31 && 1e3 == 1000.0 && .5 == 0.5",
    "math.greatest(1, 2.5, 2) == 2.5 && math.least([3, 1]) == 1 && math.ceil(1.2) == 2.0 && math.round(-1.5) == -2.0",
    # text
    "'a\\n\\x41\\u0042\\101' == \"a\\nABA\" && r'\\d' == '\\\\d' && '''it's''' == \"it's\"",
    "'abc'.contains('b') && 'abc'.startsWith('a') && 'abc'.endsWith('c') && 'abc'.size() == 3",
    "'a,b'.split(',') == ['a', 'b'] && ['a', 'b'].join('-') == 'a-b' && 'a b c'.split(' ', 2) == ['a', 'b c']",
    "'tacocat'.substring(0, 4) == 'taco' && 'Hello'.lowerAscii() == 'hello' && 'x'.upperAscii() == 'X'",
    "'hello hello'.replace('he', 'we', 1) == 'wello hello' && ' a '.trim() == 'a' && 'abc'.reverse() == 'cba'",
    "'hello mellow'.indexOf('ello') == 1 && 'hello mellow'.lastIndexOf('ello') == 7 && 'abc'.charAt(1) == 'b'",
    "'%s is %d, %.2f %x %b %%'.format(['a', 3, 1.5, 255, 5]) == 'a is 3, 1.50 ff 101 %'",
    "'%s'.format([[1, 'a', null, {'k': true}]]) == '[1, a, null, {k: true}]'",
    "b'abc' == bytes('abc') && string(b'abc') == 'abc' && base64.encode(b'hi') == 'aGk=' && base64.decode('aGk') == b'hi'",
    # regular expressions
    "'abc 123'.find('[0-9]+') == '123' && '123 abc 456'.findAll('[0-9]+') == ['123', '456']",
    "'123 abc 456'.findAll('[0-9]+', 1) == ['123'] && 'x'.find('y') == ''",
    # lists, sets, maps
    "[1, 2, 3].isSorted() && ![2, 1].isSorted() && [1, 2].sum() == 3 && [1, 5].max() == 5 && [1, 5].min() == 1",
    "[duration('1h'), duration('2h')].sum() == duration('3h')",
    "[1, 2, 2].indexOf(2) == 1 && [1, 2, 2].lastIndexOf(2) == 2 && [1, 2].indexOf(9) == -1",
    "[3, 1].sort() == [1, 3] && [1, 1].distinct() == [1] && [[1], [2]].flatten() == [1, 2] && [1, 2, 3].slice(1, 3) == [2, 3]",
    "sets.contains([1, 2], [2]) && sets.equivalent([1, 1], [1]) && sets.intersects([1], [1, 2])",
    "{'a': 1, 'b': 2} == {'b': 2, 'a': 1} && [1] + [2] == [1, 2] && {1: 'x'}[1] == 'x'",
    "{'a': 1}.all(k, v, k == 'a' && v == 1) && [5].exists(i, v, i == 0 && v == 5)",
    "{'a': 1}.transformMap(k, v, v + 1) == {'a': 2} && {'a': 1}.transformList(k, v, v) == [1]",
    # optional values
    "self.?nope.orValue(3) == 3 && self.?name.value() == 'web' && !self.?nope.hasValue()",
    "self.?map.?x == optional.of(1) && self.?map.nope.orValue(0) == 0 && self.map[?'x'].orValue(0) == 1",
    "self.?nope.or(optional.of(1)).value() == 1 && optional.none().orValue(2) == 2",
    "self.?replicas.optMap(r, r + 1).orValue(0) == 4 && [1, ?self.?nope] == [1] && {?'a': self.?nope} == {}",
    "cel.bind(r, self.replicas, r * r == 9)",
    # times
    "timestamp('2026-03-01T10:20:30.5Z').getHours() == 10 && timestamp('2026-03-01T10:20:30.5Z').getMilliseconds() == 500",
    "timestamp('2026-03-01T00:00:00Z').getMonth() == 2 && timestamp('2026-03-01T00:00:00Z').getDayOfWeek() == 0",
    "timestamp('2026-03-01T00:00:00Z').getHours('+02:00') == 2 && timestamp('2026-03-01T01:00:00+01:00') == timestamp('2026-03-01T00:00:00Z')",
    "duration('1h30m').getMinutes() == 90 && duration('-1.5s') < duration('0s') && string(duration('90s')) == '90s'",
    "timestamp('2026-01-02T00:00:00Z') - timestamp('2026-01-01T00:00:00Z') == duration('24h')",
    "string(timestamp('2026-01-02T00:00:00.25Z')) == '2026-01-02T00:00:00.25Z'",
    # quantities, URLs, addresses, formats, versions
    "isQuantity('1.3Gi') && !isQuantity('Three') && quantity('500m').isLessThan(quantity('1'))",
    "quantity('50k').asInteger() == 50000 && quantity('50k').add(20) == quantity('50020') && quantity('1').sub(quantity('2')).sign() == -1",
    "quantity(self.quantity).compareTo(quantity('1Gi')) == 1 && !quantity('1.5').isInteger() && quantity('2').asApproximateFloat() == 2.0",
    "isURL('https://user:pass@example.com:80/path?query=val#fragment') && !isURL('../relative-path')",
    "url('https://example.com:80/a b?k=v').getHost() == 'example.com:80' && url('https://[::1]:80/').getHostname() == '::1'",
    "url('https://e.com/p?k1=a&k2=b&k2=c').getQuery() == {'k1': ['a'], 'k2': ['b', 'c']} && url('/p').getScheme() == ''",
    "url('https://e.com/with space').getEscapedPath() == '/with%20space' && url('https://e.com:8/').getPort() == '8'",
    "isIP('127.0.0.1') && !isIP('127.0.0.256') && ip('::1').family() == 6 && ip('127.0.0.1').isLoopback()",
    "ip.isCanonical('2001:db8::abcd') && !ip.isCanonical('2001:DB8::ABCD') && ip('192.168.0.1').isGlobalUnicast()",
    "cidr('192.168.0.0/24').containsIP('192.168.0.9') && cidr('192.168.0.0/24').containsCIDR(cidr('192.168.0.0/25'))",
    "cidr('192.168.1.5/24').prefixLength() == 24 && cidr('192.168.1.5/24').masked() == cidr('192.168.1.0/24') && !isCIDR('1.2.3.4')",
    "string(ip('::1')) == '::1' && cidr('10.0.0.0/8').ip() == ip('10.0.0.0')",
    "!format.dns1123Label().validate('my-name').hasValue() && format.named('dns1123Label').value().validate('A_').hasValue()",
    "isSemver('1.0.0') && !isSemver('v1.0') && semver('v1.2', true).minor() == 2 && semver('1.2.3').isLessThan(semver('1.10.0'))",
    "semver('1.0.0-alpha').isLessThan(semver('1.0.0')) && semver('1.0.0-2').compareTo(semver('1.0.0-alpha')) == -1",
    "self.null == null && dyn(1) == 1",
    "// a comment\ntrue",
]  # fmt: skip


@pytest.mark.parametrize("text", TRUE)
def test_true(text: str) -> None:
    assert compiled(text, {"self"}).evaluate({"self": SELF}) is True


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("self.nope", "no such key: nope"),
        ("self.list[3]", "index out of bounds: 3"),
        ("1 / 0", "division by zero"),
        ("9223372036854775807 + 1", "integer overflow"),
        ("1 + 1.0", r"no such overload: _\+_\(int, double\)"),
        ("'a' < 1", "no such overload"),
        ("self.name ? 1 : 2", "no such overload"),
        ("'a'.matches('(')", "error parsing regexp"),
        ("'a'.matches('(?=a)')", "error parsing regexp"),
        ("timestamp('yesterday')", "parsing time"),
        ("duration('1 hour')", "invalid duration"),
        ("quantity('x')", "quantities must match"),
        ("optional.none().value()", "dereference"),
        ("1.size()", "no such overload: size"),
        ("self.name.sum()", "no such overload: sum"),
        ("'a'.startsWith(1)", "no such overload"),
        ("!1", "no such overload"),
    ],
)
def test_failures_are_error_values(text: str, message: str) -> None:
    with pytest.raises(Fault, match=message):
        compiled(text, {"self"}).evaluate({"self": SELF})


@pytest.mark.parametrize(
    ("text", "message", "position"),
    [
        ("selv.name", "undeclared reference to 'selv'", 0),
        ("self.name.shout()", "undeclared reference to 'shout'", 10),
        ("shout(self)", "undeclared reference to 'shout'", 0),
        ("self.", "mismatched input", 5),
        ("self.name == ", "mismatched input", 13),
        ("1 @ 2", "token recognition error", 2),
        ("size()", "no matching overload", 0),
        ("has(self)", "invalid argument to has", 0),
        ("self.items.all(1, true)", "argument must be a simple name", 15),
        ("[1].all(x, y)", "undeclared reference to 'y'", 11),
        ("9223372036854775808", "invalid int literal", 0),
        ("for", "reserved identifier: for", 0),
        ("(" * 80 + "1" + ")" * 80, "nested deeper", 60),
        ("1" + "+1" * 5000, "too deep", 0),
        ("'\\q'", "invalid escape", 0),
    ],
)
def test_mistakes_are_found_with_their_position(text: str, message: str, position: int) -> None:
    with pytest.raises(CelError, match=message) as caught:
        compiled(text, {"self"})
    assert caught.value.position == position


def test_a_mistake_is_shown() -> None:
    with pytest.raises(CelError) as caught:
        compiled("true &&\n  nope", ())
    assert str(caught.value) == (
        "ERROR: <input>:2:3: undeclared reference to 'nope' (in container '')\n |   nope\n | ..^"
    )


@pytest.mark.parametrize(
    "text",
    [
        "n.all(a, n.all(b, n.all(c, true)))",
        "cel.bind(a, s + s, cel.bind(b, a + a, cel.bind(c, b + b, cel.bind(d, c + c, (d + d + d + d).size() > 0))))",
        "n.map(a, n.map(b, n)).size() > 0 && n.all(a, !n.exists(b, n == n && false))",
    ],
)
def test_no_expression_takes_for_ever(text: str) -> None:
    values = {"n": list(range(200)), "s": "x" * 200_000}
    with pytest.raises(Exhausted):
        compiled(text, {"n", "s"}).evaluate(values)


def test_a_pattern_that_backtracks_elsewhere_is_quick() -> None:
    assert compiled("s.matches('^(a+)+$')", {"s"}).evaluate({"s": "a" * 5000 + "b"}) is False


def test_inner_variables_do_not_leak() -> None:
    bindings = {"x": 1}
    assert compiled("[5].all(x, x == 5) && x == 1", {"x"}).evaluate(bindings) is True
    assert bindings == {"x": 1}


def test_messages_are_maps() -> None:
    text = "Object{spec: Object.spec{replicas: 3}}"
    assert compiled(text, ()).evaluate({}) == {"spec": {"replicas": 3}}
