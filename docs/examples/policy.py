"""A policy in Python: docs/admission.md says how it is tried and put in place."""

from sampan.kube.policy import Policy, Refused


class Owned(Policy):
    """Deployments say who owns them, and their pods say it, too."""

    kinds = ("apps/Deployment",)

    def admit(self, obj, asked):
        owner = obj["metadata"].get("labels", {}).get("owner")
        if owner is None:
            raise Refused(f"{asked.user} should say who owns it: set the label owner")
        template = obj["spec"]["template"]
        template["metadata"].setdefault("labels", {})["owner"] = owner
