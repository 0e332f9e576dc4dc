"""Queues for batch work: who is admitted next, and who gives back what was borrowed; in front of `place`."""
