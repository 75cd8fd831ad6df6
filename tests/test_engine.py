import random
import threading
from collections import Counter
from types import SimpleNamespace

import pytest
import torch
from fake_engine import wait_until

from nanochat import engine as engine_module
from nanochat.calculator import CalculatorError
from nanochat.common import UserError
from nanochat.engine import Delta, Engine, SamplingParams
from nanochat.gpt import GPT, GPTConfig
from nanochat.kvcache import BLOCK, PagedCache, StepCache
from nanochat.served import ServedGPT
from nanochat.text_stream import merge_parts
from nanochat.tokenizer import Tokenizer

CONTEXT = 48
SHAPES = {"full": dict(layer_types=("full", "full"), n_kv_head=4), "sliding": dict(layer_types=("sliding", "full")),
          "gqa": dict(n_kv_head=2), "mqa, all sliding": dict(layer_types=("sliding", "sliding"), n_kv_head=1)}
GREEDY = SamplingParams(max_tokens=12, temperature=0)


@pytest.fixture(scope="module")
def tok():
    return Tokenizer.train(["the cat sat on the mat, the dog on the log: 12 + 34 = 46"] * 3, vocab_size=290)


def tiny_model(tok, *, seed=0, dtype=torch.float64, layer_types=("full", "sliding"), n_kv_head=2, n_embd=32) -> GPT:
    """Random in every weight: init_weights would leave attention and MLP without effect. No special is ever likely. The
    upper layer has value embeddings."""
    config = GPTConfig(sequence_len=CONTEXT, vocab_size=tok.vocab_size, n_layer=2, n_head=4, n_kv_head=n_kv_head,
                       n_embd=n_embd, layer_types=layer_types, window=5, value_embed_layers=(1,), spread=3)
    model = GPT(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.empty(p.shape).normal_(0, 0.3, generator=generator))
        model.lm_head.weight[min(tok.special.values()):] = 0
    return model.to(dtype)


def random_prompts(tok, lengths, seed=0):
    rng = random.Random(seed)
    return [[rng.randrange(min(tok.special.values())) for _ in range(length)] for length in lengths]


@torch.no_grad()
def naive_greedy(model, prompt, num_tokens):
    """Recomputes the whole row for every token."""
    ids = list(prompt)
    while len(ids) < min(len(prompt) + num_tokens, CONTEXT):
        ids.append(int(model.logits(model(torch.tensor([ids]))[:, -1]).argmax()))
    return ids[len(prompt):]


# -----------------------------------------------------------------------------
# The cache against the full forward, in float64

@torch.no_grad()
def test_bf16_weights_packed_or_not_are_as_close_to_fp32_as_the_models_own_bf16_is(tok):
    """On a CPU they are packed and small batches padded: one row, a few, and more than the padding."""
    model = tiny_model(tok, dtype=torch.float32, n_embd=64)
    engine = Engine(model, tok, dtype=torch.bfloat16)
    ids = random_prompts(tok, [40])[0]
    exact = model.logits(model(torch.tensor([ids]))[0]).log_softmax(-1)
    model.activation_dtype = torch.bfloat16
    twin = model.logits(model(torch.tensor([ids]))[0]).log_softmax(-1)
    bound = 3 * (twin - exact)[:, :280].abs().max().item()
    for prefix in (1, 20, 39):
        score, = engine.score([(ids[:prefix], ids[prefix:])])
        wanted = [exact[i - 1, ids[i]].item() for i in range(prefix, 40)]
        assert score.logprobs == pytest.approx(wanted, abs=bound)
    assert 0 < bound < 2


def test_an_engine_leaves_the_models_own_weights_alone(tok):
    model = tiny_model(tok, dtype=torch.float32)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    Engine(model, tok, dtype=torch.bfloat16).generate(random_prompts(tok, [5]), SamplingParams(max_tokens=3))
    assert all(p.dtype == torch.float32 and torch.equal(p, before[name]) for name, p in model.named_parameters())


@pytest.mark.parametrize("shape", SHAPES)
@torch.no_grad()
def test_requests_at_different_positions_in_scattered_blocks_equal_the_full_forward(tok, shape):
    model = tiny_model(tok, **SHAPES[shape])
    served = ServedGPT(model, torch.float64, torch.device("cpu"))
    cache = PagedCache(model.config, 12, device="cpu", dtype=torch.float64)
    rows, tables = random_prompts(tok, [30, 44, 9]), [[7, 2], [3, 9, 1], [5]]
    outputs, done = [[] for _ in rows], [0, 0, 0]
    for counts in ([3, 17, 1], [9, 9, 2], [1, 1, 1], [16, 16, 4], [1, 1, 1]):
        parts = sorted(zip(counts, range(3)))
        hidden = served.forward(torch.tensor([i for n, r in parts for i in rows[r][done[r]:done[r] + n]]),
                                StepCache(cache, [(tables[r], done[r], n) for n, r in parts]))
        for piece, (n, r) in zip(hidden.split([n for n, _ in parts]), parts):
            outputs[r].append(piece)
            done[r] += n
    for row, output, n in zip(rows, outputs, done):
        torch.testing.assert_close(torch.cat(output), model(torch.tensor([row[:n]]))[0], rtol=0, atol=1e-9)


# -----------------------------------------------------------------------------
# Requests

@pytest.mark.parametrize("shape", SHAPES)
def test_greedy_answers_equal_a_loop_that_recomputes_everything(tok, shape):
    """More prompts than rows, of unequal length and budget: rows join, leave and move. Prefill in many small chunks."""
    model = tiny_model(tok, **SHAPES[shape])
    prompts = random_prompts(tok, [5, 1, 30, 12, 2, 40, 7, 19, 3])
    budgets = [4, 9, 1, 12, 7, 20, 3, 6, 12]
    params = [SamplingParams(max_tokens=budget, temperature=0) for budget in budgets]
    engine = Engine(model, tok, max_rows=3, step_tokens=11, num_blocks=5)  # a context and a half
    answers = engine.generate(prompts, params)
    assert engine.pool.num_available == 5
    assert [group[0].ids for group in answers] == [naive_greedy(model, p, b) for p, b in zip(prompts, budgets)]
    assert all(group[0].finish_reason == "length" and not any(group[0].forced) for group in answers)


def test_random_mixes_of_arrivals_aborts_and_samples_leave_greedy_answers_alone(tok):
    model = tiny_model(tok)
    for seed in range(10):
        rng = random.Random(seed)
        engine = Engine(model, tok, max_rows=rng.randrange(1, 5))
        prompts = random_prompts(tok, [rng.randrange(1, 40) for _ in range(8)], seed)
        heard = [[] for _ in prompts]
        aborted = set()
        for i, prompt in enumerate(prompts):
            params = SamplingParams(max_tokens=rng.randrange(1, 10), temperature=i % 2)
            request = engine.submit(prompt, params, heard[i].append)
            for _ in range(rng.randrange(3)):
                engine.step()
            if rng.random() < 0.3:
                engine.abort(request)
                aborted.add(i)
        others = engine.generate(prompts[:2], SamplingParams(max_tokens=3, temperature=0, n=2))
        while not all(deltas and deltas[-1].finish_reason for deltas in heard):
            engine.step()
        assert [[c.ids for c in group] for group in others] == [[naive_greedy(model, p, 3)] * 2 for p in prompts[:2]]
        for i, (prompt, deltas) in enumerate(zip(prompts, heard)):
            assert [d.finish_reason for d in deltas].count(None) == len(deltas) - 1
            if i % 2 == 0:
                assert deltas[-1].finish_reason == "length" or i in aborted
                ids = naive_greedy(model, prompt, deltas[-1].num_tokens)
                assert said(deltas) == tok.decode_bytes(ids).decode("utf-8", "replace")


def said(deltas):
    return "".join(part["text"] for delta in deltas for part in delta.parts)


def test_samples_of_a_prompt_differ_from_their_first_token_on(tok):
    """Upstream 8f979a8: the first token was sampled once and shared by all samples."""
    engine = Engine(tiny_model(tok, dtype=torch.float32), tok)
    samples, = engine.generate(random_prompts(tok, [6]), SamplingParams(max_tokens=8, temperature=2.0, n=16, seed=0))
    assert len({c.ids[0] for c in samples}) > 4
    assert len({tuple(c.ids) for c in samples}) == 16


def test_a_seed_gives_the_same_samples_in_any_company_and_none_gives_others(tok):
    model = tiny_model(tok)
    prompts = random_prompts(tok, [6, 11, 3])
    seeded = [SamplingParams(max_tokens=8, seed=seed, n=2, top_k=top_k) for seed, top_k in ((0, 0), (5, 40), (0, 0))]

    def ids(max_rows, order):
        engine = Engine(model, tok, max_rows=max_rows)
        answers = engine.generate([prompts[i] for i in order], [seeded[i] for i in order])
        return {i: [c.ids for c in group] for i, group in zip(order, answers)}

    together = ids(8, [0, 1, 2])
    assert together == ids(1, [2, 1, 0]) == {i: ids(2, [i])[i] for i in range(3)}
    fresh = [Engine(model, tok).generate(prompts[:1], SamplingParams(max_tokens=8))[0][0].ids for _ in range(3)]
    assert len({tuple(x) for x in fresh}) == 3


def test_noise_differs_from_position_to_position(tok):
    model = tiny_model(tok)
    model.lm_head.weight.data.zero_()  # all ids are equally likely; top-k keeps the first 200, no special among them
    answer = Engine(model, tok).generate([[1]], SamplingParams(max_tokens=20, top_k=200, seed=0))[0][0]
    assert len(set(answer.ids)) > 10


def test_samples_of_a_prompt_share_its_prefill(tok, monkeypatch):
    engine = Engine(tiny_model(tok), tok, max_rows=4)
    shapes = record_forward_shapes(engine, monkeypatch)
    answers = engine.generate(random_prompts(tok, [20]), SamplingParams(max_tokens=3, temperature=0, n=4))
    assert shapes == [20, 1 + 3, 4, 3]  # the others come a step later: the last id again, and a copied block
    assert all(c.ids == answers[0][0].ids for c in answers[0])


def test_the_next_turn_of_a_chat_computes_only_what_is_new(tok, monkeypatch):
    """However its history falls into blocks: the last id of an answer was never fed, so it is one more."""
    model = tiny_model(tok)
    for length in (3, 16, 20, 27, 28):
        engine, (prompt, question) = Engine(model, tok), random_prompts(tok, [length, 5], length)
        shapes = record_forward_shapes(engine, monkeypatch)
        params = SamplingParams(max_tokens=4, temperature=0)
        for _ in range(2):
            prompt = prompt + engine.generate([prompt], params)[0][0].ids + question
        assert shapes == [length, 1, 1, 1, 1 + 5, 1, 1, 1]
        assert engine.generate([prompt], params)[0][0].ids == naive_greedy(model, prompt, 4)
        check_blocks(engine)


def test_finished_rows_do_not_decode_on(tok, monkeypatch):
    engine = Engine(tiny_model(tok), tok)
    shapes = record_forward_shapes(engine, monkeypatch)
    params = [SamplingParams(max_tokens=m, temperature=0) for m in (1, 4, 2)]
    engine.generate(random_prompts(tok, [1, 1, 1]), params)
    assert shapes == [3, 2, 1, 1]


def record_forward_shapes(engine, monkeypatch):
    shapes, forward = [], engine.model.forward
    recorder = lambda ids, cache: shapes.append(len(ids)) or forward(ids, cache)
    monkeypatch.setattr(engine.model, "forward", recorder)
    return shapes


def test_a_prompt_of_one_token_is_answered(tok):
    """Upstream #794."""
    model = tiny_model(tok)
    answer = Engine(model, tok).generate([[tok.bos_id]], GREEDY)[0][0]
    assert answer.ids == naive_greedy(model, [tok.bos_id], 12) and answer.error is None


def test_the_context_ends_an_answer(tok):
    model = tiny_model(tok)
    prompts = random_prompts(tok, [CONTEXT - 1, CONTEXT - 5])
    answers = Engine(model, tok).generate(prompts, SamplingParams(max_tokens=999, temperature=0))
    assert [len(group[0].ids) for group in answers] == [1, 5]
    assert all(group[0].finish_reason == "length" for group in answers)
    short = Engine(model, tok, max_context=20).generate(prompts[:1] + [prompts[0][:15]], SamplingParams(temperature=0))
    assert "at most 19" in short[0][0].error and len(short[1][0].ids) == 5


def test_logprobs_are_those_of_the_full_forward_whatever_the_temperature(tok):
    model = tiny_model(tok)
    prompts = random_prompts(tok, [4, 9])
    params = [SamplingParams(max_tokens=7, temperature=1.7, top_k=30, seed=3, logprobs=k, n=2) for k in (1, 4)]
    for prompt, group in zip(prompts, Engine(model, tok).generate(prompts, params), strict=True):
        for c in group:
            expected = model.logits(model(torch.tensor([prompt + c.ids]))[0])[len(prompt) - 1:-1].log_softmax(-1)
            assert c.logprobs == pytest.approx([row[id].item() for row, id in zip(expected, c.ids)], abs=1e-9)
            top, top_ids = expected.topk(1 if prompt is prompts[0] else 4)
            assert [[id for id, _ in row] for row in c.top_logprobs] == top_ids.tolist()
            assert [[p for _, p in row] for row in c.top_logprobs] == [pytest.approx(row) for row in top.tolist()]
    silent = Engine(model, tok).generate(prompts, GREEDY)[0][0]
    assert silent.logprobs is None and silent.top_logprobs is None


def test_streamed_logprobs_are_those_of_the_ids_whose_text_is_out(tok):
    """A stop string is never emitted, as text or otherwise; a character of several tokens brings all of theirs."""
    ids = [*b"a", *"é".encode(), *b"one two three"]
    params = SamplingParams(temperature=0, stop=("wo thr",), logprobs=2)
    deltas = list(scripted_engine(tok, ids).stream([tok.bos_id], params))
    assert said(deltas) == "aéone t" == bytes(t.id for d in deltas for t in d.logprobs).decode()
    assert all(len(t.top) == 2 and t.top[0] == (t.id, t.logprob) for d in deltas for t in d.logprobs)
    says, whole, _ = tool_script(tok, "6*7", "42", "It is ", ", yes")
    deltas = list(scripted_engine(tok, says).stream([tok.bos_id], SamplingParams(temperature=0, logprobs=1)))
    assert tok.decode_bytes([t.id for d in deltas for t in d.logprobs]) == b"It is , yes"
    assert not any(d.logprobs for d in scripted_engine(tok, ids).stream([tok.bos_id], GREEDY))


def test_score_equals_the_full_forward(tok, monkeypatch):
    monkeypatch.setattr(engine_module, "SCORE_ROWS", 5)
    model = tiny_model(tok)
    engine = Engine(model, tok, step_tokens=13)
    pairs = [tuple(random_prompts(tok, lengths, seed)) for seed, lengths in
             enumerate([(3, 4), (20, 28), (1, 1), (9, 2), (2, 9)])]
    greedy = naive_greedy(model, pairs[0][0], 4)
    pairs += [(pairs[0][0], greedy), (pairs[0][0], greedy[:3] + [greedy[3] + 1])]
    scores = engine.score(pairs)
    for (prefix, continuation), score in zip(pairs, scores):
        logits = model.logits(model(torch.tensor([prefix + continuation]))[0])[len(prefix) - 1:-1]
        expected = logits.log_softmax(-1)[range(len(continuation)), continuation]
        assert score.logprobs == pytest.approx(expected.tolist(), abs=1e-9)
    assert [score.is_greedy for score in scores[-2:]] == [True, False]
    for bad in [([], [1]), ([1], []), ([1] * 40, [1] * 9)]:
        with pytest.raises(UserError, match="score"):
            engine.score([bad])


@pytest.mark.parametrize("field, value", [
    ("max_tokens", 0), ("max_tokens", 1.5), ("temperature", -0.1), ("temperature", float("nan")),
    ("temperature", 10 ** 400), ("temperature", "hot"), ("top_k", -1), ("top_k", True), ("top_p", 0),
    ("top_p", 1.01), ("n", 0), ("logprobs", -1), ("logprobs", 21), ("logprobs", True),
    ("seed", 0.5), ("stop", ("",)), ("stop", (3,))])
def test_settings_out_of_range_are_refused_by_name(field, value):
    with pytest.raises(UserError, match=f"^{field} "):
        SamplingParams(**{field: value})


def test_a_single_stop_string_may_be_given_bare():
    assert SamplingParams(stop="END").stop == ("END",) == SamplingParams(stop=["END"]).stop


# -----------------------------------------------------------------------------
# Weights

@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_after_load_weights_rollouts_equal_a_fresh_engine(tok, dtype):
    model, other = tiny_model(tok, dtype=torch.float32), tiny_model(tok, dtype=torch.float32, seed=1)
    prompts, params = random_prompts(tok, [5, 9, 2]), SamplingParams(max_tokens=9, seed=4, n=3, logprobs=2)
    engine = Engine(model, tok, max_rows=4, dtype=dtype)
    before = engine.generate(prompts, params)
    with torch.no_grad():
        for mine, new in zip(model.parameters(), other.parameters()):
            mine.copy_(new)
    engine.load_weights(model)
    after = engine.generate(prompts, params)
    assert after == Engine(other, tok, max_rows=4, dtype=dtype).generate(prompts, params) != before


def test_load_weights_refuses_while_something_runs_but_not_after_a_closed_stream(tok):
    model = tiny_model(tok)
    engine = Engine(model, tok)
    stream = engine.stream(random_prompts(tok, [3])[0], GREEDY)
    next(stream)
    with pytest.raises(AssertionError, match="running"):
        engine.load_weights(model)
    stream.close()
    engine.load_weights(model)


# -----------------------------------------------------------------------------
# Scripted models: what the host does with ids

class Scripted:
    """Says ids[i] at position i of the row, whatever it is fed; remembers what that was."""

    def __init__(self, tok, ids):
        self.config = script_config(tok)
        self.script, self.fed = ids, []

    def forward(self, ids, cache):
        self.fed += ids.tolist()
        return cache.positions[:, None].float()

    def logits(self, hidden):
        says = torch.tensor([self.script[int(p)] if p < len(self.script) else 0 for p in hidden[:, 0]])
        return torch.full((len(says), self.config.padded_vocab_size), -5.0).scatter(1, says[:, None], 5.0)


def script_config(tok):
    return GPTConfig(sequence_len=400, vocab_size=tok.vocab_size, n_layer=1, n_head=1, n_kv_head=1, n_embd=2,
                     layer_types=("full",), window=-1)


def scripted_engine(tok, ids, **kw):
    model = GPT(script_config(tok))
    model.init_weights(0)
    engine = Engine(model, tok, **kw)
    engine.model = Scripted(tok, ids)
    return engine


def tool_script(tok, expression, result, before="", after=""):
    """(what the model says, also where nobody listens; what the answer's ids must be; which of them are forced)."""
    s, e = tok.special, tok.encode
    call = e(before) + [s["<|python_start|>"], *e(expression), s["<|python_end|>"]]
    output = [s["<|output_start|>"], *e(result), s["<|output_end|>"]]
    end = e(after) + [s["<|assistant_end|>"]]
    forced = [False] * len(call) + [True] * len(output) + [False] * len(end)
    return call + [1] * len(output) + end, call + output + end, forced


@pytest.mark.parametrize("expression, result", [
    ("12*34", "408"), ('"banana".count("a")', "3"), ("1/0", "division by zero"), ("import os", "not an expression"),
    ("", "not an expression"), ("9" * 300, "expression too long")])
def test_a_tool_call_is_answered_with_ids_spliced_in(tok, expression, result):
    says, ids, forced = tool_script(tok, expression, result, "It is ", ", I think.")
    engine = scripted_engine(tok, says)
    answer = engine.generate([[tok.bos_id]], SamplingParams(max_tokens=999, temperature=0, logprobs=1))[0][0]
    assert (answer.ids, answer.forced, answer.finish_reason) == (ids, forced, "stop")
    assert engine.model.fed == [tok.bos_id] + ids[:-1]
    assert [part["text"] for part in answer.parts if part["type"] == "python_output"] == [result]
    assert answer.text == "It is , I think."
    assert all((logprob == 0) == is_forced for logprob, is_forced in zip(answer.logprobs, forced))


def test_the_calculator_answers_in_the_engines_thread(tok):
    """Upstream #145: SIGALRM needs the main thread, so the tool silently returned nothing in a server."""
    says, ids, _ = tool_script(tok, "999*999", "998001")
    engine = scripted_engine(tok, says)
    engine.start()
    try:
        deltas = list(engine.stream([tok.bos_id], SamplingParams(temperature=0)))
    finally:
        engine.close()
    assert "".join(p["text"] for d in deltas for p in d.parts if p["type"] == "python_output") == "998001"
    assert deltas[-1].num_tokens == len(ids) and deltas[-1].finish_reason == "stop"


def test_a_model_cannot_write_its_own_tool_output(tok):
    s = tok.special
    for name in s.keys() - {"<|python_start|>", "<|python_end|>"}:
        answer = scripted_engine(tok, [*b"ab", s[name], *b"408"]).generate([[tok.bos_id]], GREEDY)[0][0]
        assert (answer.text, answer.finish_reason, answer.ids[-1]) == ("ab", "stop", s[name])
        assert answer.parts == [{"type": "text", "text": "ab"}]


def test_a_python_end_without_a_start_calls_nothing(tok):
    s = tok.special
    ids = [*b"1+1", s["<|python_end|>"], *b"b", s["<|assistant_end|>"]]
    answer = scripted_engine(tok, ids).generate([[tok.bos_id]], GREEDY)[0][0]
    assert answer.ids == ids and answer.text == "1+1b"


def test_an_answer_may_call_twice_and_a_stray_end_calls_nothing(tok):
    s = tok.special
    first, second = tool_script(tok, "1+1", "2", after="and"), tool_script(tok, "3*3", "9")
    says = first[0][:-1] + second[0][:-1] + [s["<|python_end|>"], *b"!", s["<|assistant_end|>"]]
    answer = scripted_engine(tok, says).generate([[tok.bos_id]], SamplingParams(temperature=0))[0][0]
    assert [part["text"] for part in answer.parts] == ["1+1", "2", "and", "3*3", "9", "!"]
    assert answer.ids[-3:] == says[-3:]


def test_a_call_that_begins_twice_is_one_call(tok):
    s = tok.special
    call = [s["<|python_start|>"], *b"2", s["<|python_start|>"], *b"+3", s["<|python_end|>"]]
    says = call + [1, 1, 1] + [s["<|assistant_end|>"]]
    answer = scripted_engine(tok, says).generate([[tok.bos_id]], GREEDY)[0][0]
    assert answer.parts == [{"type": "python", "text": "2+3"}, {"type": "python_output", "text": "5"}]


def test_extreme_settings_of_one_request_do_not_touch_another(tok):
    model = tiny_model(tok, dtype=torch.float32)
    prompts = random_prompts(tok, [4] * 5)
    extremes = [SamplingParams(max_tokens=5, **kw) for kw in
                (dict(top_k=10 ** 30), dict(top_p=1e-300), dict(temperature=1e-300), dict(seed=-10 ** 40))]
    answers = Engine(model, tok).generate(prompts, [SamplingParams(max_tokens=5, temperature=0), *extremes])
    assert answers[0][0].ids == naive_greedy(model, prompts[0], 5)
    assert [answers[i][0].ids for i in (2, 3)] == [naive_greedy(model, prompts[i], 5) for i in (2, 3)]
    assert all(group[0].error is None for group in answers)


def test_max_tokens_may_cut_a_tool_output(tok):
    says, ids, forced = tool_script(tok, "12*34", "408")
    cut = forced.index(True) + 2
    answer = scripted_engine(tok, says).generate([[tok.bos_id]], SamplingParams(max_tokens=cut, temperature=0))[0][0]
    assert (answer.ids, answer.forced, answer.finish_reason) == (ids[:cut], forced[:cut], "length")


def test_random_unicode_streams_to_the_text_that_decoding_at_once_gives(tok):
    rng = random.Random(0)
    for _ in range(20):
        ranges = rng.choices([(32, 127), (0x400, 0x500), (0x1F300, 0x1F600)], k=25)
        text = "".join(chr(rng.randrange(*r)) for r in ranges)
        ids = tok.encode(text) + [tok.special["<|assistant_end|>"]]
        deltas = list(scripted_engine(tok, ids).stream([tok.bos_id], SamplingParams(temperature=0)))
        assert said(deltas) == text and "\ufffd" not in text
        assert [d.finish_reason for d in deltas] == [None] * (len(deltas) - 1) + ["stop"]
        assert scripted_engine(tok, ids).generate([[tok.bos_id]], SamplingParams(temperature=0))[0][0].text == text


def test_text_made_at_the_end_is_that_of_the_stream(tok):
    """Of ids as they come from nowhere: broken characters, tool calls cut short, and every way to end."""
    rng = random.Random(0)
    tools = [tok.special[f"<|{name}|>"] for name in ("python_start", "python_end")]
    for _ in range(30):
        ids = [rng.choice([*"€😀".encode(), 0xFF, *b"1+2 ", *tools]) for _ in range(40)]
        ids.append(tok.special["<|assistant_end|>"])
        params = SamplingParams(temperature=0, max_tokens=rng.choice([10, 30, 100]))
        answer = scripted_engine(tok, ids).generate([[tok.bos_id]], params)[0][0]
        deltas = list(scripted_engine(tok, ids).stream([tok.bos_id], params))
        parts = []
        for delta in deltas:
            merge_parts(parts, delta.parts)
        assert (answer.parts, len(answer.ids)) == (parts, deltas[-1].num_tokens)
        assert (answer.finish_reason, answer.error) == (deltas[-1].finish_reason, deltas[-1].error)


def test_a_stop_string_over_token_boundaries_ends_the_answer_unseen(tok):
    ids = list(b"one two three")
    params = SamplingParams(temperature=0, stop=("wo t", "never"))
    answer = scripted_engine(tok, ids).generate([[tok.bos_id]], params)[0][0]
    assert (answer.text, answer.finish_reason, answer.ids) == ("one t", "stop", list(b"one two t"))
    deltas = list(scripted_engine(tok, ids).stream([tok.bos_id], params))
    assert said(deltas) == "one t" and deltas[-1] == Delta([], 9, "stop", None)


# -----------------------------------------------------------------------------
# Failures stay where they happen

def test_a_prompt_that_cannot_run_fails_alone(tok):
    model = tiny_model(tok)
    good = random_prompts(tok, [4, 6])
    bad = [[], [1] * CONTEXT, [tok.vocab_size], [-1], [1.5]]
    answers = Engine(model, tok).generate([good[0], *bad, good[1]], SamplingParams(max_tokens=5, temperature=0, n=2))
    for group in answers[1:-1]:
        assert [(c.ids, c.finish_reason) for c in group] == [([], "error")] * 2 and group[0].error
    assert [answers[0][1].ids, answers[-1][0].ids] == [naive_greedy(model, p, 5) for p in good]
    for prompt in bad:
        for ask in (Engine(model, tok).stream, lambda p, params: Engine(model, tok).submit(p, params, print)):
            with pytest.raises(UserError, match="prompt"):
                ask(prompt, GREEDY)
    with pytest.raises(UserError, match="n 2"):
        Engine(model, tok).stream(good[0], SamplingParams(n=2))


def test_a_listener_that_raises_fails_alone_and_the_thread_lives_on(tok):
    model = tiny_model(tok)
    engine = Engine(model, tok)
    prompts = random_prompts(tok, [4, 6])
    calls = []

    def raises(delta):
        calls.append(delta)
        raise RuntimeError("the client is gone")

    engine.start()
    try:
        engine.submit(prompts[0], GREEDY, raises)
        assert said(engine.stream(prompts[1], GREEDY)) == decoded(tok, naive_greedy(model, prompts[1], 12))
        assert engine.is_alive()
    finally:
        engine.close()
    assert len(calls) == 2 and calls[-1].finish_reason == "error" and "client is gone" in calls[-1].error


def decoded(tok, ids):
    return tok.decode_bytes(ids).decode("utf-8", "replace")


def test_an_id_the_tokenizer_cannot_take_fails_alone(tok):
    class Trouble:
        vocab_size, special, encode = tok.vocab_size, tok.special, tok.encode

        def bytes_of(self, id):
            if id == 65:
                raise ValueError("no bytes for 65")
            return tok.bytes_of(id)

    engine = scripted_engine(Trouble(), list(b"xyzAbc"))
    long, short = engine.generate([[tok.bos_id]] * 2, [GREEDY, SamplingParams(max_tokens=3, temperature=0)])
    assert long[0].finish_reason == "error" and "no bytes for 65" in long[0].error
    assert (short[0].finish_reason, short[0].text) == ("length", "xyz")
    deltas = list(engine.stream([tok.bos_id], GREEDY))  # read as it comes, it fails where the trouble is
    assert (deltas[-1].finish_reason, deltas[-1].num_tokens, said(deltas)) == ("error", 4, "xyz")


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), KeyboardInterrupt()])
def test_a_model_that_raises_ends_what_was_running_and_the_engine_serves_on(tok, error, monkeypatch):
    model = tiny_model(tok)
    engine = Engine(model, tok, max_rows=2)
    prompts = random_prompts(tok, [4, 6, 5])

    def fails(ids, cache):
        monkeypatch.undo()
        raise error

    monkeypatch.setattr(engine.model, "forward", fails)
    if isinstance(error, KeyboardInterrupt):
        with pytest.raises(KeyboardInterrupt):
            engine.generate(prompts, GREEDY)
    else:
        answers = engine.generate(prompts, GREEDY)
        assert [group[0].finish_reason for group in answers] == ["error", "error", "length"]
        assert "out of memory" in answers[0][0].error
    assert engine.generate(prompts, GREEDY)[1][0].ids == naive_greedy(model, prompts[1], 12)


def test_a_request_whose_sampling_fails_fails_alone(tok, monkeypatch):
    """An adversary with settings that no check foresaw: what is computed for all rows together fails for all."""
    model = tiny_model(tok)
    bad = SamplingParams(max_tokens=12, temperature=0.5)
    object.__setattr__(bad, "top_k", "many")
    prompts = random_prompts(tok, [4, 6, 5, 40])
    engine = Engine(model, tok)
    answers = engine.generate(prompts, [GREEDY, bad, GREEDY, SamplingParams(max_tokens=2, temperature=0)])
    assert [group[0].finish_reason for group in answers] == ["length", "error", "length", "length"]
    assert "TypeError" in answers[1][0].error and not answers[1][0].ids
    assert [answers[i][0].ids for i in (0, 2)] == [naive_greedy(model, prompts[i], 12) for i in (0, 2)]
    check_blocks(engine)


def test_a_score_that_fails_fails_alone(tok, monkeypatch):
    model = tiny_model(tok)
    engine, (prompt,) = Engine(model, tok), random_prompts(tok, [4])
    for stray in (tok.vocab_size, -1, 1.5):
        with pytest.raises(UserError, match="score: .* id from 0"):
            engine.score([(prompt, prompt), (prompt, [stray])])
    monkeypatch.setattr(engine, "_score_rows", lambda *_: 1 / 0)
    stream = engine.stream(prompt, GREEDY)
    first = next(stream)
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        engine.score([(prompt, prompt)])
    assert said([first, *stream]) == decoded(tok, naive_greedy(model, prompt, 12))


def test_a_tool_that_raises_fails_alone_and_one_that_hangs_keeps_nobody_waiting(tok, monkeypatch):
    """Four calls hang, more than there were threads for tools; another answers, others raise, one even leaves."""
    release, hanging = threading.Event(), threading.Semaphore(0)

    def tool(code):
        if code == "hang":
            hanging.release()
            release.wait(60)
        if code == "leave":
            raise SystemExit(3)
        if code == "raise":
            raise RuntimeError("broken")
        return "408"

    s = tok.special
    engine = scripted_engine(tok, [], tool=tool)
    scripts = {code: [s["<|python_start|>"], *code.encode(), s["<|python_end|>"], *[1] * 5, *b"ok", s["<|assistant_end|>"]]
               for code in ("hang", "leave", "raise", "1234")}
    heard, requests = {}, []
    engine.start()
    try:
        for number, code in enumerate(["hang"] * 4 + ["raise", "leave", "1234"]):
            engine.model.script = scripts[code]
            heard[number] = []
            done = threading.Event()

            def listen(delta, heard=heard[number], done=done):
                heard.append(delta)
                if delta.finish_reason:
                    done.set()

            requests.append(engine.submit([tok.bos_id], SamplingParams(max_tokens=60, temperature=0), listen))
            assert hanging.acquire(timeout=30) if code == "hang" else done.wait(30)
        assert [heard[n][-1].finish_reason for n in (4, 5, 6)] == ["error", "error", "stop"]
        assert "broken" in heard[4][-1].error and "SystemExit" in heard[5][-1].error and said(heard[6]) == "1234408ok"
        engine.abort(min(requests))
        monkeypatch.setattr(engine_module, "TOOL_SEC", 0.0)
        wait_until(lambda: all(heard[n] and heard[n][-1].finish_reason for n in range(7)))
    finally:
        release.set()
        engine.close()
    assert [heard[n][-1].finish_reason for n in range(4)] == ["abort", "error", "error", "error"]
    assert "did not answer" in heard[1][-1].error
    check_blocks(engine)
    assert engine.pool.num_available == engine.pool.num_blocks


# -----------------------------------------------------------------------------
# Threads

def test_abort_ends_one_answer_and_leaves_the_other(tok):
    engine = scripted_engine(tok, list(b"abcdefghij") * 10)
    heard = {"aborted": [], "other": []}

    def listen(delta):
        heard["aborted"].append(delta)
        if delta.num_tokens == 3:
            engine.abort(request)

    request = engine.submit([tok.bos_id], SamplingParams(max_tokens=50, temperature=0), listen)
    engine.submit([tok.bos_id], SamplingParams(max_tokens=20, temperature=0), heard["other"].append)
    while not heard["other"] or heard["other"][-1].finish_reason is None:
        engine.step()
    assert said(heard["aborted"]) == "abc" and heard["aborted"][-1] == Delta([], 3, "abort", None)
    assert said(heard["other"]) == "abcdefghij" * 2 and heard["other"][-1].finish_reason == "length"


def test_a_waiting_request_can_be_aborted(tok):
    engine = scripted_engine(tok, list(b"abcd") * 10, max_rows=1)
    heard = []
    engine.submit([tok.bos_id], GREEDY, lambda delta: None)
    waiting = engine.submit([tok.bos_id], GREEDY, heard.append)
    engine.step()
    engine.abort(waiting, 12345678)
    engine.step()
    assert heard == [Delta([], 0, "abort", None)]


def test_requests_from_eight_threads_are_answered_as_if_alone(tok):
    model = tiny_model(tok)
    engine = Engine(model, tok, max_rows=3)
    prompts = random_prompts(tok, range(1, 25))
    answers = {}

    def ask(i):
        answers[i] = said(engine.stream(prompts[i], GREEDY))
        answers[i + 8] = engine.generate([prompts[i + 8]], GREEDY)[0][0].text
        heard, done = [], threading.Event()
        engine.submit(prompts[i + 16], GREEDY, lambda d: (heard.append(d), d.finish_reason and done.set()))
        assert done.wait(30)
        answers[i + 16] = said(heard)

    engine.start()
    try:
        threads = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        engine.close()
    assert [answers[i] for i in range(24)] == [decoded(tok, naive_greedy(model, prompt, 12)) for prompt in prompts]


def test_close_aborts_what_is_left_and_start_begins_again(tok):
    engine = scripted_engine(tok, list(b"ab") * 100, max_rows=1)
    heard = [[], []]
    long = SamplingParams(max_tokens=150, temperature=0)
    running = threading.Event()

    def listen(delta):
        heard[0].append(delta)
        running.set()
        threading.Event().wait(0.01)  # so that close comes before the end

    engine.start()
    engine.submit([tok.bos_id], long, listen)
    engine.submit([tok.bos_id], long, heard[1].append)
    assert running.wait(30)
    engine.close()
    assert not engine.is_alive()
    assert [deltas[-1].finish_reason for deltas in heard] == ["abort", "abort"]
    engine.start()
    assert engine.generate([[tok.bos_id]], GREEDY)[0][0].text == "ab" * 6
    engine.close()


def test_engines_without_a_thread_serve_two_callers_at_once(tok):
    model = tiny_model(tok)
    engine = Engine(model, tok, max_rows=2)
    prompts = random_prompts(tok, [3, 8])
    first, second = (engine.stream(prompt, GREEDY) for prompt in prompts)
    heard = [next(first), next(second)]
    assert said([heard[0], *first]) == decoded(tok, naive_greedy(model, prompts[0], 12))
    assert said([heard[1], *second]) == decoded(tok, naive_greedy(model, prompts[1], 12))


def test_min_p_leaves_what_is_nearly_as_likely_as_the_best(tok):
    model = tiny_model(tok)
    answer = Engine(model, tok).generate([[1, 2, 3]], SamplingParams(max_tokens=9, temperature=2.0, min_p=1.0))[0][0]
    assert answer.ids == naive_greedy(model, [1, 2, 3], 9)


# -----------------------------------------------------------------------------
# Many mixes, any order of events

def random_mix(tok, seed, dtype):
    """Few blocks, small budgets, shared beginnings, forks, aborts. (engine, model, [(prompt, ids of its answer)])."""
    rng = random.Random(seed)
    model = tiny_model(tok, seed=seed % 7, dtype=dtype, **rng.choice(list(SHAPES.values())))
    engine = Engine(model, tok, max_rows=rng.randrange(1, 6), num_blocks=rng.randrange(4, 12),
                    step_tokens=rng.randrange(1, 40), live_tokens=rng.randrange(1, 40))
    start, = random_prompts(tok, [32], seed)
    asked = []
    for i in range(6):
        prompt = start[:rng.randrange(33)] + random_prompts(tok, [rng.randrange(1, 15)], seed + i)[0]
        heard = []
        params = SamplingParams(max_tokens=rng.randrange(1, 12), temperature=0, logprobs=1)
        request = engine.submit(prompt, params, heard.append)
        asked.append((prompt, heard))
        for _ in range(rng.randrange(4)):
            engine.step()
        if rng.random() < 0.25:
            engine.abort(request)
    samples = engine.generate([start], SamplingParams(max_tokens=5, temperature=0, n=3))[0]
    while not all(heard and heard[-1].finish_reason for _, heard in asked):
        engine.step()
    answers = [(prompt, [token.id for delta in heard for token in delta.logprobs]) for prompt, heard in asked]
    answers += [(start, sample.ids) for sample in samples]
    turns = [prompt + ids + [seed % 200] for prompt, ids in answers if len(prompt) + len(ids) < CONTEXT - 1]
    second = engine.generate(turns, SamplingParams(max_tokens=3, temperature=0))
    return engine, model, answers + [(turn, answer[0].ids) for turn, answer in zip(turns, second)]


@torch.no_grad()
def reference_logits(model, prompt, ids):
    """(len(ids), V) of the full forward, each row before the id that was chosen from it."""
    return model.logits(model(torch.tensor([prompt + ids]))[0])[len(prompt) - 1:-1]


@pytest.mark.parametrize("seeds", [range(30), pytest.param(range(30, 500), marks=pytest.mark.slow)])
def test_random_mixes_equal_the_full_forward_and_leak_no_block(tok, seeds):
    """One full forward checks each answer: if all before it are the reference's, so must the next be."""
    num_preemptions = num_hits = 0
    for seed in seeds:
        engine, model, answers = random_mix(tok, seed, torch.float64)
        num_preemptions, num_hits = num_preemptions + engine.num_preemptions, num_hits + engine.pool.num_hit_tokens
        for prompt, ids in answers:
            assert ids == reference_logits(model, prompt, ids).argmax(-1).tolist()
        check_blocks(engine)
        engine.load_weights(model)
        assert len(engine.pool.free) == engine.pool.num_blocks
    assert num_preemptions and num_hits


@pytest.mark.parametrize("seeds", [range(3), pytest.param(range(3, 500), marks=pytest.mark.slow)])
def test_in_fp32_answers_leave_the_full_forwards_only_where_its_two_best_are_all_but_equal(tok, seeds):
    num_tokens, margins = 0, []
    for seed in seeds:
        _, model, answers = random_mix(tok, seed, torch.float32)
        for prompt, ids in answers:
            logits = reference_logits(model, prompt, ids)
            differs = (logits.argmax(-1) != torch.tensor(ids, dtype=torch.int64)).nonzero()
            num_tokens += len(ids)
            if len(differs):
                best, second = logits[differs[0, 0]].topk(2).values.tolist()
                margins.append(best - second)
    print(f"{num_tokens} tokens, {len(margins)} first divergences, at margins {margins}")
    assert num_tokens > 20 * len(seeds) and all(margin < 1e-4 for margin in margins)


def check_blocks(engine):
    """Every block is free, cached or held, and held as often as the tables say."""
    pool, requests = engine.pool, [*engine._running, *engine._waiting, *engine._parked]
    held = Counter(block for request in requests for block in request.table)
    assert {block: count for block, count in enumerate(pool.refs) if count} == held
    assert sorted([*pool.free, *pool.cached, *held]) == list(range(pool.num_blocks))
    assert not set(pool.free) & pool._key_of.keys() and pool.cached.keys() <= pool._key_of.keys()
    assert {block: key for key, (block, _) in pool._known.items()} == pool._key_of
    for request in requests:
        assert request.num_computed <= len(request.table) * BLOCK and request.num_computed <= len(request.tokens)


class Chatty(Scripted):
    """Any of four letters, a call's start or end, or the end of the answer: equally likely, so noise decides."""

    def __init__(self, tok):
        super().__init__(tok, [])
        names = ("<|python_start|>", "<|python_end|>", "<|assistant_end|>")
        self.likely = [*b"abcd", *(tok.special[name] for name in names)]

    def logits(self, hidden):
        logits = torch.full((len(hidden), self.config.padded_vocab_size), -50.0)
        logits[:, self.likely] = 0.0
        return logits


class Calls:
    """Stands in for threading.Thread: a tool call is made when the test says so, if ever."""

    def __init__(self):
        self.waiting, self.num_made = [], 0

    def __call__(self, target, args, **_):
        self.waiting.append(lambda: target(*args))
        return SimpleNamespace(start=lambda: None)

    def make_one(self, rng):
        if self.waiting:
            self.waiting.pop(rng.randrange(len(self.waiting)))()

    def tool(self, code):
        self.num_made += 1
        if self.num_made % 3 == 0:
            raise (CalculatorError if self.num_made % 2 else RuntimeError)("no")
        return "9" * len(code)


def any_order_of_events(tok, seed, monkeypatch) -> Counter:
    rng, calls, events = random.Random(seed), Calls(), Counter()
    monkeypatch.setattr(engine_module.threading, "Thread", calls)
    engine = scripted_engine(tok, [], max_rows=rng.randrange(1, 9), num_blocks=rng.randrange(7, 20), tool=calls.tool,
                             max_context=96, step_tokens=rng.randrange(1, 60), live_tokens=rng.randrange(1, 30))
    weights, engine.model = GPT(script_config(tok)), Chatty(tok)
    start, asked = random_prompts(tok, [60], seed)[0], []
    for _ in range(80):
        prompt = start[:rng.randrange(1, 60)] + [rng.randrange(4)]
        params = SamplingParams(max_tokens=rng.randrange(1, 40), seed=rng.randrange(10 ** 9), n=rng.choice((1, 1, 2, 5)))
        event = rng.choices(["step", "add", "abort", "tool", "weights", "score"], [24, 12, 6, 6, 6, 1])[0]
        if event == "add":
            new = engine._new_requests(prompt, params)
            engine._enqueue(new)
            asked += new
        elif event == "abort" and asked:
            request = rng.choice(asked[-8:])
            events.update(f"abort {place}" for place in ("_running", "_waiting", "_parked")
                          if request in getattr(engine, place))
            engine.abort(request.id)
        elif event == "tool":
            calls.make_one(rng)
        elif event == "weights" and not any(not request.finish_reason for request in asked):
            engine.load_weights(weights)
            assert len(engine.pool.free) == engine.pool.num_blocks
            engine.model, events["weights"] = Chatty(tok), events["weights"] + 1
        elif event == "score":
            engine.score([(start[:20], prompt), (start[:20], prompt[:3])])
        else:
            engine.step()
        check_blocks(engine)
        events["parked"] += len(engine._parked)
    while not all(request.finish_reason for request in asked):
        calls.make_one(rng)
        engine.step()
        check_blocks(engine)
    assert engine.pool.num_available == engine.pool.num_blocks
    events.update([request.finish_reason for request in asked], preempted=engine.num_preemptions,
                  hits=engine.pool.num_hit_tokens)
    return events


@pytest.mark.parametrize("seeds", [range(30), pytest.param(range(30, 1000), marks=pytest.mark.slow)])
def test_any_order_of_events_leaves_every_block_free_cached_or_held(tok, seeds, monkeypatch):
    """Arrivals, n samples, scores, aborts wherever a request is, tools that answer, refuse, fail or say nothing for long,
    preemption, new weights."""
    monkeypatch.setattr(engine_module, "POLL_SEC", 0.001)
    events = Counter()
    for seed in seeds:
        events += any_order_of_events(tok, seed, monkeypatch)
    names = {"abort _running", "abort _waiting", "abort _parked", "weights", "parked", "preempted", "hits", "stop", "length",
             "error", "abort"}
    assert not names - events.keys(), events  # the test does reach all of them


@pytest.mark.parametrize("num_aborts", [60, pytest.param(1000, marks=pytest.mark.slow)])
def test_aborts_at_random_moments_leak_no_block_and_the_next_request_is_answered_at_once(tok, num_aborts):
    """From four threads, at a random moment of a random answer; `n` samples and tools are tested above."""
    model = tiny_model(tok)
    engine = Engine(model, tok, max_rows=6, num_blocks=14)
    num_done = Counter()

    def come_and_go(seed):
        rng = random.Random(seed)
        for i in range(num_aborts // 4):
            prompt = random_prompts(tok, [rng.randrange(1, 35)], i % 9)[0]
            done, reached = threading.Event(), threading.Event()
            leave_at = rng.randrange(0, 8)

            def listen(delta, done=done, reached=reached, leave_at=leave_at):
                if delta.num_tokens >= leave_at:
                    reached.set()
                if delta.finish_reason:
                    num_done[delta.finish_reason] += 1
                    reached.set()
                    done.set()
            request = engine.submit(prompt, SamplingParams(max_tokens=12, temperature=0), listen)
            if leave_at:
                assert reached.wait(60)
            engine.abort(request)
            assert done.wait(60)

    engine.start()
    threads = [threading.Thread(target=come_and_go, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    engine.close()
    assert num_done["abort"] > num_aborts / 2 and num_done.total() == num_aborts
    check_blocks(engine)
    assert engine.pool.num_available == 14 and not engine._running and not engine._waiting
    heard, (prompt,) = [], random_prompts(tok, [30], 99)
    engine.submit(prompt, SamplingParams(max_tokens=1, temperature=0, logprobs=1), heard.append)
    engine.step()  # no more than this one
    assert [token.id for token in heard[0].logprobs] == naive_greedy(model, prompt, 1)
