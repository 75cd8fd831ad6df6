"""The next token: one id per row from its logits.

A row's noise is a hash of (seed, position) and of nothing else, so what a request draws does not depend on
who shares its batch (the logits it draws from may still differ in their last bits). One uniform number per
row goes through the inverse of the cumulative distribution, after temperature, top-k, top-p and min-p in that order.
Left out: penalties, logit bias.

B rows, V vocab.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F

GROUP = 64              # ids whose probabilities are summed first
MIN_TEMPERATURE = 1e-5  # below it dividing the logits would overflow; such rows are greedy

# SplitMix64 (Steele, Lea, Flood 2014): adds the golden ratio, then mixes.
GOLDEN, MIX_1, MIX_2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
MASK_64 = 2 ** 64 - 1


class TokenLogprobs(NamedTuple):
    id: int
    logprob: float
    top: list[tuple[int, float]]  # (id, logprob) of the likeliest, likeliest first


class Sampled(NamedTuple):
    """Log-probabilities are those under softmax(logits), untempered and unfiltered; None unless asked for."""
    ids: torch.Tensor                         # (B,) int64
    logprobs: torch.Tensor | None = None      # (B,) of the chosen ids
    top_ids: torch.Tensor | None = None       # (B, k) the likeliest ids, likeliest first
    top_logprobs: torch.Tensor | None = None  # (B, k)

    def to_host(self, num_tops: list[int]) -> list[TokenLogprobs]:
        """Of every row the first num_tops of the likeliest, 0.0 and [] for what is not known."""
        if self.logprobs is None:
            return [TokenLogprobs(id, 0.0, []) for id in self.ids.tolist()]
        ids, logprobs, *tops = (x.tolist() for x in self)
        tops = [list(zip(top_ids, top_logprobs))[:n] for top_ids, top_logprobs, n in zip(*tops, num_tops)]
        return list(map(TokenLogprobs, ids, logprobs, tops))


def sample(logits, *, seeds, positions, temperature: torch.Tensor | int = 0, top_k=None, top_p=None, min_p=None,
           num_logprobs: int = 0) -> Sampled:
    """Draw from logits (B, V). All settings are (B,) tensors; seeds and positions int64.

    temperature 0 is greedy; a plain 0 or 1 is that of every row. top_k None or 0: no limit, else exactly the k largest,
    lower ids first among equals. top_p None or 1: no limit, else the fewest largest ones that hold at least top_p of
    what top-k left. min_p None or 0: no limit, else those at least min_p times as likely as the likeliest.
    The caller knows on the host which filters are in use, and None saves the sort. num_logprobs: how many of the
    likeliest to tell beside the chosen one; 0 tells neither.
    """
    is_mixed = torch.is_tensor(temperature)
    probs = logits.softmax(dim=-1) if num_logprobs or not is_mixed and temperature else None
    greedy = _argmax(logits) if is_mixed or not temperature or num_logprobs == 1 else None
    filters = top_k, top_p, min_p
    if is_mixed:
        is_greedy = temperature < MIN_TEMPERATURE
        scaled = logits / temperature.masked_fill(is_greedy, 1.0)[:, None]
        drawn = _draw(scaled, scaled.softmax(dim=-1), uniform(seeds, positions), *filters)
        ids = torch.where(is_greedy, greedy, drawn)
    else:
        ids = _draw(logits, probs, uniform(seeds, positions), *filters) if temperature else greedy
    if not num_logprobs:
        return Sampled(ids)
    top_ids = greedy[:, None] if num_logprobs == 1 else logits.topk(num_logprobs).indices
    likeliest = top_ids[:, :1]
    log_sum = logits.gather(1, likeliest) - probs.gather(1, likeliest).log()  # their probability is never too small
    logprobs = (logits.gather(1, ids[:, None]) - log_sum).squeeze(1)
    return Sampled(ids, logprobs, top_ids, logits.gather(1, top_ids) - log_sum)


def _argmax(logits):
    """(B,) the first of the largest. Of groups first: torch's own takes a CPU twice as long over many rows."""
    groups = _in_groups(logits, fill=-torch.inf)
    group = groups.amax(dim=-1).argmax(dim=-1, keepdim=True)
    return (group * GROUP + _one_group(groups, group).argmax(dim=-1, keepdim=True)).squeeze(1)


def _draw(logits, probs, noise, top_k, top_p, min_p):
    """The id at which the cumulative distribution, in the order of ids, passes `noise`, per row."""
    if top_k is not None or top_p is not None:
        probs = probs.masked_fill(_cut(logits, probs, top_k, top_p), 0.0)
    if min_p is not None:
        probs = probs.masked_fill(probs < min_p[:, None] * probs.amax(-1, keepdim=True), 0.0)
    return _inverse_cdf(probs, noise.to(probs.dtype))


def _cut(logits, probs, top_k, top_p):
    """(B, V) bool, True where a filter takes the id out. Rows without one stay as they are to the last bit, so that
    they draw the same beside rows with one."""
    order = logits.argsort(dim=-1, descending=True, stable=True)
    descending = probs.gather(1, order)
    is_cut = torch.zeros_like(order, dtype=torch.bool)
    if top_k is not None:
        is_cut |= (torch.arange(logits.size(1), device=logits.device) >= top_k[:, None]) & (top_k > 0)[:, None]
    if top_p is not None:
        descending = descending.masked_fill(is_cut, 0.0)
        cumulative = descending.cumsum(dim=-1)
        is_cut |= (cumulative - descending >= top_p[:, None] * cumulative[:, -1:]) & (top_p < 1)[:, None]
    is_cut[:, 0] = False  # a top_p that fp32 rounds to 0 still leaves one
    return torch.empty_like(is_cut).scatter_(1, order, is_cut)


def _inverse_cdf(weights, noise):
    """weights (B, V) need not sum to 1. An index of weight 0 is never chosen: its step in the sum has no height.

    First the group of ids, then the id in it: a third of the time of one long sum (dev/LOG.md). Rounding may carry a target
    past the end of its group, which then means the last id there that has a weight.
    """
    groups = _in_groups(weights, fill=0.0)
    ends = groups.sum(dim=-1).cumsum(dim=-1)
    target = noise[:, None] * ends[:, -1:]
    group = torch.searchsorted(ends, target, right=True)
    inside = _one_group(groups, group).cumsum(dim=-1)
    found = torch.searchsorted(inside, target - F.pad(ends, (1, 0)).gather(1, group), right=True)
    last = torch.searchsorted(inside, inside[:, -1:].contiguous())
    return (group * GROUP + torch.minimum(found, last)).squeeze(1)


def _in_groups(x, fill: float):
    """(B, V) -> (B, groups, GROUP), filled up behind."""
    num_more = -x.size(1) % GROUP
    return (F.pad(x, (0, num_more), value=fill) if num_more else x).unflatten(1, (-1, GROUP))


def _one_group(groups, index):
    """(B, groups, GROUP) and (B, 1) -> (B, GROUP)."""
    return groups.gather(1, index[..., None].expand(-1, -1, GROUP)).squeeze(1)


# -----------------------------------------------------------------------------
# Noise

def uniform(seeds, positions):
    """One number in [0, 1) per row, (B,) fp32, from int64 seeds and positions.

    23 bits: then noise * total, rounded to fp32, is below total for every total, and no draw falls off the end.
    """
    state = _mix(seeds + positions * _signed(GOLDEN))
    return _shift_right(state, 64 - 23).float() * 2.0 ** -23


def derive_seed(seed: int, index: int) -> int:
    """Seed of sample `index` of a request, as a signed 64-bit integer. Any Python integer is a seed."""
    return _signed(_mix_int(_mix_int(seed & MASK_64) + index & MASK_64))


def _mix(x):
    """SplitMix64 on an int64 tensor, whose arithmetic wraps around as the original's does."""
    x = x + _signed(GOLDEN)
    x = (x ^ _shift_right(x, 30)) * _signed(MIX_1)
    x = (x ^ _shift_right(x, 27)) * _signed(MIX_2)
    return x ^ _shift_right(x, 31)


def _mix_int(x: int) -> int:
    """`_mix` for one Python integer in [0, 2^64)."""
    x = x + GOLDEN & MASK_64
    x = (x ^ x >> 30) * MIX_1 & MASK_64
    x = (x ^ x >> 27) * MIX_2 & MASK_64
    return x ^ x >> 31


def _shift_right(x, num_bits: int):
    """Logical shift; torch's own keeps the sign."""
    return (x >> num_bits) & (2 ** (64 - num_bits) - 1)


def _signed(x: int) -> int:
    return x - 2 ** 64 if x >= 2 ** 63 else x
