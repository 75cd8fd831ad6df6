"""Policy gradients for answers that can be graded: REINFORCE with the group's mean as baseline.

Each prompt is sampled several times; an answer's advantage is its reward minus the mean of its group. Samples are
used for one update only, so the ratio to the sampling policy is 1 and neither clipping nor a KL term is needed.
Every sampled token weighs the same over the whole batch (DAPO, arXiv:2503.14476), there is no division by the
group's deviation (Dr. GRPO, arXiv:2503.20783), and groups whose rewards agree teach nothing and are left out.
Supervised conversations of the stage before may be replayed in the same update (PPO-ptx, arXiv:2203.02155, eq. 2).
"""

from nanochat.packing import Sequence


def advantages(rewards: list[float]) -> list[float]:
    """Rewards of one prompt's samples, minus their mean."""
    mean = sum(rewards) / len(rewards)
    return [reward - mean for reward in rewards]


def policy_sequences(prompt: list[int], completions, rewards: list[float]) -> list[Sequence]:
    """The group as training sequences: sampled ids are targets weighted by the advantage; the prompt and ids that a
    tool spliced in (completion.forced) are not. Empty when all rewards agree.

    The weighted sum of -log p over these, divided by the number of targets, has the policy gradient as gradient.
    """
    if len(set(rewards)) < 2:
        return []
    sequences = []
    for completion, advantage in zip(completions, advantages(rewards)):
        if completion.error is None and completion.ids:
            mask = [0] * len(prompt) + [0 if forced else 1 for forced in completion.forced]
            ids = prompt + list(completion.ids)
            sequences.append(Sequence(ids, mask, [advantage * m for m in mask]))
    return sequences


def replay_sequences(rendered, max_tokens: int) -> list[Sequence]:
    """(ids, mask) pairs as sequences that count like right answers: a target's weight is 1, where that of a sampled
    token is its advantage. One that predicts more than max_tokens positions is left out."""
    return [Sequence(ids, mask, [float(m) for m in mask]) for ids, mask in rendered if len(ids) <= max_tokens + 1]
