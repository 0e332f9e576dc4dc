"""apps/v1: Deployment, ReplicaSet, StatefulSet, DaemonSet, ControllerRevision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sampan.kube.fielderror import FieldError, forbidden, invalid, required
from sampan.kube.kinds import check, names, podspec
from sampan.kube.object import Object, at, metadata, spec_of
from sampan.kube.reading import items, number, text
from sampan.kube.selector import SelectorError, of_object
from sampan.kube.strategy import Strategy

_STATEFUL = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
_STATEFUL_FREE = {
    "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit", "minReadySeconds",
    "persistentVolumeClaimRetentionPolicy",
}  # fmt: skip


def _default_deployment(obj: Object) -> None:
    spec = spec_of(obj)
    spec.setdefault("replicas", 1)
    strategy = spec.setdefault("strategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)
    podspec.default_template(spec.get("template"))


def _default_replica_set(obj: Object) -> None:
    spec = spec_of(obj)
    spec.setdefault("replicas", 1)
    podspec.default_template(spec.get("template"))


def _default_stateful_set(obj: Object) -> None:
    spec = spec_of(obj)
    spec.setdefault("replicas", 1)
    spec.setdefault("podManagementPolicy", "OrderedReady")
    strategy = spec.setdefault("updateStrategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        strategy.setdefault("rollingUpdate", {}).setdefault("partition", 0)
    retention = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
    retention.setdefault("whenDeleted", "Retain")
    retention.setdefault("whenScaled", "Retain")
    spec.setdefault("revisionHistoryLimit", 10)
    podspec.default_template(spec.get("template"))
    for claim in spec.get("volumeClaimTemplates") or ():
        if isinstance(claim, dict):
            claim.setdefault("apiVersion", "v1")
            claim.setdefault("kind", "PersistentVolumeClaim")
            claim.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
            claim.setdefault("status", {"phase": "Pending"})


def _default_daemon_set(obj: Object) -> None:
    spec = spec_of(obj)
    strategy = spec.setdefault("updateStrategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", 1)
        rolling.setdefault("maxSurge", 0)
    spec.setdefault("revisionHistoryLimit", 10)
    podspec.default_template(spec.get("template"))


def workload(obj: Object, *, restart: tuple[str, ...] = ("Always",)) -> Iterator[FieldError]:
    """Return the faults of a spec with `selector` and `template`."""
    spec = obj.get("spec") or {}
    for key in ("replicas", "minReadySeconds", "revisionHistoryLimit"):
        if (spec.get(key) or 0) < 0:
            yield invalid(f"spec.{key}", spec[key], "must be greater than or equal to 0")
    selector = spec.get("selector")
    template = spec.get("template")
    if not isinstance(selector, dict):
        yield required("spec.selector")
    else:
        yield from check.label_selector("spec.selector", selector)
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            yield invalid("spec.selector", selector, "empty selector is invalid for deployment")
    if not isinstance(template, dict):
        yield required("spec.template")
        return
    if isinstance(selector, dict):
        labels = at(template, "metadata", "labels") or {}
        try:
            fits = of_object(selector).matches(labels)
        except SelectorError:
            fits = True  # said above
        if not fits:
            yield invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")
    claims = [text(claim, "metadata", "name") for claim in items(spec, "volumeClaimTemplates")]
    yield from podspec.validate_template(template, "spec.template", restart=restart, claims=claims)
    if at(template, "spec", "activeDeadlineSeconds") is not None:
        why = "activeDeadlineSeconds in ReplicaSet is not Supported"
        yield forbidden("spec.template.spec.activeDeadlineSeconds", why)


def _share(value: Any) -> bool:
    if isinstance(value, str):
        return value.endswith("%") and value[:-1].isdecimal()
    return isinstance(value, int) and value >= 0


def _at_most_all(path: str, value: Any) -> Iterator[FieldError]:
    if isinstance(value, str) and value[:-1].isdecimal() and int(value[:-1]) > 100:
        yield invalid(path, value, "must not be greater than 100%")


def _validate_deployment(obj: Object) -> list[FieldError]:
    faults = [*workload(obj)]
    strategy = at(obj, "spec", "strategy") or {}
    faults += check.one_of("spec.strategy.type", strategy.get("type"), ("Recreate", "RollingUpdate"))
    rolling = strategy.get("rollingUpdate")
    if strategy.get("type") == "Recreate" and rolling is not None:
        why = "may not be specified when strategy `type` is 'Recreate'"
        faults.append(forbidden("spec.strategy.rollingUpdate", why))
    elif isinstance(rolling, dict):
        for key in ("maxUnavailable", "maxSurge"):
            if not _share(rolling.get(key)):
                why = "a valid percent string must be a numeric string followed by an ending '%'"
                faults.append(invalid(f"spec.strategy.rollingUpdate.{key}", rolling.get(key), why))
        faults += _at_most_all("spec.strategy.rollingUpdate.maxUnavailable", rolling.get("maxUnavailable"))
        if all(rolling.get(key) in (0, "0%") for key in ("maxUnavailable", "maxSurge")):
            why = "may not be 0 when `maxSurge` is 0"
            faults.append(invalid("spec.strategy.rollingUpdate.maxUnavailable", rolling["maxUnavailable"], why))
    deadline, ready = at(obj, "spec", "progressDeadlineSeconds"), at(obj, "spec", "minReadySeconds") or 0
    if isinstance(deadline, int) and deadline <= ready:
        faults.append(invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds"))
    return faults


def _validate_stateful_set(obj: Object) -> list[FieldError]:
    faults = [*workload(obj)]
    policies = ("OrderedReady", "Parallel")
    faults += check.one_of("spec.podManagementPolicy", at(obj, "spec", "podManagementPolicy"), policies)
    kind, rolling = (at(obj, "spec", "updateStrategy", key) for key in ("type", "rollingUpdate"))
    faults += check.one_of("spec.updateStrategy.type", kind, ("RollingUpdate", "OnDelete"))
    if kind == "OnDelete" and rolling is not None:
        why = "only allowed for updateStrategy 'RollingUpdate'"
        faults.append(invalid("spec.updateStrategy.rollingUpdate", rolling, why))
    for path in ("updateStrategy.rollingUpdate.partition", "ordinals.start"):
        if (value := number(obj, "spec", *path.split("."))) < 0:
            faults.append(invalid(f"spec.{path}", value, "must be greater than or equal to 0"))
    for key in ("whenDeleted", "whenScaled"):
        said = at(obj, "spec", "persistentVolumeClaimRetentionPolicy", key)
        path = f"spec.persistentVolumeClaimRetentionPolicy.{key}"
        faults += check.optional(path, said, ("Delete", "Retain"))
    return faults


def _new_stateful_set(obj: Object) -> list[FieldError]:
    name = text(obj, "spec", "serviceName")
    return [*check.name("spec.serviceName", name, names.dns_label)] if name else []


def _validate_stateful_update(new: Object, old: Object) -> list[FieldError]:
    after = {key: value for key, value in (new.get("spec") or {}).items() if key not in _STATEFUL_FREE}
    before = {key: value for key, value in (old.get("spec") or {}).items() if key not in _STATEFUL_FREE}
    return [] if after == before else [forbidden("spec", _STATEFUL)]


def _validate_daemon_set(obj: Object) -> list[FieldError]:
    kind, path = at(obj, "spec", "updateStrategy", "type"), "spec.updateStrategy.rollingUpdate"
    faults = [*workload(obj), *check.one_of("spec.updateStrategy.type", kind, ("RollingUpdate", "OnDelete"))]
    rolling = at(obj, "spec", "updateStrategy", "rollingUpdate")
    if kind == "RollingUpdate" and isinstance(rolling, dict):
        least, more = (rolling.get(key) not in (None, 0, "0%") for key in ("maxUnavailable", "maxSurge"))
        if not least and not more:
            faults.append(required(f"{path}.maxUnavailable", "cannot be 0 when maxSurge is 0"))
        if least and more:
            why = "may not be set when maxUnavailable is non-zero"
            faults.append(invalid(f"{path}.maxSurge", rolling["maxSurge"], why))
        for key in ("maxUnavailable", "maxSurge"):
            faults += _at_most_all(f"{path}.{key}", rolling.get(key))
    return faults


def _plain(obj: Object) -> list[FieldError]:
    return [*workload(obj)]


def _status(**counts: int) -> Callable[[Object], None]:
    return lambda obj: obj.__setitem__("status", dict(counts))


def _deprecate_template_generation(obj: Object) -> None:
    obj["status"] = dict.fromkeys(
        ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady"), 0
    )
    annotations = metadata(obj).setdefault("annotations", {})
    annotations.setdefault("deprecated.daemonset.template.generation", "1")


def _count_template_generation(new: Object, old: Object) -> None:
    """Count the generations of a daemon set's template, which old controllers still read."""
    key = "deprecated.daemonset.template.generation"
    before = str((metadata(old).get("annotations") or {}).get(key) or "1")
    changed = at(new, "spec", "template") != at(old, "spec", "template")
    number = int(before) + changed if before.isdecimal() else 1
    metadata(new).setdefault("annotations", {})[key] = str(number)


def _replicas(obj: Object) -> str:
    return str(at(obj, "status", "replicas") or 0)


_SELECTOR = check.immutable("spec.selector")


def _data_stays(new: Object, old: Object) -> list[FieldError]:
    return check.immutable("data")(new, old)


def _validate_revision(obj: Object) -> list[FieldError]:
    faults = [] if obj.get("data") is not None else [required("data", "data is mandatory")]
    if (obj.get("revision") or 0) < 0:
        faults.append(invalid("revision", obj["revision"], "must be greater than or equal to 0"))
    return faults


STRATEGIES: dict[str, Strategy] = {
    "ControllerRevision": Strategy(validate=_validate_revision, validate_update=_data_stays),
    "DaemonSet": Strategy(
        default=_default_daemon_set,
        prepare_create=_deprecate_template_generation,
        prepare_update=_count_template_generation,
        validate=_validate_daemon_set,
        validate_update=_SELECTOR,
        has_status=True,
        has_generation=True,
    ),
    "Deployment": Strategy(
        default=_default_deployment,
        prepare_create=_status(),
        validate=_validate_deployment,
        validate_update=_SELECTOR,
        has_status=True,
        has_generation=True,
    ),
    "ReplicaSet": Strategy(
        default=_default_replica_set,
        prepare_create=_status(replicas=0),
        validate=_plain,
        validate_update=_SELECTOR,
        fields={"status.replicas": _replicas},
        has_status=True,
        has_generation=True,
    ),
    "StatefulSet": Strategy(
        default=_default_stateful_set,
        prepare_create=_status(replicas=0, availableReplicas=0),
        validate=_validate_stateful_set,
        validate_create=_new_stateful_set,
        validate_update=_validate_stateful_update,
        has_status=True,
        has_generation=True,
    ),
}
