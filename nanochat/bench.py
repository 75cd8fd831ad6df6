"""What an engine's speed is measured with: a model of any shape without training, the machine's limits, the clock.

A decode step reads every weight, and every key and value that its rows may see, once: those bytes over the bandwidth
are the least it can take. A prefill multiplies every weight with every token: those FLOPs over the machine's are the
least it can take. Speed does not depend on what a model knows, so random weights do as well as trained ones.
"""

import itertools
import random
import statistics
import string
import time
from typing import NamedTuple

import torch
import torch.nn.functional as F

from nanochat.engine import STEP_TOKENS, Engine, SamplingParams
from nanochat.gpt import GPT, GPTConfig, count
from nanochat.tokenizer import PATTERN, SPECIAL_TOKENS, Tokenizer

READ_BYTES = 1 << 28      # more than any cache holds
READ_COLUMNS = 4096
MAX_VOCAB_SIZE = 130_000  # three letters make 140,608 tokens
MATMUL_SIZE = 1024        # tokens, inputs and outputs
LIMIT_REPEATS = 5         # the best of them counts: a limit is what can be reached


# -----------------------------------------------------------------------------
# Models

def shape_tokenizer(vocab_size: int) -> Tokenizer:
    """The 256 bytes, and tokens of three letters up to the size asked for: enough to decode what random weights say."""
    letters = itertools.product(string.ascii_letters.encode(), repeat=3)
    invented = itertools.islice(map(bytes, letters), vocab_size - 256 - len(SPECIAL_TOKENS))
    return Tokenizer(PATTERN, (*(bytes([byte]) for byte in range(256)), *invented))


def random_model(config: GPTConfig, seed: int = 0) -> GPT:
    """fp32, every weight drawn: `init_weights` leaves zeros, with which every answer is one token repeated."""
    model = GPT(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(0, p.size(-1) ** -0.5, generator=generator)
    return model


@torch.no_grad()
def never_end(model: GPT, tokenizer: Tokenizer):
    """Greedy answers of this model go on until their budget: its special ids are never the likeliest."""
    model.lm_head.weight[min(tokenizer.special.values()):] = 0


def random_prompts(tokenizer: Tokenizer, num_prompts: int, prompt_len: int, seed: int = 0) -> list[list[int]]:
    rng = random.Random(seed)
    return [[rng.randrange(min(tokenizer.special.values())) for _ in range(prompt_len)] for _ in range(num_prompts)]


# -----------------------------------------------------------------------------
# Limits

class Limits(NamedTuple):
    bytes_per_sec: float   # of a read in rows, as a matrix times a vector reads
    flops_per_sec: float   # of a square matmul in the dtype asked for

    def decode_sec(self, engine: Engine, num_rows: int, context: float) -> float:
        return decode_bytes(engine, num_rows, context) / self.bytes_per_sec

    def prefill_sec(self, config: GPTConfig, num_tokens: int) -> float:
        return 2 * num_multiplied(config) * num_tokens / self.flops_per_sec


def measure_limits(device: torch.device, dtype: torch.dtype) -> Limits:
    matrix = torch.ones(READ_BYTES // 4 // READ_COLUMNS, READ_COLUMNS, device=device)
    read_sec = best_sec(lambda: matrix.sum(dim=1), device)
    x = torch.ones(MATMUL_SIZE, MATMUL_SIZE, device=device, dtype=dtype)
    matmul_sec = best_sec(lambda: F.linear(x, x), device)
    return Limits(matrix.nbytes / read_sec, 2 * MATMUL_SIZE ** 3 / matmul_sec)


def best_sec(run, device: torch.device, num_repeats: int = LIMIT_REPEATS) -> float:
    seconds = []
    for _ in range(num_repeats):
        begin = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def num_multiplied(config: GPTConfig) -> int:
    return count(config)["matrices"] + count(config)["lm_head"]


def decode_bytes(engine: Engine, num_rows: int, context: float) -> float:
    """What one step reads: weights once, for each row the keys and values it sees."""
    config, kv = engine.model.config, engine.cache.kv
    seen = sum(context if (window := config.layer_window(layer)) < 0 else min(window, context)
               for layer in range(config.n_layer))
    return engine.model.weight_bytes() + num_rows * seen * 2 * config.n_kv_head * config.head_dim * kv.element_size()


# -----------------------------------------------------------------------------
# The clock

def build_engine(model: GPT, tokenizer: Tokenizer, dtype: torch.dtype, device: torch.device, max_rows: int, *,
                 use_compile: bool = False) -> Engine:
    """Prompts are not held back for the sake of running answers: what is timed is a full batch. Changes the model."""
    never_end(model, tokenizer)
    return Engine(model, tokenizer, max_rows=max_rows, dtype=dtype, device=device, live_tokens=STEP_TOKENS,
                  use_compile=use_compile)


class Timing(NamedTuple):
    ttft_sec: float         # median over the requests, all of which arrive at once
    decode_sec: float       # from the step in which the last of them got its first token
    num_decoded: int        # tokens in that time
    num_steps: int
    context: float          # keys that a row had in those steps, on average

    @property
    def tok_per_sec(self) -> float:
        return self.num_decoded / self.decode_sec

    @property
    def tpot_sec(self) -> float:
        return self.decode_sec / self.num_steps


def measure(engine: Engine, prompts: list[list[int]], decode_len: int) -> Timing:
    """Greedy answers of decode_len tokens, at least 2, to all prompts at once. The engine's thread must not run."""
    assert not engine.is_alive() and len(prompts) <= engine.max_rows and decode_len >= 2
    counts, first_sec = [0] * len(prompts), [0.0] * len(prompts)

    def listen(row):
        def on_delta(delta):
            assert delta.error is None, delta.error
            first_sec[row] = first_sec[row] or time.perf_counter() - begin
            counts[row] = delta.num_tokens
        return on_delta

    begin = time.perf_counter()
    for row, prompt in enumerate(prompts):
        engine.submit(prompt, SamplingParams(max_tokens=decode_len, temperature=0), listen(row))
    while not all(first_sec):
        engine.step()
    num_before, decode_begin, num_steps = sum(counts), time.perf_counter(), 0
    while min(counts) < decode_len:
        engine.step()
        num_steps += 1
    decode_sec = time.perf_counter() - decode_begin
    num_decoded = sum(counts) - num_before
    return Timing(statistics.median(first_sec), decode_sec, num_decoded, num_steps,
                  statistics.fmean(map(len, prompts)) + (num_before + num_decoded / 2) / len(prompts))
