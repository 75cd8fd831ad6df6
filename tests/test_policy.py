"""Truth: the policy gradient of a two-armed choice, worked by hand."""

from types import SimpleNamespace

import pytest
import torch

from nanochat.policy import advantages, policy_sequences, replay_sequences
from nanochat.tinyworld_chats import SKILLS, UNGRADED, conversation


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
