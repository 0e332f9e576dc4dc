"""batch/v1: Job and CronJob."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sampan.kube.fielderror import FieldError, invalid, required
from sampan.kube.kinds import check, podspec
from sampan.kube.object import Object, at, metadata
from sampan.kube.reading import items, text
from sampan.kube.strategy import Strategy

CONTROLLER_UID = "batch.kubernetes.io/controller-uid"
JOB_NAME = "batch.kubernetes.io/job-name"
_RESTART = ("OnFailure", "Never")
_NAME_BYTES = 52
_PODS_STAY = (
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set "
    "propagationPolicy=Orphan to suppress this warning"
)
_MACROS = ("@annually", "@yearly", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_FIELD = re.compile(r"(\*|\?|[A-Za-z0-9]+(-[A-Za-z0-9]+)?)(/\d+)?(,(\*|[A-Za-z0-9]+(-[A-Za-z0-9]+)?)(/\d+)?)*")
_ZONE = re.compile(r"[A-Za-z._-][A-Za-z0-9._+-]{0,13}(/[A-Za-z._-][A-Za-z0-9._+-]{0,13})*")
_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


def _default_spec(spec: Any) -> None:
    if not isinstance(spec, dict):
        return
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = spec["parallelism"] = 1
    spec.setdefault("parallelism", 1)
    spec.setdefault("backoffLimit", 2**31 - 1 if spec.get("backoffLimitPerIndex") is not None else 6)
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    spec.setdefault("manualSelector", False)
    spec.setdefault("podReplacementPolicy", "Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed")
    podspec.default_template(spec.get("template"))


def _default_job(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    _default_spec(spec)
    labels = at(spec, "template", "metadata", "labels")
    meta = metadata(obj)
    if isinstance(labels, dict) and labels and not meta.get("labels"):
        meta["labels"] = dict(labels)


def _prepare_job(obj: Object) -> None:
    """Give the job a selector that only its own pods match."""
    obj["status"] = {}
    spec = obj["spec"]
    if spec.get("manualSelector"):
        return
    uid, name = metadata(obj).get("uid"), metadata(obj).get("name")
    template = spec.setdefault("template", {})
    labels = template.setdefault("metadata", {}).setdefault("labels", {}) or {}
    template["metadata"]["labels"] = labels
    labels |= {CONTROLLER_UID: uid, "controller-uid": uid, JOB_NAME: name, "job-name": name}
    spec.setdefault("selector", {}).setdefault("matchLabels", {})[CONTROLLER_UID] = uid


def _validate_job(obj: Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    faults = [*_validate_spec(spec, "spec")]
    labels = at(spec, "template", "metadata", "labels") or {}
    wanted = at(spec, "selector", "matchLabels") or {}
    if not spec.get("selector"):
        faults.append(required("spec.selector"))
    elif any(labels.get(key) != value for key, value in wanted.items()):
        faults.append(invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"))
    return faults


def _validate_spec(spec: Object, path: str) -> Iterator[FieldError]:
    for key in ("parallelism", "completions", "backoffLimit", "ttlSecondsAfterFinished", "backoffLimitPerIndex"):
        if isinstance(value := spec.get(key), int) and value < 0:
            yield invalid(f"{path}.{key}", value, "must be greater than or equal to 0")
    if isinstance(value := spec.get("activeDeadlineSeconds"), int) and value < 0:
        yield invalid(f"{path}.activeDeadlineSeconds", value, "must be greater than or equal to 0")
    yield from check.one_of(f"{path}.completionMode", spec.get("completionMode"), ("Indexed", "NonIndexed"))
    if spec.get("completionMode") == "Indexed" and spec.get("completions") is None:
        yield required(f"{path}.completions", "when completion mode is Indexed")
    if not isinstance(template := spec.get("template"), dict):
        yield required(f"{path}.template")
        return
    policy = at(template, "spec", "restartPolicy")
    if policy not in _RESTART:
        yield from check.one_of(f"{path}.template.spec.restartPolicy", policy, _RESTART)
    yield from podspec.validate_template(template, f"{path}.template", restart=podspec.RESTART_POLICIES)
    if spec.get("podFailurePolicy") is not None:
        yield from _failure_policy(items(spec, "podFailurePolicy", "rules"), f"{path}.podFailurePolicy")
        if policy != "Never":
            why = 'only "Never" is supported when podFailurePolicy is specified'
            yield invalid(f"{path}.template.spec.restartPolicy", policy, why)


def _failure_policy(rules: list[Object], path: str) -> Iterator[FieldError]:
    for index, rule in enumerate(rules):
        where, codes, conditions = f"{path}.rules[{index}]", rule.get("onExitCodes"), rule.get("onPodConditions")
        actions = ("Count", "FailIndex", "FailJob", "Ignore")
        if not rule.get("action"):
            yield required(f"{where}.action", f"valid values: {list(actions)}")
        else:
            yield from check.one_of(f"{where}.action", rule["action"], actions)
        if codes is not None and conditions:
            yield invalid(where, "", "specifying both OnExitCodes and OnPodConditions is not supported")
        elif codes is None and not conditions:
            yield invalid(where, "", "specifying one of OnExitCodes and OnPodConditions is required")
        elif codes is not None:
            yield from check.one_of(f"{where}.onExitCodes.operator", text(codes, "operator"), ("In", "NotIn"))


def _validate_job_update(new: Object, old: Object) -> list[FieldError]:
    fields = ["spec.selector", "spec.completionMode", "spec.podFailurePolicy", "spec.backoffLimitPerIndex"]
    if at(old, "spec", "completionMode") != "Indexed":
        fields.append("spec.completions")
    faults = check.immutable(*fields)(new, old)
    suspended = at(old, "spec", "suspend") and not at(old, "status", "startTime")
    if at(new, "spec", "template") != at(old, "spec", "template") and not suspended:
        faults.append(invalid("spec.template", at(new, "spec", "template"), check.IMMUTABLE))
    return faults


def _default_cron_job(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("concurrencyPolicy", "Allow")
    spec.setdefault("suspend", False)
    spec.setdefault("successfulJobsHistoryLimit", 3)
    spec.setdefault("failedJobsHistoryLimit", 1)
    template = at(spec, "jobTemplate", "spec")
    if isinstance(template, dict):
        podspec.default_template(template.get("template"))


def _validate_cron_job(obj: Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    faults: list[FieldError] = []
    if len(str(metadata(obj).get("name") or "")) > _NAME_BYTES:
        faults.append(invalid("metadata.name", metadata(obj)["name"], "must be no more than 52 characters"))
    schedule = str(spec.get("schedule") or "")
    if not schedule:
        faults.append(required("spec.schedule"))
    elif why := schedule_fault(schedule):
        faults.append(invalid("spec.schedule", schedule, why))
    faults += _time_zone(spec.get("timeZone"))
    faults += check.one_of("spec.concurrencyPolicy", spec.get("concurrencyPolicy"), ("Allow", "Forbid", "Replace"))
    for key in ("startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        if isinstance(value := spec.get(key), int) and value < 0:
            faults.append(invalid(f"spec.{key}", value, "must be greater than or equal to 0"))
    template = at(spec, "jobTemplate", "spec")
    if not isinstance(template, dict):
        return [*faults, required("spec.jobTemplate.spec.template")]
    inner = dict(template)
    inner.setdefault("completionMode", "NonIndexed")
    return [*faults, *_validate_spec(inner, "spec.jobTemplate.spec")]


def _time_zone(zone: Any) -> Iterator[FieldError]:
    """Judge the form of a zone's name: which zones there are is for those who read the clock."""
    path = "spec.timeZone"
    if zone == "":
        yield invalid(path, zone, "timeZone must be nil or non-empty string")
    elif isinstance(zone, str) and zone.lower() == "local":
        why = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        yield invalid(path, zone, why)
    elif isinstance(zone, str) and not _ZONE.fullmatch(zone):
        yield invalid(path, zone, f"unknown time zone {zone}")


def schedule_fault(schedule: str) -> str:
    """Return what is wrong with a cron line, "" when nothing is. Spec: CronJob schedule syntax."""
    if schedule.startswith("TZ") or "TZ=" in schedule:
        return "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
    if schedule in _MACROS:
        return ""
    if re.fullmatch(r"@every (\d+(\.\d+)?(ns|us|ms|s|m|h))+", schedule):
        return ""
    fields = schedule.split()
    if len(fields) != 5:
        return f"expected exactly 5 fields, found {len(fields)}: [{schedule}]"
    for field, (least, most) in zip(fields, _RANGES, strict=True):
        if not _FIELD.fullmatch(field):
            return f"failed to parse int from {field}"
        for number in re.findall(r"(?<![/\d])\d+", field):
            if not least <= int(number) <= most:
                return f"value ({number}) is out of range ({least}-{most}): {field}"
    return ""


def _empty_status(obj: Object) -> None:
    obj["status"] = {}


STRATEGIES: dict[str, Strategy] = {
    "CronJob": Strategy(
        default=_default_cron_job,
        prepare_create=_empty_status,
        validate=_validate_cron_job,
        has_status=True,
        has_generation=True,
    ),
    "Job": Strategy(
        default=_default_job,
        prepare_create=_prepare_job,
        validate=_validate_job,
        validate_update=_validate_job_update,
        fields={"status.successful": lambda obj: str(at(obj, "status", "succeeded") or 0)},
        has_status=True,
        has_generation=True,
        orphans=True,
        orphan_warning=_PODS_STAY,
    ),
}
