"""scripts/core_eval.py on a bundle of two items per task and a model that was never trained."""

import json

import pytest
from test_stages import launch
from test_task_eval import saved_model, tok  # noqa: F401  a checkpoint sft/tiny and its tokenizer

from nanochat.common import DistInfo
from nanochat.core_eval import CORE
from nanochat.report import EVALS, Stage, scores_by_stage
from scripts import core_eval

ROWS = {"choice": [{"query": "Is it?", "choices": ["yes", "no"], "gold": 0},
                   {"query": "Was it?", "choices": ["a", "b"], "gold": 1}],
        "schema": [{"context_options": ["It", "She"], "continuation": "rained.", "gold": 0}] * 2,
        "lm": [{"context": "One, two,", "continuation": "three", "category": "numbers"}] * 2}


@pytest.fixture
def bundle(tmp_path):
    for spec in CORE:
        path = tmp_path / "core" / "eval_data" / spec.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in ROWS[spec.kind]))
    return tmp_path / "core"


def run_core_eval(*flags):
    return core_eval.main(core_eval.build_parser().parse_args(["--source", "sft", "--device-type", "cpu", "--dtype", "float32",
                                                               *flags]))


def test_core_is_measured_written_item_by_item_and_read_by_the_report(saved_model, bundle, capsys):  # noqa: F811
    record = run_core_eval("--core-data", str(bundle))
    out, err = capsys.readouterr()
    assert json.loads(out.splitlines()[-1]) == json.loads(json.dumps(record))
    assert "CORE " in err and "items/s" in err and " to go" in err
    result = json.loads((saved_model / "core_eval.json").read_text())
    assert list(result["tasks"]) == [spec.label for spec in CORE] and result["weights_sha256"] == record["weights_sha256"]
    centred = [task["centred"] for task in result["tasks"].values()]
    assert result["core"]["value"] == pytest.approx(sum(centred) / 22) and result["core"]["ci95"][0] <= result["core"]["value"]
    items = [json.loads(line) for line in (saved_model / "core_eval.jsonl").read_text().splitlines()]
    assert len(items) == 44 and {"task", "index", "score", "chosen", "logprobs", "is_cut"} <= items[0].keys()
    assert "core_eval" in EVALS
    rows = scores_by_stage({"sft": Stage({}, {}, [], {"core_eval": result})})
    assert rows["CORE"]["sft"]["value"] == result["core"]["value"] and len(rows) == 23


def test_some_tasks_or_few_items_are_measured_on_request(saved_model, bundle, capsys):  # noqa: F811
    record = run_core_eval("--core-data", str(bundle), "--tasks", "copa,coqa", "--max-per-task", "1")
    assert record["core"] is None and {task["n"] for task in record["tasks"].values()} == {1}
    assert "no CORE: 2 of 22 tasks" in capsys.readouterr().err
    assert run_core_eval("--core-data", str(bundle), "--max-per-task", "1")["core"] is not None


@pytest.mark.parametrize("flags, said", [
    (["--tasks", "nope"], "--tasks nope: choose from hellaswag_zeroshot"), (["--max-per-task", "0"], "at least 1"),
    (["--core-data", "/nowhere"], "--core-data wants DCLM's"), ([], "eval_bundle"), (["--model-tag", "x"], "x")])
def test_what_is_wrong_is_one_line(saved_model, bundle, capsys, flags, said):  # noqa: F811
    data = [] if not flags or "--core-data" in flags else ["--core-data", str(bundle)]
    with pytest.raises(SystemExit) as stop:
        run_core_eval(*data, *flags)
    out, err = capsys.readouterr()
    assert stop.value.code == 2 and out == "" and said in err and err.count("\n") == 1


def test_the_environment_may_name_the_folder(saved_model, bundle, monkeypatch):  # noqa: F811
    monkeypatch.setenv("NANOCHAT_TASK_DATA", str(bundle.parent))
    assert run_core_eval("--tasks", "copa")["tasks"]["copa"]["n"] == 2


# -----------------------------------------------------------------------------
# Stopped, continued, and on several ranks

FLAGS = ("--tasks", "copa,jeopardy,coqa")  # two items each, one a chunk


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr("nanochat.core_eval.CHUNK_ITEMS", 1)


def items_of(run_dir):
    lines = [json.loads(line) for line in (run_dir / "core_eval.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "sec"} for line in lines]


def die_after(monkeypatch, num_chunks: int):
    """The process is killed in the midst of the chunk after these."""
    score_chunk, calls = core_eval.score_chunk, []

    def score(*arguments):
        calls.append(arguments)
        if len(calls) > num_chunks:
            raise KeyboardInterrupt
        return score_chunk(*arguments)
    monkeypatch.setattr(core_eval, "score_chunk", score)
    return calls


def test_a_killed_evaluation_continues_to_the_same_bits(saved_model, bundle, small_chunks, monkeypatch, capsys):  # noqa: F811
    straight = run_core_eval("--core-data", str(bundle), *FLAGS)
    expected = items_of(saved_model)
    (saved_model / "core_eval.jsonl").unlink()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        die_after(patch, 4)
        run_core_eval("--core-data", str(bundle), *FLAGS)
    (part,) = saved_model.glob("core_eval.part-*.jsonl")
    part.write_text(part.read_text()[:-20])  # and the last line it wrote is torn
    capsys.readouterr()
    with monkeypatch.context() as patch:
        calls = die_after(patch, 99)
        resumed = run_core_eval("--core-data", str(bundle), *FLAGS)
    assert len(calls) == 3 and "6 items of 3 tasks, 3 of them scored before" in capsys.readouterr().err
    assert items_of(saved_model) == expected and resumed["tasks"] == straight["tasks"]
    assert not list(saved_model.glob("core_eval.part-*"))


def test_a_finished_evaluation_is_printed_again_without_the_model(saved_model, bundle, monkeypatch, capsys):  # noqa: F811
    first = run_core_eval("--core-data", str(bundle))
    monkeypatch.setattr(core_eval, "load_model", None)
    capsys.readouterr()
    again = run_core_eval("--core-data", str(bundle))
    assert "44 of them scored before" in capsys.readouterr().err
    assert {key: again[key] for key in ("core", "tasks", "seconds")} == {key: first[key] for key in ("core", "tasks", "seconds")}


@pytest.mark.parametrize("change", [("--dtype", "float64"), ("--max-per-task", "1"), "rows"])
def test_another_evaluation_begins_anew(saved_model, bundle, monkeypatch, change):  # noqa: F811
    run_core_eval("--core-data", str(bundle), "--tasks", "copa")
    if change == "rows":
        path = bundle / "eval_data" / next(spec.file for spec in CORE if spec.label == "copa")
        path.write_text(path.read_text().replace("Was it?", "Is it not?"))
    calls = die_after(monkeypatch, 99)
    run_core_eval("--core-data", str(bundle), "--tasks", "copa", *(() if change == "rows" else change))
    assert len(calls) == 1


def test_what_one_rank_of_two_left_is_finished_by_one(saved_model, bundle, small_chunks, monkeypatch):  # noqa: F811
    run_core_eval("--core-data", str(bundle), *FLAGS)
    expected = items_of(saved_model)
    (saved_model / "core_eval.jsonl").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(core_eval, "get_dist_info", lambda: DistInfo(1, 1, 2))
        assert run_core_eval("--core-data", str(bundle), *FLAGS) is None  # and rank 0 was killed before it began
    calls = die_after(monkeypatch, 99)
    run_core_eval("--core-data", str(bundle), *FLAGS)
    assert len(calls) == 3 and items_of(saved_model) == expected


@pytest.mark.slow
def test_two_ranks_find_what_one_finds_to_the_bit(saved_model, bundle):  # noqa: F811
    flags = f"--core-data {bundle} --source sft --device-type cpu --dtype float32"
    two = launch("scripts.core_eval", flags, ranks=2)
    theirs = items_of(saved_model)
    (saved_model / "core_eval.jsonl").unlink()
    one = run_core_eval("--core-data", str(bundle))
    assert theirs == items_of(saved_model) and two["tasks"] == json.loads(json.dumps(one["tasks"]))
