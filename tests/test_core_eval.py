"""Truth: prompts of each kind written out by hand, the bundle's own tables, arithmetic, and models whose answers are
known."""

import csv
import json
import math
import random
import re

import numpy as np
import pytest
import torch
from rigged_engine import Guesser, Rigged, byte_tokenizer
from test_gpt import tiny_gpt

from dev.core_speed import score_padded
from nanochat.common import UserError
from nanochat.core_eval import (CORE, SEED, CoreSpec, CoreTask, core_metric, estimate_mean_of_groups, evaluate_core_task,
                                load_core, mean_of_centred)
from nanochat.engine import Engine
from nanochat.likelihood import build_question
from nanochat.paired import compare
from nanochat.task_eval import choose_items

TOK = byte_tokenizer()
CHOICES = [{"query": " Q1", "choices": ["x ", "y"], "gold": 0}, {"query": "Q2 ", "choices": ["u", "v"], "gold": 1}]
SCHEMAS = [{"context_options": ["The cat", "The mat"], "continuation": "sat.", "gold": 0},
           {"context_options": ["A dog", "A log"], "continuation": " ran.", "gold": 0}]
TEXTS = [{"context": "1+1=\n", "continuation": "2"}, {"context": "2+2=", "continuation": "4"}]


def prompts(kind, rows, num_fewshot, delimiter=" ", index=0):
    task = CoreTask(CoreSpec("t", "t.jsonl", kind, num_fewshot, 0.25, delimiter), rows)
    question = build_question(TOK, kind, task[index], 1000)
    return [(TOK.decode(prefix).removeprefix("<|bos|>"), TOK.decode(continuation))
            for prefix, continuation in question.pairs]


@pytest.mark.parametrize("kind, rows, delimiter, by_hand", [
    ("choice", CHOICES, "\nAnswer: ", [("Q2\nAnswer: v\nQ1\nAnswer:", " x"), ("Q2\nAnswer: v\nQ1\nAnswer:", " y")]),
    ("choice", CHOICES, " ", [("Q2 v\nQ1", " x"), ("Q2 v\nQ1", " y")]),
    ("schema", SCHEMAS, " ", [("A dog ran.\nThe cat", " sat."), ("A dog ran.\nThe mat", " sat.")]),
    ("lm", TEXTS, " ", [("2+2= 4\n1+1=", " 2")])])
def test_prompts_are_those_written_by_hand(kind, rows, delimiter, by_hand):
    assert prompts(kind, rows, 1, delimiter) == by_hand
    assert prompts(kind, rows, 99, delimiter) == by_hand  # no more examples than there are (upstream #550)
    without = [(text.partition("\n")[2] if delimiter == " " else "Q1\nAnswer:", answer) for text, answer in by_hand]
    assert prompts(kind, rows, 0, delimiter) == without


def test_examples_are_others_drawn_anew_for_each_item_and_of_its_category():
    rows = [{"context": f"c{i}", "continuation": "x", "category": "ab"[i % 2]} for i in range(60)]
    task = CoreTask(CoreSpec("t", "t.jsonl", "lm", 10, 0.0), rows)
    for i in range(60):
        shown = [int(n) for n in re.findall(r"c(\d+)", task[i].meta["preamble"])]
        assert len(set(shown)) == len(shown) == 10 and i not in shown and {n % 2 for n in shown} == {i % 2}
    assert len({task[i].meta["preamble"] for i in range(60)}) == 60
    assert task[7] == CoreTask(task.spec, rows)[7]


# -----------------------------------------------------------------------------
# The bundle

def test_the_22_tasks_are_those_of_the_bundle(shared_data):
    blocks = (shared_data / "tasks" / "core" / "core.yaml").read_text().split("-\n")[1:]
    entries = [dict(re.findall(r"^  (\w+): (.*)$", block, re.M)) for block in blocks]
    with open(shared_data / "tasks" / "core" / "eval_meta_data.csv") as f:
        baselines = {row["Eval Task"]: float(row["Random baseline"]) for row in csv.DictReader(f)}
    kinds = {"multiple_choice": "choice", "schema": "schema", "language_modeling": "lm"}
    assert len(CORE) == 22 == len(entries)
    for spec, entry in zip(CORE, entries):
        assert (spec.label, spec.file, spec.kind) == (entry["label"], entry["dataset_uri"], kinds[entry["icl_task_type"]])
        assert [spec.num_fewshot] == json.loads(entry["num_fewshot"])
        assert spec.delimiter == json.loads(entry.get("continuation_delimiter", '" "'))
        assert spec.baseline == pytest.approx(baselines[spec.label] / 100)


@pytest.fixture(scope="module")
def core_tasks(request):
    from conftest import SHARED_DATA
    if not SHARED_DATA.is_dir():
        pytest.skip("no shared data beside the checkout")
    return load_core(SHARED_DATA / "tasks" / "core")


def test_every_task_loads_and_a_guesser_scores_chance(core_tasks):
    """Of the choices that are given, which is not the baseline where that is a majority's or another count's."""
    guesser = Guesser(0, TOK)
    for task in core_tasks:
        result = evaluate_core_task(guesser, task, max_items=120)
        options = [len(task[record["index"]].choices) for record in result.records]
        chance = 0.0 if task.kind == "lm" else sum(1 / n for n in options) / len(options)
        if task.name not in ("boolq", "bigbench_language_identification", "commonsense_qa", "agi_eval_lsat_ar"):
            assert chance == pytest.approx(task.chance, abs=0.01), task.name
        assert abs(result.accuracy.value - chance) <= 3 * math.sqrt(chance * (1 - chance) / result.n), task.name


def solver(tasks, knows_item):
    """A model that is sure of the right answer to those items, and of a wrong one to the others."""
    right = {}
    for task in tasks:
        for i in range(len(task)):
            question = build_question(TOK, task.kind, task[i], 1 << 20)
            gold = 0 if task.kind == "lm" else task[i].answer
            for number, (prefix, continuation) in enumerate(question.pairs):
                key = TOK.decode(prefix).removeprefix("<|bos|>"), TOK.decode(continuation)
                right[key] = (number == gold) == knows_item(task, i)
    return Rigged(lambda prefix, continuation: 0 if right[prefix, continuation] else -1, tokenizer=TOK)


def test_a_rigged_model_scores_exactly_what_it_knows(core_tasks):
    few = [CoreTask(task.spec, task.rows[:12]) for task in core_tasks]
    everything = [evaluate_core_task(solver(few, lambda task, i: True), task) for task in few]
    assert all(result.accuracy.value == 1 == result.centred.value for result in everything)
    assert core_metric(few, everything) == (1.0, 0.0, (1.0, 1.0))
    engine = solver(few, lambda task, i: i % 3 == 0)
    results = [evaluate_core_task(engine, task) for task in few]
    expected = []
    for task, result in zip(few, results):
        shares = [sum(i % 3 == 0 for i in group) / len(group) for group in task.groups.values()]
        assert result.accuracy.value == pytest.approx(sum(shares) / len(shares))
        expected.append((result.accuracy.value - task.chance) / (1 - task.chance))
    assert core_metric(few, results).value == pytest.approx(sum(expected) / 22)


def test_a_subset_is_always_the_same_with_the_same_prompts(core_tasks):
    task = next(task for task in core_tasks if task.name == "arc_easy")
    few, more = (evaluate_core_task(Guesser(3, TOK), task, max_items=n) for n in (10, 30))
    assert [r["index"] for r in few.records] == [r["index"] for r in more.records][:10]
    assert max(r["index"] for r in few.records) > 100


@pytest.mark.parametrize("damage, said", [("missing", "no such file; --core-data wants"), ("torn", "copa.jsonl:2: not JSON"),
                                          ("keys", "copa.jsonl:1: expected query, choices, gold"),
                                          ("gold", "copa.jsonl:1: gold 2 of 2 options"), ("empty", "no rows")])
def test_a_damaged_bundle_is_named_by_file_and_line(tmp_path, damage, said):
    path = tmp_path / "eval_data" / "commonsense_reasoning" / "copa.jsonl"
    row = {"query": "q", "choices": ["a", "b"], "gold": 1}
    content = {"torn": json.dumps(row) + "\n{", "keys": '{"query": "q"}', "gold": json.dumps({**row, "gold": 2}), "empty": "\n"}
    path.parent.mkdir(parents=True)
    if damage != "missing":
        path.write_text(content[damage])
    with pytest.raises(UserError, match=said):
        load_core(tmp_path, ["copa"])


# -----------------------------------------------------------------------------
# Intervals

def test_the_bootstrap_is_that_of_items_drawn_one_by_one():
    groups = [[1.0] * 30 + [0.0] * 10, [1.0] * 5 + [0.0] * 45]
    estimate, draws = estimate_mean_of_groups(groups, "x")
    rng = np.random.default_rng(0)
    by_hand = np.mean([rng.choice(group, (20_000, len(group))).mean(axis=1) for group in groups], axis=0)
    assert estimate.value == pytest.approx((0.75 + 0.1) / 2)
    assert estimate.stderr == pytest.approx(math.sqrt(0.75 * 0.25 / 40 + 0.1 * 0.9 / 50) / 2)
    assert estimate.stderr == pytest.approx(by_hand.std(), rel=0.03) and draws.std() == pytest.approx(by_hand.std(), rel=0.03)
    assert estimate.ci95 == pytest.approx(np.quantile(by_hand, (0.025, 0.975)), abs=0.01)
    assert estimate == estimate_mean_of_groups(groups, "x")[0]


def test_intervals_of_the_mean_cover_the_truth_about_95_times_in_100():
    rng, chances, truth = random.Random(0), (0.25, 0.5, 0.0), (0.4, 0.6, 0.2)
    expected = sum((p - c) / (1 - c) for p, c in zip(truth, chances)) / 3
    covered = 0
    for trial in range(200):
        parts = []
        for task, (p, c) in enumerate(zip(truth, chances)):
            scores = [float(rng.random() < p) for _ in range(100)]
            parts.append((*estimate_mean_of_groups([scores], f"{trial}/{task}"), c))
        low, high = mean_of_centred(parts).ci95
        covered += low <= expected <= high
    assert 180 <= covered <= 198


def test_the_mean_of_fewer_tasks_is_not_core(core_tasks):
    few = core_tasks[:21]
    results = [evaluate_core_task(Guesser(0, TOK), task, max_items=2) for task in few]
    assert core_metric(few, results) is None


# -----------------------------------------------------------------------------
# A real engine

@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_core_is_the_same_batched_and_one_at_a_time(core_tasks, dtype, tolerance):
    def engine():
        return Engine(tiny_gpt(vocab_size=TOK.vocab_size, sequence_len=256), TOK, dtype=dtype, device=torch.device("cpu"))

    class OneAtATime:
        tokenizer, max_context, inner = TOK, 256, engine()

        def score(self, pairs):
            return [self.inner.score([pair])[0] for pair in pairs]
    for task in core_tasks[:2] + core_tasks[11:12]:  # one of each kind
        together = evaluate_core_task(engine(), task, max_items=12)
        alone = evaluate_core_task(OneAtATime(), task, max_items=12)
        assert [r["chosen"] for r in together.records] == [r["chosen"] for r in alone.records]
        assert together.accuracy == alone.accuracy
        for a, b in zip(together.records, alone.records):
            assert a["logprobs"] == pytest.approx(b["logprobs"], rel=tolerance, abs=tolerance)


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_core_is_the_same_as_one_padded_forward_pass_of_an_item(core_tasks, dtype, tolerance):
    """The field's way, which dev/core_speed.py is timed against."""
    model = tiny_gpt(vocab_size=TOK.vocab_size, sequence_len=256).to(dtype)
    engine = Engine(model, TOK, dtype=dtype, device=torch.device("cpu"), use_prefix_cache=False)
    task = core_tasks[0]
    items = [build_question(TOK, task.kind, task[i], 256).pairs for i in choose_items(len(task), 12, SEED)]
    found = [mean for record in evaluate_core_task(engine, task, max_items=12).records for mean in record["logprobs"]]
    for every_position in (True, False):
        assert found == pytest.approx(score_padded(model, items, every_position), rel=tolerance, abs=tolerance)


def test_two_models_are_compared_item_by_item(core_tasks):
    task = core_tasks[5]
    before, after = (evaluate_core_task(Guesser(seed, TOK), task) for seed in (0, 1))
    found = compare(*([int(r["score"]) for r in result.records] for result in (before, after)))
    assert found["n"] == len(task) and found["gained"] - found["lost"] == pytest.approx(
        len(task) * (after.accuracy.value - before.accuracy.value))
