import json

import pytest

from sampan.base.errors import InvalidArgument
from sampan.cmd.control_child import ControlChild
from sampan.cmd.settings import load
from sampan.model.container import Ulimit


def test_defaults_derive_from_the_exec_root(tmp_path):
    settings = load(["--exec-root", str(tmp_path)])
    assert settings.hosts == (f"unix://{tmp_path}/sampan.sock",)
    assert settings.pidfile == tmp_path / "sampan.pid"


def test_flags_win_over_the_file(tmp_path):
    config = tmp_path / "sampan.toml"
    config.write_text('bridge = "br7"\nbip = "10.7.0.1/24"\nlabel = ["a=b"]\nhosts = ["unix:///tmp/x.sock"]\n')
    settings = load(["--config", str(config), "--bip", "10.8.0.1/24"])
    assert (settings.bridge, settings.bip, settings.labels) == ("br7", "10.8.0.1/24", ("a=b",))
    assert settings.hosts == ("unix:///tmp/x.sock",)


def test_json_is_read_as_dockerd_writes_it(tmp_path):
    config = tmp_path / "daemon.json"
    config.write_text(json.dumps({"data-root": str(tmp_path), "insecure-registry": ["r:5000"]}))
    assert load(["--config", str(config)]).insecure_registries == ("r:5000",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('brigde = "x"', "did you mean bridge"),
        ("[", "malformed"),
    ],
)
def test_a_bad_file_is_refused_with_a_hint(tmp_path, text, words):
    config = tmp_path / "c.toml"
    config.write_text(text)
    with pytest.raises(InvalidArgument, match=words):
        load(["--config", str(config)])


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InvalidArgument, match="cannot read"):
        load(["--config", str(tmp_path / "none.toml")])


def test_runtimes_and_ulimits():
    settings = load(["--add-runtime", "mine=/opt/mine", "--default-ulimit", "nofile=10:20"])
    assert settings.runtimes == {"mine": "/opt/mine"}
    assert settings.default_ulimits == (Ulimit(name="nofile", soft=10, hard=20),)
    with pytest.raises(InvalidArgument, match="NAME=/PATH"):
        load(["--add-runtime", "mine"])
    with pytest.raises(InvalidArgument, match="nofile=1024:4096"):
        load(["--default-ulimit", "nofile=many"])


def test_a_store_that_is_no_address_is_refused_at_once():
    assert load([]).store == ""
    assert load(["--store", "etcd://10.0.0.1:2379,10.0.0.2:2379"]).store == "etcd://10.0.0.1:2379,10.0.0.2:2379"
    with pytest.raises(InvalidArgument, match="etcd://HOST:PORT"):
        load(["--store", "10.0.0.1:2379"])


@pytest.mark.parametrize("address", ["nonsense", "0.0.0.0", "127.0.0.1:", "127.0.0.1:99999", ":https", ""])
def test_an_address_to_listen_on_that_is_none_is_refused_at_once(address):
    with pytest.raises(InvalidArgument, match="write it as HOST:PORT"):
        load(["--api-listen", address])


@pytest.mark.parametrize(("address", "meant"), [("none", ""), ("[::1]:6443", "[::1]:6443"), (":6443", ":6443")])
def test_where_the_api_listens(address, meant):
    assert load(["--api-listen", address]).api_listen == meant


def test_how_pods_are_scheduled_reaches_the_control_process(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "boats.py").write_text("")
    config = tmp_path / "sampan.toml"
    config.write_text('scheduler-policy = "packing"\n')
    assert load([]).scheduler_policy == "default"
    assert load(["--config", str(config)]).scheduler_policy == "packing"
    settings = load(["--config", str(config), "--scheduler-policy", "boats.py:Even"])
    assert settings.scheduler_policy == f"{tmp_path}/boats.py:Even"
    child = ControlChild(tmp_path, "127.0.0.1:6443", "info", scheduler_policy=settings.scheduler_policy)
    assert child._argv[-2:] == ["--scheduler-policy", f"{tmp_path}/boats.py:Even"]
    with pytest.raises(InvalidArgument, match=r"Write it as FILE\.py:CLASS"):
        load(["--scheduler-policy", "boats.py"])
    with pytest.raises(InvalidArgument, match=r"there is no file other\.py; `sampan sched new NAME` writes one"):
        load(["--scheduler-policy", "other.py:Even"])


def test_folders_of_policies_reach_the_control_process(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = load(["--policies", "mine", "--policies", "/srv/theirs"])
    assert settings.policies == (f"{tmp_path}/mine", "/srv/theirs")
    child = ControlChild(tmp_path, "127.0.0.1:6443", "info", policies=settings.policies)
    assert child._argv[-4:] == ["--policies", f"{tmp_path}/mine", "--policies", "/srv/theirs"]
