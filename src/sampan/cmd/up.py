"""`sampan up`, `down`, `status`: the daemon as a background service, by systemd where it runs, else detached.

Stopping the service never stops a container: their monitors are outside of it.
"""

from __future__ import annotations

import os
import select
import shlex
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from sampan.base.errors import SampanError
from sampan.cli.errors import CliError
from sampan.cli.http import Client
from sampan.cmd import control_state
from sampan.cmd.settings import DaemonSettings, load

UNIT = Path("/etc/systemd/system/sampan.service")
_READY_TIMEOUT_S = 60
_STOP_TIMEOUT_S = 60
_NOT_RUNNING = 3  # what `systemctl status` says, too


def up(argv: list[str]) -> int:
    """Start the service and wait until it answers. Flags are those of `sampan daemon`. May be repeated."""
    return _told(lambda: _up(argv))


def down(argv: list[str]) -> int:
    """Stop the service and wait until it has ended. May be repeated. `--purge` removes all that it made, data too."""
    settings_words = [word for word in argv if word not in ("--purge", "--yes")]

    def act() -> int:
        settings = load(settings_words)
        return _purge(settings, sure="--yes" in argv) if "--purge" in argv else _down(settings)

    return _told(act)


def status(argv: list[str]) -> int:
    """Say whether the service runs; 0 when it does, 3 when not."""
    return _told(lambda: _status(load(argv)))


def _told(act: Callable[[], int]) -> int:
    try:
        return act()
    except (SampanError, CliError) as error:
        print(f"sampan: {error}", file=sys.stderr)
        return 1


def _up(argv: list[str]) -> int:
    settings = load(argv)
    if answers(settings):
        print(f"sampan runs already (pid {running_pid(settings)}) on {settings.hosts[0]}")
        return 0
    if os.geteuid() != 0:
        raise CliError("the engine needs root: use 'sudo sampan up'.")
    command = [sys.executable, "-m", "sampan", "daemon", *argv]
    if _has_systemd() and _unit_is_of(settings, free=True):
        _start_unit(command)
        _wait_ready(settings, None, "journalctl -u sampan")
    else:
        log = settings.data_root / "daemon.log"
        _wait_ready(settings, _start_detached(command, log), f"its log {log}")
    print(f"sampan is up (pid {running_pid(settings)}) on {settings.hosts[0]}")
    print('Point docker at it with: eval "$(sampan env)"')
    if settings.api_listen:
        print("Point kubectl at it with: sampan kubeconfig > ~/.kube/config")
    return 0


def answers(settings: DaemonSettings) -> bool:
    """Whether a daemon answers GET /_ping on the first socket."""
    try:
        answer = Client(settings.hosts[0]).send("GET", "/_ping")
    except (CliError, OSError):
        return False
    return answer.status == 200 and answer.read() == b"OK"


def running_pid(settings: DaemonSettings) -> int:
    """The pid in the pidfile if it is that of a live daemon, else 0: a stale file names nobody, or a stranger."""
    try:
        pid = int(settings.pidfile.read_text())
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return 0
    return pid if b"daemon" in words else 0


def _has_systemd() -> bool:
    return os.path.isdir("/run/systemd/system")


def _unit_is_of(settings: DaemonSettings, *, free: bool) -> bool:
    """Whether the unit runs the daemon of this data root; `free` is the answer when there is no unit. Daemons can be many."""
    if not UNIT.exists():
        return free
    line = next((line for line in UNIT.read_text().splitlines() if line.startswith("ExecStart=")), "")
    words = shlex.split(line.removeprefix("ExecStart="))
    return "daemon" in words and load(words[words.index("daemon") + 1 :]).data_root == settings.data_root


def unit(command: list[str]) -> str:
    """Return the systemd unit. Without KillMode=process and Delegate a restart would kill the monitors of containers."""
    return f"""[Unit]
Description=Sampan container engine
After=network-online.target
Wants=network-online.target

[Service]
ExecStart={shlex.join(command)}
KillMode=process
Delegate=yes
Restart=on-failure
RestartSec=1
LimitNOFILE=infinity
LimitNPROC=infinity
TasksMax=infinity
OOMScoreAdjust=-500

[Install]
WantedBy=multi-user.target
"""


def _start_unit(command: list[str]) -> None:
    text = unit(command)
    if not UNIT.exists() or UNIT.read_text() != text:
        UNIT.write_text(text)
    _systemctl("daemon-reload")
    _systemctl("enable", "--quiet", "sampan.service")
    _systemctl("restart", "sampan.service")


def _systemctl(*words: str) -> None:
    pid = os.posix_spawnp("systemctl", ["systemctl", *words], os.environ)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        raise CliError(f"'systemctl {' '.join(words)}' failed with exit code {code}: see 'journalctl -u sampan'.")


def _start_detached(command: list[str], log: Path) -> int:
    """Spawn the daemon in a session of its own; returns its pidfd."""
    log.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), append, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=actions, setsid=True)
    return os.pidfd_open(pid)


def _wait_ready(settings: DaemonSettings, pidfd: int | None, where: str) -> None:
    """Return when the daemon answers. A socket that is not there yet cannot be waited on, so this asks 50 times a second."""
    poller = select.poll()
    if pidfd is not None:
        poller.register(pidfd, select.POLLIN)
    for _ in range(_READY_TIMEOUT_S * 50):
        if poller.poll(20):
            raise CliError(f"the daemon ended before it was ready: see {where}.")
        if answers(settings):
            return
    raise CliError(f"the daemon does not answer on {settings.hosts[0]} after {_READY_TIMEOUT_S} s: see {where}.")


def _down(settings: DaemonSettings) -> int:
    pid = running_pid(settings)
    if _has_systemd() and _unit_is_of(settings, free=False):
        _systemctl("disable", "--quiet", "--now", "sampan.service")
        pid = pid or -1
    elif pid:
        _terminate(pid)
    print("sampan is down; containers go on running" if pid else "sampan does not run")
    return 0


def _purge(settings: DaemonSettings, *, sure: bool) -> int:
    from sampan.cmd.purge import purge

    if not sure:
        if not sys.stdin.isatty():
            raise CliError("--purge removes every container, image and volume: add --yes where nobody can be asked.")
        question = f"This removes every container, image and volume under {settings.data_root}. Type 'yes' to go on: "
        if input(question).strip() != "yes":
            raise CliError("nothing was removed.")
    _down(settings)
    purge(settings)
    if _unit_is_of(settings, free=False):
        UNIT.unlink()
    print(f"removed {settings.data_root} and {settings.exec_root}")
    return 0


def _terminate(pid: int) -> None:
    try:
        pidfd = os.pidfd_open(pid)
        signal.pidfd_send_signal(pidfd, signal.SIGTERM)
    except ProcessLookupError:
        return
    except PermissionError:
        raise CliError(f"the daemon (pid {pid}) is another user's: use 'sudo sampan down'.") from None
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    if not poller.poll(_STOP_TIMEOUT_S * 1000):
        raise CliError(f"the daemon (pid {pid}) does not end; 'kill -9 {pid}' is safe: containers run on.")


def _status(settings: DaemonSettings) -> int:
    pid, host = running_pid(settings), settings.hosts[0]
    if not answers(settings):
        print(
            f"sampan has a process (pid {pid}) but does not answer on {host}"
            if pid
            else "sampan does not run: 'sampan up'"
        )
        return _NOT_RUNNING
    info = Client(host).get("/info")
    assert isinstance(info, dict)  # noqa: S101  the API's shape
    print(f"sampan {info['ServerVersion']} runs (pid {pid}) on {host}")
    print(f"containers: {info['ContainersRunning']} running of {info['Containers']}; images: {info['Images']}")
    print(f"data: {settings.data_root}; default runtime: {info['DefaultRuntime']}; cgroups: v{info['CgroupVersion']}")
    for line in control_state.lines(settings.data_root):
        print(line)
    for warning in info.get("Warnings") or ():
        print(warning)
    return 0
