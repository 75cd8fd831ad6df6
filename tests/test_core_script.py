"""scripts/core_eval.py on a bundle of two items per task and a model that was never trained."""

import json

import pytest
from test_task_eval import saved_model, tok  # noqa: F401  a checkpoint sft/tiny and its tokenizer

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
    assert json.loads(out.splitlines()[-1]) == json.loads(json.dumps(record)) and "CORE " in err
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


def test_under_torchrun_it_says_to_use_one_process(saved_model, bundle, monkeypatch, capsys):  # noqa: F811
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SystemExit):
        run_core_eval("--core-data", str(bundle))
    assert "not torchrun" in capsys.readouterr().err
