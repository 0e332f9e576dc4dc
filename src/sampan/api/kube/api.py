"""Api: the handler of every request: who asks, may they, what is named, which verb; and refusals as Status objects."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from sampan.api.kube import answers, paths
from sampan.api.kube.access import Attempt, Authenticator, Authorizer, Decision, denied
from sampan.api.kube.call import Call
from sampan.api.kube.deletes import Deletes
from sampan.api.kube.negotiate import negotiate
from sampan.api.kube.patches import Patches
from sampan.api.kube.paths import Target
from sampan.api.kube.reads import Reads, too_new
from sampan.api.kube.request import ANONYMOUS, Request, Response, User
from sampan.api.kube.served import Registry
from sampan.api.kube.subresources import Subresources
from sampan.api.kube.writes import Writes
from sampan.base import log
from sampan.base.clock import Clock
from sampan.base.errors import DataLoss, Exhausted, InvalidArgument, SampanError, Unavailable
from sampan.base.remember import of_short_texts
from sampan.kube import selector, status
from sampan.kube.resource import Resource
from sampan.store.kv.port import FutureRevision

_EVERYWHERE = ("list", "watch")
"""What can be done to all namespaces at once."""
_SELECTING = (*_EVERYWHERE, "deletecollection")
_NAMED = ("get", "update", "patch", "delete")
"""Verbs on one object; the others are on a collection. A watch may be on either."""

_WRITES = ("create", "update", "patch")
EVENTS = "/core/events/"
PRESSURE = 200
"""Writes under way, from which on events are not taken: what they tell of is in the objects as well."""

QUICK_BYTES = 16 * 1024
"""What is made into YAML at once takes 5 ms."""

_log = log.get("kube")

R = TypeVar("R", bound=Response | None)

Page = Callable[[Request], Awaitable[Response | None]]
"""Answers a path that names no resource; None where it has no such path."""


class Served(NamedTuple):
    """What is told about an answered request, to metrics and the audit log."""

    request: Request
    attempt: Attempt
    response: Response
    seconds: float
    decision: Decision | None
    """None: it was refused before."""


Observer = Callable[[Served], None]
"""Must be quick, and raise nothing."""


class Verbs(NamedTuple):
    """The verbs, each in a file of its own."""

    reads: Reads
    writes: Writes
    patches: Patches
    deletes: Deletes
    subresources: Subresources
    watch: Callable[[Call], Awaitable[Response]]


class Api:
    """Call `handle` on one event loop."""

    def __init__(
        self,
        registry: Registry,
        verbs: Verbs,
        authenticator: Authenticator,
        authorizer: Authorizer,
        clock: Clock,
        pages: Sequence[Page] = (),
        observers: Sequence[Observer] = (),
    ) -> None:
        """`pages`: tried in order for paths without a resource. `observers`: told of each answer."""
        self._registry = registry
        self._verbs = verbs
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._clock = clock
        self._pages = tuple(pages)
        self._observers = tuple(observers)
        self.running = {"mutating": 0, "readOnly": 0}
        """How many requests are being answered."""
        self._plain: Mapping[str, Callable[[Call], Awaitable[Response]]] = {
            "get": verbs.reads.get,
            "list": verbs.reads.list,
            "watch": verbs.watch,
            "create": verbs.writes.create,
            "update": verbs.writes.update,
            "patch": verbs.patches.patch,
            "delete": verbs.deletes.delete,
            "deletecollection": verbs.deletes.delete_collection,
        }

    async def handle(self, request: Request) -> Response:
        """Answer a request. Never raises: a refusal is a Status, a defect of ours is logged and is a 500."""
        return await self._handled(request, self._authenticator.authenticate)

    async def judge(self, request: Request) -> Response | None:
        """Return the refusal of a request of which only the head has come, None where its body is worth reading."""
        return await self._observed(request, self._authenticator.authenticate, _nothing_yet)

    async def handle_as(self, user: User, request: Request) -> Response:
        """Answer a request of this process itself, such as a controller's, as `user`; otherwise as `handle`."""

        async def known(_: Request) -> User:
            return user

        return await self._handled(request, known)

    async def _handled(self, request: Request, identify: Callable[[Request], Awaitable[User]]) -> Response:
        kind = "readOnly" if request.method in ("GET", "HEAD") else "mutating"
        self.running[kind] += 1
        try:
            return await self._observed(request, identify, self._answer)
        finally:
            self.running[kind] -= 1

    async def _observed(
        self,
        request: Request,
        identify: Callable[[Request], Awaitable[User]],
        answer: Callable[[Request, Target | None, Attempt], Awaitable[R]],
    ) -> Response | R:
        """Return what `answer` makes of a request that is allowed, or its refusal; observers are told of either."""
        began = self._clock.monotonic_s()
        target = _target(request.path)
        attempt = _attempt(request, target)
        decision = None
        try:
            request.user = await identify(request)
            attempt = attempt._replace(user=request.user)
            decision = self._authorizer.authorize(attempt)
            _require(attempt, decision)
            response: Response | R = await answer(request, target, attempt)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            response = refusal(error)
        if response is not None:
            for observer in self._observers:
                observer(Served(request, attempt, response, self._clock.monotonic_s() - began, decision))
        return response

    async def _answer(self, request: Request, target: Target | None, attempt: Attempt) -> Response:
        if target is None:
            return await self._page(request)
        served = self._registry.find(target.group, target.version, target.plural)
        if served is None:
            return await self._page(request)
        verb = attempt.verb
        _require_route(target, served.resource, verb)
        if self.running["mutating"] > PRESSURE and verb in _WRITES and served.resource.prefix == EVENTS:
            raise status.too_many_requests("events give way while many other writes are under way")

        def may(further: str) -> None:
            other = attempt._replace(verb=further)
            _require(other, self._authorizer.authorize(other))

        form = negotiate(request.headers.get("accept", ""), yaml=verb != "watch")
        call = Call(request, target, served, verb, form, may)
        response = await self._call(call)
        if not form.yaml:
            return response
        if len(response.body) <= QUICK_BYTES:
            return answers.as_yaml(response)
        return await asyncio.to_thread(answers.as_yaml, response)

    async def _call(self, call: Call) -> Response:
        if call.target.subresource:
            return await self._verbs.subresources.answer(call)
        if call.verb == "create" and (virtual := self._verbs.subresources.keeps_nothing(call)) is not None:
            return await self._verbs.subresources.virtual(call, virtual)
        return await self._plain[call.verb](call)

    async def _page(self, request: Request) -> Response:
        for page in self._pages:
            if (response := await page(request)) is not None:
                return response
        raise _no_such_path()


async def _nothing_yet(request: Request, target: Target | None, attempt: Attempt) -> None:
    """Answer a request of which only the head has come."""


def _require_route(target: Target, resource: Resource, verb: str) -> None:
    """Refuse a path or verb that the resource has not.

    A resource of the cluster has no path through a namespace: it would have been judged by the roles of that namespace.

    Raises:
        ApiError: 404, 405
    """
    if (
        not resource.namespaced
        and target.namespace
        and (target.plural, target.namespace) != ("namespaces", target.name)
    ):
        raise _no_such_path()
    if not verb or (not target.subresource and verb not in resource.verbs):
        raise status.method_not_allowed()
    if verb != "watch" and not target.subresource and bool(target.name) is not (verb in _NAMED):
        raise status.method_not_allowed()
    if resource.namespaced and not target.namespace and not target.name and verb not in _EVERYWHERE:
        raise status.method_not_allowed()
    if resource.namespaced and not target.namespace and target.name:
        raise _no_such_path()


def _no_such_path() -> status.ApiError:
    return status.ApiError(404, "NotFound", "the server could not find the requested resource", details={})


@of_short_texts(4096)
def _target(path: str) -> Target | None:
    return paths.parse(path)


def _require(attempt: Attempt, decision: Decision) -> None:
    if not decision.allowed:
        raise denied(attempt, decision.reason)


def _attempt(request: Request, target: Target | None) -> Attempt:
    if target is None:
        return Attempt(ANONYMOUS, request.method.lower(), path=request.path)
    watch = "watch" in request.query and request.flag("watch")
    verb = paths.verb(request.method, target, watch=watch) or request.method.lower()
    fields = request.parameter("fieldSelector") if verb in _SELECTING and "fieldSelector" in request.query else ""
    return Attempt(
        ANONYMOUS,
        verb,
        target.group,
        target.version,
        target.plural,
        target.subresource,
        target.namespace,
        target.name or (_named(fields) if fields and verb in _EVERYWHERE else ""),
        fields=fields,
    )


def _named(fields: str) -> str:
    """Return the one name that a field selector leaves: who may read one object by name may list just that one."""
    try:
        terms = selector.parse_fields(fields)
    except selector.SelectorError:
        return ""
    return next((term.value for term in terms if term.field == "metadata.name" and term.equal), "")


def refusal(error: Exception) -> Response:
    """Return the answer to a request that failed."""
    if not isinstance(error, status.ApiError):
        error = _as_api_error(error)
    answer = answers.json(error.status(), error.code, error.headers)
    answer.body += b"\n"  # as Go writes JSON; clients show the text as it comes
    return answer


def _as_api_error(error: Exception) -> status.ApiError:
    if isinstance(error, FutureRevision):
        return too_new(error)
    if isinstance(error, InvalidArgument):
        return status.bad_request(str(error))
    if isinstance(error, Exhausted):
        return status.ApiError(507, "InsufficientStorage", f"nothing was changed: {error}")
    if isinstance(error, Unavailable):
        return status.unavailable(str(error))
    if isinstance(error, DataLoss):
        _log.error("%s", error)
        return status.internal(str(error))
    if isinstance(error, SampanError):
        return status.internal(str(error))
    _log.error("a request failed by a defect of ours", exc_info=error)
    return status.internal("this is a defect of the server; its log has the details")
