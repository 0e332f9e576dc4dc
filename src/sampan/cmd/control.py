"""The control process: the Kubernetes API and its controllers, on a store of its own. `python -m sampan.cmd.control …`.

It is started by the engine (`control_child.py`) and lives beside it: each may be killed alone. The engine works without it; it
works with no node at all.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import gc
import os
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from sampan.api.http.files import TlsFiles
from sampan.api.http.tls import make_context
from sampan.api.kube.admission import Chain
from sampan.api.kube.api import EVENTS
from sampan.api.kube.audit.log import LineFile
from sampan.api.kube.authn import Authentication, TokenSource
from sampan.api.kube.authz import MASTERS, AnyOf, Rbac
from sampan.api.kube.bootstrap_tokens import BootstrapTokens
from sampan.api.kube.crds import CustomResources
from sampan.api.kube.dynamic.matcher import Matcher
from sampan.api.kube.dynamic.python_policies import PythonPolicies
from sampan.api.kube.http.server import Server
from sampan.api.kube.issuer import IssuerPages
from sampan.api.kube.local import LocalClient
from sampan.api.kube.metadata import SUFFIXES, suffix
from sampan.api.kube.node_authz import NodeAuthorizer
from sampan.api.kube.node_graph import NodeGraph
from sampan.api.kube.plugins.node_restriction import NodeRestriction
from sampan.api.kube.plugins.rbac_escalation import RbacEscalation
from sampan.api.kube.plugins.resource_quota import ResourceQuotaAdmission
from sampan.api.kube.quotas import Quotas
from sampan.api.kube.records import Records
from sampan.api.kube.request import User
from sampan.api.kube.reviews import Reviews
from sampan.api.kube.secret_tokens import SecretTokens
from sampan.api.kube.server import ApiServer, Randomness, build, registry
from sampan.api.kube.tokens import AccountTokens
from sampan.api.kube.webhook import Caller, ServiceLookup
from sampan.base import log
from sampan.base.clock import Clock, SystemClock
from sampan.base.errors import Conflict, InvalidArgument, SampanError
from sampan.base.ids import random_uid
from sampan.cmd import access_files, bootstrap_objects, dynamic, pki, plugins
from sampan.cmd.advertised import advertised
from sampan.cmd.controllers import Controllers
from sampan.cmd.listening import bind
from sampan.cmd.process_figures import process_figures
from sampan.cmd.scheduler_figures import scheduler_figures
from sampan.cmd.sealing import reseal
from sampan.cmd.stores import open_stores
from sampan.cmd.views import Views, resource
from sampan.control.controller import Controller
from sampan.control.scheduling.figures import Figures
from sampan.kube import rfc3339
from sampan.store.kv.cipher import Sealed
from sampan.store.kv.port import Store

ENCRYPTED = ("/core/secrets/",)
_LEASES = "/coordination.k8s.io/leases/"

_log = log.get("control")


class ControlSettings(msgspec.Struct, frozen=True):
    """`listen`: HOST:PORT of the API over TLS. `plain`: the same without TLS, on loopback only; "" for none.

    `store`: an etcd's address; "" for files in the data root. `policies`: folders of policies in Python besides the own one.
    `scheduler`: whether this process schedules pods; another one may do it. `scheduler_policy`: how, see scheduling_policies.
    """

    data_root: Path
    listen: str = "127.0.0.1:6443"
    plain: str = ""
    log_level: str = "info"
    store: str = ""
    policies: tuple[Path, ...] = ()
    scheduler: bool = True
    scheduler_policy: str = "default"

    @property
    def directory(self) -> Path:
        return self.data_root / "control"


class Closing(Protocol):
    def close(self) -> None: ...


class ControlPlane(msgspec.Struct, frozen=True):
    """What runs, in the order in which it was started."""

    server: ApiServer
    stores: Sequence[Store]
    views: Sequence[Closing]
    controllers: Sequence[Controller]
    customs: CustomResources
    audit: LineFile | None

    async def close(self) -> None:
        for controller in reversed(self.controllers):
            await controller.close()
        await self.customs.close()
        await self.server.close()
        for view in self.views:
            view.close()
        for store in self.stores:
            await store.close()
        if self.audit is not None:
            await self.audit.close()


async def compose(settings: ControlSettings, keys: pki.Pki, clock: Clock) -> ControlPlane:
    """Return a running control plane on these keys; the HTTP server comes on top."""
    packer = Sealed(keys.sealing(), ENCRYPTED)
    main, events, leases = await open_stores(settings.store, settings.directory, packer, clock)
    if count := await reseal(main, ENCRYPTED, keys):
        _log.info("%d values were sealed with the newest key", count)
    records = Records(main, {EVENTS: events, _LEASES: leases})
    served = registry()
    views = Views(records, served)

    def now() -> str:
        return rfc3339.render(clock.now_ns() // 10**9)

    roles = Rbac(views["roles"], views["clusterroles"], views["rolebindings"], views["clusterrolebindings"])
    quotas = Quotas(views["resourcequotas"], records, served)
    graph = NodeGraph(records)
    randomness = Randomness(random_uid, lambda: suffix(secrets.randbelow(SUFFIXES)))
    slices = resource(served, "discovery.k8s.io", "endpointslices")
    caller = Caller(ServiceLookup(views["services"], records, slices, secrets.randbelow))
    customs = CustomResources(views["customresourcedefinitions"], served, now, caller, randomness.uid)
    await views.start()  # now that all listen
    await graph.start()
    authorizer, nodes = AnyOf([NodeAuthorizer(graph), roles]), NodeRestriction(graph)
    tokens = AccountTokens(keys.accounts_key.read_bytes(), records, served, clock, randomness.uid)
    kept = SecretTokens(tokens)
    sources: list[TokenSource] = [tokens, kept, BootstrapTokens(records)]
    sources += access_files.token_sources(settings.directory, clock)
    authentication = Authentication(sources, authorizer, clock, tokens.audiences)
    matcher = Matcher(served, views.lookup("namespaces"))
    policies = PythonPolicies([settings.directory / "policies", *settings.policies], matcher, clock)
    await policies.start()
    chain = Chain(
        [
            *plugins.own(views, authorizer, now),
            *dynamic.plugins(views, records, served, authorizer, caller, randomness.uid, matcher, policies),
            ResourceQuotaAdmission(quotas),
            nodes,
            RbacEscalation(roles, authorizer, records),
        ]
    )
    figures = Figures()
    audit, observers = access_files.audit(settings.directory, clock, randomness.uid)
    server = build(
        records,
        served,
        authentication,
        authorizer,
        chain,
        clock,
        randomness,
        observers=observers,
        figures=[process_figures(settings.directory, clock), scheduler_figures(figures)],
        custom=customs.schemas,
        virtual=Reviews(authorizer, roles, authentication, tokens, nodes).virtual(),
        pages=[IssuerPages(tokens, settings.listen).page],
    )
    ourselves = User("system:apiserver", groups=(MASTERS,))
    admin = LocalClient(server.api, ourselves, "sampan")
    await bootstrap_objects.ensure(admin, _place(settings, keys), clock.now_ns() // 10**9)
    customs.start(LocalClient(server.api, ourselves, "custom-resources"))
    policy = settings.scheduler_policy if settings.scheduler else ""
    own = Controllers(server, served, keys, clock, quotas, kept, policy, figures)
    # with files no other process can be on the store: who leads need not be asked
    controllers = [own.elected(randomness.uid())] if settings.store else own.make()
    for controller in controllers:
        await controller.start()
    return ControlPlane(
        server,
        (main, events, leases),
        (views, quotas, graph, policies, caller),
        controllers,
        customs,
        audit,
    )


def _place(settings: ControlSettings, keys: pki.Pki) -> bootstrap_objects.Place:
    host, _, port = settings.listen.rpartition(":")
    address = advertised(host.strip("[]"))
    reachable = address or "127.0.0.1"
    return bootstrap_objects.Place(
        service_address=pki.SERVICE_ADDRESS,
        service_cidr=plugins.SERVICE_CIDR,
        address=address,
        port=int(port),
        url=f"https://{f'[{reachable}]' if ':' in reachable else reachable}:{port}",
        ca=keys.ca.read_text(),
    )


# --- the process ------------------------------------------------------------------------------------------------------


def main(argv: list[str]) -> int:
    """Run until SIGTERM or SIGINT; returns the exit status."""
    parser = argparse.ArgumentParser(prog="sampan control", description="Run the Kubernetes API in the foreground.")
    parser.add_argument("--data-root", required=True)
    parser.add_argument("--listen", default="127.0.0.1:6443", metavar="HOST:PORT")
    parser.add_argument("--plain-listen", default="", metavar="HOST:PORT", help="without TLS, on loopback only")
    parser.add_argument("--log-level", default="info")
    parser.add_argument("--store", default="", metavar="URL", help="etcd://HOST:PORT[,HOST:PORT] instead of files")
    parser.add_argument("--policies", action="append", default=[], metavar="DIR", help="a folder of policies in Python")
    parser.add_argument("--no-scheduler", action="store_true", help="schedule no pods: another process does")
    parser.add_argument("--scheduler-policy", default="default", metavar="P", help="a name, or FILE.py:CLASS")
    words = parser.parse_args(argv)
    settings = ControlSettings(
        Path(words.data_root),
        words.listen,
        words.plain_listen,
        words.log_level,
        words.store,
        tuple(map(Path, words.policies)),
        scheduler=not words.no_scheduler,
        scheduler_policy=words.scheduler_policy,
    )
    log.setup(settings.log_level)
    # young objects die young: most collections of a server that decodes JSON find nothing
    gc.set_threshold(50_000, 20, 100)
    try:
        with _alone(settings.directory):
            asyncio.run(serve(settings))
    except SampanError as error:
        print(f"sampan: {error}", file=sys.stderr)
        return 1
    return 0


async def serve(settings: ControlSettings) -> None:
    """Run the control plane and its server until it is told to stop."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    clock = SystemClock()
    host = settings.listen.rpartition(":")[0].strip("[]")
    listener = bind(settings.listen, "--api-listen", instead=", or none")
    keys = pki.ensure(settings.data_root, [host] if host not in ("", "0.0.0.0", "::") else [], clock)
    plane = await compose(settings, keys, clock)
    async with _serving(plane, settings, keys, listener):
        gc.collect()
        gc.freeze()
        _log.info("ready on https://%s", settings.listen)
        await stop.wait()
        _log.info("stopping")


@contextlib.asynccontextmanager
async def _serving(
    plane: ControlPlane, settings: ControlSettings, keys: pki.Pki, listener: socket.socket
) -> AsyncIterator[None]:
    server = Server(plane.server.api.handle, plane.server.api.judge)
    files = TlsFiles(ca=str(keys.ca), cert=str(keys.server), key=str(keys.server_key))
    try:
        await server.listen(listener, make_context(files, anonymous=True))
        if settings.plain:
            if not settings.plain.startswith(("127.", "localhost:", "[::1]")):
                raise InvalidArgument(f"--plain-listen {settings.plain}: without TLS only on loopback")
            await server.listen(bind(settings.plain, "--api-plain-listen"))
        host, port = listener.getsockname()[:2]
        reachable = "127.0.0.1" if host in ("0.0.0.0", "::") else host
        _write(settings.directory / "address", f"[{reachable}]:{port}" if ":" in reachable else f"{reachable}:{port}")
        yield
    finally:
        await server.close()
        await plane.close()


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Hold the store for this process alone; its pid is in `pid` meanwhile."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(f"another control process uses {directory} (its pid is in {directory}/pid)") from None
        _write(directory / "pid", str(os.getpid()))
        yield
    finally:
        os.close(lock)


def _write(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(f"{text}\n")
    beside.rename(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
