"""Policy gradients for answers that can be graded: REINFORCE with the group's mean as baseline.

Each prompt is sampled several times; an answer's advantage A is its reward minus the mean of its group. Every sampled
token weighs the same over the whole batch (DAPO, arXiv:2503.14476), there is no division by the group's deviation
(Dr. GRPO, arXiv:2503.20783), and groups whose rewards agree teach nothing and are left out. What several samples of a
group say is trained on once, with the sum of their advantages: the same gradient from fewer tokens. Supervised
conversations of the stage before may be replayed in the same update (PPO-ptx, arXiv:2203.02155, eq. 2).

One update per batch of samples needs no more: the ratio to the policy that sampled is 1. Further updates on the same
samples weigh by that ratio, clipped (PPO, arXiv:1707.06347, eq. 7), and a KL term may hold the policy near the one it
started from. All of it enters the model's loss as a weight on the -log p of each sampled token: `token_weights`.

B rows, T time.
"""

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch

from nanochat.common import all_reduce_max, all_reduce_sum
from nanochat.packing import Sequence, collate, pack_greedily


SHORT_ROW = 256  # on a CPU: every position of a row is multiplied with all others, of its own answer or not


class PolicySequence(NamedTuple):
    """A packing.Sequence with what the engine said of it: log p per id, NaN where nothing was sampled, and how many
    samples it stands for."""
    ids: list[int]
    mask: list[int]
    weights: list[float]
    logprobs: list[float]
    count: int = 1


class PolicyBatch(NamedTuple):
    inputs: dict                    # of GPT.loss_sum; row_weights are advantages, 1 where replayed; fills logprobs_out
    sampled_logprobs: torch.Tensor  # (B, T) the engine's; NaN where the target was not sampled
    counts: torch.Tensor            # (B, T) of samples that a target stands for; row_weights has their sum


# -----------------------------------------------------------------------------
# Samples as sequences

def advantages(rewards: list[float]) -> list[float]:
    """Rewards of one prompt's samples, minus their mean."""
    mean = sum(rewards) / len(rewards)
    return [reward - mean for reward in rewards]


def policy_sequences(prompt: list[int], completions, rewards: list[float | None]) -> list[PolicySequence]:
    """The group as training sequences, each different answer once: sampled ids are targets weighted by the advantages
    of all who gave it; the prompt and ids that a tool spliced in (completion.forced) are not. Empty when all rewards
    agree.

    A reward of None (the answer or its grader failed) costs that sample alone: it is neither trained on nor part of the
    mean, since a 0 would tell the others that they were better than something. An answer cut at its token limit is a
    sample like any other, with the reward that its text earns, because that is also what an evaluation will say of it.
    DAPO masks such samples, lest sound long reasoning be punished; of short answers most that are cut ramble, and this
    is the only gradient against it. Where the limit itself is too tight, the number cut, printed each step, tells.

    The weighted sum of -log p over these has the policy gradient as gradient, up to a factor.
    """
    kept = [(completion, reward) for completion, reward in zip(completions, rewards) if reward is not None]
    if len({reward for _, reward in kept}) < 2:
        return []
    answers = {}  # each different one, and the advantages of those who gave it
    for (completion, _), advantage in zip(kept, advantages([reward for _, reward in kept])):
        key = tuple(completion.ids), tuple(completion.forced)
        answers.setdefault(key, (completion, []))[1].append(advantage)
    sequences = []
    for completion, found in answers.values():
        weight = sum(found)
        mask = [0] * len(prompt) + [0 if forced else 1 for forced in completion.forced]
        logprobs = [math.nan] * len(prompt) + [
            math.nan if forced else logprob for forced, logprob in zip(completion.forced, completion.logprobs)]
        sequences.append(PolicySequence(prompt + list(completion.ids), mask, [weight * m for m in mask], logprobs,
                                        len(found)))
    return sequences


def replay_sequences(rendered, max_tokens: int) -> list[PolicySequence]:
    """(ids, mask) pairs as sequences that count like right answers: a target's weight is 1, where that of a sampled
    token is its advantage. One that predicts more than max_tokens positions is left out."""
    return [PolicySequence(ids, mask, [float(m) for m in mask], [math.nan] * len(ids))
            for ids, mask in rendered if len(ids) <= max_tokens + 1]


def policy_batches(sequences: list[PolicySequence], *, sequence_len: int, device_batch_size: int, pad_id: int,
                   device: torch.device, fill: bool = False) -> list[PolicyBatch]:
    """Packed passes of about device_batch_size rows of sequence_len. On a CPU what fits goes into short rows. fill: of
    those all passes have the same number, the last one empty rows too, so that one compiled graph fits them all."""
    short_len = min(sequence_len, SHORT_ROW) if device.type == "cpu" else sequence_len
    is_short = [len(s.ids) - 1 <= short_len for s in sequences]
    batches = []
    for row_len, is_mine in ((short_len, True), (sequence_len, False)):
        rows = pack_greedily([s for s, short in zip(sequences, is_short) if short is is_mine], row_len)
        num_rows = device_batch_size * sequence_len // row_len
        rows += [[]] * (-len(rows) % num_rows if fill and is_mine else 0)
        batches += [policy_batch(rows[i:i + num_rows], row_len, pad_id, device) for i in range(0, len(rows), num_rows)]
    return batches


def policy_batch(rows: list[list[PolicySequence]], sequence_len: int, pad_id: int, device) -> PolicyBatch:
    """The engine's figures and the counts go through the same collation as the weights, so they stand at the same
    places."""
    columns = (lambda s: s.weights), (lambda s: s.logprobs), (lambda s: [s.count] * len(s.ids))
    batch, engines, counted = (collate([[Sequence(s.ids, s.mask, column(s)) for s in row] for row in rows],
                                       sequence_len, pad_id).to(device) for column in columns)
    inputs = batch._asdict() | {"logprobs_out": torch.zeros_like(engines.row_weights)}
    return PolicyBatch(inputs, engines.row_weights.masked_fill(batch.targets < 0, math.nan), counted.row_weights)


# -----------------------------------------------------------------------------
# The objective, token by token

class Tally:
    """Sums over the sampled tokens of one step, on this rank."""

    def __init__(self):
        self.num_tokens, self.gap, self.max_gap = 0, 0.0, 0.0
        self.num_kl, self.kl = 0, 0.0              # once an update
        self.num_ratios, self.num_clipped = 0, 0   # once an update

    def add_gap(self, batch: PolicyBatch):
        """After the first update's pass, whose model was the one that sampled; each different answer once."""
        logprobs, sampled_logprobs = batch.inputs["logprobs_out"], batch.sampled_logprobs
        gap = (logprobs - sampled_logprobs)[~sampled_logprobs.isnan()].abs()
        if gap.numel():
            self.num_tokens += gap.numel()
            self.gap += gap.sum().item()
            self.max_gap = max(self.max_gap, gap.max().item())

    def metrics(self, device: torch.device) -> dict:
        """Over all ranks: mean and largest |log p of the trainer - log p of the engine|, the mean k3 estimate of the KL
        to the starting policy, and the share of tokens that were clipped; only what there is."""
        num_tokens, gap, num_kl, kl, num_ratios, num_clipped = all_reduce_sum(
            self.num_tokens, self.gap, self.num_kl, self.kl, self.num_ratios, self.num_clipped, device=device)
        metrics = {}
        if num_tokens:
            metrics |= {"logprob_gap": gap / num_tokens, "logprob_gap_max": all_reduce_max(self.max_gap, device=device)}
        if num_kl:
            metrics["kl"] = kl / num_kl
        if num_ratios:
            metrics["clipped"] = num_clipped / num_ratios
        return metrics


def kl_k3(logprobs, reference_logprobs):
    """Estimate of KL(policy || reference) from one sampled token: r - 1 - log r for r = p_reference / p_policy,
    unbiased under the policy and never negative (k3 of Schulman 2020, joschu.net/blog/kl-approx.html)."""
    log_ratio = reference_logprobs - logprobs
    return log_ratio.expm1() - log_ratio


def is_clipped(advantages, ratio, clip: float):
    """Where min(ratio A, clamp(ratio, 1 - clip, 1 + clip) A) is the constant: the ratio has moved the way A pushes."""
    return torch.where(advantages > 0, ratio > 1 + clip, (ratio < 1 - clip) & (advantages < 0))


def token_weights(advantages, logprobs, sampled_logprobs, reference_logprobs=None, counts=1, *,
                  clip: float | None = None, kl: float = 0.0):
    """Weights w such that the sum of w * -log p has the gradient of the loss at these logprobs; all (B, T). A token that
    stands for several samples has their count, and the sum of their advantages.

    The loss is minus the objective plus kl * kl_k3. The objective is A log p while clip is None, else PPO's clipped one
    with the ratio to the policy that sampled, as the engine saw it:

        d(ratio A)/d(log p) = ratio A, or 0 where clipped        d(k3)/d(log p) = 1 - p_reference / p_policy
    """
    weights = advantages
    if clip is not None:
        ratio = (logprobs - sampled_logprobs).exp()
        weights = torch.where(is_clipped(advantages, ratio, clip), 0.0, ratio * advantages)
    if kl:
        weights = weights + kl * counts * (reference_logprobs - logprobs).expm1()
    return weights


def weighted_batches(model, reference, batches: Iterable[PolicyBatch], tally: Tally, *, clip: float | None,
                     kl: float) -> Iterator[dict]:
    """Micro-batches for train_step whose sampled tokens are weighted by the model as it is when each is drawn; what is
    replayed keeps its weight. `reference` is the starting policy, None without kl."""
    for inputs, sampled_logprobs, counts in batches:
        is_sampled = ~sampled_logprobs.isnan()
        logprobs = target_logprobs(model, inputs)
        reference_logprobs = target_logprobs(reference, inputs) if kl else None
        weights = token_weights(inputs["row_weights"], logprobs, sampled_logprobs, reference_logprobs, counts,
                                clip=clip, kl=kl)
        num_sampled = int(counts[is_sampled].sum())
        if kl:
            tally.num_kl += num_sampled
            tally.kl += (counts * kl_k3(logprobs, reference_logprobs))[is_sampled].sum().item()
        if clip is not None:
            ratio = (logprobs - sampled_logprobs).exp()
            tally.num_ratios += num_sampled
            tally.num_clipped += int(counts[is_clipped(inputs["row_weights"], ratio, clip) & is_sampled].sum())
        yield inputs | {"row_weights": torch.where(is_sampled, weights, inputs["row_weights"])}


def target_logprobs(model, inputs: dict):
    return model.target_logprobs(inputs["idx"], inputs["targets"], doc_ids=inputs["doc_ids"])
