"""apiextensions.k8s.io: CustomResourceDefinition. What its schemas mean is in `kube/crd/`.

Spec: Kubernetes documentation, "Extend the Kubernetes API with CustomResourceDefinitions".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sampan.kube import object as objects
from sampan.kube.fielderror import FieldError, forbidden, invalid, not_supported, required
from sampan.kube.kinds import check, names
from sampan.kube.object import Object, at, name
from sampan.kube.printing.jsonpath import Path
from sampan.kube.reading import flag, items, mapping, text, words
from sampan.kube.strategy import Strategy

_HTTPS_PORT = 443
_SCOPES = ("Cluster", "Namespaced")
_COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
_REVIEWS = ("v1", "v1beta1")
_APPROVED = "api-approved.kubernetes.io"


# --- defaults ---------------------------------------------------------------------------------------------------------


def _default(obj: Object) -> None:
    spec = at(obj, "spec")
    if not isinstance(spec, dict):
        return
    found, kind = spec.get("names"), text(spec, "names", "kind")
    if isinstance(found, dict) and kind:
        found["singular"] = found.get("singular") or kind.lower()
        found["listKind"] = found.get("listKind") or f"{kind}List"
    if spec.get("conversion") is None:
        spec["conversion"] = {"strategy": "None"}
    service = at(spec, "conversion", "webhook", "clientConfig", "service")
    if isinstance(service, dict) and service.get("port") is None:
        service["port"] = _HTTPS_PORT


def _prepare_create(obj: Object) -> None:
    obj["status"] = {"conditions": [], "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": []}
    _remember_storage(obj)


def _prepare_update(new: Object, old: Object) -> None:
    """A status is copied before it grows: the old object has it too."""
    new["status"] = dict(mapping(new, "status"))
    _remember_storage(new)


def _remember_storage(obj: Object) -> None:
    """Tell in which versions objects may be kept: the storage version, and those that were it before."""
    stored = words(obj, "status", "storedVersions")
    current = [text(version, "name") for version in items(obj, "spec", "versions") if flag(version, "storage")]
    obj["status"]["storedVersions"] = [*stored, *(version for version in current if version not in stored)]


# --- validation -------------------------------------------------------------------------------------------------------


def _validate(obj: Object) -> list[FieldError]:
    spec = mapping(obj, "spec")
    faults = []
    if name(obj) != f"{text(spec, 'names', 'plural')}.{text(spec, 'group')}":
        faults.append(invalid("metadata.name", name(obj), 'must be spec.names.plural+"."+spec.group'))
    faults += _group(text(spec, "group"))
    faults += _scope(text(spec, "scope"))
    faults += _versions(items(spec, "versions"))
    faults += _names("spec.names", mapping(spec, "names"))
    if flag(spec, "preserveUnknownFields"):
        why = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        faults.append(invalid("spec.preserveUnknownFields", value=True, detail=why))
    return [*faults, *_conversion("spec.conversion", mapping(spec, "conversion"))]


def _group(group: str) -> Iterator[FieldError]:
    faults = list(check.required_name("spec.group", group, names.dns_subdomain))
    if not faults and "." not in group:
        faults = [invalid("spec.group", group, "should be a domain with at least one dot")]
    yield from faults


def _approval(obj: Object) -> FieldError | None:
    """Judge whether a definition may use one of Kubernetes' own groups. Spec: KEP 2337, api-approved.kubernetes.io."""
    group = text(obj, "spec", "group")
    if not any(group == own or group.endswith(f".{own}") for own in ("k8s.io", "kubernetes.io")):
        return None
    said, path = objects.annotations(obj).get(_APPROVED), f"metadata.annotations[{_APPROVED}]"
    see = "see https://github.com/kubernetes/enhancements/pull/1111"
    if not said:
        return required(path, f'protected groups must have approval annotation "{_APPROVED}", {see}')
    if said.startswith("unapproved") or re.match(r"https?://[^/]+/.", said):
        return None
    why = (
        f'protected groups must have approval annotation "{_APPROVED}" with either a URL or a reason starting with '
        f'"unapproved", {see}'
    )
    return invalid(path, said, why)


def _validate_create(obj: Object) -> list[FieldError]:
    return [fault] if (fault := _approval(obj)) is not None else []


def _scope(scope: str) -> Iterator[FieldError]:
    if not scope:
        yield required("spec.scope")
    else:
        yield from check.one_of("spec.scope", scope, _SCOPES)


def _versions(versions: list[Object]) -> Iterator[FieldError]:
    found = [text(version, "name") for version in versions]
    if len(set(found)) != len(found):
        yield invalid("spec.versions", versions, "must contain unique version names")
    if sum(flag(version, "storage") for version in versions) != 1:
        yield invalid("spec.versions", versions, "must have exactly one version marked as storage version")
    for index, version in enumerate(versions):
        yield from _version(f"spec.versions[{index}]", version)


def _version(path: str, version: Object) -> Iterator[FieldError]:
    yield from check.name(f"{path}.name", text(version, "name"), names.dns_1035_label)
    schema = at(version, "schema", "openAPIV3Schema")
    if not isinstance(schema, dict):
        yield required(f"{path}.schema.openAPIV3Schema", "schemas are required")
    elif schema.get("type") != "object":
        yield _root_type(f"{path}.schema.openAPIV3Schema.type", schema.get("type"))
    else:
        from sampan.kube.crd import schema as schemas  # with CEL; only where a definition is written

        yield from schemas.faults(f"{path}.schema.openAPIV3Schema", schema)
    for index, column in enumerate(items(version, "additionalPrinterColumns")):
        yield from _column(f"{path}.additionalPrinterColumns[{index}]", column)
    scale = at(version, "subresources", "scale")
    if scale is not None:
        yield from _scale(f"{path}.subresources.scale", scale)


def _root_type(path: str, type_: Any) -> FieldError:
    if not type_:
        return required(path, "must not be empty at the root")
    return invalid(path, type_, 'must be "object" at the root')


def _column(path: str, column: Object) -> Iterator[FieldError]:
    for field in ("name", "jsonPath"):
        if not text(column, field):
            yield required(f"{path}.{field}")
    try:
        Path(text(column, "jsonPath"))
    except ValueError as error:
        yield invalid(f"{path}.jsonPath", text(column, "jsonPath"), str(error))
    if not text(column, "type"):
        yield required(f"{path}.type", f"must be one of {','.join(_COLUMN_TYPES)}")
    elif text(column, "type") not in _COLUMN_TYPES:
        yield invalid(f"{path}.type", text(column, "type"), f"must be one of {','.join(_COLUMN_TYPES)}")


def _scale(path: str, scale: Any) -> Iterator[FieldError]:
    for field, root in (("specReplicasPath", ".spec."), ("statusReplicasPath", ".status.")):
        if not text(scale, field):
            yield required(f"{path}.{field}")
        elif not text(scale, field).startswith(root):
            yield invalid(f"{path}.{field}", text(scale, field), f"should be a json path under {root[:-1]}")
    selector = text(scale, "labelSelectorPath")
    if selector and not selector.startswith((".spec.", ".status.")):
        yield invalid(f"{path}.labelSelectorPath", selector, "should be a json path under either .status or .spec")


def _names(path: str, found: Object) -> Iterator[FieldError]:
    for field in ("plural", "singular"):
        yield from check.required_name(f"{path}.{field}", text(found, field), names.dns_1035_label)
    for field in ("kind", "listKind"):
        value = text(found, field)
        for fault in check.required_name(f"{path}.{field}", value.lower(), names.dns_1035_label):
            mixed = f"may have mixed case, but should otherwise match: {fault.detail}" if value else ""
            yield fault._replace(value=value, detail=mixed)
    if text(found, "kind") and found.get("kind") == found.get("listKind"):
        yield invalid(f"{path}.listKind", found["listKind"], "kind and listKind may not be the same")
    for field in ("shortNames", "categories"):
        for index, value in enumerate(words(found, field)):
            yield from check.name(f"{path}.{field}[{index}]", value, names.dns_1035_label)


def _conversion(path: str, conversion: Object) -> Iterator[FieldError]:
    strategy, webhook = text(conversion, "strategy"), conversion.get("webhook")
    if not strategy:
        yield required(f"{path}.strategy")
    elif strategy not in ("None", "Webhook"):
        yield not_supported(f"{path}.strategy", strategy, ("None", "Webhook"))
    elif strategy == "None" and webhook is not None:
        yield forbidden(f"{path}.webhook", "should not be set when strategy is not set to Webhook")
    elif strategy == "Webhook" and webhook is None:
        yield required(f"{path}.webhook", "required when strategy is set to Webhook")
    elif strategy == "Webhook":
        yield from _webhook(f"{path}.webhook", webhook)


def _webhook(path: str, webhook: Any) -> Iterator[FieldError]:
    yield from check.client_config(f"{path}.clientConfig", at(webhook, "clientConfig"))
    versions = words(webhook, "conversionReviewVersions")
    if not versions:
        yield required(f"{path}.conversionReviewVersions")
    elif not set(versions) & set(_REVIEWS):
        why = f"must include at least one of {', '.join(_REVIEWS)}"
        yield invalid(f"{path}.conversionReviewVersions", versions, why)


def _validate_update(new: Object, old: Object) -> list[FieldError]:
    faults = check.immutable("spec.group", "spec.names.plural")(new, old)
    if (fault := _approval(new)) is not None and _approval(old) is None:
        faults.append(fault)
    if any(
        each.get("type") == "Established" and each.get("status") == "True"
        for each in items(old, "status", "conditions")
    ):
        faults += check.immutable("spec.scope", "spec.names.kind")(new, old)
    return [*faults, *_stored_versions(new)]


def _stored_versions(obj: Object) -> Iterator[FieldError]:
    known = {text(version, "name") for version in items(obj, "spec", "versions")}
    for index, version in enumerate(words(obj, "status", "storedVersions")):
        if version not in known:
            yield invalid(f"status.storedVersions[{index}]", version, "must appear in spec.versions")


def _validate_status(new: Object, old: Object) -> list[FieldError]:
    faults = list(_stored_versions(new))
    if not words(new, "status", "storedVersions"):
        faults.append(invalid("status.storedVersions", [], "must have at least one stored version"))
    return faults


STRATEGIES: dict[str, Strategy] = {
    "CustomResourceDefinition": Strategy(
        default=_default,
        prepare_create=_prepare_create,
        prepare_update=_prepare_update,
        validate=_validate,
        validate_create=_validate_create,
        validate_update=_validate_update,
        validate_status=_validate_status,
        has_status=True,
        has_generation=True,
        update_names_version=True,
    ),
}
