"""nftables inside of the process, by libnftables: one text is one atomic transaction.

A handle's socket belongs to the network namespace of the thread that made it, and a handle serves one thread.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import json
import os
import shutil
import stat
import threading
from typing import Any

from sampan.base.errors import Unavailable
from sampan.host import process
from sampan.spec import nftables


class NftError(Exception):
    """A refused transaction: nothing of it was done. The text is the library's."""


class Nft:
    """One libnftables handle."""

    def __init__(self) -> None:
        _survive()
        self._library = _library()
        self._context = self._library.nft_ctx_new(nftables.NFT_CTX_DEFAULT)
        if not self._context:
            raise Unavailable("libnftables gave no handle: is nf_tables in the kernel, and are we root?")
        _keep_from_children()
        self._library.nft_ctx_buffer_output(self._context)
        self._library.nft_ctx_buffer_error(self._context)

    def close(self) -> None:
        """Let go of the handle. May be repeated."""
        if self._context:
            self._library.nft_ctx_free(self._context)
            self._context = None

    def run(self, commands: str) -> str:
        """Carry out `commands` as one transaction; return the output.

        Raises:
            NftError: refused; nothing was changed.
        """
        self._library.nft_ctx_output_set_flags(self._context, 0)
        return self._run(commands)

    def query(self, command: str) -> list[dict[str, Any]]:
        """Return the objects that a list command prints, with handles."""
        flags = (
            nftables.NFT_CTX_OUTPUT_JSON
            | nftables.NFT_CTX_OUTPUT_HANDLE
            | nftables.NFT_CTX_OUTPUT_NUMERIC_PROTO
            | nftables.NFT_CTX_OUTPUT_NUMERIC_PRIO
        )
        self._library.nft_ctx_output_set_flags(self._context, flags)
        text = self._run(command)
        found: list[dict[str, Any]] = json.loads(text)["nftables"] if text.strip() else []
        return [row for row in found if "metainfo" not in row]

    def _run(self, commands: str) -> str:
        status = self._library.nft_run_cmd_from_buffer(self._context, commands.encode())
        output = self._library.nft_ctx_get_output_buffer(self._context) or b""
        error = self._library.nft_ctx_get_error_buffer(self._context) or b""
        if status != 0:
            raise NftError(_first_lines(error.decode(errors="replace")))
        return str(output.decode(errors="replace"))


def _first_lines(text: str) -> str:
    """Keep what is wrong, without the carets under it."""
    lines = [line.strip() for line in text.splitlines() if line.strip(" ^~")]
    return "; ".join(lines[:4]) or "nftables refused the change and gave no reason"


_local = threading.local()


def mine() -> Nft:
    """Return the calling thread's own handle, made at its first use."""
    handle: Nft | None = getattr(_local, "handle", None)
    if handle is None:
        handle = _local.handle = Nft()
    return handle


def _keep_from_children() -> None:
    """Mark open sockets close-on-exec: the library's own is not, and a monitor would hold it as long as its container."""
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the listing's own descriptor is gone, others may go meanwhile
            if int(name) > 2 and os.get_inheritable(int(name)) and stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                os.set_inheritable(int(name), False)


def _survive() -> None:
    """Let a child read the rules first: libnftables 1.0 crashes on sets that a newer nft described.

    Raises:
        Unavailable: it crashed.
    """
    found = shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin:/bin:/usr/local/sbin")
    if found is None:
        return
    pid, pidfd = process.spawn([found, "list", "tables"], env={"LC_ALL": "C"})
    os.close(pidfd)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        raise Unavailable(
            f"this machine's nftables dies (signal {os.WTERMSIG(status)}) when it reads the rules that are loaded, and so "
            "would this daemon: a newer nft, perhaps in a container with the host's network, made a set that it cannot "
            "read. Upgrade nftables and libnftables1, or remove that table with the nft that made it"
        )


@functools.cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(nftables.LIBRARY)
    except OSError as error:
        raise Unavailable(f"{error}: install libnftables1 (Debian, Ubuntu) or nftables") from error
    pointer, text = ctypes.c_void_p, ctypes.c_char_p
    library.nft_ctx_new.argtypes, library.nft_ctx_new.restype = [ctypes.c_uint32], pointer
    library.nft_ctx_free.argtypes, library.nft_ctx_free.restype = [pointer], None
    library.nft_ctx_buffer_output.argtypes = [pointer]
    library.nft_ctx_buffer_error.argtypes = [pointer]
    library.nft_ctx_get_output_buffer.argtypes, library.nft_ctx_get_output_buffer.restype = [pointer], text
    library.nft_ctx_get_error_buffer.argtypes, library.nft_ctx_get_error_buffer.restype = [pointer], text
    library.nft_ctx_output_set_flags.argtypes, library.nft_ctx_output_set_flags.restype = [pointer, ctypes.c_uint], None
    library.nft_run_cmd_from_buffer.argtypes, library.nft_run_cmd_from_buffer.restype = [pointer, text], ctypes.c_int
    return library
