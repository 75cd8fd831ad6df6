"""Measure CORE: 22 few-shot tasks on a model's text, centred on a guesser, with intervals.

    python -m scripts.core_eval --core-data eval_bundle                       # the newest base model
    python -m scripts.core_eval --max-per-task 500 --source sft
    python -m scripts.core_eval --tasks hellaswag,boolq --max-per-task 100
    torchrun --standalone --nproc_per_node=8 -m scripts.core_eval             # items divided among ranks, same result

The data is DCLM's evaluation bundle, unpacked. Writes core_eval.json beside the model's checkpoints for the report card,
and every item's choice and log-probabilities into core_eval.jsonl, as it goes: the same command continues an evaluation
that was stopped, on any number of ranks, and prints again one that is finished. Chat models are measured as what they
still are, models of text; chat_eval --tasks asks them in conversations.
"""

import argparse
import time

from nanochat.checkpoint import find_step, load_model, weights_sha256
from nanochat.common import (UserError, barrier, base_dir, choose_dtype, command, compute_init, device_name, dtype_name,
                             get_dist_info, print0)
from nanochat.core_eval import CORE, chunks_of, core_metric, load_core, score_chunk, task_result
from nanochat.engine import Engine
from nanochat.eval_records import RecordLog, make_key
from nanochat.files import read_json, write_json
from nanochat.likelihood import EVAL_ROWS
from nanochat.run import STAGES, new_record, peak_rss_bytes, process_seconds
from nanochat.train_loop import format_seconds
from tasks.rows import task_data_dir

FORMAT_VERSION = 2      # also of the records: raise it when prompts or scores change
PROGRESS_SEC = 10


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
    rank, _, world = get_dist_info()
    tasks = load_core(find_core(args.core_data), chosen_labels(args.tasks))
    device = compute_init(args.device_type)
    dtype = choose_dtype(args.dtype, device)
    step_dir = find_step(args.source, args.model_tag, args.step)
    source, tag, step = step_dir.parent.parent.name, step_dir.parent.name, int(step_dir.name.removeprefix("step_"))
    settings = {"format_version": FORMAT_VERSION, "weights_sha256": weights_sha256(step_dir), "step": step,
                "dtype": dtype_name(dtype), "device_type": device.type, "max_per_task": args.max_per_task,
                "context": read_json(step_dir / "config.json")["model"]["sequence_len"]}

    # -----------------------------------------------------------------------------
    # What is to be done: chunks that nobody has finished, dealt out in turn
    log = RecordLog(step_dir.parent / "core_eval.jsonl", rank)
    keys = {task.name: make_key(settings, task.rows) for task in tasks}
    known = log.read(keys)
    barrier()  # every rank has looked before one of them writes
    work = [(task, chunk) for task in tasks for chunk in chunks_of(task, args.max_per_task)]
    left = [(task, chunk) for task, chunk in work if not set(chunk) <= known[task.name].keys()]
    print0(f"{source}/{tag} step {step}, {dtype_name(dtype)} on {world} x {device.type}: {count(work):,} items of {len(tasks)} "
           f"tasks" + (f", {count(work) - count(left):,} of them scored before" if len(left) < len(work) else ""))
    if left:
        model, tokenizer, _ = load_model(source, tag, step, device=device, dtype=dtype)
        # no prefix cache: what a chunk finds must not depend on which chunks came before on this rank
        engine = Engine(model, tokenizer, max_rows=EVAL_ROWS, dtype=dtype, device=device, use_prefix_cache=False)

    # -----------------------------------------------------------------------------
    # Score
    mine, start, printed, cost_done = left[rank::world], time.monotonic(), 0.0, 0.0
    costs = [len(chunk) * item_cost(task) for task, chunk in mine]
    for number, ((task, chunk), cost) in enumerate(zip(mine, costs), start=1):
        begin = time.monotonic()
        records = score_chunk(engine, task, chunk)
        sec = (time.monotonic() - begin) / len(chunk)
        log.append([{"task": task.name, "key": keys[task.name], **record, "sec": sec} for record in records])

        cost_done += cost
        now = time.monotonic() - start
        if now - printed >= PROGRESS_SEC or number == len(mine):
            printed, num_done = now, count(mine[:number])
            print0(f"    {num_done:,} of {count(mine):,} items{' of rank 0' if world > 1 else ''}, {num_done / now:.1f} items/s, "
                   f"{format_seconds(now * (sum(costs) / cost_done - 1))} to go, at {task.name}")
    barrier()  # every rank has written before rank 0 reads

    # -----------------------------------------------------------------------------
    # Results, by rank 0
    if rank > 0:
        return None
    known = log.read(keys)
    results = [task_result(task, [known[task.name][i] for chunk in chunks_of(task, args.max_per_task) for i in chunk])
               for task in tasks]
    for result in results:
        print_result(result)
    core = core_metric(tasks, results)
    print_core(core, len(results))
    scores = {result.label: {"accuracy": result.accuracy.value, "stderr": result.accuracy.stderr,
                             "ci95": result.accuracy.ci95, "centred": result.centred.value,
                             "centred_ci95": result.centred.ci95, "n": result.n, "num_cut": result.num_cut}
              for result in results}
    found = {"core": core._asdict() if core else None, "tasks": scores, "max_per_task": args.max_per_task}
    log.finish(record for result in results for record in result.records)
    seconds = sum(record["sec"] for result in results for record in result.records)  # of all ranks and launches
    write_json(step_dir.parent / "core_eval.json", settings | found | {"seconds": seconds})
    return new_record("core_eval", source, tag, status="finished", final_step=step, checkpoint=str(step_dir),
                      weights_sha256=settings["weights_sha256"], total_sec=process_seconds(), device=device_name(device),
                      dtype=dtype_name(dtype), peak_rss_bytes=peak_rss_bytes(), seconds=seconds, **found)


def count(work: list) -> int:
    return sum(len(chunk) for _, chunk in work)


def item_cost(task) -> float:
    """Characters of a prompt, about: tasks take turns from 100 to 10,000, which an estimate of the time must know."""
    examples = [task[i] for i in range(min(3, len(task)))]
    return sum(len(example.meta["preamble"]) + len(example.context or "") + sum(map(len, example.choices))
               for example in examples) / len(examples)


def find_core(folder: str | None) -> str:
    data = task_data_dir(None)
    return folder or (f"{data}/core" if data else str(base_dir() / "eval_bundle"))


def chosen_labels(names: str | None) -> list[str] | None:
    labels = [spec.label for spec in CORE]
    for name in names.split(",") if names is not None else []:
        if name not in labels:
            raise UserError(f"--tasks {name}: choose from {', '.join(labels)}")
    return None if names is None else names.split(",")


def print_result(result):
    low, high = result.accuracy.ci95
    cut = f", {result.num_cut} prompts cut" if result.num_cut else ""
    print0(f"    {result.label:<33}{100 * result.accuracy.value:6.1f}%  centred {result.centred.value:+.3f}  (standard error "
           f"{100 * result.accuracy.stderr:.1f}, 95% interval {100 * low:.1f} to {100 * high:.1f}, n {result.n}{cut})")


def print_core(core, num_tasks: int):
    if core is None:
        print0(f"no CORE: {num_tasks} of {len(CORE)} tasks")
    else:
        print0(f"CORE {core.value:.4f}, standard error {core.stderr:.4f}, 95% interval {core.ci95[0]:.4f} to "
               f"{core.ci95[1]:.4f} (over items; training runs differ by more)")


if __name__ == "__main__":
    main(build_parser().parse_args())
