"""Readers of traces: small files as written here, real ones where they are, and what is refused with which words."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from sampan.base.errors import InvalidArgument, NotFound
from sampan.schedule.shape import DeviceAsk
from sampan.sim.traces import batch2017, changes, machine
from sampan.sim.traces.read import read
from sampan.sim.traces.trace import some

GI = 1 << 30
LARGE = machine.node("", 64_000, 256 * GI)
TRACES = os.environ.get("SAMPAN_TRACES", "")
real = pytest.mark.skipif(not TRACES, reason="SAMPAN_TRACES does not name a folder with traces")


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_plain_file(tmp_path):
    text = (
        "arrival,duration,cpu,memory,gpu,gpu_model,count,gang,priority,user,queue,class\n"
        "5,10,500m,2Gi,,,3,yes,-1,ann,batch,BE\n"
        "1,inf,2,1Gi,0.25,T4|A10,,,7,bob,,LS\n"
        "1,2.5,,,2,,,,,,,\n"
    )
    first, second, third = read(written(tmp_path, "t.csv", text)).tasks
    assert (first.name, first.arrival_s, first.duration_s) == ("task-1", 1.0, float("inf"))
    assert (first.priority, first.user, first.kind, first.count) == (7, "bob", "LS", 1)
    assert first.shape.requests == (("cpu", 2000), ("gpu", 250), ("memory", GI))
    assert first.shape.devices == (DeviceAsk("gpu", 1, 250),)
    assert first.shape.node_terms is not None
    assert first.shape.node_terms[0].labels[0].values == ("A10", "T4")
    assert second.shape.devices == (DeviceAsk("gpu", 2, 1000),)
    assert (third.count, third.together, third.priority, third.queue) == (3, True, -1, "batch")
    assert third.shape.requests == (("cpu", 500), ("memory", 2 * GI))


def test_two_columns_are_enough_and_packed_files_are_read(tmp_path):
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"duration,arrival\n3,0\n\n4,0\n"))
    assert [task.duration_s for task in read(path).tasks] == [3.0, 4.0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("arrival,cpu\n1,1\n", "has no column duration: its first line names columns of arrival, duration"),
        ("arrival,duration,colour\n1,1,red\n", "has a column 'colour' that is not known"),
        ("arrival,duration\n1\n", r"line 2: there are 1 cells for 2 columns"),
        ("arrival,duration\n1,2\nx,2\n", r"line 3: arrival is 'x': a number that is not negative is wanted"),
        ("arrival,duration\n1,-2\n", r"duration is '-2': a number that is not negative"),
        ("arrival,duration\n1,-2\n", "a number that is not negative is wanted, or inf"),
        ("arrival,duration\n1,nan\n", "duration is 'nan': a number that is not negative"),
        ("arrival,duration\ninf,2\n", "arrival is 'inf': a number that is not negative is wanted, at most 1e"),
        ("arrival,duration,cpu,cpu\n1,2,3,4\n", "has two columns 'cpu': give each a name of its own"),
        ("arrival,duration,cpu\n1,2,1e30\n", "cpu is 1e30: at most 1,000,000,000,000,000 is wanted"),
        ("arrival,duration,memory\n1,2,9Ei\n", "memory is 9Ei: at most 1,000,000,000,000,000 is wanted"),
        ("arrival,duration,priority\n1,2,2147483648\n", "priority is 2147483648: at most 2,147,483,647 is wanted"),
        ("arrival,duration,count\n1,2,1000000000000\n", "count is 1000000000000: at most 10,000,000 is wanted"),
        ("arrival,duration,cpu\n1,2,lots\n", r"cpu is 'lots': quantities must match"),
        ("arrival,duration,gpu\n1,2,1.5\n", r"gpu is '1.5': a part of one, or whole ones"),
        ("arrival,duration,count\n1,2,0\n", "count is 0: at least 1 is wanted"),
        ("arrival,duration,memory\n1,2,-1Gi\n", "memory is -1Gi: at least 0 is wanted"),
        ("arrival,duration,count\n1,2,two\n", "count is 'two': a whole number is wanted"),
        ("arrival,duration,gang\n1,2,maybe\n", "gang is 'maybe': yes or no is wanted"),
        ("", "has no column arrival"),
    ],
)
def test_a_plain_file_that_is_refused(tmp_path, text, said):
    with pytest.raises(InvalidArgument, match=said):
        read(written(tmp_path, "t.csv", text))


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_files_as_spreadsheets_write_them(tmp_path, name):
    """A byte order mark, carriage returns, blanks beside commas."""
    text = b'\xef\xbb\xbfarrival, duration, user\r\n0, 3, ann\r\n\r\n1,4,"b, c"\r\n'
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    assert [(task.duration_s, task.user) for task in read(tmp_path / name).tasks] == [(3.0, "ann"), (4.0, "b, c")]


def test_batch_tasks_of_2017(tmp_path):
    text = (
        ",submit_time,duration,cpu,memory,job_id,task_id,instances_num,disk\n"
        "0,539,116.5,1.0,0.25,1,1,283,0\n1,7,73,0.5,0.5,9,23,2,0\n"
    )
    path = written(tmp_path, "jobs.csv", text)
    first, second = read(path, node=LARGE).tasks
    assert (first.arrival_s, first.count, first.shape.requests) == (7.0, 2, (("cpu", 500), ("memory", 128 * GI)))
    assert (second.name, second.duration_s, second.together) == ("job-1-1-0", 116.5, False)
    with pytest.raises(InvalidArgument, match="say how large one is, by --capacity cpu=64,memory=256Gi"):
        read(path)
    with pytest.raises(InvalidArgument, match="has no column cpu: batch tasks of 2017 have cpu, duration, "):
        batch2017.read(written(tmp_path, "plain.csv", "arrival,duration\n1,1\n"), LARGE)
    with pytest.raises(InvalidArgument, match="line 2: cpu is '1e300'"):
        read(written(tmp_path, "jobs.csv", text.replace("116.5,1.0", "116.5,1e300")), node=LARGE)


SWF = """; Version: 2.2
; Computer: Any
; MaxNodes: 3
; MaxProcs: 7
;
  1  0  5  10  4 -1 2048  8 20 1024 1  3 1 1 2 -1 -1 -1
  2  9 -1  20  2 -1   -1 -1 20   -1 0  4 1 1 -1 -1 -1 -1
  3 11 -1  -1 -1 -1   -1  4 20   -1 5  4 1 1 2 -1 -1 -1
  1  0  5   3  4 -1   -1  8 20   -1 3  3 1 1 2 -1 -1 -1
"""


def test_a_log_in_swf(tmp_path):
    trace = read(written(tmp_path, "log.swf", SWF))
    first, second = trace.tasks
    assert (first.arrival_s, first.duration_s, first.count, first.together) == (0.0, 10.0, 8, True)
    assert (first.user, first.queue, second.queue) == ("user-3", "queue-2", "")
    assert first.shape.requests == (("cpu", 1000),)  # how much memory the machine has is not known
    assert (second.count, second.shape.requests) == (2, (("cpu", 1000),))
    assert trace.left_out == "2 lines of jobs that never ran, or of parts of jobs, are left out"
    assert [dict(node.allocatable)["cpu"] for node in trace.nodes] == [3000, 2000, 2000]
    assert all("memory" not in dict(node.allocatable) for node in trace.nodes)


def test_memory_of_a_log_in_swf_counts_where_machines_have_some(tmp_path):
    told = read(written(tmp_path, "log.swf", SWF.replace("; MaxProcs", "; MaxMemory: 4096\n; MaxProcs")))
    assert [dict(node.allocatable)["memory"] for node in told.nodes] == [4 << 20] * 3
    for trace in (told, read(written(tmp_path, "log.swf", SWF), node=LARGE)):
        first, second = trace.tasks
        assert first.shape.requests == (("cpu", 1000), ("memory", 1 << 20))
        assert second.shape.requests == (("cpu", 1000),)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1 2 3", "a job in SWF is 18 numbers"),
        ("1 0 5 x 4 -1 -1 8 20 -1 1 3 1 1 2 -1 -1 -1", "a job in SWF is 18 numbers"),
        ("1 nan 5 9 4 -1 -1 8 20 -1 1 3 1 1 2 -1 -1 -1", "a job in SWF is 18 numbers, none beyond 1e"),
        ("1 0 5 9 4 -1 -1 8 20 inf 1 3 1 1 2 -1 -1 -1", "a job in SWF is 18 numbers, none beyond 1e"),
        ("1 0 5 9 4 -1 -1 8e9 20 -1 1 3 1 1 2 -1 -1 -1", "a job has at most 10,000,000 processors"),
    ],
)
def test_a_line_that_is_no_job(tmp_path, line, said):
    with pytest.raises(InvalidArgument, match=f"line 2: {said}"):
        read(written(tmp_path, "log.swf", f"; Version: 2.2\n{line}\n"))


def test_a_machine_that_is_too_large(tmp_path):
    with pytest.raises(InvalidArgument, match="MaxNodes is 99999999999: at most 10,000,000 is wanted"):
        read(written(tmp_path, "log.swf", SWF.replace("MaxNodes: 3", "MaxNodes: 99999999999")))


def test_a_job_of_which_nothing_is_known_is_left_out(tmp_path):
    unknown = read(written(tmp_path, "log.swf", " ".join(["1", *["-1"] * 17])))
    assert (unknown.tasks, unknown.left_out[:7]) == ([], "1 lines")


def test_a_log_whose_head_says_nothing_has_no_machines(tmp_path):
    jobs = "\n".join(SWF.splitlines()[5:])
    assert read(written(tmp_path, "log.swf", jobs)).nodes == []


def openb(folder: Path) -> Path:
    written(folder, "openb_node_list_all_node.csv", "sn,cpu_milli,memory_mib,gpu,model\nb,2000,20,2,T4\na,1000,10,0,\n")
    written(
        folder,
        "openb_pod_list_default.csv",
        "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time\n"
        "p,100,2,1,500,V100|T4,LS,Running,50,90,60\nq,300,4,0,0,,BE,Failed,7,9,8\nr,1,2,2,1000,,BE,Pending,7,9,\n",
    )
    return folder


def test_a_folder_of_openb(tmp_path):
    trace = read(openb(tmp_path))
    q, p = trace.tasks
    assert (q.arrival_s, q.duration_s, q.kind, q.priority) == (7.0, 1.0, "BE", 0)
    assert (p.arrival_s, p.duration_s, p.kind, p.priority) == (50.0, 30.0, "LS", 2)
    assert p.shape.devices == (DeviceAsk("gpu", 1, 500),)
    assert [(node.name, node.devices) for node in trace.nodes] == [("b", (("gpu", (1000, 1000)),)), ("a", ())]
    assert trace.left_out == "1 pods that were never scheduled are left out"
    with pytest.raises(NotFound, match="is not there: --workload names one of default"):
        read(tmp_path, "other")
    for name in ("a", ""):
        written(tmp_path, "openb_node_list_all_node.csv", f"sn,cpu_milli,memory_mib\na,1,1\n{name},1,1\n")
        with pytest.raises(InvalidArgument, match=f"line 3: sn is '{name}': each machine has a name of its own"):
            read(tmp_path)


def test_nodes_are_drawn_by_the_seed():
    machines = [machine.node(f"n{number:02}", 1000, GI) for number in range(50)]
    drawn = some(machines, 10, 3)
    assert drawn == some(machines, 10, 3) != some(machines, 10, 4)
    assert sorted(node.name for node in drawn) == [node.name for node in drawn]
    with pytest.raises(InvalidArgument, match="the trace has 50 nodes: 51 of them cannot be taken"):
        some(machines, 51, 1)


def test_changes_of_nodes(tmp_path):
    machines = [machine.node("a", 1000, GI)]
    text = "time,node,change\n5,a,fail\n7,a,return\n"
    found = changes.read(written(tmp_path, "c.csv", text), machines)
    assert [(one.time_s, one.verb, one.node.name) for one in found] == [(5.0, "fail", "a"), (7.0, "return", "a")]
    for wrong, said in [
        ("time,node\n", "its first line is time,node,change"),
        ("time,node,change\n1,b,fail\n", "line 2: there is no node 'b': the first is a"),
        ("time,node,change\ninf,a,fail\n", "line 2: time is 'inf'"),
        ("time,node,change\n1,a,explode\n", "change is 'explode': fail, drain or return is wanted"),
    ]:
        with pytest.raises(InvalidArgument, match=said):
            changes.read(written(tmp_path, "c.csv", wrong), machines)


def test_what_is_no_trace(tmp_path):
    with pytest.raises(NotFound, match="is not there: name a trace's file or folder"):
        read(tmp_path / "none.csv")
    with pytest.raises(InvalidArgument, match=r"a folder of openb, a \.csv or a \.swf file"):
        read(written(tmp_path, "trace.json", "{}"))
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidArgument, match="cannot be read as text"):
        read(tmp_path / "bytes.csv")
    packed = gzip.compress(b"arrival,duration\n" + b"1,1\n" * 99)
    for number, broken in enumerate((b"plain", packed[:-12], packed[:12] + b"\xff" * 9)):
        (tmp_path / f"{number}.csv.gz").write_bytes(broken)
        with pytest.raises(InvalidArgument, match="cannot be read as text"):
            read(tmp_path / f"{number}.csv.gz")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(NotFound, match=r"folder.csv is no folder of openb: it has no openb_pod_list_WORKLOAD.csv"):
        read(tmp_path / "folder.csv")
    with pytest.raises(InvalidArgument, match=r"folder.csv is a folder: name a file in it"):
        changes.read(tmp_path / "folder.csv", [])


@real
def test_the_real_openb():
    trace = read(Path(TRACES) / "alibaba-openb-2023")
    assert (len(trace.tasks), len(trace.nodes)) == (8152 - 897, 1523)
    assert sum(dict(node.allocatable)["cpu"] for node in trace.nodes) == 125_514_000
    assert sum(dict(node.allocatable).get("gpu", 0) for node in trace.nodes) == 6_212_000
    assert {task.kind for task in trace.tasks} == {"LS", "BE", "Burstable", "Guaranteed"}


@real
def test_the_real_batch_tasks():
    tasks = read(Path(TRACES) / "alibaba-2017-batch-cloudsimpy" / "jobs.csv", node=LARGE).tasks
    assert (len(tasks), sum(task.count for task in tasks)) == (31_756, 2_551_075)
    work = sum(dict(task.shape.requests)["cpu"] / 1000 * task.duration_s * task.count for task in tasks)
    assert work == pytest.approx(112.8e6, rel=1e-3)
