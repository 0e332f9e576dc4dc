"""What cgroup v2 does not have is not asked for there: crun refuses the container otherwise."""

from sampan.model.container import Resources
from sampan.runtime import limits

WANTED = Resources(memory_bytes=10, memory_reservation_bytes=5, memory_swappiness=10, oom_kill_disable=True)


def test_swappiness_and_oom_kill_disable_are_left_out_on_v2():
    assert limits.memory(WANTED, cgroup_version=2) == {"limit": 10, "swap": 20, "reservation": 5}
    assert limits.memory(WANTED, cgroup_version=1) == {
        "limit": 10,
        "swap": 20,
        "reservation": 5,
        "swappiness": 10,
        "disableOOMKiller": True,
    }
