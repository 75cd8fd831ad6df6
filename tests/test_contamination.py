"""Truth: a slow search word by word in sets, texts that were tampered with on purpose, and real items planted in prose."""

import json
import random
import re
import time

import pytest

from nanochat import contamination, report, report_page
from nanochat.contamination import (MAX_ITEMS, MIN_WORDS, N, Searcher, build_evaluation, findings, item_texts, runs_of_text,
                                    words_of)
from nanochat.core_eval import load_core
from nanochat.dataset import read_documents
from scripts import base_train, chat_sft, mid_train
from scripts import contamination as script
from tasks.registry import build_task

LONG = "The quick brown fox jumps over the lazy dog while seven tired wizards watch."  # 14 words
SHORT = "Who wrote the book about the white whale?"                                     # 8


def look(items, documents):
    searcher = Searcher([build_evaluation("e", items)])
    searcher.search(documents)
    return findings(searcher)["evaluations"]["e"]


@pytest.mark.parametrize("document, hit", [
    (LONG, 1), (LONG.upper(), 1), (f"xx {LONG} yy", 1), (LONG.replace(" ", "\n\n"), 1), (LONG.replace(" ", ", "), 1),
    (LONG.partition(" ")[2], 1), ("The quick" + LONG.partition("brown")[2], 0), (LONG.replace("fox", "cat"), 0),
    (f"{SHORT}", 1), (f"So: who wrote the book about the white whale -- eh?", 1), ("Who wrote the book about the whale?", 0),
    ("", 0), ("too short", 0)])
def test_thirteen_words_in_a_row_or_a_whole_short_item(document, hit):
    assert look([[LONG], [SHORT]], [document])["hit"] == hit


def test_words_are_the_same_whatever_the_typography():
    plain = words_of("Don't say \"it's 3.5 - no\" again")
    assert plain == words_of("DON\u2019T\u00a0say \u201cIT\u2019S 3.5 \u2014 no\u201d again") == [
        b"don", b"t", b"say", b"it", b"s", b"3", b"5", b"no", b"again"]
    assert words_of("\u041f\u0440\u0438\u0432\u0435\u0442 na\u00efve \ud800") == [
        "\u041f\u0440\u0438\u0432\u0435\u0442".encode(), "na\u00efve".encode()]


def test_a_run_over_two_documents_or_two_texts_of_an_item_is_none():
    half = LONG.split()
    assert look([[LONG]], [" ".join(half[:7]), " ".join(half[7:])])["hit"] == 0
    assert look([[" ".join(half[:7]), " ".join(half[7:])]], [LONG])["hit"] == 0


def test_wording_that_all_items_share_is_left_out():
    items = [[f"{LONG} item {i} has words of its own here and there, as many as needed, {i} in all."]
             for i in range(MAX_ITEMS + 1)]
    assert look(items, [LONG])["hit"] == 0 and look(items[:MAX_ITEMS], [LONG])["hit"] == MAX_ITEMS
    assert look([["a few words"], [LONG]], [])["checked"] == 1


def slow_search(items, documents):
    """The same by sets: which items share a run with any document."""
    wanted = [{run for text in texts for run in runs_of_text(words_of(text))} for texts in items]
    seen = set()
    for document in documents:
        words = words_of(document)
        for n in range(MIN_WORDS, N + 1):
            seen |= {b" ".join(words[i:i + n]) for i in range(len(words) - n + 1)}
    return [bool(runs & seen) for runs in wanted]


def test_it_finds_what_a_slow_search_finds(monkeypatch):
    monkeypatch.setattr(contamination, "CHUNK_BYTES", 500)  # so that batches end between documents
    rng = random.Random(0)

    def text(n):
        return " ".join(rng.choice("abc") for _ in range(n))
    items = [[text(rng.randrange(1, 16)) for _ in range(rng.randrange(1, 3))] for _ in range(400)]
    documents = [text(rng.randrange(40)) for _ in range(300)]
    evaluation = build_evaluation("e", items)
    searcher = Searcher([evaluation])
    searcher.search(documents)
    found = {i for i, runs in zip(evaluation.items, evaluation.runs_of) if any(run in evaluation.found for run in runs)}
    assert found == {i for i, is_hit in enumerate(slow_search(items, documents)) if is_hit} and 20 < len(found) < 380


def test_planted_items_of_real_tasks_are_found_in_real_prose(shared_data):
    """Half of the items of three tasks are written into a book; those and no others are found."""
    book = list(read_documents(shared_data / "prose" / "openstax" / "world-history.jsonl"))[:60]
    core = {task.name: task for task in load_core(shared_data / "tasks" / "core", ["arc_easy", "lambada_openai"])}
    tasks = {**core, "gsm8k": build_task("gsm8k", "validation", shared_data / "tasks")}
    evaluations = {name: build_evaluation(name, (item_texts(task, i) for i in range(200))) for name, task in tasks.items()}
    clean = Searcher(list(evaluations.values()))
    clean.search(book)
    assert all(record["hit"] == 0 for record in findings(clean)["evaluations"].values())
    planted = [f"{document}\n{item_texts(task, 2 * i)[0]}\n{document[:200]}"
               for task in tasks.values() for i, document in enumerate((book * 2)[:100])]
    searcher = Searcher(list(evaluations.values()))
    searcher.search(planted)
    for name, evaluation in evaluations.items():
        record = evaluation.as_record()
        has_runs = [bool(runs_of_text(words_of(item_texts(tasks[name], i)[0]))) and i in evaluation.items for i in range(200)]
        assert record["hit"] == sum(has_runs[::2]), name
        assert all(shown["item"] % 2 == 0 and shown["documents"] >= 1 for shown in record["shown"])
        assert len(record["shown"]) == 20


def test_a_hundred_megabytes_take_less_than_a_minute(shared_data):
    """At least 2 MB a second on a busy core; 19 were measured (dev/LOG.md)."""
    documents = list(read_documents(shared_data / "prose" / "openstax" / "world-history.jsonl"))
    task = build_task("mmlu", "validation", shared_data / "tasks")
    searcher = Searcher([build_evaluation("mmlu", (item_texts(task, i) for i in range(len(task))))])
    begin = time.monotonic()
    searcher.search(documents)
    assert searcher.num_bytes / (time.monotonic() - begin) > 2e6


# -----------------------------------------------------------------------------
# The command

@pytest.fixture
def arc(tmp_path):
    row = {"question": LONG, "choices": ["yes", "no"], "gold": 0}
    (tmp_path / "tasks" / "arc").mkdir(parents=True)
    (tmp_path / "tasks" / "arc" / "ARC-Easy-test.jsonl").write_text(json.dumps(row) + "\n")
    return str(tmp_path / "tasks")


def run_script(*flags):
    return script.main(script.build_parser().parse_args([*flags]))


@pytest.mark.parametrize("row", [{"text": f"Well. {LONG}"}, [{"role": "user", "content": LONG}],
                                 {"messages": [{"role": "user", "content": LONG}, {"role": "assistant", "content": "ok"}]}])
def test_text_and_chats_are_looked_at_and_missing_tasks_named(tmp_path, arc, row, capsys):
    other = {"text": "Something else entirely."} if isinstance(row, dict) and "text" in row else [
        {"role": "user", "content": "x"}]
    (tmp_path / "data.jsonl").write_text(json.dumps(row) + "\n" + "".join(json.dumps(other | {"text": f"{i}"} if isinstance(
        other, dict) else other) + "\n" for i in range(3)))
    record = run_script("--data", str(tmp_path / "data.jsonl"), "--task-data", arc)
    assert record["findings"]["evaluations"]["arc_easy"]["hit"] == 1 and "mmlu" in record["missing"]
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == record


@pytest.mark.parametrize("flags, said", [
    (["--tasks", "nope"], "--tasks nope: choose from core, arc_easy"), (["--tasks", "mmlu"], "mmlu: no files of it"),
    (["--source", "base"], "one at a time"), (["--tasks", "core"], "--core-data wants"),
    (["--split", "val", "--tasks", "arc_easy"], "no split 'validation'")])
def test_what_is_wrong_is_one_line(tmp_path, arc, capsys, flags, said):
    (tmp_path / "a.txt").write_text("Some text.\n" * 500)
    with pytest.raises(SystemExit) as stop:
        run_script("--data", str(tmp_path / "a.txt"), "--task-data", arc, *flags)
    err = capsys.readouterr().err
    assert stop.value.code == 2 and said in err and err.count("\n") == 1


def test_tasks_that_were_trained_on_are_looked_at_message_by_message(tmp_path):
    """And the embedded world, made up as it is needed, is not."""
    rows = [{"question": f"Is it {i}?", "choices": ["yes", "no"], "gold": 1} for i in range(4)]
    for split in ("train", "validation"):
        (tmp_path / f"ARC-Easy-{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    step_dir = tmp_path / "sft" / "d2" / "step_00000001"
    step_dir.mkdir(parents=True)
    (step_dir / "config.json").write_text(json.dumps({"flags": {"data": None, "tasks": "arc_easy:50%,world:50%"}}))
    texts = list(script.training_documents(step_dir, str(tmp_path)))
    assert [text.partition("?")[0] for text in texts] == [word for i in range(4) for word in (f"Is it {i}", "B")]


@pytest.mark.slow
def test_what_stood_in_the_text_of_any_stage_is_on_the_report_card(home, arc):
    """The question stands in the base model's text, in mid's chats, and in sft's."""
    (home / "planted.jsonl").write_text(json.dumps({"text": f"Once. {LONG} Twice."}) + "\n" + (home / "text.jsonl").read_text())
    chat = [{"role": "user", "content": LONG}, {"role": "assistant", "content": "Yes."}]
    (home / "chat.jsonl").write_text(json.dumps(chat) + "\n" + (home / "chats.jsonl").read_text())
    short = "--num-iterations 1 --total-batch-size 128 --dtype float32"
    for stage, trainer, flags in (
            ("base", base_train, f"--depth 2 --max-seq-len 64 --eval-tokens 100 --data {home / 'planted.jsonl'}"),
            ("mid", mid_train, f"--data {home / 'chat.jsonl'} --text-data {home / 'text.jsonl'}"),
            ("sft", chat_sft, f"--data {home / 'chat.jsonl'}")):
        trainer.main(trainer.build_parser().parse_args(f"{short} {flags}".split()))
        record = run_script("--source", stage, "--tasks", "arc_easy", "--task-data", arc)
        assert record["findings"]["evaluations"]["arc_easy"]["hit"] == 1, stage
    page = re.sub("<[^>]*>", " ", report_page.render(report.gather(None, "2030-01-02T03:04:05+00:00")))
    for name in ("Base", "Midtraining", "SFT"):
        assert f"{name}: 1 of 1 evaluations share 13 words" in page
    assert page.count("quick brown fox") == 3
