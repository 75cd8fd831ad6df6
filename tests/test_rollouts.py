"""Truth: pass@k by drawing every subset; graders that misbehave."""

import itertools
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from nanochat.common import UserError
from nanochat.engine import Completion, SamplingParams
from nanochat.rollouts import evaluate_pass_at_k, mean_pass_at_k, pass_at_k, reward_groups
from nanochat.task import Example, Task
from nanochat.task_eval import evaluate_task
from scripts import chat_rl
from tests.rigged_engine import byte_tokenizer


def answer(text, error=None):
    return Completion([1], text, [], [0.0], [False], "stop", error)


class Echo(Task):
    """Right is what the question names; "raise" raises and "nan" is not a number."""
    name, kind = "echo", "generate"

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return Example({"messages": [{"role": "user", "content": f"say {index}"}]}, answer=str(index))

    def grade(self, example, text):
        return {"raise": lambda: 1 / 0, "nan": lambda: float("nan")}.get(text, lambda: float(text == example.answer))()


@pytest.mark.parametrize("n", [1, 2, 5, 6])
def test_pass_at_k_is_the_share_of_subsets_with_a_right_one(n):
    for right in range(n + 1):
        for k in range(1, n + 1):
            subsets = list(itertools.combinations([True] * right + [False] * (n - right), k))
            assert pass_at_k(n, right, k) == pytest.approx(sum(map(any, subsets)) / len(subsets))


def test_its_interval_is_wilsons_also_at_zero():
    assert mean_pass_at_k(0.0, 50).ci95 == (0.0, pytest.approx(0.0713, abs=1e-4))  # 3.8416 / 53.8416
    assert mean_pass_at_k(81, 263).ci95 == pytest.approx((0.2553, 0.3662), abs=1e-4)


def test_a_grader_that_fails_costs_its_own_answer_alone():
    task = Echo()
    group = [answer("0"), answer("raise"), answer("1"), answer("nan"), answer("", error="too long")]
    (rewards,) = reward_groups([(task, task[0])], [group])
    assert [reward.value for reward in rewards] == [1.0, None, 0.0, None, None]
    assert "ZeroDivisionError" in rewards[1].problem and "nan" in rewards[3].problem
    assert rewards[4].problem == "too long"


@pytest.mark.parametrize("said, is_refused", [
    (["raise", "nan", "raise", "raise"], True), (["raise", "nan", "raise", "wrong"], False), (["0", "1", "2", "3"], False)])
def test_rl_does_not_begin_where_no_answer_can_be_graded(said, is_refused):
    engine = SimpleNamespace(tokenizer=byte_tokenizer(), generate=lambda *_: [[answer(text)] for text in said])
    results = {"echo": evaluate_task(engine, Echo())}
    refused = pytest.raises(UserError, match="echo: none of its 4.*ZeroDivisionError")
    with refused if is_refused else nullcontext():
        chat_rl.require_some_grade(results)


def test_pass_at_k_of_a_task_by_hand():
    """Of two samples 0, 1, 2 and 1 are right: pass@1 = (0 + 1/2 + 1 + 1/2) / 4, pass@2 = 3/4. The same on two ranks."""
    right = {0: 0, 1: 1, 2: 2, 3: 1}

    def generate(prompts, params):
        assert all(p.n == 2 for p in params) and len({p.seed for p in params}) == len(prompts)
        asked = [int(tokenizer.decode(prompt).partition("say ")[2][0]) for prompt in prompts]
        return [[answer(str(i) if number < right[i] else "no") for number in range(2)] for i in asked]
    tokenizer = byte_tokenizer()
    engine = SimpleNamespace(tokenizer=tokenizer, generate=generate)
    found = evaluate_pass_at_k(engine, Echo(), SamplingParams(n=2), max_items=4, seed=0)
    assert {k: (p.value, p.n) for k, p in found.items()} == {1: (0.5, 4), 2: (0.75, 4)}
    halves = [evaluate_pass_at_k(engine, Echo(), SamplingParams(n=2), max_items=4, seed=0, rank=rank, world=2)
              for rank in range(2)]
    assert sum(half[2].value * half[2].n for half in halves) == 3
