"""Host names of webhooks into addresses: one thread a name, so that a name server that is silent holds up nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading


class HostNames:
    """Use it on one event loop. Those who ask for the same name at once wait for one answer."""

    def __init__(self) -> None:
        self._asked: dict[str, asyncio.Future[list[str]]] = {}

    async def addresses(self, host: str) -> list[str]:
        """Return the addresses of a host, in the order in which to try them.

        Raises:
            OSError: there are none.
        """
        with contextlib.suppress(ValueError):
            return [str(ipaddress.ip_address(host))]
        asked = self._asked.get(host)
        if asked is None:
            loop = asyncio.get_running_loop()
            asked = self._asked[host] = loop.create_future()
            asked.add_done_callback(lambda _: self._asked.pop(host, None))
            threading.Thread(target=_look, args=(host, loop, asked), name="host-names", daemon=True).start()
        return await asyncio.shield(asked)


def _look(host: str, loop: asyncio.AbstractEventLoop, asked: asyncio.Future[list[str]]) -> None:
    found: list[str] = []
    error: Exception | None = None
    try:
        found = [str(each[4][0]) for each in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as failed:
        error = OSError(f"lookup {host}: {failed}")

    def tell() -> None:
        if error is not None:
            asked.set_exception(error)
            asked.exception()  # nobody may wait any more
        else:
            asked.set_result(list(dict.fromkeys(found)))

    with contextlib.suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(tell)
