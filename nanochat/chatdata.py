"""Conversations to train on: the embedded world's, a person's own file or a mixture of tasks, rendered and fitted to a
row."""

import hashlib
import multiprocessing
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import Iterable, NamedTuple

import numpy as np
import torch

from nanochat.common import UserError, print0
from nanochat.conversation import read_chats, render
from nanochat.packing import Fitted, Sequence, fit_sequences

NUM_VAL = 400       # conversations generated from the embedded world to validate on
NUM_AT_ONCE = 4000  # that one process generates at a time; fewer are not worth a second process
MAX_PROCESSES = 16
PROGRESS_SEC = 10


class ChatData(NamedTuple):
    train: list[Sequence]
    val: list[Sequence]
    fingerprint: str  # of the ids and masks in order, so it covers tokenizer and row length too
    num_cut: int      # conversations of both sides that lost their last turns
    num_dropped: int  # and those of which nothing was left

    def record(self) -> dict:
        return {"num_conversations": len(self.train), "num_cut": self.num_cut, "num_dropped": self.num_dropped}


def load_chat_data(data: str | None, val_data: str | None, tokenizer, *, max_tokens: int, seed: int,
                   num_generated: int, mixture=None) -> ChatData:
    """The conversations of mixture (tasks.training.Chats), of the file data, or num_generated of the embedded world.
    Validation is val_data, else the mixture's, else 1% of the conversations that fit, by hash."""
    if data is None and mixture is None and val_data is not None:
        raise UserError("--val-data without --data or --tasks: give the training conversations too")

    def fit(conversations, name):
        return _fit(conversations, name, tokenizer, max_tokens)
    if mixture is not None:
        train = fit(mixture.training(), mixture.name)
        val = (fit(mixture.validation(), f"validation of {mixture.name}") if val_data is None else
               fit(read_chats(val_data), val_data))
    elif data is None:
        train, val = (_checked(_generate(*wanted, tokenizer, max_tokens), "the embedded world", max_tokens)
                      for wanted in (("train", num_generated, seed), ("val", NUM_VAL, 0)))
    elif val_data is not None:
        train, val = fit(read_chats(data), data), fit(read_chats(val_data), val_data)
    else:
        train, val = _hold_out(fit(read_chats(data), data), data)
    return ChatData(train.sequences, val.sequences, fingerprint_sequences(train.sequences, val.sequences),
                    train.num_cut + val.num_cut, train.num_dropped + val.num_dropped)


def _fit(conversations, name: str, tokenizer, max_tokens: int) -> Fitted:
    return _checked(_render(conversations, tokenizer, max_tokens), name, max_tokens)


def _render(conversations, tokenizer, max_tokens: int) -> Fitted:
    return fit_sequences((_compact(*render(tokenizer, chat)) for chat in conversations), max_tokens,
                         tokenizer.special["<|assistant_end|>"])


def _generate(split: str, num_conversations: int, seed: int, tokenizer, max_tokens: int) -> Fitted:
    """Conversations of the embedded world, rendered: in one order, by as many processes as torch has threads."""
    parts = [range(start, min(start + NUM_AT_ONCE, num_conversations))
             for start in range(0, num_conversations, NUM_AT_ONCE)]
    make = partial(_generate_some, split, seed, tokenizer, max_tokens)
    num_processes = min(torch.get_num_threads(), len(parts), MAX_PROCESSES)
    if num_processes < 2:
        return _join(map(make, parts), num_conversations)
    # A forked process is there at once; elsewhere than on Linux forking is not safe, and each imports torch first.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    pool = ProcessPoolExecutor(num_processes, context, signal.signal, (signal.SIGINT, signal.SIG_IGN))  # Ctrl-C is ours
    try:
        return _join(pool.map(make, parts), num_conversations)
    except BrokenProcessPool:
        raise UserError(f"a process that wrote conversations was killed, perhaps out of memory; OMP_NUM_THREADS=1 "
                        f"writes them in one process instead of {num_processes}") from None
    finally:
        pool.shutdown(cancel_futures=True)


def _generate_some(split: str, seed: int, tokenizer, max_tokens: int, indices: range) -> Fitted:
    from nanochat.tinyworld_chats import conversations
    return _render(conversations(split, indices.stop, seed, start=indices.start), tokenizer, max_tokens)


def _join(parts: Iterable[Fitted], num_conversations: int) -> Fitted:
    """One after the other, with a line of progress now and then."""
    begin = printed = time.monotonic()
    joined, num_made = [], 0
    for part in parts:
        joined.append(part)
        num_made += len(part.sequences) + part.num_dropped
        if (now := time.monotonic()) - printed > PROGRESS_SEC:
            printed, rate = now, num_made / (now - begin)
            print0(f"wrote {num_made:,} of {num_conversations:,} conversations, {rate:,.0f} a second, "
                   f"{(num_conversations - num_made) / rate:.0f} s left")
    return Fitted([sequence for part in joined for sequence in part.sequences], sum(part.num_cut for part in joined),
                  sum(part.num_dropped for part in joined))


def _checked(result: Fitted, name: str, max_tokens: int) -> Fitted:
    """Says what had to be cut or dropped; UserError when nothing is left."""
    if not result.sequences and not result.num_dropped:
        raise UserError(f"{name}: no conversations in it; give more of them, or for validation --val-data")
    if not result.sequences:
        raise UserError(f"{name}: none of its {result.num_dropped:,} conversations has an assistant turn that ends "
                        f"within {max_tokens} tokens; give some with answers, shorter ones or, if the model allows it, "
                        "a longer --max-seq-len")
    if result.num_cut or result.num_dropped:
        print0(f"{name}: {len(result.sequences):,} conversations, {result.num_cut:,} of them cut to {max_tokens} "
               f"tokens; {result.num_dropped:,} dropped because no assistant turn fits")
    return result


def _compact(ids: list[int], mask: list[int]) -> Sequence:
    """5 bytes a token: as lists, half a million conversations would need 16."""
    return Sequence(np.array(ids, dtype=np.int32), np.array(mask, dtype=np.uint8))


def _hold_out(fitted: Fitted, name: str) -> tuple[Fitted, Fitted]:
    """(training, validation): 1% by hash, at least one; copies of a conversation stay on one side."""
    hashes = [fingerprint_sequences([sequence]) for sequence in fitted.sequences]
    if len(set(hashes)) < 2:
        raise UserError(f"{name}: {len(set(hashes))} different conversation(s) that fit, too few to hold one out; "
                        "give --val-data")
    held_out = {digest for digest in hashes if int(digest[:8], 16) < 2 ** 32 // 100} or {min(hashes)}
    return (fitted._replace(sequences=[s for s, digest in zip(fitted.sequences, hashes) if digest not in held_out]),
            Fitted([s for s, digest in zip(fitted.sequences, hashes) if digest in held_out], 0, 0))


def fingerprint_sequences(*splits: list[Sequence]) -> str:
    digest = hashlib.sha256()
    for split in splits:
        for sequence in split:
            digest.update(np.concatenate(([len(sequence.ids)], sequence.ids, sequence.mask)).astype("<i4").tobytes())
    return digest.hexdigest()
