"""Policies in Python: what a policy is, for those who write one and for what runs it.

from sampan.kube.policy import Policy, Refused

class FewReplicas(Policy):
    kinds = ("apps/Deployment",)

    def admit(self, obj):
        if obj["spec"].get("replicas", 1) > 5:
            raise Refused("at most 5 replicas")
        obj["metadata"].setdefault("labels", {})["judged"] = "yes"
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from sampan.kube.object import Object
from sampan.kube.patch.merge import copied

OPERATIONS = ("CREATE", "UPDATE", "DELETE")
_LONGEST = 2000
"""Characters of a refusal."""


class Refused(Exception):
    """Raise it in `admit` to refuse a write. Its text is told to the client."""


class Asked(msgspec.Struct, frozen=True):
    """Who writes what. `old` is the object as it is stored, None for CREATE."""

    operation: str
    group: str
    version: str
    kind: str
    resource: str
    namespace: str
    name: str
    subresource: str = ""  # scale, ephemeralcontainers, resize: the object can only be refused there
    user: str = ""
    groups: tuple[str, ...] = ()
    dry_run: bool = False
    old: Object | None = None


class Policy:
    """Base of policies; any class with an `admit` is one, this gives what it leaves out.

    An instance is made once for each version of its file and judges many objects, one at a time. It may be asked about an
    object more than once, so it says the same of the same object, and it waits for nothing.
    """

    kinds: Sequence[str] = ("*",)
    """What it judges: `Pod`, `apps/Deployment`, `*`."""
    operations: Sequence[str] = ("CREATE", "UPDATE")
    """Also DELETE, with the object that would go."""

    def admit(self, obj: Object, asked: Asked) -> None:
        """Judge an object, as the dict of its JSON: leave it, change it in place, or raise `Refused`.

        The second argument may be left out.
        """


class Broken(Exception):
    """A file holds no policies that can be used."""


class Bound(NamedTuple):
    """A policy that was loaded."""

    name: str
    file: str
    policy: Any
    kinds: tuple[str, ...]
    operations: tuple[str, ...]
    told: bool
    """Whether `admit` takes who asks, too."""

    def about(self, operation: str, group: str, kind: str) -> bool:
        """Return whether it judges such a write."""
        named = {"*", kind, f"{group}/{kind}"}
        return operation in self.operations and not named.isdisjoint(self.kinds)


class Verdict(NamedTuple):
    """What a policy says. `changed`: the object as it would have it, None where it leaves it alone."""

    refusal: str = ""
    failure: str = ""
    changed: Object | None = None


def loaded(source: str, file: str) -> list[Bound]:
    """Return the policies in a file's text, which is run.

    Raises:
        Broken: with the reason, and the line where there is one.
    """
    module = {"__name__": file.removesuffix(".py"), "__file__": file}
    try:
        exec(compile(source, file, "exec"), module)  # noqa: S102  it is what the owner of the server put there
        own = str(module["__name__"])
        found = [_bound(each, file) for each in _classes(module) if _is_policy(each, own)]
    except Broken:
        raise
    except SyntaxError as error:
        raise Broken(f"line {error.lineno}: {error.msg}") from error
    except (Exception, SystemExit) as error:
        raise Broken(explained(error, file)) from error
    if not found:
        raise Broken("there is no class with an admit(obj) in it")
    return found


def _classes(module: dict[str, Any]) -> list[type]:
    """Return the classes of a module, each once."""
    return list(dict.fromkeys(each for each in module.values() if isinstance(each, type)))


def _is_policy(each: type, module: str) -> bool:
    return each.__module__ == module and not each.__name__.startswith("_") and callable(getattr(each, "admit", None))


def _bound(made: type, file: str) -> Bound:
    name = made.__name__
    kinds, operations = (tuple(getattr(made, field, getattr(Policy, field))) for field in ("kinds", "operations"))
    if isinstance(getattr(made, "kinds", ()), str) or not all(isinstance(each, str) for each in kinds):
        raise Broken(f'{name}.kinds must be a tuple of names, such as ("Pod", "apps/Deployment")')
    if unknown := [each for each in operations if each not in OPERATIONS]:
        raise Broken(f"{name}.operations: {unknown[0]!r} is none of {', '.join(OPERATIONS)}")
    policy = made()
    takes = inspect.signature(policy.admit).parameters
    if inspect.iscoroutinefunction(policy.admit) or len(takes) not in (1, 2):
        raise Broken(f"{name}.admit must be a plain function of an object, or of an object and who asks")
    return Bound(name, file, policy, kinds, operations, len(takes) == 2)


def judged(bound: Bound, obj: Object, asked: Asked) -> Verdict:
    """Return what a policy says of an object, which is not changed. Never raises: what goes wrong in it is its failure."""
    own = copied(obj)
    try:
        if bound.told:
            answer = bound.policy.admit(own, msgspec.structs.replace(asked, old=copied(asked.old)))
        else:
            answer = bound.policy.admit(own)
    except Refused as refused:
        return Verdict(refusal=" ".join(str(refused).split())[:_LONGEST] or "it gives no reason")
    except (Exception, SystemExit) as error:
        return Verdict(failure=explained(error, bound.file))
    if answer is not None:
        return Verdict(failure="admit returned something: it changes its object in place, or raises Refused")
    if own == obj or asked.operation == "DELETE":
        return Verdict()
    try:
        plain = msgspec.json.decode(msgspec.json.encode(own), type=Object)
    except (TypeError, ValueError, RecursionError) as error:
        return Verdict(failure=f"it left something that is no JSON: {error}")
    if any(_identity(plain, field) != _identity(obj, field) for field in _IDENTITY):
        return Verdict(failure=f"it changed one of {', '.join('.'.join(field) for field in _IDENTITY)}")
    return Verdict(changed=plain)


_IDENTITY = (("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace"), ("metadata", "uid"))


def _identity(obj: Any, field: tuple[str, ...]) -> Any:
    for part in field:
        obj = obj.get(part) if isinstance(obj, dict) else None
    return obj


def explained(error: BaseException, file: str) -> str:
    """Return an error of a policy's with the line of its file that it came from."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    at = f" (line {lines[-1]})" if lines else ""
    return f"{type(error).__name__}: {error}{at}" if str(error) else f"{type(error).__name__}{at}"


def differences(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Yield what is different, a line for each place."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted({*before, *after}):
            where = f"{path}/{key}"
            if key not in before:
                yield f"{where}: {_shown(after[key])} is added"
            elif key not in after:
                yield f"{where} is removed"
            else:
                yield from differences(before[key], after[key], where)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for place, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from differences(one, other, f"{path}/{place}")
    elif before != after:
        yield f"{path}: {_shown(before)} becomes {_shown(after)}"


def _shown(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 80 else f"{text[:77]}..."
