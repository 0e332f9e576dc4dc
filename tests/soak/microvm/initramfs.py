"""The initramfs: busybox, `guest/boot` and the modules that the disks need, as a cpio."""

from __future__ import annotations

import stat
from pathlib import Path

MODULES = ("virtio_pci", "virtio_blk", "ext4", "crc32c_generic")
"""What is needed to mount the root; modules of the root do the rest."""
BOOT = Path(__file__).parent / "guest/boot"


def write(target: Path, root: Path, release: str) -> None:
    """Write a cpio of busybox, `boot` and the modules in the order in which they load."""
    modules = root / "lib/modules" / release
    files = {
        "init": BOOT.read_bytes(),
        "bin/busybox": (root / "bin/busybox").resolve().read_bytes(),
        **{
            f"modules/{number:02d}.ko": (modules / path).read_bytes()
            for number, path in enumerate(_load_order((modules / "modules.dep").read_text()))
        },
    }
    with target.open("wb") as out:
        for name in ("bin", "dev", "modules", "root"):
            out.write(_cpio(name, stat.S_IFDIR | 0o755, b""))
        for name, data in files.items():
            out.write(_cpio(name, stat.S_IFREG | 0o755, data))
        out.write(_cpio("TRAILER!!!", 0, b""))


def _load_order(dependencies: str) -> list[str]:
    rows = (line.partition(":") for line in dependencies.splitlines())
    needs = {path: rest.split() for path, _, rest in rows}
    by_name = {path.rpartition("/")[2].partition(".ko")[0].replace("-", "_"): path for path in needs}
    order: list[str] = []
    for name in MODULES:
        if name in by_name:  # else it is built in
            order += [path for path in [*reversed(needs[by_name[name]]), by_name[name]] if path not in order]
    return order


def _cpio(name: str, mode: int, data: bytes) -> bytes:
    """Return one entry in the `newc` format. Spec: Documentation/driver-api/early-userspace/buffer-format.rst."""
    encoded = name.encode() + b"\0"
    numbers = (0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
    header = b"070701" + b"".join(b"%08X" % number for number in numbers) + encoded
    return header + b"\0" * (-len(header) % 4) + data + b"\0" * (-len(data) % 4)
