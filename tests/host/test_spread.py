"""Subdirectories in block groups of their own, on ext4; other file systems are left as they are."""

import os
import subprocess
from itertools import pairwise

import pytest

from sampan.host.spread import spread


def kind(path):
    told = subprocess.run(["stat", "-f", "-c", "%T", path], check=True, capture_output=True, text=True)
    return told.stdout.strip()


def test_on_ext4_each_has_its_group(tmp_path):
    if kind(tmp_path) != "ext2/ext3":
        pytest.skip(f"{tmp_path} is on {kind(tmp_path)}: only ext4 has block groups to spread over")
    spread(tmp_path)
    spread(tmp_path)
    assert (
        "T" in subprocess.run(["lsattr", "-d", tmp_path], check=True, capture_output=True, text=True).stdout.split()[0]
    )
    inodes = []
    for number in range(8):
        (tmp_path / f"container-{number}").mkdir()
        inodes.append((tmp_path / f"container-{number}").stat().st_ino)
    inodes.sort()
    far = sum(after - before > 100 for before, after in pairwise(inodes))  # of neighbours, 0
    assert far >= 4


def test_a_file_system_without_such_groups_is_left_alone():
    if kind("/proc") != "proc":
        pytest.skip("/proc is no proc here")
    spread("/proc")
    with pytest.raises(FileNotFoundError):
        spread("/proc/nothing-here")


def test_descriptors_are_closed(tmp_path):
    before = len(os.listdir("/proc/self/fd"))
    spread(tmp_path)
    assert len(os.listdir("/proc/self/fd")) == before
