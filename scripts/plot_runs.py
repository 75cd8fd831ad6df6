"""Curves of training runs, one or several against each other, as one HTML page.

    python -m scripts.plot_runs base/d4
    python -m scripts.plot_runs base/d4 base/d4-slower --x tokens --out curves.html

A run is a stage and tag, or the path of its folder; one that is still going on may be looked at any time. The page
needs no network and no scripts: open it in a browser or send it to someone.
"""

import argparse
from pathlib import Path

from nanochat.common import UserError, base_dir, command, print0
from nanochat.files import atomic_write
from nanochat.run import new_record, process_seconds
from nanochat.run_plot import MAX_RUNS, load_runs, render, text_table


def build_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="such as base/d4, or the folder of a run")
    parser.add_argument("--x", choices=["steps", "tokens"], default="steps", help="the axis (default steps)")
    parser.add_argument("--out", type=Path, help="file to write (default: report/runs.html in the base directory)")
    return parser


@command
def main(args):
    if len(args.runs) > MAX_RUNS:
        raise UserError(f"{len(args.runs)} runs: at most {MAX_RUNS} can be told apart in one chart")
    runs = load_runs(args.runs)
    page, out = render(runs, args.x), args.out or base_dir() / "report" / "runs.html"
    if out.is_dir():
        raise UserError(f"--out {out}: a folder; give a file that can be written")
    try:
        atomic_write(out, page)
    except OSError as error:
        raise UserError(f"--out {out}: {error.strerror}; give a file that can be written") from None
    print(text_table(runs))
    print0(f"open {out}")
    return new_record("plot_runs", None, None, status="finished", total_sec=process_seconds(), page=str(out),
                      runs=[run.name for run in runs])


if __name__ == "__main__":
    main(build_parser().parse_args())
