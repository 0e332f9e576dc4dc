from __future__ import annotations

from sampan.schedule.pod import Pod
from sampan.schedule.queue import Queue
from sampan.schedule.shape import Shape


def pod(name: str, priority: int = 0, at_s: float = 0) -> Pod:
    return Pod(name, Shape(), priority, at_s)


def names(pods: list[Pod]) -> list[str]:
    return [one.key for one in pods]


def test_priority_then_time_then_the_order_they_came_in():
    queue = Queue()
    for one in (pod("late", 1, 5), pod("low"), pod("early", 1, 2), pod("twin", 1, 2)):
        queue.add(one)
    assert names(queue.take(3)) == ["early", "twin", "late"]
    assert names(queue.take(3)) == ["low"]
    assert len(queue) == 0


def test_the_newest_of_a_name_counts():
    queue = Queue()
    queue.add(pod("a", 1))
    queue.add(pod("b", 2))
    queue.add(pod("a", 3))
    queue.discard("b")
    assert [(one.key, one.priority) for one in queue.take(9)] == [("a", 3)]


def test_a_parked_pod_waits_for_an_event_and_its_back_off():
    queue = Queue()
    queue.park(pod("a"), now_s=10)
    assert queue.take(9) == []
    queue.wake(now_s=10.5)
    assert queue.take(9) == []
    assert queue.tick(10.5) == 11
    queue.tick(11)
    assert names(queue.take(9)) == ["a"]
    queue.park(pod("a"), now_s=20)
    queue.wake(now_s=20)
    assert queue.tick(20) == 22


def test_a_changed_pod_has_its_turn_at_once():
    queue = Queue()
    queue.park(pod("a"), now_s=10)
    queue.wake(now_s=10)
    queue.add(pod("a", 7))
    assert [one.priority for one in queue.take(9)] == [7]
    queue.tick(99)
    assert queue.take(9) == []


def test_a_pod_that_is_gone_does_not_come_back():
    queue = Queue()
    queue.park(pod("a"), now_s=0)
    queue.discard("a")
    queue.wake(now_s=99)
    assert queue.take(9) == []
    assert len(queue) == 0


def test_one_that_is_tried_with_another_goes_on_backing_off():
    queue = Queue()
    for _ in range(2):
        queue.park(pod("a"), now_s=10)
        queue.withdraw("a")
    queue.wake(now_s=99)
    assert queue.take(9) == []
    queue.park(pod("a"), now_s=100)
    queue.wake(now_s=100)
    assert queue.tick(100) == 104
