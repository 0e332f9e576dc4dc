"""The documented commands run against a private daemon."""

from wire.cli_daemon import daemon

__all__ = ["daemon"]
