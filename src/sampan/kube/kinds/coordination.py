"""coordination.k8s.io: Lease."""

from __future__ import annotations

from collections.abc import Iterator

from sampan.kube.fielderror import FieldError, forbidden, invalid
from sampan.kube.kinds import check, names
from sampan.kube.object import Object
from sampan.kube.reading import mapping, text
from sampan.kube.strategy import Strategy


def _lease(obj: Object) -> list[FieldError]:
    spec = mapping(obj, "spec")
    duration, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
    faults = []
    if isinstance(duration, int) and duration <= 0:
        faults.append(invalid("spec.leaseDurationSeconds", duration, "must be greater than 0"))
    if isinstance(transitions, int) and transitions < 0:
        faults.append(invalid("spec.leaseTransitions", transitions, "must be greater than or equal to 0"))
    if spec.get("strategy") is not None:
        faults += _strategy("spec.strategy", text(spec, "strategy"))
    if text(spec, "preferredHolder") and not text(spec, "strategy"):
        faults.append(forbidden("spec.preferredHolder", "may only be specified if `strategy` is defined"))
    return faults


def _strategy(path: str, strategy: str) -> Iterator[FieldError]:
    if "/" in strategy:
        return check.name(path, strategy, names.qualified_name)
    return check.one_of(path, strategy, ("OldestEmulationVersion",))


STRATEGIES: dict[str, Strategy] = {"Lease": Strategy(validate=_lease, update_creates=True, update_names_version=True)}
