"""The default roles and bindings are those that stand in rbac-defaults.tsv, read off Kubernetes' own and written as facts.

A line is: kind, namespace or -, name, and what it gives. Of a role that is how many permissions (verb on resource, names and
paths told apart) and a digest of them all, sorted: however its rules are grouped, the same rights make the same line.
"""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path

import pytest

from sampan.kube import object as objects
from sampan.kube import rbac_defaults

LINES = [line.split("\t") for line in (Path(__file__).parent / "rbac-defaults.tsv").read_text().splitlines()]
OURS = [
    *rbac_defaults.ROLES,
    *rbac_defaults.BINDINGS,
    *rbac_defaults.NAMESPACED_ROLES,
    *rbac_defaults.NAMESPACED_BINDINGS,
]
OF_OUR_OWN = [[kind, "-", "sampan:gang-scheduler"] for kind in ("ClusterRole", "ClusterRoleBinding")]


def permissions(obj: dict) -> list[str]:
    return sorted(
        {
            " ".join(part)
            for rule in obj["rules"]
            for part in itertools.chain(
                itertools.product(
                    rule["verbs"],
                    rule.get("apiGroups", ()),
                    rule.get("resources", ()),
                    rule.get("resourceNames", ("",)),
                ),
                itertools.product(rule["verbs"], rule.get("nonResourceURLs", ())),
            )
        }
    )


def gives(obj: dict) -> str:
    if "roleRef" in obj:
        subjects = (
            ":".join(filter(None, (each["kind"], each.get("namespace"), each["name"])))
            for each in obj.get("subjects", ())
        )
        return f"{obj['roleRef']['name']} to {', '.join(sorted(subjects)) or 'nobody'}"
    if "aggregationRule" in obj:
        return "the sum of others"
    found = permissions(obj)
    return f"{len(found)} {hashlib.sha256(chr(10).join(found).encode()).hexdigest()[:12]}"


def line(obj: dict) -> list[str]:
    return [obj["kind"], objects.namespace(obj) or "-", objects.name(obj), gives(obj)]


@pytest.mark.parametrize("wanted", LINES, ids=lambda words: "-".join(words[:3]))
def test_each_gives_what_it_should(wanted: list[str]) -> None:
    found = [line(obj) for obj in OURS if line(obj)[:3] == wanted[:3]]
    assert found == [wanted]


def test_there_is_no_other() -> None:
    assert sorted(line(obj)[:3] for obj in OURS) == sorted([*(words[:3] for words in LINES), *OF_OUR_OWN])
