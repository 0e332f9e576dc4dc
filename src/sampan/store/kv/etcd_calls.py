"""Calls to one etcd of several members. What only reads goes to the next member when one does not answer; a write does not.

A write goes on to the next member only when it surely never left: no connection could be made. In all other cases it may
have taken place, and that is said (`OutcomeUnknown`); the transport's own retries are off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sampan.base.errors import InvalidArgument, Unavailable
from sampan.spec import etcd
from sampan.store.kv import etcd_errors
from sampan.store.kv.etcd_address import Address

try:
    import grpc
    import grpc.aio

    from sampan.store.kv.etcd_messages import message
    from sampan.store.kv.etcd_stream import EtcdStream
except ImportError as error:
    raise Unavailable(
        f"a store in etcd needs grpcio and protobuf ({error}): install them with pip install 'sampan[ha]'"
    ) from error

Method = tuple[str, str, str]
CallFailed = grpc.RpcError
Ended = grpc.aio.EOF
"""What a stream reads when it was ended."""

_OPTIONS = (
    ("grpc.enable_retries", 0),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 2_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)


class EtcdCalls:
    """Make it on a running event loop. `timeout_s`: how long an answer is waited for."""

    def __init__(self, address: Address, *, timeout_s: float = 10.0) -> None:
        self._endpoints = address.endpoints
        self.timeout_s = timeout_s
        credentials = _credentials(address)
        self._channels = [_channel(grpc.aio, endpoint, credentials) for endpoint in address.endpoints]
        self._watched = [_channel(grpc, endpoint, credentials) for endpoint in address.endpoints]
        self._methods: dict[tuple[int, str], Any] = {}
        self._current = 0

    async def read(self, method: Method, request: Any) -> Any:
        """Return the response to a request that may be repeated.

        Raises:
            CallFailed: etcd's clear answer about a revision.
            SampanError: any other refusal; Unavailable when no member answers.
        """
        loop = asyncio.get_running_loop()
        ends = loop.time() + self.timeout_s
        # one time more than there are members: a connection that broke is only found out by its use
        for left in range(len(self._endpoints), -1, -1):
            member, remaining_s = self._current, ends - loop.time()
            others = left and len(self._endpoints) > 1
            try:
                return await self._once(member, method, request, remaining_s / 2 if others else remaining_s)
            except CallFailed as failed:
                _raise_refusal(failed)
                self.turn(member)
                if not left or loop.time() >= ends:
                    raise etcd_errors.unavailable(self._endpoints[member], failed) from failed
        raise AssertionError  # the last turn returns or raises

    async def write(self, method: Method, request: Any) -> Any:
        """Return the response to a request that is sent at most once.

        Raises:
            OutcomeUnknown: it may have taken place.
            SampanError: a refusal; Unavailable when no member can be reached. Nothing was done.
        """
        for left in range(len(self._endpoints) - 1, -1, -1):
            member = self._current
            try:
                return await self._once(member, method, request, self.timeout_s)
            except CallFailed as failed:
                _raise_refusal(failed)
                self.turn(member)
                if not etcd_errors.never_sent(failed):
                    raise etcd_errors.unknown(self._endpoints[member], failed) from failed
                if not left:
                    raise etcd_errors.unavailable(self._endpoints[member], failed) from failed
        raise AssertionError

    def stream(self, method: Method) -> tuple[int, Any]:
        """Return the member that is asked now, and a stream with it without a time limit. Cancel it at the end."""
        return self._current, self._bound(self._current, method, "stream_stream")(metadata=etcd.HAS_LEADER)

    def watch(self) -> EtcdStream:
        """Return a watch's stream with the member that is asked now."""
        path, request, response = etcd.WATCH
        begin = self._watched[self._current].stream_stream(
            path,
            request_serializer=message[request].SerializeToString,
            response_deserializer=message[response].FromString,
        )
        return EtcdStream(lambda requests: begin(requests, metadata=etcd.HAS_LEADER), self._current)

    def endpoint(self, member: int) -> str:
        """Return where a member is."""
        return self._endpoints[member]

    def turn(self, member: int) -> None:
        """Ask the next member from now on, as this one did not answer; once, however many callers find that out."""
        if member == self._current:
            self._current = (member + 1) % len(self._endpoints)

    async def close(self) -> None:
        """Let go of the connections."""
        await asyncio.gather(*(channel.close() for channel in self._channels))
        for channel in self._watched:
            channel.close()

    async def _once(self, member: int, method: Method, request: Any, timeout_s: float) -> Any:
        return await self._bound(member, method, "unary_unary")(request, timeout=timeout_s)

    def _bound(self, member: int, method: Method, shape: str) -> Callable[..., Any]:
        path, request, response = method
        bound = self._methods.get((member, path))
        if bound is None:
            bound = self._methods[member, path] = getattr(self._channels[member], shape)(
                path,
                request_serializer=message[request].SerializeToString,
                response_deserializer=message[response].FromString,
            )
        return bound  # type: ignore[no-any-return]


def about_a_revision(failed: Any) -> bool:
    """Return whether etcd's answer is that a revision was compacted or is in the future."""
    text = failed.details() or ""
    return etcd.COMPACTED in text or etcd.FUTURE in text


def _raise_refusal(failed: Any) -> None:
    if about_a_revision(failed):
        raise failed
    refusal = etcd_errors.refused(failed)
    if refusal is not None:
        raise refusal from failed


def _credentials(address: Address) -> Any:
    if not address.cacert:
        return None
    try:
        return grpc.ssl_channel_credentials(
            Path(address.cacert).read_bytes(),
            Path(address.key).read_bytes() if address.key else None,
            Path(address.cert).read_bytes() if address.cert else None,
        )
    except OSError as error:
        raise InvalidArgument(f"--store: cannot read {error.filename}: {error.strerror}") from error


def _channel(kind: Any, endpoint: str, credentials: Any) -> Any:
    if credentials is None:
        return kind.insecure_channel(endpoint, options=_OPTIONS)
    return kind.secure_channel(endpoint, credentials, options=_OPTIONS)
