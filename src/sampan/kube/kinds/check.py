"""Checks that many kinds make of a field, in the words of the real API server.

Each takes the field's path and value and yields what is wrong with it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from sampan.kube import quantity
from sampan.kube.fielderror import FieldError, duplicate, forbidden, invalid, not_supported, required
from sampan.kube.kinds import names
from sampan.kube.object import Object, at
from sampan.kube.reading import items, mapping, text, words
from sampan.kube.strategy import ValidateUpdate

IMMUTABLE = "field is immutable"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_LINK_LOCAL_MULTICAST: dict[int, Network] = {
    4: ipaddress.ip_network("224.0.0.0/24"),
    6: ipaddress.ip_network("ff02::/16"),
}
_HTTP_PATH = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"


def name(path: str, value: Any, rule: names.Rule) -> Iterator[FieldError]:
    if why := rule(value if isinstance(value, str) else ""):
        yield invalid(path, value, why)


def required_name(path: str, value: str, rule: names.Rule) -> Iterator[FieldError]:
    if not value:
        yield required(path)
    else:
        yield from name(path, value, rule)


def one_of(path: str, value: Any, supported: Sequence[str]) -> Iterator[FieldError]:
    if value not in supported:
        yield not_supported(path, value, tuple(supported))


def optional(path: str, value: Any, supported: Sequence[str]) -> Iterator[FieldError]:
    """Check a value that may be left out."""
    if value is not None:
        yield from one_of(path, value, supported)


def unique(path: str, values: Sequence[Any], field: str = "") -> Iterator[FieldError]:
    """Refuse what is there already; `field` of each item is what is compared, if it is given."""
    seen: set[str] = set()
    for index, value in enumerate(values):
        if (form := repr(value)) in seen:
            where = f"{path}[{index}].{field}" if field else f"{path}[{index}]"
            yield duplicate(where, value)
        seen.add(form)


def port(path: str, value: int) -> Iterator[FieldError]:
    if not 1 <= value <= 65535:
        yield invalid(path, value, "must be between 1 and 65535, inclusive")


def amount(path: str, value: Any) -> Iterator[FieldError]:
    """Check for a quantity that is not negative."""
    try:
        found = quantity.of(value).amount
    except quantity.QuantityError as error:
        yield invalid(path, value, str(error))
        return
    if found < 0:
        yield invalid(path, value, "must be greater than or equal to 0")


def immutable(*paths: str) -> ValidateUpdate:
    """Return the check that an update leaves these fields as they are."""
    parts = [(path, path.split(".")) for path in paths]

    def check(new: Object, old: Object) -> list[FieldError]:
        return [invalid(path, at(new, *keys), IMMUTABLE) for path, keys in parts if at(new, *keys) != at(old, *keys)]

    return check


# --- addresses --------------------------------------------------------------------------------------------------------


def _address(value: Any) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return an address without a zone; None where it is none."""
    try:
        return ipaddress.ip_address(value) if isinstance(value, str) and "%" not in value else None
    except ValueError:
        return None


def is_ip(value: Any) -> bool:
    return _address(value) is not None


def ip(path: str, value: Any, *, canonical: bool = False) -> Iterator[FieldError]:
    found = _address(value)
    if found is None:
        yield invalid(path, value, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")
    elif found.version == 6 and found.ipv4_mapped:
        yield invalid(path, value, "must not be an IPv4-mapped IPv6 address")
    elif canonical and str(found) != value:
        yield invalid(path, value, f'must be in canonical form ("{found}")')


def endpoint_ip(path: str, value: Any) -> Iterator[FieldError]:
    """Refuse an address that means something else on each machine."""
    found = _address(value)
    if found is None:
        return
    if found.is_unspecified:
        yield invalid(path, value, "may not be unspecified (0.0.0.0 or ::)")
    elif found.is_loopback:
        yield invalid(path, value, "may not be in the loopback range (127.0.0.0/8, ::1/128)")
    elif found.is_link_local:
        yield invalid(path, value, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    elif found in _LINK_LOCAL_MULTICAST[found.version]:
        yield invalid(path, value, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")


def network(value: Any) -> Network | None:
    """Return a network with its host bits cleared, None where it is none."""
    address, _, length = value.partition("/") if isinstance(value, str) else ("", "", "")
    if not is_ip(address) or not length.isdecimal():
        return None
    try:
        return ipaddress.ip_network(value, strict=False)
    except ValueError:
        return None


def cidr(path: str, value: Any, *, canonical: bool = False) -> Iterator[FieldError]:
    found = network(value)
    if found is None:
        yield invalid(path, value, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)")
    elif _address(value.partition("/")[0]) != found.network_address:
        yield invalid(path, value, "must not have bits set beyond the prefix length")
    elif canonical and str(found) != value:
        yield invalid(path, value, f'must be in canonical form ("{found}")')


# --- names with a domain ----------------------------------------------------------------------------------------------


def domain_prefixed_path(path: str, value: str) -> Iterator[FieldError]:
    """Check for something like `example.com/ingress`."""
    if not value:
        yield required(path)
        return
    domain, _, rest = value.partition("/")
    if not domain or not rest:
        yield invalid(path, value, 'must be a domain-prefixed path (such as "acme.io/foo")')
        return
    yield from name(path, domain, names.dns_subdomain)
    if not re.fullmatch(_HTTP_PATH, rest):
        yield invalid(path, rest, names.explained("Invalid path", _HTTP_PATH))


def fully_qualified(path: str, value: str) -> Iterator[FieldError]:
    """Check for a domain of three parts or more."""
    faults = list(required_name(path, value, names.dns_subdomain))
    if not faults and value.count(".") < 2:
        faults = [invalid(path, value, "should be a domain with at least three segments separated by dots")]
    yield from faults


# --- label selectors --------------------------------------------------------------------------------------------------


def labels(path: str, value: Any) -> Iterator[FieldError]:
    for key, label in mapping(value).items():
        yield from name(path, key, names.qualified_name)
        yield from name(path, label, names.label_value)


def label_selector(path: str, value: Any) -> Iterator[FieldError]:
    """Spec: meta/v1 LabelSelector."""
    yield from labels(f"{path}.matchLabels", at(value, "matchLabels"))
    for index, expression in enumerate(items(value, "matchExpressions")):
        yield from expression_of_labels(f"{path}.matchExpressions[{index}]", expression)


def expression_of_labels(path: str, expression: Object, *, numbers: bool = False) -> Iterator[FieldError]:
    """Check a requirement on labels; `numbers`: labels may be compared as numbers, as those of nodes are."""
    operator, values = text(expression, "operator"), words(expression, "values")
    if operator in ("In", "NotIn"):
        if not values:
            yield required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            yield forbidden(f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
    elif numbers and operator in ("Gt", "Lt"):
        if len(values) != 1:
            yield required(f"{path}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'")
    else:
        yield invalid(f"{path}.operator", operator, "not a valid selector operator")
    yield from name(f"{path}.key", text(expression, "key"), names.qualified_name)
    for index, value in enumerate(values):
        yield from name(f"{path}.values[{index}]", value, names.label_value)


# --- webhooks ---------------------------------------------------------------------------------------------------------


def client_config(path: str, config: Any) -> Iterator[FieldError]:
    """Check where a webhook is. Spec: admissionregistration.k8s.io/v1 WebhookClientConfig."""
    url, service = at(config, "url"), at(config, "service")
    if (url is None) == (service is None):
        yield required(path, "exactly one of url or service is required")
    elif url is not None:
        yield from _webhook_url(f"{path}.url", url if isinstance(url, str) else "")
    else:
        for field in ("name", "namespace"):
            if not text(service, field):
                yield required(f"{path}.service.{field}", f"service {field} is required")
        number_ = at(service, "port")
        if isinstance(number_, int) and not 1 <= number_ <= 65535:
            why = "port is not valid: must be between 1 and 65535, inclusive"
            yield invalid(f"{path}.service.port", number_, why)
        if (place := text(service, "path")) and not place.startswith("/"):
            yield invalid(f"{path}.service.path", place, "must start with a '/'")


def _webhook_url(path: str, url: str) -> Iterator[FieldError]:
    form = "; desired format: https://host[/path]"
    try:
        parts = urlsplit(url)
    except ValueError as error:
        yield required(path, f"url must be a valid URL: {error}{form}")
        return
    if parts.scheme != "https":
        yield invalid(path, parts.scheme, f"'https' is the only allowed URL scheme{form}")
    if not parts.netloc:
        yield invalid(path, parts.netloc, f"host must be specified{form}")
    if "@" in parts.netloc:
        yield invalid(path, parts.netloc.partition("@")[0], "user information is not permitted in the URL")
    if parts.fragment:
        yield invalid(path, parts.fragment, "fragments are not permitted in the URL")
    if parts.query:
        yield invalid(path, parts.query, "query parameters are not permitted in the URL")
