"""Truth: gradients of a tiny softmax by autograd, formulas worked by hand, KL by summing over all tokens."""

import math
from types import SimpleNamespace

import pytest
import torch

from nanochat.policy import (PolicyBatch, PolicySequence, Tally, advantages, is_clipped, kl_k3, policy_batches,
                             policy_sequences, replay_sequences, token_weights, weighted_batches)
from nanochat.tinyworld_chats import SKILLS, UNGRADED, conversation

CPU = torch.device("cpu")


def completion(ids, forced=None, finish_reason="stop"):
    return SimpleNamespace(ids=ids, forced=forced or [False] * len(ids), logprobs=[-float(i) for i in ids],
                           finish_reason=finish_reason)


def test_advantages_are_rewards_minus_their_mean():
    assert advantages([1, 0, 0, 1]) == [0.5, -0.5, -0.5, 0.5]


@pytest.mark.parametrize("rewards", [[0.0, 0.0, 0.0], [1.0, 1.0], [1.0, None], [None, None]])
def test_groups_that_agree_teach_nothing(rewards):
    assert policy_sequences([1], [completion([2])] * len(rewards), rewards) == []


def test_prompt_and_tool_output_are_no_targets():
    group = [completion([5, 6, 7], [False, True, False]), completion([8])]
    first, second = policy_sequences([1, 2], group, [1.0, 0.0])
    assert first.ids == [1, 2, 5, 6, 7] and first.mask == [0, 0, 1, 0, 1] and first.weights == [0, 0, 0.5, 0, 0.5]
    assert second.ids == [1, 2, 8] and second.weights == [0, 0, -0.5]


def test_a_sample_without_a_reward_costs_nobody_else_anything():
    group = [completion([2]), completion([9]), completion([3])]
    assert policy_sequences([1], group, [1.0, None, 0.0]) == policy_sequences([1], group[::2], [1.0, 0.0])


def test_a_cut_answer_is_a_sample_like_any_other():
    group = [completion([2], finish_reason="length"), completion([3])]
    assert [s.weights[1] for s in policy_sequences([1], group, [0.0, 1.0])] == [-0.5, 0.5]


def test_the_weighted_loss_has_the_policy_gradient_as_gradient():
    """d/dlogit of -sum(A * log p): for p = softmax(logits), A (p - onehot), summed over the samples."""
    logits = torch.zeros(2, requires_grad=True)
    group = policy_sequences([0], [completion([0]), completion([1]), completion([1])], [1.0, 0.0, 0.0])
    loss = sum(-sequence.weights[1] * logits.log_softmax(0)[sequence.ids[1]] for sequence in group)
    loss.backward()
    assert logits.grad.tolist() == pytest.approx([-2 / 3, 2 / 3])


def test_what_several_samples_say_is_trained_on_once():
    """A tool's output makes an answer another one than the same ids sampled."""
    group = [completion([5, 6]), completion([7]), completion([5, 6]), completion([5, 6], [False, True])]
    found = policy_sequences([1], group, [1.0, 0.0, 1.0, 0.0])
    assert [(s.ids, s.weights, s.count) for s in found] == [
        ([1, 5, 6], [0, 1.0, 1.0], 2), ([1, 7], [0, -0.5], 1), ([1, 5, 6], [0, -0.5, 0], 1)]


def test_what_is_replayed_has_the_gradient_of_supervised_learning():
    logits = torch.zeros(3, requires_grad=True)
    replayed, = replay_sequences([([0, 2], [0, 1])], max_tokens=1)
    (-replayed.weights[1] * logits.log_softmax(0)[replayed.ids[1]]).backward()
    assert logits.grad.tolist() == pytest.approx(torch.tensor([1 / 3, 1 / 3, -2 / 3]).tolist())


def test_a_conversation_too_long_for_a_row_is_not_replayed():
    assert [s.ids for s in replay_sequences([([1, 2, 3, 4], [0, 0, 1, 1]), ([1, 2, 3], [0, 0, 1])], 2)] == [[1, 2, 3]]


def test_no_replayed_conversation_is_about_a_practised_skill():
    """A gain of the practised skill is then practice, not more supervised learning of it."""
    others = tuple(skill for skill in (*SKILLS, *UNGRADED) if skill != "format")
    sources = {conversation("train", i, 2, others)["source"] for i in range(600)}
    assert sources == {f"tinyworld/{skill}" for skill in others}


# -----------------------------------------------------------------------------
# k3, clip, and the weights that stand for them

def test_k3_by_hand_and_on_average_the_kl():
    """p = (1/2, 1/4, 1/4), q = (1/4, 1/4, 1/2): k3 is r - 1 - log r for r = q/p = 1/2, 1, 2."""
    p, q = torch.tensor([0.5, 0.25, 0.25]).double(), torch.tensor([0.25, 0.25, 0.5]).double()
    k3 = kl_k3(p.log(), q.log())
    assert k3.tolist() == pytest.approx([math.log(2) - 0.5, 0, 1 - math.log(2)])
    assert (p * k3).sum().item() == pytest.approx((p * (p / q).log()).sum().item())


def test_clip_stops_what_has_moved_the_way_it_is_pushed():
    ratio = torch.tensor([1.3, 1.1, 0.7, 1.3, 0.9, 0.7])
    advantage = torch.tensor([1.0, 1.0, 1.0, -1.0, -1.0, -1.0])
    assert is_clipped(advantage, ratio, 0.2).tolist() == [True, False, False, False, False, True]


@pytest.mark.parametrize("clip, kl", [(None, 0.0), (0.2, 0.0), (None, 0.3), (0.2, 0.3)])
def test_weights_have_the_gradient_of_the_objective(clip, kl):
    """Against autograd of the objective as written in the papers, over logits of 40 sampled tokens."""
    torch.manual_seed(0)
    logits = torch.randn(40, 5, dtype=torch.float64, requires_grad=True)
    ids, advantage = torch.randint(5, (40,)), torch.randn(40).double()
    logprobs = logits.log_softmax(1)[torch.arange(40), ids]
    old, reference = (logprobs.detach() + 0.3 * torch.randn(40).double() for _ in range(2))
    ratio = (logprobs - old).exp()
    gain = advantage * logprobs if clip is None else torch.minimum(ratio * advantage,
                                                                   ratio.clamp(1 - clip, 1 + clip) * advantage)
    r = (reference - logprobs).exp()
    expected, = torch.autograd.grad((-gain + kl * (r - 1 - r.log())).sum(), logits, retain_graph=True)
    weights = token_weights(advantage, logprobs.detach(), old, reference, clip=clip, kl=kl)
    got, = torch.autograd.grad((weights * -logprobs).sum(), logits)
    torch.testing.assert_close(got, expected)


# -----------------------------------------------------------------------------
# The batches

class Table:
    """A model of three ids whose log-probabilities do not depend on what stands before."""

    def __init__(self, *probs):
        self.logprobs = torch.tensor(probs).log()

    def target_logprobs(self, idx, targets, *, doc_ids):
        return self.logprobs[targets.clamp(min=0)].masked_fill(targets < 0, 0.0)


def batch_of(*sequences) -> PolicyBatch:
    batch, = policy_batches(list(sequences), sequence_len=8, device_batch_size=4, pad_id=0, device=CPU)
    return batch


def sampled(ids, weight, logprobs):
    return PolicySequence([0, *ids], [0] + [1] * len(ids), [0.0] + [weight] * len(ids), [math.nan, *logprobs])


def test_the_gap_is_over_sampled_tokens_alone():
    replayed, = replay_sequences([([0, 1], [0, 1])], max_tokens=8)
    batch, tally = batch_of(sampled([1, 2], 0.5, [-1.0, -2.0]), replayed), Tally()
    batch.inputs["logprobs_out"].fill_(-1.5)
    tally.add_gap(batch)
    assert tally.metrics(CPU) == {"logprob_gap": 0.5, "logprob_gap_max": 0.5} and tally.num_tokens == 2
    assert Tally().metrics(CPU) == {}


@pytest.mark.parametrize("fill", [False, True])
@pytest.mark.parametrize("sequence_len", [200, 300])
def test_long_and_short_sequences_are_all_trained_on_once(sequence_len, fill):
    """Rows of 256 where that is shorter, of the model's length for what does not fit; the passes stay about as large,
    and those of short rows, filled, are of one size."""
    rng = torch.Generator().manual_seed(0)
    lengths = torch.randint(2, sequence_len + 2, (57,), generator=rng).tolist()
    sequences = [sampled([n % 7] * (n - 1), 0.5, [-float(n)] * (n - 1)) for n in lengths]
    batches = policy_batches(sequences, sequence_len=sequence_len, device_batch_size=8, pad_id=0, device=CPU, fill=fill)
    found = torch.cat([b.sampled_logprobs[~b.sampled_logprobs.isnan()] for b in batches])
    assert sorted(found.tolist()) == sorted(-float(n) for n in lengths for _ in range(n - 1))
    assert {b.inputs["idx"].size(1) for b in batches} == ({256, 300} if sequence_len == 300 else {200})
    assert all(b.inputs["idx"].numel() <= 8 * sequence_len for b in batches)
    heights = [len(b.inputs["idx"]) for b in batches if b.inputs["idx"].size(1) == min(sequence_len, 256)]
    assert len(heights) > 1 and (len(set(heights)) == 1) is fill


def test_tool_output_has_no_gap_and_no_weight():
    group = [completion([1, 2], [False, True]), completion([2])]
    batch = batch_of(*policy_sequences([0], group, [1.0, 0.0]))
    assert (~batch.sampled_logprobs.isnan()).sum() == 2 and (batch.inputs["targets"] >= 0).sum() == 2


@pytest.mark.parametrize("clip, kl", [(0.2, 0.0), (None, 0.3), (0.2, 0.3)])
def test_an_answer_that_stands_for_three_weighs_as_much_as_the_three_do(clip, kl):
    group, rewards = [completion(ids) for ids in ([1, 2], [0], [1, 2], [1, 2], [2, 2])], [1.0, 0.0, 1.0, 1.0, 0.0]
    policy, reference = Table(0.25, 0.5, 0.25), Table(0.5, 0.25, 0.25)
    one_by_one = [sampled(c.ids, reward - 0.6, c.logprobs) for c, reward in zip(group, rewards)]
    sums, tallies = [], []
    for sequences in (policy_sequences([0], group, rewards), one_by_one):
        tallies.append(Tally())
        inputs, = weighted_batches(policy, reference, [batch_of(*sequences)], tallies[-1], clip=clip, kl=kl)
        sums.append([inputs["row_weights"][inputs["targets"] == i].sum().item() for i in range(3)])
    assert sums[0] == pytest.approx(sums[1]) and tallies[0].metrics(CPU) == pytest.approx(tallies[1].metrics(CPU))
    assert len(policy_sequences([0], group, rewards)) == 3


def test_replayed_tokens_keep_their_weight_when_samples_are_reweighted():
    """By hand: policy 0.5, engine 0.25, so the ratio is 2; reference 0.25, so kl * (0.25 / 0.5 - 1) = -0.05."""
    replayed, = replay_sequences([([0, 1], [0, 1])], max_tokens=8)
    batch, tally = batch_of(sampled([1], -0.5, [math.log(0.25)]), replayed), Tally()
    inputs, = weighted_batches(Table(0.25, 0.5, 0.25), Table(0.5, 0.25, 0.25), [batch], tally, clip=0.2, kl=0.1)
    weights = inputs["row_weights"][inputs["targets"] >= 0]
    assert sorted(weights.tolist()) == pytest.approx([2 * -0.5 - 0.05, 1.0])
    assert tally.metrics(CPU) == {"kl": pytest.approx(0.5 - 1 + math.log(2)), "clipped": 0.0}
    inputs, = weighted_batches(Table(0.25, 0.5, 0.25), None, [batch_of(sampled([1], 0.5, [math.log(0.25)]))], tally,
                               clip=0.2, kl=0.0)
    assert inputs["row_weights"].sum() == 0 and tally.num_clipped == 1
