"""The rebalancer: moves of pods that run, for an aim, within limits; proposed over a snapshot, which is left as it was."""
