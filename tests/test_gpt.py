"""Truth: properties that hold for any weights (causality, separation, relative positions) and naive formulas."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from nanochat.gpt import LOGIT_SOFTCAP, GPT, GPTConfig, rope_tables, rotate


def tiny_gpt(**changes):
    settings = {"sequence_len": 16, "vocab_size": 50, "n_layer": 2, "n_head": 4, "n_kv_head": 2, "n_embd": 32,
                "layer_types": ("sliding", "full"), "window": 4, "value_embed_layers": (1,), "spread": 3} | changes
    model = GPT(GPTConfig(**settings))
    model.init_weights(0)
    generator = torch.Generator().manual_seed(1)
    for block in model.blocks:  # zero at init, which would hide attention and MLP from every test
        for linear in (block.attn_out, block.mlp_out):
            linear.weight.data.normal_(0, 0.1, generator=generator)
    for embedding in model.value_embeds.values():
        embedding.weight.data.normal_(0, 1.0, generator=generator)
    model.lm_head.weight.data.normal_(0, 0.5, generator=generator)
    return model.double()


def tokens(*shape, seed=0):
    return torch.randint(0, 50, shape, generator=torch.Generator().manual_seed(seed))


def test_no_position_sees_the_future():
    model, idx = tiny_gpt(), tokens(2, 16)
    changed = idx.clone()
    changed[:, 9:] = (changed[:, 9:] + 1) % 50
    before, after = model(idx), model(changed)
    assert torch.equal(before[:, :9], after[:, :9]) and not torch.allclose(before[:, 9:], after[:, 9:])


def test_documents_in_one_row_equal_documents_alone():
    model, a, b = tiny_gpt(), tokens(1, 6), tokens(1, 10, seed=1)
    row = torch.cat((a, b), dim=1)
    hidden = model(row, doc_ids=torch.tensor([[0] * 6 + [1] * 10]))
    torch.testing.assert_close(hidden[:, :6], model(a), atol=1e-12, rtol=0)
    torch.testing.assert_close(hidden[:, 6:], model(b), atol=1e-6, rtol=0)  # rotations by other angles, fp32 tables


def test_half_of_the_last_value_embedding_sums_up_the_tokens_before_within_their_document():
    """Token by token, in a loop: three before it at most, of its own document."""
    model, idx = tiny_gpt(value_embed_layers=(0, 1)), tokens(2, 16)
    doc_ids = torch.tensor([[0] * 2 + [1] * 14, [5] * 9 + [6] * 7])
    table, below = model.value_embeds["1"].weight, model.value_embeds["0"].weight
    wanted = torch.empty(2, 16, 16, dtype=torch.float64)
    for row in range(2):
        for at in range(16):
            before = [idx[row, t] for t in range(max(0, at - 3), at) if doc_ids[row, t] == doc_ids[row, at]]
            wanted[row, at, :8] = table[idx[row, at], :8]
            wanted[row, at, 8:] = sum((table[i, 8:] for i in before), torch.zeros(8))
    found = model._value_embeds(1, idx, doc_ids, torch.float64)
    torch.testing.assert_close(found, wanted, atol=1e-12, rtol=0)
    assert torch.equal(model._value_embeds(0, idx, doc_ids, torch.float64), below[idx])


def test_attention_reads_the_token_before_where_there_are_value_embeddings():
    """With attention to itself alone (a window of 1), a token still answers to the one before it, and to no other."""
    model, idx = tiny_gpt(layer_types=("sliding", "sliding"), window=1, value_embed_layers=(0,), spread=0), tokens(1, 16)
    told = GPT(replace(model.config, spread=1)).double()
    told.load_state_dict(model.state_dict())
    for later in (1, 2):
        changed = idx.clone()
        changed[0, 5] = (changed[0, 5] + 1) % 50
        for some, answers in ((model, False), (told, later == 1)):
            with torch.no_grad():
                is_same = torch.equal(some(idx)[0, 5 + later], some(changed)[0, 5 + later])
            assert is_same != answers


def test_rotation_makes_scores_depend_on_distance_alone():
    cos, sin = (table[None, :, None].double() for table in rope_tables(64, 8))
    q, k = torch.randn(2, 1, 1, 1, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    q, k = (rotate(x.expand(1, 64, 1, 8), cos, sin)[0, :, 0] for x in (q, k))
    scores = q @ k.T
    torch.testing.assert_close(scores[10, 3], scores[50, 43], atol=1e-5, rtol=0)
    assert abs(scores[10, 3] - scores[10, 4]) > 1e-3


def test_rotation_has_the_standard_sign():
    """A quarter turn takes (1, 0) to (0, 1): transformers' NanoChat turns the other way (serving.md)."""
    turned = rotate(torch.tensor([1.0, 0.0]).view(1, 1, 1, 2), torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1))
    assert turned.flatten().tolist() == [0.0, 1.0]


def test_logits_are_softcapped_and_padding_is_impossible():
    model = tiny_gpt()
    logits = model.logits(model(tokens(1, 8))[0] * 1e3)
    assert logits.shape == (8, 64) and logits[:, 50:].max() == -torch.inf
    assert logits[:, :50].abs().max() <= LOGIT_SOFTCAP and logits[:, :50].abs().max() > 14


def test_loss_sum_is_the_cross_entropy_of_the_logits():
    model, idx, targets = tiny_gpt(), tokens(2, 16), tokens(2, 16, seed=1)
    targets[0, :5] = -1
    expected = F.cross_entropy(model.logits(model(idx).flatten(0, 1))[:, :50], targets.flatten(), ignore_index=-1,
                               reduction="sum")
    nats, count = model.loss_sum(idx, targets)
    torch.testing.assert_close(nats, expected, atol=1e-9, rtol=0)
    assert count == 27
    rows = (targets.flatten() >= 0).nonzero().squeeze(1)
    torch.testing.assert_close(model.loss_sum(idx, targets, rows=rows)[0], expected, atol=1e-9, rtol=0)
    torch.testing.assert_close(-model.target_logprobs(idx, targets).sum(), expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize("has_rows", [False, True])
def test_the_loss_hands_out_the_log_probabilities_it_sums(has_rows):
    """What `target_logprobs` finds in a pass of its own; weights do not enter, and rows may hold one without a target."""
    model, idx, targets = tiny_gpt(), tokens(2, 16), tokens(2, 16, seed=1)
    targets[0, :5] = -1
    rows = torch.cat(((targets.flatten() >= 0).nonzero().squeeze(1), torch.tensor([3, 3]))) if has_rows else None
    found = torch.full(targets.shape, 7.0 if not has_rows else 0.0, dtype=torch.float64)
    model.loss_sum(idx, targets, rows=rows, row_weights=torch.full(targets.shape, -0.5), logprobs_out=found)
    torch.testing.assert_close(found, model.target_logprobs(idx, targets), atol=1e-9, rtol=0)


def test_same_seed_same_weights_and_no_parameter_left_uninitialised():
    """nanochat #686: scalars on the meta device were never filled."""
    first, second, other = (GPT(tiny_gpt().config) for _ in range(3))
    for model in (first, second, other):
        for p in model.parameters():
            p.data.fill_(torch.nan)
    first.init_weights(3), second.init_weights(3), other.init_weights(4)
    for name, p in first.named_parameters():
        assert p.isfinite().all() and torch.equal(p, second.get_parameter(name))
    assert not torch.equal(first.wte.weight, other.wte.weight)


def test_activations_follow_their_dtype_and_masters_stay_fp32():
    model = GPT(tiny_gpt().config, activation_dtype=torch.bfloat16)
    model.init_weights(0)
    assert model(tokens(1, 4)).dtype == torch.bfloat16
    nats, _ = model.loss_sum(tokens(1, 4), tokens(1, 4))
    nats.backward()
    assert {p.grad.dtype for p in model.parameters()} == {torch.float32} and nats.dtype == torch.float32
