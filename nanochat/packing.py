"""Rows of conversations with targets: what SFT and RL feed the model.

Conversations are packed whole into rows of the model's own length and kept apart by doc_ids, so packed equals
unpacked. A row without a target cannot occur: a conversation without one is dropped before packing.
"""

from typing import NamedTuple

import numpy as np
import torch

from nanochat.dataloader import Loader, RowPacker


# Batches with ever new numbers of targets are tensors of ever new sizes, over which a heap that keeps what is freed
# (common.keep_freed_memory) grew by 13 MB a step, to 7 GiB in an SFT of 2,000 steps.
ROW_MULTIPLE = 256


class Sequence(NamedTuple):
    """One rendered conversation: n ids and, for each, whether it is a target; RL adds a weight per id."""
    ids: list[int]
    mask: list[int]
    weights: list[float] | None = None


class Batch(NamedTuple):
    """What GPT.loss_sum takes: all (B, T) but rows, the flat positions that have a target (`target_rows`)."""
    idx: torch.Tensor
    targets: torch.Tensor
    doc_ids: torch.Tensor
    rows: torch.Tensor
    row_weights: torch.Tensor | None

    def to(self, device: torch.device) -> "Batch":
        return Batch(*(None if x is None else x.to(device) for x in self))


class Fitted(NamedTuple):
    sequences: list[Sequence]
    num_cut: int
    num_dropped: int


def fit_sequences(sequences, max_tokens: int, turn_end: int) -> Fitted:
    """Make every sequence predict at most max_tokens positions and at least one target.

    Too long: cut after the last whole assistant turn (id turn_end) that fits. No target left: dropped.
    """
    kept, num_cut, num_dropped = [], 0, 0
    for sequence in sequences:
        ids, mask = sequence.ids, sequence.mask
        if len(ids) > max_tokens + 1:
            ends = [i + 1 for i, token in enumerate(ids[:max_tokens + 1]) if token == turn_end]
            ids, mask = ids[:ends[-1] if ends else 0], mask[:ends[-1] if ends else 0]
            num_cut += 1 if any(mask[1:]) else 0
        if any(mask[1:]):
            kept.append(Sequence(ids, mask))
        else:
            num_dropped += 1
    return Fitted(kept, num_cut, num_dropped)


def collate(rows: list[list[Sequence]], sequence_len: int, pad_id: int) -> Batch:
    """Each row's sequences side by side: position i of a sequence predicts its id i + 1. Padding is a document of its
    own and has no target."""
    idx = np.full((len(rows), sequence_len), pad_id, dtype=np.int64)
    targets = np.full((len(rows), sequence_len), -1, dtype=np.int64)
    doc_ids = np.full((len(rows), sequence_len), -1, dtype=np.int64)
    weights = np.zeros((len(rows), sequence_len), dtype=np.float32)
    for r, row in enumerate(rows):
        start = 0
        for doc, sequence in enumerate(row):
            span = slice(start, start + len(sequence.ids) - 1)
            idx[r, span] = sequence.ids[:-1]
            targets[r, span] = np.where(sequence.mask[1:], sequence.ids[1:], -1)
            doc_ids[r, span] = doc
            if sequence.weights is not None:
                weights[r, span] = sequence.weights[1:]
            start = span.stop
    has_weights = any(sequence.weights is not None for row in rows for sequence in row)
    # All of it in numpy: torch operations in the loader's thread would start a second team of OpenMP threads.
    arrays = idx, targets, doc_ids, target_rows(targets)
    return Batch(*map(torch.from_numpy, arrays), torch.from_numpy(weights) if has_weights else None)


def target_rows(targets: np.ndarray) -> np.ndarray:
    """Flat positions of the targets, filled up to a multiple of ROW_MULTIPLE with one that has none, if there is."""
    has_target = targets.reshape(-1) >= 0
    rows, others = np.flatnonzero(has_target), np.flatnonzero(~has_target)
    return np.concatenate((rows, np.repeat(others[:1], -len(rows) % ROW_MULTIPLE)))


def pack_greedily(sequences: list[Sequence], sequence_len: int) -> list[list[Sequence]]:
    """All sequences in as few rows as first-fit-decreasing finds; for one RL step or a validation pass."""
    rows: list[list[Sequence]] = []
    space: list[int] = []
    for sequence in sorted(sequences, key=lambda s: -len(s.ids)):
        need = len(sequence.ids) - 1
        fit = next((r for r, free in enumerate(space) if free >= need), None)
        if fit is None:
            rows.append([])
            space.append(sequence_len)
            fit = -1
        rows[fit].append(sequence)
        space[fit] -= need
    return rows


def predicted_lengths(sequences: list[Sequence]) -> np.ndarray:
    """Positions a sequence takes in a row: its last id predicts nothing."""
    return np.array([len(s.ids) - 1 for s in sequences], dtype=np.int64)


def rows_per_epoch(sequences: list[Sequence], sequence_len: int, seed: int) -> int:
    """Rows until every sequence has been seen once."""
    packer = RowPacker(predicted_lengths(sequences), sequence_len, seed=seed, can_cut=False)
    unseen, num_rows = set(range(len(sequences))), 0
    while unseen:
        unseen.difference_update(doc for doc, _, _ in packer.next_row())
        num_rows += 1
    return num_rows


def build_chat_loader(sequences: list[Sequence], *, sequence_len: int, pad_id: int, **how) -> Loader:
    """A Loader of (batch, state) over whole conversations. `how` is what Loader takes."""
    def collate_rows(rows):
        return collate([[sequences[doc] for doc, _, _ in row] for row in rows], sequence_len, pad_id)
    return Loader(predicted_lengths(sequences), sequence_len, can_cut=False, collate=collate_rows,
                  unpack=lambda *tensors: (Batch(*tensors),), **how)
