"""One daemon for all tests of a module's worker; each test cleans up what it made."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from daemon import Daemon, need_docker, running_daemon


@pytest.fixture(scope="session")
def session_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with running_daemon(tmp_path_factory.mktemp("daemon")) as daemon:
        yield daemon


@pytest.fixture
def daemon(session_daemon: Daemon) -> Iterator[Daemon]:
    """A running daemon with busybox and the docker CLI; what a test makes is removed after it."""
    need_docker()
    yield session_daemon
    session_daemon.remove_everything()
