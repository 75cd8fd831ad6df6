"""Keys and values of the tokens already seen, one row per running request.

Rows in use are kept at the front, so a decode step works on a plain slice: when a request ends, the
last row moves into its place. Every row has its own length, as a tensor for the model and as a list for
the host, which therefore never asks the device how far a row has come. Left out: paging, prefix sharing.
"""

import torch


class KVCache:
    """k and v: (n_layer, num_rows, H_kv, max_len, D). `lengths` is the caller's to keep: tokens held per row."""

    def __init__(self, config, num_rows: int, max_len: int, *, device, dtype):
        head_dim = config.n_embd // config.n_head
        shape = (config.n_layer, num_rows, config.n_kv_head, max_len, head_dim)
        self.k, self.v = (torch.zeros(shape, device=device, dtype=dtype) for _ in range(2))
        self.max_len = max_len
        self.lengths = [0] * num_rows

    def view(self, start: int, stop: int, num_new: int) -> "CacheView":
        """Rows start..stop, about to be extended by num_new positions each."""
        return CacheView(self, start, stop, num_new)

    def copy(self, source: int, target: int, num_tokens: int):
        """Row `target` becomes the first num_tokens of row `source`."""
        for store in (self.k, self.v):
            store[:, target, :, :num_tokens] = store[:, source, :, :num_tokens]
        self.lengths[target] = num_tokens


class CacheView:
    """A slice of rows during one forward pass: what the model appends to and attends over.

    positions (B, T) are where the new tokens go. Short prompts in a batch are padded on the right: the
    padding lands beyond the row's own end, where no query of that row can see it, until real tokens
    overwrite it. The caller sets `cache.lengths` to the true lengths afterwards.
    """

    def __init__(self, cache: KVCache, start: int, stop: int, num_new: int):
        device, lengths = cache.k.device, cache.lengths[start:stop]
        self._num_keys = max(lengths) + num_new
        assert self._num_keys <= cache.max_len, f"{self._num_keys} tokens in a row of {cache.max_len}"
        starts = torch.tensor(lengths, device=device)
        self.positions = starts[:, None] + torch.arange(num_new, device=device)
        self.lengths = starts + num_new
        self._k, self._v = cache.k[:, start:stop], cache.v[:, start:stop]
        self._rows = torch.arange(stop - start, device=device)[:, None]

    def append(self, layer: int, k, v):
        """k and v (B, T, H_kv, D) of the new positions."""
        self._k[layer][self._rows, :, self.positions] = k.to(self._k.dtype)
        self._v[layer][self._rows, :, self.positions] = v.to(self._v.dtype)

    def keys_values(self, layer: int):
        """(B, H_kv, S, D) each, S the longest row of the slice."""
        return self._k[layer][:, :, :self._num_keys], self._v[layer][:, :, :self._num_keys]
