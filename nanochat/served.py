"""The model as the engine runs it: weights cast once, q, k and v in one projection, tokens in one flat list.

The slow clear twin is `gpt.GPT.forward`; a test ties the two together for every kind of layer. Everything but attention
works on one token at a time, so tokens of different requests at different positions stand side by side in (N, C), and
kvcache.StepCache knows whose they are. Left out: int8 weights, compiled pieces, CUDA graphs.

N tokens, C channels, H query heads, H_kv key/value heads, D head dim, V vocab.
"""

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


class ServedGPT:
    """`forward` extends a kvcache.StepCache by its tokens; `logits` of the rows that the caller chooses."""

    def __init__(self, model: GPT, dtype: torch.dtype, device: torch.device):
        """dtype int8: of the weights; activations are in common.activation_dtype."""
        self.config = model.config

        def cast(x):
            return x.detach().to(device, activation_dtype(dtype, device))

        if dtype == torch.int8:
            self._multiply, weight = multiply_int8, lambda x: quantize(x.to(device), activation_dtype(dtype, device))
        elif device.type == "cpu" and dtype == torch.bfloat16 and torch.backends.mkldnn.is_available():
            self._multiply, weight = multiply_packed, lambda x: pack(cast(x))
        else:
            self._multiply, weight = F.linear, cast
        self.layers = [Layer(weight(torch.cat((b.q.weight, b.k.weight, b.v.weight))), weight(b.attn_out.weight),
                             weight(b.mlp_in.weight), weight(b.mlp_out.weight),
                             cast(model.value_embeds[str(b.layer)].weight) if str(b.layer) in model.value_embeds else None,
                             b.window) for b in model.blocks]
        self.wte, self.lm_head = cast(model.wte.weight), weight(model.lm_head.weight)
        cos, sin = cast(model.cos), cast(model.sin)
        self.cos, self.sin = torch.cat((cos, cos), -1), torch.cat((-sin, sin), -1)  # (sequence_len, D)

    def weight_bytes(self) -> int:
        """What every token reads: the matrices and the head. Embeddings are looked up."""
        matrices = [w for layer in self.layers for w in (layer.qkv, layer.attn_out, layer.mlp_in, layer.mlp_out)]
        return sum(t.numel() * t.element_size() for w in (*matrices, self.lm_head)
                   for t in (w if isinstance(w, Int8) else (w,)))

    def forward(self, ids, cache):
        """Token ids (N,) at cache.positions -> hidden (N, C), normed."""
        cos, sin = self.cos[cache.positions][:, None], self.sin[cache.positions][:, None]  # (N, 1, D)
        x = norm(F.embedding(ids, self.wte))
        for number, layer in enumerate(self.layers):
            x = x + self._multiply(self._attend(norm(x), ids, cos, sin, number, layer, cache), layer.attn_out)
            x = x + self._multiply(F.relu(self._multiply(norm(x), layer.mlp_in)).square_(), layer.mlp_out)
        return norm(x)

    def _attend(self, x, ids, cos, sin, number: int, layer: Layer, cache):
        H, H_kv, D = self.config.n_head, self.config.n_kv_head, self.config.head_dim
        qk, v = self._multiply(x, layer.qkv).view(-1, H + 2 * H_kv, D).split((H + H_kv, H_kv), dim=1)
        if layer.value_embed is not None:
            v = v + F.embedding(ids, layer.value_embed).view(-1, H_kv, D)
        qk = norm(rotate_halves(qk, cos, sin)) * QK_SCALE
        q, k = qk.split((H, H_kv), dim=1)
        cache.append(number, k, v)
        return attention_cached(q, cache, number, window=layer.window).flatten(1)

    def logits(self, hidden):
        """(N, C) -> (N, V) in fp32 (float64 for float64), softcapped, padding at -inf."""
        logits = self._multiply(hidden, self.lm_head)
        logits = softcap(logits if logits.dtype == torch.float64 else logits.float(), LOGIT_SOFTCAP)
        logits[:, self.config.vocab_size:] = -torch.inf
        return logits


def rotate_halves(x, cos, sin):
    """gpt.rotate in three operations: cos (N, 1, D) twice the table, sin with the sign of the first half turned."""
    return torch.addcmul(x * cos, x.roll(x.size(-1) // 2, dims=-1), sin)


def pack(weight):
    """In the order in which oneDNN reads it; a plain bf16 weight is reordered at every call."""
    return torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), PAD_ROWS)


def multiply_packed(x, weight):
    N = x.size(0)
    if N < PAD_ROWS and not torch.cpu._is_amx_tile_supported():
        x = F.pad(x, (0, 0, 0, PAD_ROWS - N))
    return torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")[:N]
