"""Readers: from files of others to nodes and tasks."""
