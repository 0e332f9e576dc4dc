"""`sampan sim run`: a small trace, two policies, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from sampan.cmd.main import main


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    rows = "".join(f"n{number},8000,65536,2,T4\n" for number in range(3))
    (tmp_path / "openb_node_list_gpu_node.csv").write_text("sn,cpu_milli,memory_mib,gpu,model\n" + rows)
    pods = "".join(f"p{number},1000,1024,1,1000,\n" for number in range(8))
    (tmp_path / "openb_pod_list_default.csv").write_text(
        "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec\n" + pods
    )
    (tmp_path / "orders").mkdir()
    (tmp_path / "orders" / "default.1").write_text("\n".join(map(str, range(8))))
    return tmp_path


def test_policies_stand_beside_each_other(trace, capsys):
    words = ["sim", "run", "--trace", str(trace), "--policy", "lasting", "--against", "best-fit", "--percent", "133"]
    assert main(words) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == "POLICY GPU% AT ARRIVED% PLACED PENDING GPU% CPU% MEMORY% FRAGMENTED%".split()
    assert [row.split() for row in rows] == [
        ["lasting", "100.00", "6", "2", "100.00", "25.00", "3.12", "0.00"],
        ["best-fit", "100.00", "6", "2", "100.00", "25.00", "3.12", "0.00"],
    ]


def test_a_page_with_a_chart(trace, tmp_path):
    file = tmp_path / "page.html"
    words = ["--policy", "lasting", "--against", "best-fit", "--percent", "133", "--html", str(file)]
    assert main(["sim", "run", "--trace", str(trace), *words]) == 0
    text = file.read_text()
    assert text.count("<polyline") == 2
    assert text.count("<tr>") == 3
    assert "nan" not in text
    assert "http" not in text


def test_a_policy_of_a_file(trace, tmp_path, capsys):
    file = tmp_path / "mine.py"
    file.write_text(
        "class Spread:\n    def __init__(self, cluster, workload): pass\n"
        "    def score(self, before, found): return found.after.cpu.astype(float)\n"
    )
    assert main(["sim", "run", "--trace", str(trace), "--policy", f"{file}:Spread", "--percent", "133"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[1:3] == ["100.00", "6"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--policy", "worst"], "there is no policy worst: there are best-fit, fgd, lasting, and FILE.py:CLASS"),
        (["--policy", "none.py:A"], "none.py:A is no policy"),
        (["--seeds", "7"], "there is no order for seed 7: there are 1"),
        (["--workload", "other"], "is not there: is this the trace's folder?"),
        (["--percent", "10"], "the arrivals never are at 10 %"),
    ],
)
def test_what_is_refused(trace, capsys, words, said):
    assert main(["sim", "run", "--trace", str(trace), *words]) == 1
    assert said in capsys.readouterr().err
