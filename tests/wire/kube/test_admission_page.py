"""docs/admission.md: its table is the order of the plugins, its policies do what it says."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
from pathlib import Path

from kube import ROOT, control_plane
from sampan.cmd import dynamic, plugins

PAGE = (ROOT / "docs/admission.md").read_text()
EXAMPLE = ROOT / "docs/examples/policy.py"


def fenced(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_table_is_the_order_of_the_plugins():
    def names(module, function):
        listed = inspect.getsource(function).partition("return [")[2]
        return [getattr(module, word).name for word in re.findall(r"^        (\w+)\(", listed, re.MULTILINE)]

    own, others = names(plugins, plugins.own), names(dynamic, dynamic.plugins)
    others.insert(2, "PythonPolicies")
    told = re.findall(r"^\| \**(\w+)\** \|", PAGE.partition("| --- | --- |")[2], re.MULTILINE)
    assert told == [*own, *others, "ResourceQuota", "NodeRestriction", "RBACEscalation"]


def test_the_example_is_the_one_on_the_page():
    [code] = fenced("python")
    assert EXAMPLE.read_text().endswith(code)


def test_the_policies_do_what_the_page_says(tmp_path):
    with control_plane(tmp_path / "plane") as plane:
        deploy(plane, "web")
        deploy(plane, "api", owner="ann")

        tried = sampan(plane, "policy", "test", str(EXAMPLE))
        assert tried.returncode == 1, tried.stderr
        for line in re.findall(r"^    (would .*|\d+ objects were tried: .*)$", PAGE, re.MULTILINE):
            assert line in tried.stdout.splitlines()

        policies = plane.directory / "policies"
        policies.mkdir()
        (policies / "policy.py").write_text(EXAMPLE.read_text())
        (policies / "policy.py").chmod(0o600)
        plane.restart()
        said = plane.kubectl("create", "deployment", "web2", "--image=nginx", check=False)
        [line] = re.findall(r"^    … (deployments\.apps .*)$", PAGE, re.MULTILINE)
        assert line in said
        assert "Owned" in sampan(plane, "policy", "list").stdout

        (policies / "policy.py").unlink()
        plane.restart()
        [yaml] = fenced("yaml")
        plane.kubectl("apply", "-f", "-", stdin=yaml)
        said = plane.kubectl("create", "deployment", "many", "--image=nginx", "--replicas=4", check=False)
        [line] = re.findall(r"^    … (ValidatingAdmissionPolicy .*)$", PAGE, re.MULTILINE)
        assert line in said
        plane.kubectl("create", "deployment", "few", "--image=nginx", "--replicas=3")


def deploy(plane, name, **labels):
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}
    body = {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "labels": labels},
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": template},
    }  # fmt: skip
    plane.kubectl("create", "-f", "-", stdin=json.dumps(body))


def sampan(plane, *words):
    argv: list[str | Path] = [ROOT / ".venv/bin/sampan", *words, "--data-root", plane.home / "data"]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
