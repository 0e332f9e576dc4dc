"""Named formats that a string can be checked against. Spec: Kubernetes CEL "format library"."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sampan.kube.cel.value import ABSENT, Native, Optional
from sampan.kube.kinds import names
from sampan.kube.schema import formats as schema_formats

_BY_NAME: Mapping[str, Callable[[str], str]] = {
    "dns1123Label": names.dns_label,
    "dns1123Subdomain": names.dns_subdomain,
    "dns1035Label": names.dns_1035_label,
    "qualifiedName": names.qualified_name,
    "labelValue": names.label_value,
    "uri": lambda text: schema_formats.fault("uri", text),
    "uuid": lambda text: schema_formats.fault("uuid", text),
    "byte": lambda text: schema_formats.fault("byte", text),
    "date": lambda text: schema_formats.fault("date", text),
    "datetime": lambda text: schema_formats.fault("date-time", text),
}


class FormatValue(Native):
    type_name = "kubernetes.NamedFormat"

    def __init__(self, judge: Callable[[str], str]) -> None:
        self.judge = judge


def _validate(value: FormatValue, text: str) -> Optional:
    fault = value.judge(text)
    return Optional(True, [fault]) if fault else ABSENT


def _prefix(judge: Callable[[str], str]) -> Callable[[str], str]:
    """A prefix of a name may end in a dash."""
    return lambda text: judge(f"{text}a" if text.endswith("-") else text)


def _made(judge: Callable[[str], str]) -> Callable[[], FormatValue]:
    return lambda: FormatValue(judge)


def _named(name: str) -> Optional:
    return Optional(True, FormatValue(_BY_NAME[name])) if name in _BY_NAME else ABSENT


FormatValue.methods = {"validate": _validate}
FORMAT_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "format.named": _named,
    **{f"format.{name}": _made(judge) for name, judge in _BY_NAME.items()},
    **{
        f"format.{name}Prefix": _made(_prefix(_BY_NAME[name]))
        for name in ("dns1123Label", "dns1123Subdomain", "dns1035Label")
    },
}
