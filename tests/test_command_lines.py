"""300 random command lines against every script: exit 0 or 2, one line for each mistake, never a traceback."""

import json
import random

from nanochat import bench, common
from scripts import (base_eval, base_train, chat_cli, chat_eval, chat_rl, chat_sft, chat_web, contamination, core_eval,
                     infer_bench, mid_train, plot_runs, report, tok_eval, tok_shards, tok_train)

NUMBERS = ["-1", "0", "1", "2", "3", "64", "512", "1e3", "x", "", "99999999999999999999", "-7"]
FRACTIONS = ["0", "0.5", "1", "-0.1", "2", "nan", "inf", "x"]
WORDS = ["base", "mid", "sft", "rl", "d2", "nope", "..", "a/b", "", "\u00e9", "letters", "letters,facts", "cpu", "cuda", "tpu",
         "float32", "bfloat16", "float16", "int8", "float32,int8", "auto", "val", "test"]
TASKS = ["arc_easy", "gsm8k", "mmlu,gsm8k", "chatcore", "copa", "core", "nope", "", ",", "world:0.1", "world:70%,arc_easy:30%",
         "arc_easy:2,arc_easy", "arc_easy:-1", "/nope.jsonl:2"]


def pool(name: str, files: list[str]) -> list[str]:
    """Values to draw from, good and bad, by what the flag sounds like. Nothing that trains for long."""
    if name in ("data", "val_data", "text_data", "chats", "ranks_dir", "out", "task_data", "core_data"):
        return files
    if name in ("tasks", "task"):
        return TASKS
    if name == "reward":
        return ["", "/nope", "dev/reward_example.py", files[-1]]
    if name == "runs":
        return ["base/d2", "base/d2", "base/nope", "sft/d2", *files]
    if name == "x":
        return ["steps", "tokens", "hours"]
    if name in ("num_iterations", "depth"):
        return ["-1", "0", "1", "2", "x"]
    if name == "max_seq_len":
        return ["-1", "0", "16", "64", "100", "x"]
    if name in ("total_batch_size", "device_batch_size", "batch_size"):
        return ["-1", "0", "1", "2", "128", "256", "300", "x"]
    if name in ("prompt_len", "decode_len", "turns", "repeats", "batch_sizes"):
        return ["-1", "0", "1", "2", "3", "x", "99999999999999999999"]
    if name in ("prompts_per_step", "num_samples", "max_new_tokens", "eval_items", "max_items", "max_tokens", "eval_tokens",
                "max_per_task", "eval_samples", "updates_per_batch"):
        return ["-1", "0", "1", "2", "3", "x"]
    if any(part in name for part in ("ratio", "frac", "lr", "decay", "temperature", "top_p", "clip", "kl", "reward_timeout")):
        return FRACTIONS
    if name in ("source", "model_tag", "skills", "device_type", "dtype", "resume", "split", "host", "prompt"):
        return WORDS
    return NUMBERS


# What keeps a valid line short; drawn values come after and win.
SHORT = {base_train: "--depth 2 --num-iterations 1 --max-seq-len 64 --total-batch-size 128 --eval-tokens 100",
         mid_train: "--num-iterations 1 --total-batch-size 128", chat_sft: "--num-iterations 1 --total-batch-size 128",
         chat_rl: "--num-iterations 1 --prompts-per-step 2 --num-samples 2 --max-new-tokens 4 --eval-items 2",
         chat_eval: "--max-items 2 --skills letters", base_eval: "--eval-tokens 200", chat_cli: "-p hello --max-tokens 4",
         infer_bench: "--random --depth 2 --vocab-size 300 --prompt-len 8 --decode-len 4 --batch-sizes 2 --repeats 1"}
SCRIPTS = [base_train, base_train, mid_train, chat_sft, chat_rl, chat_eval, base_eval, chat_cli, chat_web, tok_train, tok_eval,
           tok_shards, report, plot_runs, infer_bench]
EVALUATIONS = {chat_eval: "--max-items 2 --source base --tasks arc_easy", core_eval: "--max-per-task 1 --tasks copa",
               contamination: ""}


def random_flags(rng: random.Random, parser, files: list[str]) -> list[str]:
    words = []
    for action in parser._actions:
        if action.dest == "help" or rng.random() > (0.25 if action.option_strings else 0.9):
            continue
        if action.option_strings:
            words.append(rng.choice(action.option_strings))
        if action.nargs != 0:
            words.append(rng.choice(pool(action.dest, files)))
    return words


def write_tasks(folder):
    """Two items of ARC easy to train on, to validate on and to test on, and of CORE copa alone."""
    arc = {"question": "Up?", "choices": ["x", "y"], "gold": 1}
    for path, row in (*((f"arc/ARC-Easy-{split}.jsonl", arc) for split in ("train", "validation", "test")),
                      ("core/eval_data/commonsense_reasoning/copa.jsonl", {"query": "Q", "choices": ["x", "y"], "gold": 1})):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text((json.dumps(row) + "\n") * 2)


def run_lines(home, monkeypatch, capsys, count, seed, scripts=SCRIPTS, short=SHORT):
    monkeypatch.setattr(chat_web, "serve", lambda *_: None)
    monkeypatch.setattr(bench, "READ_BYTES", 1 << 20)
    monkeypatch.setattr(common, "has_compiler", lambda: False)  # --compile would take longer than all the rest
    monkeypatch.setattr("sys.stdin", open("/dev/null"))
    for name, content in (("empty.txt", ""), ("torn.parquet", "PAR1"), ("bad.jsonl", '{"messages": 3}\n')):
        (home / name).write_text(content)
    (home / "empty").mkdir()
    write_tasks(home / "tasks")
    monkeypatch.setenv("NANOCHAT_TASK_DATA", str(home / "tasks"))  # never the hub
    files = ["", "/nope", str(home / "out"), *(str(home / name) for name in (
        "text.jsonl", "chats.jsonl", "empty.txt", "torn.parquet", "bad.jsonl", "empty", "tasks", "tasks/core"))]
    base_train.main(base_train.build_parser().parse_args([*SHORT[base_train].split(), "--data", str(home / "text.jsonl")]))
    rng, codes = random.Random(seed), []
    for _ in range(count):
        script = rng.choice(scripts)
        parser = script.build_parser()
        line = [*short.get(script, "").split(), *random_flags(rng, parser, files)]
        capsys.readouterr()
        try:
            script.main(parser.parse_args(line))
            code = 0
        except SystemExit as exit_request:
            code = exit_request.code or 0
        out, err = capsys.readouterr()
        assert code in (0, 2), (script.__name__, line, code, err)
        if code == 2:
            last = err.strip().splitlines()[-1]
            assert "error: " in last and out == "", (script.__name__, line, err, out)
        elif script not in (chat_cli, chat_web):
            assert "format_version" in json.loads(out.splitlines()[-1])
        codes.append(code)
    return codes


def test_300_random_command_lines_end_with_0_or_2(home, monkeypatch, capsys):
    codes = run_lines(home, monkeypatch, capsys, 300, seed=0)
    assert 30 < codes.count(0) < 270


def test_90_random_command_lines_of_evaluations_end_with_0_or_2(home, monkeypatch, capsys):
    codes = run_lines(home, monkeypatch, capsys, 90, 1, scripts=list(EVALUATIONS), short=EVALUATIONS)
    assert 10 < codes.count(0) < 80
