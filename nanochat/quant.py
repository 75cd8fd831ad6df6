"""int8 weights: a quarter of fp32's bytes to read for every token, activations as they were.

Each output channel has one scale, its largest weight over 127; a weight is a whole number of them from -127 to 127.
Only what a decode step reads whole is worth it: the matrices and the head, not the embeddings. What it costs in bits
per byte is in dev/LOG.md. Left out: groups within a channel, calibration, int8 activations.

N tokens, I inputs, O outputs.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F

from nanochat.common import round_up

MAX_ROWS = 16  # above them the kernel's time grows with the rows; weights in the activations' dtype are made instead


class Int8(NamedTuple):
    values: torch.Tensor  # (O, I) int8
    scale: torch.Tensor   # (O,) in the activations' dtype


def quantize(weight, dtype: torch.dtype) -> Int8:
    """weight (O, I). The scale is rounded to `dtype` first, so that values fit the scale that is used."""
    weight = weight.detach().float()
    scale = (weight.abs().amax(dim=1) / 127).to(dtype)
    steps = scale.float().masked_fill(scale == 0, 1)[:, None]  # a channel of zeros stays one
    return Int8((weight / steps).round().clamp(-127, 127).to(torch.int8), scale)


def dequantize(weight: Int8):
    """(O, I) in fp32."""
    return weight.values.float() * weight.scale.float()[:, None]


def multiply_int8(x, weight: Int8):
    """(N, I) -> (N, O)."""
    # The kernel takes 25 times as long in fp32 (torch 2.13, dev/LOG.md).
    if x.device.type == "cpu" and x.size(0) <= MAX_ROWS and x.dtype == torch.bfloat16:
        return torch.ops.aten._weight_int8pack_mm(x, *weight)
    return F.linear(pad_rows(x), weight.values.to(x.dtype))[:x.size(0)] * weight.scale


def pad_rows(x, least: int = 1):
    """(N, I), with zeros behind up to one of few sizes, of `least` or more; the caller cuts them off the product."""
    num_more = max(least, round_up(x.size(0))) - x.size(0)
    return F.pad(x, (0, 0, 0, num_more)) if num_more else x


@torch.no_grad()
def round_weights(model, dtype: torch.dtype):
    """The model that int8 with activations in `dtype` serves, in place and in fp32: what losses are measured with."""
    for linear in (module for module in model.modules() if isinstance(module, torch.nn.Linear)):
        linear.weight.copy_(dequantize(quantize(linear.weight, dtype)))
