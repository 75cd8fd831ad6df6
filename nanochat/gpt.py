"""The model: a GPT of the kind that speed-runs settled on, small enough to read in one sitting.

Pre-norm blocks with parameter-free RMSNorm, rotary positions (standard sign), QK-norm, ReLU^2 MLP, an
untied head with softcapped logits, grouped key/value heads, and a window per layer. No biases, and no state
between tokens but keys, values and the last few ids, so any engine can serve it from a KV cache.
A layer may add an embedding of each token to its values, so that what attention copies is the token itself. Such layers
may also be told of the tokens before: attention reads half of the embedding of the one before beside the hidden state,
and in the last layer half of a value is the sum of several before, so that the lamp of "Tove has a lamp" answers "Tove".
Sources: modded-nanogpt (ReLU^2, QK-norm, zero-initialised projections, value embeddings; it smears the token before into
the first hidden state), Gemma 2 (softcap), RoFormer (RoPE).

B batch, T time, C channels, H query heads, H_kv key/value heads, D head dim, V vocab.
"""

from dataclasses import dataclass
from typing import Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F

from nanochat.attention import attention, attention_bias
from nanochat.cross_entropy import softcap, sum_cross_entropy, target_logprobs
from nanochat.letter_codes import letter_codes

LOGIT_SOFTCAP = 15.0      # modded-nanogpt: 30 -> 15 was worth 4.8% of the time to its target
ROPE_BASE = 10_000.0
VOCAB_MULTIPLE = 64       # rows of embedding and head are padded to this for aligned matmuls
MLP_RATIO = 4
QK_SCALE = 1.2            # sharper attention than unit queries and keys allow; upstream's value
CARRIED = 0.5             # how much of the embedding of the token before attention reads


@dataclass(frozen=True)
class GPTConfig:
    sequence_len: int         # longest row, prompt and answer together
    vocab_size: int           # ids in use; only the model's tables are padded
    n_layer: int
    n_head: int
    n_kv_head: int            # divides n_head
    n_embd: int
    layer_types: tuple[str, ...]  # "full" or "sliding", one per layer
    window: int               # keys a sliding layer sees, self included
    value_embed_layers: tuple[int, ...] = ()  # layers whose values get an embedding of their token added
    spread: int = 0           # tokens before it that half of the last value embedding sums up; 0: of none is told

    def __post_init__(self):
        for name in ("layer_types", "value_embed_layers"):  # JSON brings lists
            object.__setattr__(self, name, tuple(getattr(self, name)))
        assert all(0 <= layer < self.n_layer for layer in self.value_embed_layers)
        assert self.spread == 0 or self.value_embed_layers
        assert self.n_embd % self.n_head == 0 and self.n_head % self.n_kv_head == 0
        assert len(self.layer_types) == self.n_layer and set(self.layer_types) <= {"full", "sliding"}

    @property
    def head_dim(self) -> int:
        return self.n_embd // self.n_head

    @property
    def padded_vocab_size(self) -> int:
        return -(-self.vocab_size // VOCAB_MULTIPLE) * VOCAB_MULTIPLE

    @property
    def spread_layer(self) -> int | None:
        return self.value_embed_layers[-1] if self.spread else None

    def layer_window(self, layer: int) -> int:
        return self.window if self.layer_types[layer] == "sliding" else -1


def norm(x):
    return F.rms_norm(x, (x.size(-1),))


def rotate(x, cos, sin):
    """RoPE on (B, T, H, D); cos and sin (B or 1, T, 1, D / 2). Standard sign, halves not interleaved."""
    x1, x2 = x.chunk(2, dim=-1)
    return torch.cat((x1 * cos - x2 * sin, x2 * cos + x1 * sin), dim=-1)


def rope_tables(sequence_len: int, head_dim: int):
    """cos and sin, (sequence_len, D / 2) each."""
    frequencies = ROPE_BASE ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)
    angles = torch.outer(torch.arange(sequence_len, dtype=torch.float64), frequencies)
    return angles.cos().float(), angles.sin().float()


def later(x, by: int, doc_ids=None):
    """(B, T, C), each token's vector `by` tokens later; zeros where its document had not begun."""
    moved = F.pad(x, (0, 0, by, 0))[:, :x.size(1)]
    return moved if doc_ids is None else moved * (later(doc_ids[..., None], by) == doc_ids[..., None])


class Linear(nn.Linear):
    """No bias. Masters stay fp32; the matmul runs in the activations' dtype. Casting is free when they agree,
    as they do in the engine, which casts once at load."""

    def __init__(self, in_features: int, out_features: int):
        super().__init__(in_features, out_features, bias=False)

    def forward(self, x):
        return F.linear(x, self.weight.to(x.dtype))


class Block(nn.Module):
    def __init__(self, config: GPTConfig, layer: int):
        super().__init__()
        C, kv_dim = config.n_embd, config.n_kv_head * config.head_dim
        self.head_dim = config.head_dim
        self.layer = layer
        self.window = config.layer_window(layer)
        self.q, self.k, self.v = Linear(C, C), Linear(C, kv_dim), Linear(C, kv_dim)
        self.attn_out = Linear(C, C)
        self.mlp_in, self.mlp_out = Linear(C, MLP_RATIO * C), Linear(MLP_RATIO * C, C)

    def forward(self, x, cos, sin, carried=None, value_embeds=None, bias=None):
        x = x + self.attend(norm(x) if carried is None else norm(x) + carried, cos, sin, value_embeds, bias)
        return x + self.mlp_out(F.relu(self.mlp_in(norm(x))).square())

    def attend(self, x, cos, sin, value_embeds, bias):
        q, k, v = (linear(x).unflatten(-1, (-1, self.head_dim)) for linear in (self.q, self.k, self.v))
        if value_embeds is not None:
            v = v + value_embeds.unflatten(-1, (-1, self.head_dim))
        q, k = (QK_SCALE * norm(rotate(x, cos, sin)) for x in (q, k))
        return self.attn_out(attention(q, k, v, bias=bias).flatten(2))


class GPT(nn.Module):
    """Weights are uninitialised until `init_weights` or `load_state_dict`.

    `activation_dtype` is what hidden states are computed in; None follows the weights.
    """

    def __init__(self, config: GPTConfig, activation_dtype: torch.dtype | None = None):
        super().__init__()
        self.config = config
        self.activation_dtype = activation_dtype
        self.wte = nn.Embedding(config.padded_vocab_size, config.n_embd)
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.n_layer))
        self.lm_head = Linear(config.n_embd, config.padded_vocab_size)
        kv_dim = config.n_kv_head * config.head_dim
        self.value_embeds = nn.ModuleDict({str(layer): nn.Embedding(config.padded_vocab_size, kv_dim)
                                           for layer in config.value_embed_layers})
        cos, sin = rope_tables(config.sequence_len, config.head_dim)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    @torch.no_grad()
    def init_weights(self, seed: int, *, tokens: Sequence[bytes] = (), letters: float = 0.0):
        """Same seed, same weights, on any device. Projections back into the residual stream start at zero, so
        a fresh block is the identity; the rest is uniform with standard deviation 1 / sqrt(fan_in).

        tokens: the bytes of the first ids, whose embeddings begin as `letters` times the code of their letters
        (letter_codes.py) beside noise of standard deviation 1.
        """
        generator = torch.Generator().manual_seed(seed)

        def uniform(weight, std):
            bound = 3 ** 0.5 * std
            weight.copy_(torch.empty(weight.shape).uniform_(-bound, bound, generator=generator))

        C = self.config.n_embd
        self.wte.weight.copy_(torch.empty(self.wte.weight.shape).normal_(0, 1.0, generator=generator))
        for block in self.blocks:
            for linear in (block.q, block.k, block.v, block.mlp_in):
                uniform(linear.weight, C ** -0.5)
            block.attn_out.weight.zero_()
            block.mlp_out.weight.zero_()
        uniform(self.lm_head.weight, 0.001)
        for embedding in self.value_embeds.values():
            embedding.weight.zero_()
        if letters:
            self.wte.weight[:len(tokens)] += letters * letter_codes(tokens, C, generator).to(self.wte.weight)

    def forward(self, idx, *, doc_ids=None):
        """Token ids (B, T) to normed hidden states (B, T, C).

        doc_ids (B, T) keeps documents apart. Decoding from a cache is `served.ServedGPT`'s, with the same weights.
        """
        T = idx.size(1)
        assert T <= self.config.sequence_len, f"{T} tokens in a row, the model takes {self.config.sequence_len}"
        dtype = self.activation_dtype or self.lm_head.weight.dtype
        cos, sin = (table[None, :T, None].to(dtype) for table in (self.cos, self.sin))
        x = norm(self.wte(idx).to(dtype))
        carried = CARRIED * later(x, 1, doc_ids) if self.config.spread else None
        bias = {window: attention_bias(x, window=window, doc_ids=doc_ids) for window in {b.window for b in self.blocks}}
        for block in self.blocks:
            value_embeds = self._value_embeds(block.layer, idx, doc_ids, dtype)
            x = block(x, cos, sin, None if value_embeds is None else carried, value_embeds, bias[block.window])
        return norm(x)

    def _value_embeds(self, layer: int, idx, doc_ids, dtype):
        """(B, T, H_kv * D) or None. With spread, the second half of the last layer's channels is the sum of those of the
        tokens before: what attention finds a token by then brings what stood there."""
        if str(layer) not in self.value_embeds:
            return None
        embeds = self.value_embeds[str(layer)](idx).to(dtype)
        if layer != self.config.spread_layer:
            return embeds
        own, passed_on = embeds.chunk(2, dim=-1)
        return torch.cat((own, sum(later(passed_on, by, doc_ids) for by in range(1, self.config.spread + 1))), dim=-1)

    def logits(self, hidden):
        """(N, C) -> (N, V) in fp32 (float64 for float64), softcapped, padding at -inf."""
        logits = self.lm_head(hidden)
        logits = softcap(logits if logits.dtype == torch.float64 else logits.float(), LOGIT_SOFTCAP)
        logits[:, self.config.vocab_size:] = -torch.inf
        return logits

    def loss_sum(self, idx, targets, *, doc_ids=None, rows=None, row_weights=None, logprobs_out=None):
        """Sum of weighted cross entropies in nats and the number of targets; the caller divides.

        idx and targets (B, T), target -1 ignored. rows: flat positions of the targets (and of some that have none and
        count nothing), so that the head runs only there; row_weights (B, T): a weight per target; logprobs_out (B, T),
        fp32, takes log p of every target.
        """
        hidden, targets = self(idx, doc_ids=doc_ids).flatten(0, 1), targets.flatten()
        row_weights = None if row_weights is None else row_weights.flatten()
        if rows is not None:
            hidden, targets = hidden[rows], targets[rows]
            row_weights = None if row_weights is None else row_weights[rows]
        logprobs = None if logprobs_out is None else logprobs_out.new_zeros(targets.shape)
        nats = sum_cross_entropy(hidden, self.lm_head.weight, targets, row_weights, cap=LOGIT_SOFTCAP,
                                 vocab_size=self.config.vocab_size, logprobs_out=logprobs)
        if logprobs_out is not None:
            logprobs_out.view(-1)[slice(None) if rows is None else rows] = logprobs
        return nats, (targets >= 0).sum()

    @torch.no_grad()
    def target_logprobs(self, idx, targets, *, doc_ids=None):
        """log p of every target: idx and targets (B, T) -> (B, T) fp32, 0 where the target is -1."""
        hidden = self(idx, doc_ids=doc_ids).flatten(0, 1)
        logprobs = target_logprobs(hidden, self.lm_head.weight, targets.flatten().clamp(min=0),
                                   cap=LOGIT_SOFTCAP, vocab_size=self.config.vocab_size).view(targets.shape)
        return logprobs.masked_fill(targets < 0, 0.0)

    def compile_blocks(self):
        """One compiled graph reused by layers of a kind. Embeddings stay outside: their compiled backward adds
        atomically on CPU, in an order that changes from run to run."""
        for block in self.blocks:
            block.compile(dynamic=False)


def count(config: GPTConfig) -> dict:
    """Parameters by group, training FLOPs per token and bytes a decode step reads, by arithmetic alone.

    FLOPs: 6 per matmul weight (forward 2, backward 4) and 12 * C per visible key and layer for attention
    (PaLM, arXiv:2204.02311, appendix B; counted without the causal half). Embedding rows are looked up, not
    multiplied, so they are in neither figure.
    """
    C, kv_dim = config.n_embd, config.n_kv_head * config.head_dim
    matrices = config.n_layer * (2 * C * C + 2 * C * kv_dim + 2 * MLP_RATIO * C * C)
    table = config.padded_vocab_size * C
    value_embeds = len(config.value_embed_layers) * config.padded_vocab_size * kv_dim
    keys = sum(min(config.sequence_len, config.layer_window(i)) if config.layer_window(i) >= 0
               else config.sequence_len for i in range(config.n_layer))
    return {
        "embedding": table, "matrices": matrices, "lm_head": table, "value_embeds": value_embeds,
        "total": 2 * table + matrices + value_embeds,
        "flops_per_token": 6 * (matrices + table) + 12 * C * keys,
        "decode_weight_bytes": 2 * (matrices + table),  # bf16
    }
