"""Several sampled answers to each question: what each is worth, and pass@k, how often one of k is right.

Grading runs in a few threads, because a grader may be another process that takes its time (a sandbox, a person's reward
file). Left out: shares of right in pass@k; a sample with a score below 1 counts as wrong.
"""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import NamedTuple

import torch

from nanochat.common import all_reduce_sum
from nanochat.conversation import render_prompt
from nanochat.engine import Completion, Engine, SamplingParams
from nanochat.task import Example, Task
from nanochat.task_eval import choose_items, grade, wilson_interval

ROLLOUT_ROWS = 256  # answers at once; 128 took 5% longer on two cores (dev/LOG.md)
GRADERS = 4  # threads
EVAL_STEP = -1  # for seeds: no training step has it


class Reward(NamedTuple):
    value: float | None     # in [0, 1]; None when there is none
    problem: str | None     # then: what went wrong with the answer or its grader


class PassAtK(NamedTuple):
    value: float
    ci95: tuple[float, float]
    n: int  # questions


def reward_groups(asked: list[tuple[Task, Example]], groups: list[list[Completion]]) -> list[list[Reward]]:
    """The reward of every answer, one group per question asked. What fails costs its own answer alone."""
    with ThreadPoolExecutor(GRADERS) as pool:
        graded = [[(answer, pool.submit(grade, task, example, answer)) for answer in group]
                  for (task, example), group in zip(asked, groups, strict=True)]
        return [[reward_of(answer, found.result()) for answer, found in group] for group in graded]


def reward_of(answer: Completion, found) -> Reward:
    problem = answer.error or found.failure
    return Reward(None, problem) if problem else Reward(found.score, None)


def sample_seed(seed: int, step: int, question: int) -> int:
    """Depends on what is asked and when, not on which rank asks."""
    return (seed * 1_000_003 + step) * 1_000_003 + question


# -----------------------------------------------------------------------------
# pass@k

def evaluate_pass_at_k(engine: Engine, task: Task, params: SamplingParams, *, max_items: int, seed: int,
                       rank: int = 0, world: int = 1, device: torch.device | None = None) -> dict[int, PassAtK]:
    """{k: ...} for some k up to params.n, from params.n answers to each of max_items questions, shared out over the
    ranks. The same questions and noise for the same seed. An answer without a reward counts as wrong."""
    indices = choose_items(len(task), max_items, 0)[rank::world]
    asked = [(task, task[i]) for i in indices]
    prompts = [render_prompt(engine.tokenizer, example.conversation) for _, example in asked]
    groups = engine.generate(prompts, [replace(params, seed=sample_seed(seed, EVAL_STEP, i)) for i in indices])
    num_right = [sum(reward.value == 1 for reward in group) for group in reward_groups(asked, groups)]
    ks = chosen_ks(params.n)
    *totals, n = all_reduce_sum(*(sum(pass_at_k(params.n, c, k) for c in num_right) for k in ks), len(indices),
                                device=device)
    return {k: mean_pass_at_k(total, int(n)) for k, total in zip(ks, totals)}


def pass_at_k(num_samples: int, num_right: int, k: int) -> float:
    """Chance that k of the samples, drawn without putting back, hold a right one. Its mean over questions is an
    unbiased estimate of pass@k (Chen et al. 2021, arXiv:2107.03374, eq. 1).

    >>> pass_at_k(4, 1, 2), pass_at_k(8, 0, 8), pass_at_k(3, 2, 2)
    (0.5, 0.0, 1.0)
    """
    return 1 - math.comb(num_samples - num_right, k) / math.comb(num_samples, k)


def chosen_ks(num_samples: int) -> list[int]:
    """Powers of two up to the number of samples, and that number.

    >>> chosen_ks(6)
    [1, 2, 4, 6]
    """
    return sorted({2 ** i for i in range(num_samples.bit_length())} | {num_samples})


def mean_pass_at_k(total: float, num_questions: int) -> PassAtK:
    """From the sum of pass_at_k over questions. The interval is Wilson's for a proportion: values between 0 and 1 with
    a given mean vary most when they are 0 or 1, so it is too wide rather than too narrow. A bootstrap would give 50
    zeros an interval of width 0."""
    return PassAtK(total / max(1, num_questions), wilson_interval(total, num_questions), num_questions)


def describe_pass_at_k(found: dict[int, PassAtK]) -> str:
    """
    >>> describe_pass_at_k({1: PassAtK(0.25, (0.1, 0.5), 20)})
    'pass@1 25.0% (10.0 to 50.0)'
    """
    return ", ".join(f"pass@{k} {100 * p.value:.1f}% ({100 * p.ci95[0]:.1f} to {100 * p.ci95[1]:.1f})"
                     for k, p in found.items())
