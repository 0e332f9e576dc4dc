"""etcd's messages as classes of the protobuf runtime, made of the tables in `spec/etcd.py`: nothing generated is kept."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from sampan.spec import etcd

_PACKAGE = "sampan.etcd"
_SCALARS = {
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "string": FieldDescriptorProto.TYPE_STRING,
    "bool": FieldDescriptorProto.TYPE_BOOL,
    "int32": FieldDescriptorProto.TYPE_INT32,
    "int64": FieldDescriptorProto.TYPE_INT64,
    "uint64": FieldDescriptorProto.TYPE_UINT64,
}


def _classes() -> dict[str, Any]:
    described = FileDescriptorProto(name="sampan/etcd.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in etcd.MESSAGES.items():
        message = described.message_type.add(name=name)
        for field in filter(None, fields.split(", ")):
            number, label, kind = field.split()
            added = message.field.add(name=label, number=int(number), label=FieldDescriptorProto.LABEL_OPTIONAL)
            if kind.endswith("*"):
                added.label = FieldDescriptorProto.LABEL_REPEATED
            elif kind.endswith("?"):
                message.oneof_decl.add(name=f"of_{label}")
                added.oneof_index = len(message.oneof_decl) - 1
            kind = kind.rstrip("*?")
            if kind in _SCALARS:
                added.type = _SCALARS[kind]
            else:
                added.type, added.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
    pool = DescriptorPool()
    pool.Add(described)
    return {name: GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in etcd.MESSAGES}


message: dict[str, Any] = _classes()
"""Message's name -> its class."""
