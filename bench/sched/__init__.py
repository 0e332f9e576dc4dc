# ruff: noqa: A005  (nothing here imports the standard sched)
"""The scheduler's bench: `python -m bench.sched [NAME…]`."""
