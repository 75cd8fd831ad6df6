"""Rollout speed: the answers of an RL step in one call of the engine, against one prompt a call, against one answer a call.

    python -m dev.rl_figures                                       # random weights, at the embedded world's size
    python -m dev.rl_figures --source sft --model-tag quickstart   # a trained model, whose answers end by themselves

One prompt a call is how upstream nanochat samples (scripts/chat_rl.py there). The ways take turns, each time over
other questions, so that whatever else the machine does meets all of them; one answer a call is timed on two alone.
"""

import argparse
import gc
import statistics
import time

import torch

from nanochat.checkpoint import build_model, load_model
from nanochat.common import UserError, choose_dtype, command, compute_init, device_name, dtype_name, print0
from nanochat.conversation import render_prompt
from nanochat.engine import Engine, SamplingParams
from nanochat.rollouts import ROLLOUT_ROWS
from nanochat.run import STAGES
from nanochat.scaling import model_config
from nanochat.tinyworld_prose import documents
from nanochat.tokenizer import Tokenizer
from tasks.tinyworld import TinyWorld

VOCAB_SIZE, NUM_DOCUMENTS, CONTEXT = 4096, 3000, 512  # as the quickstart has them


def build_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", choices=STAGES, help="stage of a trained model (default: random weights)")
    parser.add_argument("--model-tag", help="its name (default: the newest)")
    parser.add_argument("--depth", type=int, default=4, help="layers of the model with random weights (default 4)")
    parser.add_argument("--skill", default="format", help="what is asked (default format)")
    parser.add_argument("--prompts", type=int, default=128, help="default 128, as in a step of the quickstart")
    parser.add_argument("--num-samples", type=int, default=8, help="answers to each (default 8)")
    parser.add_argument("--max-new-tokens", type=int, default=48, help="of an answer (default 48)")
    parser.add_argument("--repeats", type=int, default=5, help="turns of each way (default 5)")
    parser.add_argument("--dtype", help="float32, bfloat16 or float64 (default: bf16 where fast)")
    return parser


@command
def main(args):
    for flag in ("depth", "prompts", "num_samples", "max_new_tokens", "repeats"):
        if getattr(args, flag) < 1:
            raise UserError(f"--{flag.replace('_', '-')} {getattr(args, flag)}: at least 1")
    device = compute_init("cpu")
    dtype = choose_dtype(args.dtype, device)
    model, tokenizer = load(args, device, dtype)
    engine = Engine(model, tokenizer, max_rows=ROLLOUT_ROWS)
    gc.freeze()  # as chat_rl does
    task = TinyWorld(args.skill, "train", args.prompts * (args.repeats + 1))
    questions = [render_prompt(tokenizer, task[i].conversation) for i in range(len(task))]
    ways = {"one call": lambda prompts: generate(engine, args, [prompts], args.num_samples),
            "one prompt a call": lambda prompts: generate(engine, args, [[p] for p in prompts], args.num_samples),
            "one answer a call": lambda prompts: generate(engine, args, [[p] for p in prompts[:2]] * args.num_samples, 1)}
    rates = {name: [] for name in ways}
    for turn in range(args.repeats + 1):  # the first sets things up
        prompts = questions[turn * args.prompts:(turn + 1) * args.prompts]
        for name, way in ways.items():
            engine.load_weights(model)  # as every RL step does: nothing is remembered
            rates[name].append(way(prompts))
    rates = {name: found[1:] for name, found in rates.items()}
    record = {name: {key: [turn[key] for turn in turns] for key in turns[0]} for name, turns in rates.items()}
    for name, turns in record.items():
        print0(f"{name:<18} {middle(turns['tok_per_sec'])} tok/s, {middle(turns['tok_per_cpu_sec'])} per s of processor "
               f"time, {middle(turns['tokens'])} tokens")
    for name in list(ways)[1:]:
        for rate in ("tok_per_sec", "tok_per_cpu_sec"):
            ratios = [ours / theirs for ours, theirs in zip(record["one call"][rate], record[name][rate])]
            print0(f"one call / {name}, {rate}: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    return {"script": "rl_figures", "device": device_name(device), "dtype": dtype_name(dtype),
            "threads": torch.get_num_threads(), "ways": record}


def load(args, device, dtype):
    if args.source is not None:
        model, tokenizer, _ = load_model(args.source, args.model_tag, None, device=device, dtype=dtype)
        return model, tokenizer
    tokenizer = Tokenizer.train(documents("train", NUM_DOCUMENTS), VOCAB_SIZE)
    model = build_model(model_config(args.depth, vocab_size=tokenizer.vocab_size, max_seq_len=CONTEXT), device, dtype)
    model.init_weights(0)
    return model, tokenizer


def generate(engine: Engine, args, calls: list[list], n: int) -> dict:
    tokens, wall, cpu = 0, time.perf_counter(), time.process_time()
    for seed, prompts in enumerate(calls):
        params = [SamplingParams(max_tokens=args.max_new_tokens, n=n, seed=seed * len(prompts) + i, logprobs=1)
                  for i in range(len(prompts))]
        tokens += sum(len(answer.ids) for group in engine.generate(prompts, params) for answer in group)
    return {"tokens": tokens, "tok_per_sec": tokens / (time.perf_counter() - wall),
            "tok_per_cpu_sec": tokens / (time.process_time() - cpu)}


def middle(values: list[float]) -> str:
    return f"{statistics.median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"


if __name__ == "__main__":
    main(build_parser().parse_args())
