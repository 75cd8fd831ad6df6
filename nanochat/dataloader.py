"""Rows of tokens from documents, with a state that resumes exactly.

A packer decides, from document lengths alone, which pieces make up each row. A row opens with the remainder of a
cut document if there is one, else with the oldest waiting document, so that none waits long. It is filled by best fit:
a document that ends where the row ends, or up to 1/32 of a row later, else the longest that fits. Such a tail is thrown
away, 0.4% of the tokens of web text; only where there is no such document is the oldest cut and its remainder opens a
later row. Best fit that crops whatever comes throws away about 35% at 2,048 tokens (upstream's figure).

Every rank runs the same packer over the rows of the whole step and reads only its own, so step g depends on
(data, seed, g) alone: not on the number of ranks, not on the rows per forward pass. A rollback leaves out the steps it
went back over; their numbers are part of the state, so that every later resume leaves them out too.
"""

import bisect
import itertools
from collections import deque
from collections.abc import Callable, Iterator

import numpy as np
import torch

from nanochat.common import UserError
from nanochat.prefetch import Prefetch

BUFFER_DOCUMENTS = 128  # waiting documents to choose from: enough for a fit within a few tokens
# A tail of at most this share of a row is thrown away instead of opening a later row, out of its context. Without that,
# 97% of the rows of web text opened with a remainder, and fewer tokens than in a plain concatenation saw their
# document's beginning: 39%, there 49%, now 71% (dev/LOG.md).
TAIL_SHARE = 32


class MemoryDocuments:
    """Documents already in memory, with the interface of a split of token shards."""

    def __init__(self, documents: list):
        self._documents = [np.asarray(ids) for ids in documents]
        self.lengths = np.array([len(ids) for ids in documents], dtype=np.int64)

    def tokens(self, doc: int, start: int, stop: int) -> np.ndarray:
        return self._documents[doc][start:stop]


def shuffled_order(num_documents: int, seed: int, epoch: int) -> np.ndarray:
    """A permutation fixed by (seed, epoch): documents sorted by a splitmix64 hash of their index. Our own, because
    numpy does not promise that its generators shuffle alike from version to version."""
    with np.errstate(over="ignore"):
        salt = splitmix64(splitmix64(np.uint64(seed % 2 ** 64)) + np.uint64(epoch))
        return np.argsort(splitmix64(np.arange(num_documents, dtype=np.uint64) ^ salt), kind="stable")


def splitmix64(x):
    """The finaliser of Steele et al. (OOPSLA 2014) on uint64, scalar or array."""
    with np.errstate(over="ignore"):
        x = x + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


class RowPacker:
    """next_row() lists the pieces (document, start, stop) of the next row of at most row_tokens tokens.

    can_cut=False keeps documents whole and lets rows end early; a document must then fit a row. Else rows are full,
    and what enters none are tails of documents, row_tokens // TAIL_SHARE a row at most.
    """

    def __init__(self, lengths: np.ndarray, row_tokens: int, *, seed: int, can_cut: bool, state: dict | None = None):
        assert len(lengths) and lengths.min() > 0 and (can_cut or lengths.max() <= row_tokens)
        self.lengths, self.row_tokens, self.seed, self.can_cut = lengths, row_tokens, seed, can_cut
        self.max_tail = row_tokens // TAIL_SHARE if can_cut else 0
        state = state or {"epoch": 0, "next_doc": 0, "buffer": []}
        self.epoch, self.next_doc = state["epoch"], state["next_doc"]
        self.order = shuffled_order(len(lengths), seed, self.epoch)
        self.waiting: deque[int] = deque()                    # whole documents, oldest first
        self.by_length: list[tuple[int, int]] = []            # the same, as sorted (length, document)
        self.remainders: deque[tuple[int, int]] = deque()     # (document, offset) of cut ones, oldest first
        for doc, offset in state["buffer"]:
            self._wait(doc) if offset == 0 else self.remainders.append((doc, offset))

    def state(self) -> dict:
        buffer = [[doc, offset] for doc, offset in self.remainders] + [[doc, 0] for doc in self.waiting]
        return {"epoch": self.epoch, "next_doc": self.next_doc, "buffer": buffer}

    def next_row(self) -> list[tuple[int, int, int]]:
        while len(self.waiting) < BUFFER_DOCUMENTS and self.next_doc < len(self.order):
            self._read_document()
        row, space = [], self.row_tokens
        if self.remainders:
            row.append(self._piece(*self.remainders.popleft(), space))
            space -= row[-1][2] - row[-1][1]
        is_first = True
        while space:
            doc = self._next_document(space, is_first)
            if doc is None:
                break
            row.append(self._piece(self._take(doc), 0, space))
            space -= row[-1][2] - row[-1][1]
            is_first = False
        return row

    def _next_document(self, space: int, is_first: bool) -> int | None:
        """The oldest opens a row, and comes first after a remainder if it fits. Then what ends with the row, or soon
        after, then the longest that fits. Else the oldest, to be cut."""
        if not self.waiting:
            self._read_document()
        oldest = self.waiting[0]
        if is_first and self.lengths[oldest] <= space or self.can_cut and space == self.row_tokens:
            return oldest
        fitting = bisect.bisect_right(self.by_length, (space, len(self.lengths)))
        is_exact = fitting and self.by_length[fitting - 1][0] == space
        if not is_exact and fitting < len(self.by_length) and self.by_length[fitting][0] <= space + self.max_tail:
            return self.by_length[fitting][1]
        if fitting:
            return self.by_length[fitting - 1][1]
        return oldest if self.can_cut else None

    def _piece(self, doc: int, start: int, space: int) -> tuple[int, int, int]:
        stop = min(int(self.lengths[doc]), start + space)
        if self.lengths[doc] - stop > self.max_tail:
            self.remainders.append((doc, stop))
        return doc, start, stop

    def _read_document(self):
        if self.next_doc == len(self.order):
            self.epoch, self.next_doc = self.epoch + 1, 0
            self.order = shuffled_order(len(self.lengths), self.seed, self.epoch)
        self._wait(int(self.order[self.next_doc]))
        self.next_doc += 1

    def _wait(self, doc: int):
        self.waiting.append(doc)
        bisect.insort(self.by_length, (int(self.lengths[doc]), doc))

    def _take(self, doc: int) -> int:
        self.waiting.remove(doc)
        del self.by_length[bisect.bisect_left(self.by_length, (int(self.lengths[doc]), doc))]
        return doc


STATE_KEYS = {"fingerprint", "seed", "next_batch", "epoch", "next_doc", "buffer", "skipped"}


def check_state(state: dict | None, fingerprint: str, seed: int):
    if state is None:
        return
    if state.keys() != STATE_KEYS:
        raise UserError("the checkpoint's loader state is of another version of this code; finish that run with the "
                        "code it was started with, or start again with --overwrite")
    if (state["fingerprint"], state["seed"]) != (fingerprint, seed):
        raise UserError(f"the checkpoint was trained on data {state['fingerprint'][:12]} with seed {state['seed']}, this "
                        f"run reads {fingerprint[:12]} with seed {seed}; give the old data and seed, or --overwrite")


class Loader:
    """Yields (*batch, state) without end, accumulation passes to a step. `state`, JSON, is where to resume once that
    whole step has been consumed; what was made ahead is not in it.

    collate makes the tensors of one pass from its rows, lists of pieces; unpack makes the batch from them once they
    are on `device`. Steps are numbered from 0, skipped ones included, and hold the same rows whatever was skipped.
    """

    def __init__(self, lengths: np.ndarray, row_tokens: int, *, can_cut: bool, collate: Callable, unpack: Callable,
                 fingerprint: str, seed: int, rows_per_step: int, device_batch_size: int, rank: int, world: int,
                 device: torch.device, state: dict | None = None):
        check_state(state, fingerprint, seed)
        assert rows_per_step % (device_batch_size * world) == 0
        packer = RowPacker(lengths, row_tokens, seed=seed, can_cut=can_cut, state=state)
        self._unpack, self._skipped = unpack, set(state["skipped"] if state else ())
        self._next_batch = state["next_batch"] if state else 0
        steps = _pack_steps(packer, rows_per_step, self._next_batch, frozenset(self._skipped))
        mine = range(rank * device_batch_size, rows_per_step, device_batch_size * world)
        passes = ((collate(rows[start:start + device_batch_size]), {"fingerprint": fingerprint, "seed": seed, **state})
                  for rows, state in steps for start in mine)
        self._passes = Prefetch(passes, device)
        self.close = self._passes.close

    def __iter__(self):
        return self

    def __next__(self) -> tuple:
        tensors, state = next(self._passes)
        self._next_batch = state["next_batch"]
        return *self._unpack(*tensors), {**state, "skipped": sorted(self._skipped)}

    def skip_since(self, state: dict) -> list[int]:
        """Training went back to a checkpoint with this state, and on with the steps that follow here. Those in between
        are skipped, in every state from now on; returns their numbers."""
        between = sorted(set(range(state["next_batch"], self._next_batch)) - self._skipped)
        self._skipped.update(between)
        return between


def _pack_steps(packer: RowPacker, rows_per_step: int, next_batch: int, skipped: frozenset) -> Iterator:
    """(rows of a step, state after it). A skipped step is packed too, since what follows depends on it."""
    for batch in itertools.count(next_batch):
        rows = [packer.next_row() for _ in range(rows_per_step)]
        if batch not in skipped:
            yield rows, {"next_batch": batch + 1, **packer.state()}


def build_loader(split, *, sequence_len: int, **how) -> Loader:
    """A Loader of (x, y, state): x and y (b, T) int64, y one token ahead of x. `how` is what Loader takes."""
    return Loader(split.lengths, sequence_len + 1, can_cut=True, **how,
                  collate=lambda rows: (read_rows(split, rows, sequence_len + 1),),
                  unpack=lambda tokens: (tokens[:, :-1], tokens[:, 1:]))


def read_rows(split, rows: list[list[tuple]], row_tokens: int) -> torch.Tensor:
    """Rows of pieces -> (rows, row_tokens) int64."""
    tokens = np.empty((len(rows), row_tokens), dtype=np.int64)
    for row, pieces in zip(tokens, rows):
        at = 0
        for doc, start, stop in pieces:
            row[at:at + stop - start] = split.tokens(doc, start, stop)
            at += stop - start
        assert at == row_tokens
    return torch.from_numpy(tokens)
