"""Truth: figures worked by hand, and upstream's published ladder (ratio 12, vocabulary 32,768)."""

import pytest

from nanochat.common import UserError
from nanochat.gpt import GPT, count
from nanochat.scaling import batch_sizes, model_config, plan, scaling_params


def gpu_plan(depth, **flags):
    return plan(depth, vocab_size=32768, max_seq_len=2048, world=1, device_type="cuda", **flags)


@pytest.mark.parametrize("depth, width, millions, batch", [(8, 512, 42, 2 ** 18), (12, 768, 110, 2 ** 19),
                                                           (16, 1024, 235, 2 ** 19), (20, 1280, 435, 2 ** 20),
                                                           (24, 1536, 730, 2 ** 20)])
def test_the_ladder_has_upstreams_sizes_and_batches(depth, width, millions, batch):
    run_plan = gpu_plan(depth)
    assert run_plan.config.n_embd == width
    assert round(scaling_params(run_plan.config) / 1e6) == millions
    assert run_plan.total_batch_size == batch


def test_depth_12_is_the_reference_point():
    run_plan = gpu_plan(12)
    assert (run_plan.embedding_lr, run_plan.unembedding_lr, run_plan.matrix_lr, run_plan.weight_decay) == (
        0.3, 0.008, 0.02, 0.28)
    assert run_plan.num_iterations == 2520  # 12 * 110,100,480 tokens / 524,288
    assert run_plan.total_tokens == pytest.approx(1.32e9, rel=0.01)


def test_rates_follow_batch_and_width():
    run_plan = gpu_plan(12, total_batch_size=2 ** 17)
    assert run_plan.matrix_lr == 0.01 and run_plan.embedding_lr == 0.15  # a quarter of the batch, half the rate
    assert gpu_plan(48, total_batch_size=2 ** 19).embedding_lr == pytest.approx(0.15)  # four times the width


def test_only_small_models_begin_with_letters():
    """Measured at depth 4; the ladder above stays what upstream's rates were fitted to."""
    assert gpu_plan(4).letters == 8.0 and gpu_plan(8).letters == 0.0


def test_counts_equal_the_parameters_of_a_built_model():
    config = model_config(3, vocab_size=300, max_seq_len=32)
    counts = count(config)
    params = {name: p.numel() for name, p in GPT(config).named_parameters()}
    assert counts["total"] == sum(params.values())
    assert counts["embedding"] == params["wte.weight"] == 320 * 192
    assert counts["flops_per_token"] == 6 * (counts["matrices"] + counts["lm_head"]) + 12 * 192 * (8 + 32 + 32)


def test_a_ratio_sets_the_length_and_two_lengths_are_refused():
    assert gpu_plan(12, target_param_data_ratio=6).num_iterations == 1260
    with pytest.raises(UserError, match="give one"):
        gpu_plan(12, target_param_data_ratio=6, num_iterations=10)


@pytest.mark.parametrize("flags, words", [
    ({"depth": 0}, "--depth 0"), ({"depth": -3}, "--depth -3"), ({"target_param_data_ratio": 0}, "above 0"),
    ({"target_param_data_ratio": float("nan")}, "above 0"), ({"num_iterations": 0}, "at least 1"),
    ({"device_batch_size": 0}, "at least 1"), ({"total_batch_size": 3000}, "nearest valid value is 2048"),
    ({"total_batch_size": 3100, "device_batch_size": 1}, "nearest valid value is 4096"),
])
def test_bad_flags_are_named_with_what_is_accepted(flags, words):
    with pytest.raises(UserError, match=words):
        gpu_plan(**{"depth": 4, **flags})


@pytest.mark.parametrize("world", [1, 2, 3, 8])
@pytest.mark.parametrize("sequence_len", [32, 500, 512, 2048])
def test_passes_fill_a_step_exactly_whatever_is_decided(world, sequence_len):
    for device_batch_size in (None, 1, 7, 8):
        rows, total = batch_sizes(sequence_len, world, "cpu", None, device_batch_size, 2 ** 15)
        assert total % (rows * sequence_len * world) == 0 and rows >= 1
