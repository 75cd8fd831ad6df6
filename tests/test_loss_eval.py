"""Truth: nats and bytes counted by hand over one long forward pass."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from test_gpt import tiny_gpt

from nanochat.dataloader import MemoryDocuments
from nanochat.loss_eval import estimate_bpb, evaluate_bpb, first_tokens
from nanochat.tokenizer import Tokenizer

TOKEN_BYTES = np.array([0] + [1 + i % 5 for i in range(49)], dtype=np.int32)  # id 0 is bos


@pytest.mark.parametrize("rows", [1, 3, 8])
def test_bpb_counts_every_token_but_the_first_once_and_no_special(rows):
    """And its standard error is that of a ratio of sums over rows (Cochran 1977, section 6.4, without its n / (n - 1))."""
    model = tiny_gpt()
    docs = MemoryDocuments([[0, 5, 6, 7], [0, 8, 9], [0] + list(range(1, 40))])
    stream = torch.tensor(first_tokens(docs, 10 ** 6))
    bits, num_bytes = [], []
    for start in range(0, len(stream) - 1, 16):
        row = stream[start:start + 17]
        logprobs = model.logits(model(row[None, :-1])[0]).log_softmax(-1)
        targets = [(position, target) for position, target in enumerate(row[1:].tolist()) if TOKEN_BYTES[target]]
        bits.append(sum(-logprobs[at].item() for at in targets) / math.log(2))
        num_bytes.append(sum(TOKEN_BYTES[target] for _, target in targets))
    bpb = estimate_bpb(model, docs, TOKEN_BYTES, sequence_len=16, device_batch_size=rows, max_tokens=10 ** 6)
    ratio = sum(bits) / sum(num_bytes)
    stderr = sum((a - ratio * b) ** 2 for a, b in zip(bits, num_bytes)) ** 0.5 / sum(num_bytes)
    assert len(bits) == 3 and bpb == pytest.approx((ratio, stderr), abs=1e-9) and stderr > 0.01


def test_a_uniform_model_over_one_byte_tokens_costs_the_log_of_its_vocabulary():
    model = tiny_gpt()
    model.lm_head.weight.data.zero_()
    docs = MemoryDocuments([list(range(1, 50))])
    bpb = evaluate_bpb(model, docs, np.ones(50, np.int32), sequence_len=16, device_batch_size=2, max_tokens=1000)
    assert bpb == pytest.approx(math.log2(50))


def test_max_tokens_limits_what_is_read():
    docs = MemoryDocuments([[0, 1, 2], [0, 3, 4], [0, 5, 6]])
    assert first_tokens(docs, 4).tolist() == [0, 1, 2, 0]
    assert first_tokens(docs, 100).tolist() == [0, 1, 2, 0, 3, 4, 0, 5, 6]


def test_tokens_that_are_not_utf8_count_the_bytes_they_stand_for():
    """Two tokenizers that cut characters in two, one text: the bytes that are counted are the text's own (upstream
    #693 decoded each token, and half a character as U+FFFD had 3), and a uniform model's bpb follows from them."""
    text = "\u00e9\u00e8 \u4f60\u597d \U0001f600 na\u00efve \x00 " * 7
    for tok in (Tokenizer.train(["a"], 265), Tokenizer.train([text] * 9, 272)):
        ids = tok.encode(text)
        num_broken = sum("\ufffd" in tok.decode([i]) for i in ids)
        assert num_broken > 10 and tok.decode(ids) == text
        assert tok.token_bytes()[ids].sum() == len(text.encode())
        model = tiny_gpt(vocab_size=tok.vocab_size)
        model.lm_head.weight.data.zero_()
        bpb = evaluate_bpb(model, MemoryDocuments([[tok.bos_id, *ids]]), tok.token_bytes(), sequence_len=16,
                           device_batch_size=4, max_tokens=10 ** 6)
        assert bpb == pytest.approx(len(ids) * math.log2(tok.vocab_size) / len(text.encode()))


@pytest.mark.parametrize("vocab_size", [265, 300, 400])
def test_bpb_does_not_depend_on_the_vocabulary(vocab_size):
    """A code that spends 8 bits on every byte of a text has 8 bits per byte, however the bytes are gathered to tokens."""
    text = "the cat sat on the mat, \u4f60\u597d, and the dog sat on the log " * 20
    tok = Tokenizer.train([text], vocab_size)
    token_bytes = torch.from_numpy(tok.token_bytes()).double()

    def target_logprobs(x, y):
        return (-math.log(256) * token_bytes[y.clamp(min=0)]).masked_fill(y < 0, 0)
    model = SimpleNamespace(lm_head=SimpleNamespace(weight=torch.zeros(1)), target_logprobs=target_logprobs)
    docs = MemoryDocuments([[tok.bos_id, *tok.encode(text)]] * 2)
    bpb = evaluate_bpb(model, docs, tok.token_bytes(), sequence_len=16, device_batch_size=4, max_tokens=10 ** 6)
    assert bpb == pytest.approx(8, abs=1e-6)
