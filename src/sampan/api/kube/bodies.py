"""Bodies: a request's body into an object of the resource it was sent to, and what is said about fields nobody knows."""

from __future__ import annotations

from sampan.api.kube.call import Call
from sampan.api.kube.served import Served
from sampan.kube import decoding, status
from sampan.kube import object as objects
from sampan.kube.object import Object
from sampan.kube.schema import check, structural


def decode(call: Call) -> Object:
    """Return the body as an object of the served version, checked against its schema.

    Raises:
        ApiError: 400, it is no such object, or has unknown or duplicate fields and validation is Strict; 415.
    """
    decoded = decoding.decode(
        call.request.body,
        call.request.headers.get("content-type", ""),
        strict_duplicates=call.validation != "Ignore",
    )
    obj = decoded.object
    identify(call.served, obj)
    judge(call, obj, decoded.duplicates)
    return obj


def identify(served: Served, obj: Object) -> None:
    """Fill in apiVersion and kind where they are left out; refuse others than the resource's."""
    resource = served.resource
    version, kind = obj.get("apiVersion"), obj.get("kind")
    if version and kind and (version, kind) != (resource.api_version, resource.kind):
        if version != resource.api_version and kind == resource.kind:
            raise status.bad_request(
                f"the API version in the data ({version}) does not match the expected API version ({resource.api_version})"
            )
        raise status.bad_request(
            f"the object provided is unrecognized (must be of type {resource.kind}): "
            f'it says apiVersion "{version}", kind "{kind}"'
        )
    obj["apiVersion"], obj["kind"] = resource.api_version, resource.kind
    if not isinstance(obj.setdefault("metadata", {}), dict):
        raise status.bad_request(
            f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: '
            "metadata is no object"
        )


def judge(call: Call, obj: Object, duplicates: list[str]) -> None:
    """Check an object against its schema: wrong types are refused, unknown fields by the request's validation."""
    resource = call.served.resource
    try:
        unknown = unknown_fields(call.served, obj)
    except check.WrongType as error:
        raise status.bad_request(
            f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: {error}'
        ) from error
    faults = [*duplicates, *unknown]
    if faults and call.validation == "Strict":
        raise status.bad_request(
            f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: '
            f"strict decoding error: {', '.join(faults)}"
        )
    if call.validation == "Warn":
        call.warnings.extend(faults)


def unknown_fields(served: Served, obj: Object) -> list[str]:
    """Check an object against its schema; returns what is said of fields that it does not know.

    Custom resources lose such fields; what is of a wrong type in them is told by their validation.

    Raises:
        WrongType
    """
    if served.node is None:
        return []
    if not served.dynamic:
        return check.check(served.node, obj)
    metadata = served.node.properties.get("metadata")
    unknown = check.check(metadata, obj["metadata"]) if metadata is not None else []
    return [*(fault.replace('"', '"metadata.', 1) for fault in unknown), *structural.prune(served.node, obj)]


def place(call: Call, obj: Object) -> None:
    """Put the object into the namespace of the URL; refuse another one, or another name.

    Raises:
        ApiError: 400
    """
    metadata, target = objects.metadata(obj), call.target
    if call.served.resource.namespaced:
        if metadata.get("namespace") not in (None, "", target.namespace):
            raise status.bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        metadata["namespace"] = target.namespace
    else:
        metadata.pop("namespace", None)
    if target.name:
        if metadata.get("name") not in (None, "", target.name):
            raise status.bad_request(
                f"the name of the object ({metadata.get('name')}) does not match the name on the URL ({target.name})"
            )
        metadata["name"] = target.name
