import json

import pytest

from nanochat.checkpoint import model_json, save_step
from nanochat.engine import Completion
from nanochat.gpt import GPT, GPTConfig
from nanochat.run import Run
from nanochat.task import Example, Task
from nanochat.task_eval import choose_items, evaluate_task, question_text, safe_grade, wilson_interval
from nanochat.tokenizer import Tokenizer
from scripts import chat_eval


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
    assert result.records[2] == {"index": 2, "question": "2+1", "expected": "3", "answer": "3", "score": 1.0,
                                 "parts": [{"type": "text", "text": "3"}], "error": None}
    assert (result.records[3]["score"], result.records[3]["error"], result.num_failed_grades) == (0.0, "it broke", 0)
    (prompts, params), = engine.calls
    assert len(prompts) == 10 and (params.temperature, params.max_tokens) == (0.0, 7)
    assert all(prompt[-1] == tok.special["<|assistant_start|>"] for prompt in prompts)


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


def test_the_reward_of_a_failed_answer_or_grader_is_zero():
    task, example = Sums(), Sums()[2]
    completion = Completion([], "3", [], None, [], "stop")
    assert safe_grade(task, example, completion) == 1.0
    assert safe_grade(task, example, Completion([], "3", [], None, [], "error", "it broke")) == 0.0
    assert safe_grade(Sums(1, lambda example, text: 1 / 0), example, completion) == 0.0


def test_a_subset_is_fixed_by_its_seed_spread_and_nested(tok):
    few, more = choose_items(1000, 20, 0), choose_items(1000, 50, 0)
    assert few == more[:20] and len(set(more)) == 50 and max(few) > 500
    assert choose_items(1000, 20, 1) != few
    assert choose_items(5, 5, 0) == choose_items(5, 9, 3) == choose_items(5, None, 0) == [0, 1, 2, 3, 4]
    assert [r["index"] for r in evaluate_task(Calculator(tok), Sums(1000), max_items=20).records] == few


def test_only_generated_answers_are_evaluated_yet(tok):
    task = Sums()
    task.kind = "choice"
    with pytest.raises(AssertionError, match="choice"):
        evaluate_task(Calculator(tok), task)


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
    (["--model-tag", "nobody"], "nobody"), (["--step", "6"], "5"), (["--source", "rl"], "rl")])
def test_chat_eval_says_in_one_line_what_is_wrong(saved_model, capsys, flags, said):
    with pytest.raises(SystemExit) as exit:
        run_chat_eval(*flags)
    out, err = capsys.readouterr()
    assert exit.value.code == 2 and out == "" and said in err.splitlines()[-1]
    assert err.count("\n") == 1
