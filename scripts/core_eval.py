"""Measure CORE: 22 few-shot tasks on a model's text, centred on a guesser, with intervals.

    python -m scripts.core_eval --core-data eval_bundle                       # the newest base model
    python -m scripts.core_eval --max-per-task 500 --source sft
    python -m scripts.core_eval --tasks hellaswag,boolq --max-per-task 100

The data is DCLM's evaluation bundle, unpacked. Writes core_eval.json beside the model's checkpoints for the report card,
and every item's choice and log-probabilities into core_eval.jsonl. Chat models are measured as what they still are,
models of text; chat_eval --tasks asks them in conversations.
"""

import argparse
import json
import time

from nanochat.checkpoint import load_model
from nanochat.common import (UserError, base_dir, choose_dtype, command, compute_init, device_name, dtype_name,
                             get_dist_info, print0)
from nanochat.core_eval import CORE, core_metric, evaluate_core_task, load_core
from nanochat.engine import Engine
from nanochat.files import atomic_write, write_json
from nanochat.likelihood import EVAL_ROWS
from nanochat.run import STAGES, Run, new_record, peak_rss_bytes, process_seconds
from tasks.rows import task_data_dir

FORMAT_VERSION = 1


def build_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", choices=STAGES, default="base", help="stage of the model (default base)")
    parser.add_argument("--model-tag", help="name of the model (default: the newest)")
    parser.add_argument("--step", type=int, help="its step (default: the newest)")
    parser.add_argument("--core-data", help="the unpacked bundle, with eval_data/ (default: core/ of $NANOCHAT_TASK_DATA "
                                            "if that is set, else eval_bundle/ of the base directory)")
    parser.add_argument("--tasks", help="comma list of its tasks (default: all 22, without which there is no CORE)")
    parser.add_argument("--max-per-task", type=int, help="at most so many items of each, always the same (default: all)")
    parser.add_argument("--device-type", help="cuda, mps or cpu (default: the best there is)")
    parser.add_argument("--dtype", help="of activations: float32, bfloat16, float64 (default: bf16 where fast)")
    return parser


@command
def main(args):
    if args.max_per_task is not None and args.max_per_task < 1:
        raise UserError(f"--max-per-task {args.max_per_task}: at least 1")
    if get_dist_info().world > 1:
        raise UserError("core_eval runs one process; start it with python -m, not torchrun")
    tasks = load_core(find_core(args.core_data), chosen_labels(args.tasks))
    device = compute_init(args.device_type)
    dtype = choose_dtype(args.dtype, device)
    model, tokenizer, info = load_model(args.source, args.model_tag, args.step, device=device, dtype=dtype)
    engine = Engine(model, tokenizer, max_rows=EVAL_ROWS, dtype=dtype, device=device)

    results = []
    for task in tasks:
        begin = time.monotonic()
        results.append(evaluate_core_task(engine, task, max_items=args.max_per_task))
        print_result(results[-1], time.monotonic() - begin)
    core = core_metric(tasks, results)
    if core:
        print0(f"CORE {core.value:.4f}, standard error {core.stderr:.4f}, 95% interval {core.ci95[0]:.4f} to "
               f"{core.ci95[1]:.4f} (over items; training runs differ by more)")
    else:
        print0(f"no CORE: {len(results)} of {len(CORE)} tasks")

    run = Run(info["source"], info["tag"])
    scores = {result.label: {"accuracy": result.accuracy.value, "stderr": result.accuracy.stderr,
                             "ci95": result.accuracy.ci95, "centred": result.centred.value, "n": result.n,
                             "num_cut": result.num_cut} for result in results}
    found = {"core": core._asdict() if core else None, "tasks": scores, "max_per_task": args.max_per_task}
    atomic_write(run.dir / "core_eval.jsonl", "".join(
        json.dumps({"task": result.label, **record}) + "\n" for result in results for record in result.records))
    write_json(run.dir / "core_eval.json", {
        "format_version": FORMAT_VERSION, "weights_sha256": info["weights_sha256"], "step": info["step"],
        "dtype": dtype_name(dtype), "context": engine.max_context, **found, "seconds": process_seconds()})
    return new_record("core_eval", run.stage, run.tag, status="finished", final_step=info["step"],
                      weights_sha256=info["weights_sha256"], total_sec=process_seconds(), device=device_name(device),
                      dtype=dtype_name(dtype), checkpoint=info["checkpoint"], peak_rss_bytes=peak_rss_bytes(), **found)


def find_core(folder: str | None) -> str:
    data = task_data_dir(None)
    return folder or (f"{data}/core" if data else str(base_dir() / "eval_bundle"))


def chosen_labels(names: str | None) -> list[str] | None:
    labels = [spec.label for spec in CORE]
    for name in names.split(",") if names is not None else []:
        if name not in labels:
            raise UserError(f"--tasks {name}: choose from {', '.join(labels)}")
    return None if names is None else names.split(",")


def print_result(result, seconds: float):
    low, high = result.accuracy.ci95
    cut = f", {result.num_cut} prompts cut" if result.num_cut else ""
    print0(f"    {result.label:<33}{100 * result.accuracy.value:6.1f}%  centred {result.centred.value:+.3f}  (95% interval "
           f"{100 * low:.1f} to {100 * high:.1f}, n {result.n}{cut})  {result.n / seconds:.1f} items/s")


if __name__ == "__main__":
    main(build_parser().parse_args())
