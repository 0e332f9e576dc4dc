"""Storage: claims and ingresses get the default class, what is in use is kept, and claims grow where their class lets them.

Spec: Kubernetes admission plugins DefaultStorageClass, DefaultIngressClass, StorageObjectInUseProtection,
PersistentVolumeClaimResize.
"""

from __future__ import annotations

from sampan.api.kube.admission import Attributes
from sampan.api.kube.view import View
from sampan.kube import object as objects
from sampan.kube import quantity, status
from sampan.kube.object import Object
from sampan.kube.reading import flag, mapping, text

NETWORKING = "networking.k8s.io"
_DEFAULT_STORAGE = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
_DEFAULT_INGRESS = ("ingressclass.kubernetes.io/is-default-class",)
_OLD_CLASS = {"claim": "volume.beta.kubernetes.io/storage-class", "ingress": "kubernetes.io/ingress.class"}
_PROTECTION = {
    "persistentvolumeclaims": "kubernetes.io/pvc-protection",
    "persistentvolumes": "kubernetes.io/pv-protection",
}


def _defaults(view: View, annotations: tuple[str, ...]) -> list[Object]:
    """Return the default classes, the newest first."""
    found = [
        item for item in view if any(mapping(item, "metadata", "annotations").get(key) == "true" for key in annotations)
    ]
    by_name = sorted(found, key=objects.name)
    return sorted(by_name, key=lambda item: text(item, "metadata", "creationTimestamp"), reverse=True)


class DefaultClasses:
    """What names no class gets the default one; of several default storage classes, the newest."""

    name = "DefaultClasses"

    def __init__(self, storage: View, ingress: View) -> None:
        """Of storage classes and of ingress classes."""
        self._storage = storage
        self._ingress = ingress

    async def mutate(self, attributes: Attributes) -> None:
        new = attributes.object
        if attributes.operation != "CREATE" or new is None:
            return
        if attributes.concerns("persistentvolumeclaims"):
            spec = mapping(new, "spec")
            found = _defaults(self._storage, _DEFAULT_STORAGE)
            if found and spec.get("storageClassName") is None and not _annotated(new, "claim"):
                spec["storageClassName"] = objects.name(found[0])
        elif attributes.concerns("ingresses", NETWORKING):
            spec = new.setdefault("spec", {})
            found = _defaults(self._ingress, _DEFAULT_INGRESS)
            if not found or spec.get("ingressClassName") is not None or _annotated(new, "ingress"):
                return
            if len(found) > 1:
                why = f"{len(found)} default IngressClasses were found, only 1 allowed"
                raise status.forbidden("ingresses", NETWORKING, attributes.name, why)
            spec["ingressClassName"] = objects.name(found[0])

    async def validate(self, attributes: Attributes) -> None:
        pass


def _annotated(obj: Object, kind: str) -> bool:
    return _OLD_CLASS[kind] in mapping(obj, "metadata", "annotations")


class StorageInUse:
    """Claims and volumes are kept until nobody uses them: a finalizer says so from the start."""

    name = "StorageObjectInUseProtection"

    async def mutate(self, attributes: Attributes) -> None:
        new, resource = attributes.object, attributes.resource
        finalizer = _PROTECTION.get(resource.plural)
        if attributes.operation != "CREATE" or new is None or resource.group or finalizer is None:
            return
        if not attributes.subresource and finalizer not in objects.finalizers(new):
            objects.metadata(new)["finalizers"] = [*objects.finalizers(new), finalizer]

    async def validate(self, attributes: Attributes) -> None:
        pass


class ClaimResize:
    """A bound claim grows where its class allows it."""

    name = "PersistentVolumeClaimResize"

    def __init__(self, classes: View) -> None:
        """Of storage classes."""
        self._classes = classes

    async def mutate(self, attributes: Attributes) -> None:
        pass

    async def validate(self, attributes: Attributes) -> None:
        if attributes.operation != "UPDATE" or not attributes.concerns("persistentvolumeclaims"):
            return
        before, after = _size(attributes.old), _size(attributes.object)
        if after <= before:
            return
        if text(attributes.old, "status", "phase") != "Bound":
            why = "only bound persistent volume claims can be expanded"
            raise status.forbidden("persistentvolumeclaims", "", attributes.name, why)
        found = self._classes.get("", text(attributes.object, "spec", "storageClassName"))
        if not flag(found, "allowVolumeExpansion"):
            why = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize"
            raise status.forbidden("persistentvolumeclaims", "", attributes.name, why)


def _size(claim: Object | None) -> int:
    try:
        return quantity.whole(mapping(claim, "spec", "resources", "requests").get("storage", "0"))
    except quantity.QuantityError:
        return 0
