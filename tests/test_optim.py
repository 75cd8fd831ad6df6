"""Truth: the published update rules written out plainly in float64, and torch's own AdamW."""

import math
from functools import partial

import pytest
import torch
from test_gpt import tiny_gpt, tokens

from dev.ranks import moments_bytes
from nanochat import optim
from nanochat.optim import POLAR_EXPRESS, MuonAdamW, ParamGroup, assign_owners, orthogonalize
from nanochat.train_loop import backward_order, build_optimizer

STEPS = 6


def gradients(shape, seed):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, dtype=torch.float64, generator=generator) for _ in range(STEPS)]


def run_optimizer(optimizer, params_and_grads, **how):
    for step in range(STEPS):
        for p, grads in params_and_grads:
            p.grad = grads[step].clone()
        optimizer.reduce_gradients()
        optimizer.scale_gradients(how.get("grad_scale", 1.0))
        optimizer.step(lr_mult=how.get("lr_mult", 1.0), momentum=0.9, is_good=torch.tensor(True))


def test_adamw_equals_torch_adamw():
    grads = gradients((5, 3), 0)
    ours, theirs = (torch.nn.Parameter(torch.ones(5, 3, dtype=torch.float64)) for _ in range(2))
    group = ParamGroup("adamw", {"w": ours}, lr=0.1, weight_decay=0.03, betas=(0.8, 0.95), eps=1e-10)
    run_optimizer(MuonAdamW([group], muon_dtype=torch.float64), [(ours, grads)], lr_mult=0.5)
    reference = torch.optim.AdamW([theirs], lr=0.05, betas=(0.8, 0.95), eps=1e-10, weight_decay=0.03)
    for grad in grads:
        theirs.grad = grad.clone()
        reference.step()
    torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=0)


@pytest.mark.parametrize("shape", [(8, 8), (16, 4), (4, 16)])
def test_muon_equals_its_formula(shape):
    """Row by row, as NorMuon has it: each divided by the root of what its mean squares have been, the whole as long as
    before."""
    grads = gradients(shape, 1)
    p = torch.nn.Parameter(torch.ones(shape, dtype=torch.float64))
    run_optimizer(MuonAdamW([ParamGroup("muon", {"w": p}, lr=0.1, weight_decay=0.2)], muon_dtype=torch.float64),
                  [(p, [2 * g for g in grads])], grad_scale=0.5)
    weight, buffer = torch.ones(shape, dtype=torch.float64), torch.zeros(shape, dtype=torch.float64)
    squares = [0.0] * shape[0]
    for grad in grads:
        buffer = 0.9 * buffer + 0.1 * grad
        nesterov = 0.1 * grad + 0.9 * buffer
        direction = polar_reference(nesterov)
        squares = [0.95 * old + 0.05 * float(row @ row) / shape[1] for old, row in zip(squares, direction)]
        evened = torch.stack([row / math.sqrt(square + 1e-10) for row, square in zip(direction, squares)])
        evened *= direction.norm() / evened.norm()
        weight = weight * (1 - 0.1 * 0.2) - 0.1 * math.sqrt(max(1, shape[0] / shape[1])) * evened
    torch.testing.assert_close(p.data, weight, atol=1e-12, rtol=0)


def polar_reference(matrix):
    """The same polynomials on the singular values, where they are plain numbers."""
    u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
    s = s / (matrix.norm() * 1.02 + 1e-6)
    for a, b, c in POLAR_EXPRESS:
        s = a * s + b * s ** 3 + c * s ** 5
    return u @ torch.diag(s) @ vh


def test_orthogonalize_brings_every_singular_value_near_one():
    generator = torch.Generator().manual_seed(2)
    matrices = torch.randn(3, 24, 40, dtype=torch.float64, generator=generator)
    values = torch.linalg.svdvals(orthogonalize(matrices, torch.float64))
    assert 0.7 < values.min() and values.max() < 1.3


def test_matrices_of_one_shape_in_a_batch_step_as_they_do_alone():
    grads = [gradients((6, 6), seed) for seed in (3, 4)]
    together = [torch.nn.Parameter(torch.eye(6, dtype=torch.float64)) for _ in range(2)]
    run_optimizer(MuonAdamW([ParamGroup("muon", {"a": together[0], "b": together[1]}, lr=0.1)],
                            muon_dtype=torch.float64), list(zip(together, grads)))
    for p, own_grads in zip(together, grads):
        alone = torch.nn.Parameter(torch.eye(6, dtype=torch.float64))
        run_optimizer(MuonAdamW([ParamGroup("muon", {"w": alone}, lr=0.1)], muon_dtype=torch.float64),
                      [(alone, own_grads)])
        torch.testing.assert_close(p, alone, atol=1e-12, rtol=0)


def test_grad_norm_is_that_of_the_scaled_gradient():
    p = torch.nn.Parameter(torch.zeros(2, 2))
    p.grad = torch.tensor([[3.0, 0.0], [0.0, 4.0]])
    optimizer = MuonAdamW([ParamGroup("adamw", {"w": p}, lr=0.1)])
    optimizer.reduce_gradients()
    assert optimizer.scale_gradients(0.1).item() == pytest.approx(0.5)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_a_bad_gradient_changes_no_weight_no_moment_and_no_count(value):
    params = {kind: torch.nn.Parameter(torch.eye(4)) for kind in ("adamw", "muon")}
    optimizer = MuonAdamW([ParamGroup(kind, {kind: p}, lr=0.1, weight_decay=0.1) for kind, p in params.items()])
    run_optimizer(optimizer, [(p, [g.float() for g in gradients((4, 4), 6)]) for p in params.values()])
    before = {name: t.clone() for name, t in {**params, **optimizer.state_tensors()}.items()}
    for p in params.values():
        p.grad = torch.full((4, 4), value)
    optimizer.reduce_gradients()
    optimizer.scale_gradients(1.0)
    optimizer.step(lr_mult=1.0, momentum=0.9, is_good=torch.tensor(False))
    assert optimizer.num_updates == STEPS
    for name, tensor in {**params, **optimizer.state_tensors()}.items():
        assert torch.equal(tensor, before[name]), name


def test_state_survives_a_round_trip_through_its_tensors():
    grads = gradients((4, 4), 5)
    p, q = (torch.nn.Parameter(torch.eye(4, dtype=torch.float64)) for _ in range(2))
    first = MuonAdamW([ParamGroup("adamw", {"w": p}, lr=0.1)])
    run_optimizer(first, [(p, grads)])
    second = MuonAdamW([ParamGroup("adamw", {"w": q}, lr=0.1)])
    second.load_state_tensors({k: v.clone() for k, v in first.state_tensors().items()}, first.num_updates)
    q.data.copy_(p.data)
    run_optimizer(first, [(p, grads)])
    run_optimizer(second, [(q, grads)])
    assert torch.equal(p, q)


def test_largest_parameters_go_first_to_the_rank_with_least():
    params = {f"p{n}": torch.zeros(n) for n in (100, 60, 50, 40, 30, 25)}
    assert assign_owners(params, 3) == {"p100": 0, "p60": 1, "p50": 2, "p40": 2, "p30": 1, "p25": 1}


# -----------------------------------------------------------------------------
# Several ranks, without a process group; test_stages.py and dev/ranks.py have real ones

def ranks_of(world, *, depth=4, monkeypatch):
    """[(model, optimizer)] as the ranks of a real run would have them."""
    ranks = []
    for rank in range(world):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", str(world))
        model = tiny_gpt(n_layer=depth, layer_types=("full",) * depth)
        ranks.append((model, build_optimizer(model, embedding_lr=0.1, unembedding_lr=0.1, matrix_lr=0.1,
                                             weight_decay=0.1, muon_dtype=torch.float64)))
    return ranks


def state_bytes(optimizer):
    return sum(t.numel() * t.element_size() for t in optimizer.state_tensors().values())


@pytest.mark.parametrize("world", [1, 2, 3, 4, 8])
def test_state_per_rank_falls_as_one_over_n(world, monkeypatch):
    """Up to one matrix, which stays whole, with a number for each row, and one row of each table with its two moments."""
    optimizers = [optimizer for _, optimizer in ranks_of(world, monkeypatch=monkeypatch)]
    per_rank, params = [state_bytes(optimizer) for optimizer in optimizers], optimizers[0].params
    tables = {name for name in params if "blocks" not in name}
    total = 8 * sum(2 * p.numel() if name in tables else p.numel() + p.size(0) for name, p in params.items())
    largest = max(p.numel() + p.size(0) for name, p in params.items() if name not in tables)
    rows = 2 * sum(params[name].size(1) for name in tables)
    assert sum(per_rank) == total and max(per_rank) <= total / world + 8 * (largest + rows)
    if world in (1, 2, 4):  # powers of two divide 4 layers and 64 rows: nothing is left over but numbers for rows
        large = sum(p.numel() * (2 if name in tables else 1) for name, p in params.items())
        assert {moments_bytes(optimizer.state_tensors()) for optimizer in optimizers} == {8 * large // world}


@pytest.mark.parametrize("before, after", [(1, 2), (2, 4), (3, 2), (4, 1)])
def test_moments_saved_by_any_number_of_ranks_are_read_by_any_other(before, after, monkeypatch):
    saved, whole = {}, {}
    for _, optimizer in ranks_of(before, depth=2, monkeypatch=monkeypatch):
        for shard in optimizer.owned:
            for moment, tensor in optimizer.state[shard.key].items():
                key = f"{moment}/{shard.name}"
                whole.setdefault(key, torch.randn(len(optimizer.params[shard.name]), *tensor.shape[1:],
                                                       dtype=torch.float64))
                tensor.copy_(whole[key][shard.rows])
        assert not saved.keys() & optimizer.state_tensors().keys()
        saved |= optimizer.state_tensors()
    for _, optimizer in ranks_of(after, depth=2, monkeypatch=monkeypatch):
        optimizer.load_state_tensors(saved, 7)
        assert optimizer.num_updates == 7
        for shard in optimizer.owned:
            for moment, tensor in optimizer.state[shard.key].items():
                assert torch.equal(tensor, whole[f"{moment}/{shard.name}"][shard.rows])


class FakeCollectives:
    """Writes down what is sent, in order."""

    def __init__(self, monkeypatch, events):
        for name in ("reduce", "broadcast"):
            monkeypatch.setattr(optim.dist, name, partial(self.send, name))
        monkeypatch.setattr(optim.dist, "all_reduce", lambda tensor: None)
        self.events = events

    def send(self, name, tensor, owner, async_op):
        assert async_op
        self.events.append((name, tuple(tensor.shape), owner))
        return self

    def wait(self):
        self.events.append(("wait",))


def test_only_the_last_pass_sends_gradients_and_while_it_still_runs(monkeypatch):
    events = []
    FakeCollectives(monkeypatch, events)
    model, optimizer = ranks_of(2, depth=2, monkeypatch=monkeypatch)[1]
    for name, p in model.named_parameters():
        p.register_post_accumulate_grad_hook(lambda _, name=name: events.append(("whole", name)))
    model.loss_sum(tokens(2, 16), tokens(2, 16, seed=1))[0].backward()
    assert [event[1] for event in events] == backward_order(model)
    events.clear()
    optimizer.start_reducing()
    model.loss_sum(tokens(2, 16), tokens(2, 16, seed=1))[0].backward()
    sent = [event for event in events if event[0] == "reduce"]
    assert len(sent) == sum(len(shards) for shards in optimizer.shards.values())
    first = events.index(("reduce", (32, 32), 0))  # the first half of the head's 64 rows
    assert events.index(("whole", "blocks.0.q.weight")) > first
    optimizer.reduce_gradients()
    assert [event[0] for event in events if event[0] != "whole"] == ["reduce"] * len(sent) + ["wait"] * len(sent)
    events.clear()
    optimizer.step(lr_mult=1.0, momentum=0.9, is_good=torch.tensor(True))
    assert [event[0] for event in events] == ["broadcast"] * len(sent) + ["wait"] * len(sent)


def test_collectives_start_in_the_same_order_whatever_order_gradients_come_in(monkeypatch):
    orders = []
    for arrival in (["a", "b", "c"], ["c", "b", "a"], ["b", "a"], []):  # the last ranks had nothing to learn from
        events = []
        FakeCollectives(monkeypatch, events)
        params = {name: torch.nn.Parameter(torch.zeros(size, 4)) for name, size in (("a", 2), ("b", 4), ("c", 6))}
        optimizer = MuonAdamW([ParamGroup("adamw", params, lr=0.1)], world=2)
        optimizer.start_reducing()
        for name in arrival:
            params[name].sum().backward()
        optimizer.reduce_gradients()
        orders.append([event for event in events if event[0] == "reduce"])
    assert orders[0] and all(order == orders[0] for order in orders)


def test_a_rank_that_owns_nothing_takes_part_in_every_collective(monkeypatch):
    said = []
    for rank in range(3):
        events = []
        FakeCollectives(monkeypatch, events)
        p = torch.nn.Parameter(torch.eye(4))
        optimizer = MuonAdamW([ParamGroup("muon", {"w": p}, lr=0.1)], rank=rank, world=3)
        p.grad = torch.eye(4)
        optimizer.reduce_gradients()
        said.append((optimizer.scale_gradients(1.0).item(), len(optimizer.owned), torch.equal(p, torch.eye(4))))
        optimizer.step(lr_mult=1.0, momentum=0.9, is_good=torch.tensor(True))
        assert [event[0] for event in events] == ["reduce", "wait", "broadcast", "wait"]
    assert said == [(2.0, 1, True), (0.0, 0, True), (0.0, 0, True)]
