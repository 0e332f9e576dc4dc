"""For the same command line, `sampan run` asks for what the real `docker run` asks for."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from sampan.cli.main import main
from wire.cli_oracle import Recorder

LINES = [
    "busybox",
    "-it --rm busybox sh -c 'echo a b'",
    "-d --name web -p 8080:80 -p 127.0.0.1::53/udp -p 9000-9001:90-91 --expose 7000 -P nginx",
    "-e A=1 -e HOME -e NOT_SET_HERE -w /srv -u 1000:1000 --group-add 5 --entrypoint /bin/x img arg",
    "--entrypoint= img",
    "-v data:/data -v /host:/h:ro,rslave -v /anonymous -v ./rel:/r --tmpfs /t:size=1m --volumes-from o:ro img",
    "--mount type=bind,source=/a,target=/b,readonly,bind-propagation=rslave --mount type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=700 img",
    "--mount type=volume,src=v,dst=/d,volume-nocopy,volume-opt=a=b,volume-label=c=d,volume-driver=local img",
    "--mount type=bind,src=/a,dst=/b,bind-recursive=readonly,ro,bind-propagation=rprivate img",
    "-m 64m --memory-swap -1 --memory-reservation 32m --cpus 1.5 --cpu-shares 512 --cpuset-cpus 0-1 --pids-limit 100 img",
    "--cpu-period 100000 --cpu-quota 50000 --blkio-weight 300 --device-read-bps /dev/sda:1mb --device-write-iops /dev/sda:10 img",
    "--memory-swappiness 10 --oom-kill-disable --oom-score-adj 100 --shm-size 32m --ulimit nofile=1024:2048 --ulimit core=0 img",
    "--cap-add NET_ADMIN --cap-drop MKNOD --privileged --security-opt no-new-privileges --security-opt seccomp=unconfined img",
    "--security-opt systempaths=unconfined --read-only --init --runtime runc --isolation default img",
    "--pid host --ipc shareable --uts host --userns host --cgroupns private --cgroup-parent /x img",
    "--restart on-failure:3 --stop-signal INT --stop-timeout 5 --log-driver json-file --log-opt max-size=1m img",
    "--health-cmd 'true || false' --health-interval 5s --health-timeout 1m --health-retries 2 --health-start-period 1s img",
    "--no-healthcheck -l a=b --label c --hostname h --domainname d --sysctl net.ipv4.ip_forward=1 --annotation x=y img",
    "--device /dev/fuse --device /dev/null:/dev/n:r --device-cgroup-rule 'c 1:3 rwm' --storage-opt size=1G img",
    "--network my --network-alias a --ip 10.0.0.5 --ip6 fd00::5 --mac-address 02:42:ac:11:00:05 img",
    "--network name=my,alias=a,ip=10.0.0.5 --network other img",
    "--network host img",
    "--network container:abc img",
    "--add-host a:1.2.3.4 --add-host b=::1 --dns 1.1.1.1 --dns-search x --dns-option ndots:1 --link other:alias img",
    "-a stdout -a stdin -i img",
    "--annotation a=b --link-local-ip 169.254.1.1 --network n img",
]


def pruned(value):
    """Without what means "not asked for": the docker CLI spells out every default."""
    if isinstance(value, dict):
        kept = {key: pruned(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in (None, "", 0, False, {}, [], [0, 0])}
    return [pruned(item) for item in value] if isinstance(value, list) else value


def comparable(body):
    """Without order where the docker CLI has none, and with one spelling of capabilities (the engine takes both)."""
    kept = pruned(body)
    host = kept.get("HostConfig", {})
    for name, default in (("NetworkMode", "default"), ("MemorySwappiness", -1), ("RestartPolicy", {"Name": "no"})):
        if host.get(name) == default:
            del host[name]
    for name in ("CapAdd", "CapDrop"):
        if name in host:
            host[name] = [word.removeprefix("CAP_") for word in host[name]]
    for values, name in ((kept, "Env"), (host, "Binds"), (host, "Ulimits")):
        if name in values:
            values[name] = sorted(values[name], key=str)
    return kept


@pytest.fixture(scope="module")
def recorder(tmp_path_factory):
    with Recorder(str(tmp_path_factory.mktemp("oracle") / "s")) as server:
        yield server


@pytest.mark.skipif(not shutil.which("docker"), reason="no docker CLI on this machine")
@pytest.mark.parametrize("line", LINES)
def test_same_body_as_docker(line, recorder, tmp_path, monkeypatch, capsys):
    import shlex

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/root")
    argv, host = shlex.split(line), f"unix://{recorder.server_address}"
    recorder.bodies.clear()
    environ = {**os.environ, "DOCKER_HOST": host, "DOCKER_CONFIG": str(tmp_path)}
    done = subprocess.run(
        ["docker", "create", *_without_detach(argv)], env=environ, capture_output=True, text=True, check=False
    )
    assert recorder.bodies, done.stderr
    theirs = recorder.bodies.pop()[1]
    assert main(["-H", host, "create", *_without_detach(argv)]) == 1
    ours = recorder.bodies.pop()[1]
    assert comparable(ours) == comparable(theirs)


def _without_detach(argv):
    """`create` has no -d."""
    return [word for word in argv if word != "-d"]
