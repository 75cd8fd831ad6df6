"""Seconds that chat, evaluation and RL take with the code of another checkout and with this one's, in turns.

    git worktree add ../before 390c467
    python -m dev.consumers_clock --before ../before --consumer chat_eval --model-tag quickstart

Both read a copy of the run directory $NANOCHAT_BASE_DIR with an SFT model that both can load. What is timed is a whole
process, from its start to its exit: seconds as a person waits for it, and seconds of processor time, which others on the
machine do not change much. Every round is one of each, the order changing.
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from nanochat.common import UserError, base_dir, command, print0

HERE = Path(__file__).resolve().parent.parent
CONSUMERS = {
    "chat_eval": "scripts.chat_eval --source sft --skills facts,arithmetic,format --max-items 64",
    "chat_rl": "scripts.chat_rl --source sft --num-iterations 3 --prompts-per-step 16 --num-samples 8 "
               "--max-new-tokens 48 --eval-items 16 --overwrite",
    "chat": "scripts.chat_cli --source sft -p Hello,_who_are_you? --json --temperature 0 --max-tokens 128",
}


def build_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", required=True, type=Path, help="folder of the other checkout")
    parser.add_argument("--consumer", required=True, choices=CONSUMERS, help="what to time")
    parser.add_argument("--model-tag", required=True, help="name of the SFT model")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each (default 3)")
    return parser


def seconds_of(consumer: str, tree: Path, tag: str, base: str) -> tuple[float, float]:
    """(on the clock, of processor time)."""
    words = [word.replace("_", " ") if "?" in word else word for word in CONSUMERS[consumer].split()]
    begin, used = time.perf_counter(), processor_sec()
    done = subprocess.run([sys.executable, "-m", *words, "--model-tag", tag], cwd=tree, capture_output=True, text=True,
                          env={**os.environ, "NANOCHAT_BASE_DIR": base, "PYTHONPATH": ""})
    if done.returncode:
        raise UserError(f"{consumer} failed in {tree}: {done.stderr.strip().splitlines()[-1]}")
    return time.perf_counter() - begin, processor_sec() - used


def processor_sec() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def copy_run_directory(tag: str, target: str):
    for name in ("tokenizer", f"runs/sft/{tag}"):
        source = base_dir() / name
        if not source.is_dir():
            raise UserError(f"no {source}; train a model first")
        shutil.copytree(source, Path(target) / name)


@command
def main(args):
    if not (args.before / "scripts" / "chat_eval.py").is_file():
        raise UserError(f"--before {args.before}: no checkout of this repository")
    if args.rounds < 1:
        raise UserError(f"--rounds {args.rounds}: at least 1")
    trees, seconds = {"before": args.before.resolve(), "now": HERE}, {"before": [], "now": []}
    for number in range(args.rounds):
        for name in sorted(trees, reverse=number % 2 == 1):
            with tempfile.TemporaryDirectory() as base:  # a fresh one: an evaluation that is there already is not repeated
                copy_run_directory(args.model_tag, base)
                seconds[name].append(seconds_of(args.consumer, trees[name], args.model_tag, base))
    for name, pairs in seconds.items():
        for what, times in zip(("clock", "processor"), zip(*pairs)):
            print0(f"{args.consumer:<10} {name:<7} {what:<10} {statistics.median(times):6.2f} s ({min(times):.2f} to "
                   f"{max(times):.2f})")
    return {"script": "consumers_clock", "consumer": args.consumer, "seconds": seconds}


if __name__ == "__main__":
    main(build_parser().parse_args())
