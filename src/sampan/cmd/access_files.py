"""Files of the control directory that say who may in and what is written down: tokens, providers, the audit policy."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

from sampan.api.kube.api import Observer
from sampan.api.kube.audit import policy as audit_policy
from sampan.api.kube.audit.events import Audit
from sampan.api.kube.audit.log import LineFile
from sampan.api.kube.authn import StaticTokens, TokenSource
from sampan.api.kube.request import User
from sampan.base.clock import Clock


def audit(directory: Path, clock: Clock, new_id: Callable[[], str]) -> tuple[LineFile | None, list[Observer]]:
    """Return the audit log and what writes to it, where there is a policy that says what."""
    try:
        policy = audit_policy.parse((directory / "audit-policy.yaml").read_bytes())
    except FileNotFoundError:
        return None, []
    lines = LineFile(directory / "audit.log")
    return lines, [Audit(policy, lines.write, clock, new_id)]


def token_sources(directory: Path, clock: Clock) -> list[TokenSource]:
    """Return those who know the tokens in `tokens.csv` and of the OpenID Connect providers in `authentication.yaml`."""
    return [StaticTokens(_static_tokens(directory)), *_providers(directory, clock)]


def _providers(directory: Path, clock: Clock) -> list[TokenSource]:
    """Return the OpenID Connect providers in `authentication.yaml`, where there is one."""
    try:
        text = (directory / "authentication.yaml").read_bytes()
    except FileNotFoundError:
        return []
    from sampan.api.kube import oidc

    return [oidc.OidcTokens(provider, clock) for provider in oidc.parse(text)]


def _static_tokens(directory: Path) -> dict[str, User]:
    """Return the tokens in `tokens.csv`: token,user,uid,"group,group". Spec: Kubernetes static token file."""
    try:
        with (directory / "tokens.csv").open(newline="") as source:
            rows = [row for row in csv.reader(source) if len(row) >= 3]
    except FileNotFoundError:
        return {}
    return {
        row[0]: User(row[1], row[2], tuple(part for part in (row[3] if len(row) > 3 else "").split(",") if part))
        for row in rows
    }
