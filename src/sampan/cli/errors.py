"""What a command shows when it fails: one sentence, and the exit code that docker's users know."""

from __future__ import annotations


class CliError(Exception):
    """A failure for people. `exit_code` is 125 for wrong usage and for what the engine refuses to `run`, else 1."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class UsageError(CliError):
    """The command line cannot be understood."""

    def __init__(self, message: str) -> None:
        super().__init__(message, exit_code=125)
