"""What a run in the sandbox costs before the first line of the code: milliseconds, by level, at this machine.

    python -m dev.sandbox_cost --runs 100

The difference between a whole call of `print(1)` and a bare `python -I -S -c "print(1)"` is what isolation adds.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

from nanochat import sandbox
from nanochat.common import command, print0


def build_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100, help="calls per level (default 100)")
    return parser


def bare_python():
    program = os.path.realpath(sys.executable)
    subprocess.run([program, "-I", "-S", "-c", "print(1)"], capture_output=True, check=True)


def milliseconds(call, num_runs: int) -> dict[str, float]:
    """Min, median and max of `call`, after two to warm up."""
    times = []
    for n in range(num_runs + 2):
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1e3)
    times = times[2:]
    return {"min": round(min(times), 1), "median": round(statistics.median(times), 1), "max": round(max(times), 1)}


@command
def main(args) -> dict:
    record = {"user": "root" if os.getuid() == 0 else "ordinary", "runs": args.runs,
              "bare_python_ms": milliseconds(bare_python, args.runs)}
    for level in sandbox.LEVELS:
        reason = sandbox.why_not(level)
        record[f"{level}_ms"] = reason or milliseconds(lambda: sandbox.run("print(1)", level=level), args.runs)
        print0(f"{level}: {record[f'{level}_ms']}")
    return record


if __name__ == "__main__":
    main(build_parser().parse_args())
