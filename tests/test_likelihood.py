"""Truth: ids put together by hand, and verdicts that follow from scores by arithmetic."""

import pytest
import torch
from rigged_engine import Rigged, byte_tokenizer
from test_gpt import tiny_gpt

from nanochat.engine import Engine, Score
from nanochat.likelihood import CHUNK, build_question, decide, fit, judge
from nanochat.task import Example
from nanochat.tokenizer import Tokenizer

TOK = byte_tokenizer()
CHOICE = Example(context="\n2+2 = ", choices=("4", " 5"), answer=0, meta={"preamble": "1+1 = 2"})
SCHEMA = Example(choices=("The cup ", "The box "), answer=1, meta={"continuation": "is big."})
LM = Example(context="The sky is ", answer="blue")
CHAT = Example({"messages": [{"role": "user", "content": "Pick.\nA) x\nB) y"}]}, choices=("A", "B"), answer=1)


def texts(kind, example, max_context=1000):
    question = build_question(TOK, kind, example, max_context)
    return [(TOK.decode(prefix), TOK.decode(continuation)) for prefix, continuation in question.pairs]


def test_each_kind_becomes_prefixes_and_continuations():
    assert texts("choice", CHOICE) == [("<|bos|>1+1 = 2\n2+2 =", " 4"), ("<|bos|>1+1 = 2\n2+2 =", " 5")]
    assert texts("schema", SCHEMA) == [("<|bos|>The cup", " is big."), ("<|bos|>The box", " is big.")]
    assert texts("lm", LM) == [("<|bos|>The sky is", " blue")]
    prompt = "<|bos|><|user_start|>Pick.\nA) x\nB) y<|user_end|><|assistant_start|>"
    assert texts("choice", CHAT) == [(prompt, "A"), (prompt, "B")]


def test_preamble_and_context_are_cut_into_tokens_apart():
    tok = Tokenizer.train(["x.\n\nx.\n\nx.\n\nx.\n\n"], vocab_size=275)
    example = Example(context=".\n\nq", answer="x", meta={"preamble": "x"})
    (prefix, _), = build_question(tok, "lm", example, 100).pairs
    assert prefix == [tok.bos_id, *tok.encode("x"), *tok.encode(".\n\nq")]


def test_the_likeliest_per_token_is_chosen_not_the_likeliest_in_all():
    short, long = Score([-1.0], False), Score([-0.9, -0.9, -0.9], False)
    verdict = decide("choice", CHOICE, [short, long], False)
    assert (verdict.score, verdict.text, verdict.logprobs) == (0.0, " 5", [-1.0, pytest.approx(-0.9)])
    assert decide("schema", SCHEMA, [short, long], True)[:2] == (1.0, "The box ")
    assert decide("choice", CHOICE, [long, short], False).score == 1.0


def test_a_continuation_is_right_when_every_token_is_the_likeliest():
    assert decide("lm", LM, [Score([-0.1, -0.2], True)], False)[:2] == (1.0, "blue")
    assert decide("lm", LM, [Score([-0.1, -0.2], False)], False)[:2] == (0.0, "")


@pytest.mark.parametrize("prefix, continuation, room, expected", [
    ([9, 1, 2, 3], [7, 8], 6, (([9, 1, 2, 3], [7, 8]), False)), ([9, 1, 2, 3], [7, 8], 5, (([9, 2, 3], [7, 8]), True)),
    ([9, 1, 2, 3], [7, 8], 3, (([9], [7, 8]), True)), ([9, 1], [5, 6, 7, 8], 4, (([9], [5, 6, 7]), True))])
def test_what_is_too_long_loses_the_beginning_but_keeps_bos(prefix, continuation, room, expected):
    assert fit(prefix, continuation, room) == expected


def test_examples_go_to_the_engine_by_the_chunk_and_come_back_in_order():
    examples = [Example(context=f"{i} ", choices=("a", "b"), answer=i % 2) for i in range(CHUNK + 10)]
    engine = Rigged(lambda prefix, continuation: 0 if continuation == " ab"[1 + int(prefix) % 2].rjust(2) else -1)
    verdicts = judge(engine, "choice", examples)
    assert [v.score for v in verdicts] == [1.0] * len(examples) and engine.score_calls == [2 * CHUNK, 20]


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_batched_is_one_at_a_time(dtype, tolerance):
    engine = Engine(tiny_gpt(vocab_size=TOK.vocab_size, sequence_len=64), TOK, dtype=dtype, device=torch.device("cpu"))
    examples = [Example(context="x" * (3 + 7 * i % 40), choices=("yes", "no", "perhaps so"), answer=0) for i in range(20)]
    together = judge(engine, "choice", examples)
    alone = [judge(engine, "choice", [example])[0] for example in examples]
    assert [v.text for v in together] == [v.text for v in alone]
    for a, b in zip(together, alone):
        assert a.logprobs == pytest.approx(b.logprobs, rel=tolerance, abs=tolerance)
