"""load-200mb: `docker load` of one real gzip layer of 200 MB and 5,800 files: MB of layer a second, and the daemon's peak.

The archive is in the page cache for all. What earlier samples wrote is on the disk before the clock starts.
"""

from __future__ import annotations

import os
import time

from bench import image, process
from bench.client import ApiError, Client
from bench.result import Result, Samples
from bench.session import Session
from bench.stats import rounds

ROUNDS = 20


def measure(session: Session) -> list[Result]:
    big = image.big()
    print(f"(layer: {big.layer_bytes / 1e6:.0f} MB, {big.gzip_bytes / 1e6:.0f} MB as gzip, {big.files} files)")
    rates: Samples = {}
    peaks: Samples = {}
    sides = session.sampan[:1] + session.dockers
    for _, side in rounds(sides, min(ROUNDS, session.runs)):
        os.sync()
        process.forget_peak(side.daemon.pid)
        before = process.peak_rss_bytes(side.daemon.pid)
        began = time.perf_counter()
        side.load(big.path)
        rates.setdefault(side.label, []).append(big.layer_bytes / 1e6 / (time.perf_counter() - began))
        peaks.setdefault(side.label, []).append((process.peak_rss_bytes(side.daemon.pid) - before) / 1e6)
        side.client.call("DELETE", f"/v1.41/images/{image.BIG_NAME}?force=1")
        _gone(side.client)
    lines = session.results("load-200mb", "MB/s", rates, tail=False)
    return lines + session.results("load-200mb-peak", "MB", peaks, tail=False)


def _gone(client: Client) -> None:
    """Raise when the image is still there: a second load of known content would measure nothing."""
    try:
        client.call("GET", f"/v1.41/images/{image.BIG_NAME}/json", ok=(404,))
    except ApiError as error:
        raise AssertionError("the big image was not removed between two loads") from error
