"""node.k8s.io: RuntimeClass."""

from __future__ import annotations

from sampan.kube.fielderror import FieldError
from sampan.kube.kinds import check, names
from sampan.kube.object import Object, at
from sampan.kube.reading import mapping, text
from sampan.kube.strategy import Strategy


def _runtime_class(obj: Object) -> list[FieldError]:
    faults = list(check.name("handler", text(obj, "handler"), names.dns_label))
    for resource, value in mapping(obj, "overhead", "podFixed").items():
        faults += check.amount(f"overhead.limits[{resource}]", value)
    return [*faults, *check.labels("scheduling.nodeSelector", at(obj, "scheduling", "nodeSelector"))]


STRATEGIES: dict[str, Strategy] = {
    "RuntimeClass": Strategy(
        validate=_runtime_class,
        validate_update=check.immutable("handler"),
        update_creates=True,
        update_names_version=True,
    ),
}
