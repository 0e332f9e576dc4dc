"""`sampan sched new NAME` writes a policy that is usable and tested as it is, and overwrites nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sampan.base.errors import AlreadyExists, InvalidArgument, Unavailable
from sampan.cmd.sched_new import write
from sampan.cmd.scheduling_policies import profile


def test_its_test_passes_as_written(tmp_path):
    policy, test = write("quiet_nodes", tmp_path)
    assert (policy.name, test.name) == ("quiet_nodes.py", "test_quiet_nodes.py")
    assert [plugin.name for plugin in profile(f"{policy}:QuietNodes").filters][-1] == "QuietNodes"
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test.name]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout


def test_its_test_fails_when_the_policy_does_otherwise(tmp_path):
    policy, test = write("quiet", tmp_path)
    policy.write_text(policy.read_text().replace("30 * alike", "0 * alike"))
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test.name]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert "1 failed, 2 passed" in done.stdout


@pytest.mark.parametrize("there", ["quiet.py", "test_quiet.py"])
def test_what_is_there_is_left(tmp_path, there):
    (tmp_path / there).write_text("mine")
    with pytest.raises(AlreadyExists, match=f"{there} is there already and is left as it is"):
        write("quiet", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "mine"


@pytest.mark.parametrize("name", ["Quiet", "quiet-nodes", "../quiet", "2nd", "class", "", "quiet.py"])
def test_names_that_no_module_can_have(tmp_path, name):
    with pytest.raises(InvalidArgument, match="write it as quiet_nodes"):
        write(name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(Unavailable, match=r"cannot write .*: No such file or directory"):
        write("quiet", tmp_path / "none")
