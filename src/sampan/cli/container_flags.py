"""The flags of `run` and `create`, as docker names them."""

from __future__ import annotations

from sampan.cli.flags import BOOL, INT, LIST, TEXT, Flag

PROCESS = (
    Flag("env", LIST, "Set environment variables", "e"),
    Flag("env-file", LIST, "Read environment variables from a file"),
    Flag("entrypoint", TEXT, "Overwrite the image's entrypoint"),
    Flag("workdir", TEXT, "Working directory inside the container", "w"),
    Flag("user", TEXT, "User name or id, with :group if wanted", "u"),
    Flag("group-add", LIST, "Further groups to join"),
    Flag("tty", BOOL, "Give the process a terminal", "t"),
    Flag("interactive", BOOL, "Keep stdin open", "i"),
    Flag("attach", LIST, "Attach to stdin, stdout or stderr", "a"),
    Flag("init", BOOL, "Run an init inside the container that reaps and forwards signals"),
    Flag("stop-signal", TEXT, "Signal that stops the container"),
    Flag("stop-timeout", INT, "Seconds to wait before killing it", metavar="seconds"),
    Flag("ulimit", LIST, "Limit of the process: name=soft[:hard]"),
    Flag("no-healthcheck", BOOL, "Disable the image's healthcheck"),
    Flag("health-cmd", TEXT, "Command that checks health"),
    Flag("health-interval", TEXT, "Time between checks", metavar="duration"),
    Flag("health-timeout", TEXT, "Longest time for one check", metavar="duration"),
    Flag("health-start-period", TEXT, "Time to start up before failures count", metavar="duration"),
    Flag("health-start-interval", TEXT, "Time between checks in the start period", metavar="duration"),
    Flag("health-retries", INT, "Failures in a row that make it unhealthy"),
)

IDENTITY = (
    Flag("name", TEXT, "Name of the container"),
    Flag("hostname", TEXT, "Host name inside the container", "h"),
    Flag("domainname", TEXT, "NIS domain name inside the container"),
    Flag("label", LIST, "Label: key=value", "l"),
    Flag("label-file", LIST, "Read labels from a file"),
    Flag("annotation", LIST, "Annotation for the OCI runtime: key=value"),
    Flag("cidfile", TEXT, "Write the id to this file"),
    Flag("platform", TEXT, "Platform of the image"),
    Flag("pull", TEXT, "Pull the image before running: always, missing, never", default="missing"),
    Flag("quiet", BOOL, "Show no progress of the pull", "q"),
    Flag("rm", BOOL, "Remove the container when it exits"),
    Flag("restart", TEXT, "Restart policy: no, on-failure[:n], always, unless-stopped", default="no"),
    Flag("log-driver", TEXT, "json-file, local or none"),
    Flag("log-opt", LIST, "Option of the log driver: max-size=10m, max-file=5"),
    Flag("runtime", TEXT, "OCI runtime: crun, runc, or one from the config"),
    Flag("isolation", TEXT, "Isolation technology"),
)

NETWORK = (
    Flag("network", LIST, "Network to join, with options: name=N,alias=A,ip=…"),
    Flag("net", LIST, "The same as --network"),
    Flag("network-alias", LIST, "Further name on the network"),
    Flag("net-alias", LIST, "The same as --network-alias"),
    Flag("ip", TEXT, "IPv4 address on the network"),
    Flag("ip6", TEXT, "IPv6 address on the network"),
    Flag("link-local-ip", LIST, "Link-local address"),
    Flag("mac-address", TEXT, "MAC address on the network"),
    Flag("link", LIST, "Link to another container: name[:alias]"),
    Flag("publish", LIST, "Publish a port: [ip:][host:]container[/proto]", "p"),
    Flag("publish-all", BOOL, "Publish all exposed ports to random ports", "P"),
    Flag("expose", LIST, "Expose a port without publishing it"),
    Flag("add-host", LIST, "Line for /etc/hosts: name:ip"),
    Flag("dns", LIST, "DNS server"),
    Flag("dns-option", LIST, "Option for resolv.conf"),
    Flag("dns-opt", LIST, "The same as --dns-option"),
    Flag("dns-search", LIST, "DNS search domain"),
)

STORAGE = (
    Flag("volume", LIST, "Mount a volume or a directory: source:target[:options]", "v"),
    Flag("mount", LIST, "Mount, spelled out: type=bind,source=…,target=…"),
    Flag("tmpfs", LIST, "Mount a tmpfs: target[:options]"),
    Flag("volumes-from", LIST, "Mount the volumes of another container"),
    Flag("volume-driver", TEXT, "Volume driver for this container"),
    Flag("read-only", BOOL, "Make the root filesystem read-only"),
    Flag("shm-size", TEXT, "Size of /dev/shm", metavar="bytes"),
    Flag("storage-opt", LIST, "Option of the storage driver"),
)

SECURITY = (
    Flag("privileged", BOOL, "Give all privileges"),
    Flag("cap-add", LIST, "Add a capability"),
    Flag("cap-drop", LIST, "Drop a capability"),
    Flag("security-opt", LIST, "Security option: no-new-privileges, seccomp=FILE, apparmor=PROFILE, …"),
    Flag("pid", TEXT, "PID namespace: host or container:NAME"),
    Flag("ipc", TEXT, "IPC namespace: private, shareable, host, none or container:NAME"),
    Flag("uts", TEXT, "UTS namespace: host"),
    Flag("userns", TEXT, "User namespace: host"),
    Flag("cgroupns", TEXT, "Cgroup namespace: host or private"),
    Flag("sysctl", LIST, "Sysctl: name=value"),
    Flag("device", LIST, "Host device: host[:container[:permissions]]"),
    Flag("device-cgroup-rule", LIST, "Rule for the cgroup's list of devices"),
    Flag("gpus", TEXT, "Refused: pass device nodes by --device"),
)

RESOURCES = (
    Flag("memory", TEXT, "Memory limit", "m", metavar="bytes"),
    Flag("memory-reservation", TEXT, "Memory soft limit", metavar="bytes"),
    Flag("memory-swap", TEXT, "Memory and swap limit, -1 for no limit", metavar="bytes"),
    Flag("memory-swappiness", INT, "0 to 100"),
    Flag("kernel-memory", TEXT, "Refused by kernels since 5.16", metavar="bytes"),
    Flag("oom-kill-disable", BOOL, "Do not kill when memory runs out"),
    Flag("oom-score-adj", INT, "-1000 to 1000"),
    Flag("cpus", TEXT, "Number of CPUs, such as 1.5", metavar="number"),
    Flag("cpu-shares", INT, "Relative weight", "c"),
    Flag("cpu-period", INT, "CFS period in µs"),
    Flag("cpu-quota", INT, "CFS quota in µs"),
    Flag("cpu-rt-period", INT, "Real-time period in µs"),
    Flag("cpu-rt-runtime", INT, "Real-time runtime in µs"),
    Flag("cpuset-cpus", TEXT, "CPUs to use: 0-3,5"),
    Flag("cpuset-mems", TEXT, "Memory nodes to use"),
    Flag("pids-limit", INT, "Most processes, -1 for no limit"),
    Flag("blkio-weight", INT, "Block I/O weight, 10 to 1000"),
    Flag("blkio-weight-device", LIST, "The same for one device: path:weight"),
    Flag("device-read-bps", LIST, "Read rate: path:bytes"),
    Flag("device-write-bps", LIST, "Write rate: path:bytes"),
    Flag("device-read-iops", LIST, "Reads a second: path:number"),
    Flag("device-write-iops", LIST, "Writes a second: path:number"),
    Flag("cgroup-parent", TEXT, "Parent cgroup"),
)

CREATE = PROCESS + IDENTITY + NETWORK + STORAGE + SECURITY + RESOURCES

RUN = (
    *CREATE,
    Flag("detach", BOOL, "Run in the background and print the id", "d"),
    Flag("detach-keys", TEXT, "Keys that detach from the container"),
    Flag("sig-proxy", BOOL, "Pass received signals on to the process", default="true"),
)
