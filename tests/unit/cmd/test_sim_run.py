"""`sampan sim run`: small traces, policies side by side, pages and JSON, and what is refused."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sampan.cmd.main import main

MACHINES = ["--nodes", "2", "--capacity", "cpu=2,memory=4Gi"]


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    rows = "".join(f"{number},20,1,1Gi,{'ann' if number % 2 else 'bob'}\n" for number in range(12))
    path = tmp_path / "trace.csv"
    path.write_text(f"arrival,duration,cpu,memory,user\n{rows}")
    return path


@pytest.fixture
def openb(tmp_path: Path) -> Path:
    rows = "".join(f"n{number},8000,65536,2,T4\n" for number in range(3))
    (tmp_path / "openb_node_list_gpu_node.csv").write_text("sn,cpu_milli,memory_mib,gpu,model\n" + rows)
    pods = "".join(
        f"p{number},1000,1024,1,1000,,{'BE' if number else 'LS'},Running,{number},90,{number}\n" for number in range(8)
    )
    columns = (
        "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time"
    )
    (tmp_path / "openb_pod_list_default.csv").write_text(f"{columns}\n{pods}")
    (tmp_path / "orders").mkdir()
    (tmp_path / "orders" / "default.1").write_text("\n".join(map(str, range(8))))
    return tmp_path


def figures(text: str) -> dict[str, list[str]]:
    """Return the values by the name of the figure."""
    lines = (line.rsplit(maxsplit=2) for line in text.splitlines() if len(line.split()) > 2)
    return {name: values for name, *values in lines}


def test_policies_stand_beside_each_other(plain, capsys):
    assert main(["sim", "run", "--trace", str(plain), "--against", "packing", *MACHINES]) == 0
    text = capsys.readouterr().out
    assert f"2 nodes, 12 tasks of {plain}, 12 pods." in text
    assert not any(line.startswith(":") for line in text.splitlines())  # no class, no figures by class
    found = figures(text)
    assert found["ended"] == ["12", "12"]
    assert found["wait max, s"] == ["32.0", "32.0"]  # four run at once: the last begins at 43 s
    assert float(found["Jain's index of owners"][0]) > 0.9


def test_json_is_the_same_each_time(plain, tmp_path, capsys):
    words = ["sim", "run", "--trace", str(plain), "--scale", "1.5", "--seed", "7", *MACHINES]
    for name in ("one", "two"):
        assert main([*words, "--json", str(tmp_path / name)]) == 0
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    capsys.readouterr()
    assert main([*words, "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads((tmp_path / "one").read_text())
    assert (found["seed"], found["scale"], found["tasks"]) == (7, 1.5, 12)
    assert 12 < found["policies"][0]["arrived"] < 24
    assert main([*words, "--seed", "8", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["policies"] != found["policies"]


def test_json_is_the_same_in_each_process(openb):
    argv = [
        sys.executable,
        "-m",
        "sampan",
        "sim",
        "run",
        "--trace",
        str(openb),
        "--nodes",
        "2",
        "--scale",
        "2.5",
        "--json",
        "-",
    ]
    texts = {
        subprocess.run(
            [*argv, "--policy", "lasting"], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(texts) == 1


def test_a_page_that_needs_nothing_else(plain, tmp_path):
    file = tmp_path / "page.html"
    assert main(["sim", "run", "--trace", str(plain), "--against", "packing", "--html", str(file), *MACHINES]) == 0
    text = file.read_text()
    assert (
        text.count("<svg") == 2 + 2 * 2 + 1 + 1 + 2
    )  # pods, each resource twice, waits, fairness, owners of each policy
    assert ">ann</text>" in text
    assert not re.search(r"http|url|src=|href=|@import|\bnan\b|\binf\b", text)
    assert "<title>trace.csv by default, packing</title>" in text
    assert "<li>slowdown: " in text
    assert 'aria-label="cpu used, % of capacity"' in text


def test_a_policy_of_a_file(plain, tmp_path, capsys):
    file = tmp_path / "mine.py"
    file.write_text("from sampan.schedule.profile import PACKING\nMine = PACKING\n")
    name = f"{file}:Mine"
    assert main(["sim", "run", "--trace", str(plain), "--policy", name, "--against", "packing", *MACHINES]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == [name, "packing"]
    assert all(len(set(line.split()[-2:])) == 1 for line in lines[2:])


def test_policies_for_gpus_do_without(plain, capsys):
    words = ["--policy", "lasting", "--against", "best-fit", "--against", "fgd"]
    assert main(["sim", "run", "--trace", str(plain), *words, *MACHINES]) == 0
    assert ["ended", "12", "12", "12"] in [line.split() for line in capsys.readouterr().out.splitlines()]


def test_a_folder_with_its_own_machines_times_and_classes(openb, capsys):
    assert main(["sim", "run", "--trace", str(openb), "--policy", "packing", "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["nodes"] == 3
    one = found["policies"][0]
    assert (one["ended"], sorted(one["classes"])) == (8, ["BE", "LS"])
    assert one["classes"]["BE"]["wait_s"]["max"] > 0
    assert main(["sim", "run", "--trace", str(openb), "--nodes", "1", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["nodes"] == 1


def test_nodes_fail_and_return(plain, tmp_path, capsys):
    file = tmp_path / "changes.csv"
    file.write_text(
        "time,node,change\n5,node-00000,fail\n6,node-00001,drain\n7,node-00001,fail\n30,node-00000,return\n"
    )
    assert main(["sim", "run", "--trace", str(plain), "--changes", str(file), "--json", "-", *MACHINES]) == 0
    one = json.loads(capsys.readouterr().out)["policies"][0]
    assert one["evictions"] == {"its node failed": 2, "its node is drained": 2}
    assert (one["ended"], one["lasted_s"]) == (12, 150.0)


def test_shares_are_compared_by_what_is_wanted(openb, capsys):
    words = ["sim", "run", "--trace", str(openb), "--json", "-"]
    for by, owners in (("class", ["BE", "LS"]), ("user", None)):
        assert main([*words, "--by", by]) == 0
        found = json.loads(capsys.readouterr().out)["policies"][0]["fairness"]
        assert (sorted(found["owners"]) if found else None) == owners


def test_an_end_before_the_end(plain, capsys):
    assert main(["sim", "run", "--trace", str(plain), "--until", "10", "--limit", "11", "--json", "-", *MACHINES]) == 0
    one = json.loads(capsys.readouterr().out)["policies"][0]
    assert (one["arrived"], one["running"], one["waiting"]) == (11, 4, 7)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--policy", "worst", *MACHINES], "there is no scheduling policy worst: there are default, packing"),
        ([], "has no machines: say how many and how large, such as --nodes 100 --capacity cpu=64,memory=256Gi"),
        (["--scale", "0", *MACHINES], "a trace cannot be scaled by 0: give a number above 0"),
        (["--until", "-1", *MACHINES], "the first task comes at 0 s, which is after -1 s"),
        (["--scale", "nan", *MACHINES], "a trace cannot be scaled by nan: give a number above 0, at most 1,000,000"),
        (["--scale", "0.0001", *MACHINES], "--scale 0.0001 leaves none of 12 tasks: give more, or another --seed"),
    ],
)
def test_what_is_refused(plain, capsys, words, said):
    assert main(["sim", "run", "--trace", str(plain), *words]) == 1
    assert said in capsys.readouterr().err


def test_a_trace_without_tasks_is_refused(tmp_path, capsys):
    nothing, unknown = tmp_path / "nothing.csv", tmp_path / "unknown.swf"
    nothing.write_text("arrival,duration\n")
    unknown.write_text(" ".join(["1", *["-1"] * 17]))
    for path, said in ((nothing, ""), (unknown, ": 1 lines of jobs that never ran, or of parts of jobs, are left out")):
        assert main(["sim", "run", "--trace", str(path), *MACHINES]) == 1
        assert capsys.readouterr().err == f"sampan: {path} has no tasks to replay{said}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--nodes", "0"], "'0': a whole number from 1 to 1000000 is wanted"),
        (["--seed", "-1"], "'-1': a whole number from 0 to"),
        (["--until", "nan"], "'nan': a number from -inf to inf is wanted"),
        (["--seeds", "1"], "--seeds goes with --arrivals"),
        (["--arrivals", "--json", "-"], "--json goes without --arrivals"),
        (["--arrivals", "--scale", "2"], "--scale goes without --arrivals"),
        (["--seeds", "1,x"], "'x': a whole number from 0 to"),
        (["--html", "/nowhere/page.html"], "'/nowhere/page.html': name a file in a folder that is there"),
        (["--json", "/"], "'/': name a file in a folder that is there"),
        (["--capacity", "disk=3"], "write RESOURCE=QUANTITY, of cpu, memory, gpu, gpu_model, pods"),
        (["--capacity", "cpu=much"], "'cpu=much': cpu is 'much': quantities must match"),
        (["--capacity", "cpu=-2"], "'cpu=-2': cpu is -2: at least 0 is wanted"),
        (["--capacity", "cpu=1e30"], "cpu is 1e30: at most 1,000,000,000,000,000 is wanted"),
        (["--capacity", "cpu=4,gpu=0.5"], "gpu is '0.5': a whole number is wanted"),
        (["--capacity", "cpu=4,cpu=8"], "cpu is there twice"),
    ],
)
def test_words_that_are_not_understood(plain, capsys, words, said):
    with pytest.raises(SystemExit):
        main(["sim", "run", "--trace", str(plain), *words])
    assert said in capsys.readouterr().err


# --- each pod once, in orders of arrival


def test_arrivals_by_policies_beside_each_other(openb, capsys):
    words = ["--arrivals", "--policy", "lasting", "--against", "best-fit", "--percent", "133"]
    assert main(["sim", "run", "--trace", str(openb), *words]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == "POLICY GPU% AT ARRIVED% PLACED PENDING GPU% CPU% MEMORY% FRAGMENTED%".split()
    assert [row.split() for row in rows] == [
        ["lasting", "100.00", "6", "2", "100.00", "25.00", "3.12", "0.00"],
        ["best-fit", "100.00", "6", "2", "100.00", "25.00", "3.12", "0.00"],
    ]


def test_a_page_of_arrivals(openb, tmp_path):
    file = tmp_path / "page.html"
    words = ["--policy", "lasting", "--against", "best-fit", "--percent", "133", "--html", str(file)]
    assert main(["sim", "run", "--arrivals", "--trace", str(openb), *words]) == 0
    text = file.read_text()
    assert text.count("<polyline") == 2
    assert text.count("<tr>") == 3
    assert "nan" not in text
    assert "http" not in text


def test_any_policy_of_the_scheduler_for_arrivals(openb, capsys):
    words = ["--arrivals", "--policy", "packing", "--against", "default", "--percent", "133"]
    assert main(["sim", "run", "--trace", str(openb), *words]) == 0
    assert [line.split()[1:3] for line in capsys.readouterr().out.splitlines()[1:]] == [
        ["100.00", "6"],
        ["100.00", "6"],
    ]


def test_policies_that_know_the_workload_where_pods_leave_too(openb, capsys):
    assert main(["sim", "run", "--trace", str(openb), "--policy", "lasting", "--against", "fgd"]) == 0
    assert figures(capsys.readouterr().out)["ended"] == ["8", "8"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--policy", "worst"], "in simulation also best-fit, fgd, lasting"),
        (["--policy", "none.py:A"], "cannot read the scheduling policy none.py"),
        (["--seeds", "7"], "there is no order for seed 7: there are 1"),
        (["--workload", "other"], "is not there: --workload names one of default"),
        (["--percent", "10"], "the arrivals never are at 10 %"),
    ],
)
def test_arrivals_that_are_refused(openb, capsys, words, said):
    assert main(["sim", "run", "--arrivals", "--trace", str(openb), *words]) == 1
    assert said in capsys.readouterr().err
