"""Interference rules of a pod, from its annotation `sampan.dev/at-most`. Pure.

    2 of app=noisy; 0 of tier in (batch, learn) in every namespace; 0 of any

Each rule: at most so many other pods that the selector matches on the pod's node; in its own namespace where it does not say
`in every namespace`. A selector is written as kubectl's `-l`; `any` is every pod.
"""

from __future__ import annotations

import re

from sampan.base.errors import InvalidArgument
from sampan.kube.selector import SelectorError, parse_labels
from sampan.schedule.node import HOSTNAME
from sampan.schedule.shape import AtMost, PodTerm

ANNOTATION = "sampan.dev/at-most"
_RULE = re.compile(r"(\d{1,6}) of (.+?)( in every namespace)?")


def read(text: str, namespace: str) -> tuple[tuple[AtMost, ...], str]:
    """Return the rules of an annotation's value, and, where it cannot be read, none and why the pod can run nowhere."""
    try:
        return rules(text, namespace) if text else (), ""
    except InvalidArgument as error:
        return (), str(error)


def rules(text: str, namespace: str) -> tuple[AtMost, ...]:
    """Return the rules of an annotation's value, for a pod in a namespace.

    Raises:
        InvalidArgument: it cannot be read; the text says how to write it.
    """
    return tuple(_rule(part.strip(), namespace) for part in text.split(";") if part.strip())


def _rule(text: str, namespace: str) -> AtMost:
    found = _RULE.fullmatch(text)
    if found is None:
        raise InvalidArgument(f'annotation {ANNOTATION}: "{text}": write it as "2 of app=noisy", rules apart by ";"')
    count, selector, everywhere = found.groups()
    try:
        requirements = () if selector == "any" else parse_labels(selector).requirements
    except SelectorError as error:
        raise InvalidArgument(f'annotation {ANNOTATION}: "{selector}" is no selector: {error}') from error
    term = PodTerm(
        topology=HOSTNAME,
        selector=requirements,
        namespaces=() if everywhere else (namespace,),
        namespace_selector=() if everywhere else None,
    )
    return AtMost(int(count), term)
