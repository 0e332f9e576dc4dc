"""storagemigration.k8s.io: StorageVersionMigration. It is kept; what is stored is in its storage version already."""

from __future__ import annotations

from sampan.kube.fielderror import FieldError
from sampan.kube.kinds import check, names
from sampan.kube.object import Object
from sampan.kube.reading import text
from sampan.kube.strategy import Strategy


def _validate(obj: Object) -> list[FieldError]:
    path = "spec.resource"
    faults = list(
        check.required_name(f"{path}.resource", text(obj, "spec", "resource", "resource"), names.dns_1035_label)
    )
    if group := text(obj, "spec", "resource", "group"):
        faults += check.name(f"{path}.group", group, names.dns_subdomain)
    return faults


STRATEGIES: dict[str, Strategy] = {
    "StorageVersionMigration": Strategy(
        validate=_validate, validate_update=check.immutable("spec"), has_status=True, has_generation=True
    ),
}
