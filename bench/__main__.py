"""Runs the bench: `python -m bench [name…]`, or tells its last results against the goals: `python -m bench compare`.

`python -m bench sched [name…]` is `python -m bench.sched [name…]`.
"""

from __future__ import annotations

import argparse
import signal
import sys
import traceback
from collections.abc import Iterable
from types import FrameType

from bench import fence, result, table
from bench.daemon import DaemonFailed
from bench.measures import ALIASES, MEASURES
from bench.peers import Missing
from bench.result import Result
from bench.sched import __main__ as sched
from bench.session import Session

RUNS, QUICK_RUNS = 25, 3


def main() -> int:
    """Run what the command line asks for and return the exit code: 0 when everything that was asked for was measured."""
    if sys.argv[1:2] == ["sched"]:  # in memory: needs no daemon and no peer
        return sched.main(sys.argv[2:])
    parser = _parser()
    arguments = parser.parse_args()
    unknown = set(arguments.names) - {*MEASURES, *ALIASES, "compare"}
    if unknown:
        parser.error(
            f"no measure {', '.join(sorted(unknown))}: there are {', '.join([*MEASURES, *ALIASES])}, and compare"
        )
    if arguments.names == ["compare"]:
        print(table.compare(result.last()))
        return 0
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    for name in fence.sweep():
        print(f"(removed what a killed run left: {name})")
    names = list(dict.fromkeys(ALIASES.get(name, name) for name in arguments.names or MEASURES))
    runs = arguments.runs or (QUICK_RUNS if arguments.quick else RUNS)
    try:
        return _run(arguments, names, runs)
    except (DaemonFailed, Missing) as error:
        print(f"FAILED: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted; all daemons are ended and removed", file=sys.stderr)
    return 2


def _run(arguments: argparse.Namespace, names: Iterable[str], runs: int) -> int:
    with Session(
        runs=runs,
        quick=arguments.quick,
        ours=not arguments.peers_only,
        second=not (arguments.one_peer or arguments.quick),
    ) as session:
        session.open()
        lines, failed = _measured(names, session)
    print("\n" + table.results(lines) + f"\n\nJSON lines: {result.RESULTS}/NAME.jsonl")
    for name, error in failed.items():
        print(f"FAILED {name}: {error}", file=sys.stderr)
    return 1 if failed else 0


def _measured(names: Iterable[str], session: Session) -> tuple[list[Result], dict[str, Exception]]:
    """Return the lines of the measures, saved, and the errors of those that failed: one that fails stops no other."""
    lines: list[Result] = []
    failed: dict[str, Exception] = {}
    for name in names:
        try:
            found = MEASURES[name](session)
        except Exception as error:
            traceback.print_exc()
            failed[name] = error
            continue
        for measure in dict.fromkeys(line.measure for line in found):
            result.save(measure, [line for line in found if line.measure == measure])
        lines += found
    return lines, failed


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench", description="Measures Sampan beside its peers, in one run.")
    known = [*MEASURES, *ALIASES, "compare"]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}; all when there is none")
    parser.add_argument("--runs", type=int, help=f"samples a side (usually {RUNS})")
    parser.add_argument("--quick", action="store_true", help=f"a smoke test: {QUICK_RUNS} samples, one peer")
    parser.add_argument("--one-peer", action="store_true", help="leave Debian's docker.io out")
    parser.add_argument("--peers-only", action="store_true", help="measure the peers alone")
    return parser


def _interrupt(number: int, _: FrameType | None) -> None:
    raise KeyboardInterrupt(f"signal {number}")


if __name__ == "__main__":
    sys.exit(main())
