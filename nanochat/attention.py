"""Attention behind one signature: `attention` for whole rows, `attention_cached` over a KV cache.

Both run torch's scaled_dot_product_attention, on any device and in any dtype; it is the reference that
faster kernels will be tested against. A window counts the keys a query sees, itself included; -1 is
all of them. Left out: kernels that skip masked blocks, so on a GPU a window costs as much as full.
"""

import torch
import torch.nn.functional as F


def attention(q, k, v, *, window: int = -1, doc_ids=None):
    """Causal self-attention. q (B, T, H, D), k and v (B, T, H_kv, D) -> (B, T, H, D).

    doc_ids (B, T), any integers: a position sees only earlier positions with the same id.
    """
    T = q.size(1)
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    # On MPS, is_causal leaks up to 3 future tokens in half precision below torch 2.13 (pytorch #195910).
    if doc_ids is None and not 0 <= window < T and q.device.type != "mps":
        return _sdpa(q, k, v, is_causal=True).transpose(1, 2)
    positions = torch.arange(T, device=q.device)
    mask = visible(positions, positions, window)
    if doc_ids is not None:
        mask = mask & (doc_ids[:, None, :, None] == doc_ids[:, None, None, :])
    return _sdpa(q, k, v, attn_mask=mask).transpose(1, 2)


def attention_cached(q, cache, layer: int, *, lengths, window: int = -1):
    """Attention of the last T positions of every row over its cached keys. q (B, T, H, D) -> (B, T, H, D).

    lengths (B,): tokens in each row's cache after the append that brought these T; rows may differ.
    """
    k, v = cache.keys_values(layer)  # (B, H_kv, S, D)
    T = q.size(1)
    positions = lengths[:, None] - T + torch.arange(T, device=q.device)
    mask = visible(positions, torch.arange(k.size(2), device=q.device), window)
    return _sdpa(q.transpose(1, 2), k, v, attn_mask=mask[:, None]).transpose(1, 2)


def visible(query_positions, key_positions, window: int):
    """(..., T) and (S,) -> bool (..., T, S): True where the key is not in the future and inside the window."""
    distance = query_positions[..., :, None] - key_positions
    return (distance >= 0) & (distance < window) if window >= 0 else distance >= 0


def _sdpa(q, k, v, **how):
    """Shares key and value heads among groups of query heads (GQA) by repeating them."""
    groups = q.size(1) // k.size(1)
    if groups > 1:
        k, v = (x.repeat_interleave(groups, dim=1) for x in (k, v))
    return F.scaled_dot_product_attention(q, k, v, **how)
