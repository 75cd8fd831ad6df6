import random

import pytest
import torch

from nanochat import attention as attention_module
from nanochat.attention import attention, attention_cached
from nanochat.gpt import GPTConfig
from nanochat.kvcache import BLOCK, PagedCache, StepCache

B, T, D = 2, 13, 8


def random_qkv(heads, kv_heads, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(B, T, h, D, generator=generator, dtype=torch.float64) for h in (heads, kv_heads, kv_heads)]


def naive(q, k, v, window, doc_ids):
    """Softmax over the keys a query may see, one query at a time."""
    out = torch.zeros_like(q)
    heads_per_kv = q.size(2) // k.size(2)
    for b in range(B):
        for h in range(q.size(2)):
            for t in range(q.size(1)):
                seen = [s for s in range(t + 1) if (window < 0 or t - s < window)
                        and (doc_ids is None or doc_ids[b, s] == doc_ids[b, t])]
                scores = torch.stack([q[b, t, h] @ k[b, s, h // heads_per_kv] for s in seen]) / D ** 0.5
                out[b, t, h] = sum(p * v[b, s, h // heads_per_kv] for p, s in zip(scores.softmax(0), seen))
    return out


@pytest.mark.parametrize("heads, kv_heads", [(4, 4), (4, 2), (4, 1)])
@pytest.mark.parametrize("window", [-1, 1, 4, T, T + 5])
@pytest.mark.parametrize("has_docs", [False, True])
def test_equals_a_softmax_written_out(heads, kv_heads, window, has_docs):
    q, k, v = random_qkv(heads, kv_heads)
    doc_ids = torch.tensor([[0] * 5 + [1] * 8, [3] * 4 + [9] * 8 + [2]]) if has_docs else None
    out = attention(q, k, v, window=window, doc_ids=doc_ids)
    torch.testing.assert_close(out, naive(q, k, v, window, doc_ids), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kv_heads", [4, 2])
@pytest.mark.parametrize("window", [1, 3, 4, 5])
@pytest.mark.parametrize("has_docs", [False, True])
def test_a_local_layer_in_blocks_equals_a_softmax_written_out(monkeypatch, kv_heads, window, has_docs):
    """Blocks of 4 of 12 positions: the keys of two blocks hold a window of 5, and before the first there is nothing."""
    monkeypatch.setattr(attention_module, "LOCAL_BLOCK", 4)
    q, k, v = (x[:, :12] for x in random_qkv(4, kv_heads))
    doc_ids = torch.tensor([[0] * 5 + [1] * 7, [3] * 4 + [0] * 8]) if has_docs else None
    assert attention_module.attention_bias(q, window=window, doc_ids=doc_ids).dim() == 5
    out = attention(q, k, v, window=window, doc_ids=doc_ids)
    torch.testing.assert_close(out, naive(q, k, v, window, doc_ids), rtol=0, atol=1e-12)


@pytest.mark.parametrize("window", [-1, 4])
def test_future_tokens_change_nothing(window):
    q, k, v = random_qkv(2, 2)
    before = attention(q, k, v, window=window)
    for x in (q, k, v):
        x[:, 7:] = 100.0
    after = attention(q, k, v, window=window)
    assert torch.equal(before[:, :7], after[:, :7]) and not torch.equal(before[:, 7], after[:, 7])


def test_a_window_of_one_sees_only_itself():
    q, k, v = random_qkv(2, 2)
    torch.testing.assert_close(attention(q, k, v, window=1), v, rtol=0, atol=1e-12)


@pytest.mark.parametrize("numbers", [1, 1 << 30])
@pytest.mark.parametrize("num_new, tile, dtype, tolerance", [
    (3, 128, torch.float64, 1e-12), (4, 2, torch.float64, 1e-12), (3, 1, torch.float64, 1e-12),
    (1, 128, torch.float64, 1e-12), (1, 128, torch.bfloat16, 0.02)])
@pytest.mark.parametrize("kv_heads", [4, 2])
@pytest.mark.parametrize("window", [-1, 3])
def test_cached_attention_of_rows_at_different_positions_equals_whole_rows(monkeypatch, kv_heads, window, num_new, tile,
                                                                           dtype, tolerance, numbers):
    """Keys of one row at a time or of all, queries in tiles or at once."""
    monkeypatch.setattr(attention_module, "CACHED_NUMBERS", numbers)
    monkeypatch.setattr(attention_module, "TILE", tile)
    q, k, v = (x.to(dtype) for x in random_qkv(4, kv_heads))
    whole = naive(q.double(), k.double(), v.double(), window, None).to(dtype)
    starts = [2, 9]
    config = GPTConfig(sequence_len=T, vocab_size=1, n_layer=1, n_head=4, n_kv_head=kv_heads, n_embd=4 * D,
                       layer_types=("sliding",), window=window)
    cache = PagedCache(config, 4, device="cpu", dtype=dtype)
    for row, start in enumerate(starts):
        StepCache(cache, [([row + 1], 0, start)]).append(0, k[row, :start], v[row, :start])
    new = torch.tensor(starts)[:, None] + torch.arange(num_new)
    rows = torch.arange(B)[:, None]
    step = StepCache(cache, [([row + 1], start, num_new) for row, start in enumerate(starts)])
    step.append(0, k[rows, new].flatten(0, 1), v[rows, new].flatten(0, 1))
    out = attention_cached(q[rows, new].flatten(0, 1), step, 0, window=window)
    torch.testing.assert_close(out, whole[rows, new].flatten(0, 1), rtol=0, atol=tolerance)


def test_steps_of_any_size_come_in_few_shapes():
    """A processor's bf16 products are compiled for every shape anew."""
    config = GPTConfig(sequence_len=1024, vocab_size=1, n_layer=1, n_head=1, n_kv_head=1, n_embd=8,
                       layer_types=("full",), window=-1)
    cache = PagedCache(config, 1, device="cpu", dtype=torch.float32)
    rng, shapes = random.Random(0), set()
    for _ in range(300):
        starts = [rng.randrange(1000) for _ in range(rng.randint(1, 24))]
        group, = StepCache(cache, [([0] * 64, start, 1) for start in starts]).groups
        P, num_blocks = group.shape[0], group.keys[-1].pieces.size(-1)
        assert len(starts) <= P <= 1.25 * len(starts) and num_blocks * BLOCK <= 1.25 * (max(starts) + BLOCK)
        shapes.add((P, num_blocks))
    assert {P for P, _ in shapes} <= {1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24}
    assert {n for _, n in shapes} <= {*range(9), 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64}
