"""The files of TLS."""

from __future__ import annotations

import msgspec


class TlsFiles(msgspec.Struct, frozen=True, kw_only=True):
    """PEM files: clients' certificates are those that `ca` signed."""

    ca: str
    cert: str
    key: str
