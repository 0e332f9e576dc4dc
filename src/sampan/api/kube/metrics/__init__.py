"""Figures for Prometheus: what was asked, how long it took, what is kept, what the process takes."""
