"""patch: JSON patch, merge patch, strategic merge patch and server-side apply.

Spec: Kubernetes API concepts, "Patch"; RFC 6902, RFC 7386; "Server-Side Apply".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from sampan.api.kube import bodies
from sampan.api.kube.call import Call, invalid_option
from sampan.api.kube.request import Response
from sampan.api.kube.writes import Change, Make, Writes
from sampan.kube import decoding, fielderror, status
from sampan.kube import object as objects
from sampan.kube.apply import apply
from sampan.kube.object import Object
from sampan.kube.patch import json as json_patch
from sampan.kube.patch import merge as merge_patch
from sampan.kube.patch import strategic as strategic_patch
from sampan.kube.schema import check

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_YAML = "application/apply-patch+yaml"
APPLY_CBOR = "application/apply-patch+cbor"


class Patches:
    """The verb patch."""

    def __init__(self, writes: Writes) -> None:
        self._writes = writes

    async def patch(self, call: Call, subresource: str = "") -> Response:
        """Change an object by the body.

        Raises:
            ApiError: 415, of a media type that is no patch; 400 or 422, it cannot be applied; 409.
        """
        media = call.request.headers.get("content-type", "").partition(";")[0].strip()
        if media == APPLY_YAML:
            return await self._apply(call, subresource)
        if "force" in call.request.parameters and call.request.flag("force"):
            raise invalid_option("force", True, "may not be specified for non-apply patch")
        change = Change(self._maker(call, media), subresource=subresource, again=True)
        return await self._writes.answer(call, await self._writes.change(call, change))

    def _maker(self, call: Call, media: str) -> Make:
        """Return what a body does to a live object."""
        served, body = call.served, call.request.body
        if media == JSON_PATCH:
            operations = json_patch.parse(body)
            change: Callable[[Object], Object] = lambda live: json_patch.apply(live, operations)  # noqa: E731
        elif media == MERGE_PATCH:
            merged = _patch_of(body)
            change = lambda live: merge_patch.apply(live, merged)  # noqa: E731
        elif media == STRATEGIC_PATCH and served.node is not None and not served.dynamic:
            strategic = _patch_of(body)
            change = lambda live: strategic_patch.apply(served.node, live, strategic)  # noqa: E731
        else:
            offered = [JSON_PATCH, MERGE_PATCH, *([] if served.dynamic else [STRATEGIC_PATCH]), APPLY_YAML]
            raise status.unsupported_media_type(
                "the body of the request was in an unknown format - accepted media types include: " + ", ".join(offered)
            )

        async def make(live: Object) -> Object:
            there = _unknown_before(call, live)
            new = change(live)
            if media == JSON_PATCH:  # its operations can nest what they find
                decoding.shallow(new)
            return self._checked(call, new, there)

        return make

    def _checked(self, call: Call, new: Any, there: set[str]) -> Object:
        """Judge what came out of a patch; `there`: what was said of unknown fields before."""
        resource = call.served.resource
        if not isinstance(new, dict) or not isinstance(new.get("metadata"), dict):
            raise status.bad_request(f"the patch leaves no {resource.kind}")
        bodies.identify(call.served, new)
        if objects.name(new) != call.target.name:
            raise status.bad_request(
                f"the name of the object ({objects.name(new)}) does not match the name on the URL ({call.target.name})"
            )
        faults = [fault for fault in _unknown(call, new) if fault not in there]
        if faults and call.validation == "Strict":
            fault = fielderror.invalid(
                "patch", call.request.body.decode(errors="replace"), f"strict decoding error: {', '.join(faults)}"
            )
            raise status.invalid("", "", "", [fault])
        if call.validation == "Warn":
            call.warnings.extend(faults)
        return new

    async def _apply(self, call: Call, subresource: str) -> Response:
        if not call.request.parameter("fieldManager"):
            raise invalid_option("fieldManager", "", "is required for apply patch")
        decoded = decoding.decode(call.request.body, "application/yaml", strict_duplicates=call.validation != "Ignore")
        config = decoded.object
        bodies.identify(call.served, config)
        bodies.place(call, config)
        if decoded.duplicates and call.validation == "Strict":
            raise status.bad_request(f"strict decoding error: {', '.join(decoded.duplicates)}")
        served, body = call.served, msgspec.json.encode(config)
        _typed(call, msgspec.json.decode(body, type=Object))

        def applied(live: Object | None) -> Object:
            merged = apply(
                served.node,
                live,
                msgspec.json.decode(body, type=Object),
                call.manager,
                self._writes.now(),
                force=call.request.flag("force"),
                subresource=subresource,
                api_version=served.resource.api_version,
                ignored=("status",) if served.strategy.has_status and not subresource else (),
            )
            _typed(call, merged)
            return merged

        async def make(live: Object) -> Object:
            return applied(live)

        async def create() -> Object:
            if objects.resource_version(config) not in ("", "0"):
                raise call.conflict("the object does not exist, and the configuration names a resourceVersion")
            return applied(None)

        change = Change(
            make,
            subresource=subresource,
            again=objects.resource_version(config) in ("", "0"),
            own=False,
            create=None if subresource else create,
        )
        return await self._writes.answer(call, await self._writes.change(call, change))


def _patch_of(body: bytes) -> Object:
    return decoding.decode(
        body, decoding.YAML if body[:1] not in (b"{", b" ") else decoding.JSON, strict_duplicates=False
    ).object


def _typed(call: Call, obj: Object) -> None:
    """Refuse a configuration whose values are of other types than their fields; bring the others into their canonical form."""
    resource = call.served.resource
    try:
        bodies.unknown_fields(call.served, obj)
    except check.WrongType as error:
        about = f"{call.target.namespace}/{call.target.name}; {resource.api_version}, Kind={resource.kind}"
        raise status.bad_request(f"failed to create typed patch object ({about}): {error}") from error


def _unknown_before(call: Call, live: Object) -> set[str]:
    """Return what is said of fields of a live object that nobody knows: no patch is to blame for them."""
    try:
        return set(bodies.unknown_fields(call.served, live)) if call.validation != "Ignore" else set()
    except check.WrongType:
        return set()


def _unknown(call: Call, new: Object) -> list[str]:
    resource = call.served.resource
    try:
        return bodies.unknown_fields(call.served, new)
    except check.WrongType as error:
        raise status.invalid(
            resource.kind, resource.group, objects.name(new), [fielderror.invalid("patch", None, str(error))]
        ) from error
