"""Answers: stored bytes into the form a client asked for. Plain JSON is joined, never decoded."""

from __future__ import annotations

import msgspec

from sampan.api.kube import warning
from sampan.api.kube.call import Call, invalid_option
from sampan.api.kube.negotiate import PARTIAL, PROTOBUF, TABLE, YAML
from sampan.api.kube.request import Response
from sampan.api.kube.served import Served
from sampan.base.clock import Clock
from sampan.kube import stored, yaml
from sampan.kube.object import Object
from sampan.kube.printing import table
from sampan.kube.protobuf import encode as protobuf
from sampan.store.kv.port import Item

_INCLUDES = (table.NONE, table.METADATA, table.OBJECT)
_encode = msgspec.json.Encoder().encode


def json(obj: Object, code: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    """Return an object that comes from no store."""
    return Response(code, _encode(obj), headers=headers)


def as_yaml(response: Response) -> Response:
    """Return an answer in JSON as YAML."""
    body = yaml.dump(msgspec.json.decode(response.body))
    return msgspec.structs.replace(response, body=body, content_type=YAML)


class Renderer:
    """Makes answers out of objects."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def item(self, call: Call, item: Item, code: int = 200) -> Response:
        """Return one stored object."""
        if not call.form.shape and not call.form.protobuf and call.served.conversion is None:
            return Response(code, stored.with_revision(item.value, item.mod_revision), headers=warnings(call))
        obj = stored.decode(item.value, item.mod_revision)
        [obj] = await served_version(call.served, [obj])
        return self.object(call, obj, code)

    def object(self, call: Call, obj: Object, code: int = 200) -> Response:
        """Return one object, in the served version."""
        if call.form.shape == TABLE:
            obj = self.table(call, [obj], {"resourceVersion": obj["metadata"].get("resourceVersion", "")})
        elif call.form.shape == PARTIAL:
            obj = table.partial(obj, call.form.version)
        elif call.form.protobuf:
            return Response(code, protobuf(obj), PROTOBUF, warnings(call))
        return json(obj, code, warnings(call))

    def table(self, call: Call, objects: list[Object], metadata: Object) -> Object:
        include = call.request.parameter("includeObject") or table.METADATA
        if include not in _INCLUDES:
            raise invalid_option("includeObject", include, f"supported values: {', '.join(_INCLUDES)}")
        return table.table(
            call.served.strategy.printer,
            objects,
            now_s=self._clock.now_ns() / 1e9,
            include_object=include,
            list_metadata=metadata,
            version=call.form.version,
        )

    async def list(self, call: Call, items: list[Item], metadata: Object) -> Response:
        """Return a list, in the form that was asked for."""
        served, form = call.served, call.form
        kind, version = served.resource.list_kind, served.resource.api_version
        if not form.shape and not form.protobuf and served.conversion is None:
            return Response(200, joined(kind, version, metadata, items), headers=warnings(call))
        objects = [stored.decode(item.value, item.mod_revision) for item in items]
        objects = await served_version(served, objects)
        if form.shape == TABLE:
            return json(self.table(call, objects, metadata), headers=warnings(call))
        if form.shape == PARTIAL:
            kind, version = "PartialObjectMetadataList", f"meta.k8s.io/{form.version}"
            objects = [table.partial(obj, form.version) for obj in objects]
        whole: Object = {"kind": kind, "apiVersion": version, "metadata": metadata, "items": objects}
        if form.protobuf:
            return Response(200, protobuf(whole), PROTOBUF, warnings(call))
        return json(whole, headers=warnings(call))


async def served_version(served: Served, objects: list[Object]) -> list[Object]:
    """Return stored objects in the version that is served."""
    return await served.conversion.from_storage(objects) if served.conversion else objects


def joined(kind: str, version: str, metadata: Object, items: list[Item]) -> bytes:
    """Return the JSON of a list."""
    head = b'{"kind":"%s","apiVersion":"%s","metadata":%s,"items":[' % (
        kind.encode(),
        version.encode(),
        _encode(metadata),
    )
    return head + b",".join([stored.with_revision(item.value, item.mod_revision) for item in items]) + b"]}"


def warnings(call: Call) -> tuple[tuple[str, str], ...]:
    """Return the Warning headers of an answer."""
    return warning.headers(call.warnings)
