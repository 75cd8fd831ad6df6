import itertools
import json

import pytest
import torch
from rigged_engine import Rigged
from test_checkpoint import save_step

from nanochat.checkpoint import model_json
from nanochat.conversation import visible_text
from nanochat.engine import Completion
from nanochat.gpt import GPT, GPTConfig
from nanochat.run import Run
from nanochat.task import Example, Task
from nanochat.task_eval import (choose_items, count_failures, evaluate_task, in_turn, manner_of, question_text,
                                wilson_interval)
from nanochat.tokenizer import Tokenizer
from scripts import chat_eval
from tasks.spelling import SpellingBee


class Sums(Task):
    """i + 1 = ?, right when the answer says so."""
    name, kind, split = "sums", "generate", "test"

    def __init__(self, size=10, grade=None):
        self.size, self.grade = size, grade or self.grade

    def __len__(self):
        return self.size

    def __getitem__(self, i):
        return Example({"messages": [{"role": "user", "content": f"{i}+1"}]}, answer=str(i + 1))

    def grade(self, example, text):
        return float(text == example.answer)


class Calculator:
    """An engine that is right where the first number is even, and fails on 3."""
    def __init__(self, tokenizer):
        self.tokenizer, self.calls = tokenizer, []

    def generate(self, prompts, params):
        self.calls.append((prompts, params))
        return [[self.answer(self.tokenizer.decode_bytes(prompt).decode())] for prompt in prompts]

    def answer(self, question):
        number = int(question.split("+")[0])
        text = str(number + 1) if number % 2 == 0 else "?"
        return Completion([1], text, [{"type": "text", "text": text}], None, [False], "stop",
                          "it broke" if number == 3 else None)


@pytest.fixture(scope="module")
def tok():
    return Tokenizer.train(["0 1 2 3"], vocab_size=265)


@pytest.mark.parametrize("k, n, low, high", [  # Newcombe 1998, Statistics in Medicine 17:857, table I, method 3
    (81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)])
def test_wilson_intervals_are_the_published_ones(k, n, low, high):
    assert wilson_interval(k, n) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))
    assert wilson_interval(n - k, n) == (pytest.approx(1 - high, abs=5e-5), pytest.approx(1 - low, abs=5e-5))


def test_no_items_say_nothing():
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_accuracy_records_and_interval_of_a_task(tok):
    engine = Calculator(tok)
    result = evaluate_task(engine, Sums(), max_tokens=7)
    assert (result.name, result.accuracy, result.n) == ("sums", 0.5, 10)
    assert result.ci95 == wilson_interval(5, 10)
    assert result.records[2] == {"index": 2, "question": "2+1", "kind": "", "expected": "3", "answer": "3",
                                 "score": 1.0, "manner": None, "parts": [{"type": "text", "text": "3"}], "error": None}
    assert [r["manner"] for r in result.records] == [None, "other"] * 5
    assert (result.records[3]["score"], result.records[3]["error"], result.num_failed_grades) == (0.0, "it broke", 0)
    (prompts, params), = engine.calls
    assert len(prompts) == 10 and (params.temperature, params.max_tokens) == (0.0, 7)
    assert all(prompt[-1] == tok.special["<|assistant_start|>"] for prompt in prompts)


def test_habits_are_shares_of_all_answers_right_or_wrong(tok):
    class Polite(Sums):
        def habits(self, text, parts):
            return {"says a number": text.isdigit(), "has parts": bool(parts)}
    assert evaluate_task(Calculator(tok), Polite()).habits == {"says a number": 0.5, "has parts": 1.0}
    assert evaluate_task(Calculator(tok), Sums()).habits == {}


def test_a_grader_that_raises_or_returns_no_score_counts_as_zero_and_is_counted(tok):
    bad = iter([1.0, float("nan"), 2.0, -1, None, "x", ZeroDivisionError(), 0.5, True, 1])

    def grade(example, text):
        value = next(bad)
        if isinstance(value, Exception):
            raise value
        return value

    result = evaluate_task(Calculator(tok), Sums(11, grade))  # item 3 failed and is not graded
    assert [r["score"] for r in result.records] == [1, 0, 0, 0, 0, 0, 0, 0, 0.5, 1, 1]
    assert result.num_failed_grades == 6 and result.accuracy == pytest.approx(3.5 / 11)


def test_a_subset_is_fixed_by_its_seed_spread_and_nested(tok):
    few, more = choose_items(1000, 20, 0), choose_items(1000, 50, 0)
    assert few == more[:20] and len(set(more)) == 50 and max(few) > 500
    assert choose_items(1000, 20, 1) != few
    assert choose_items(5, 5, 0) == choose_items(5, 9, 3) == choose_items(5, None, 0) == [0, 1, 2, 3, 4]
    assert [r["index"] for r in evaluate_task(Calculator(tok), Sums(1000), max_items=20).records] == few


def test_the_hash_of_items_tells_whether_the_same_was_asked(tok):
    def asked(*args, **more):
        return evaluate_task(Calculator(tok), Sums(*args), **more).items_sha256
    assert asked(10) == asked(10, lambda example, text: 0.0) and len(asked(10)) == 64
    assert len({asked(10), asked(11), asked(1000, max_items=10), asked(1000, max_items=10, seed=1)}) == 4


@pytest.mark.parametrize("text, manner", [
    (" \n", "no answer"), ("I don't know.", "I don't know"), ("I cannot tell, maybe red.", "I don't know"),
    ("It is RED!", "a rival"), ("Mr. Fox's dog", "a rival"), ("It is reddish.", "other"), ("Blue.", "other")])
def test_how_a_wrong_answer_is_wrong(text, manner):
    assert manner_of(Example({}, meta={"rivals": ["red", "mr fox", ""]}), text) == manner


def test_without_rivals_no_answer_is_one():
    assert manner_of(Example({}), "It is red.") == "other"


def test_failures_are_counted_by_kind_and_manner_with_the_first_as_example():
    rows = [("colour", "other", 0), ("colour", None, 1), ("size", "other", 0), ("size", "a rival", 0),
            ("size", "other", 0.5), ("", None, 1)]
    records = [{"kind": kind, "manner": manner, "score": score, "question": f"q{i}", "expected": "e", "answer": "a"}
               for i, (kind, manner, score) in enumerate(rows)]
    found = count_failures(records)
    assert [(row["kind"], row["manner"], row["count"], row["n_kind"], row["example"]["question"]) for row in found] == [
        ("size", "other", 2, 3, "q2"), ("colour", "other", 1, 2, "q0"), ("size", "a rival", 1, 3, "q3")]
    assert count_failures([]) == []


def test_rows_in_turn_come_from_every_group():
    rows = [{"k": kind, "i": i} for kind, num in (("a", 9), ("b", 1), ("c", 2)) for i in range(num)]
    assert [f"{row['k']}{row['i']}" for row in in_turn(rows, "k", 8)] == "a0 b0 c0 a1 c1 a2 a3 a4".split()


class Letters(Sums):
    """Which letter is number i, A or B?"""
    name, kind = "letters", "choice"

    def __getitem__(self, i):
        messages = [{"role": "user", "content": f"{i}\nA) x\nB) y"}]
        return Example({"messages": messages}, choices=("A", "B"), answer=i % 2, meta={"kind": f"third {i % 3}"})


def test_choices_are_evaluated_by_likelihood_with_the_same_records():
    engine = Rigged(lambda prefix, continuation: -1.0 if continuation == "A" else -2.0)
    result = evaluate_task(engine, Letters())
    assert (result.accuracy, result.n, result.ci95) == (0.5, 10, wilson_interval(5, 10))
    assert result.records[1] == {"index": 1, "question": "1\nA) x\nB) y", "kind": "third 1", "expected": "B",
                                 "answer": "A", "parts": [{"type": "text", "text": "A"}], "score": 0.0,
                                 "manner": "other", "error": None}
    assert engine.score_calls == [20] and [row["kind"] for row in count_failures(result.records)] == [
        "third 1", "third 0", "third 2"]


def test_room_for_an_answer_is_the_tasks_own(tok):
    task = Sums()
    task.max_tokens = 99
    engine = Calculator(tok)
    evaluate_task(engine, task)
    evaluate_task(engine, task, max_tokens=5)
    assert [params.max_tokens for _, params in engine.calls] == [99, 5]


def test_a_question_over_several_turns_is_shown_whole():
    messages = [{"role": "user", "content": "I am Ada."},
                {"role": "assistant", "content": [{"type": "python", "text": "1"}, {"type": "text", "text": "Hi."}]},
                {"role": "user", "content": "Who am I?"}]
    assert question_text(Example({"messages": messages})) == "user: I am Ada.\nassistant: Hi.\nuser: Who am I?"


# -----------------------------------------------------------------------------
# scripts/chat_eval.py

class Still:
    """An optimizer without moments, to save a model that was never trained."""
    num_updates = 0

    def state_tensors(self):
        return {}


@pytest.fixture
def saved_model(tok):
    """A checkpoint sft/tiny with random weights."""
    config = GPTConfig(sequence_len=512, vocab_size=tok.vocab_size, n_layer=1, n_head=1, n_kv_head=1, n_embd=16,
                       layer_types=("full",), window=-1)
    model = GPT(config)
    model.init_weights(0)
    with torch.no_grad():  # else zero, and a context would matter to nothing
        for linear in (model.blocks[0].attn_out, model.blocks[0].mlp_out):
            linear.weight.uniform_(-0.5, 0.5, generator=torch.Generator().manual_seed(0))
    run = Run("sft", "tiny")
    run.open({"settings": {}, "model": model_json(config)}, resume=None, overwrite=False)
    save_step(run, 5, model=model, optimizer=Still(), tokenizer=tok, state={})
    return run.dir


def run_chat_eval(*flags):
    return chat_eval.main(chat_eval.build_parser().parse_args(
        ["--device-type", "cpu", "--dtype", "float32", "--max-items", "3", "--skills", "arithmetic,memory", *flags]))


def test_chat_eval_measures_once_writes_a_file_and_prints_the_record_last(saved_model, monkeypatch, capsys):
    record = run_chat_eval("--source", "sft")
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == json.loads(json.dumps(record))
    result = json.loads((saved_model / "chat_eval.json").read_text())
    assert list(result["skills"]) == ["arithmetic", "memory"] and result["step"] == 5
    assert all(skill["n"] == 3 and skill["ci95"][0] <= skill["accuracy"] <= skill["ci95"][1]
               for skill in result["skills"].values())
    assert {"skill", "question", "parts", "score"} <= result["samples"][0].keys()
    assert (record["stage"], record["tag"], record["final_step"]) == ("sft", "tiny", 5)
    assert record["weights_sha256"] == result["weights_sha256"]

    monkeypatch.setattr(chat_eval, "evaluate_task", lambda *a, **kw: pytest.fail("measured again"))
    again = run_chat_eval()
    assert json.dumps(again["skills"]) == json.dumps(record["skills"]) and again["total_sec"] == record["total_sec"]
    for flags in (["--max-items", "2"], ["--split", "val"], ["--skills", "memory"], ["--dtype", "float64"]):
        with pytest.raises(pytest.fail.Exception, match="measured again"):
            run_chat_eval(*flags)


def test_chat_eval_keeps_scores_failures_and_a_gallery(saved_model):
    run_chat_eval("--source", "sft")
    result = json.loads((saved_model / "chat_eval.json").read_text())
    for skill, score in result["skills"].items():
        scores = result["items"][skill]["scores"]
        assert len(scores) == score["n"] and sum(scores) / len(scores) == score["accuracy"]
        num_wrong = sum(row["count"] for row in result["failures"] if row["skill"] == skill)
        assert num_wrong == scores.count(0) and len(result["items"][skill]["sha256"]) == 64
    assert [chat["title"] for chat in result["gallery"]] == [title for title, _, _ in chat_eval.GALLERY]
    assert all(chat["messages"][0]["role"] == "user" for chat in result["gallery"])


class Parrot:
    """An engine that repeats the last user turn, and says nothing to "hush"."""
    def __init__(self, tokenizer):
        self.tokenizer, self.params = tokenizer, []

    def generate(self, prompts, params):
        self.params += params
        texts = [self.tokenizer.decode_bytes(prompt).decode().split("|")[-2] for prompt in prompts]
        return [[Completion([1], text, [{"type": "text", "text": text}] * (text != "hush"), None, [False], "stop")]
                for text in texts]


def test_the_gallery_goes_on_turn_by_turn_until_the_model_is_silent(tok):
    chats = chat_eval.sample_gallery(engine := Parrot(tok), (("two", 0.8, ("|a|", "|b|")), ("one", 0.0, ("|c|",)),
                                                             ("none", 0.0, ("|hush|", "|d|"))))
    said = [[visible_text(message["content"]) for message in chat["messages"]] for chat in chats]
    assert said == [["|a|", "a", "|b|", "b"], ["|c|", "c"], ["|hush|"]]
    assert [p.temperature for p in engine.params] == [0.8, 0.0, 0.0, 0.8]


def save_weights(tok, stage, tag, seed):
    config = GPTConfig(sequence_len=512, vocab_size=tok.vocab_size, n_layer=1, n_head=1, n_kv_head=1, n_embd=16,
                       layer_types=("full",), window=-1)
    model = GPT(config)
    model.init_weights(seed)
    run = Run(stage, tag)
    run.open({"settings": {}, "model": model_json(config)}, resume=None, overwrite=False)
    save_step(run, 5, model=model, optimizer=Still(), tokenizer=tok, state={})


def test_chat_eval_compares_question_by_question_with_another_stage_and_tag(saved_model, tok, capsys):
    save_weights(tok, "rl", "tiny", 1)
    save_weights(tok, "sft", "other", 2)
    for flags in (["--source", "sft", "--model-tag", "tiny"], ["--source", "sft", "--model-tag", "other"]):
        assert run_chat_eval(*flags)["comparisons"] == {}
    path = saved_model / "chat_eval.json"
    result = json.loads(path.read_text())
    result["items"]["arithmetic"]["scores"] = [1, 0, 1]
    result["items"]["memory"]["sha256"] = "of other questions"
    path.write_text(json.dumps(result))
    record = run_chat_eval("--source", "rl", "--against", "sft")
    assert list(record["comparisons"]) == ["arithmetic"] and record["against"] == "sft"
    assert {key: record["comparisons"]["arithmetic"][key] for key in ("gained", "lost", "p")} == {
        "gained": 0, "lost": 2, "p": 0.5}
    err = capsys.readouterr().err
    assert "p 0.5 (0 gained, 2 lost)" in err and "other questions, not compared" in err
    again = run_chat_eval("--source", "rl", "--against", "sft/other")
    assert list(again["comparisons"]) == ["arithmetic", "memory"] and again["comparisons"]["memory"]["p"] == 1.0


def test_chat_eval_wants_the_other_stage_measured_with_the_same_settings(saved_model, tok, capsys):
    save_weights(tok, "rl", "tiny", 1)
    for prepare, flags in ((None, []), (["--max-items", "2"], []), ([], ["--split", "val"])):
        if prepare is not None:
            run_chat_eval("--source", "sft", *prepare)
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            run_chat_eval("--source", "rl", "--against", "sft", *flags)
        last = capsys.readouterr().err.splitlines()[-1]
        assert stop.value.code == 2 and "run python -m scripts.chat_eval --source sft --model-tag tiny" in last


def test_chat_eval_of_new_weights_is_new(saved_model, tok):
    before = run_chat_eval()
    run = Run("sft", "tiny")
    model = GPT(GPTConfig(**json.loads((saved_model / "config.json").read_text())["model"]))
    model.init_weights(1)
    save_step(run, 9, model=model, optimizer=Still(), tokenizer=tok, state={})
    after = run_chat_eval()
    assert (before["final_step"], after["final_step"]) == (5, 9)
    assert before["weights_sha256"] != after["weights_sha256"]
    assert json.loads((saved_model / "chat_eval.json").read_text())["step"] == 9


@pytest.mark.parametrize("flags, said", [
    (["--skills", "juggling"], "juggling: choose from facts"), (["--skills", ""], "choose from"),
    (["--max-items", "0"], "--max-items 0: at least 1"), (["--batch-size", "-1"], "--batch-size -1"),
    (["--model-tag", "nobody"], "nobody"), (["--step", "6"], "5"), (["--source", "rl"], "rl"),
    (["--against", "best"], "--against best: a stage (base"), (["--against", "sft/nobody"], "nobody")])
def test_chat_eval_says_in_one_line_what_is_wrong(saved_model, capsys, flags, said):
    with pytest.raises(SystemExit) as exit:
        run_chat_eval(*flags)
    out, err = capsys.readouterr()
    assert exit.value.code == 2 and out == "" and said in err.splitlines()[-1]
    assert err.count("\n") == 1


# -----------------------------------------------------------------------------
# chat_eval --tasks

QUESTIONS = {"arc/ARC-Easy": {"question": "Up?", "choices": ["x", "y", "z", "w"], "gold": 1},
             "arc/ARC-Challenge": {"question": "Down?", "choices": ["x", "y", "z", "w"], "gold": 2},
             "mmlu/mmlu": {"question": "Law?", "choices": ["x", "y", "z", "w"], "answer": 3, "subject": "law"},
             "gsm8k/gsm8k": {"question": "1+1?", "answer": "1+1 = <<1+1=2>>2\n#### 2"},
             "humaneval/humaneval": {"task_id": "t/0", "prompt": "def f():\n", "canonical_solution": "    return 1",
                                     "entry_point": "f", "test": "def check(f): assert f() == 1"}}


@pytest.fixture
def task_data(tmp_path):
    for name, row in QUESTIONS.items():
        path = tmp_path / "tasks" / f"{name}-test.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((json.dumps(row) + "\n") * 4)
    (tmp_path / "tasks" / "words").mkdir()
    (tmp_path / "tasks" / "words" / "list.txt").write_text("\n".join(f"w{chr(97 + i)}{chr(97 + j)}" for i in range(26)
                                                                       for j in range(26)))
    return tmp_path / "tasks"


@pytest.fixture
def all_right(task_data, monkeypatch):
    """A model that knows everything, of GSM8K half; and a sandbox that believes it."""
    letters, sums = {"Up?": "B", "Down?": "C", "Law?": "D"}, itertools.cycle(("#### 2", "#### 3"))
    bee = SpellingBee("test", str(task_data))
    counts = {bee[i].conversation["messages"][0]["content"]: str(bee[i].answer) for i in range(len(bee))}

    def knows(prefix, continuation):
        return 0 if any(question in prefix and continuation == letter for question, letter in letters.items()) else -1

    def says(prompt):
        question = prompt.removeprefix("<|bos|><|user_start|>").removesuffix("<|user_end|><|assistant_start|>")
        return next(sums) if "1+1?" in question else counts.get(question, "```\ndef f(): return 1\n```")
    engine = Rigged(knows, says)
    monkeypatch.setattr(chat_eval, "load_chat_engine", lambda *_, **__: (engine, engine.tokenizer, {}))
    monkeypatch.setattr("tasks.humaneval.passes", lambda program, tests: "return 1" in program)


def run_tasks(*flags):
    return chat_eval.main(chat_eval.build_parser().parse_args(
        ["--device-type", "cpu", "--dtype", "float32", "--max-items", "4", *flags]))


def test_chatcore_is_the_mean_of_six_centred_tasks(saved_model, task_data, all_right, monkeypatch, capsys):
    monkeypatch.setenv("NANOCHAT_TASK_DATA", str(task_data))
    record = run_tasks("--tasks", "chatcore")
    accuracies = {name: score["accuracy"] for name, score in record["skills"].items()}
    assert accuracies == {"arc_easy": 1, "arc_challenge": 1, "mmlu": 1, "gsm8k": 0.5, "humaneval": 1, "spelling_bee": 1}
    assert record["chatcore"]["value"] == pytest.approx((1 + 1 + 1 + 0.5 + 1 + 1) / 6)
    assert record["chatcore"]["stderr"] == pytest.approx((0.25 / 4) ** 0.5 / 6) and record["missing"] == {}
    assert "ChatCORE 0.9167" in capsys.readouterr().err
    result = json.loads((saved_model / "task_eval.json").read_text())
    assert result["skills"]["mmlu"]["ci95"] == list(wilson_interval(4, 4)) and not (saved_model / "chat_eval.json").exists()
    monkeypatch.setattr(chat_eval, "evaluate_task", lambda *a, **kw: pytest.fail("measured again"))
    assert run_tasks("--tasks", "chatcore")["chatcore"]["value"] == record["chatcore"]["value"]


@pytest.mark.parametrize("missing, reason", [("mmlu", "no files of it"), ("humaneval", "grader failed on every answer")])
def test_where_a_task_is_missing_it_is_named_and_there_is_no_mean(saved_model, task_data, all_right, monkeypatch, capsys,
                                                                  missing, reason):
    def refuse(program, tests):
        raise OSError("no isolation here")
    if missing == "mmlu":
        (task_data / "mmlu" / "mmlu-test.jsonl").unlink()
    else:
        monkeypatch.setattr("tasks.humaneval.passes", refuse)
    monkeypatch.setenv("NANOCHAT_TASK_DATA", str(task_data))
    record = run_tasks("--tasks", "chatcore")
    err = capsys.readouterr().err
    assert record["chatcore"] is None and list(record["missing"]) == [missing] and reason in record["missing"][missing]
    assert f"no ChatCORE, {missing} is missing" in err and "standard error" not in err


def test_single_tasks_are_measured_with_intervals_and_compared(saved_model, tok, task_data, capsys):
    save_weights(tok, "rl", "tiny", 1)
    for source in ("sft", "rl"):
        record = run_tasks("--source", source, "--tasks", "arc_easy,gsm8k", "--task-data", str(task_data),
                           *(["--against", "sft"] if source == "rl" else []))
    assert list(record["skills"]) == ["arc_easy", "gsm8k"] and "chatcore" not in record
    assert set(record["comparisons"]) == {"arc_easy", "gsm8k"} and record["skills"]["gsm8k"]["n"] == 4


@pytest.mark.parametrize("flags, said", [
    (["--tasks", "nope"], "--tasks nope: choose from chatcore, arc_easy"), (["--tasks", "mbpp"], "mbpp: no files of it"),
    (["--tasks", ""], "choose from"), (["--tasks", "arc_easy", "--split", "val"], "no split 'validation'; there is test"),
    (["--tasks", "gsm8k", "--skills", "facts"], "one at a time"), (["--tasks", "chatcore,mmlu"], "--tasks chatcore: choose"),
    (["--tasks", "gsm8k", "--against", "rl"], "rl")])
def test_chat_eval_of_tasks_says_in_one_line_what_is_wrong(saved_model, task_data, capsys, flags, said):
    with pytest.raises(SystemExit) as stop:
        run_tasks("--task-data", str(task_data), *flags)
    out, err = capsys.readouterr()
    assert stop.value.code == 2 and out == "" and said in err.splitlines()[-1] and err.count("\n") == 1


def test_task_data_without_tasks_takes_no_effect_and_is_refused(saved_model, task_data, capsys):
    with pytest.raises(SystemExit):
        run_tasks("--task-data", str(task_data))
    assert "--task-data" in capsys.readouterr().err
