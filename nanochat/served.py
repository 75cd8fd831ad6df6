"""The model as the engine runs it: weights cast once, q, k and v in one projection, tokens in one flat list.

The slow clear twin is `gpt.GPT.forward`; a test ties the two together for every kind of layer. Everything but attention
works on one token at a time, so tokens of different requests at different positions stand side by side in (N, C), and
kvcache.StepCache knows whose they are.

Compiled, a single token takes another way through the same layers: all of a layer but its attention is two functions,
whose products are loops over a weight's rows. Left out: compiled steps of several rows (slower so far, dev/LOG.md),
CUDA graphs.

N tokens, C channels, H query heads, H_kv key/value heads, D head dim, V vocab.
"""

import functools
from typing import NamedTuple

import torch
import torch.nn.functional as F

from nanochat.attention import attention_cached
from nanochat.common import activation_dtype
from nanochat.cross_entropy import softcap, softcap_
from nanochat.gpt import CARRIED, GPT, LOGIT_SOFTCAP, QK_SCALE, norm
from nanochat.kvcache import PagedCache, StepCache
from nanochat.quant import Int8, multiply_int8, pad_rows, quantize

PAD_ROWS = 16  # on a CPU with bf16 dot products but no AMX one row through torch 2.13 takes 10 times as long as 16


class Layer(NamedTuple):
    qkv: torch.Tensor | Int8           # (C + 2 * H_kv * D, C)
    attn_out: torch.Tensor | Int8      # (C, C)
    mlp_in: torch.Tensor | Int8        # (4 * C, C)
    mlp_out: torch.Tensor | Int8       # (C, 4 * C)
    value_embed: torch.Tensor | None   # (V, H_kv * D)
    window: int


class ServedGPT:
    """`forward` extends a kvcache.StepCache by its tokens; `logits` of the rows that the caller chooses."""

    def __init__(self, model: GPT, dtype: torch.dtype, device: torch.device, *, use_compile: bool = False):
        """dtype int8: of the weights; activations are in common.activation_dtype."""
        self.config = model.config
        self.dtype = activation_dtype(dtype, device)

        def cast(x):
            return x.detach().to(device, self.dtype)

        packs = device.type == "cpu" and dtype == torch.bfloat16 and can_pack()
        self._multiply, weight = F.linear, cast
        if dtype == torch.int8:
            self._multiply, weight = multiply_int8, lambda x: quantize(x.to(device), self.dtype)
        elif packs:
            self._multiply, weight = multiply_packed, lambda x: pack(cast(x))
        def table(embedding):  # one row more, of zeros, for what stands before the first token
            return F.pad(cast(embedding.weight), (0, 0, 0, 1 if model.config.spread else 0))

        embeds = [table(model.value_embeds[str(b.layer)]) if str(b.layer) in model.value_embeds else None
                  for b in model.blocks]
        self.layers = build_layers(model, embeds, weight)
        self.wte, self.lm_head = table(model.wte), weight(model.lm_head.weight)
        cos, sin = cast(model.cos), cast(model.sin)
        self.cos, self.sin = torch.cat((cos, cos), -1), torch.cat((-sin, sin), -1)  # (sequence_len, D)
        self._row_layers = self._row_head = None
        if use_compile:
            # A packed weight can be read by its own kernel alone, so one row needs a second copy of bf16 weights.
            self._row_layers = build_layers(model, embeds, cast) if packs else self.layers
            self._row_head = cast(model.lm_head.weight) if packs else self.lm_head
            compile_row(self, device)

    def weight_bytes(self) -> int:
        """What every token reads: the matrices and the head. Embeddings are looked up."""
        matrices = [w for layer in self.layers for w in (layer.qkv, layer.attn_out, layer.mlp_in, layer.mlp_out)]
        return sum(t.numel() * t.element_size() for w in (*matrices, self.lm_head)
                   for t in (w if isinstance(w, Int8) else (w,)))

    def forward(self, ids, cache):
        """Token ids (N,) at cache.positions -> hidden (N, C), normed."""
        cos, sin = self.cos[cache.positions][:, None], self.sin[cache.positions][:, None]  # (N, 1, D)
        x = norm(F.embedding(ids, self.wte))
        told = self._tell(ids, cache)
        if self._row_layers and len(ids) == 1:
            return norm(self._decode_row(x, told, cos, sin, cache))
        for number, (layer, (carried, value)) in enumerate(zip(self.layers, told)):
            y = self._attend(plus(norm(x), carried), value, cos, sin, number, layer, cache)
            x = x + self._multiply(y, layer.attn_out)
            x = x + self._multiply(F.relu(self._multiply(norm(x), layer.mlp_in)).square_(), layer.mlp_out)
        return norm(x)

    def _tell(self, ids, cache) -> list[tuple]:
        """What each layer is told of the tokens beside the hidden states: what is carried from the one before (N, C),
        and the value embeddings (N, H_kv * D); None for neither."""
        carried, config = None, self.config
        if config.spread:
            before = cache.append_ids(ids)
            carried = CARRIED * norm(F.embedding(before[:, 0], self.wte))
        told = []
        for number, layer in enumerate(self.layers):
            value = None if layer.value_embed is None else F.embedding(ids, layer.value_embed)
            if number == config.spread_layer:
                half = value.size(1) // 2
                passed_on = F.embedding(before, layer.value_embed[:, half:]).sum(dim=1)
                value = torch.cat((value[:, :half], passed_on), dim=1)
            told.append((None if value is None else carried, value))
        return told

    def _attend(self, x, value, cos, sin, number: int, layer: Layer, cache):
        q, k, v = heads(self._multiply(x, layer.qkv), value, cos, sin, self.config.n_head, self.config.n_kv_head)
        cache.append(number, k, v)
        return attention_cached(q, cache, number, window=layer.window).flatten(1)

    def _decode_row(self, x, told, cos, sin, cache):
        for number, (layer, (carried, value)) in enumerate(zip(self._row_layers, told)):
            q, k, v = compiled(row_before_attention)(x, carried, layer.qkv, value, cos, sin,
                                                     self.config.n_head, self.config.n_kv_head)
            cache.append(number, k, v)
            y = attention_cached(q, cache, number, window=layer.window).flatten(1)
            x = compiled(row_after_attention)(x, y, layer.attn_out, layer.mlp_in, layer.mlp_out)
        return x

    def logits(self, hidden):
        """(N, C) -> (N, V) in fp32 (float64 for float64), softcapped, padding at -inf."""
        if self._row_layers and hidden.size(0) == 1:
            logits = compiled(row_logits)(hidden, self._row_head)
        else:
            logits = softcap_(self._multiply(hidden, self.lm_head).to(accumulator(hidden)), LOGIT_SOFTCAP)
        logits[:, self.config.vocab_size:] = -torch.inf
        return logits


def build_layers(model: GPT, value_embeds: list, weight) -> list[Layer]:
    return [Layer(weight(torch.cat((b.q.weight, b.k.weight, b.v.weight))), weight(b.attn_out.weight),
                  weight(b.mlp_in.weight), weight(b.mlp_out.weight), value_embeds[b.layer], b.window)
            for b in model.blocks]


def plus(x, y):
    return x if y is None else x + y


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

def can_pack() -> bool:
    """A build without oneDNN (macOS) lacks the second question too; a processor without AVX512 has it answered no."""
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def pack(weight):
    """In the order in which oneDNN reads it; a plain bf16 weight is reordered at every call."""
    return torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), PAD_ROWS)


def multiply_packed(x, weight):
    padded = pad_rows(x, 1 if torch.cpu._is_amx_tile_supported() else PAD_ROWS)
    return torch.ops.mkldnn._linear_pointwise(padded, weight, None, "none", [], "")[:x.size(0)]


# -----------------------------------------------------------------------------
# One row, compiled: a product is a loop over the weight's rows, and what stands before and after it part of that loop

@functools.cache
def compiled(function):
    return torch.compile(function, dynamic=False)


def multiply_row(x, weight):
    """(1, I) times (O, I), summed in fp32. Compiled, it is as fast as the weight can be read."""
    if isinstance(weight, Int8):
        return multiply_int8(x, weight)
    high = accumulator(x)
    return (weight.to(high) * x.to(high)).sum(dim=-1)[None].to(x.dtype)


def row_before_attention(x, carried, qkv, value, cos, sin, H: int, H_kv: int):
    return heads(multiply_row(plus(norm(x), carried), qkv), value, cos, sin, H, H_kv)


def row_after_attention(x, y, attn_out, mlp_in, mlp_out):
    x = x + multiply_row(y, attn_out)
    return x + multiply_row(F.relu(multiply_row(norm(x), mlp_in)).square(), mlp_out)


def row_logits(hidden, weight):
    return softcap(multiply_row(hidden, weight).to(accumulator(hidden)), LOGIT_SOFTCAP)


@torch.inference_mode()
def compile_row(served: ServedGPT, device: torch.device):
    """Compile all that `_decode_row` calls, so that no request waits for it."""
    cache = PagedCache(served.config, 1, device=device, dtype=served.dtype)
    hidden = served.forward(torch.zeros(1, dtype=torch.int64, device=device), StepCache(cache, [([0], 0, 1)]))
    served.logits(hidden)
