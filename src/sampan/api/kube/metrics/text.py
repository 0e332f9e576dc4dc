"""The text that Prometheus reads. Spec: Prometheus exposition formats, text-based format 0.0.4."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sampan.base.histogram import Histogram

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Labels = tuple[tuple[str, str], ...]


class Sample(NamedTuple):
    """`suffix`: what comes after the family's name, as `_bucket`."""

    labels: Labels
    value: float
    suffix: str = ""


class Family(NamedTuple):
    """All samples of one name. `kind`: counter, gauge or histogram."""

    name: str
    kind: str
    help: str
    samples: list[Sample]


def histogram(labels: Labels, values: Histogram) -> list[Sample]:
    """Return a histogram's samples."""
    samples, total = [], 0
    for limit, count in zip((*map(str, values.limits), "+Inf"), values.counts, strict=True):
        total += count
        samples.append(Sample((*labels, ("le", limit)), total, "_bucket"))
    return [*samples, Sample(labels, values.sum, "_sum"), Sample(labels, total, "_count")]


def render(families: Iterable[Family]) -> str:
    """Return families as text, by their names."""
    lines: list[str] = []
    for family in sorted(families):
        lines += (f"# HELP {family.name} {_escaped(family.help)}", f"# TYPE {family.name} {family.kind}")
        lines += (f"{family.name}{item.suffix}{_labels(item.labels)} {_number(item.value)}" for item in family.samples)
    return "\n".join(lines) + "\n"


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value, quoted=True)}"' for name, value in labels) + "}"


def _escaped(text: str, *, quoted: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quoted else text


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
