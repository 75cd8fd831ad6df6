"""Attention behind one signature: `attention` for whole rows, `attention_cached` over a KV cache.

Both run torch's scaled_dot_product_attention, on any device and in any dtype; it is the reference that
faster paths are tested against. They are for a CPU: rows of up to 512 and what is cached are multiplied out, and a
short window looks at the keys of two blocks. A window counts the keys a query sees, itself included; -1 is all of them.
Left out: kernels that skip masked blocks, so on a GPU a window costs as much as full.
"""

import torch
import torch.nn.functional as F

FEW_ROWS = 8         # of one query each, up to which a CPU's fused kernel is best
TILE = 128           # queries of a long prompt that share one slice of keys; measured in dev/LOG.md
CACHED_NUMBERS = 1 << 22  # of keys, or scores, at a time; keys and values in bf16 are 16 MB (dev/LOG.md)
LOCAL_BLOCK = 32     # positions that a local layer takes at a time in training on a CPU; measured in dev/LOG.md
MAX_SHORT_ROW = 512  # on a CPU, where the fused kernel's backward is slow; measured in dev/LOG.md


def attention(q, k, v, *, window: int = -1, doc_ids=None, bias=None):
    """Causal self-attention. q (B, T, H, D), k and v (B, T, H_kv, D) -> (B, T, H, D).

    doc_ids (B, T), any integers: a position sees only earlier positions with the same id. bias: what `attention_bias`
    makes of window and doc_ids, for a model that shares it among layers; then they are not looked at.
    """
    if bias is None:
        bias = attention_bias(q, window=window, doc_ids=doc_ids)
    if bias is not None and bias.dim() == 5:
        return _attend_in_blocks(q, k, v, bias)
    attend = _multiply_out if _is_short(q) else _sdpa
    return attend(*(x.transpose(1, 2) for x in (q, k, v)), bias).transpose(1, 2)


def _is_short(x) -> bool:
    """Rows (B, T, ...) whose attention is multiplied out."""
    return x.device.type == "cpu" and x.size(1) <= MAX_SHORT_ROW


def attention_bias(like, *, window: int, doc_ids):
    """0 where a query sees a key and -inf elsewhere, (1 or B, 1, T, T) in the dtype and on the device of `like`, whose
    dimension 1 is T. None where plain causal attention does it; (1 or B, T / LOCAL_BLOCK, 1, LOCAL_BLOCK, 2 *
    LOCAL_BLOCK) where a window on a CPU is short enough to look at blocks of queries with the keys of two blocks."""
    T = like.size(1)
    if like.device.type == "cpu" and 0 <= window <= LOCAL_BLOCK + 1 and T > 2 * LOCAL_BLOCK and T % LOCAL_BLOCK == 0:
        return _as_bias(_visible_in_blocks(T, window, doc_ids), like)
    # On MPS, is_causal leaks up to 3 future tokens in half precision below torch 2.13 (pytorch #195910).
    if doc_ids is None and not 0 <= window < T and like.device.type != "mps" and not _is_short(like):
        return None
    positions = torch.arange(T, device=like.device)
    mask = visible(positions, positions, window)
    if doc_ids is not None:
        mask = mask & (doc_ids[:, None, :, None] == doc_ids[:, None, None, :])
    return _as_bias(mask.expand(1, 1, T, T) if mask.dim() == 2 else mask, like)


def _as_bias(mask, like):
    return torch.zeros(mask.shape, dtype=like.dtype, device=like.device).masked_fill_(~mask, -torch.inf)


def attention_cached(q, cache, layer: int, *, window: int = -1):
    """Attention of new tokens over their requests' cached keys. q (N, H, D) -> (N, H, D), in the order of the
    kvcache.StepCache, to which the keys and values of these tokens were appended."""
    out = []
    for rows in cache.groups:
        mine = q[rows.start:rows.stop] if rows.index is None else q[rows.index.flatten()]
        mine, (P, T) = mine.view(*rows.shape, *q.shape[1:]), rows.shape
        attend = _attend_singly if q.device.type == "cpu" and T == 1 and P > FEW_ROWS else _attend_in_tiles
        y = [attend(mine[some], cache, layer, rows, window, some) for some in _slices(mine, rows.keys[window])]
        y = (y[0] if len(y) == 1 else torch.cat(y)).flatten(0, 1)
        out.append(y if rows.inverse is None else y[rows.inverse])
    return out[0] if len(out) == 1 else torch.cat(out)


def _slices(q, reach) -> list[slice]:
    """Of rows (P, T, H, D), few enough on a CPU that keys stay in its cache from their gathering to their use."""
    P, T, H, D = q.shape
    num_numbers = P * reach.bias.size(-1) * H * max(D, min(T, TILE))
    num_each = P if q.device.type != "cpu" else -(-P // -(-num_numbers // CACHED_NUMBERS))
    return [slice(begin, begin + num_each) for begin in range(0, P, num_each)]


def _attend_singly(q, cache, layer: int, rows, window: int, some: slice):
    """`_attend_rows` for one query each, q (P, 1, H, D), the values summed where they lie (dev/LOG.md)."""
    P, _, H, D = q.shape
    k = cache.keys(layer, rows, window, some)
    q = q.view(P, k.size(1), -1, D)  # queries that share a key head are as if they were more positions
    weights = _weigh(q, k, rows.keys[window].bias[some])
    return cache.sum_values(layer, rows, window, some, weights).view(P, 1, H, D)


def _attend_in_tiles(q, cache, layer: int, rows, window: int, some: slice):
    """`_attend_rows`, by TILE queries at a time on a CPU: with the keys that one of them sees. The kernel would multiply
    what the bias hides."""
    k, v = cache.keys_values(layer, rows, window, some)
    bias, offsets = rows.keys[window].bias[some], rows.keys[window].offsets
    T = q.size(1)
    if q.device.type != "cpu" or T <= TILE:
        return _attend_rows(q, k, v, bias)
    least, most, tiles = int(offsets.min()), int(offsets.max()), []
    for begin in range(0, T, TILE):
        end = min(begin + TILE, T)
        first = 0 if window < 0 else max(0, least + begin - window + 1)
        keys = slice(first // TILE * TILE, -(-(most + end) // TILE) * TILE)  # in steps: see _attend_rows
        tiles.append(_attend_rows(q[:, begin:end], k[:, :, keys], v[:, :, keys], bias[:, :, begin:end, keys]))
    return torch.cat(tiles, dim=1)


def _attend_rows(q, k, v, bias):
    """q (P, T, H, D), k and v (P, H_kv, S, D), bias (P, 1, T, S), on a CPU never below fp32. Queries that share a key
    head stand one behind the other as if they were more positions: so no key is copied for them."""
    P, T, H, D = q.shape
    groups = H // k.size(1)
    q = q.view(P, T, -1, groups, D).permute(0, 2, 3, 1, 4).reshape(P, -1, groups * T, D)
    bias = bias.repeat(1, 1, groups, 1) if groups > 1 else bias
    attend = F.scaled_dot_product_attention
    if q.device.type == "cpu":  # products are compiled for each shape, so prompts of any length are left to the kernel
        attend = _multiply_rows if T == TILE else _fuse_rows
    return attend(q, k, v, bias).view(P, -1, groups, T, D).permute(0, 3, 1, 2, 4).reshape(P, T, H, D)


def _fuse_rows(q, k, v, bias):
    """A CPU's fused kernel is up to three times as fast in fp32 as in bf16, conversion included, and never slower."""
    return F.scaled_dot_product_attention(*(x.to(bias.dtype) for x in (q, k, v)), bias).to(q.dtype)


def _multiply_rows(q, k, v, bias):
    """Attention by its definition: on a CPU in bf16 twice to eight times as fast as the fused kernel, and not slower in
    fp32 (dev/LOG.md)."""
    return _weigh(q, k, bias) @ v


def _weigh(q, k, bias):
    """(..., T, S), how much of each value a query takes. Scores are rounded to bf16 as in training on a CPU, the softmax
    is not."""
    return torch.add(bias, q @ k.mT, alpha=q.size(-1) ** -0.5).softmax(-1).to(q.dtype)


def visible(query_positions, key_positions, window: int):
    """(..., T) and (S,) or (..., S) -> bool (..., T, S): True where the key is not in
    the future and inside the window."""
    queries, keys = query_positions[..., :, None], key_positions[..., None, :]
    return (keys <= queries) & (keys > queries - window) if window >= 0 else keys <= queries


def _visible_in_blocks(T: int, window: int, doc_ids):
    """(1 or B, T / LOCAL_BLOCK, 1, LOCAL_BLOCK, 2 * LOCAL_BLOCK)"""
    positions = torch.arange(1, T + 1).view(1, -1, LOCAL_BLOCK)
    keys = _with_block_before(positions)  # 0 is nothing, before the first block
    mask = visible(positions, keys, window) & (keys > 0)[..., None, :]
    if doc_ids is not None:
        docs = doc_ids.unflatten(1, (-1, LOCAL_BLOCK))
        mask = mask & (docs[..., :, None] == _with_block_before(docs)[..., None, :])
    return mask[:, :, None]


def _with_block_before(blocks):
    """(B, N, LOCAL_BLOCK, ...) -> (B, N, 2 * LOCAL_BLOCK, ...), zeros before the first."""
    before = torch.cat((torch.zeros_like(blocks[:, :1]), blocks[:, :-1]), dim=1)
    return torch.cat((before, blocks), dim=2)


def _attend_in_blocks(q, k, v, bias):
    q, k, v = (x.unflatten(1, (-1, LOCAL_BLOCK)) for x in (q, k, v))
    q, k, v = (x.transpose(2, 3) for x in (q, _with_block_before(k), _with_block_before(v)))
    return _multiply_out(q, k, v, bias).transpose(2, 3).flatten(1, 2)


def _multiply_out(q, k, v, bias):
    """Attention by its definition, which a compiler fuses well."""
    k, v = _share_heads(q, k, v)
    return (q @ k.mT * q.size(-1) ** -0.5 + bias).softmax(-1) @ v


def _share_heads(q, k, v):
    """Key and value heads, (..., H_kv, S, D), repeated for groups of query heads (GQA)."""
    groups = q.size(-3) // k.size(-3)
    return (k, v) if groups == 1 else tuple(x.repeat_interleave(groups, dim=-3) for x in (k, v))


def _sdpa(q, k, v, bias):
    k, v = _share_heads(q, k, v)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias, is_causal=bias is None)
