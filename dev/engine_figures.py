"""What people who wait feel: gaps between tokens while prompts arrive, and the time to a turn's first token.

    python -m dev.engine_figures
    python -m dev.engine_figures --depth 4 --vocab-size 8192 --dtype float32 --rounds 5

Speed does not depend on what a model knows: weights are random, and its ids stand for words, so that every token of an
answer is text and is heard. Each figure stands beside its baseline, taken in turns with it in the same run.

gaps    `--streams` answers run; 64 prompts arrive at once, a quarter of them of 8 times the engine's budget for prompts, and
        are answered with 16 tokens each. Seconds between two tokens of the running answers, before and after
        against during the arrivals: the gate is a p99 of at most 2 times.
turns   a chat of 8 turns, each of 64 new ids and an answer of 32, against first turns of 64 ids: seconds to the first
        token, the gate is 1.5 times in each turn.
lookup  64 prompts of 512 ids that share nothing: seconds of hashing and lookup, the gate is 1% of all seconds.
"""

import argparse
import gc
import random
import statistics
import threading
import time

import torch

from nanochat import bench
from nanochat.common import (UserError, choose_dtype, command, compute_init, device_name, dtype_name,
                             in_short_thread, print0)
from nanochat.engine import LIVE_TOKENS, Engine, SamplingParams
from nanochat.gpt import GPT
from nanochat.scaling import model_config
from nanochat.tokenizer import SPECIAL_TOKENS, Tokenizer

CONTEXT = 2048
ARRIVALS, ARRIVAL_TOKENS, SHORT_PROMPT, LONG_FACTOR = 64, 16, 48, 8
TURNS, TURN_IDS, ANSWER_TOKENS = 8, 64, 32
QUIET_TOKENS = 60         # of each running answer before the arrivals, and after them
WARM_UP_TOKENS = 20


def build_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--depth", type=int, default=4, help="layers, as base_train's (default 4)")
    parser.add_argument("--vocab-size", type=int, default=8192, help="ids (default 8192)")
    parser.add_argument("--dtype", help="float32, bfloat16 or float64 (default: bf16 where fast)")
    parser.add_argument("--streams", type=int, default=16, help="answers that run while prompts arrive (default 16)")
    parser.add_argument("--rounds", type=int, default=5, help="repetitions of each figure (default 5)")
    parser.add_argument("--only", choices=("gaps", "turns", "lookup"), help="one of the figures (default: all)")
    return parser


@torch.no_grad()
def build_random_model(depth: int, tokenizer: Tokenizer) -> GPT:
    """Says words only: the ids of bytes and the special ones have logit 0, and of thousands of others one is above."""
    model = bench.random_model(model_config(depth, vocab_size=tokenizer.vocab_size, max_seq_len=CONTEXT))
    model.lm_head.weight[:256] = 0
    bench.never_end(model, tokenizer)
    return model


def random_prompt(rng: random.Random, length: int, vocab_size: int) -> list[int]:
    return [rng.randrange(256, vocab_size - len(SPECIAL_TOKENS)) for _ in range(length)]


# -----------------------------------------------------------------------------
# Gaps

class Listener:
    """When each token of an answer was heard."""

    def __init__(self):
        self.times, self.ids, self.done = [], [], threading.Event()
        self.num_wanted, self.has_wanted = 0, threading.Event()

    def __call__(self, delta):
        self.times.append(time.perf_counter())
        self.ids += [token.id for token in delta.logprobs]
        if len(self.times) >= self.num_wanted:
            self.has_wanted.set()
        if delta.finish_reason:
            self.done.set()

    def wait_for_more(self, num_tokens: int):
        """Without polling, which would take a core from the engine every time."""
        self.has_wanted.clear()
        self.num_wanted = len(self.times) + num_tokens
        assert self.has_wanted.wait(240)


def gaps_between(listeners: list[Listener], begin: float, end: float) -> list[float]:
    return [b - a for listener in listeners for a, b in zip(listener.times, listener.times[1:]) if begin < b <= end]


def measure_gaps(engine: Engine, rng: random.Random, num_streams: int) -> dict:
    """One round: seconds between tokens with no arrivals and with them."""
    vocab_size, long = engine.tokenizer.vocab_size, SamplingParams(max_tokens=CONTEXT, temperature=0)
    listeners = [Listener() for _ in range(num_streams)]
    ids = [engine.submit(random_prompt(rng, 32, vocab_size), long, listener) for listener in listeners]

    def wait_for_tokens(n: int) -> float:
        listeners[0].wait_for_more(n)  # the others get theirs in the same steps
        return time.perf_counter()

    marks = [wait_for_tokens(WARM_UP_TOKENS), wait_for_tokens(QUIET_TOKENS)]
    lengths = [SHORT_PROMPT if i % 4 else LONG_FACTOR * LIVE_TOKENS for i in range(ARRIVALS)]
    arrivals = [Listener() for _ in lengths]
    short = SamplingParams(max_tokens=ARRIVAL_TOKENS, temperature=0)
    prompts = [random_prompt(rng, length, vocab_size) for length in lengths]
    marks.append(time.perf_counter())
    for prompt, listener in zip(prompts, arrivals):
        engine.submit(prompt, short, listener)
    for listener in arrivals:
        assert listener.done.wait(240)
    marks += [time.perf_counter(), wait_for_tokens(5), wait_for_tokens(QUIET_TOKENS)]
    engine.abort(*ids)
    for listener in listeners:
        assert listener.done.wait(60)
    before, during, after = (gaps_between(listeners, *marks[i:i + 2]) for i in (0, 2, 4))
    return {"quiet": before + after, "arriving": during, "first_token_sec": [a.times[0] - marks[2] for a in arrivals]}


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]


def report_gaps(engine: Engine, rng, args) -> dict:
    print0(f"gaps: {args.streams} streams, {ARRIVALS} prompts of {SHORT_PROMPT} or {LONG_FACTOR * LIVE_TOKENS} ids; ms")
    print0(f"{'round':>8} {'quiet p50':>10} {'p99':>8} {'arriving p50':>13} {'p99':>8} {'p99 ratio':>10} "
           f"{'first token p50':>16} {'last':>8}")
    measure_gaps(engine, rng, args.streams)
    pooled, ratios = {"quiet": [], "arriving": []}, []
    for number in range(args.rounds):
        found = measure_gaps(engine, rng, args.streams)
        quiet, arriving = ([1e3 * percentile(found[name], share) for share in (0.5, 0.99)] for name in pooled)
        ratios.append(arriving[1] / quiet[1])
        for name, values in pooled.items():
            values += found[name]
        firsts = found["first_token_sec"]
        print0(f"{number:>8} {quiet[0]:>10.2f} {quiet[1]:>8.2f} {arriving[0]:>13.2f} {arriving[1]:>8.2f} {ratios[-1]:>10.2f} "
               f"{1e3 * statistics.median(firsts):>16.0f} {1e3 * max(firsts):>8.0f}")
    total = percentile(pooled["arriving"], 0.99) / percentile(pooled["quiet"], 0.99)
    print0(f"all rounds together: {total:.2f} (rounds {min(ratios):.2f} to {max(ratios):.2f}; gate 2); "
           f"{engine.live_tokens:.0f} tokens a step at the end")
    return {"p99_ratio": total, "rounds": ratios}


# -----------------------------------------------------------------------------
# Turns and lookup

def ask(engine: Engine, prompt: list[int], num_tokens: int) -> tuple[float, list[int]]:
    """(seconds to the first token, the answer's ids)."""
    listener, begin = Listener(), time.perf_counter()
    # logprobs, because they tell the ids
    engine.submit(prompt, SamplingParams(max_tokens=num_tokens, temperature=0, logprobs=1), listener)
    assert listener.done.wait(60)
    return listener.times[0] - begin, listener.ids


def report_turns(engine: Engine, rng, args) -> dict:
    """Each turn beside a first turn, in alternation."""
    vocab_size = engine.tokenizer.vocab_size
    first, turns = [], [[] for _ in range(TURNS)]
    for number in range(-1, args.rounds):
        history = []
        for turn in range(TURNS):
            first_sec, _ = ask(engine, random_prompt(rng, TURN_IDS, vocab_size), 1)
            history += random_prompt(rng, TURN_IDS, vocab_size)
            turn_sec, answer = ask(engine, history, ANSWER_TOKENS)
            history += answer
            if number >= 0:  # the first round warms up
                first.append(first_sec)
                turns[turn].append(turn_sec)
    base = statistics.median(first)
    ratios = [statistics.median(seconds) / base for seconds in turns]
    print0(f"turns: first token of a first turn of {TURN_IDS} ids {1e3 * base:.2f} ms ({1e3 * min(first):.2f} to "
           f"{1e3 * max(first):.2f}); ms, and times that")
    for turn, (seconds, ratio) in enumerate(zip(turns, ratios), start=1):
        print0(f"{turn:>8} {1e3 * statistics.median(seconds):>8.2f} ({1e3 * min(seconds):.2f} to {1e3 * max(seconds):.2f}) "
               f"{ratio:>6.2f}")
    print0(f"worst turn: {max(ratios):.2f} (gate 1.5)")
    return {"first_sec": base, "ratios": ratios}


def report_lookup(engine: Engine, rng, args) -> dict:
    shares = []
    for _ in range(args.rounds):
        prompts = [random_prompt(rng, 512, engine.tokenizer.vocab_size) for _ in range(64)]
        hits, lookup_sec, begin = engine.pool.num_hit_tokens, engine.pool.lookup_sec, time.perf_counter()
        engine.generate(prompts, SamplingParams(max_tokens=1, temperature=0))
        seconds = time.perf_counter() - begin
        assert engine.pool.num_hit_tokens == hits
        shares.append((engine.pool.lookup_sec - lookup_sec) / seconds)
    print0(f"lookup: {100 * statistics.median(shares):.2f}% of {seconds:.2f} s ({100 * min(shares):.2f} to "
           f"{100 * max(shares):.2f}; gate 1)")
    return {"shares": shares}


@command
def main(args):
    if args.streams < 1 or args.rounds < 1 or args.depth < 1:
        raise UserError("--streams, --rounds and --depth: at least 1")
    if not 1000 <= args.vocab_size <= bench.MAX_VOCAB_SIZE:
        raise UserError(f"--vocab-size {args.vocab_size}: from 1000 to {bench.MAX_VOCAB_SIZE}")
    device = compute_init("cpu")
    dtype = choose_dtype(args.dtype, device)
    tokenizer = bench.shape_tokenizer(args.vocab_size)
    engine = in_short_thread(lambda: Engine(build_random_model(args.depth, tokenizer), tokenizer, dtype=dtype,
                                            device=device))
    gc.freeze()  # as load_chat_engine does
    print0(f"{device_name(device)}, {torch.get_num_threads()} threads, depth {args.depth}, {dtype_name(dtype)}, "
           f"vocabulary {tokenizer.vocab_size}")
    rng = random.Random(0)
    reports = {"gaps": report_gaps, "turns": report_turns, "lookup": report_lookup}
    engine.start()
    try:
        figures = {name: report(engine, rng, args) for name, report in reports.items()
                   if args.only in (None, name)}
    finally:
        engine.close()
    return {"script": "engine_figures", "dtype": dtype_name(dtype), "figures": figures}


if __name__ == "__main__":
    main(build_parser().parse_args())
