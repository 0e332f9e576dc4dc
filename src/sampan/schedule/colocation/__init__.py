"""Latency-critical and best-effort work on the same machines: what is reclaimed, and what each node does about it. Pure."""
