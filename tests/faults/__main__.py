"""Altered files, kills, full disks and odd surroundings, with counts. Slow, and no test that pytest collects:

    python tests/faults [PART ...] [--first 0] [--count N] [--seed 0] [--seconds S]

Without PART all of them, each with its own count. Every case has a number and follows from it and the seed, so that a part can be run in
portions (--seconds: as many as fit) and a single case again. A case is "used" or "refused"; anything else (a traceback, a hang, a silent
difference, a loss) is told and ends in exit code 1."""

import argparse
import os
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

sys.path[1:1] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]

from faults import archives, checkpoints, data_files, images, kills, surroundings  # noqa: E402
from faults.common import Ended  # noqa: E402

PARTS = {
    "images": (images.cases, 1000),
    "checkpoints": (checkpoints.cases, None),  # None: as many as there are fields, and bytes of all files
    "data_files": (data_files.cases, None),
    "archives": (archives.cases, 60),
    "training_killed": (kills.training, 100),
    "prepare_killed": (kills.preparing, 30),
    "disks": (surroundings.disks, 10),
    "environments": (surroundings.environments, None),
}


def run(part, first, count, seed, out=sys.stdout, seconds=float("inf")):
    """Run some cases of a part; prints their counts, and every case that is neither used nor refused. Returns how many are not."""
    cases, usual = PARTS[part]
    count = usual if count is None else count
    started, outcomes, problems, last = time.monotonic(), Counter(), [], "none"
    with suppress(Ended), tempfile.TemporaryDirectory() as work:
        os.chmod(work, 0o755)
        for name, outcome in cases(Path(work), seed, first, count):
            outcomes[outcome if outcome in ("used", "refused") else "PROBLEM"] += 1
            if outcome not in ("used", "refused"):
                problems.append(f"    {name}: {outcome}")
            last = name
            if time.monotonic() - started > seconds:
                break
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1e3
    counts = ", ".join(f"{outcomes[key]} {key}" for key in ("used", "refused", "PROBLEM"))
    print(
        f"{part} {first}+{sum(outcomes.values())}: {counts}; {peak:,.0f} MB, {time.monotonic() - started:.0f} s; last: {last}",
        file=out,
        flush=True,
    )
    print(*problems, sep="\n", end="\n" if problems else "", file=out, flush=True)
    return len(problems)


def end(number, frame):
    """What is mounted is unmounted, what was made is removed."""
    raise Ended


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - PARTS.keys():
        parser.error(f"there is no part {', '.join(unknown)}")
    signal.signal(signal.SIGTERM, end)
    wanted = arguments.parts or PARTS
    problems = [run(part, arguments.first, arguments.count, arguments.seed, seconds=arguments.seconds) for part in wanted]
    return 1 if sum(problems) else 0


if __name__ == "__main__":  # `prepare` starts processes that read this file
    sys.exit(main())
