"""CORE's multiple-choice tasks: our evaluation against the field's way, one padded forward pass per item.

    python -m dev.core_speed --core-data eval_bundle --max-per-task 10 --repeats 3

The field's way stacks all choices of an item, each with the whole prompt before it, and takes the loss at every position
(mosaicml/llm-foundry, EleutherAI/lm-evaluation-harness and upstream nanochat do; none shares the prompt). Here it is a
few lines over `GPT.forward`, with weights that were cast once, as the engine's are. "continuations" is the same with the
head at the positions of the choices alone, which nobody quoted here does: what is left is what sharing the prompt gains.

Speed does not depend on what a model knows: weights are random, the tokenizer is trained on the bundle's own text. The
ways take turns, task by task, in every repetition; prompts are ids before the clock starts. Wall time of an idle machine.
"""

import argparse
import copy
import statistics
import time

import torch
import torch.nn.functional as F

from nanochat.common import UserError, choose_dtype, command, compute_init, dtype_name, print0
from nanochat.core_eval import CORE, load_core
from nanochat.engine import Engine
from nanochat.gpt import GPT
from nanochat.likelihood import EVAL_ROWS, build_question
from nanochat.scaling import model_config
from nanochat.task_eval import choose_items
from nanochat.tokenizer import Tokenizer

OURS, FIELD, CONTINUATIONS = "ours", "field", "continuations"


def build_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--core-data", required=True, help="the unpacked bundle")
    parser.add_argument("--depth", type=int, default=4, help="the dial (default 4)")
    parser.add_argument("--max-seq-len", type=int, default=2048, help="context of the model (default 2048)")
    parser.add_argument("--vocab-size", type=int, default=8192, help="default 8192")
    parser.add_argument("--max-per-task", type=int, default=10, help="items of each (default 10)")
    parser.add_argument("--repeats", type=int, default=3, help="times that everything is measured (default 3)")
    parser.add_argument("--dtype", help="float32, bfloat16 or float64 (default: bf16 where fast)")
    return parser


@command
def main(args):
    if args.repeats < 1 or args.max_per_task < 1:
        raise UserError(f"--repeats {args.repeats}, --max-per-task {args.max_per_task}: at least 1 each")
    tasks = load_core(args.core_data, [spec.label for spec in CORE if spec.kind == "choice"])
    device = compute_init("cpu")
    dtype = choose_dtype(args.dtype, device)
    tokenizer = Tokenizer.train((task[i].context for task in tasks for i in range(len(task))), args.vocab_size)
    model = GPT(model_config(args.depth, vocab_size=tokenizer.vocab_size, max_seq_len=args.max_seq_len))
    model.init_weights(0)
    for block in model.blocks:  # else zero, and what stands before a choice would not matter to it
        block.attn_out.weight.data.normal_(0, 0.02)
        block.mlp_out.weight.data.normal_(0, 0.02)
    engine = Engine(model, tokenizer, max_rows=EVAL_ROWS, dtype=dtype, device=device)
    model = copy.deepcopy(model).to(dtype)
    asked = {task.name: questions(task, tokenizer, args.max_seq_len, args.max_per_task) for task in tasks}
    ways = {OURS: lambda pairs: score_with_engine(engine, pairs), FIELD: lambda pairs: score_padded(model, pairs),
            CONTINUATIONS: lambda pairs: score_padded(model, pairs, every_position=False)}
    for way in ways.values():
        way(asked["copa"][:2])  # the first forward pass sets things up
    seconds = {way: {name: [] for name in asked} for way in ways}
    gap = 0.0
    for _ in range(args.repeats):
        for name, items in asked.items():
            means = {}
            for way, score in ways.items():
                begin = time.perf_counter()
                means[way] = score(items)
                seconds[way][name].append(time.perf_counter() - begin)
            gap = max(gap, *(abs(a - b) for a, b in zip(means[OURS], means[FIELD])))
    return report(seconds, asked, gap, dtype, args.repeats)


def questions(task, tokenizer, max_context: int, max_items: int) -> list:
    """Per item its (prefix, continuation) pairs."""
    return [build_question(tokenizer, task.kind, task[i], max_context).pairs
            for i in choose_items(len(task), max_items, 0)]


def score_with_engine(engine: Engine, items: list) -> list[float]:
    """Mean log-probability of every choice of every item, in order."""
    scores = engine.score([pair for pairs in items for pair in pairs])
    engine.pool.forget()  # another repetition must not find the prompts of this one
    return [sum(score.logprobs) / len(score.logprobs) for score in scores]


@torch.inference_mode()
def score_padded(model: GPT, items: list, every_position: bool = True) -> list[float]:
    """The same, an item a pass."""
    means = []
    for pairs in items:
        rows = [torch.tensor([*prefix, *continuation]) for prefix, continuation in pairs]
        idx = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        targets = torch.full_like(idx, -100)
        for row, (prefix, continuation) in enumerate(pairs):
            targets[row, len(prefix) - 1:len(prefix) - 1 + len(continuation)] = torch.tensor(continuation)
        hidden, chosen = model(idx), targets != -100
        if every_position:
            losses = cross_entropies(model, hidden.flatten(0, 1), idx.roll(-1, dims=1).flatten()).view(idx.shape)[chosen]
        else:
            losses = cross_entropies(model, hidden[chosen], targets[chosen])
        means += [-part.mean().item() for part in losses.split(chosen.sum(1).tolist())]
    return means


def cross_entropies(model: GPT, hidden, targets):
    return F.cross_entropy(model.logits(hidden), targets, reduction="none")


def report(seconds: dict, asked: dict, gap: float, dtype, repeats: int) -> dict:
    for name, items in asked.items():
        tokens = sum(len(prefix) + len(continuation) for pairs in items for prefix, continuation in pairs)
        medians = {way: statistics.median(times[name]) for way, times in seconds.items()}
        print0(f"    {name:<33}{tokens:7,} ids  " + "  ".join(f"{way} {s:6.2f} s" for way, s in medians.items())
               + f"  {medians[FIELD] / medians[OURS]:5.2f} times")
    totals = {way: [sum(times[name][i] for name in asked) for i in range(repeats)] for way, times in seconds.items()}
    ratios = {way: [theirs / ours for theirs, ours in zip(totals[way], totals[OURS])] for way in (FIELD, CONTINUATIONS)}
    for way, found in ratios.items():
        print0(f"{dtype_name(dtype)}, {torch.get_num_threads()} threads: {statistics.median(found):.2f} times as fast as "
               f"{way} ({min(found):.2f} to {max(found):.2f} of {repeats})")
    print0(f"mean log-probabilities differ by at most {gap:.1e}")
    return {"script": "core_speed", "dtype": dtype_name(dtype), "seconds": totals, "ratios": ratios, "max_difference": gap}


if __name__ == "__main__":
    main(build_parser().parse_args())
