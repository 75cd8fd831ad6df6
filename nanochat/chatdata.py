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
    conversations by hash."""
    train, val = _conversations(data, val_data, seed, num_generated)
    turn_end = tokenizer.special["<|assistant_end|>"]
    fitted = []
    for name, conversations in (("training", train), ("validation", val)):
        result = fit_sequences((Sequence(*render(tokenizer, chat)) for chat in conversations), max_tokens, turn_end)
        if not result.sequences:
            raise UserError(f"{data or val_data}: no {name} conversation has an assistant turn that fits {max_tokens} "
                            "tokens; give more data or a longer --max-seq-len")
        if result.num_cut or result.num_dropped:
            print0(f"{name}: {len(result.sequences):,} conversations, {result.num_cut:,} cut to {max_tokens} tokens, "
                   f"{result.num_dropped:,} dropped because no assistant turn fits")
        fitted.append(result.sequences)
    return ChatData(*fitted, fingerprint_sequences(*fitted))


def _conversations(data: str | None, val_data: str | None, seed: int, num_generated: int):
    if data is None and val_data is None:
        from nanochat.tinyworld_chats import conversations
        return conversations("train", num_generated, seed), conversations("val", NUM_VAL, 0)
    if data is None:
        raise UserError("--val-data without --data: give the training conversations too")
    chats = list(read_chats(data))
    if val_data is not None:
        return chats, list(read_chats(val_data))
    hashes = [hashlib.sha256(repr(chat["messages"]).encode("utf-8", "surrogatepass")).digest() for chat in chats]
    if len(set(hashes)) < 2:
        raise UserError(f"{data}: {len(set(hashes))} different conversation(s), too few to hold one out; give --val-data")
    held_out = {digest for digest in hashes if digest[0] * 256 + digest[1] < 65536 // 100} or {min(hashes)}
    return ([chat for chat, digest in zip(chats, hashes) if digest not in held_out],
            [chat for chat, digest in zip(chats, hashes) if digest in held_out])


def fingerprint_sequences(*splits: list[Sequence]) -> str:
    digest = hashlib.sha256()
    for split in splits:
        for sequence in split:
            digest.update(np.array([len(sequence.ids), *sequence.ids, *sequence.mask], dtype="<i4").tobytes())
    return digest.hexdigest()
