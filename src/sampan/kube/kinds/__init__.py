"""Kinds: one module a group, each with its strategies. `catalog.py` lists all of them."""
