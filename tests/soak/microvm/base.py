"""Debian's stock cloud kernel and a small Debian root, made of packages that are downloaded and never installed.

Cached in build/microvm under a name made of all that goes into them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from soak.microvm import initramfs
from soak.microvm.disk import compile_tree, ext4, run

KERNEL_PACKAGE = "linux-image-cloud-amd64"
PACKAGES = (
    "coreutils python3-minimal libpython3-stdlib crun runc conmon nftables libnftables1 iproute2 busybox-static tini procps kmod"
).split()


def base(cache: Path) -> Path:
    """Return the directory with `vmlinuz`, `initramfs` and `root.ext4`. Skips the test where it cannot be made."""
    package, suite = _kernel_package(), _os_release("VERSION_CODENAME")
    recipe = (Path(__file__), Path(initramfs.__file__), initramfs.BOOT)
    words = "\n".join((package, suite, *(path.read_text() for path in recipe)))
    done = cache / hashlib.sha256(words.encode()).hexdigest()[:12]
    if not done.exists():
        with tempfile.TemporaryDirectory(dir=cache) as place:
            _make(Path(place), package.partition("=")[0], suite)
            os.rename(Path(place) / "done", done)
        for old in cache.iterdir():
            if old != done and (old / "vmlinuz").exists():
                shutil.rmtree(old)
    return done


def _os_release(key: str) -> str:
    rows = (line.partition("=") for line in Path("/etc/os-release").read_text().splitlines())
    return {name: value.strip('"') for name, _, value in rows}.get(key, "")


def _kernel_package() -> str:
    """Return the package of the newest stock cloud kernel, as NAME=VERSION."""
    shown = subprocess.run(
        ["apt-cache", "show", "--no-all-versions", KERNEL_PACKAGE], check=False, capture_output=True, text=True
    ).stdout
    fields = dict(line.split(": ", 1) for line in shown.splitlines() if ": " in line and not line.startswith(" "))
    names = [
        word.split()[0] for word in fields.get("Depends", "").split(",") if word.strip().startswith("linux-image-")
    ]
    if not names:
        pytest.skip(f"apt knows no {KERNEL_PACKAGE}: it is Debian's; run apt-get update where this is Debian")
    return f"{names[0]}={fields['Version']}"


def _make(place: Path, kernel_package: str, suite: str) -> None:
    done, root = place / "done", place / "root"
    done.mkdir()
    root.mkdir(mode=0o755)
    place.chmod(0o755)  # apt's own user must reach it
    run("apt-get", "download", "-q", kernel_package, cwd=place)
    (deb,) = place.glob("linux-image-*.deb")
    hook = Path("/usr/share/mmdebstrap/hooks/merged-usr")
    hooks = [f"--hook-dir={hook}"] if hook.exists() else []
    run(
        *("mmdebstrap", "--variant=extract", "--mode=root", "--format=directory", "--quiet", *hooks),
        *(f"--include={','.join(PACKAGES)}", suite, root),
    )
    kernel = place / "kernel"
    run("dpkg", "-x", deb, kernel)
    (image,) = (kernel / "boot").glob("vmlinuz-*")
    release = image.name.partition("-")[2]
    _furnish(root, kernel / "lib/modules" / release)
    shutil.copy(image, done / "vmlinuz")
    initramfs.write(done / "initramfs", root, release)
    ext4(root, done / "root.ext4", "root", megabytes=2048)


def _furnish(root: Path, modules: Path) -> None:
    """Add what the packages' own scripts would have made, as far as it is needed, and the kernel's modules."""
    place = root / "lib/modules" / modules.name
    shutil.copytree(modules, place)
    run("chroot", root, "/sbin/depmod", modules.name)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
    (root / "etc/resolv.conf").touch()
    if not (root / "bin/sh").exists():
        (root / "bin/sh").symlink_to("busybox")
    for name in ("work", "proc", "sys", "dev", "run", "tmp", "root", "var/tmp"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (library,) = (root / "usr/lib").glob("python3.*")
    compile_tree(library)
    shutil.rmtree(root / "var/cache/apt", ignore_errors=True)
    shutil.rmtree(root / "var/lib/apt/lists", ignore_errors=True)
