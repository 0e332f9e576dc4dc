"""Policies in Python: loaded from a folder, changed while the server runs, tried before they are used."""

from __future__ import annotations

import subprocess

import pytest

from kube import ROOT, control_plane, eventually

FEW = """
from sampan.kube.policy import Policy, Refused

class Few(Policy):
    kinds = ("apps/Deployment",)

    def admit(self, obj):
        if obj["spec"].get("replicas", 1) > 5:
            raise Refused("at most 5 replicas")
        obj["metadata"].setdefault("labels", {})["judged"] = "yes"
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A control process of its own: policies are about all namespaces."""
    with control_plane(tmp_path_factory.mktemp("policies")) as plane:
        yield plane


@pytest.fixture
def folder(own):
    made = own.directory / "policies"
    made.mkdir(exist_ok=True)
    yield made
    for path in made.iterdir():
        path.unlink()
    eventually(lambda: own.call("POST", f"{MAPS}?dryRun=All", config_map("free"))[0] == 201)


MAPS, DEPLOYMENTS = "/api/v1/namespaces/default/configmaps", "/apis/apps/v1/namespaces/default/deployments"


def config_map(name, **data):
    return {"metadata": {"name": name}, "data": data}


def deployment(name, replicas=1):
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"metadata": {"name": name}, "spec": spec}


def put(own, folder, text, name="p.py"):
    """Write a policy's file and wait until the server has looked at it."""
    before = own.log.read_text().count(f"{name}: ") + own.log.read_text().count("cannot be loaded")
    (folder / name).write_text(text)

    def told():
        own.call("POST", f"{MAPS}?dryRun=All", config_map("any"))
        return own.log.read_text().count(f"{name}: ") + own.log.read_text().count("cannot be loaded") > before

    eventually(told, 15)


def of(body, kinds='("ConfigMap",)', head="", **more):
    fields = "".join(f"    {key} = {value}\n" for key, value in more.items())
    lines = "".join(f"        {line}\n" for line in body.splitlines())
    return f"from sampan.kube.policy import Refused\n{head}\nclass Rule:\n    kinds = {kinds}\n{fields}    def admit(self, obj, asked):\n{lines}"


def sampan(own, *argv):
    argv = [*argv, "--data-root", str(own.home / "data")]
    return subprocess.run([ROOT / ".venv/bin/sampan", *argv], capture_output=True, text=True, timeout=60, check=False)


def test_a_policy_refuses_and_changes(own, folder):
    put(own, folder, FEW)
    made = own.json("POST", DEPLOYMENTS, deployment("few", 5))
    assert made["metadata"]["labels"] == {"judged": "yes"}
    refused = own.refused("POST", DEPLOYMENTS, deployment("many", 6))
    assert (refused["code"], refused["reason"]) == (403, "Forbidden")
    assert (
        refused["message"]
        == 'deployments.apps "many" is forbidden: policy Few (p.py) denied the request: at most 5 replicas'
    )
    shown = own.kubectl("scale", "deployment/few", "--replicas=6", check=False)
    assert "policy Few (p.py) denied the request: at most 5 replicas" in shown
    own.kubectl("scale", "deployment/few", "--replicas=4")


def test_a_changed_file_holds_at_once(own, folder):
    put(own, folder, of('raise Refused("no")'))
    assert own.refused("POST", MAPS, config_map("a"))["message"].endswith("denied the request: no")
    put(own, folder, of('raise Refused("still no")'))
    assert own.refused("POST", MAPS, config_map("a"))["message"].endswith("denied the request: still no")
    (folder / "p.py").unlink()
    eventually(lambda: own.call("POST", f"{MAPS}?dryRun=All", config_map("a"))[0] == 201)


def test_who_asks(own, folder):
    put(own, folder, of(
        "if asked.operation == 'DELETE' and asked.old['data'].get('locked'):\n"
        "    raise Refused(f'{asked.user} may not {asked.operation} {asked.namespace}/{asked.name}')",
        operations='("DELETE",)',
    ))  # fmt: skip
    own.json("POST", MAPS, config_map("locked", locked="yes"))
    assert own.refused("DELETE", f"{MAPS}/locked")["message"].endswith("tester may not DELETE default/locked")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("obj['spec']['x']", "failed: KeyError: 'spec' (line 6)"),
        ("raise SystemExit(1)", "failed: SystemExit: 1 (line 6)"),
        ("return obj", "admit returned something"),
        ("obj['data'] = object()", "it left something that is no JSON"),
        ("obj['metadata']['name'] = 'other'", "it changed one of apiVersion, kind, metadata.name"),
        ("while True: pass", "it took longer than 1 s"),
        ("def again(): again()\nagain()", "failed: RecursionError"),
    ],
    ids=["error", "exit", "returns", "no-json", "renames", "endless", "recursion"],
)
def test_a_policy_that_fails_refuses_and_the_server_lives(own, folder, body, why):
    put(own, folder, of(body + "\n"))
    refused = own.refused("POST", MAPS, config_map("a"))
    assert refused["code"] == 500
    assert why in refused["message"]
    assert "policy Rule (p.py)" in refused["message"]
    assert own.process.poll() is None
    own.json("POST", f"{DEPLOYMENTS}?dryRun=All", deployment("d"))


def test_what_a_policy_makes_is_validated(own, folder):
    put(own, folder, of("obj['data'] = {'a b': 'c'}"))
    assert own.refused("POST", MAPS, config_map("a"))["code"] == 422
    put(own, folder, of("obj['data'] = 'text'"))
    assert "the object is no ConfigMap any more" in own.refused("POST", MAPS, config_map("a"))["message"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("def (", "line 1: invalid syntax"),
        ("x = 1", "there is no class with an admit(obj) in it"),
        ("import nothing_of_that_name", "ModuleNotFoundError: No module named 'nothing_of_that_name' (line 1)"),
        ("raise SystemExit", "SystemExit (line 1)"),
        (of("pass", kinds='"Pod"'), "Rule.kinds must be a tuple of names"),
        (of("pass", operations='("READ",)'), "Rule.operations: 'READ' is none of CREATE, UPDATE, DELETE"),
    ],
    ids=["syntax", "none", "import", "exit", "kinds", "operations"],
)
def test_a_broken_file_is_told_and_what_held_holds_on(own, folder, text, why):
    put(own, folder, of('raise Refused("as before")'))
    put(own, folder, text)
    assert f"p.py cannot be loaded: {why}" in own.tail()
    assert own.refused("POST", MAPS, config_map("a"))["message"].endswith("as before")
    listed = sampan(own, "policy", "list")
    assert listed.returncode == 1
    assert why in listed.stderr


def test_files_that_others_may_write(own, folder):
    (folder / "p.py").write_text(of('raise Refused("no")'))
    (folder / "p.py").chmod(0o666)
    eventually(
        lambda: (
            own.call("POST", f"{MAPS}?dryRun=All", config_map("a"))[0]
            and "others than its owner may write it" in own.tail()
        )
    )
    own.json("POST", f"{MAPS}?dryRun=All", config_map("a"))


def test_the_server_starts_with_a_policy_against_everything(own, folder):
    put(own, folder, of('raise Refused("no")', kinds='("*",)'))
    own.restart()
    assert own.refused("POST", MAPS, config_map("a"))["message"].endswith("denied the request: no")


def test_policies_are_tried_first(own, folder, tmp_path):
    own.json("POST", MAPS, config_map("good", owner="me"))
    own.json("POST", MAPS, config_map("bad"))
    file = tmp_path / "owners.py"
    file.write_text(of(
        "if asked.namespace != 'default' or asked.name.startswith('kube'):\n    return\n"
        "if 'owner' not in (obj.get('data') or {}):\n    raise Refused('nobody owns it')\n"
        "obj['data']['judged'] = 'yes'"
    ))  # fmt: skip
    tried = sampan(own, "policy", "test", str(file))
    assert tried.returncode == 1, tried.stderr
    assert "would refuse  configmaps default/bad: Rule: nobody owns it\n" in tried.stdout
    assert 'would change  configmaps default/good: Rule: /data/judged: "yes" is added\n' in tried.stdout
    assert tried.stdout.splitlines()[-1].endswith("policies failed on 0.")
    assert own.json("GET", f"{MAPS}/good")["data"] == {"owner": "me"}

    file.write_text(of("pass"))
    tried = sampan(own, "policy", "test", "--policies", str(tmp_path))
    assert (tried.returncode, tried.stderr) == (0, "")
    assert "0 would be refused, 0 changed" in tried.stdout


def test_the_policies_are_listed(own, folder):
    (folder / "few.py").write_text(FEW)
    listed = sampan(own, "policy", "list")
    assert listed.returncode == 0
    head, row = listed.stdout.splitlines()
    assert head.split() == ["POLICY", "JUDGES", "OPERATIONS", "FILE"]
    assert row.split() == ["Few", "apps/Deployment", "CREATE,UPDATE", "few.py"]


def test_further_folders(tmp_path):
    """Each folder's policies hold; one that is missing is told, and holds when it is there."""
    there, missing = tmp_path / "there", tmp_path / "missing"
    there.mkdir()
    (there / "p.py").write_text(of("if 'x' in obj['data']:\n    raise Refused('no x')"))
    with control_plane(tmp_path / "plane", policies=(there, missing)) as plane:
        assert f"there is no folder {missing} of policies" in plane.tail()
        assert plane.refused("POST", MAPS, config_map("a", x=""))["message"].endswith("no x")
        assert plane.json("POST", f"{MAPS}?dryRun=All", config_map("a", y=""))
        missing.mkdir()
        (missing / "q.py").write_text(of("if 'y' in obj['data']:\n    raise Refused('no y')"))
        eventually(lambda: plane.call("POST", f"{MAPS}?dryRun=All", config_map("a", y=""))[0] == 403)
