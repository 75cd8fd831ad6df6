"""Bits per byte: a loss that does not depend on the vocabulary.

Nats of all targets, divided by the bytes these targets stand for. Special tokens stand for no bytes and are not
counted. The documents are one stream, cut into rows; every token but the first is predicted exactly once.
"""

import math
from typing import NamedTuple

import numpy as np
import torch

from nanochat.common import all_reduce_sum


class BpbEstimate(NamedTuple):
    value: float
    stderr: float  # over rows; those of one long document are alike, so it is rather too small

    @property
    def ci95(self) -> tuple[float, float]:
        return self.value - 1.96 * self.stderr, self.value + 1.96 * self.stderr


def evaluate_bpb(model, split, token_bytes, **how) -> float:
    """Bits per byte over at most the first max_tokens tokens of a split of token shards, as estimate_bpb takes them."""
    return estimate_bpb(model, split, token_bytes, **how).value


@torch.no_grad()
@torch.compiler.set_stance("force_eager")  # compiling a second graph, for inference, would cost more than it saves
def estimate_bpb(model, split, token_bytes, *, sequence_len: int, device_batch_size: int, max_tokens: int,
                 rank: int = 0, world: int = 1) -> BpbEstimate:
    """Bits per byte with the standard error of that ratio.

    token_bytes (vocab_size,) int32: bytes of each id, 0 for specials. All ranks take part and get the same number.
    """
    device = model.lm_head.weight.device
    token_bytes = torch.as_tensor(np.asarray(token_bytes), device=device)
    stream = first_tokens(split, max_tokens + 1)
    starts = range(rank * sequence_len, len(stream) - 1, world * sequence_len)
    nats = num_bytes = 0.0
    by_row = []  # (2, rows): nats and bytes
    for i in range(0, len(starts), device_batch_size):
        rows = [stream[start:start + sequence_len + 1] for start in starts[i:i + device_batch_size]]
        x, y = pad_rows(rows, sequence_len, device)
        is_counted = (y >= 0) & (token_bytes[y.clamp(min=0)] > 0)
        logprobs = model.target_logprobs(x, y.masked_fill(~is_counted, -1)).cpu().double()  # mps has no float64
        bytes_of = (token_bytes[y.clamp(min=0)] * is_counted).cpu().double()
        nats -= logprobs.sum().item()
        num_bytes += bytes_of.sum().item()
        by_row.append(torch.stack((-logprobs.sum(dim=1), bytes_of.sum(dim=1))))
    rows = torch.cat(by_row, dim=1) if by_row else torch.zeros(2, 0, dtype=torch.float64)
    nats, num_bytes, nn, nb, _, bb = all_reduce_sum(nats, num_bytes, *(rows @ rows.T).flatten().tolist(), device=device)
    ratio = nats / num_bytes
    squares = max(0.0, nn - 2 * ratio * nb + ratio ** 2 * bb)  # sum over rows of (nats - ratio * bytes)^2
    return BpbEstimate(nats / (math.log(2) * num_bytes), squares ** 0.5 / (math.log(2) * num_bytes))


def first_tokens(split, max_tokens: int) -> np.ndarray:
    """The first max_tokens tokens of a split as one stream."""
    num_docs = int(np.searchsorted(np.cumsum(split.lengths), max_tokens)) + 1
    docs = range(min(num_docs, len(split.lengths)))
    return np.concatenate([split.tokens(doc, 0, int(split.lengths[doc])) for doc in docs])[:max_tokens].astype(np.int64)


def pad_rows(rows, sequence_len: int, device):
    """Rows of up to sequence_len + 1 tokens -> x, y (b, T); y is -1 where a short row has ended."""
    x = np.zeros((len(rows), sequence_len), dtype=np.int64)
    y = np.full((len(rows), sequence_len), -1, dtype=np.int64)
    for i, row in enumerate(rows):
        x[i, :len(row) - 1], y[i, :len(row) - 1] = row[:-1], row[1:]
    return torch.from_numpy(x).to(device), torch.from_numpy(y).to(device)


@torch.no_grad()
@torch.compiler.set_stance("force_eager")
def evaluate_chat_loss(model, batches) -> float:
    """Nats per target over packing.Batch objects, each rank its own share."""
    nats = num_targets = 0.0
    for batch in batches:
        total, n = model.loss_sum(**batch._asdict())
        nats, num_targets = nats + total.item(), num_targets + n.item()
    nats, num_targets = all_reduce_sum(nats, num_targets, device=model.lm_head.weight.device)
    return nats / num_targets if num_targets else math.nan


def byte_baselines(data: bytes) -> dict[str, float | None]:
    """What needs no model: bits per byte of a byte-frequency code fitted to `data`, and of zstd -19 (None without
    pyarrow). A model that does not beat the second has learnt less than a compressor finds in one file."""
    counts = np.bincount(np.frombuffer(data, dtype=np.uint8), minlength=256)
    frequencies = counts[counts > 0] / len(data)
    unigram = float(-(frequencies * np.log2(frequencies)).sum())
    try:
        import pyarrow
        zstd = 8 * len(pyarrow.Codec("zstd", compression_level=19).compress(data, asbytes=True)) / len(data)
    except ImportError:
        zstd = None
    return {"byte_unigram_bpb": unigram, "zstd19_bpb": zstd}
