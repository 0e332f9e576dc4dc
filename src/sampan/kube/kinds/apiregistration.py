"""apiregistration.k8s.io: APIService."""

from __future__ import annotations

from sampan.kube.fielderror import FieldError, invalid, required
from sampan.kube.kinds import check, names
from sampan.kube.object import Object, at, name
from sampan.kube.reading import flag, items, mapping, number, text
from sampan.kube.strategy import Strategy

_HTTPS_PORT = 443


def _default(obj: Object) -> None:
    service = at(obj, "spec", "service")
    if isinstance(service, dict) and service.get("port") is None:
        service["port"] = _HTTPS_PORT


def _validate(obj: Object) -> list[FieldError]:
    spec = mapping(obj, "spec")
    group, version = text(spec, "group"), text(spec, "version")
    faults = []
    if name(obj) != (wanted := f"{version}.{group}"):
        faults.append(invalid("metadata.name", name(obj), f'must be `spec.version+"."+spec.group`: "{wanted}"'))
    if group:
        faults += check.name("spec.group", group, names.dns_subdomain)
    elif version != "v1":
        faults.append(required("spec.group", "only v1 may have an empty group and it better be legacy kube"))
    faults += check.name("spec.version", version, names.dns_1035_label)
    for field, most in (("groupPriorityMinimum", 20000), ("versionPriority", 1000)):
        if not 0 < number(spec, field) <= most:
            faults.append(invalid(f"spec.{field}", number(spec, field), f"must be positive and less than {most}"))
    return [*faults, *(_service(spec) if spec.get("service") is not None else _local(spec))]


def _local(spec: Object) -> list[FieldError]:
    faults = []
    if bundle := text(spec, "caBundle"):
        faults.append(invalid("spec.caBundle", f"{len(bundle)} bytes", "local APIServices may not have a caBundle"))
    if flag(spec, "insecureSkipTLSVerify"):
        why = "local APIServices may not have insecureSkipTLSVerify"
        faults.append(invalid("spec.insecureSkipTLSVerify", value=True, detail=why))
    return faults


def _service(spec: Object) -> list[FieldError]:
    faults = [required(f"spec.service.{field}") for field in ("namespace", "name") if not text(spec, "service", field)]
    port = number(spec, "service", "port")
    if not 1 <= port <= 65535:
        why = "port is not valid: must be between 1 and 65535, inclusive"
        faults.append(invalid("spec.service.port", port, why))
    if flag(spec, "insecureSkipTLSVerify") and text(spec, "caBundle"):
        why = "may not be true if caBundle is present"
        faults.append(invalid("spec.insecureSkipTLSVerify", value=True, detail=why))
    return faults


def _validate_status(new: Object, old: Object) -> list[FieldError]:
    return [
        fault
        for index, condition in enumerate(items(new, "status", "conditions"))
        for fault in check.one_of(
            f"status.conditions[{index}].status", text(condition, "status"), ("True", "False", "Unknown")
        )
    ]


STRATEGIES: dict[str, Strategy] = {
    "APIService": Strategy(
        default=_default,
        validate=_validate,
        validate_status=_validate_status,
        validate_name=names.path_segment,
        has_status=True,
        update_names_version=True,
    ),
}
