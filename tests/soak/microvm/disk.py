"""Directories as ext4 images, without mounting one; and Python compiled ahead, as an emulated machine is slow at it."""

from __future__ import annotations

import compileall
import os
import py_compile
import subprocess
from pathlib import Path


def run(*command: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run([str(word) for word in command], check=False, capture_output=True, text=True, cwd=cwd)
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    return done.stdout


def ext4(source: Path, target: Path, label: str, megabytes: int) -> None:
    temporary = target.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    features = ("-O", "^has_journal", "-m", "0", "-E", "lazy_itable_init=1,root_owner=0:0")
    run("mke2fs", "-q", "-t", "ext4", *features, "-L", label, "-d", source, temporary, f"{megabytes}m")
    os.replace(temporary, target)


def compile_tree(tree: Path) -> None:
    """Compile everything; the files of one Python 3.x are those of another with the same x."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(tree, quiet=2, invalidation_mode=mode, workers=1)
