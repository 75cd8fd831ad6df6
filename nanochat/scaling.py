"""The dial: a depth and a few flags in, a frozen plan out.

One number, the depth, sets width, heads, training tokens, batch size, learning rates and weight decay, so that
models of a ladder are comparable. Formulas are upstream nanochat's fits (dev/LOG.md and base_train at
92d63d4), stated here with their reference point: the 12-layer model at a batch of 2^19 tokens.
"""

import math
from dataclasses import asdict, dataclass

from nanochat.common import UserError
from nanochat.gpt import GPTConfig, count

CHANNELS_PER_LAYER = 64
SMALL_WIDTH = 512               # below it a model is small, and built as was measured at depth 4
LOCAL_WINDOW = 8                # tokens that a sliding layer of a small model sees, itself included
SPREAD = 6                      # tokens before it that a small model's value embeddings carry
TOKENS_PER_PARAM = 12.0         # of matrices + head; upstream's fitted optimum, it moved 20 -> 8 -> 4 -> 10.5 -> 12
REFERENCE_BATCH = 2 ** 19       # tokens; rates below were tuned there
REFERENCE_WIDTH = 768
BATCH_EXPONENT = 0.383          # optimal batch grows as (training tokens) ^ 0.383 (arXiv:2505.13738)
LETTERS = 8.0                   # of a small model's fresh embeddings: the spelling stays while they learn the rest
CPU_MICRO_BATCH_TOKENS = 4096   # larger gains nothing on 2 cores and costs memory
GPU_MICRO_BATCH_TOKENS = 2 ** 16


@dataclass(frozen=True)
class RunPlan:
    """Everything a pretraining run decides before it starts."""
    config: GPTConfig
    total_batch_size: int      # tokens per optimizer step, over all ranks
    device_batch_size: int     # rows per forward pass and rank
    num_iterations: int
    embedding_lr: float        # AdamW
    unembedding_lr: float      # AdamW
    matrix_lr: float           # Muon
    weight_decay: float        # Muon's matrices
    letters: float             # how much of a fresh embedding spells its token, beside noise of 1

    def accumulation(self, world: int) -> int:
        """Forward passes per optimizer step and rank."""
        return self.total_batch_size // (self.device_batch_size * self.config.sequence_len * world)

    @property
    def rows_per_step(self) -> int:
        return self.total_batch_size // self.config.sequence_len

    @property
    def total_tokens(self) -> int:
        return self.num_iterations * self.total_batch_size

    def to_json(self) -> dict:
        return asdict(self)


def model_config(depth: int, *, vocab_size: int, max_seq_len: int) -> GPTConfig:
    """Width 64 per layer; heads of 64 channels below width 512, of 128 from there (a multiple, rounded up). Below width
    512 the first half of the layers sees 8 tokens only: which token comes after which is local, and a small model that
    need not search all of its context for it learns faster. The layers above add value embeddings, so that copying a
    token needs no detour through the residual stream. Both measured at depth 4 (dev/LOG.md), not above, as are fresh
    embeddings that spell their tokens (`RunPlan.letters`)."""
    if depth < 1:
        raise UserError(f"--depth {depth}: at least 1 layer; 2 for a smoke test, 4 on a laptop, 12 and more on a GPU")
    if max_seq_len < 16:
        raise UserError(f"--max-seq-len {max_seq_len}: at least 16 tokens")
    width = CHANNELS_PER_LAYER * depth
    is_small = width < SMALL_WIDTH
    head_dim = 64 if is_small else 128
    width = math.ceil(width / head_dim) * head_dim
    heads = width // head_dim
    num_local = depth // 2 if is_small else 0
    return GPTConfig(sequence_len=max_seq_len, vocab_size=vocab_size, n_layer=depth, n_head=heads, n_kv_head=heads,
                     n_embd=width, layer_types=("sliding",) * num_local + ("full",) * (depth - num_local),
                     window=LOCAL_WINDOW if num_local else -1,
                     value_embed_layers=tuple(range(num_local, depth)) if is_small else (),
                     spread=SPREAD if is_small else 0)


def plan(depth: int, *, vocab_size: int, max_seq_len: int, world: int, device_type: str,
         num_iterations: int | None = None, target_param_data_ratio: float | None = None,
         total_batch_size: int | None = None, device_batch_size: int | None = None,
         embedding_lr: float = 0.3, unembedding_lr: float = 0.008, matrix_lr: float = 0.02,
         weight_decay: float = 0.28) -> RunPlan:
    """None decides: iterations from the data ratio, batch from the training tokens, device batch from both."""
    config = model_config(depth, vocab_size=vocab_size, max_seq_len=max_seq_len)
    if num_iterations is not None and target_param_data_ratio is not None:
        raise UserError("--num-iterations and --target-param-data-ratio both set the length of the run; give one")
    ratio = TOKENS_PER_PARAM if target_param_data_ratio is None else target_param_data_ratio
    if num_iterations is not None and num_iterations < 1:
        raise UserError(f"--num-iterations {num_iterations}: at least 1")
    if not (ratio > 0 and math.isfinite(ratio)):
        raise UserError(f"--target-param-data-ratio {ratio:g}: a number above 0, such as {TOKENS_PER_PARAM:g}")
    optimal_tokens = TOKENS_PER_PARAM * scaling_params(config)
    device_batch_size, total_batch_size = batch_sizes(
        max_seq_len, world, device_type, total_batch_size, device_batch_size, optimal_batch(config))
    if num_iterations is None:
        num_iterations = max(1, round(ratio * scaling_params(config) / total_batch_size))
    lr_scale = batch_lr_scale(total_batch_size)
    adamw_scale = lr_scale * (config.n_embd / REFERENCE_WIDTH) ** -0.5
    decay_tokens = TOKENS_PER_PARAM * scaling_params(reference_config(config))
    return RunPlan(config, total_batch_size, device_batch_size, num_iterations,
                   embedding_lr=embedding_lr * adamw_scale, unembedding_lr=unembedding_lr * adamw_scale,
                   matrix_lr=matrix_lr * lr_scale,
                   weight_decay=weight_decay * lr_scale * decay_tokens / optimal_tokens,
                   letters=LETTERS if config.n_embd < SMALL_WIDTH else 0.0)


def scaling_params(config: GPTConfig) -> int:
    """Parameters that count for the data ratio: matrices and head, not the looked-up embedding."""
    counts = count(config)
    return counts["matrices"] + counts["lm_head"]


def reference_config(config: GPTConfig) -> GPTConfig:
    return model_config(12, vocab_size=config.vocab_size, max_seq_len=config.sequence_len)


def optimal_batch(config: GPTConfig) -> int:
    """Tokens per step: 2^19 at depth 12, growing with the training tokens to the 0.383, as a power of two."""
    growth = scaling_params(config) / scaling_params(reference_config(config))
    return 2 ** round(math.log2(REFERENCE_BATCH * growth ** BATCH_EXPONENT))


def batch_lr_scale(total_batch_size: int) -> float:
    """Adam-like rates grow with the square root of the batch (arXiv:2205.10287)."""
    return (total_batch_size / REFERENCE_BATCH) ** 0.5


def batch_sizes(max_seq_len: int, world: int, device_type: str, total_batch_size: int | None,
                device_batch_size: int | None, default_total: int) -> tuple[int, int]:
    """(rows per forward pass, tokens per step) such that the passes of all ranks fill a step exactly."""
    for flag, value in (("--device-batch-size", device_batch_size), ("--total-batch-size", total_batch_size)):
        if value is not None and value < 1:
            raise UserError(f"{flag} {value}: at least 1")
    if device_batch_size is None:
        budget = CPU_MICRO_BATCH_TOKENS if device_type == "cpu" else GPU_MICRO_BATCH_TOKENS
        device_batch_size = max(1, budget // max_seq_len)
        rows = (total_batch_size or default_total) // (max_seq_len * world)
        while rows and rows % device_batch_size:
            device_batch_size -= 1
    pass_tokens = device_batch_size * max_seq_len * world
    nearest = max(1, round((total_batch_size or default_total) / pass_tokens)) * pass_tokens
    if total_batch_size is not None and total_batch_size != nearest:
        raise UserError(f"--total-batch-size {total_batch_size} does not divide into passes of {pass_tokens} tokens "
                        f"(--device-batch-size {device_batch_size} x --max-seq-len {max_seq_len} x {world} ranks); "
                        f"the nearest valid value is {nearest}")
    return device_batch_size, nearest
