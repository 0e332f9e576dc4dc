"""docs/examples/copy_files.py runs and says what it should."""

import os
import subprocess
import sys

import pytest


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for mounts")
def test_copy_files():
    done = subprocess.run(
        [sys.executable, "docs/examples/copy_files.py"], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.splitlines() == [
        "the volume begins with: index.html",
        "out comes site: site site/index.html site/news.html",
        "volumes left: ()",
    ]
