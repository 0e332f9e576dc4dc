"""The scheduler's bench: `python -m bench.sched [NAME…]`."""
