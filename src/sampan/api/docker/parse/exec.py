"""Exec bodies, registry credentials, and image changes (`docker import -c`, `docker commit -c`)."""

from __future__ import annotations

import base64
import binascii

import msgspec

from sampan.api.docker.parse.body import decode, mapping, strings, words
from sampan.api.docker.parse.container import check_env, parse_console_size, parse_healthcheck
from sampan.api.docker.parse.network import parse_port
from sampan.base.errors import InvalidArgument
from sampan.engine.port import Credentials, ExecSpec
from sampan.model.image import ImageConfig
from sampan.spec.docker import container as wire
from sampan.spec.docker.network import AuthConfig


def parse_exec(request: wire.ExecCreateRequest) -> tuple[ExecSpec, tuple[str, ...]]:
    """Return the process to start and its additional environment."""
    args = words(request.cmd)
    if not args:
        raise InvalidArgument("No exec command specified")
    spec = ExecSpec(
        args=args,
        cwd=request.working_dir or "",
        user=request.user or "",
        tty=request.tty or False,
        console_size=parse_console_size(request.console_size),
        stdin=request.attach_stdin or False,
        privileged=request.privileged or False,
    )
    return spec, tuple(check_env(text) for text in request.env or ())


def parse_credentials(header: str) -> Credentials | None:
    """Return the credentials of an X-Registry-Auth header; None for an empty one.

    Raises:
        InvalidArgument: not base64 JSON.
    """
    if not header:
        return None
    try:
        padded = header.rstrip("=") + "=" * (-len(header.rstrip("=")) % 4)
        body = base64.b64decode(padded.replace("+", "-").replace("/", "_"), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise InvalidArgument("invalid X-Registry-Auth header: not base64") from None
    return credentials_of(decode(body, AuthConfig))


def credentials_of(auth: AuthConfig) -> Credentials | None:
    """Return what a client says about itself, None when it says nothing."""
    found = Credentials(
        username=auth.username or "",
        password=auth.password or "",
        identity_token=auth.identitytoken or "",
        registry_token=auth.registrytoken or "",
        server_address=auth.serveraddress or "",
    )
    secret = found.username or found.password or found.identity_token or found.registry_token
    return found if secret else None


def parse_image_config(config: wire.Config) -> ImageConfig:
    """Return the image config of a commit's body."""
    return ImageConfig(
        entrypoint=words(config.entrypoint) or None,
        args=words(config.cmd) or None,
        env=strings(config.env),
        cwd=config.working_dir or "",
        user=config.user or "",
        labels=mapping(config.labels),
        volumes=tuple(config.volumes or ()),
        exposed=tuple("{}/{}".format(*parse_port(port)) for port in config.exposed_ports or ()),
        stop_signal=config.stop_signal or "",
        healthcheck=parse_healthcheck(config.healthcheck),
        shell=words(config.shell) or (),
        on_build=strings(config.on_build),
    )


def apply_changes(config: ImageConfig, changes: list[str]) -> ImageConfig:
    """Return `config` with Dockerfile instructions applied (CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD, USER,
    VOLUME, WORKDIR, STOPSIGNAL).
    """
    for line in changes:
        for instruction in filter(None, (part.strip() for part in line.split("\n"))):
            config = _apply(config, instruction)
    return config


def _apply(config: ImageConfig, instruction: str) -> ImageConfig:
    name, _, rest = instruction.partition(" ")
    rest = rest.strip()
    change = _changes(config, name.upper(), rest) if rest else None
    if change is None:
        raise InvalidArgument(f"{name.upper()[:40]} is not a valid change command: {instruction[:100]!r}")
    return msgspec.structs.replace(config, **change)


def _changes(config: ImageConfig, name: str, rest: str) -> dict[str, object] | None:
    match name:
        case "CMD":
            return {"args": _command(rest)}
        case "ENTRYPOINT":
            return {"entrypoint": _command(rest)}
        case "ENV":
            return {"env": _merge_env(config.env, _pairs(rest))}
        case "LABEL":
            return {"labels": config.labels | _pairs(rest)}
        case "EXPOSE":
            ports = ("{}/{}".format(*parse_port(port)) for port in rest.split())
            return {"exposed": tuple(dict.fromkeys((*config.exposed, *ports)))}
        case "VOLUME":
            return {"volumes": tuple(dict.fromkeys((*config.volumes, *(_json_words(rest) or rest.split()))))}
        case "ONBUILD":
            return {"on_build": (*config.on_build, rest)}
        case "USER":
            return {"user": rest}
        case "WORKDIR":
            return {"cwd": rest if rest.startswith("/") else f"{config.cwd.rstrip('/')}/{rest}"}
        case "STOPSIGNAL":
            return {"stop_signal": rest}
    return None


def _json_words(text: str) -> tuple[str, ...] | None:
    if not text.startswith("["):
        return None
    try:
        return tuple(msgspec.json.decode(text, type=list[str]))
    except (msgspec.MsgspecError, ValueError):
        return None


def _command(text: str) -> tuple[str, ...]:
    return _json_words(text) or ("/bin/sh", "-c", text)


def _pairs(text: str) -> dict[str, str]:
    """Return NAME=value pairs with quotes removed; "NAME value" is the old form of one pair."""
    words_ = _split_quoted(text)
    if "=" not in words_[0]:
        name, _, value = text.partition(" ")
        return {name: value.strip()}
    pairs = {}
    for word in words_:
        name, separator, value = word.partition("=")
        if not name or not separator:
            raise InvalidArgument(f"Syntax error - can't find = in {word[:60]!r}. Must be of the form: name=value")
        pairs[name] = value
    return pairs


def _split_quoted(text: str) -> list[str]:
    found: list[str] = []
    word, quote, started = "", "", False
    for character in text:
        if quote:
            if character == quote:
                quote = ""
            else:
                word += character
        elif character in "\"'":
            quote, started = character, True
        elif character.isspace():
            if word or started:
                found.append(word)
            word, started = "", False
        else:
            word += character
    return [*found, word] if word or started or not found else found


def _merge_env(env: tuple[str, ...], pairs: dict[str, str]) -> tuple[str, ...]:
    kept = tuple(item for item in env if item.partition("=")[0] not in pairs)
    return (*kept, *(f"{name}={value}" for name, value in pairs.items()))
