"""The controllers of the control process, each with a client of its own, acting as the user that Kubernetes' own acts as.

What they list and watch is read as kube-controller-manager, whose informers they share there; all else they do as the service
account of their name in kube-system, which has the rights of its role and no others.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Sequence

from sampan.api.kube.authz import MASTERS
from sampan.api.kube.local import LocalClient
from sampan.api.kube.quotas import Quotas
from sampan.api.kube.request import User
from sampan.api.kube.secret_tokens import SecretTokens
from sampan.api.kube.served import Registry
from sampan.api.kube.server import ApiServer
from sampan.base import log
from sampan.base.clock import Clock
from sampan.base.errors import InvalidArgument
from sampan.client.port import Ref
from sampan.cmd.pki import Pki
from sampan.cmd.signer import Signer
from sampan.control.api_services import ApiServices
from sampan.control.certificates import CertificateRequests
from sampan.control.cluster_roles import ClusterRoleAggregation
from sampan.control.controller import Controller
from sampan.control.elected import Elected
from sampan.control.election import Election
from sampan.control.flow_schemas import FlowSchemas
from sampan.control.garbage import GarbageCollector
from sampan.control.ip_addresses import IpAddresses, ServiceCidrs
from sampan.control.namespaces import NamespaceEnd
from sampan.control.policy_types import PolicyTypes
from sampan.control.quota import QuotaStatus
from sampan.control.scheduling.figures import Figures
from sampan.control.service_accounts import default_account, root_ca
from sampan.control.token_secrets import TokenSecrets
from sampan.control.ttl import TtlAfterFinished
from sampan.kube import rfc3339
from sampan.kube.admission.type_checking import Judged

_MANAGER = User("system:kube-controller-manager", groups=("system:authenticated",))
_SCHEDULER = User("system:kube-scheduler", groups=("system:authenticated",))
_SERVER = User("system:apiserver", groups=(MASTERS,))
_log = log.get("control")
_LEASE, _NAMESPACE = "kube-controller-manager", "kube-system"


def account(name: str) -> User:
    """Return the user that a service account in kube-system is."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{_NAMESPACE}", "system:authenticated")
    return User(f"system:serviceaccount:{_NAMESPACE}:{name}", groups=groups)


class Controllers:
    """Makes them; once, or again each time this process begins to lead."""

    def __init__(
        self,
        server: ApiServer,
        served: Registry,
        keys: Pki,
        clock: Clock,
        quotas: Quotas,
        tokens: SecretTokens,
        scheduler_policy: str,
        figures: Figures,
    ) -> None:
        """`scheduler_policy`: by what pods are scheduled here; "" for not at all: a process of its own may do it.

        `figures`: where the scheduler counts.
        """
        self._scheduler_policy = scheduler_policy
        self._figures = figures
        self._tokens = tokens
        self._server, self._served, self._keys, self._clock, self._quotas = server, served, keys, clock, quotas
        self._refresh: Sequence[Callable[[], None]] = ()
        served.on_change(self._changed)

    def elected(self, identity: str) -> Elected:
        """Return what runs them while this process leads; others may be on the same store. `identity`: no other has it."""
        client = LocalClient(self._server.api, _MANAGER, "leader-election")
        election = Election(
            client,
            self._clock,
            name=_LEASE,
            namespace=_NAMESPACE,
            identity=f"{socket.gethostname()}_{identity}",
        )
        return Elected(election, self.make)

    def make(self) -> list[Controller]:
        """Return new ones, in the order in which they are started."""
        client, own = self._client, LocalClient(self._server.api, _SERVER, "sampan")
        garbage = GarbageCollector(client("generic-garbage-collector"), self._owned, self._of_kind)
        services = ApiServices(own, self._versions, self._now)
        self._refresh = (garbage.refresh, services.refresh)
        return [
            ClusterRoleAggregation(client("clusterrole-aggregation-controller")),
            default_account(client("service-account-controller")),
            root_ca(client("root-ca-cert-publisher"), self._keys.ca.read_text()),
            NamespaceEnd(client("namespace-controller"), lambda: self._refs(namespaced=True), self._now),
            garbage,
            TtlAfterFinished(client("ttl-after-finished-controller"), self._clock),
            QuotaStatus(client("resourcequota-controller"), self._quotas),
            # as the one that makes all others' tokens, it is no service account itself
            TokenSecrets(
                LocalClient(self._server.api, _MANAGER, "tokens-controller"),
                self._tokens.issue,
                self._keys.ca.read_text(),
            ),
            CertificateRequests(client("certificate-controller"), Signer(self._keys, self._clock).sign, self._clock),
            ServiceCidrs(client("service-cidrs-controller"), self._now),
            IpAddresses(own),
            FlowSchemas(own, self._now),
            PolicyTypes(client("validatingadmissionpolicy-status-controller"), self._judged),
            services,
            *([self._pod_scheduler()] if self._scheduler_policy else []),
        ]

    def _pod_scheduler(self) -> Controller:
        from sampan.cmd import scheduling_policies  # numpy: 0.1 s, for those who want it
        from sampan.control.scheduler import PodScheduler

        client = LocalClient(self._server.api, _SCHEDULER, "kube-scheduler")
        try:
            profile = scheduling_policies.profile(self._scheduler_policy)
        except InvalidArgument as error:
            why = f"no pod is placed until the control process is started with a policy that can be used: {error}"
            _log.error(why)
            profile = scheduling_policies.refusing(why)
        return PodScheduler(client, self._clock, socket.gethostname(), profile, self._figures)

    def _judged(self, group: str, version: str, plural: str) -> Judged | None:
        found = self._served.find(group, version, plural)
        if found is None or found.node is None:
            return None
        return Judged(found.resource.api_version, found.resource.kind, found.node)

    def _client(self, name: str) -> LocalClient:
        return LocalClient(self._server.api, account(name), name, reader=_MANAGER)

    def _changed(self) -> None:
        for refresh in self._refresh:
            refresh()

    def _refs(self, *, namespaced: bool = False) -> list[Ref]:
        """Return what can be listed, watched and deleted; of namespaces only, or everything."""
        needed = {"list", "watch", "delete"}
        return [
            Ref(item.resource.group, item.resource.version, item.resource.plural, item.resource.namespaced)
            for item in self._served
            if needed <= set(item.resource.verbs)
            and not item.resource.storage
            and (item.resource.namespaced or not namespaced)
        ]

    def _owned(self) -> list[Ref]:
        """Return what may have owners. Events are many, and owned by nobody. Spec: the garbage collector's ignored resources."""
        return [ref for ref in self._refs() if ref.plural != "events" or ref.group]

    def _of_kind(self, api_version: str, kind: str) -> Ref | None:
        group, _, version = api_version.rpartition("/")
        found = self._served.by_kind(group, version, kind)
        return Ref(group, version, found.resource.plural, found.resource.namespaced) if found else None

    def _versions(self) -> Iterable[tuple[str, str, bool]]:
        return {(item.resource.group, item.resource.version, item.dynamic) for item in self._served}

    def _now(self) -> str:
        return rfc3339.render(self._clock.now_ns() // 10**9)
