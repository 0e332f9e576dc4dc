"""Small packings for tests: random machines of two kinds, apps with curves and rules, every instance fits somewhere."""

from __future__ import annotations

import io
import zipfile

import numpy as np

from sampan.sim.packing import Packing


def packing(seed: int, apps: int = 12, machines: int = 16, points: int = 5) -> Packing:
    rng = np.random.default_rng(seed)
    big = np.arange(machines) >= machines // 2
    number = rng.integers(1, 4, apps)
    pairs = rng.integers(0, apps, (apps, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    own = np.column_stack([np.arange(apps), np.arange(apps), rng.integers(0, 3, apps)])
    app = np.repeat(np.arange(apps), number)
    return Packing(
        cpu=np.round(rng.uniform(0.2, 4, (apps, points)), 6),
        memory=np.round(rng.uniform(1, 8, (apps, points)), 6),
        scalars=np.column_stack([rng.choice([40.0, 60.0], apps), rng.integers(0, 2, apps)]).astype(float),
        machine_cpu=np.where(big, 24.0, 8.0),
        machine_memory=np.where(big, 48.0, 16.0),
        machine_scalars=np.column_stack([np.where(big, 600.0, 300.0), np.where(big, 7.0, 5.0)]),
        rules=np.concatenate([own, np.column_stack([pairs, rng.integers(0, 2, len(pairs))])]),
        app=app,
        start=np.full(len(app), -1),
    )


def contest_zip(packing: Packing, start: list[int]) -> io.BytesIO:
    """Return a packing of 98 points and 4 scalars in the contest's form."""
    texts = {
        "machine_resources": "".join(
            f"machine_{row + 1},{cpu:g},{memory:g},{','.join(f'{value:g}' for value in scalars)}\n"
            for row, (cpu, memory, scalars) in enumerate(
                zip(packing.machine_cpu, packing.machine_memory, packing.machine_scalars, strict=True)
            )
        ),
        "app_resources": "".join(
            f"app_{row + 1},{'|'.join(f'{v:.6f}' for v in cpu)},{'|'.join(f'{v:.6f}' for v in memory)},"
            f"{','.join(f'{v:g}' for v in scalars)}\n"
            for row, (cpu, memory, scalars) in enumerate(zip(packing.cpu, packing.memory, packing.scalars, strict=True))
        ),
        "instance_deploy": "".join(
            f"inst_{row + 1},app_{app + 1},{f'machine_{start[row] + 1}' if start[row] >= 0 else ''}\n"
            for row, app in enumerate(packing.app)
        ),
        "app_interference": "".join(f"app_{a + 1},app_{b + 1},{k}\n" for a, b, k in packing.rules),
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in texts.items():
            archive.writestr(f"scheduling_{name}.csv", text)
    file.seek(0)
    return file
