from __future__ import annotations

import pytest

from sampan.image.challenge import allows_plain_http, may_see_credentials, parse_challenge, redirect_problem


def test_challenges():
    parsed = parse_challenge('Bearer realm="https://a/t",service="s, x",scope="repository:a/b:pull,push" , odd=1')
    assert parsed.scheme == "bearer"
    assert parsed.parameters == {
        "realm": "https://a/t",
        "service": "s, x",
        "scope": "repository:a/b:pull,push",
        "odd": "1",
    }
    assert parse_challenge("").scheme == ""
    assert parse_challenge("Basic").parameters == {}


@pytest.mark.parametrize(
    ("registry", "realm", "allowed"),
    [
        ("https://registry-1.docker.io", "https://auth.docker.io/token", True),
        ("https://ghcr.io", "https://ghcr.io/token", True),
        ("https://registry.gitlab.com", "https://gitlab.com/jwt/auth", True),
        ("https://registry.example.com", "https://evil.com/token", False),
        ("https://registry.example.com", "https://example.com.evil.com/token", False),
        ("https://registry.example.com", "http://registry.example.com/token", False),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5001/token", True),
        ("http://127.0.0.1:5000", "http://127.0.0.2:5000/token", False),
        ("https://10.0.0.1", "https://11.0.0.1/token", False),
        ("https://localhost", "https://other/token", False),
    ],
)
def test_who_may_see_credentials(registry, realm, allowed):
    assert may_see_credentials(registry, realm) is allowed


@pytest.mark.parametrize(
    ("registry", "to", "words"),
    [
        ("https://a.example.com", "https://cdn.example.net/x", ""),
        ("https://a.example.com", "http://cdn.example.net/x", "from https to http"),
        ("https://a.example.com", "https://127.0.0.1/x", "internal address"),
        ("https://a.example.com", "https://169.254.169.254/latest", "internal address"),
        ("https://a.example.com", "https://[::1]/x", "internal address"),
        ("https://a.example.com", "https://10.1.2.3/x", "internal address"),
        ("https://a.example.com", "https://localhost/x", "internal address"),
        ("https://a.example.com", "https://metadata.google.internal/x", "internal address"),
        ("https://10.0.0.9", "https://10.0.0.10/x", ""),
        ("https://a.example.com", "file:///etc/passwd", "file URL"),
        ("https://a.example.com", "https://u:p@cdn.example.net/x", "credentials"),
    ],
)
def test_redirects(registry, to, words):
    problem = redirect_problem(registry, registry + "/v2/", to)
    assert words in problem
    assert bool(problem) is bool(words)


@pytest.mark.parametrize(
    ("domain", "insecure", "allowed"),
    [
        ("localhost:5000", (), True),
        ("127.0.0.9", (), True),
        ("[::1]:5000", (), True),
        ("registry.lan:5000", (), False),
        ("registry.lan:5000", ("registry.lan:5000",), True),
        ("registry.lan:5000", ("registry.lan",), True),
        ("10.1.2.3:5000", ("10.0.0.0/8",), True),
        ("11.1.2.3:5000", ("10.0.0.0/8",), False),
    ],
)
def test_plain_http(domain, insecure, allowed):
    assert allows_plain_http(domain, insecure) is allowed
