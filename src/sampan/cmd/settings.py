"""The daemon's settings: flags over a configuration file over defaults. Names are dockerd's where they mean the same."""

from __future__ import annotations

import argparse
import json
import tomllib
from pathlib import Path
from typing import NamedTuple

from sampan.base.errors import InvalidArgument
from sampan.cmd import listening
from sampan.model.container import Ulimit
from sampan.store.kv import etcd_address

DATA_ROOT = "/var/lib/sampan"
EXEC_ROOT = "/run/sampan"
API_LISTEN = "127.0.0.1:6443"


class DaemonSettings(NamedTuple):
    """Everything that `sampan daemon` can be told."""

    data_root: Path
    exec_root: Path
    hosts: tuple[str, ...]
    pidfile: Path
    bridge: str
    bip: str
    default_runtime: str
    runtimes: dict[str, str]
    tls: dict[str, str]
    tls_verify: bool
    log_level: str
    labels: tuple[str, ...]
    registry_mirrors: tuple[str, ...]
    insecure_registries: tuple[str, ...]
    default_ulimits: tuple[Ulimit, ...]
    group: str
    netns_pool: int
    api_listen: str
    api_plain_listen: str
    store: str
    policies: tuple[str, ...]
    scheduler: bool
    scheduler_policy: str


def parser() -> argparse.ArgumentParser:
    """Return the parser of `sampan daemon`."""
    parse = argparse.ArgumentParser(prog="sampan daemon", description="Run the engine in the foreground.")
    add = parse.add_argument
    add("--data-root", metavar="D", help=f"what lasts: images, volumes, records (default {DATA_ROOT})")
    add("--exec-root", metavar="D", help=f"what ends with the machine: sockets, namespaces (default {EXEC_ROOT})")
    add(
        "-H",
        "--host",
        dest="hosts",
        action="append",
        metavar="URL",
        help="unix:///PATH or tcp://ADDRESS:PORT (mutual TLS)",
    )
    add("-p", "--pidfile", metavar="F")
    add("-b", "--bridge", metavar="NAME", help="the default network's interface (default sampan0)")
    add("--bip", metavar="CIDR", help="its address and prefix (default 172.17.0.1/16)")
    add(
        "--config",
        "--config-file",
        dest="config",
        metavar="F",
        help="TOML or JSON with these flags' long names as keys",
    )
    add("--default-runtime", metavar="NAME", help="crun where its self-test passes, else runc")
    add("--add-runtime", action="append", metavar="NAME=PATH")
    add("--no-scheduler", action="store_true", default=None, help="the control process schedules no pods")
    add(
        "--scheduler-policy",
        metavar="P",
        help="how it schedules: default, packing, a package's policy, or FILE.py:CLASS (default default)",
    )
    add("--tlsverify", action="store_true", default=None)
    for name in ("tlscacert", "tlscert", "tlskey"):
        add(f"--{name}", metavar="F")
    add("-l", "--log-level", choices=["debug", "info", "warning", "error"])
    add("--label", action="append", metavar="KEY=VALUE")
    add("--registry-mirror", action="append", metavar="URL")
    add("--insecure-registry", action="append", metavar="HOST")
    add("--default-ulimit", action="append", metavar="NAME=SOFT[:HARD]")
    add("-G", "--group", metavar="NAME", help="group of the Unix socket")
    add("--netns-pool", type=int, metavar="N", help="network namespaces kept ready (default 16, 0 for none)")
    add(
        "--api-listen",
        metavar="HOST:PORT",
        help=f"the Kubernetes API, a process of its own (default {API_LISTEN}); none: there is none",
    )
    add("--api-plain-listen", metavar="HOST:PORT", help="the same without TLS, on loopback only; for measurements")
    add(
        "--store",
        metavar="URL",
        help="where the Kubernetes API keeps its objects: etcd://HOST:PORT[,HOST:PORT][/PREFIX][?cacert=F&cert=F&key=F] "
        "(default: files in the data root)",
    )
    add("--policies", action="append", metavar="DIR", help="a folder of policies in Python, besides D/control/policies")
    return parse


def load(argv: list[str]) -> DaemonSettings:
    """Return the settings of a command line.

    Raises:
        InvalidArgument: an unknown key in the file, or a value that cannot be.
    """
    flags = {
        key.replace("_", "-"): value for key, value in vars(parser().parse_args(argv)).items() if value is not None
    }
    config = flags.pop("config", None)
    merged = {**(_read(Path(config)) if config else {}), **flags}

    def text(key: str, default: str) -> str:
        return str(merged.get(key, default))

    def many(key: str) -> tuple[str, ...]:
        value = merged.get(key, ())
        return (value,) if isinstance(value, str) else tuple(value)

    exec_root = Path(text("exec-root", EXEC_ROOT)).absolute()
    runtimes = {}
    for entry in many("add-runtime"):
        name, separator, path = entry.partition("=")
        if not separator or not path.startswith("/"):
            raise InvalidArgument(f"--add-runtime {entry}: write it as NAME=/PATH")
        runtimes[name] = path
    return DaemonSettings(
        data_root=Path(text("data-root", DATA_ROOT)).absolute(),
        exec_root=exec_root,
        hosts=many("hosts") or (f"unix://{exec_root}/sampan.sock",),
        pidfile=Path(text("pidfile", f"{exec_root}/sampan.pid")).absolute(),
        bridge=text("bridge", "sampan0"),
        bip=text("bip", "172.17.0.1/16"),
        default_runtime=text("default-runtime", ""),
        runtimes=runtimes,
        tls={key: text(f"tls{key}", "") for key in ("cacert", "cert", "key")},
        tls_verify=bool(merged.get("tlsverify")),
        log_level=text("log-level", "info"),
        labels=many("label"),
        registry_mirrors=many("registry-mirror"),
        insecure_registries=many("insecure-registry"),
        default_ulimits=tuple(map(_ulimit, many("default-ulimit"))),
        group=text("group", ""),
        netns_pool=int(merged.get("netns-pool", 16)),
        api_listen=_listen("api-listen", text("api-listen", API_LISTEN)),
        api_plain_listen=_listen("api-plain-listen", text("api-plain-listen", "none")),
        store=_store(text("store", "")),
        policies=tuple(str(Path(each).absolute()) for each in many("policies")),
        scheduler=not merged.get("no-scheduler"),
        scheduler_policy=_scheduler_policy(text("scheduler-policy", "default")),
    )


def _scheduler_policy(text: str) -> str:
    """Return a policy's name with the file's path made absolute; what is in it is seen by whoever uses it."""
    path, separator, name = text.rpartition(":")
    if not text.endswith(".py") and not path.endswith(".py"):
        return text
    if not separator or not name:
        raise InvalidArgument(f"--scheduler-policy {text}: which class of it? Write it as FILE.py:CLASS")
    if not Path(path).is_file():
        raise InvalidArgument(f"--scheduler-policy {text}: there is no file {path}; `sampan sched new NAME` writes one")
    return f"{Path(path).absolute()}:{name}"


def _listen(key: str, address: str) -> str:
    return "" if address == "none" else listening.checked(address, f"--{key}")


def _store(url: str) -> str:
    if url:
        etcd_address.parse(url)
    return url


def _ulimit(text: str) -> Ulimit:
    name, _, limits = text.partition("=")
    soft, _, hard = limits.partition(":")
    try:
        return Ulimit(name=name, soft=int(soft), hard=int(hard or soft))
    except ValueError:
        raise InvalidArgument(f"--default-ulimit {text}: write it as nofile=1024:4096") from None


def _read(path: Path) -> dict[str, object]:
    try:
        raw = path.read_text()
        values = json.loads(raw) if path.suffix == ".json" else tomllib.loads(raw)
    except OSError as error:
        raise InvalidArgument(f"cannot read the configuration {path}: {error.strerror}") from None
    except ValueError as error:
        raise InvalidArgument(f"the configuration {path} is malformed: {error}") from None
    if not isinstance(values, dict):
        raise InvalidArgument(f"the configuration {path} must be a table of settings")
    known = {action.option_strings[-1].removeprefix("--") for action in parser()._actions} | {"hosts"}  # noqa: SLF001
    for key in values:
        if key not in known:
            import difflib

            near = difflib.get_close_matches(key, known, 1)
            hint = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(sorted(known - {'help'}))}"
            raise InvalidArgument(f"{path}: unknown setting {key}{hint}")
    return values
