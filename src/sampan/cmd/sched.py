"""`sampan sched`: the scheduler asked, without anything being changed; and policies for it."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

import yaml

from sampan.base.errors import InvalidArgument, SampanError
from sampan.cli.table import Row, show
from sampan.client import kubeconfig
from sampan.client.http import HttpClient
from sampan.client.port import Ref
from sampan.cmd import sched_new, sched_rebalance, scheduling_policies
from sampan.control.scheduling import manifest
from sampan.control.scheduling.cluster import Cluster
from sampan.control.scheduling.following import read_once
from sampan.control.scheduling.pods import Seen
from sampan.control.scheduling.trial import Verdict, tried
from sampan.kube import object as objects
from sampan.kube.reading import flag, number
from sampan.schedule.profile import DEFAULT, Profile

_PRIORITIES = Ref("scheduling.k8s.io", "v1", "priorityclasses", namespaced=False)
_RUNTIMES = Ref("node.k8s.io", "v1", "runtimeclasses", namespaced=False)
_COLUMNS = (("POD", "pod"), ("NODE", "node"), ("EVICTS", "evicts"))


def main(argv: list[str]) -> int:
    """Run `sampan sched whatif` or `new`; returns the exit code: 1 where a pod of the manifest would not be placed."""
    if argv[:1] == ["rebalance"]:
        return sched_rebalance.main(argv[1:])
    parser = argparse.ArgumentParser(prog="sampan sched", description="Ask the scheduler, or write a policy for it.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    text = "say where the pods of a manifest would be placed, with the nodes that it adds; nothing is changed"
    verb = verbs.add_parser("whatif", help=text, description=text)
    verb.add_argument("-f", "--filename", required=True, metavar="F", help="YAML or JSON; - for standard input")
    verb.add_argument("-n", "--namespace", default="default", metavar="NS", help="of pods that name none")
    verb.add_argument("--kubeconfig", default=kubeconfig.default(), metavar="F")
    scheduling_policies.add_argument(verb)
    text = "write NAME.py, a scheduling policy to begin with, and test_NAME.py; what is there is left as it is"
    verb = verbs.add_parser("new", help=text, description=text)
    verb.add_argument("name", metavar="NAME")
    verbs.add_parser("rebalance", help=sched_rebalance.HELP, add_help=False)
    words = parser.parse_args(argv)
    try:
        return _new(words.name) if words.verb == "new" else _told(words)
    except SampanError as error:
        print(f"sampan: {error}", file=sys.stderr)
        return 1


def _new(name: str) -> int:
    policy, test = sched_new.write(name, Path())
    print(f"{policy} and {test} are written. Try them: pytest {test}")
    return 0


def _told(words: argparse.Namespace) -> int:
    profile = scheduling_policies.profile(words.policy)
    documents = _documents(words.filename)
    found = asyncio.run(_whatif(kubeconfig.load(words.kubeconfig), documents, words.namespace, profile))
    show([_row(one) for one in found], _COLUMNS)
    for one in found:
        if one.why:
            print(f"\n{one.key}: {one.why}")
    return 0 if all(one.node for one in found) else 1


def _documents(path: str) -> list[object]:
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text()
        return list(yaml.safe_load_all(text))
    except OSError as error:
        raise InvalidArgument(f"cannot read {path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise InvalidArgument(f"{path} is no YAML: {error}") from error


async def _whatif(place: kubeconfig.Place, documents: list[object], namespace: str, profile: Profile) -> list[Verdict]:
    client, cluster = HttpClient(place, "sampan"), Cluster()
    try:
        priority_classes = (await client.list(_PRIORITIES)).items
        runtimes = {objects.name(one): one for one in (await client.list(_RUNTIMES)).items}
        await read_once(client, cluster)
    finally:
        await client.close()
    priorities = {objects.name(one): number(one, "value") for one in priority_classes}
    priorities[""] = next((number(one, "value") for one in priority_classes if flag(one, "globalDefault")), 0)
    return judged(cluster, manifest.read(documents, namespace, manifest.Classes(priorities, runtimes)), profile)


def judged(cluster: Cluster, wanted: manifest.Wanted, profile: Profile = DEFAULT) -> list[Verdict]:
    """Return what would become of a manifest's pods; and, where it adds nodes, of those that wait for a place now."""
    for node in wanted.nodes:
        cluster.node(node.name, node)
    for service in wanted.services:
        cluster.default_spread.service(*service)
    for controller in wanted.controllers:
        cluster.default_spread.controller(*controller)
    ours = {seen.pod.key for seen in wanted.pods}
    waiting = [seen for seen in cluster.known.values() if _waits(seen) and seen.pod.key not in ours]
    for key in ours & cluster.known.keys():  # the manifest's stands for the one that is there
        cluster.pod(cluster.known[key], None)
    found = tried(cluster, [*(waiting if wanted.nodes else []), *wanted.pods], profile)
    return [one for one in found if one.key in ours or one.node]


def _waits(seen: Seen) -> bool:
    return seen.ours and not seen.node and not seen.deleting


def _row(one: Verdict) -> Row:
    return {"pod": one.key, "node": one.node or "<none>", "evicts": ",".join(one.evicts) or "<none>"}
