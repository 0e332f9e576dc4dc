"""Admission plugins, one a file. Which run, and in which order, says the composition root."""
