import math

import pytest
import torch
from test_gpt import tiny_gpt, tokens
from torch.utils._python_dispatch import TorchDispatchMode

from nanochat import train_loop
from nanochat.common import UserError
from nanochat.guards import Guard
from nanochat.scaling import model_config
from nanochat.train_loop import (Meter, StepResult, build_optimizer, format_seconds, inherited_rates, is_due,
                                 require_interval, should_compile, train_step)

CPU = torch.device("cpu")


@pytest.mark.parametrize("every, due_at", [(None, [10]), (0, [10]), (4, [4, 8, 10]), (5, [5, 10]), (100, [10])])
def test_what_is_due_happens_every_so_often_and_at_the_end(every, due_at):
    assert [step for step in range(11) if is_due(step, every, 10)] == due_at


def test_minus_one_is_refused_with_the_new_spelling():
    with pytest.raises(UserError, match="--eval-every -1.*0 for only at the end"):
        require_interval("--eval-every", -1)


def test_a_step_in_passes_equals_a_step_in_one():
    results = []
    for cuts in ([8], [2, 3, 3], [1] * 8):
        model = tiny_gpt()
        optimizer = build_optimizer(model, embedding_lr=0.1, unembedding_lr=0.1, matrix_lr=0.1, weight_decay=0.1,
                                    muon_dtype=torch.float64)
        idx, targets = tokens(8, 16), tokens(8, 16, seed=1)
        targets[3, 2:] = -1  # passes with fewer targets must not weigh more
        for _ in range(3):
            batches = [{"idx": x, "targets": y} for x, y in zip(idx.split(cuts), targets.split(cuts))]
            result = train_step(model, optimizer, batches, Guard(CPU), lr_mult=1.0, momentum=0.9)
        results.append((result, [p.detach().clone() for p in model.parameters()]))
    for result, params in results[1:]:
        assert result.loss == pytest.approx(results[0][0].loss, abs=1e-10) and result.num_targets == 8 * 16 - 14
        torch.testing.assert_close(params, results[0][1], atol=1e-9, rtol=0)


class Reads(TorchDispatchMode):
    """Counts what makes the host wait for the device: a number read, or a shape that depends on values."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket in (torch.ops.aten._local_scalar_dense, torch.ops.aten.nonzero, torch.ops.aten.equal):
            self.seen.append(func)
        return func(*args, **(kwargs or {}))


def test_the_host_reads_nothing_before_the_step_is_done():
    model, guard = tiny_gpt(), Guard(CPU)
    optimizer = build_optimizer(model, embedding_lr=0.1, unembedding_lr=0.1, matrix_lr=0.1, weight_decay=0.1,
                                muon_dtype=torch.float64)
    with Reads() as reads:
        train_step(model, optimizer, [{"idx": tokens(2, 16), "targets": tokens(2, 16, seed=1)}] * 2, guard, lr_mult=1.0,
                   momentum=0.9)
    assert reads.seen == []
    with Reads() as reads:
        optimizer.num_updates
    assert len(reads.seen) == 1  # what would have been noticed


def test_a_step_without_targets_changes_nothing():
    model = tiny_gpt()
    optimizer = build_optimizer(model, embedding_lr=0.1, unembedding_lr=0.1, matrix_lr=0.1, weight_decay=0.1,
                                muon_dtype=torch.float64)
    before = [p.detach().clone() for p in model.parameters()]
    assert train_step(model, optimizer, [], Guard(CPU), lr_mult=1.0, momentum=0.9) == StepResult(0.0, 0.0, 0)
    assert optimizer.num_updates == 0 and all(torch.equal(a, b) for a, b in zip(before, model.parameters()))


def test_every_parameter_is_in_exactly_one_group():
    model = tiny_gpt()
    optimizer = build_optimizer(model, embedding_lr=1, unembedding_lr=2, matrix_lr=3, weight_decay=0.1,
                                muon_dtype=torch.float32)
    names = [name for group in optimizer.groups for name in group.params]
    assert sorted(names) == sorted(name for name, _ in model.named_parameters())
    assert {g.kind for g in optimizer.groups if g.weight_decay} == {"muon"}


def test_rates_of_a_later_stage_are_a_fraction_moved_to_its_batch():
    plan = {"embedding_lr": 0.4, "unembedding_lr": 0.2, "matrix_lr": 0.1, "weight_decay": 0.3, "total_batch_size": 1024}
    assert inherited_rates(plan, 4096, 0.5) == {"embedding_lr": 0.4, "unembedding_lr": 0.2, "matrix_lr": 0.1,
                                                "weight_decay": 0.0}
    assert inherited_rates(plan, 4096, 0.5, 1.0) == inherited_rates(plan, 4096, 0.5) | {"embedding_lr": 0.8}


def test_the_meter_smooths_without_bias_and_counts():
    meter = Meter(3)
    for step, loss in enumerate((4.0, 2.0), start=1):
        meter.start_step()
        meter.end_step(step, StepResult(loss, 1.0, 10), lr_mult=1.0, tokens=100)
    assert meter.smooth_loss == pytest.approx((0.95 * 4 + 2) / 1.95) and meter.tokens == 200
    again = Meter(3, meter.state())
    assert again.smooth_loss == meter.smooth_loss and again.state() == meter.state()
    assert math.isnan(Meter(3).smooth_loss)


def test_the_time_left_is_foretold_by_the_middle_of_the_latest_steps(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(train_loop.time, "perf_counter", lambda: clock[0])
    meter = Meter(1000)
    for step, seconds in enumerate([30, 2, 1, 2, 3, 2, 2, 2] + [5] * 64, start=1):
        meter.start_step()
        clock[0] += seconds
        line = meter.progress_line(meter.end_step(step, StepResult(1.0, 1.0, 10), lr_mult=1.0, tokens=100))
        if step == 8:  # neither the one that compiled nor the fastest
            assert line.endswith("ETA 33m04s")  # 992 steps of 2 s
    assert line.endswith("ETA 1h17m")  # 928 steps of 5 s


def test_compiling_is_chosen_when_it_saves_more_than_it_costs(monkeypatch):
    config = model_config(4, vocab_size=4096, max_seq_len=512)
    cpu = torch.device("cpu")
    monkeypatch.setattr(train_loop, "has_compiler", lambda: True)
    assert not should_compile(config, 100_000, cpu) and should_compile(config, 50_000_000, cpu)
    monkeypatch.setattr(train_loop, "has_compiler", lambda: False)  # nanochat #29: no compiler means eager
    assert not should_compile(config, 50_000_000, cpu)


@pytest.mark.parametrize("seconds, text", [(5, "0m05s"), (59.6, "1m00s"), (3599, "59m59s"), (3600, "1h00m"), (7380, "2h03m")])
def test_durations_read_well(seconds, text):
    assert format_seconds(seconds) == text
