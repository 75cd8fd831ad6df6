"""Truth: plain log-softmax over softcapped logits, in float64, through autograd."""

import pytest
import torch
import torch.nn.functional as F

from nanochat import cross_entropy
from nanochat.cross_entropy import softcap, softcap_, sum_cross_entropy, target_logprobs

CAP, VOCAB, ROWS, WIDTH = 5.0, 37, 100, 8


@pytest.fixture
def case(monkeypatch):
    monkeypatch.setattr(cross_entropy, "CHUNK_BYTES", 4 * VOCAB * 32)  # 100 rows: a block of two chunks, one of 32 + 4
    monkeypatch.setattr(cross_entropy, "BLOCK_BYTES", 4 * VOCAB * 64)
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(ROWS, WIDTH, dtype=torch.float64, generator=generator).requires_grad_()
    weight = torch.randn(64, WIDTH, dtype=torch.float64, generator=generator).requires_grad_()  # padded from 37
    targets = torch.randint(0, VOCAB, (ROWS,), generator=generator)
    targets[::7] = -1
    return hidden, weight, targets


def reference(hidden, weight, targets):
    logits = CAP * torch.tanh(hidden @ weight[:VOCAB].T / CAP)
    return F.cross_entropy(logits, targets, ignore_index=-1, reduction="none")


def test_sum_and_gradients_equal_the_plain_loss(case):
    hidden, weight, targets = case
    expected = reference(*case).sum()
    grads = torch.autograd.grad(expected, (hidden, weight))
    loss = sum_cross_entropy(hidden, weight, targets, cap=CAP, vocab_size=VOCAB)
    torch.testing.assert_close(loss, expected, atol=1e-10, rtol=0)
    torch.testing.assert_close(torch.autograd.grad(loss, (hidden, weight)), grads, atol=1e-10, rtol=0)


def test_row_weights_scale_each_row_and_its_gradient(case):
    hidden, weight, targets = case
    row_weights = torch.linspace(-1, 2, ROWS, dtype=torch.float64)
    expected = (reference(*case) * row_weights).sum()
    loss = 3 * sum_cross_entropy(hidden, weight, targets, row_weights, cap=CAP, vocab_size=VOCAB)
    torch.testing.assert_close(loss, 3 * expected, atol=1e-10, rtol=0)
    torch.testing.assert_close(torch.autograd.grad(loss, (hidden, weight)),
                               torch.autograd.grad(3 * expected, (hidden, weight)), atol=1e-10, rtol=0)


def test_padding_rows_of_the_table_get_no_gradient_and_no_probability(case):
    hidden, weight, targets = case
    loss = sum_cross_entropy(hidden, weight, targets, cap=CAP, vocab_size=VOCAB)
    assert torch.autograd.grad(loss, weight)[0][VOCAB:].abs().max() == 0
    every_id = torch.stack([target_logprobs(hidden, weight, torch.full((ROWS,), t), cap=CAP, vocab_size=VOCAB)
                            for t in range(VOCAB)])
    torch.testing.assert_close(every_id.exp().sum(0), torch.ones(ROWS, dtype=torch.float64))


def test_only_ignored_targets_give_zero_loss_and_zero_gradient(case):
    hidden, weight, _ = case
    loss = sum_cross_entropy(hidden, weight, torch.full((ROWS,), -1), cap=CAP, vocab_size=VOCAB)
    assert loss.item() == 0
    assert all(grad.abs().max() == 0 for grad in torch.autograd.grad(loss, (hidden, weight)))


def test_extreme_logits_stay_finite():
    hidden, weight = torch.full((2, 1), 1e4).requires_grad_(), torch.tensor([[1e4], [-1e4]]).requires_grad_()
    loss = sum_cross_entropy(hidden, weight, torch.tensor([0, 1]), cap=15.0, vocab_size=2)
    torch.testing.assert_close(loss.item(), 30.0)  # log(1 + e^-30) + 30
    assert all(grad.isfinite().all() for grad in torch.autograd.grad(loss, (hidden, weight)))


@pytest.mark.parametrize("dtype, bound", [(torch.float32, 4e-6), (torch.float64, 1e-14)])
def test_softcap_is_the_tanh_of_its_definition(dtype, bound):
    logits = torch.cat((torch.linspace(-200, 200, 4001), torch.tensor([1e-6, -1e-6, 0, 1e9, -1e9]))).to(dtype)
    truth = 15 * torch.tanh(logits.double() / 15)
    assert (softcap(logits, 15.0) - truth).abs().max() < bound
    kept = logits.clone()
    assert torch.equal(softcap_(logits, 15.0), softcap(kept, 15.0)) and logits[0] < -14  # in place
