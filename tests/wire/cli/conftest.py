"""All tests of the CLI share one private daemon."""

from wire.cli_daemon import daemon

__all__ = ["daemon"]
