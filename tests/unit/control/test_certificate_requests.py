"""Requests that are over are deleted: answered ones after an hour, others after a day. Spec: csrcleaner."""

from __future__ import annotations

import asyncio
import base64

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sampan.api.kube.local import LocalClient
from sampan.api.kube.request import User
from sampan.base.clock import ManualClock
from sampan.control.certificates import CertificateRequests
from sampan.control.controller import SIGNING_REQUESTS
from sampan.kube import object as objects
from unit.control.server import server

HOUR_S = 3600


def pem() -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ann")])
    made = x509.CertificateSigningRequestBuilder().subject_name(name)
    signed = made.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


async def ask(client: LocalClient, name: str, signer: str, answer: str = "") -> None:
    spec = {
        "request": base64.b64encode(pem()).decode(),
        "signerName": signer,
        "usages": ["digital signature", "client auth"],
        "username": "ann",
    }
    made = await client.create(SIGNING_REQUESTS, {"metadata": {"name": name}, "spec": spec})
    if answer:
        made["status"] = {"conditions": [{"type": answer, "status": "True", "reason": "Tested"}]}
        await client.update(SIGNING_REQUESTS, made, subresource="approval")


async def left(client: LocalClient, clock: ManualClock, count: int) -> set[str]:
    """Let the controller look at everything; returns what is left when there are `count`."""
    controller = CertificateRequests(client, lambda csr, usages, seconds: b"-----BEGIN CERTIFICATE-----\nsigned", clock)
    await controller.start()
    try:
        async with asyncio.timeout(5):
            while len(found := {objects.name(obj) for obj in (await client.list(SIGNING_REQUESTS)).items}) > count:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)  # and no more go
        return {objects.name(obj) for obj in (await client.list(SIGNING_REQUESTS)).items} & found
    finally:
        await controller.close()


@pytest.mark.parametrize("signer", ["example.com/own"])
async def test_requests_go_when_they_are_over(signer) -> None:
    clock = ManualClock()
    async with server(clock) as api:
        client = LocalClient(api, User("tester"), "tester")
        await ask(client, "denied", signer, "Denied")
        await ask(client, "waits", signer)
        await ask(client, "approved", signer, "Approved")  # and nobody signs it
        assert await left(client, clock, 3) == {"denied", "waits", "approved"}
        clock.advance(HOUR_S - 10)
        assert await left(client, clock, 3) == {"denied", "waits", "approved"}
        clock.advance(20)
        assert await left(client, clock, 2) == {"waits", "approved"}
        clock.advance(22 * HOUR_S)
        assert await left(client, clock, 2) == {"waits", "approved"}
        clock.advance(2 * HOUR_S)
        assert await left(client, clock, 0) == set()
