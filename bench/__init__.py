"""Bench: each speed measure of Sampan beside its peers in one run. `python -m bench [name]`; see docs/bench.md."""
