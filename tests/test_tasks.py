"""Truth: rows written by hand as their authors write them, the public data where it lies beside the checkout, a rigged
model whose answers are known, and a guesser."""

import gzip
import json
import math
import shutil
import sys
import types

import pytest
from rigged_engine import Guesser, Rigged, byte_tokenizer

from nanochat.calculator import calculate
from nanochat.common import UserError
from nanochat.conversation import render, validate, visible_text
from nanochat.task import KINDS, Example, Task, centred
from nanochat.task_eval import choose_items, evaluate_task
from tasks.arc import ARC
from tasks.chats import CustomChats, SmolTalk
from tasks.code import code_of
from tasks.gsm8k import GSM8K, final_number, tool_parts
from tasks.humaneval import HumanEval, whole_program
from tasks.mbpp import MBPP
from tasks.mixture import Mixture, Sequence, shares
from tasks.mmlu import MMLU
from tasks.registry import CHATCORE, EVAL_TASKS, TASKS, build_task
from tasks.spelling import SimpleSpelling, SpellingBee, count_aloud, split_of, usable_words

SHARED = {"arc_easy": {"train": 2251, "validation": 570}, "arc_challenge": {"train": 1119, "validation": 299},
          "mmlu": {"dev": 285, "validation": 1531}, "gsm8k": {"train": 6946, "validation": 527}, "mbpp": {"test": 500},
          "openbookqa": {"train": 4957}, "commonsense_qa": {"train": 9741}, "boolq": {"train": 9427},
          "spelling_bee": {"test": 1000}, "simple_spelling": {"train": 1000}}  # rows as SOURCES.md counts them
TOK = byte_tokenizer()


def write_rows(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path.parent)


# -----------------------------------------------------------------------------
# The public data

@pytest.mark.parametrize("name, split", [(name, split) for name, splits in SHARED.items() for split in splits])
def test_every_public_task_loads_and_every_item_can_be_rendered(shared_data, name, split):
    task = build_task(name, split, shared_data / "tasks")
    assert len(task) == SHARED[name][split] and task.kind in KINDS and (task.name, task.split) == (name, split)
    for i in range(0, len(task), 1 + len(task) // 200):
        example, chat = task[i], task.training_chat(i)
        assert example == task[i] and example.conversation["messages"][-1]["role"] == "user"
        validate(chat)
        if task.kind == "generate" and name != "mbpp":
            assert task.grade(example, visible_text(example.meta["solution"])) == 1.0
            assert task.grade(example, "I don't know.") == 0.0


def question_of(example):
    return example.conversation["messages"][0]["content"]


def expert_of_thirds(task, items):
    """(a model that is sure of the right answer to every third item and of a wrong one, or none, to others; its score).
    Questions that are asked twice are known or not as a whole."""
    known = {question_of(task[i]) for i in items if i % 3 == 0}
    letters = {question_of(task[i]): "ABCDEFGH"[task[i].answer] for i in items} if task.kind == "choice" else {}
    solutions = {question_of(task[i]): visible_text(task[i].meta["solution"]) for i in items if task.kind == "generate"}

    def question_in(prompt):
        return prompt.removeprefix("<|bos|>").removeprefix("<|user_start|>").removesuffix("<|user_end|><|assistant_start|>")

    def knows(prefix, continuation):
        question = question_in(prefix)
        return 0 if (continuation == letters[question]) == (question in known) else -1

    def says(prompt):
        question = question_in(prompt)
        return solutions[question] if question in known else "I guess so."
    return Rigged(knows, says, TOK), sum(question_of(task[i]) in known for i in items) / len(items)


@pytest.mark.parametrize("name, split", [(name, list(splits)[-1]) for name, splits in SHARED.items()])
def test_a_guesser_scores_chance_and_an_expert_of_every_third_item_exactly_those(shared_data, sandbox, name, split):
    """Of choices, chance is one of those given: BoolQ's baseline is the share of yes."""
    task = build_task(name, split, shared_data / "tasks")
    num = min(len(task), 9 if name == "mbpp" else 400)
    items = choose_items(len(task), num, 0)
    chance = sum(1 / len(task[i].choices) for i in items) / num if task.kind == "choice" else 0.0
    if name != "boolq":
        assert chance == pytest.approx(task.chance, abs=0.005)
    guessed = evaluate_task(Guesser(2, TOK), task, max_items=num)
    assert abs(guessed.accuracy - chance) <= 3 * math.sqrt(chance * (1 - chance) / num)
    expert, score = expert_of_thirds(task, items)
    assert evaluate_task(expert, task, max_items=num).accuracy == pytest.approx(score) and 0.25 < score < 0.45


def test_every_folder_of_the_public_tasks_has_its_tests(shared_data):
    """CORE's are in test_core_eval.py, of HumanEval there is one problem (below), words are what spelling asks."""
    tested = {name.split("_")[0] for name in SHARED} | {"mc_train", "core", "humaneval", "words"}
    assert {path.name for path in (shared_data / "tasks").iterdir()} <= tested


def test_official_splits_stay_apart_and_one_that_is_not_there_is_named(shared_data):
    data = shared_data / "tasks"
    for name in ("arc_easy", "gsm8k"):
        train, val = (set(t[i].conversation["messages"][0]["content"] for i in range(len(t)))
                      for t in (build_task(name, split, data) for split in ("train", "validation")))
        assert not train & val
    with pytest.raises(UserError, match="arc_easy: no split 'test'; there are train, validation"):
        build_task("arc_easy", "test", data)
    with pytest.raises(UserError, match="gsm8k: no split 'test'; there is train"):
        build_task("gsm8k", "test", data)
    with pytest.raises(UserError, match="gsm8k: no split 'dev'; there are train, validation, test"):
        build_task("gsm8k", "dev", data)


def test_gsm8k_calls_are_what_the_engine_will_do(shared_data):
    task = GSM8K("validation", shared_data / "tasks")
    num_calls = 0
    for i in range(len(task)):
        parts = task[i].meta["solution"]
        assert "<<" not in visible_text(parts)
        for call, output in zip(parts, parts[1:]):
            if call["type"] == "python":
                num_calls += 1
                assert calculate(call["text"]) == output["text"]
    assert num_calls > 1500
    _, mask = render(TOK, task.training_chat(0))
    assert 0 in mask[-50:] and 1 in mask


def test_custom_chats_of_the_public_data_train(shared_data):
    for name, n in (("sgd", 384), ("taskmaster4", 1368), ("oasst_en_100", 100)):
        task = CustomChats(shared_data / "chat" / f"{name}.jsonl")
        assert len(task) + task.num_silent == n
        validate(task.training_chat(len(task) - 1))


# -----------------------------------------------------------------------------
# Files, folders and the hub

ARC_ROW = {"question": "Up?", "choices": {"text": ["x", "y", "z"], "label": ["1", "2", "3"]}, "answerKey": "2"}


def test_an_arc_row_becomes_a_lettered_question(tmp_path):
    task = ARC("Easy", "test", write_rows(tmp_path / "ARC-Easy-test.jsonl", ARC_ROW))
    assert task[0].conversation["messages"][0]["content"] == "Up?\n\nA) x\nB) y\nC) z\n\nAnswer with the letter only."
    assert (task[0].choices, task[0].answer, task.chance) == (("A", "B", "C"), 1, 0.25)
    assert task.training_chat(0)["messages"][-1] == {"role": "assistant", "content": "B"}


@pytest.mark.parametrize("path", ["arc/ARC-Easy-test.jsonl", "arc/ARC-Easy/test-00000-of-00001.parquet", "test.jsonl",
                                  "arc/test.parquet", "ARC-Easy_test.jsonl.gz", "ARC-Easy/test-0.parquet"])
def test_files_are_found_by_the_names_people_have(tmp_path, path):
    path = tmp_path / path
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        import pyarrow
        from pyarrow.parquet import write_table
        write_table(pyarrow.Table.from_pylist([ARC_ROW, ARC_ROW]), path)
    else:
        with (gzip.open if path.suffix == ".gz" else open)(path, "wt") as f:
            f.write(f"{json.dumps(ARC_ROW)}\n{json.dumps(ARC_ROW)}\n")
    task = build_task("arc_easy", "test", str(tmp_path))
    assert len(task) == 2 and task[1].answer == 1
    with pytest.raises(IndexError):
        task[2]


def test_the_data_folder_may_come_from_the_environment(tmp_path, monkeypatch):
    write_rows(tmp_path / "arc" / "ARC-Easy-test.jsonl", ARC_ROW)
    monkeypatch.setenv("NANOCHAT_TASK_DATA", str(tmp_path))
    assert len(build_task("arc_easy", "test")) == 1


def test_without_a_folder_the_hub_is_asked_for_the_official_split(monkeypatch):
    monkeypatch.delenv("NANOCHAT_TASK_DATA", raising=False)
    asked = []

    def load_dataset(*args, **kwargs):
        asked.append((args, kwargs))
        return [{"question": "q", "subject": "s", "choices": ["a", "b"], "answer": 1}]
    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    assert MMLU("train")[0].answer == 1
    assert asked == [(("cais/mmlu", "all"), {"split": "auxiliary_train"})]
    with pytest.raises(UserError, match="mmlu: no split 'val'; there are train, dev, validation, test"):
        MMLU("val")


def test_a_hub_out_of_reach_is_one_line_that_says_what_to_do(monkeypatch):
    monkeypatch.delenv("NANOCHAT_TASK_DATA", raising=False)

    def load_dataset(*args, **kwargs):
        raise ConnectionError("no route\nto host")
    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    with pytest.raises(UserError, match="cannot be loaded from the hub .*no route.* --task-data") as caught:
        SmolTalk("train")
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="not on the hub"):
        build_task("openbookqa", "train")


@pytest.mark.parametrize("row, said", [({"question": "q"}, "KeyError"), ({**ARC_ROW, "answerKey": "9"}, "ValueError"),
                                       ([1], "TypeError"), ({"question": "q", "choices": ["a"], "gold": 1}, "answer 1 of 1")])
def test_a_row_of_something_else_is_named(tmp_path, row, said):
    task = ARC("Easy", "test", write_rows(tmp_path / "test.jsonl", ARC_ROW, row))
    with pytest.raises(UserError, match=f"arc_easy test, row 2: .*{said}"):
        task[1]


@pytest.mark.parametrize("content, said", [("", "no rows"), ("{", "test.jsonl:1: not JSON"), (None, "no files of it")])
def test_files_that_hold_nothing_are_named(tmp_path, content, said):
    if content is not None:
        (tmp_path / "test.jsonl").write_text(content)
    with pytest.raises(UserError, match=said):
        ARC("Easy", "test", str(tmp_path))


def test_unknown_names_are_answered_with_the_known_ones():
    with pytest.raises(UserError, match="'arc': choose one of arc_easy, arc_challenge"):
        build_task("arc", "test")
    assert set(CHATCORE) <= set(EVAL_TASKS) < set(TASKS)


# -----------------------------------------------------------------------------
# GSM8K

SOLUTION = "He has 2*3 = <<2*3=6>>6 and 10% = $<<10/100*6=.6>>0.6, wrong <<6+1=8>>8, odd <<x*2=4>>4.\n#### 1,006"


def test_marks_become_tool_calls_and_what_the_calculator_denies_stays_text():
    kinds = [(part["type"], part["text"]) for part in tool_parts(SOLUTION)]
    assert kinds == [("text", "He has 2*3 = "), ("python", "2*3"), ("python_output", "6"), ("text", "6 and 10% = $"),
                     ("python", "10/100*6"), ("python_output", "0.6"),
                     ("text", "0.6, wrong 8, odd 4.\n#### 1,006")]


@pytest.mark.parametrize("text, score", [
    ("#### 1006", 1), ("#### 1,006.0", 1), ("So 7, no: 1006.", 1), ("#### 1006 and 3 more", 1), ("1006 #### 5", 0),
    ("", 0), ("none", 0), ("#### -1006", 0), ("#### $1006", 1), ("#### " + "9" * 400, 0), ("1006 of 2000", 0)])
def test_the_number_after_the_mark_counts_else_the_last(tmp_path, text, score):
    data = write_rows(tmp_path / "test.jsonl", {"question": "How many?", "answer": SOLUTION})
    task = GSM8K("test", data)
    assert task[0].answer == "1006" and task.grade(task[0], text) == score


@pytest.mark.parametrize("text, outputs, calculator, ending", [
    ("2*3 = 6\n#### 6", ["6"], True, True), ("#### 1,006.5 ", [], False, True), ("So it is 6.", ["0.5"], True, False),
    ("#### 6 apples", ["cannot read 2*x"], False, False), ("####", ["no", "-3"], True, False), ("6 ####6\n####", [], False, False)])
def test_habits_of_an_answer_are_what_the_data_set_shows(text, outputs, calculator, ending):
    parts = [{"type": "text", "text": text}, *({"type": "python_output", "text": output} for output in outputs)]
    assert GSM8K.habits(None, text, parts) == {"uses the calculator": calculator, "ends with ####": ending}


def test_numbers_are_read_with_signs_points_and_separators():
    assert [final_number(t) for t in ("a -3", "#### .5", "1,234,567.25 eur", "x", "####")] == [
        "-3", ".5", "1234567.25", None, None]


# -----------------------------------------------------------------------------
# Programs

@pytest.fixture
def sandbox(monkeypatch):
    """Runs the code here, as the real one runs it in a process of its own; for the harmless programs of these tests."""
    import contextlib
    import io

    import nanochat

    def run(code, *, timeout_sec):
        out, status = io.StringIO(), "ok"
        try:
            with contextlib.redirect_stdout(out):
                exec(compile(code, "answer", "exec"), {})
        except SystemExit as stop:
            status = "error" if stop.code else "ok"
        except Exception:
            status = "error"
        return types.SimpleNamespace(status=status, stdout=out.getvalue(), stderr="")
    module = types.SimpleNamespace(run=run)
    monkeypatch.setitem(sys.modules, "nanochat.sandbox", module)
    monkeypatch.setattr(nanochat, "sandbox", module, raising=False)
    return module


HUMANEVAL_ROW = {"task_id": "test/0", "prompt": "import math\n\ndef two(x):\n    \"\"\"Double x.\"\"\"\n",
                 "canonical_solution": "    return 2 * x\n", "entry_point": "two",
                 "test": "def check(candidate):\n    assert candidate(4) == 8"}


@pytest.mark.parametrize("answer, score", [
    ("    return 2 * x", 1), ("```python\ndef two(x):\n    return x + x\n```", 1), ("    return 3 * x", 0),
    ("Sure!\n```\nimport os\ndef two(x): return int(math.fsum([x, x]))\n```\nDone.", 1), ("def two(x):\n  return 8", 1),
    ("    exit(0)", 0), ("import sys\nsys.exit(0)", 0), ("def two(x): return 0", 0), ("", 0), ("I cannot.", 0),
    ("```python\ndef two(x):\n    return 2 * x", 1), ("    print('x')\n    return 8", 1)])
def test_humaneval_takes_bodies_and_whole_functions(tmp_path, sandbox, answer, score):
    task = HumanEval("test", write_rows(tmp_path / "HumanEval.jsonl", HUMANEVAL_ROW))
    assert task.grade(task[0], answer) == score
    assert task.grade(task[0], task[0].meta["solution"]) == 1


def test_the_example_of_human_eval_is_graded_as_its_authors_do(shared_data, tmp_path, sandbox):
    shutil.copy(shared_data / "tasks" / "humaneval" / "example_problem.jsonl", tmp_path / "HumanEval.jsonl")
    task = HumanEval("test", str(tmp_path))
    assert len(task) == 1 and task.grade(task[0], task[0].meta["solution"]) == 1
    lines = (shared_data / "tasks" / "humaneval" / "example_samples.jsonl").read_text().splitlines()
    scores = [task.grade(task[0], json.loads(line)["completion"]) for line in lines[3:]]  # the first three harm or hang
    assert scores == [1, 1, 1]  # as evaluate_functional_correctness says of them
    for model, score in ((Guesser(0, TOK), 0.0), (expert_of_thirds(task, [0])[0], 1.0)):
        assert evaluate_task(model, task).accuracy == score


def test_mbpp_solutions_pass_their_own_tests(shared_data, sandbox):
    task = MBPP("test", shared_data / "tasks")
    for i in range(0, 60, 3):
        assert task.grade(task[i], task[i].meta["solution"]) == 1.0, task[i].meta["solution"]
        assert task.grade(task[i], "```python\npass\n```") == 0.0


def test_a_machine_that_cannot_hold_code_back_is_counted_not_graded(tmp_path, sandbox):
    def run(*_, **__):
        raise UserError("this machine cannot hold back code")
    sandbox.run = run
    task = HumanEval("test", write_rows(tmp_path / "HumanEval.jsonl", HUMANEVAL_ROW))
    result = evaluate_task(Rigged(says=lambda prompt: "    return 2 * x"), task)
    assert result.num_failed_grades == 1 and "cannot hold back" in result.records[0]["error"]


def test_fenced_code_is_found_even_when_cut_off():
    assert code_of("a\n```py\nx\n```\n```\ny\n```") == "x\n" and code_of("```PYTHON\r\nx\r\n") == "x\r\n"
    assert whole_program("def f():\n", "f", "    return 1") == "def f():\n    return 1"
    assert whole_program("def f():\n", "f", "def f_two(): pass").startswith("def f():\ndef f_two")


# -----------------------------------------------------------------------------
# Spelling

WORDS = ["banana", "Apple", "see", "no", "it's", "naïve", "a" * 16, *(f"word{chr(97 + i)}" for i in range(26)),
         *(chr(97 + i) * 2 + "xyz" for i in range(26))]


def test_any_list_of_words_will_do():
    assert usable_words(WORDS)[:4] == ("banana", "apple", "see", "naïve")
    task = SpellingBee("train", words=WORDS, size=300)
    asked = [task[i] for i in range(300)]
    assert all(e.answer == e.meta["word"].count(e.meta["letter"]) for e in asked)
    assert 0 < sum(e.answer == 0 for e in asked) < 100 and len({e.conversation["messages"][0]["content"] for e in asked}) > 150
    assert asked[:50] == [SpellingBee("train", words=WORDS, size=50)[i] for i in range(50)]
    assert asked != [SpellingBee("train", words=WORDS, size=300, seed=1)[i] for i in range(300)]


def test_words_of_a_split_are_never_asked_in_another():
    seen = {split: {SpellingBee(split, words=WORDS)[i].meta["word"] for i in range(200)} for split in ("train", "test")}
    assert not seen["train"] & seen["test"] and {split_of(word) for word in seen["test"]} == {"test"}


def test_counting_aloud_ends_in_the_count():
    parts = count_aloud("banana", "a")
    assert visible_text(parts) == "b, a (1), n, a (2), n, a (3). The calculator says: So banana has a 3 times: 3"
    assert calculate(parts[1]["text"]) == parts[2]["text"] == "3"


def test_spelling_is_graded_by_the_last_number_and_by_the_letters():
    bee, simple = (cls("train", words=["banana"]) for cls in (SpellingBee, SimpleSpelling))
    example = Example(answer=3, meta={"word": "banana"})
    said = ("3", "b a n: 3 times", "3 or 4", "none", "", "\u0663", "9" * 5000)
    assert [bee.grade(example, text) for text in said] == [1, 1, 0, 0, 0, 1, 0]
    good = ("b, a, n, a, n, a", "B-A-N-A-N-A", "The letters are: b a n a n a.")
    assert [simple.grade(example, t) for t in (*good, "banana", "b, a, n", "")] == [1, 1, 1, 0, 0, 0]


def test_a_list_without_usable_words_is_named(tmp_path):
    with pytest.raises(UserError, match="spelling_bee: no word for split 'test'"):
        SpellingBee("test", words=["it's"])
    with pytest.raises(UserError, match="no split 'dev'; there are train, validation, test"):
        SpellingBee("dev", words=WORDS)


# -----------------------------------------------------------------------------
# Chats and mixtures

USER, SYSTEM = {"role": "user", "content": "Hi"}, {"role": "system", "content": "Be brief."}
TOOL = {"role": "assistant", "content": [{"type": "python", "text": "1+1"}, {"type": "python_output", "text": "2"},
                                         {"type": "text", "text": "2."}]}


def test_custom_chats_keep_system_tools_and_turns(tmp_path):
    path = tmp_path / "chats.jsonl"
    write_rows(path, {"messages": [SYSTEM, USER, TOOL, USER, {"role": "assistant", "content": "Bye"}, USER], "id": 7},
               [USER], [USER, TOOL])
    task = CustomChats(path)
    assert (len(task), task.num_silent, task.kind) == (2, 1, "lm")
    assert task.training_chat(0)["messages"] == [SYSTEM, USER, TOOL, USER, {"role": "assistant", "content": "Bye"}]
    assert (task[1].conversation["messages"], task[1].answer) == ([USER], "2.")
    knows = Rigged(lambda prefix, continuation: 0 if continuation == "Bye" else -1, tokenizer=TOK)
    assert evaluate_task(knows, task).accuracy == 0.5


def test_a_chat_file_that_is_none_is_named_by_line(tmp_path):
    for rows, said in (([{"messages": 3}], "c.jsonl:1: not a conversation"), ([[USER]], "no conversation in it has")):
        write_rows(tmp_path / "c.jsonl", *rows)
        with pytest.raises(UserError, match=said):
            CustomChats(tmp_path / "c.jsonl")


def test_smoltalk_rows_are_checked_when_asked_for(tmp_path):
    data = write_rows(tmp_path / "smoltalk" / "train.jsonl", {"messages": [USER, TOOL]}, {"messages": [TOOL]}, {"x": 1})
    task = SmolTalk("train", data)
    assert task.training_chat(0) == {"messages": [USER, TOOL], "source": "smoltalk"} and task[0].answer == "2."
    for i in (1, 2):
        with pytest.raises(UserError, match=f"smoltalk train, row {i + 1}: "):
            task[i]


class Count(Task):
    kind, name, split = "generate", "count", "train"

    def __init__(self, letter, n):
        self.letter, self.n = letter, n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return Example({"messages": [USER]}, answer=f"{self.letter}{i}", meta={"solution": f"{self.letter}{i}"})

    def grade(self, example, text):
        return float(text == self.letter)


def answers(task):
    return [task[i].answer for i in range(len(task))]


def test_a_sequence_is_one_after_the_other():
    assert answers(Sequence([Count("a", 2), Count("b", 1), Count("a", 2)])) == ["a0", "a1", "b0", "a0", "a1"]


def test_a_mixture_has_every_item_as_often_as_its_epochs_say():
    mixture = Mixture([Count("a", 10), Count("b", 4)], epochs=[2.5, 1], seed=3)
    found = answers(mixture)
    assert len(found) == 29 and found == answers(Mixture([Count("a", 10), Count("b", 4)], epochs=[2.5, 1], seed=3))
    assert sorted(found.count(f"a{i}") for i in range(10)) == [2] * 5 + [3] * 5
    assert [found.count(f"b{i}") for i in range(4)] == [1] * 4
    assert found != sorted(found) and found != answers(Mixture([Count("a", 10), Count("b", 4)], epochs=[2.5, 1], seed=4))
    assert mixture.training_chat(0)["messages"][-1]["content"] == found[0]


def test_a_mixture_by_weights_has_its_size_and_repeats_small_tasks_evenly():
    found = answers(Mixture([Count("a", 3), Count("b", 100)], weights=[0.7, 0.3], size=20))
    assert len(found) == 20 and sorted(found.count(f"a{i}") for i in range(3)) == [4, 5, 5]
    assert len({a for a in found if a[0] == "b"}) == 6
    assert shares([1, 1, 1], 10) == [4, 3, 3] and shares([0, 5], 7) == [0, 7]


def test_a_mixture_grades_with_the_task_an_item_came_from():
    mixture = Mixture([Count("a", 1), Count("b", 1)])
    assert [mixture.grade(mixture[i], mixture[i].answer[0]) for i in range(2)] == [1, 1] and mixture.kind == "generate"
    choice = Count("c", 1)
    choice.kind = "choice"
    with pytest.raises(UserError, match="kinds choice, generate"):
        Mixture([choice, Count("a", 1)]).kind


@pytest.mark.parametrize("flags", [{"epochs": [1]}, {"epochs": [1, -1]}, {"epochs": [0, 0]}, {"weights": [1, 1]}, {"size": 3},
                                   {"epochs": [1, 1], "weights": [1, 1], "size": 2}, {"epochs": [math.nan, 1]}])
def test_weights_and_epochs_that_make_no_sense_are_refused(flags):
    with pytest.raises(UserError):
        Mixture([Count("a", 1), Count("b", 1)], **flags)


def test_centring():
    assert (centred(0.25, 0.25), centred(1.0, 0.62), centred(0.0, 0.5)) == (0, 1, -1)
