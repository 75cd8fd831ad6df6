import pytest
import torch
import torch.nn.functional as F

from nanochat.common import UserError, choose_dtype, require_compiler
from nanochat.engine import Engine, SamplingParams
from nanochat.gpt import GPT, GPTConfig
from nanochat.kvcache import PagedCache, StepCache
from nanochat.quant import MAX_ROWS, Int8, multiply_int8, quantize, round_weights
from nanochat.served import ServedGPT
from nanochat.tokenizer import Tokenizer

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def tok():
    return Tokenizer.train(["the cat sat on the mat, the dog on the log: 12 + 34 = 46"] * 3, vocab_size=290)


def random_weight(rows, columns, seed=0):
    """Channels of very different size, one of zeros."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(rows, columns, generator=generator) * 10.0 ** torch.arange(-3, rows - 3)[:, None].clamp(max=3)
    weight[1] = 0
    return weight


def test_a_channel_worked_by_hand():
    """2.54 / 127 is a step of 0.02, so 0.5 is 25 steps and 0.011 is one."""
    quantized = quantize(torch.tensor([[2.54, -0.5, 0.011, 0.009]]), torch.float32)
    assert quantized.values.tolist() == [[127, -25, 1, 0]]
    assert quantized.scale.tolist() == pytest.approx([0.02])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_weight_is_within_half_a_step_of_its_channel(dtype):
    """A scale that bf16 rounds down leaves the largest weight up to 127.5 steps away, of which 127 exist."""
    weight = random_weight(64, 200)
    quantized = quantize(weight, dtype)
    error = (quantized.values.float() * quantized.scale.float()[:, None] - weight).abs()
    assert (error <= 0.501 * quantized.scale.float()[:, None]).all() and (error[1] == 0).all()


@pytest.mark.parametrize("num_rows", [1, 3, MAX_ROWS, MAX_ROWS + 1, 64])
@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-5), (torch.float64, 1e-12), (torch.bfloat16, 2e-2)])
def test_products_equal_those_of_the_dequantised_weight(num_rows, dtype, tolerance):
    weight = quantize(random_weight(32, 64)[:6], dtype)
    x = torch.randn(num_rows, 64, generator=torch.Generator().manual_seed(1)).to(dtype)
    exact = F.linear(x.double(), weight.values.double() * weight.scale.double()[:, None])
    size = exact.abs().amax(dim=0).clamp(min=1e-30)
    assert ((multiply_int8(x, weight).double() - exact).abs() / size).max() < tolerance


def tiny_model(tok, dtype) -> GPT:
    model = GPT(GPTConfig(sequence_len=48, vocab_size=tok.vocab_size, n_layer=2, n_head=4, n_kv_head=2, n_embd=64,
                          layer_types=("full", "sliding"), window=5, value_embed_layers=(1,), spread=3))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.empty(p.shape).normal_(0, 0.2, generator=generator))
    return model.to(dtype)


def test_an_int8_engine_scores_as_the_model_with_rounded_weights(tok, monkeypatch):
    """Prefix in one pass, so both ways to multiply are in it; fp32 activations, so that only the weights are coarse."""
    monkeypatch.setattr("nanochat.common.has_fast_bf16", lambda device: False)
    model, ids = tiny_model(tok, torch.float32), list(range(40, 80))
    engine = Engine(model, tok, dtype=torch.int8)
    pairs = [(ids[:n], ids[n:]) for n in (1, 20, 39)]
    unrounded = Engine(model, tok).score(pairs)
    round_weights(model, torch.float32)
    for got, wanted, coarse in zip(engine.score(pairs), Engine(model, tok).score(pairs), unrounded):
        assert got.logprobs == pytest.approx(wanted.logprobs, abs=1e-4)
        assert got.logprobs != pytest.approx(coarse.logprobs, abs=1e-3)
    assert engine.cache.kv.dtype == torch.float32 and isinstance(engine.model.lm_head, Int8)


def test_an_int8_engine_takes_new_weights(tok):
    params = SamplingParams(max_tokens=5, temperature=0)
    engine = Engine(tiny_model(tok, torch.float32), tok, dtype=torch.int8)
    other = tiny_model(tok, torch.float32)
    with torch.no_grad():
        other.wte.weight.add_(1)
    engine.load_weights(other)
    fresh = Engine(other, tok, dtype=torch.int8)
    assert engine.generate([[5, 6, 7]], params)[0][0].ids == fresh.generate([[5, 6, 7]], params)[0][0].ids


def test_int8_is_for_models_that_are_not_trained():
    assert choose_dtype("int8", CPU, can_be_int8=True) == torch.int8
    with pytest.raises(UserError, match="--dtype int8: for serving .* float32, bfloat16, float64"):
        choose_dtype("int8", CPU)
    with pytest.raises(UserError, match="float32, bfloat16, float64, int8"):
        choose_dtype("int4", CPU, can_be_int8=True)


# -----------------------------------------------------------------------------
# Compiled steps

@pytest.mark.slow
@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-9), (torch.float32, 1e-4), (torch.int8, 1e-4)])
@torch.inference_mode()
def test_a_compiled_row_equals_an_eager_one_in_every_kind_of_layer(tok, monkeypatch, dtype, tolerance):
    """At positions from the first on, in scattered blocks: hidden states, logits, and what is left in the cache."""
    monkeypatch.setattr("nanochat.common.has_fast_bf16", lambda device: False)
    model = tiny_model(tok, torch.float64 if dtype == torch.float64 else torch.float32)
    results = []
    for use_compile in (False, True):
        served = ServedGPT(model, dtype, CPU, use_compile=use_compile)
        cache = PagedCache(model.config, 9, device="cpu", dtype=served.dtype)
        hidden = [served.forward(torch.tensor([20 + position]), StepCache(cache, [([7, 2, 5], position, 1)]))
                  for position in range(45)]
        results.append((torch.cat(hidden), torch.cat([served.logits(h) for h in hidden]), cache.kv))
    for wanted, got in zip(*results):
        torch.testing.assert_close(got, wanted, rtol=0, atol=tolerance)


@pytest.mark.slow
def test_a_compiled_engine_in_float64_answers_as_a_loop_that_recomputes_everything(tok):
    """Steps of one row and of several, and prompts in between, which take the other way."""
    model = tiny_model(tok, torch.float64)
    prompts = [list(range(40, 40 + n)) for n in (5, 1, 30, 12, 40)]
    params = [SamplingParams(max_tokens=m, temperature=0) for m in (4, 30, 7, 3, 5)]
    engine = Engine(model, tok, max_rows=3, step_tokens=11, use_compile=True)
    for prompt, answers in zip(prompts, engine.generate(prompts, params)):
        ids = list(prompt)
        with torch.no_grad():
            for _ in answers[0].ids:
                ids.append(int(model.logits(model(torch.tensor([ids]))[:, -1]).argmax()))
        assert ids[len(prompt):] == answers[0].ids


def test_a_wish_to_compile_that_cannot_come_true_is_refused(monkeypatch):
    monkeypatch.setattr("nanochat.common.has_compiler", lambda: False)
    with pytest.raises(UserError, match="no C\\+\\+ compiler"):
        require_compiler(CPU)
    with pytest.raises(UserError, match="on a CPU alone, not on cuda"):
        require_compiler(torch.device("cuda"))
