"""Truth: the policy gradient of a two-armed choice, worked by hand."""

from types import SimpleNamespace

import pytest
import torch

from nanochat.policy import advantages, policy_sequences


def completion(ids, forced=None, error=None):
    return SimpleNamespace(ids=ids, forced=forced or [False] * len(ids), error=error)


def test_advantages_are_rewards_minus_their_mean():
    assert advantages([1, 0, 0, 1]) == [0.5, -0.5, -0.5, 0.5]


@pytest.mark.parametrize("rewards", [[0.0, 0.0, 0.0], [1.0, 1.0]])
def test_groups_that_agree_teach_nothing(rewards):
    assert policy_sequences([1], [completion([2])] * len(rewards), rewards) == []


def test_prompt_and_tool_output_are_no_targets():
    group = [completion([5, 6, 7], [False, True, False]), completion([8])]
    first, second = policy_sequences([1, 2], group, [1.0, 0.0])
    assert first.ids == [1, 2, 5, 6, 7] and first.mask == [0, 0, 1, 0, 1] and first.weights == [0, 0, 0.5, 0, 0.5]
    assert second.ids == [1, 2, 8] and second.weights == [0, 0, -0.5]


def test_failed_samples_are_left_out():
    assert len(policy_sequences([1], [completion([2]), completion([], error="bad"), completion([3])], [1.0, 0.0, 0.0])) == 2


def test_the_weighted_loss_has_the_policy_gradient_as_gradient():
    """d/dlogit of -sum(A * log p): for p = softmax(logits), A (p - onehot), summed over the samples."""
    logits = torch.zeros(2, requires_grad=True)
    group = policy_sequences([0], [completion([0]), completion([1]), completion([1])], [1.0, 0.0, 0.0])
    loss = sum(-sequence.weights[1] * logits.log_softmax(0)[sequence.ids[1]] for sequence in group)
    loss.backward()
    assert logits.grad.tolist() == pytest.approx([-2 / 3, 2 / 3])
