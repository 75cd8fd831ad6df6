"""Keys and values of the tokens already seen, in small blocks that requests share.

A request owns a table of blocks, as a process owns pages. Blocks are counted: samples of one prompt, and chats with the
same beginning, hold the same ones. A full block, and the last one of an answer that ended, can be found again by what
stands in it and before it, also when nobody holds it any more; such blocks are given away last, the longest unused first.
Whoever writes into a block that others may read gets a copy.

`BlockPool` is the bookkeeping, on the host; `PagedCache` the tensors; `StepCache` one forward pass over some requests.
Source: the paging and hash chain of vLLM (arXiv:2309.06180). A chain's key here is (number of the block before, ids),
compared whole, so nothing can collide.
"""

import bisect
import itertools
import time
from collections import OrderedDict, deque
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from nanochat.attention import visible
from nanochat.common import UserError, round_up

BLOCK = 16            # tokens; the unit of sharing, and at most BLOCK - 1 places a request wastes
MEMORY_SHARE = 0.5    # of what is free, at most; the rest is for activations and for others
ROOT = 0              # the block before the first


class BlockPool:
    """Every block is free (empty), cached (unused, can be found) or held by `refs` requests."""

    def __init__(self, num_blocks: int, *, use_prefix_cache: bool = True):
        self.num_blocks, self.use_prefix_cache = num_blocks, use_prefix_cache
        self.refs = [0] * num_blocks
        self.free = deque(range(num_blocks))
        self.cached: OrderedDict[int, None] = OrderedDict()           # longest unused first
        self._known: dict[tuple, tuple[int, int]] = {}                # (number before, ids) -> (block, own number)
        self._key_of: dict[int, tuple] = {}
        self._numbers = itertools.count(ROOT + 1)                     # never given twice, so no chain comes back to life
        self.num_hit_tokens = self.num_looked_up = 0
        self.lookup_sec = 0.0

    @property
    def num_available(self) -> int:
        return len(self.free) + len(self.cached)

    def take(self) -> int | None:
        """An empty block, or the longest unused cached one; None when all are held."""
        if self.free:
            block = self.free.popleft()
        elif self.cached:
            block, _ = self.cached.popitem(last=False)
            del self._known[self._key_of.pop(block)]
        else:
            return None
        self.refs[block] = 1
        return block

    def share(self, blocks: list[int]):
        for block in blocks:
            self.cached.pop(block, None)
            self.refs[block] += 1

    def release(self, blocks: list[int]):
        """The end of a table first: a block without its beginning can never be found, so it goes before it."""
        for block in reversed(blocks):
            self.refs[block] -= 1
            assert self.refs[block] >= 0, f"block {block} released twice"
            if self.refs[block] == 0:
                if block in self._key_of:
                    self.cached[block] = None
                else:
                    self.free.append(block)

    def is_read_only(self, block: int) -> bool:
        return self.refs[block] > 1 or block in self._key_of

    def find(self, tokens: list[int], limit: int) -> tuple[list[int], list[int], int]:
        """(blocks, numbers of the full ones, tokens in them) of the longest known beginning of tokens[:limit]; the
        caller now holds them too."""
        started = time.perf_counter()
        blocks, numbers, before = [], [], ROOT
        for start in range(0, limit - BLOCK + 1, BLOCK) if self.use_prefix_cache else ():
            hit = self._known.get((before, tuple(tokens[start:start + BLOCK])))
            if hit is None:
                break
            block, before = hit
            blocks.append(block)
            numbers.append(before)
        end = len(blocks) * BLOCK
        for size in range(min(BLOCK - 1, limit - end), 0, -1) if self.use_prefix_cache else ():
            if hit := self._known.get((before, tuple(tokens[end:end + size]))):
                blocks.append(hit[0])
                end += size
                break
        self.share(blocks)
        self.num_looked_up += limit
        self.num_hit_tokens += end
        self.lookup_sec += time.perf_counter() - started
        return blocks, numbers, end

    def register(self, table: list[int], numbers: list[int], tokens: list[int], num_computed: int, is_end=False):
        """Make the full blocks of a table findable and extend their numbers, in place; at its end also a begun one,
        which the next turn of a chat goes on from."""
        if not self.use_prefix_cache or num_computed < len(numbers) * BLOCK + (1 if is_end else BLOCK):
            return
        started = time.perf_counter()
        for i in range(len(numbers), num_computed // BLOCK):
            numbers.append(self._know(table[i], numbers, tokens[i * BLOCK:(i + 1) * BLOCK]))
        if is_end and num_computed % BLOCK and table[len(numbers)] not in self._key_of:
            self._know(table[len(numbers)], numbers, tokens[len(numbers) * BLOCK:num_computed])
        self.lookup_sec += time.perf_counter() - started

    def _know(self, block: int, numbers: list[int], ids: list[int]) -> int:
        key = (numbers[-1] if numbers else ROOT, tuple(ids))
        if key not in self._known:   # else another request computed the same; its block is the one to be found
            self._known[key] = (block, next(self._numbers))
            self._key_of[block] = key
        return self._known[key][1]

    def forget(self):
        """Nothing that was computed can be found any more; nobody may hold a block."""
        assert self.num_available == self.num_blocks, f"{self.num_blocks - self.num_available} blocks are held"
        self._known.clear()
        self._key_of.clear()
        self.free.extend(self.cached)
        self.cached.clear()


class PagedCache:
    """kv (n_layer, num_blocks, 2, H_kv, BLOCK, D): what one head reads of a block lies in one piece. ids
    (num_blocks, BLOCK): the tokens themselves, for models whose embeddings carry those before."""

    def __init__(self, config, num_blocks: int, *, device, dtype):
        # zeros: what a row must not see is multiplied by 0, and 0 * NaN is NaN
        self.kv = torch.zeros((config.n_layer, num_blocks, 2, config.n_kv_head, BLOCK, config.head_dim),
                              device=device, dtype=dtype)
        self.ids = torch.zeros((num_blocks, BLOCK), device=device, dtype=torch.int64)
        self.spread, self.no_id = config.spread, config.padded_vocab_size
        self.windows = sorted({config.layer_window(layer) for layer in range(config.n_layer)})
        # what is added to the scores of keys that are seen and of those that are not; a CPU's scores become fp32 then
        scores = torch.promote_types(dtype, torch.float32) if self.kv.device.type == "cpu" else dtype
        self.biases = torch.tensor([0, -torch.inf], device=device, dtype=scores).unbind()

    def copy_block(self, source: int, target: int):
        self.kv[:, target] = self.kv[:, source]
        self.ids[target] = self.ids[source]


def bytes_per_block(config, dtype: torch.dtype) -> int:
    return config.n_layer * BLOCK * 2 * config.n_kv_head * config.head_dim * dtype.itemsize


def choose_num_blocks(config, max_rows: int, max_context: int, device: torch.device, dtype: torch.dtype) -> int:
    """Enough for max_rows full contexts if memory has room for it, else as many as it has room for."""
    per_row = -(-max_context // BLOCK) + 1   # + 1: the copy of a shared block exists beside it for a moment
    free = free_bytes(device)
    affordable = max_rows * per_row if free is None else int(free * MEMORY_SHARE) // bytes_per_block(config, dtype)
    if affordable < per_row:
        needed = per_row * bytes_per_block(config, dtype) / MEMORY_SHARE
        raise UserError(f"{free / 2**20:,.0f} MiB free on {device}: one row of {max_context} tokens needs "
                        f"{needed / 2**20:,.0f}; free some memory, or take a smaller model or context")
    return min(max_rows * per_row, affordable)


def free_bytes(device: torch.device) -> int | None:
    """What may still be allocated; None where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    meminfo = Path("/proc/meminfo")
    if device.type != "cpu" or not meminfo.exists():
        return None
    available = next((line for line in meminfo.read_text().splitlines() if line.startswith("MemAvailable")), None)
    return int(available.split()[1]) * 1024 if available else None


class Rows(NamedTuple):
    """Requests of one step with about as many new tokens each, padded to P rows of T; where T is 1, to one of few sizes
    of P and of the number of keys, because attention's products are compiled for each."""
    start: int                    # their tokens are start..stop of the step's
    stop: int
    index: torch.Tensor | None    # (P, T) into the step's tokens; None when nothing is padded
    inverse: torch.Tensor | None  # (stop - start,) into the padded P * T
    shape: tuple[int, int]        # P, T
    keys: dict                    # window -> Reach


@dataclass(frozen=True)
class Reach:
    """What P rows see through one window: S keys each, in pieces of `unit` tokens of a head."""
    unit: int
    pieces: torch.Tensor          # (2, P, H_kv, S / unit), which pieces of a layer hold their keys, and their values
    bias: torch.Tensor            # (P, 1, T, S)
    offsets: np.ndarray           # (P,) of the rows' first queries, at which of their S keys they stand

    @cached_property
    def values(self):
        """(P, H_kv, S), which rows of D numbers hold their values."""
        tokens = self.pieces[1, ..., None] * self.unit + torch.arange(self.unit, device=self.pieces.device)
        return tokens.flatten(2)


class StepCache:
    """One forward pass over N tokens of several requests, each at its own position.

    parts: (table, start, num_new) per request, in ascending order of num_new. A row reads only what its window reaches.
    All that the layers need is made here, once, in numpy: for hundreds of rows it is far faster than lists.
    """

    def __init__(self, cache: PagedCache, parts: list[tuple[list[int], int, int]]):
        self._cache, self._kv, self._windows, self._biases = cache, cache.kv, cache.windows, cache.biases
        self._heads = np.arange(2 * cache.kv.size(3))
        tables, starts, counts = zip(*parts)
        self._tables = np.array(list(itertools.zip_longest(*tables, fillvalue=0))).T  # (requests, longest)
        self._starts, self._counts = np.array(starts), np.array(counts)
        self._firsts = self._counts.cumsum() - self._counts  # of the step's tokens
        request = np.arange(len(parts)).repeat(self._counts)
        positions = np.arange(len(request)) + (self._starts - self._firsts)[request]
        blocks = self._tables[request, positions // BLOCK]
        slots = self._pieces(blocks) * BLOCK + positions[:, None] % BLOCK
        self.positions, self._slots = self._to_device(positions), self._to_device(slots.ravel())
        if cache.spread:
            places = positions[:, None] - np.arange(cache.spread + 1)  # (N, 1 + spread), a token's own first
            self._is_there = self._to_device(places >= 0)
            places = np.maximum(places, 0)
            self._places = self._to_device(self._tables[request[:, None], places // BLOCK] * BLOCK + places % BLOCK)
        self.groups, begin = [], 0
        while begin < len(parts):
            end = bisect.bisect_right(counts, 1 << (counts[begin] - 1).bit_length(), begin)  # up to 1, 2, 4, 8, ... new
            self.groups.append(self._rows(begin, end))
            begin = end

    def _rows(self, begin: int, end: int) -> Rows:
        least, T = int(self._counts[begin]), int(self._counts[end - 1])
        P = round_up(end - begin) if T == 1 else end - begin
        some = np.arange(begin, begin + P)
        index = inverse = None
        if P != end - begin or least != T:
            some = np.minimum(some, end - 1)
            index = self._to_device(self._firsts[some, None] + np.minimum(np.arange(T), self._counts[some, None] - 1))
            inverse = self._to_device(np.flatnonzero(np.arange(T) < self._counts[begin:end, None]))
        starts, lasts = self._starts[some], self._starts[some] + self._counts[some] - 1
        queries = self._to_device(starts[:, None] + np.arange(T))  # (P, T)
        keys = {window: self._reach(some, starts, lasts, queries, window) for window in self._windows}
        start, stop = int(self._firsts[begin]), int(self._firsts[end - 1]) + T
        return Rows(start, stop, index, inverse, (P, T), keys)

    def _reach(self, some, starts, lasts, queries, window: int) -> Reach:
        """The pieces that the queries of `some` rows may see, padded with any block's, and who sees what of them."""
        is_single = queries.size(1) == 1
        unit = piece_size(window) if is_single else BLOCK
        per_block = BLOCK // unit
        firsts = np.maximum(starts - (window - 1), 0) // unit if window >= 0 else 0 * starts
        longest = int((lasts // unit - firsts).max()) + 1
        units = firsts[:, None] + np.arange(round_up(longest) if is_single else longest)
        blocks = self._tables[some[:, None], np.minimum(units // per_block, self._tables.shape[1] - 1)]
        pieces = self._pieces(blocks) * per_block + (units % per_block)[..., None]
        pieces = self._to_device(pieces.reshape(*units.shape, 2, -1).transpose(2, 0, 3, 1))
        places = self._to_device((units[..., None] * unit + np.arange(unit)).reshape(len(some), -1))  # (P, S), of keys
        bias = torch.where(visible(queries, places, window), *self._biases)[:, None]
        return Reach(unit, pieces, bias, starts - firsts * unit)

    def _pieces(self, blocks):
        """(..., 2 * H_kv): the pieces of every block, by head, those of keys first."""
        return blocks[..., None] * len(self._heads) + self._heads

    def _to_device(self, numbers):
        return torch.from_numpy(np.ascontiguousarray(numbers)).to(self._kv.device)

    def append_ids(self, ids):
        """ids (N,) of the new tokens -> (N, spread), those before each, the nearest first; `no_id` before the first."""
        known = self._cache.ids.view(-1)
        known.index_copy_(0, self._places[:, 0], ids)
        return torch.where(self._is_there, known[self._places], self._cache.no_id)[:, 1:]

    def append(self, layer: int, k, v):
        """k and v (N, H_kv, D) of the new tokens."""
        self._kv[layer].view(-1, k.size(-1)).index_copy_(0, self._slots, torch.cat((k, v), dim=1).flatten(0, 1))

    def keys_values(self, layer: int, rows: Rows, window: int, some: slice):
        """k and v (P, H_kv, S, D) of some of these rows."""
        return self._gather(layer, rows.keys[window].unit, rows.keys[window].pieces[:, some]).unbind()

    def keys(self, layer: int, rows: Rows, window: int, some: slice):
        return self._gather(layer, rows.keys[window].unit, rows.keys[window].pieces[0, some])

    def _gather(self, layer: int, unit: int, pieces):
        """(..., n) pieces -> (..., n * unit, D)."""
        D = self._kv.size(-1)
        return self._kv[layer].view(-1, unit * D).index_select(0, pieces.flatten()).view(*pieces.shape[:-1], -1, D)

    def sum_values(self, layer: int, rows: Rows, window: int, some: slice, weights):
        """weights (P, H_kv, G, S) of some of these rows, of one query each -> (P, H_kv, G, D). An embedding bag reads
        the values where they lie: half of the time of attention over 256 rows went into copying and multiplying them."""
        where = rows.keys[window].values[some, :, None].expand_as(weights)
        values = self._kv[layer].view(-1, self._kv.size(-1))
        sums = F.embedding_bag(where.flatten(0, 2), values, mode="sum", per_sample_weights=weights.flatten(0, 2))
        return sums.view(*weights.shape[:3], -1)


def piece_size(window: int) -> int:
    """Tokens read at once for one query: what that rounds up is an eighth of the window at most, or within a block."""
    return BLOCK if window < 0 else min(BLOCK, 1 << max(0, (window // 8).bit_length() - 1))
