"""`sampan explain pod/NAME`: why a pod is where it is, or nowhere, asked of the live cluster."""

from __future__ import annotations

import argparse
import asyncio
import sys

from sampan.base.errors import InvalidArgument, SampanError
from sampan.client import kubeconfig
from sampan.client.http import HttpClient
from sampan.cmd import scheduling_policies
from sampan.control.scheduling.cluster import Cluster
from sampan.control.scheduling.following import read_once
from sampan.control.scheduling.pods import Seen
from sampan.control.scheduling.trial import tried
from sampan.schedule.profile import DEFAULT, Profile


def main(argv: list[str]) -> int:
    """Print what keeps a pod from running; returns the exit code: 1 where it would not be placed now."""
    parser = argparse.ArgumentParser(
        prog="sampan explain", description="Say why a pod is where it is, or what keeps it from being placed."
    )
    parser.add_argument("what", metavar="pod/NAME")
    parser.add_argument("-n", "--namespace", default="default", metavar="NS")
    parser.add_argument("--kubeconfig", default=kubeconfig.default(), metavar="F")
    scheduling_policies.add_argument(parser)
    words = parser.parse_args(argv)
    kind, _, name = words.what.partition("/")
    if kind not in ("pod", "pods", "po") or not name:
        parser.error(f"{words.what}: write it as pod/NAME")
    try:
        profile = scheduling_policies.profile(words.policy)
        place, key = kubeconfig.load(words.kubeconfig), f"{words.namespace}/{name}"
        placed, said = asyncio.run(_explained(place, key, profile))
    except SampanError as error:
        print(f"sampan: {error}", file=sys.stderr)
        return 1
    print(said)
    return 0 if placed else 1


async def _explained(place: kubeconfig.Place, key: str, profile: Profile) -> tuple[bool, str]:
    cluster = await read(place)
    seen = cluster.known.get(key)
    if seen is None:
        raise InvalidArgument(f'pods "{key.partition("/")[2]}" not found in {key.partition("/")[0]}, or it has ended')
    return verdict(cluster, seen, profile)


async def read(place: kubeconfig.Place) -> Cluster:
    """Return a cluster as it is now."""
    client, cluster = HttpClient(place, "sampan"), Cluster()
    try:
        await read_once(client, cluster)
    finally:
        await client.close()
    return cluster


def verdict(cluster: Cluster, seen: Seen, profile: Profile = DEFAULT) -> tuple[bool, str]:
    """Return whether a pod has a place or would get one now, and the sentence that says so."""
    key = seen.pod.key
    if seen.node:
        return True, f"{key} is on {seen.node}."
    if seen.deleting:
        return False, f"{key} is being deleted: it is not placed any more."
    if not seen.ours:
        return False, f"{key} is left to the scheduler that its schedulerName names."
    [found] = tried(cluster, [seen], profile)
    if not found.node:
        return False, found.why
    if waits := cluster.wanted(seen).to_select:
        given = cluster.snapshot.volumes.given(key)
        return False, f"{key} waits: {cluster.volumes.awaited(seen.pod.shape.namespace, waits, found.node, given)}."
    if found.evicts:
        return True, f"{key} fits on {found.node} once these have ended: {', '.join(found.evicts)}."
    return (
        True,
        f"{key} fits on {found.node} now: it waits for its turn, or its last refusal is about to be looked at again.",
    )
