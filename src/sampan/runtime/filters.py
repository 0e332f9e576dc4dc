"""Ready seccomp programs for runtimes that take them, kept by profile."""

from __future__ import annotations

import asyncio
import base64
import os
from typing import Any

import msgspec

from sampan.host import seccomp_filter
from sampan.runtime import confine
from sampan.spec import capability

ANNOTATION = "run.oci.seccomp_bpf_data"
"""crun's annotation for a program in base64 that stands in for the profile."""
KEEP = 64


class Filters:
    """Compiled programs; the oldest of `KEEP` is dropped."""

    def __init__(self) -> None:
        self._known: dict[bytes, str] = {}

    async def warm(self) -> None:
        """Compile the default profile ahead of the first container."""
        profile = confine.default_seccomp(os.uname().machine, capability.DEFAULT)
        if profile is not None:
            await self.get(profile)

    async def get(self, profile: dict[str, Any]) -> str:
        """Return the program in base64, "" when this profile cannot be compiled here."""
        key = msgspec.json.encode(profile)
        if key not in self._known:
            program = await asyncio.to_thread(seccomp_filter.compile_profile, profile)
            if len(self._known) >= KEEP:
                self._known.pop(next(iter(self._known)))
            self._known[key] = base64.b64encode(program).decode() if program else ""
        return self._known[key]
