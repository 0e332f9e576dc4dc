"""A default role or binding that somebody changed is made whole again at the next start."""

from __future__ import annotations

from sampan.kube import object as objects
from sampan.kube import rbac
from sampan.kube.object import Object
from sampan.kube.rbac_defaults.make import AUTOUPDATE


def reconciled(live: Object, wanted: Object) -> Object | None:
    """Return a default role or binding as it has to be changed to give all that it should; None where it does.

    What somebody added stays. One that is annotated with autoupdate "false" stays as it is.
    """
    meta = objects.metadata(live)
    if objects.annotations(live).get(AUTOUPDATE) == "false":
        return None
    changed = {**live, "metadata": dict(meta)}
    for part in ("labels", "annotations"):
        changed["metadata"][part] = {**wanted["metadata"].get(part, {}), **(meta.get(part) or {})}
    if "subjects" in wanted:
        present = live.get("subjects") or []
        changed["subjects"] = [*present, *(subject for subject in wanted["subjects"] if subject not in present)]
    elif "aggregationRule" in wanted:
        changed["aggregationRule"] = live.get("aggregationRule") or wanted["aggregationRule"]
    elif "rules" in wanted:
        lacking = [rule for rule in wanted["rules"] if rbac.missing(rbac.rules_of(live), [rbac.Rule.of(rule)])]
        changed["rules"] = [*(live.get("rules") or []), *lacking]
    return changed if _told(changed) != _told(live) else None


def _told(obj: Object) -> list[object]:
    """Return the parts that are compared."""
    meta = objects.metadata(obj)
    return [
        meta.get("labels"),
        meta.get("annotations"),
        *(obj.get(key) for key in ("subjects", "aggregationRule", "rules")),
    ]
