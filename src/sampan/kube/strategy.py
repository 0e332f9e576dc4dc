"""Strategy: what makes one kind different from another. A new kind is a new strategy in the catalog, not a new branch.

Every function takes objects of the storage version and is pure. `prepare_*` change their first argument.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from sampan.kube.fielderror import FieldError
from sampan.kube.object import Object

Prepare = Callable[[Object], None]
PrepareUpdate = Callable[[Object, Object], None]
Validate = Callable[[Object], list[FieldError]]
ValidateUpdate = Callable[[Object, Object], list[FieldError]]


def nothing(obj: Object) -> None:
    """Leave the object as it is."""


def keep(new: Object, old: Object) -> None:
    """Leave the new object as it is."""


def valid(obj: Object) -> list[FieldError]:
    return []


def valid_update(new: Object, old: Object) -> list[FieldError]:
    return []


class Column(msgspec.Struct, frozen=True):
    """A column of a Table. `priority` above 0 is shown by `-o wide` only."""

    name: str
    type: str = "string"
    format: str = ""
    description: str = ""
    priority: int = 0


class Printer(msgspec.Struct, frozen=True):
    """The columns of a kind, and an object's cells in their order. `cells(obj, now_s)`: seconds since the epoch."""

    columns: tuple[Column, ...]
    cells: Callable[[Object, float], list[Any]]
    conditions: Callable[[Object], list[Object]] | None = None
    """What a row says besides its cells. Spec: meta.k8s.io/v1 TableRowCondition."""
    order: Callable[[Object], tuple[Any, ...]] | None = None
    """How the rows of one answer are sorted; None: as they are kept, by name."""


class Strategy(msgspec.Struct, frozen=True):
    """One kind's behaviour. The generic machinery does what all kinds share (metadata, generation, status kept apart)."""

    default: Prepare = nothing
    """Fill what the client left out. Idempotent; also run on objects that come out of a patch."""
    prepare_create: Prepare = nothing
    prepare_update: PrepareUpdate = keep
    """(new, old): restore what a client may not change by a plain update."""
    prepare_status: PrepareUpdate = keep
    """(new, old) of an update of `/status`, after everything but the status was restored."""
    validate: Validate = valid
    validate_create: Validate = valid
    """What only new objects must be; older ones may be otherwise. `validate` is run besides."""
    validate_update: ValidateUpdate = valid_update
    """(new, old); `validate` of the new one is run besides."""
    validate_change: ValidateUpdate | None = None
    """(new, old), instead of both: for kinds that may stay as wrong as they were where their rules have changed."""
    validate_status: ValidateUpdate = valid_update
    validate_parts: Mapping[str, ValidateUpdate] = msgspec.field(default_factory=dict)
    """The same of other subresources that are a part of the object, by their names."""
    fields: Mapping[str, Callable[[Object], str]] = msgspec.field(default_factory=dict)
    """Selectable fields besides metadata.name and metadata.namespace."""
    printer: Printer | None = None
    """None: Name and Age."""
    has_status: bool = False
    """A status subresource: creates drop the status, updates keep the old one, `/status` changes nothing else."""
    born_with_status: bool = False
    """Creates keep the status that they bring, as of nodes that register."""
    has_generation: bool = False
    """metadata.generation is 1 at creation and grows when anything but metadata and status changes."""
    validate_name: Callable[[str], str] | None = None
    """Return what is wrong with a name, "" when nothing is; None: a DNS subdomain."""
    update_creates: bool = False
    """An update (PUT) of a name that is not there makes the object."""
    update_names_version: bool = False
    """An update (PUT) has to name the resourceVersion that it is of."""
    answers_with_object: bool = False
    """DELETE answers with the object instead of a Status."""
    grace_s: Callable[[Object], int] | None = None
    """Seconds that a deletion waits for its node, for kinds that are deleted gracefully."""
    orphans: bool = False
    """A deletion that says nothing of the dependents leaves them, as before there was a garbage collector."""
    orphan_warning: str = ""
    """What such a deletion is told."""
