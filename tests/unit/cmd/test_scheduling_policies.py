"""Scheduling policies are found by name, in packages and in files; what cannot be used is said with what to do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sampan.base.errors import InvalidArgument
from sampan.cmd.scheduling_policies import profile
from sampan.schedule.profile import DEFAULT, PACKING, Profile

FILE = """
from dataclasses import dataclass

from sampan.schedule.profile import DEFAULT, FILTERS, Profile

@dataclass
class Even:
    step: float = 100.0

    def score(self, pod, nodes):
        return self.step * nodes.left("cpu")

class Needs:
    def __init__(self, what):
        pass

class Broken:
    def filter(self, pod, nodes):
        return nodes.fre("cpu")

own = Profile(FILTERS, DEFAULT.scores[:1])
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "boats.py"
    path.write_text(FILE)
    return path


def test_the_built_in_ones():
    assert profile("default") is DEFAULT
    assert profile("packing") is PACKING


def test_a_class_in_a_file(file):
    assert [plugin.name for plugin, _ in profile(f"{file}:Even").scores][-1] == "Even"


def test_the_one_on_the_page(tmp_path):
    page = Path(__file__).parents[3] / "docs/scheduling.md"
    path = tmp_path / "page.py"
    path.write_text(page.read_text().split("```python\n")[1].split("```")[0])
    assert [plugin.name for plugin in profile(f"{path}:Quiet").filters][-1] == "Quiet"


def test_a_whole_profile_in_a_file(file):
    assert len(profile(f"{file}:own").scores) == 1


def test_one_of_a_package(tmp_path, file, monkeypatch):
    about = tmp_path / "boats-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: boats\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[sampan.scheduler_policies]\neven = boats:Even\nlost = boats:Lost\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        assert isinstance(profile("even"), Profile)
        with pytest.raises(InvalidArgument, match=r"lost \(boats:Lost\) cannot be loaded: AttributeError"):
            profile("lost")
        with pytest.raises(InvalidArgument, match=r"there are default, packing, even, lost, and FILE\.py:CLASS"):
            profile("odd")
    finally:
        sys.modules.pop("boats", None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("spreading", r"there is no scheduling policy spreading: .*`sampan sched new NAME` writes one"),
        ("{file}", "which class of it?"),
        ("{file}:", "has no class without a name: its classes are Even, Needs, Broken"),
        ("{file}:Odd", "has no Odd: its classes are Even, Needs, Broken"),
        ("{file}:Needs", r"Needs cannot be made without arguments: TypeError"),
        ("{file}:Broken", r"Broken cannot be used: policy Broken: filter failed \(boats.py:19\): AttributeError"),
        ("{file}.py:Even", "cannot read the scheduling policy .*: No such file"),
    ],
)
def test_what_cannot_be_used(file, text, said):
    with pytest.raises(InvalidArgument, match=said):
        profile(text.format(file=file))


@pytest.mark.parametrize(("text", "said"), [("class\n", "line 1: SyntaxError"), ("1 / 0", "ZeroDivisionError")])
def test_a_file_that_cannot_be_run(tmp_path, text, said):
    path = tmp_path / "odd.py"
    path.write_text(text)
    with pytest.raises(InvalidArgument, match=said):
        profile(f"{path}:Odd")
