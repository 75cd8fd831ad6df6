"""A run folder with known figures goes in; exact JSON and a page that holds together come out."""

import json
import math
import os
import re
from html.parser import HTMLParser

import pytest

from nanochat.common import tokenizer_path
from nanochat.report import ASSUMED, gather, guess_cost
from nanochat.report_page import gist, question_html, render
from nanochat.run import STAGES, runs_dir
from nanochat.tokenizer import Tokenizer
from scripts import report as script
from scripts import tok_train

MODEL = {"sequence_len": 64, "vocab_size": 384, "n_layer": 2, "n_head": 1, "n_kv_head": 1, "n_embd": 128,
         "layer_types": ["full", "full"], "window": -1}
NUM_PARAMS = 2 * 384 * 128 + 2 * 12 * 128 ** 2  # two tables; in each layer 4 squares for attention, 8 for the MLP
BYTES = Tokenizer("x", tuple(bytes([byte]) for byte in range(256)))
CPU = "Some(R) CPU (2 cores)"
NOW = "2030-01-02T03:04:05+00:00"
HOSTILE = "</p><script>alert(1)</script><img src=http://evil onerror=alert(1)>\"'&\x00\ud800{style}"


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def sample(skill="facts", score=1.0, question="How many legs?", answer="Four.", **more):
    return {"skill": skill, "question": question, "expected": "four", "parts": [{"type": "text", "text": answer}],
            "score": score, "error": None, **more}


def add_stage(stage, tag="d2", *, source=None, metrics=None, record=(), config=()):
    folder = runs_dir(stage) / tag
    metrics = metrics or [{"step": step, "loss": 4.0 - step} for step in (1, 2)]
    write(folder / "config.json", {
        "argv": ["x.py", "--model-tag", tag], "settings": {"plan": {"total_batch_size": 512}, "source": source},
        "model": MODEL, "device": CPU, "world": 1, "versions": {"python": "3.11.7", "torch": "2.13.0"}, **dict(config)})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in metrics))
    write(folder / "result.json", {
        "script": {"base": "base_train", "mid": "mid_train"}.get(stage, f"chat_{stage}"), "stage": stage, "tag": tag,
        "final_step": 2, "final_loss": 2.5, "val_bpb": None, "weights_sha256": f"{stage}-weights", "tokens": 1024,
        "total_sec": 10.0, "train_sec": 6.0, "tok_per_sec": 200.0, "peak_rss_bytes": 1000, "device": CPU,
        "dtype": "float32", "seed": 0, "checkpoint": f"{stage}/2", "commit": "abc", "is_dirty": False, **dict(record)})
    BYTES.save(folder / "step_00000002" / "tokenizer.json")
    return folder


def add_chat_eval(stage, tag="d2", samples=(), **more):
    write(runs_dir(stage) / tag / "chat_eval.json", {
        "weights_sha256": f"{stage}-weights", "skills": {"facts": {"accuracy": 0.75, "n": 8, "ci95": [0.4, 0.9]}},
        "samples": list(samples), "seconds": 3.0, **more})


def items(*scores, sha256="the same"):
    return {"facts": {"sha256": sha256, "scores": list(scores)}}


def failure(skill="facts", kind="colour", manner="other", count=3, n_kind=4, question="How many legs?", answer="Five."):
    return {"skill": skill, "kind": kind, "manner": manner, "count": count, "n_kind": n_kind,
            "example": {"question": question, "expected": "four", "answer": answer}}


def chat(*texts, title="a sum"):
    return {"title": title, "temperature": 0.0, "messages": [
        {"role": "user", "content": text} if i % 2 == 0 else
        {"role": "assistant", "content": [{"type": "text", "text": text}]} for i, text in enumerate(texts)]}


def add_base_eval(tag="d2", stage="base", **more):
    write(runs_dir(stage) / tag / "base_eval.json", {
        "val_bpb": 1.5, "val_bpb_ci95": [1.4, 1.6], "byte_unigram_bpb": 4.25, "zstd19_bpb": None, "data": "its text",
        "weights_sha256": f"{stage}-weights", "samples": ["Once upon a time"], **more})


def add_tokenizer(**more):
    BYTES.save(tokenizer_path())
    write(tokenizer_path().with_name("result.json"), {
        "total_sec": 2.0, "fingerprint": BYTES.fingerprint, "vocab_size": 265, "text_bytes": 99, "peak_rss_bytes": 3000,
        "commit": "abc", "is_dirty": False, "argv": ["x.py", "--vocab-size", "265"], **more})


def add_everything(tag="d2", samples=()):
    add_tokenizer()
    add_stage("base", tag, record={"val_bpb": 1.6}, metrics=[
        {"step": 1, "loss": 3.0}, {"step": 1, "val_bpb": 2.0}, {"step": 2, "loss": 2.0}, {"step": 2, "val_bpb": 1.6}])
    add_base_eval(tag)
    add_stage("mid", tag, source="base-weights")
    add_stage("sft", tag, source="mid-weights", record={"val_loss": 2.25})
    add_stage("rl", tag, source="sft-weights", record={"mean_reward": 0.5}, metrics=[
        {"step": 0, "event": "eval", "accuracy": {"letters": 0.25}}, {"step": 1, "loss": 0.0, "reward": 0.5},
        {"step": 2, "loss": -0.1, "reward": 0.5}, {"step": 2, "event": "eval", "accuracy": {"letters": 0.5}}])
    for stage in ("mid", "sft", "rl"):
        add_chat_eval(stage, tag, samples)


def run_script(*flags):
    return script.main(script.build_parser().parse_args(list(flags)))


class Page(HTMLParser):
    """The tags, attributes and text of a page; asserts that every element is closed in order."""
    VOID = {"meta"}

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.open, self.text = set(), [], [], ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes += attributes
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


# -----------------------------------------------------------------------------
# report.json

def test_every_figure_of_a_whole_run_is_in_the_report():
    add_everything()
    report = gather("d2", NOW).report
    machine, cost = report.pop("machine"), report.pop("cost")
    assert (cost["unit"], cost["units"], cost["hours"]) == ("core", 2, 51.0 / 3600)
    assert {key: machine[key] for key in ("device", "world", "python", "torch")} == {
        "device": CPU, "world": 1, "python": "3.11.7", "torch": "2.13.0"}
    stage = {"seconds": 10.0, "eval_seconds": 3.0, "final_step": 2, "tokens": 1024, "tok_per_sec": 200.0,
             "final_loss": 2.5, "peak_rss_bytes": 1000, "device": CPU, "dtype": "float32", "seed": 0, "commit": "abc",
             "is_dirty": False}
    of = {name: stage | {"checkpoint": f"{name}/2", "weights_sha256": f"{name}-weights"} for name in STAGES}
    del of["base"]["eval_seconds"]
    score = {"accuracy": 0.75, "n": 8, "ci95": [0.4, 0.9]}
    assert report == {
        "format_version": 1, "tag": "d2", "created": NOW, "commit": "abc", "is_dirty": False,
        "total_sec": 2.0 + 4 * 10.0 + 3 * 3.0, "peak_rss_bytes": 3000,
        "model": {"depth": 2, "width": 128, "heads": 1, "vocab_size": 384, "context": 64, "params": NUM_PARAMS},
        "bits_per_byte": {"model": 1.5, "byte_unigram": 4.25, "zstd19": None},
        "stages": {"tokenizer": {"seconds": 2.0, "vocab_size": 265, "text_bytes": 99, "peak_rss_bytes": 3000,
                                 "commit": "abc", "is_dirty": False},
                   "base": of["base"] | {"val_bpb": 1.6}, "mid": of["mid"], "sft": of["sft"] | {"val_loss": 2.25},
                   "rl": of["rl"] | {"mean_reward": 0.5}},
        "skills": {"facts": {"mid": score, "sft": score, "rl": score}},
        "failures": None, "tasks": {"bits per byte": BASE_BPB}, "contamination": {}, "missing": []}


BASE_BPB = {"base": {"value": 1.5, "ci95": [1.4, 1.6]}}  # of add_base_eval


def add_evaluations(stage, **more):
    score = {"accuracy": 0.5, "ci95": [0.25, 0.75], "n": 40, "stderr": 0.1, "centred": 0.3, "num_cut": 0}
    mean = {"value": 0.1234, "stderr": 0.01, "ci95": [-0.011, 0.145]}
    of = {"weights_sha256": f"{stage}-weights"} | more
    write(runs_dir(stage) / "d2" / "core_eval.json", of | {"core": mean, "tasks": {"copa": score}})
    write(runs_dir(stage) / "d2" / "task_eval.json", of | {"chatcore": None, "skills": {"gsm8k": score}})
    shown = [{"item": 3, "share": 1.0, "documents": 2, "words": "to be or not <to> be"}]
    write(runs_dir(stage) / "d2" / "contamination.json", of | {"findings": {
        "n": 13, "text_bytes": 2_000_000, "evaluations": {
            "gsm8k": {"hit": 5, "checked": 9, "mostly": 1, "shown": shown}, "mmlu": {"hit": 0, "checked": 9, "mostly": 0}}}})


def test_evaluations_and_contamination_are_on_the_card():
    add_everything()
    add_evaluations("sft")
    card = gather(None, NOW)
    row = {"sft": {"value": 0.5, "ci95": [0.25, 0.75], "n": 40}}
    assert card.report["tasks"] == {"bits per byte": BASE_BPB, "CORE": {"sft": {"value": 0.1234, "ci95": [-0.011, 0.145]}},
                                    "CORE copa": row, "gsm8k": row}
    text = Page(render(card)).text
    for said in ("0.1234", "-0.011 to 0.145", "CORE copa", "25–75", "SFT: 1 of 2 evaluations share 13 words", "5 of 9",
                 "to be or not <to> be"):
        assert said in text, said
    assert "ChatCORE" not in card.report["tasks"]


def add_scores(stage, bpb, core=None, chatcore=None, **tasks):
    """As base_eval, core_eval and chat_eval --tasks leave them, every interval 0.1 around its value."""
    of, folder = {"weights_sha256": f"{stage}-weights"}, runs_dir(stage) / "d2"
    around = lambda value: [round(value - 0.1, 4), round(value + 0.1, 4)]
    mean = lambda value: None if value is None else {"value": value, "stderr": 0.05, "ci95": around(value)}
    share = lambda value: {"accuracy": value, "n": 80, "ci95": around(value)}
    add_base_eval(stage=stage, val_bpb=bpb, val_bpb_ci95=around(bpb))
    if core is not None:
        write(folder / "core_eval.json", of | {"core": mean(core), "tasks": {"copa": share(core + 0.5)}})
    if tasks:
        write(folder / "task_eval.json", of | {
            "chatcore": mean(chatcore), "skills": {name: share(value) for name, value in tasks.items()}})


def test_four_stages_against_every_evaluation_by_hand():
    """The rows and columns that a reader compares: bits per byte, CORE, ChatCORE and tasks, of base, mid, sft and rl."""
    add_everything()
    add_scores("base", 1.0, core=0.2)
    add_scores("mid", 1.1, core=-0.05, mmlu=0.25)
    add_scores("sft", 1.2, chatcore=0.3, mmlu=0.5, gsm8k=0.15)
    add_scores("rl", 1.3, chatcore=0.4, mmlu=0.5, gsm8k=0.25)
    card = gather(None, NOW)
    text = Page(render(card)).text
    table = text[text.index("evaluationBaseMidtrainingSFTRLn"):]
    for row in ("bits per byte1.00000.900 to 1.1001.10001.000 to 1.2001.20001.100 to 1.3001.30001.200 to 1.400",
                "CORE0.20000.100 to 0.300-0.0500-0.150 to 0.050\u2013\u2013",
                "ChatCORE\u2013\u20130.30000.200 to 0.4000.40000.300 to 0.500",
                "mmlu\u201325%15\u20133550%40\u20136050%40\u20136080", "gsm8k\u2013\u201315%5\u20132525%15\u20133580",
                "CORE copa70%60\u20138045%35\u201355\u2013\u201380"):
        assert row in table, row
    assert list(card.report["tasks"]) == ["bits per byte", "CORE", "ChatCORE", "CORE copa", "mmlu", "gsm8k"]
    assert {name: list(row) for name, row in card.report["tasks"].items()} == {
        "bits per byte": ["base", "mid", "sft", "rl"], "CORE": ["base", "mid"], "ChatCORE": ["sft", "rl"],
        "CORE copa": ["base", "mid"], "mmlu": ["mid", "sft", "rl"], "gsm8k": ["sft", "rl"]}


def test_what_rl_sampled_before_and_after_stands_under_the_stage_it_began_from():
    add_everything()
    passes = lambda *shares: {"pass_at_k": {"gsm8k": {
        str(k): {"value": share, "ci95": [0.0, share + 0.1], "n": 527} for k, share in zip((1, 8), shares)}}}
    for source in ("sft-weights", "gone"):
        add_stage("rl", source=source, record=passes(0.025, 0.125) | {"before": passes(0.02, 0.1)})
        rows = gather(None, NOW).report["tasks"]
        shown = {title: {stage: score["value"] for stage, score in row.items()} for title, row in rows.items() if "@" in title}
        assert shown == ({"gsm8k pass@1": {"sft": 0.02, "rl": 0.025}, "gsm8k pass@8": {"sft": 0.1, "rl": 0.125}}
                         if source == "sft-weights" else {"gsm8k pass@1": {"rl": 0.025}, "gsm8k pass@8": {"rl": 0.125}})


def test_habits_and_small_shares_are_on_the_card():
    """9 of 500: Wilson's interval is 0.95% to 3.38%, of which whole per cents would say 1 to 3."""
    add_everything()
    score = {"accuracy": 0.018, "n": 500, "ci95": [0.0096, 0.0338], "habits": {"ends with ####": 0.8}}
    write(runs_dir("sft") / "d2" / "task_eval.json", {
        "weights_sha256": "sft-weights", "chatcore": None, "skills": {"gsm8k": score}})
    for stage in ("mid", "sft", "rl"):
        (runs_dir(stage) / "d2" / "chat_eval.json").unlink()
    card = gather(None, NOW)
    text = Page(render(card)).text
    assert "gsm8k\u20131.8%1.0\u20133.4500" in text and "gsm8k ends with ####\u201380%76\u201383500" in text
    assert not any("No skill" in line for line in card.report["missing"]) and "trained from nothing in" in text
    (runs_dir("base") / "d2" / "result.json").unlink()
    assert "parameters, trained in 32 s" in Page(render(gather(None, NOW))).text


def test_bits_per_byte_of_another_text_are_left_out_with_a_line():
    add_everything()
    add_base_eval(stage="mid", val_bpb=1.25)
    add_base_eval(stage="sft", data="another text")
    report = gather(None, NOW).report
    assert {name: score["value"] for name, score in report["tasks"]["bits per byte"].items()} == {"base": 1.5, "mid": 1.25}
    assert report["missing"] == ["SFT: its bits per byte are of another text and left out; run python -m scripts.base_eval "
                                 "--source sft --model-tag d2 again."]


def test_the_same_openings_stand_side_by_side():
    add_everything()
    for stage, answer in (("base", "the the"), ("mid", "Four!"), ("rl", "It is 4.")):
        add_chat_eval(stage, gallery=[chat("What is 2 + 2?", answer), chat("Hello.", answer, title=f"only {stage}")])
    text = Page(render(gather(None, NOW))).text
    shown = text[text.index("The same openings after each stage"):text.index("How it learned")]
    assert "a sumBaseWhat is 2 + 2?the theMidtrainingWhat is 2 + 2?Four!RLWhat is 2 + 2?It is 4.only rlRLHello.It is 4." in shown
    assert "only mid" not in shown
    add_stage("base", "alone")
    add_chat_eval("base", "alone", gallery=[chat("Hello.", "Hi.")])
    assert "The same openings after" not in render(gather("alone", NOW))


def test_evaluations_of_other_weights_are_left_out_with_a_line():
    add_everything()
    add_evaluations("sft", weights_sha256="before")
    card = gather(None, NOW)
    assert card.report["tasks"] == {"bits per byte": BASE_BPB} and card.report["contamination"] == {}
    assert "python -m scripts.core_eval --source sft" in " ".join(card.report["missing"])


def test_the_script_writes_both_files_and_prints_its_record_last(empty_base_dir, capsys):
    add_everything()
    record = run_script()
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == record
    assert record["script"] == "report" and record["tag"] == "d2" and record["status"] == "finished"
    folder = empty_base_dir / "report"
    assert sorted(path.name for path in folder.iterdir()) == ["index.html", "report.json"]
    assert json.loads((folder / "report.json").read_text())["total_sec"] == 51.0
    assert (folder / "index.html").read_text().startswith("<!doctype html>")


def test_the_newest_finished_model_is_the_default_and_a_tag_chooses(empty_base_dir):
    for age, tag in enumerate(("new", "old")):
        os.utime(add_stage("base", tag) / "result.json", (1e9 - age, 1e9 - age))
    add_stage("sft", "running")
    (runs_dir("sft") / "running" / "result.json").unlink()
    assert run_script()["tag"] == "new"
    assert run_script("--model-tag", "old")["tag"] == "old"


@pytest.mark.parametrize("tag", ["d3", "../d2", "running"])
def test_an_unknown_or_unfinished_tag_lists_what_there_is(tag, capsys):
    add_stage("base", "d2")
    (add_stage("base", "running") / "result.json").unlink()
    with pytest.raises(SystemExit) as stop:
        run_script("--model-tag", tag)
    out, err = capsys.readouterr()
    assert (stop.value.code, out) == (2, "")
    assert err == f"error: --model-tag {tag}: no finished stage of that name; there are: d2\n"


def test_without_a_model_it_says_what_to_run(capsys):
    with pytest.raises(SystemExit) as stop:
        run_script()
    assert stop.value.code == 2 and "train one with bash runs/quickstart.sh" in capsys.readouterr().err


def test_broken_metrics_are_the_persons_to_mend(capsys):
    (add_stage("base") / "metrics.jsonl").write_text('{"step": 1, "lo\n')
    with pytest.raises(SystemExit) as stop:
        run_script()
    assert stop.value.code == 2 and "metrics.jsonl is not JSON lines" in capsys.readouterr().err


def test_absent_stages_are_absent_with_a_line():
    add_stage("base")
    (add_stage("sft") / "result.json").unlink()
    card = gather(None, NOW)
    assert list(card.report["stages"]) == ["base"] and card.report["skills"] == {}
    assert card.report["missing"] == ["How long the tokenizer took is not known.", "Midtraining was not run.",
                                      "SFT has not finished.", "RL was not run.", "No skill was measured."]
    page = Page(render(card))
    assert "RL was not run." in page.text and "What it can do" not in page.text and "What it says" not in page.text


def test_measurements_of_other_weights_are_left_out_with_a_line():
    add_everything()
    add_chat_eval("sft", weights_sha256="before", skills={"facts": {"accuracy": 0.0, "n": 1, "ci95": [0, 1]}})
    add_base_eval(weights_sha256="before", val_bpb=9.9)
    report = gather(None, NOW).report
    assert list(report["skills"]["facts"]) == ["mid", "rl"] and "eval_seconds" not in report["stages"]["sft"]
    assert report["bits_per_byte"] == {"model": 1.6, "byte_unigram": None, "zstd19": None}
    assert report["missing"] == [
        f"{name}: {kind}_eval.json is of other weights and left out; "
        f"run python -m scripts.{kind}_eval --source {name.lower()} --model-tag d2 again."
        for name, kind in (("Base", "base"), ("SFT", "chat"))]


def test_a_stage_that_began_elsewhere_is_named():
    add_everything()
    add_stage("sft", source="an earlier midtraining")
    missing = gather(None, NOW).report["missing"]
    assert missing == ["SFT: began from weights that no earlier stage shown here ended with."]


def test_stages_that_answered_the_same_questions_are_compared_item_by_item():
    add_everything()
    add_chat_eval("mid", items=items(*[0] * 10 + [1] * 10))
    add_chat_eval("sft", items=items(*[1] * 20))
    add_chat_eval("rl", items=items(*[1] * 19, sha256="others"))
    scores = gather(None, NOW).report["skills"]["facts"]
    change = scores["sft"]["change"]
    assert (change["since"], change["difference"], change["gained"], change["lost"], change["p"]) == (
        "mid", 0.5, 10, 0, 2 / 2 ** 10)
    assert "change" not in scores["mid"] and "change" not in scores["rl"]


def test_a_stage_is_compared_with_the_one_measured_before_it():
    add_everything()
    add_chat_eval("mid", items=items(0, 1))
    add_chat_eval("sft", weights_sha256="before", items=items(1, 1))
    add_chat_eval("rl", items=items(1, 1))
    assert gather(None, NOW).report["skills"]["facts"]["rl"]["change"]["since"] == "mid"


def test_failures_are_those_of_the_last_measured_stage():
    add_everything()
    add_chat_eval("mid", failures=[failure(count=4)])
    add_chat_eval("sft", failures=[failure(count=3), failure(kind="size", count=1)])
    (runs_dir("rl") / "d2" / "chat_eval.json").unlink()
    assert gather(None, NOW).report["failures"] == {"stage": "sft",
                                                    "rows": [failure(count=3), failure(kind="size", count=1)]}


def test_the_guess_of_energy_and_money_by_hand():
    """3 hours on 2 cores at 8 W, and on 8 GPUs at 700 W, 80% used, 1.3 times that from the wall."""
    cpu = guess_cost(3 * 3600, {"device": "AMD EPYC (2 cores)", "world": 1, "cores": 99})
    assert cpu["kwh"] == pytest.approx(3 * 2 * 8 * 0.8 * 1.3 / 1000)
    assert cpu["usd_electricity"] == pytest.approx(cpu["kwh"] * 0.2) and cpu["usd_rent"] == pytest.approx(6 * 0.05)
    gpu = guess_cost(3 * 3600, {"device": "NVIDIA H200", "world": 8, "cores": 99})
    assert gpu["kwh"] == pytest.approx(3 * 8 * 700 * 0.8 * 1.3 / 1000) and gpu["usd_rent"] == pytest.approx(24 * 3)
    assert (gpu["unit"], gpu["units"], gpu["assumed"]) == ("gpu", 8, ASSUMED)
    assert [guess_cost(1, {"device": name, "world": 1, "cores": 8})["units"] for name in ("cpu", "mps")] == [8, 8]


def test_a_resumed_stage_counts_the_time_of_all_launches():
    add_stage("base", record={"total_sec": 4.0, "train_sec": 30.0})
    assert gather(None, NOW).report["stages"]["base"]["seconds"] == 30.0


def test_the_time_of_another_tokenizer_is_not_the_models():
    add_stage("base")
    add_tokenizer(fingerprint="of another")
    card = gather(None, NOW)
    assert "tokenizer" not in card.report["stages"] and card.commands == ["python -m scripts.base_train --model-tag d2"]


def test_a_diverged_run_gives_nulls_and_a_line():
    add_stage("base", record={"final_loss": math.nan},
              metrics=[{"step": 1, "loss": 3.0}, {"step": 2, "loss": math.nan}, {"step": 3, "loss": math.inf}])
    card = gather(None, NOW)
    text = json.dumps(card.report, allow_nan=False)
    assert json.loads(text)["stages"]["base"]["final_loss"] is None
    assert "Base: 2 steps have a loss that is no number." in card.report["missing"]
    page = render(card)
    assert "It diverged." in page and not re.search("nan|inf", "".join(re.findall("<svg.*?</svg>", page)))


def test_commands_repeat_the_flags_and_the_number_of_ranks():
    add_everything()
    add_stage("base", config={"world": 2, "argv": ["/x/base_train.py", "--data", "my book.txt"]})
    assert gather(None, NOW).commands[:3] == [
        "python -m scripts.tok_train --vocab-size 265",
        "torchrun --nproc_per_node=2 -m scripts.base_train --data 'my book.txt'",
        "python -m scripts.mid_train --model-tag d2"]


def test_tok_train_keeps_its_record_where_the_report_reads_it(tmp_path):
    (tmp_path / "text.txt").write_text("a lazy fox saw a dog. " * 400)
    flags = ["--data", str(tmp_path / "text.txt"), "--vocab-size", "270"]
    record = tok_train.main(tok_train.build_parser().parse_args(flags))
    assert json.loads(tokenizer_path().with_name("result.json").read_text()) == record
    assert record["fingerprint"] == Tokenizer.load(tokenizer_path()).fingerprint


# -----------------------------------------------------------------------------
# index.html

def test_the_page_shows_every_section_of_a_whole_run():
    parts = [{"type": "python", "text": "2*3"}, {"type": "python_output", "text": "6"}, {"type": "text", "text": "6."}]
    add_everything(samples=[sample(parts=parts), sample(score=0.0, answer="Five.")])
    text = render(gather(None, NOW))
    page = Page(text)
    assert page.text.index("Bits per byte") < page.text.index("What it can do") < page.text.index("How it learned")
    for words in ("492 thousand parameters", "51 s", "Right, after RL", "Wrong, after RL", "expected: four", "40–90",
                  "Once upon a time", "byte frequencies 4.25", "letters 50%", "commit abc", "2030-01-02 03:04 UTC",
                  "Energy, a guess", "$0.20 per kWh",
                  "2 x 8 watts per core, 80% used"):
        assert words in page.text, words
    assert '<code class="python">2*3</code><code class="python_output">6</code><span>6.</span>' in text
    assert text.count("<svg") == 6  # base twice, mid, sft, rl, skills


def test_changes_failures_and_the_gallery_are_shown():
    add_everything()
    add_chat_eval("sft", items=items(*[0] * 10 + [1] * 10))
    add_chat_eval("rl", items=items(*[1] * 20), failures=[failure(manner="a rival")],
                  gallery=[chat("What is 2 + 2?", "It is 4.", "Thanks!")])
    text = render(gather(None, NOW))
    page = Page(text)
    for words in ("RL since SFT", "p 0.002", "a rival", "3 of 4", "“How many legs?” → “Five.” (right: four)",
                  "after RL, not picked"):
        assert words in page.text, words
    assert "<b>+50.0</b>" in text and "width: 75%" in text and text.count("<svg") == 7
    assert ('<div class="user"><span>What is 2 + 2?</span></div><div class="answer"><span>It is 4.</span></div>'
            '<div class="user"><span>Thanks!</span></div>') in text


def test_the_page_asks_for_nothing():
    add_everything(samples=[sample()])
    text = render(gather(None, NOW))
    page = Page(text)
    assert page.tags.isdisjoint({"script", "link", "img", "iframe", "object", "embed", "base", "a", "image", "use"})
    assert {name for name, _ in page.attributes}.isdisjoint({"src", "href", "srcset", "action", "data", "xlink:href"})
    assert not re.search(r"https?://|url\(|@import|//\w", text)
    assert dict(page.attributes)["content"].startswith("default-src 'none'")


def test_no_tag_of_hostile_data_survives():
    """Every text that a model, a file or a person chose; the clean page's tags are the only ones."""
    add_everything(samples=[sample(parts=[{"type": "python", "text": "1"}]), sample(score=0.0)])
    add_chat_eval("sft", items=items(0, 1), gallery=[chat("Hello.", "Hi.")])
    more = {"items": items(1, 1), "gallery": [chat("Hello.", "Hi.")], "failures": [failure()]}
    add_chat_eval("rl", samples=[sample(parts=[{"type": "python", "text": "1"}]), sample(score=0.0)], **more)
    clean = Page(render(gather(None, NOW)))
    bad = [sample(HOSTILE, score, HOSTILE, HOSTILE, expected=HOSTILE, error=HOSTILE) for score in (1.0, 0.0)]
    bad[0]["parts"] += [{"type": kind, "text": HOSTILE} for kind in ("python", "python_output", HOSTILE)]
    bad[1]["question"] = f"user: {HOSTILE}\nassistant: {HOSTILE}"
    skills = {HOSTILE: {"accuracy": 0.5, "n": 4, "ci95": [0.2, 0.8]}}
    hostile = {"argv": ["x", HOSTILE], "device": HOSTILE, "versions": {"python": HOSTILE, "torch": HOSTILE}}
    add_base_eval(samples=[HOSTILE])
    add_stage("rl", source="sft-weights", config=hostile, record={"commit": HOSTILE, "device": HOSTILE}, metrics=[
        {"step": 1, "loss": 0.0, "reward": 0.5}, {"step": 2, "event": "eval", "accuracy": {HOSTILE: 0.5}}])
    one = {"sha256": "the same", "scores": [0]}
    add_chat_eval("sft", skills=skills, items={HOSTILE: one}, gallery=[chat(*[HOSTILE] * 4, title=HOSTILE)])
    add_chat_eval("rl", samples=bad, skills=skills, items={HOSTILE: one}, gallery=[chat(*[HOSTILE] * 4, title=HOSTILE)],
                  failures=[failure(HOSTILE, HOSTILE, HOSTILE, question=HOSTILE, answer=HOSTILE)])
    text = render(gather(None, NOW))
    text.encode()
    page = Page(text)
    assert page.tags == clean.tags
    assert {name for name, _ in page.attributes} == {name for name, _ in clean.attributes}
    assert page.text.count("<script>alert(1)</script>") >= 20 and "\x00" not in text
    assert text.count("<style>") == 1


def test_a_question_of_several_turns_is_shown_as_turns():
    assert question_html("How many?") == ['<div class="user"><span>How many?</span></div>']
    assert question_html("user: I like red.\nassistant: All right.\nuser: Which\ncolour?") == [
        '<div class="user"><span>I like red.</span></div>', '<div class="answer"><span>All right.</span></div>',
        '<div class="user"><span>Which\ncolour?</span></div>']


def test_the_gist_of_a_long_question_is_its_end():
    told = {"question": "user: I am Ada.\nassistant: Hi.\nuser: Who am I?", "expected": "Ada", "answer": ""}
    assert gist(told) == ["“Who am I?” → “”", " (right: Ada)"]
    long = gist({"question": "x" * 100 + " Who sold it?", "expected": None, "answer": "y" * 100})
    assert long[0].startswith("“…x") and "Who sold it?” → “y" in long[0] and long[1] == ""
