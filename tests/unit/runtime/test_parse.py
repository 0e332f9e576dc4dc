"""What runtimes say when a program cannot be started, and what that means to a client of docker."""

from __future__ import annotations

import pytest

from sampan.runtime.parse import failure


@pytest.mark.parametrize(
    ("said", "program", "text", "code"),
    [
        ("executable file `nosuch` not found in $PATH: No such file or directory", "nosuch", "executable file not found in $PATH", 127),
        ('exec: "nosuch": executable file not found in $PATH', "nosuch", "executable file not found in $PATH", 127),
        ("open executable: Permission denied", "/etc/passwd", "permission denied", 126),  # crun 1.8
        ("the path `/etc/passwd` exists but it is not executable: Operation not permitted", "/etc/passwd", "permission denied", 126),
        ("the path `/tmp` is not a regular file: Operation not permitted", "/tmp", "is a directory", 126),  # crun 1.21
        ('exec: "/tmp": is a directory', "/tmp", "is a directory", 126),  # runc
        ("exec format error", "/x", "exec format error", 126),
        ("cannot set memory limit", "/x", "cannot set memory limit", 125),
    ],
)  # fmt: skip
def test_a_failed_start(said, program, text, code):
    found = failure(said, program)
    assert found.exit_code == code
    assert text in found.text
