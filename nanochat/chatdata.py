"""Conversations to train on: the embedded world's, or a person's own file, split, rendered and fitted to a row."""

import hashlib
from typing import NamedTuple

import numpy as np

from nanochat.common import UserError, print0
from nanochat.conversation import read_chats, render
from nanochat.packing import Sequence, fit_sequences

NUM_VAL = 400  # conversations generated from the embedded world to validate on


class ChatData(NamedTuple):
    train: list[Sequence]
    val: list[Sequence]
    fingerprint: str  # of the ids and masks in order, so it covers tokenizer and row length too


def load_chat_data(data: str | None, val_data: str | None, tokenizer, *, max_tokens: int, seed: int,
                   num_generated: int) -> ChatData:
    """data None is the embedded world, num_generated conversations of it; validation is val_data, else 1% of the
    conversations that fit, by hash."""
    if data is None and val_data is not None:
        raise UserError("--val-data without --data: give the training conversations too")

    def fit(conversations, name):
        return _fit(conversations, name, tokenizer, max_tokens)
    if data is None:
        from nanochat.tinyworld_chats import conversations
        train = fit(conversations("train", num_generated, seed), "the embedded world")
        val = fit(conversations("val", NUM_VAL, 0), "the embedded world")
    elif val_data is not None:
        train, val = fit(read_chats(data), data), fit(read_chats(val_data), val_data)
    else:
        train, val = _hold_out(fit(read_chats(data), data), data)
    return ChatData(train, val, fingerprint_sequences(train, val))


def _fit(conversations, name: str, tokenizer, max_tokens: int) -> list[Sequence]:
    """Rendered, and at most max_tokens long; says what it had to cut or drop."""
    result = fit_sequences((Sequence(*render(tokenizer, chat)) for chat in conversations), max_tokens,
                           tokenizer.special["<|assistant_end|>"])
    if not result.sequences:
        raise UserError(f"{name}: no conversation has an assistant turn that fits {max_tokens} tokens; "
                        "give other data or a longer --max-seq-len")
    if result.num_cut or result.num_dropped:
        print0(f"{name}: {len(result.sequences):,} conversations, {result.num_cut:,} of them cut to {max_tokens} "
               f"tokens; {result.num_dropped:,} dropped because no assistant turn fits")
    return result.sequences


def _hold_out(sequences: list[Sequence], name: str) -> tuple[list[Sequence], list[Sequence]]:
    """(training, validation): 1% by hash, at least one; copies of a conversation stay on one side."""
    hashes = [fingerprint_sequences([sequence]) for sequence in sequences]
    if len(set(hashes)) < 2:
        raise UserError(f"{name}: {len(set(hashes))} different conversation(s) that fit, too few to hold one out; "
                        "give --val-data")
    held_out = {digest for digest in hashes if int(digest[:8], 16) < 2 ** 32 // 100} or {min(hashes)}
    return ([s for s, digest in zip(sequences, hashes) if digest not in held_out],
            [s for s, digest in zip(sequences, hashes) if digest in held_out])


def fingerprint_sequences(*splits: list[Sequence]) -> str:
    digest = hashlib.sha256()
    for split in splits:
        for sequence in split:
            digest.update(np.array([len(sequence.ids), *sequence.ids, *sequence.mask], dtype="<i4").tobytes())
    return digest.hexdigest()
