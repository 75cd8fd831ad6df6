"""Truth: a hand-written table, and bounds that hold for every step of every run."""

import pytest

from nanochat.schedules import linear_to_zero, lr_multiplier, muon_momentum


def test_lr_multiplier_follows_the_worked_table():
    table = [lr_multiplier(step, 10, warmup_steps=2, warmdown_frac=0.4, final_frac=0.2) for step in range(10)]
    assert table == pytest.approx([0.5, 1, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4])


@pytest.mark.parametrize("num_steps", [1, 2, 7, 100])
@pytest.mark.parametrize("warmup_steps", [0, 1, 40, 1000])
@pytest.mark.parametrize("warmdown_frac", [0.0, 0.3, 1.0])
def test_multipliers_stay_between_zero_and_one_at_every_step(num_steps, warmup_steps, warmdown_frac):
    """nanochat #775: steps counted in micro-batches drove the multiplier to -127."""
    for step in range(num_steps):
        mult = lr_multiplier(step, num_steps, warmup_steps=warmup_steps, warmdown_frac=warmdown_frac, final_frac=0.0)
        assert 0 < mult <= 1
        assert 0 < linear_to_zero(step, num_steps) <= 1


def test_momentum_ramps_and_then_stays():
    assert [muon_momentum(step, ramp_steps=4, start=0.8, end=0.9) for step in (0, 2, 4, 99)] == pytest.approx(
        [0.8, 0.85, 0.9, 0.9])
