"""The model as the engine runs it: weights cast once, q, k and v in one projection, tokens in one flat list.

The slow clear twin is `gpt.GPT.forward`; a test ties the two together for every kind of layer. Everything but attention
works on one token at a time, so tokens of different requests at different positions stand side by side in (N, C), and
kvcache.StepCache knows whose they are.

Compiled, a step in which every row has one new token takes another way through the same layers: attention reads keys and
values where they lie, and for a single row a whole layer is one function, whose products are sums over a weight's rows.
Left out: CUDA graphs, compiled prefill.

N tokens, C channels, H query heads, H_kv key/value heads, D head dim, V vocab, S keys.
"""

import functools
from typing import NamedTuple

import torch
import torch.nn.functional as F

from nanochat.attention import attention_cached
from nanochat.common import activation_dtype
from nanochat.cross_entropy import softcap
from nanochat.gpt import GPT, LOGIT_SOFTCAP, QK_SCALE, norm
from nanochat.quant import Int8, multiply_int8, quantize

PAD_ROWS = 16  # on a CPU with bf16 dot products but no AMX one row through torch 2.13 takes 10 times as long as 16


class Layer(NamedTuple):
    qkv: torch.Tensor | Int8           # (C + 2 * H_kv * D, C)
    attn_out: torch.Tensor | Int8      # (C, C)
    mlp_in: torch.Tensor | Int8        # (4 * C, C)
    mlp_out: torch.Tensor | Int8       # (C, 4 * C)
    value_embed: torch.Tensor | None   # (V, H_kv * D)
    window: int

    @property
    def matrices(self):
        return self[:4]


class ServedGPT:
    """`forward` extends a kvcache.StepCache by its tokens; `logits` of the rows that the caller chooses."""

    def __init__(self, model: GPT, dtype: torch.dtype, device: torch.device, *, use_compile: bool = False):
        """dtype int8: of the weights; activations are in common.activation_dtype."""
        self.config = model.config
        self.dtype = activation_dtype(dtype, device)

        def cast(x):
            return x.detach().to(device, self.dtype)

        packs = device.type == "cpu" and dtype == torch.bfloat16 and torch.backends.mkldnn.is_available()
        self._multiply, weight = F.linear, cast
        if dtype == torch.int8:
            self._multiply, weight = multiply_int8, lambda x: quantize(x.to(device), self.dtype)
        elif packs:
            self._multiply, weight = multiply_packed, lambda x: pack(cast(x))
        self.layers = build_layers(model, weight, cast)
        self.wte, self.lm_head = cast(model.wte.weight), weight(model.lm_head.weight)
        cos, sin = cast(model.cos), cast(model.sin)
        self.cos, self.sin = torch.cat((cos, cos), -1), torch.cat((-sin, sin), -1)  # (sequence_len, D)
        self._row = None
        if use_compile:
            # A packed weight can be read by its own kernel alone, so one row needs a second copy of bf16 weights.
            self._row = (build_layers(model, cast, cast), cast(model.lm_head.weight)) if packs else (self.layers, self.lm_head)
            compile_steps(self, device)

    def weight_bytes(self) -> int:
        """What every token reads: the matrices and the head. Embeddings are looked up."""
        matrices = [w for layer in self.layers for w in layer.matrices]
        return sum(t.numel() * t.element_size() for w in (*matrices, self.lm_head)
                   for t in (w if isinstance(w, Int8) else (w,)))

    def forward(self, ids, cache):
        """Token ids (N,) at cache.positions -> hidden (N, C), normed."""
        cos, sin = self.cos[cache.positions][:, None], self.sin[cache.positions][:, None]  # (N, 1, D)
        x = norm(F.embedding(ids, self.wte))
        if self._row and cache.is_decoding:
            return norm(self._decode(x, ids, cos, sin, cache))
        for number, layer in enumerate(self.layers):
            x = x + self._multiply(self._attend(norm(x), ids, cos, sin, number, layer, cache), layer.attn_out)
            x = x + self._multiply(F.relu(self._multiply(norm(x), layer.mlp_in)).square_(), layer.mlp_out)
        return norm(x)

    def _attend(self, x, ids, cos, sin, number: int, layer: Layer, cache):
        value = None if layer.value_embed is None else F.embedding(ids, layer.value_embed)
        q, k, v = heads(self._multiply(x, layer.qkv), value, cos, sin, *self._num_heads())
        cache.append(number, k, v)
        return attention_cached(q, cache, number, window=layer.window).flatten(1)

    def _num_heads(self) -> tuple[int, int]:
        return self.config.n_head, self.config.n_kv_head

    def _decode(self, x, ids, cos, sin, cache):
        seen = {layer.window: cache.seen(layer.window) for layer in self.layers}
        is_one = x.size(0) == 1
        for number, layer in enumerate(self._row[0] if is_one else self.layers):
            value = None if layer.value_embed is None else F.embedding(ids, layer.value_embed)
            place = value, cos, sin, cache.slots, *seen[layer.window], cache.flat(number), *self._num_heads()
            if is_one:
                x = compiled(layer_of_one_row)(x, layer.matrices, *place)
            else:
                y = compiled(attend_where_they_lie)(self._multiply(norm(x), layer.qkv), *place)
                x = x + self._multiply(y, layer.attn_out)
                x = x + self._multiply(F.relu(self._multiply(norm(x), layer.mlp_in)).square_(), layer.mlp_out)
        return x

    def logits(self, hidden):
        """(N, C) -> (N, V) in fp32 (float64 for float64), softcapped, padding at -inf."""
        if self._row and hidden.size(0) == 1:
            logits = compiled(logits_of_one_row)(hidden, self._row[1])
        else:
            logits = self._multiply(hidden, self.lm_head)
            logits = softcap(logits.to(accumulator(hidden)), LOGIT_SOFTCAP)
        logits[:, self.config.vocab_size:] = -torch.inf
        return logits


def build_layers(model: GPT, weight, cast) -> list[Layer]:
    return [Layer(weight(torch.cat((b.q.weight, b.k.weight, b.v.weight))), weight(b.attn_out.weight),
                  weight(b.mlp_in.weight), weight(b.mlp_out.weight),
                  cast(model.value_embeds[str(b.layer)].weight) if str(b.layer) in model.value_embeds else None, b.window)
            for b in model.blocks]


def heads(qkv, value, cos, sin, H: int, H_kv: int):
    """(N, C + 2 * H_kv * D) -> q (N, H, D) and k (N, H_kv, D), rotated, normed and scaled, and v (N, H_kv, D)."""
    qk, v = qkv.view(qkv.size(0), H + 2 * H_kv, -1).split((H + H_kv, H_kv), dim=1)
    if value is not None:
        v = v + value.view(v.shape)
    q, k = (norm(rotate_halves(qk, cos, sin)) * QK_SCALE).split((H, H_kv), dim=1)
    return q, k, v


def rotate_halves(x, cos, sin):
    """gpt.rotate in three operations: cos (N, 1, D) twice the table, sin with the sign of the first half turned."""
    return torch.addcmul(x * cos, x.roll(x.size(-1) // 2, dims=-1), sin)


def accumulator(x) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32


# -----------------------------------------------------------------------------
# Packed weights

def pack(weight):
    """In the order in which oneDNN reads it; a plain bf16 weight is reordered at every call."""
    return torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), PAD_ROWS)


def multiply_packed(x, weight):
    N = x.size(0)
    if N < PAD_ROWS and not torch.cpu._is_amx_tile_supported():
        x = F.pad(x, (0, 0, 0, PAD_ROWS - N))
    return torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")[:N]


# -----------------------------------------------------------------------------
# Compiled pieces: every intermediate below lives in registers, one loop over the weights or the cache

@functools.cache
def compiled(function):
    return torch.compile(function)


def attend_where_they_lie(qkv, value, cos, sin, slots, places, bias, kv, H: int, H_kv: int):
    """Appends the new keys and values to kv (all places, 2, H_kv, D) and attends from each row to its places (N, S).
    Returns (N, H * D)."""
    q, k, v = heads(qkv, value, cos, sin, H, H_kv)
    kv.index_put_((slots,), torch.stack((k, v), dim=1))
    N, _, D = q.shape
    high = accumulator(q)
    keys, values = kv[places].to(high).permute(2, 0, 3, 1, 4)  # (N, H_kv, S, D) each
    q = q.view(N, H_kv, H // H_kv, 1, D).to(high)
    scores = (q * keys[:, :, None]).sum(dim=-1) * D ** -0.5 + bias[:, None, None]  # (N, H_kv, H / H_kv, S)
    y = (scores.softmax(dim=-1)[..., None] * values[:, :, None]).sum(dim=-2)
    return y.to(qkv.dtype).view(N, H * D)


def multiply_row(x, weight):
    """(1, I) times (O, I), summed in fp32: a loop over the weight's rows, which is as fast as they can be read."""
    if isinstance(weight, Int8):
        return multiply_int8(x, weight)
    high = accumulator(x)
    return (weight.to(high) * x.to(high)).sum(dim=-1)[None].to(x.dtype)


def layer_of_one_row(x, matrices, *place):
    qkv, attn_out, mlp_in, mlp_out = matrices
    x = x + multiply_row(attend_where_they_lie(multiply_row(norm(x), qkv), *place), attn_out)
    return x + multiply_row(F.relu(multiply_row(norm(x), mlp_in)).square(), mlp_out)


def logits_of_one_row(hidden, weight):
    return softcap(multiply_row(hidden, weight).to(accumulator(hidden)), LOGIT_SOFTCAP)


@torch.inference_mode()
def compile_steps(served: ServedGPT, device: torch.device):
    """Compile for one row and for any larger number, with any number of keys, so that no request waits for it."""
    (H, H_kv), D, C = served._num_heads(), served.config.head_dim, served.config.n_embd
    like = {"device": device, "dtype": served.dtype}
    with torch.inference_mode(False):  # as a cache is made
        kv = torch.zeros(64, 2, H_kv, D, **like)
    layers, lm_head = served._row
    for layer in {layer.value_embed is None: layer for layer in layers}.values():
        for num_rows in (1, 3):
            rows = [torch.zeros(num_rows, H_kv * D, **like), *torch.zeros(2, num_rows, 1, D, **like),
                    torch.arange(num_rows, device=device)]
            seen = torch.zeros(num_rows, 32, dtype=torch.int64, device=device), torch.zeros(num_rows, 32, **like)
            qkv = torch.zeros(num_rows, (H + 2 * H_kv) * D, **like)
            for tensor in (qkv, *rows, *seen) if num_rows > 1 else ():
                torch._dynamo.mark_dynamic(tensor, 0)
            for tensor, size in ((kv, 0), (seen[0], 1), (seen[1], 1)):
                torch._dynamo.mark_dynamic(tensor, size)
            place = None if layer.value_embed is None else rows[0], *rows[1:], *seen, kv, H, H_kv
            if num_rows == 1:
                compiled(layer_of_one_row)(torch.zeros(1, C, **like), layer.matrices, *place)
            else:
                compiled(attend_where_they_lie)(qkv, *place)
    compiled(logits_of_one_row)(torch.zeros(1, C, **like), lm_head)
