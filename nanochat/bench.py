"""What an engine's speed is measured with: a model of any shape without training, the machine's read bandwidth, the clock.

A decode step reads every weight and every key and value that its rows may see, once: bytes over bandwidth is the least
it can take. Speed does not depend on what a model knows, so random weights do as well as trained ones.
"""

import random
import statistics
import time
from typing import NamedTuple

import torch

from nanochat.engine import STEP_TOKENS, Engine, SamplingParams
from nanochat.gpt import GPT, GPTConfig
from nanochat.tokenizer import PATTERN, SPECIAL_TOKENS, Tokenizer

READ_BYTES = 1 << 28  # more than any cache holds


def shape_tokenizer(vocab_size: int) -> Tokenizer:
    """The 256 bytes, and three-byte tokens up to the size asked for: enough to decode what random weights say."""
    invented = (number.to_bytes(3, "big") for number in range(vocab_size - 256 - len(SPECIAL_TOKENS)))
    return Tokenizer(PATTERN, (*(bytes([byte]) for byte in range(256)), *invented))


def random_model(config: GPTConfig, seed: int = 0) -> GPT:
    """fp32, every weight drawn: `init_weights` leaves zeros, which are faster than numbers."""
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


def build_engine(model: GPT, tokenizer: Tokenizer, dtype: torch.dtype, device: torch.device, max_rows: int) -> Engine:
    """Prompts are not held back for the sake of running answers: what is timed is a full batch. Changes the model."""
    never_end(model, tokenizer)
    return Engine(model, tokenizer, max_rows=max_rows, dtype=dtype, device=device, live_tokens=STEP_TOKENS)


class Timing(NamedTuple):
    ttft_sec: float         # median over the requests, all of which arrive at once
    decode_sec: float       # from the step in which the last of them got its first token
    num_decoded: int        # tokens in that time
    num_steps: int
    mean_context: float     # keys that a row had in those steps, on average

    @property
    def tok_per_sec(self) -> float:
        return self.num_decoded / self.decode_sec

    @property
    def tpot_sec(self) -> float:
        return self.decode_sec / self.num_steps


def measure(engine: Engine, prompts: list[list[int]], decode_len: int) -> Timing:
    """Greedy answers of decode_len tokens to all prompts at once. The engine's thread must not run."""
    assert not engine.is_alive() and len(prompts) <= engine.max_rows
    counts, first_sec = [0] * len(prompts), [0.0] * len(prompts)

    def listen(row):
        def on_delta(delta):
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
    while max(counts) > min(counts):
        engine.step()
    num_decoded = sum(counts) - num_before
    return Timing(statistics.median(first_sec), decode_sec, num_decoded, num_steps,
                  statistics.fmean(map(len, prompts)) + (num_before + num_decoded / 2) / len(prompts))
