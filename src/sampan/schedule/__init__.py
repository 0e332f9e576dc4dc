"""The scheduler's core, pure: a snapshot of the cluster and pods in, placements, evictions and reasons out."""
