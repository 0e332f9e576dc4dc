"""Server-side apply: who owns which field, what a configuration changes, and where managers disagree.

Spec: Kubernetes "Server-Side Apply"; structured-merge-diff v6.
"""

from sampan.kube.apply.applying import apply
from sampan.kube.apply.managed import update

__all__ = ["apply", "update"]
