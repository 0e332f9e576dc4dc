"""Plans a node's best-effort pods as services come to use more: what each cgroup would be set to, who would go, and why."""

from __future__ import annotations

from sampan.schedule.colocation.plan import Kept, Seen, plan
from sampan.schedule.colocation.policy import Policy
from sampan.schedule.colocation.victims import BatchPod

GIB = 1 << 30


def main() -> None:
    pods = tuple(
        BatchPod(
            key=f"batch/job-{number}",
            cpu_milli=2000,
            memory_bytes=2 * GIB,
            memory_limit_bytes=4 * GIB,
            memory_used_bytes=(number + 1) * GIB,
        )
        for number in range(3)
    )
    kept: Kept | None = None
    for minute, (cpu_milli, memory_gib) in enumerate([(1000, 4), (4500, 9), (4500, 10.5)]):
        seen = Seen(
            node="node-1",
            cpu_milli=8000,
            memory_bytes=16 * GIB,
            cpus=(7, 6, 5, 4, 3, 2, 1, 0),
            cpu_used_milli=cpu_milli,
            memory_used_bytes=int(memory_gib * GIB),
            pods=pods,
        )
        found = plan(seen, kept, Policy(), now_s=60.0 * minute)
        print(f"minute {minute}: group {found.group.files_v2()}")
        for key, limits in found.pods.items():
            print(f"  {key} {limits.files_v2()}")
        for action in found.actions:
            print(f"  {action.message()}")
        kept, pods = found.kept, tuple(pod for pod in pods if pod.key in found.pods)


if __name__ == "__main__":
    main()
