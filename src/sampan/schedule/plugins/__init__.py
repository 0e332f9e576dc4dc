"""Filters and scores, a plugin a file, under kube-scheduler's names. `profile.py` has the list and its order."""
