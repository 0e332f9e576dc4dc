"""Filters of lists and events, as users of docker know them. Pure."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Mapping

from sampan.base.errors import InvalidArgument
from sampan.engine.port import Filters
from sampan.model.container import Container, Phase
from sampan.model.event import Event
from sampan.model.image import Image
from sampan.model.network import Network
from sampan.model.volume import Volume


def check_keys(filters: Filters, allowed: Iterable[str]) -> None:
    """Raise `InvalidArgument` for a key that this list does not know."""
    for key in filters.terms:
        if key not in allowed:
            raise InvalidArgument(f"invalid filter '{key}'; one of {', '.join(sorted(allowed))}")


def match_labels(filters: Filters, labels: Mapping[str, str]) -> bool:
    """Whether all `label` terms hold and no `label!` term does."""

    def has(term: str) -> bool:
        key, separator, value = term.partition("=")
        return key in labels and (not separator or labels[key] == value)

    return all(has(term) for term in filters.terms.get("label", ())) and not any(
        has(term) for term in filters.terms.get("label!", ())
    )


def as_bool(term: str) -> bool:
    """Return a boolean filter value, or raise `InvalidArgument`."""
    if term.lower() in ("1", "true", "t"):
        return True
    if term.lower() in ("0", "false", "f"):
        return False
    raise InvalidArgument(f"invalid filter value '{term}': not a boolean")


def _any(terms: Iterable[str], test: Callable[[str], bool]) -> bool:
    return any(test(term) for term in terms)


def _regex(term: str, text: str) -> bool:
    try:
        return re.search(term, text) is not None
    except re.error:
        return term in text


# --- containers -------------------------------------------------------------------------------------------------------

CONTAINER_KEYS = frozenset(
    "ancestor before since exited expose health id is-task label label! name network publish status volume "
    "isolation until".split()
)
_STATUSES = {"created", "restarting", "running", "removing", "paused", "exited", "dead"}


def select_containers(
    containers: Iterable[Container],
    filters: Filters,
    *,
    show_all: bool,
    image_ids: Callable[[str], set[str]],
    lookup: Callable[[str], Container],
    health: Callable[[Container], str],
) -> tuple[Container, ...]:
    """Return the containers that match, newest first. `image_ids` maps an ancestor term to image ids."""
    check_keys(filters, CONTAINER_KEYS)
    terms = filters.terms
    for status in terms.get("status", ()):
        if status not in _STATUSES:
            raise InvalidArgument(f"invalid filter 'status={status}'; one of {', '.join(sorted(_STATUSES))}")
    codes = {_int(term) for term in terms.get("exited", ())}
    before = [lookup(term).created_at_ns for term in terms.get("before", ())]
    since = [lookup(term).created_at_ns for term in terms.get("since", ())]
    ancestors: set[str] = set().union(*(image_ids(term) for term in terms.get("ancestor", ())))
    everything = show_all or bool(terms.keys() & {"status", "exited", "before", "since"})

    def matches(container: Container) -> bool:
        state, spec = container.state, container.spec
        tests: dict[str, Callable[[str], bool]] = {
            "id": lambda term: _regex("^" + term if not term.startswith("^") else term, container.id),
            "name": lambda term: _regex(term, "/" + container.name) or _regex(term, container.name),
            "status": lambda term: term == state.phase,
            "health": lambda term: term == health(container),
            "network": lambda term: any(
                term == e.network_name or (len(term) >= 4 and e.network_id.startswith(term)) for e in state.endpoints
            ),
            "volume": lambda term: any(term in (m.name, m.target, m.source) for m in container.mounts),
            "publish": lambda term: any(_port(term, p.host_port, p.protocol) for p in state.ports),
            "expose": lambda term: any(_port(term, *_exposed(text)) for text in spec.network.exposed),
            "is-task": lambda term: not as_bool(term),
            "isolation": lambda term: term in ("", "default"),
        }
        return (
            (everything or state.phase in (Phase.RUNNING, Phase.PAUSED, Phase.RESTARTING))
            and all(_any(terms[key], test) for key, test in tests.items() if terms.get(key))
            and match_labels(filters, spec.labels)
            and (not codes or (state.phase is Phase.EXITED and state.exit_code in codes))
            and (not terms.get("ancestor") or spec.image_id in ancestors)
            and all(container.created_at_ns < at for at in before)
            and all(container.created_at_ns > at for at in since)
        )

    return tuple(sorted(filter(matches, containers), key=lambda c: c.created_at_ns, reverse=True))


def _int(term: str) -> int:
    try:
        return int(term)
    except ValueError:
        raise InvalidArgument(f"invalid filter 'exited={term}': not a number") from None


def _exposed(text: str) -> tuple[int, str]:
    port, _, protocol = text.partition("/")
    return int(port.split("-")[0]), protocol or "tcp"


def _port(term: str, port: int, protocol: str) -> bool:
    numbers, _, wanted = term.partition("/")
    low, _, high = numbers.partition("-")
    if not low.isdigit() or (high and not high.isdigit()):
        raise InvalidArgument(f"invalid filter value '{term}': not a port or a range of ports")
    return int(low) <= port <= int(high or low) and (not wanted or wanted == protocol)


# --- others -----------------------------------------------------------------------------------------------------------


def select_networks(networks: Iterable[Network], filters: Filters, used: set[str]) -> tuple[Network, ...]:
    """Return the networks that match, by name."""
    check_keys(filters, {"dangling", "driver", "id", "label", "label!", "name", "scope", "type", "until"})
    terms = filters.terms
    tests: dict[str, Callable[[Network, str], bool]] = {
        "id": lambda network, term: term in network.id,
        "name": lambda network, term: _regex(term, network.name),
        "driver": lambda network, term: network.driver == term,
        "scope": lambda _, term: term == "local",
        "type": lambda network, term: term == ("builtin" if network.builtin else "custom"),
        "dangling": lambda network, term: as_bool(term) == (not network.builtin and network.id not in used),
    }
    chosen = (
        network
        for network in networks
        if all(any(test(network, term) for term in terms[key]) for key, test in tests.items() if terms.get(key))
        and match_labels(filters, network.labels)
    )
    return tuple(sorted(chosen, key=lambda network: network.name))


def select_volumes(volumes: Iterable[Volume], filters: Filters, used: set[str]) -> tuple[Volume, ...]:
    """Return the volumes that match, by name."""
    check_keys(filters, {"dangling", "driver", "label", "label!", "name", "all"})
    terms = filters.terms
    tests: dict[str, Callable[[Volume, str], bool]] = {
        "name": lambda volume, term: _regex(term, volume.name),
        "driver": lambda volume, term: volume.driver == term,
        "dangling": lambda volume, term: as_bool(term) == (volume.name not in used),
    }
    chosen = (
        volume
        for volume in volumes
        if all(any(test(volume, term) for term in terms[key]) for key, test in tests.items() if terms.get(key))
        and match_labels(filters, volume.labels)
    )
    return tuple(sorted(chosen, key=lambda volume: volume.name))


def select_images(images: Iterable[Image], filters: Filters, lookup: Callable[[str], Image]) -> tuple[Image, ...]:
    """Return the images that match, newest first."""
    check_keys(filters, {"before", "dangling", "label", "label!", "reference", "since", "until"})
    terms = filters.terms
    before = [lookup(term).created_at for term in terms.get("before", ())]
    since = [lookup(term).created_at for term in terms.get("since", ())]

    def matches(image: Image) -> bool:
        return (
            all(as_bool(term) == (not image.tags) for term in terms.get("dangling", ()))
            and match_labels(filters, image.config.labels)
            and all(image.created_at < at for at in before)
            and all(image.created_at > at for at in since)
            and (not terms.get("reference") or _any(terms["reference"], lambda term: _names(image, term)))
        )

    return tuple(sorted(filter(matches, images), key=lambda image: image.created_at, reverse=True))


def _names(image: Image, pattern: str) -> bool:
    return any(
        fnmatch.fnmatchcase(tag, pattern) or fnmatch.fnmatchcase(tag.rpartition(":")[0], pattern) for tag in image.tags
    )


EVENT_KEYS = frozenset(
    "config container daemon event image label network node plugin scope secret service type volume".split()
)


def match_event(event: Event, filters: Filters) -> bool:
    """Whether an event passes all filter keys."""
    terms, attributes = filters.terms, event.attributes

    def named(kind: str) -> bool:
        wanted = terms.get(kind)
        if not wanted:
            return True
        if event.kind == kind:
            return any(event.id == t or event.id.startswith(t) or attributes.get("name") == t for t in wanted)
        return (kind == "image" and any(attributes.get("image") == t for t in wanted)) or (
            kind == "container" and any(attributes.get("container", "").startswith(t) for t in wanted)
        )

    action = event.action.partition(":")[0]
    return (
        (not terms.get("event") or action in terms["event"] or event.action in terms["event"])
        and (not terms.get("type") or event.kind in terms["type"])
        and (not terms.get("scope") or event.scope in terms["scope"])
        and match_labels(filters, attributes)
        and all(named(kind) for kind in ("container", "image", "network", "volume", "daemon"))
    )
