"""Training code is proven by equality: resumed == straight to the bit, two ranks == one, shards alone == everything
installed. Depth 2, rows of 64 tokens, a few steps."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch._dynamo.utils import counters as dynamo_counters

from nanochat.common import base_dir, has_compiler, tokenizer_path
from nanochat.run import read_metrics
from scripts import base_eval, base_train, chat_rl, chat_sft, mid_train

REPOSITORY = Path(__file__).resolve().parents[1]
BASE = ("--depth 2 --max-seq-len 64 --total-batch-size 512 --num-iterations 10 --eval-tokens 512 --dtype float32 "
        "--warmup-steps 1 --matrix-lr 0.3 --embedding-lr 3 --unembedding-lr 0.3")
CHAT = "--num-iterations 10 --total-batch-size 512 --dtype float32"
SKILLS = "--skills letters,facts "
RL = (f"{SKILLS}--num-iterations 6 --prompts-per-step 4 --num-samples 3 --max-new-tokens 12 --eval-items 4 "
      "--dtype float32 --temperature 1.5")


ODD = """
def prompts(split):
    return [{"prompt": f"{split} {i}", "number": i} for i in range(9)]
def reward(item, answer):
    n = len(answer) + item["number"]
    if n % 8 == 0:
        raise ValueError(f"{len(answer)} characters")
    return float("nan") if n % 8 == 1 else n % 2
"""


def train(script, flags):
    return script.main(script.build_parser().parse_args(flags.split()))


def text_flags():
    return f"--data {base_dir() / 'text.jsonl'}"


def chat_flags():
    return f"--data {base_dir() / 'chats.jsonl'}"


def task_flags():
    """Conversations, a tool and multiple choice, mixed: 200, 30 and 2 x 40 of them."""
    folder = base_dir() / "tasks"
    rows = {"gsm8k/train": [{"question": f"What is {n} + 1?", "answer": f"{n} + 1 = <<{n}+1={n + 1}>>{n + 1}\n#### {n + 1}"}
                            for n in range(30)],
            "arc/ARC-Easy-train": [{"question": f"Is {n} odd?", "choices": ["no", "yes"], "gold": n % 2} for n in range(40)]}
    for name, lines in rows.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return f"--tasks {base_dir() / 'chats.jsonl'},gsm8k,arc_easy:2 --task-data {folder}"


def curve(stage, tag):
    return [{key: value for key, value in line.items() if key not in ("tok_per_sec", "dt_sec")}
            for line in read_metrics(base_dir() / "runs" / stage / tag)]


def interrupt(stage, tag, step):
    """Leave the folder as a kill would some steps after the checkpoint at `step`."""
    run_dir = base_dir() / "runs" / stage / tag
    (run_dir / "result.json").unlink()
    for path in run_dir.glob("step_*"):
        if int(path.name[5:]) > step:
            shutil.rmtree(path)


def check_resume_equals_straight(script, stage, flags, step):
    straight = train(script, f"{flags} --save-every {step}")
    expected = curve(stage, straight["tag"])
    interrupt(stage, straight["tag"], step)
    resumed = train(script, f"{flags} --save-every {step} --resume auto")
    assert resumed["weights_sha256"] == straight["weights_sha256"]
    assert curve(stage, straight["tag"]) == expected
    kept = ("final_loss", "tokens", "final_step", *(("before", "logprob_gap_max") if stage == "rl" else ()))
    assert json.dumps([resumed[key] for key in kept]) == json.dumps([straight[key] for key in kept])
    return straight


def test_base_mid_sft_and_rl_resumed_equal_the_straight_run_to_the_bit(home):
    record = check_resume_equals_straight(base_train, "base", f"{BASE} {text_flags()} --eval-every 5 --sample-every 5", 5)
    assert record["final_loss"] < 6.1 and record["val_bpb"] < 5  # from log(512) = 6.24
    check_resume_equals_straight(mid_train, "mid", f"{CHAT} {chat_flags()} --text-data {home / 'text.jsonl'}", 4)
    check_resume_equals_straight(chat_sft, "sft", f"{CHAT} --eval-every 4", 4)
    check_resume_equals_straight(chat_rl, "rl", f"{RL} --eval-every 2", 2)
    (home / "odd.py").write_text(ODD)
    shutil.rmtree(home / "runs" / "rl")
    practised = check_resume_equals_straight(
        chat_rl, "rl", f"{RL.removeprefix(SKILLS)} --reward {home / 'odd.py'} --replay 2 --kl 0.1 --updates-per-batch 2", 2)
    check_practice(practised)
    evaluated = {stage: train(base_eval, f"--source {stage} --dtype float32") for stage in ("base", "sft")}
    assert evaluated["base"]["val_bpb"] == pytest.approx(record["val_bpb"], rel=0.2)
    texts = {json.loads((base_dir() / "runs" / stage / "d2" / "base_eval.json").read_text())["data"] for stage in evaluated}
    assert len(texts) == 1 and evaluated["base"]["val_bpb_ci95"][0] < evaluated["base"]["val_bpb"]


def check_practice(record):
    """Some answers had no reward; engine and trainer agree as fp32 does; a policy is not far from itself at first."""
    lines = [line for line in read_metrics(base_dir() / "runs" / "rl" / "d2") if "loss" in line]
    assert 0 < sum(line["num_without_reward"] for line in lines) < 6 * 4 * 3
    learning = [line for line in lines if "kl" in line]  # from some group of the step
    assert learning and all(line["logprob_gap_max"] < 1e-4 and 0 <= line["kl"] for line in learning)
    assert {k: found["n"] for k, found in record["pass_at_k"]["odd"].items()} == {1: 4, 2: 4, 3: 4}
    assert record["logprob_gap_max"] == max(line["logprob_gap_max"] for line in learning)
    first = next(line for line in read_metrics(base_dir() / "runs" / "rl" / "d2") if line.get("event") == "eval")
    assert json.loads(json.dumps(record["before"])) == {key: first[key] for key in ("accuracy", "ci95", "pass_at_k")}


@pytest.mark.slow  # two C++ compilations
@pytest.mark.skipif(not has_compiler(), reason="no C++ compiler")
@pytest.mark.parametrize("save_every", [1, 4])
def test_compiled_runs_resume_to_the_bit_before_and_after_they_compile(home, save_every):
    flags = f"{BASE} {text_flags()} --compile --num-iterations 6 --save-every {save_every}"
    straight = train(base_train, flags)
    interrupt("base", "d2", save_every)
    assert train(base_train, f"{flags} --resume auto")["weights_sha256"] == straight["weights_sha256"]
    assert train(base_train, f"{flags} --overwrite")["weights_sha256"] == straight["weights_sha256"]


@pytest.mark.slow  # two C++ compilations
@pytest.mark.skipif(not has_compiler(), reason="no C++ compiler")
def test_compiled_rl_follows_eager_rl_and_resumes_to_the_bit(home, monkeypatch):
    train(base_train, f"{BASE} {text_flags()} --num-iterations 2")
    train(chat_sft, f"{CHAT} --source base --num-iterations 2 --dtype float64")
    flags = f"{RL} --dtype float64"
    expected = weights_of(train(chat_rl, flags))
    shutil.rmtree(home / "runs" / "rl")
    monkeypatch.setattr(chat_rl, "should_compile", lambda *_: True)
    dynamo_counters.clear()
    found = weights_of(check_resume_equals_straight(chat_rl, "rl", flags, 2))
    assert 0 < dynamo_counters["stats"]["unique_graphs"] <= 2 * 2  # kinds of layers, launches: no pass compiles anew
    for name, tensor in found.items():
        torch.testing.assert_close(tensor, expected[name], atol=1e-9, rtol=0)


def test_a_finished_run_is_reprinted_and_an_existing_tag_is_protected(home, capsys):
    flags = f"{BASE} {text_flags()} --num-iterations 2"
    first = train(base_train, flags)
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == first
    assert train(base_train, f"{flags} --resume auto") == first
    for more, words in (("", "--resume auto"), ("--data nowhere", "--resume auto"),  # before data is looked for
                        ("--resume auto --matrix-lr 0.5", "plan"), ("--resume auto --seed 1", "seed")):
        with pytest.raises(SystemExit) as exit_info:
            train(base_train, f"{flags} {more}")
        assert exit_info.value.code == 2 and words in capsys.readouterr().err
    assert train(base_train, f"{flags} --overwrite")["weights_sha256"] == first["weights_sha256"]


def test_passes_of_any_size_follow_the_same_curve_in_float64(home):
    losses = []
    for rows in (1, 4, 8):
        train(base_train, f"{BASE} {text_flags()} --dtype float64 --device-batch-size {rows} --model-tag r{rows}")
        losses.append([line["loss"] for line in curve("base", f"r{rows}") if "loss" in line])
    assert losses[1] == pytest.approx(losses[0], abs=1e-9) and losses[2] == pytest.approx(losses[0], abs=1e-9)


def launch(module, flags, *, ranks, env=None):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={ranks}", "-m", module]
    if ranks == 1:
        command = [sys.executable, "-m", module]
    done = subprocess.run([*command, *flags.split()], cwd=REPOSITORY, env=os.environ | {"OMP_NUM_THREADS": "1"} | (env or {}),
                          capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def weights_of(record):
    return load_file(Path(record["checkpoint"]) / "model.safetensors")


def check_two_ranks_follow_one(script, flags):
    flags += " --dtype float64 --device-batch-size 2"
    two = launch(script.__name__, f"{flags} --model-tag two", ranks=2)
    one = train(script, f"{flags} --model-tag one")
    theirs = weights_of(two)
    for name, tensor in weights_of(one).items():
        assert tensor.dtype == torch.float64
        torch.testing.assert_close(theirs[name], tensor, atol=1e-9, rtol=0)
    files = {path.name for path in Path(two["checkpoint"]).glob("optim-*")}
    assert files == {"optim-0-of-2.safetensors", "optim-1-of-2.safetensors"}
    return one, two


def test_two_ranks_follow_one_in_float64_through_base(home):
    check_two_ranks_follow_one(base_train, f"{BASE} {text_flags()}")


@pytest.mark.slow  # two launches
def test_two_ranks_follow_one_in_float64_through_mid_and_sft(home):
    train(base_train, f"{BASE} {text_flags()} --dtype float64 --device-batch-size 2 --model-tag one")
    for source, script, flags in (("base", mid_train, f"--text-data {home / 'text.jsonl'}"), ("mid", chat_sft, "")):
        shutil.rmtree(home / "runs" / source / "two", ignore_errors=True)
        shutil.copytree(home / "runs" / source / "one", home / "runs" / source / "two")  # the same start to the bit
        one, two = check_two_ranks_follow_one(script, f"{CHAT} {task_flags()} {flags}")
        assert one["num_conversations"] + one["num_dropped"] > 300 and one["num_cut"] == two["num_cut"] > 0


@pytest.mark.slow
def test_rl_runs_on_two_ranks_and_a_run_resumes_on_another_number(home):
    train(base_train, f"{BASE} {text_flags()} --dtype float64 --save-every 5")
    train(chat_sft, f"{CHAT} {chat_flags()} --source base")
    record = launch("scripts.chat_rl", RL.replace("--num-iterations 6", "--num-iterations 2"), ranks=2)
    assert record["status"] == "finished" and record["final_step"] == 2
    straight = curve("base", "d2")
    interrupt("base", "d2", 5)
    launch("scripts.base_train", f"{BASE} {text_flags()} --dtype float64 --save-every 5 --device-batch-size 4 --resume auto",
           ranks=2)
    losses = [[line["loss"] for line in lines if "loss" in line] for lines in (straight, curve("base", "d2"))]
    assert losses[0] == pytest.approx(losses[1], abs=1e-9)


BLOCKER = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"tiktoken", "rustbpe", "datasets", "pyarrow", "fastapi", "uvicorn", "pydantic", "matplotlib",
                                  "wandb", "regex"}:
            raise ImportError(f"{name} is blocked by the test")
sys.meta_path.insert(0, Block())
import runpy
sys.argv = ["base_train", *sys.argv[1:]]
runpy.run_module("scripts.base_train", run_name="__main__")
"""


def test_pretokenised_shards_train_with_torch_numpy_and_safetensors_alone(home):
    expected = train(base_train, f"{BASE} {text_flags()} --model-tag full")
    (shards,) = {path.parent for path in (home / "data").glob("*/tokens-*/index.json")}
    done = subprocess.run([sys.executable, "-c", BLOCKER, *f"{BASE} --data {shards} --model-tag bare".split()],
                          cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1])["weights_sha256"] == expected["weights_sha256"]


def test_no_tokenizer_yet_is_one_line(home, capsys):
    tokenizer_path().unlink()
    with pytest.raises(SystemExit) as exit_info:
        train(base_train, BASE)
    assert exit_info.value.code == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ") and "scripts.tok_train" in line


def test_exercises_before_sft_are_a_midtrained_model(home):
    train(base_train, f"{BASE} {text_flags()} --max-seq-len 256 --num-iterations 2")
    before = train(chat_sft, f"--stage mid --tasks exercises {CHAT}")
    assert before["stage"] == "mid"
    assert (before["num_conversations"], before["num_dropped"]) == (919, 72)  # of 1,000; 9 validate
    train(chat_sft, f"--model-tag d2 {CHAT} {chat_flags()}")
    source = json.loads((home / "runs" / "sft" / "d2" / "config.json").read_text())["settings"]["source"]
    assert source == before["weights_sha256"]


@pytest.mark.parametrize("script, flags, words", [
    (base_train, "--data nowhere", "nowhere"),
    (base_train, "--data {home}/empty", "empty"),
    (base_train, "--data {home}/torn.parquet", "torn.parquet"),
    (base_train, "--depth 0", "--depth 0: at least 1 layer"),
    (base_train, "--max-seq-len 64 --device-batch-size 4 --total-batch-size 600", "nearest valid value is 512"),
    (base_train, "--eval-every -1", "0 for only at the end"),
    (base_train, "--num-iterations 5 --target-param-data-ratio 3", "give one"),
    (base_train, "--device-type tpu", "cuda, mps, cpu"),
    (base_train, "--dtype float16", "float32, bfloat16, float64"),
    (base_train, "--model-tag ../d4", "a plain folder name"),
    (mid_train, "", "no trained model of stage base"),
    (chat_sft, "--source base --model-tag nope", "there are: base/d2"),
    (chat_sft, "--source base --step 7", "there are: 2"),
    (chat_sft, "--stage mid --source mid", "give --source base"),
    (chat_sft, "--source base --data {home}/bad.jsonl", "bad.jsonl:2: "),
    (chat_sft, "--source base --tasks {home}/bad.jsonl:2", "bad.jsonl:2: "),
    (mid_train, "--tasks world --data base", "one of them"),
    (mid_train, "--text-data text.jsonl --text-ratio 0", "no text is read"),
    (chat_rl, "--skills sums", "choose from facts"),
    (chat_rl, "--skills letters --task gsm8k", "--skills and --task: one at a time"),
    (chat_rl, "--task arc_easy --task-data {home}/arc", "not generated and graded"),
    (chat_rl, "--task nope", "choose one of"),
    (chat_rl, "--task gsm8k --task-data {home}/few", "--task gsm8k: no validation question"),  # one row in 15 validates
    (chat_sft, "--source base --tasks gsm8k --task-data {home}/few", "validation of gsm8k: no conversations"),
    (chat_rl, "--task-data {home}", "without --task"),
    (chat_rl, "--reward {home}/bad.jsonl", "not a .py file"),
    (chat_rl, "--reward-timeout 3", "without --reward"),
    (chat_rl, "--clip 0.2", "--updates-per-batch 2 or more"),
    (chat_rl, "--clip 1 --updates-per-batch 2", "between 0 and 1"),
    (chat_rl, "--kl nan", "--kl nan: from 0"),
])
def test_a_persons_mistake_is_one_line_and_exit_code_2(home, capsys, script, flags, words):
    (home / "empty").mkdir()
    (home / "arc").mkdir()
    (home / "few").mkdir()
    (home / "few" / "gsm8k-train.jsonl").write_text('{"question": "1+1?", "answer": "#### 2"}\n' * 2)
    (home / "arc" / "ARC-Easy-train.jsonl").write_text('{"question": "Up?", "choices": ["x", "y"], "gold": 1}')
    (home / "torn.parquet").write_bytes(b"PAR1" + bytes(40))
    good = json.dumps({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]})
    (home / "bad.jsonl").write_text(good + '\n{"messages": [{"role": "robot", "content": "a"}]}\n')
    if "base" in flags:
        train(base_train, f"{BASE} {text_flags()} --num-iterations 2")
    capsys.readouterr()
    with pytest.raises(SystemExit) as exit_info:
        train(script, flags.format(home=home))
    out, err = capsys.readouterr()
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert exit_info.value.code == 2 and out == "" and len(errors) == 1 and words in errors[0]


@pytest.mark.parametrize("damage, words", [
    (lambda file: file.write_bytes(file.read_bytes()[:999] + bytes([file.read_bytes()[999] ^ 1]) + file.read_bytes()[1000:]),
     "train/00000.bin is damaged: its sha256"),
    (lambda file: file.write_bytes(file.read_bytes()[:-2]), "train/00000.bin is damaged ("),
    (lambda file: file.unlink(), "train/00000.bin is missing")], ids=["flipped", "truncated", "missing"])
def test_a_damaged_shard_is_named_before_a_run_starts_or_goes_on(home, capsys, damage, words):
    flags = f"{BASE} {text_flags()} --num-iterations 2 --save-every 1"
    train(base_train, flags)
    interrupt("base", "d2", 1)
    (file,) = (home / "data").glob("*/tokens-*/train/00000.bin")
    damage(file)
    for more in ("--resume auto", "--model-tag new", f"--model-tag new --data {file.parents[1]}"):
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_info:
            train(base_train, f"{flags} {more}")
        (line,) = capsys.readouterr().err.splitlines()
        assert exit_info.value.code == 2 and line.startswith("error: ") and words in line and str(file) in line
    assert len(list((home / "runs" / "base" / "d2").glob("step_*"))) == 1 and not (home / "runs" / "base" / "new").exists()


def test_a_full_disk_is_noticed_before_the_run(home, capsys, monkeypatch):
    flags = f"{BASE} {text_flags()}"
    train(base_train, f"{flags} --model-tag first --num-iterations 1")  # makes the shards, which need room of their own
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10 ** 9, 10 ** 9, 10 ** 6))
    with pytest.raises(SystemExit) as exit_info:
        train(base_train, flags)
    assert exit_info.value.code == 2 and "free some space" in capsys.readouterr().err
    assert not list((home / "runs" / "base" / "d2").glob("step_*"))
