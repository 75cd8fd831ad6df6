"""CORE's multiple-choice tasks, all prompts in one call of the engine against one item a call against one prompt a call.

    python -m dev.core_speed --core-data eval_bundle --max-per-task 20

Speed does not depend on what a model knows: weights are random, the tokenizer is trained on the bundle's own text. What
is printed are seconds of processor time, which others on the machine do not change much; OMP_NUM_THREADS=1 makes them
those of one core.
"""

import argparse
import time

import torch

from nanochat.common import choose_dtype, command, compute_init, dtype_name, print0
from nanochat.core_eval import CORE, evaluate_core_task, load_core
from nanochat.engine import Engine
from nanochat.gpt import GPT, GPTConfig
from nanochat.tokenizer import Tokenizer


class InCalls:
    """An engine that scores at most so many pairs a call; None is all of an item's."""

    def __init__(self, engine: Engine, pairs_per_call: int):
        self.engine, self.tokenizer, self.max_context = engine, engine.tokenizer, engine.max_context
        self.pairs_per_call = pairs_per_call

    def score(self, pairs):
        return [score for start in range(0, len(pairs), self.pairs_per_call)
                for score in self.engine.score(pairs[start:start + self.pairs_per_call])]


def build_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--core-data", required=True, help="the unpacked bundle")
    parser.add_argument("--depth", type=int, default=4, help="layers, of 64 channels each (default 4)")
    parser.add_argument("--max-per-task", type=int, default=20, help="items of each (default 20)")
    parser.add_argument("--dtype", help="float32, bfloat16 or float64 (default: bf16 where fast)")
    return parser


@command
def main(args):
    tasks = load_core(args.core_data, [spec.label for spec in CORE if spec.kind == "choice"])
    device = compute_init("cpu")
    dtype = choose_dtype(args.dtype, device)
    tokenizer = Tokenizer.train((task[i].context for task in tasks for i in range(len(task))), 4096)
    width = 64 * args.depth
    model = GPT(GPTConfig(sequence_len=1024, vocab_size=tokenizer.vocab_size, n_layer=args.depth, n_head=width // 64,
                          n_kv_head=width // 64, n_embd=width, layer_types=("full",) * args.depth, window=-1))
    model.init_weights(0)
    engine = Engine(model, tokenizer, max_rows=1, dtype=dtype, device=device)
    evaluate_core_task(engine, tasks[0], max_items=2)  # the first forward pass sets things up
    seconds: dict[str, list[float]] = {}
    for task in tasks:
        ways = {"together": engine, "by item": InCalls(engine, len(task[0].choices)), "one by one": InCalls(engine, 1)}
        for name, way in ways.items():
            begin = time.process_time()
            evaluate_core_task(way, task, max_items=args.max_per_task)
            seconds.setdefault(name, []).append(time.process_time() - begin)
        print0(f"    {task.name:<33}" + "".join(f"{name} {times[-1]:7.2f} s  " for name, times in seconds.items()))
    totals = {name: sum(times) for name, times in seconds.items()}
    print0(f"{dtype_name(dtype)}, {torch.get_num_threads()} threads: {totals}")
    return {"script": "core_speed", "dtype": dtype_name(dtype), "seconds": totals}


if __name__ == "__main__":
    main(build_parser().parse_args())
