"""Cross entropy of a softcapped language-model head, a chunk of rows at a time.

The logits of a whole batch are the largest tensor of a small model: 4,096 rows x 32,768 ids in fp32 is
half a gigabyte, written and read several times. Blocks of rows go through the matmuls, chunks of a block, whose fp32
logits stay in the processor's cache, through the softmax. Because the loss is a plain weighted sum, its gradient is
known as soon as the logits are: forward takes both and keeps only the gradients of the hidden states and of the
weight. The loop has the structure of Liger's fused linear cross entropy (arXiv:2410.10989), in plain torch.
"""

import torch
import torch.nn.functional as F

CHUNK_BYTES = 2 << 20   # of fp32 logits; one core's L2 cache on the 2-core AMX machine
BLOCK_BYTES = 16 << 20  # the weight's gradient is added to once a block: 18% faster there than once a chunk


def softcap(logits, cap: float):
    """cap * tanh(logits / cap): keeps logits in (-cap, cap), Gemma 2 (arXiv:2408.00118)."""
    return softcap_(logits.clone(), cap)


def softcap_(logits, cap: float):
    """The same in place. On a CPU torch's tanh takes five times as long as its sigmoid: 2 sigmoid(2x) - 1 is tanh(x), here
    off by 2e-7 (dev/LOG.md)."""
    if logits.device.type != "cpu":
        return logits.div_(cap).tanh_().mul_(cap)
    return logits.mul_(2 / cap).sigmoid_().mul_(2 * cap).sub_(cap)


def sum_cross_entropy(hidden, weight, targets, row_weights=None, *, cap: float, vocab_size: int, logprobs_out=None):
    """Sum over rows of row_weight * -log p(target), as an fp32 scalar (float64 for float64 inputs).

    hidden (N, C); weight (V, C), of which only the first vocab_size rows are ids; targets (N,), -1 ignored;
    row_weights (N,) or None for ones; logprobs_out (N,) takes log p(target), 0 where ignored. Differentiable once, in
    hidden and weight.
    """
    counted = targets >= 0
    row_weights = counted.float() if row_weights is None else row_weights * counted
    nats = _SumCrossEntropy.apply(hidden, weight, targets.clamp(min=0), row_weights, cap, vocab_size, logprobs_out)
    if logprobs_out is not None:
        logprobs_out.masked_fill_(~counted, 0.0)
    return nats


@torch.no_grad()
def target_logprobs(hidden, weight, targets, *, cap: float, vocab_size: int):
    """log p(target) per row: hidden (N, C), targets (N,) -> (N,) fp32 (or float64)."""
    weight_rows = weight[:vocab_size].to(hidden.dtype)
    chunks = [_chunk_nll(F.linear(h, weight_rows).to(_accumulator(h.dtype)), t, cap)[0]
              for h, t in zip(*_split(CHUNK_BYTES, vocab_size, hidden, targets))]
    return -torch.cat(chunks) if chunks else hidden.new_zeros(0, dtype=torch.float32)


class _SumCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden, weight, targets, row_weights, cap, vocab_size, logprobs_out):
        wants_grad = any(ctx.needs_input_grad[:2])
        weight_rows = weight[:vocab_size].to(hidden.dtype)
        loss = torch.zeros((), device=hidden.device, dtype=_accumulator(hidden.dtype))
        grad_hidden = torch.empty_like(hidden) if wants_grad else None
        grad_weight = torch.zeros_like(weight) if wants_grad else None
        buffer = hidden.new_empty(_rows(BLOCK_BYTES, vocab_size), vocab_size)
        logprobs = []
        start = 0
        for h, t, w in zip(*_split(BLOCK_BYTES, vocab_size, hidden, targets, row_weights)):
            logits = torch.mm(h, weight_rows.T, out=buffer[:len(h)])
            for chunk, chunk_t, chunk_w in zip(*_split(CHUNK_BYTES, vocab_size, logits, t, w)):
                nll, grad_logits = _chunk_nll(chunk.to(loss.dtype), chunk_t, cap, chunk_w if wants_grad else None)
                loss += (nll * chunk_w).sum()
                logprobs.append(-nll)
                if wants_grad:
                    chunk.copy_(grad_logits)
            if wants_grad:  # the logits have become their gradients
                torch.mm(logits, weight_rows, out=grad_hidden[start:start + len(h)])
                grad_weight[:vocab_size] += logits.T @ h
            start += len(h)
        if logprobs_out is not None and logprobs:
            logprobs_out.copy_(torch.cat(logprobs))
        ctx.save_for_backward(grad_hidden, grad_weight)
        return loss

    @staticmethod
    def backward(ctx, grad_loss):
        grad_hidden, grad_weight = ctx.saved_tensors
        return grad_hidden * grad_loss.to(grad_hidden.dtype), grad_weight * grad_loss, None, None, None, None, None


def _rows(num_bytes, vocab_size):
    return max(32, num_bytes // (4 * vocab_size))


def _split(num_bytes, vocab_size, *tensors):
    return [x.split(_rows(num_bytes, vocab_size)) if len(x) else () for x in tensors]


def _accumulator(dtype):
    return torch.float64 if dtype == torch.float64 else torch.float32


def _chunk_nll(logits, targets, cap, row_weights=None):
    """-log p(target) per row and, with row_weights, d(their weighted sum)/d(logits). Overwrites `logits`.

    With s = sigmoid(2 logits / cap) the capped logits are 2 cap s - cap, of which a softmax does not see the constant,
    and their derivative is 4 s (1 - s): ten passes over the chunk instead of fourteen.
    """
    squashed = logits.mul_(2 / cap).sigmoid_()
    exps = (2 * cap * squashed).exp_()  # from 0 to 2 cap: no overflow for cap < 44, so no maximum is subtracted
    total = exps.sum(dim=1, keepdim=True)
    at_target = targets[:, None]
    nll = (total.log() - 2 * cap * squashed.gather(1, at_target)).squeeze(1)
    if row_weights is None:
        return nll, None
    scale = 4 * row_weights.to(total.dtype)[:, None]
    grad = exps.mul_(scale / total).scatter_add_(1, at_target, -scale)
    return nll, grad.mul_(squashed.addcmul_(squashed, squashed, value=-1))
