"""Measure a chat model on the skills of the embedded world: greedy answers to questions it has not seen, graded.

    python -m scripts.chat_eval                                     # the newest chat model, every skill
    python -m scripts.chat_eval --source sft --skills arithmetic,letters --max-items 50

Writes chat_eval.json beside the model's checkpoints. A model that was measured with the same settings before is
not measured again.
"""

import argparse
import time
from pathlib import Path

from nanochat.checkpoint import find_step, weights_sha256
from nanochat.common import UserError, choose_dtype, command, compute_init, device_name, dtype_name, print0
from nanochat.engine import load_chat_engine
from nanochat.files import read_json, write_json
from nanochat.run import STAGES, new_record, peak_rss_bytes, process_seconds
from nanochat.task_eval import TaskResult, evaluate_task
from nanochat.tinyworld_chats import SKILLS
from tasks.tinyworld import TinyWorld

FORMAT_VERSION = 1
NUM_SAMPLES = 3  # right answers kept per skill, and as many wrong ones
SPLITS = ("test", "val")


def build_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", choices=STAGES, help="stage of the model (default: rl, else sft, else mid)")
    parser.add_argument("--model-tag", help="name of the model (default: the newest)")
    parser.add_argument("--step", type=int, help="step of the model (default: its newest)")
    parser.add_argument("--skills", default=",".join(SKILLS), help="comma list (default: all of %(default)s)")
    parser.add_argument("--max-items", type=int, default=200, help="questions per skill (default 200)")
    parser.add_argument("--split", choices=SPLITS, default="test", help="test to report, val to choose (default test)")
    parser.add_argument("--batch-size", type=int, default=64, help="answers at once (default 64)")
    parser.add_argument("--device-type", help="cuda, mps or cpu (default: the best there is)")
    parser.add_argument("--dtype", help="float32, bfloat16 or float64 (default: bf16 where fast)")
    return parser


@command
def main(args):
    for flag in ("max_items", "batch_size"):
        if getattr(args, flag) < 1:
            raise UserError(f"--{flag.replace('_', '-')} {getattr(args, flag)}: at least 1")
    skills = args.skills.split(",")
    for skill in skills:
        if skill not in SKILLS:
            raise UserError(f"--skills {skill}: choose from {', '.join(SKILLS)}")

    # -----------------------------------------------------------------------------
    # The model, and whether this was measured before
    device = compute_init(args.device_type)
    dtype = dtype_name(choose_dtype(args.dtype, device))
    step_dir = find_step(args.source, args.model_tag, args.step)
    source, tag, step = step_dir.parent.parent.name, step_dir.parent.name, int(step_dir.name.removeprefix("step_"))
    settings = {"format_version": FORMAT_VERSION, "weights_sha256": weights_sha256(step_dir), "step": step,
                "split": args.split, "max_items": args.max_items, "dtype": dtype}
    path = step_dir.parent / "chat_eval.json"
    result = load_result(path, settings, skills)
    if result:
        print0(f"{source}/{tag} step {step} was measured before: {path}")
        for skill in skills:
            print_skill(skill, **result["skills"][skill])
    else:
        print0(f"{source}/{tag} step {step}, {args.split} questions, {dtype} on {device}")
        engine, _, _ = load_chat_engine(source, tag, step, args.device_type, args.dtype, max_rows=args.batch_size)
        result = settings | evaluate(engine, skills, args.split, args.max_items)
        write_json(path, result)
        print_failures(result["samples"])
    return new_record("chat_eval", source, tag, status="finished", final_step=step, checkpoint=str(step_dir),
                      weights_sha256=settings["weights_sha256"], total_sec=result["seconds"], dtype=dtype,
                      device=device_name(device), peak_rss_bytes=peak_rss_bytes(), split=args.split,
                      max_items=args.max_items, skills=result["skills"])


def load_result(path: Path, settings: dict, skills: list[str]) -> dict | None:
    """What was written for these settings and skills, if anything was."""
    result = read_json(path) if path.exists() else {}
    is_same = all(result.get(key) == value for key, value in settings.items())
    return result if is_same and list(result["skills"]) == skills else None


def evaluate(engine, skills: list[str], split: str, max_items: int) -> dict:
    """{skills, samples, seconds}"""
    scores, samples, start = {}, [], time.monotonic()
    for num_done, skill in enumerate(skills, start=1):
        task = TinyWorld(skill, split, max_items)
        begin = time.monotonic()
        result = evaluate_task(engine, task)
        rate = result.n / (time.monotonic() - begin)
        eta_sec = (time.monotonic() - start) / num_done * (len(skills) - num_done)
        scores[skill] = {"accuracy": result.accuracy, "n": result.n, "ci95": result.ci95}
        print_skill(skill, **scores[skill], note=f"{rate:.1f} answers/s, {eta_sec:.0f} s to go")
        if result.num_failed_grades:
            print0(f"    the grader failed on {result.num_failed_grades} of them, counted as wrong")
        samples += choose_samples(skill, result)
    return {"skills": scores, "samples": samples, "seconds": process_seconds()}


def print_skill(skill: str, accuracy: float, n: int, ci95, note: str = ""):
    low, high = ci95
    print0(f"    {skill:<11}{100 * accuracy:6.1f}%  (95% interval {100 * low:.1f} to {100 * high:.1f}, n {n})  {note}")


def choose_samples(skill: str, result: TaskResult) -> list[dict]:
    """The first few right and wrong answers."""
    right = [r for r in result.records if r["score"] == 1][:NUM_SAMPLES]
    wrong = [r for r in result.records if r["score"] < 1][:NUM_SAMPLES]
    return [{"skill": skill, **{key: r[key] for key in ("question", "expected", "parts", "score", "error")}}
            for r in right + wrong]


def print_failures(samples: list[dict]):
    """One wrong answer of every skill that has any."""
    wrong = {}
    for sample in samples:
        if sample["score"] < 1:
            wrong.setdefault(sample["skill"], sample)
    for skill, sample in wrong.items():
        said = " | ".join(part["text"] if part["type"] == "text" else f"[{part['type']} {part['text']}]"
                          for part in sample["parts"])
        print0(f"{skill}, wrong:\n    asked     {indented(sample['question'])}\n    answered  {indented(said)}\n"
               f"    expected  {indented(str(sample['expected']))}")


def indented(text: str) -> str:
    return text.replace("\n", "\n" + " " * 14)


if __name__ == "__main__":
    main(build_parser().parse_args())
