"""Sampan: the Docker, Kubernetes and Mesos APIs over one engine, one store and one scheduler."""

__version__ = "0.1.0"
