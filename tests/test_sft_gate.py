"""The gate of SFT: rows of 64 to 4,096 tokens, 1 to 8 of them at a time, on 1 or 2 ranks. Every batch has targets, the
loss is finite, and loss and gradient of a step do not depend on how it was cut up. Upstream's SFT goes NaN below 2,048
tokens (#590).

Ranks are taken in turn here and their gradients summed, as all-reduce does; real ones are in test_stages.py.
"""

import math
from itertools import islice

import pytest
import torch
from rigged_engine import byte_tokenizer
from test_gpt import tiny_gpt

from nanochat.conversation import render
from nanochat.packing import Sequence, build_chat_loader, fit_sequences, rows_per_epoch

TOK = byte_tokenizer()  # a token per byte: lengths can be read off the texts
ROW_LENGTHS = (64, 128, 256, 512, 1024, 2048, 4096)
CUTS = ((1, 1), (2, 1), (4, 1), (8, 1), (1, 2), (2, 2), (4, 2))  # (rows at a time, ranks) of a step of 8 rows
ROWS = 8


def turns(*texts):
    return [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]


def every_kind() -> list[dict]:
    """Conversations of every kind and length, from an answer of one token to 80 turns of 300."""
    tool = [{"type": "text", "text": "So "}, {"type": "python", "text": "2*3"}, {"type": "python_output", "text": "6"},
            {"type": "text", "text": "6."}]
    kinds = [turns("A or B?", "B"), turns("2*3?", tool), turns("Hi", "Hello.", "More", "Less.", "and nobody answers"),
             [{"role": "system", "content": "Be brief."}, *turns("Who?", "I.")], turns("nobody answers at all"),
             turns("?", "long " * 150), turns("q" * 500, "A"), turns(*("well " * 60,) * 160)]
    return [{"messages": kinds[i % len(kinds)]} for i in range(64)] + [
        {"messages": turns("n" * i, "y" * (1 + 5 * i % 37))} for i in range(1, 100)]


def fitted(sequence_len):
    return fit_sequences((Sequence(*render(TOK, chat)) for chat in every_kind()), sequence_len,
                         TOK.special["<|assistant_end|>"])


def batches(sequences, sequence_len, per_pass, rank, world):
    return build_chat_loader(sequences, fingerprint="f", seed=3, sequence_len=sequence_len, rows_per_step=ROWS,
                             device_batch_size=per_pass, pad_id=TOK.bos_id, rank=rank, world=world,
                             device=torch.device("cpu"))


def step(model, sequences, sequence_len, per_pass, world):
    """(loss, gradients) of the first step: nats and gradients of all ranks, divided by all targets."""
    model.zero_grad()
    nats = num_targets = 0
    for rank in range(world):
        for batch, _ in islice(batches(sequences, sequence_len, per_pass, rank, world), ROWS // (per_pass * world)):
            total, count = model.loss_sum(**batch._asdict())
            total.backward()
            nats, num_targets = nats + total.item(), num_targets + count.item()
    return nats / num_targets, [p.grad / num_targets for p in model.parameters()]


def check_cuts_agree(sequence_len, cuts):
    sequences = fitted(sequence_len).sequences
    num_layers = 2 if sequence_len <= 512 else 1  # 271 s for 4,096 tokens and two heads on a busy core
    model = tiny_gpt(sequence_len=sequence_len, vocab_size=TOK.vocab_size, n_embd=16, n_head=1, n_kv_head=1,
                     n_layer=num_layers, layer_types=("full",) * num_layers, window=-1, value_embed_layers=(0,))
    loss, gradients = step(model, sequences, sequence_len, *cuts[0])
    assert math.isfinite(loss) and all(grad.isfinite().all() and grad.any() for grad in gradients)
    for per_pass, world in cuts[1:]:
        other_loss, other_gradients = step(model, sequences, sequence_len, per_pass, world)
        assert abs(other_loss - loss) < 1e-9
        torch.testing.assert_close(other_gradients, gradients, atol=1e-9, rtol=0)


@pytest.mark.parametrize("sequence_len", (64, 128, 256))
def test_loss_and_gradient_are_the_same_however_a_step_is_cut_up(sequence_len):
    check_cuts_agree(sequence_len, CUTS if sequence_len == 64 else ((8, 1), (1, 2)))


@pytest.mark.slow
@pytest.mark.parametrize("sequence_len", ROW_LENGTHS)
def test_loss_and_gradient_are_the_same_however_a_step_is_cut_up_at_any_length(sequence_len):
    check_cuts_agree(sequence_len, CUTS)


@pytest.mark.parametrize("sequence_len", ROW_LENGTHS)
def test_every_row_of_an_epoch_has_a_target(sequence_len):
    sequences = fitted(sequence_len).sequences
    num_steps = -(-rows_per_epoch(sequences, sequence_len, 3) // ROWS)
    for per_pass, world in ((1, 1), (8, 1), (4, 2)):
        for rank in range(world):
            num_batches = num_steps * ROWS // (per_pass * world)
            for batch, _ in islice(batches(sequences, sequence_len, per_pass, rank, world), num_batches):
                assert batch.idx.shape == (per_pass, sequence_len) and (batch.targets >= 0).any(dim=1).all()


def test_what_is_cut_and_what_is_dropped_by_hand():
    """8 of each of 8 kinds: the one without an answer never fits, the answer of 750 bytes needs 1,024, the question of
    500 needs 512, and the 160 messages of 300 are cut from a length that holds two of them (606) on."""
    found = {length: fitted(length)[1:] for length in (256, 512, 1024, 4096)}
    assert found == {256: (0, 32), 512: (0, 24), 1024: (8, 8), 4096: (8, 8)}
