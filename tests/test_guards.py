"""Truth: what is bad on one rank changes nothing on any; what is not bad is never touched."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from test_stages import BASE, CHAT, REPOSITORY, RL, chat_flags, curve, interrupt, text_flags, train

from nanochat.common import RunFailed, base_dir
from nanochat.guards import MIN_HISTORY, TOLD_TO_STOP, WINDOW, Guard, read_flags
from nanochat.files import read_json
from nanochat.run import read_launches, read_metrics
from scripts import base_train, chat_rl, chat_sft

CPU, YES = torch.device("cpu"), torch.tensor(True)


def judge(guard, loss, grad_norm=1.0, **how):
    how = {"has_targets": YES, "is_told_to_stop": False, **how}
    verdict = guard.judge(torch.tensor(loss), torch.tensor(grad_norm), **how)
    return verdict.is_good.item(), *read_flags(verdict.flags.tolist())


def filled(num_steps=MIN_HISTORY, guard=None):
    """A guard after steps whose losses have mean 2 and deviation 0.1, their norms mean 1 and deviation 0.1."""
    guard = guard or Guard(CPU)
    for step in range(num_steps):
        sign = (-1) ** step
        assert judge(guard, 2 + 0.1 * sign, 1 + 0.1 * sign) == (True, None, False)
    return guard


@pytest.mark.parametrize("loss, grad_norm, problem", [
    (2.5, 1.5, None), (2.7, 1.0, "a spike"), (2.01, 1.7, "a spike"), (1.9, 1.7, None), (0.0, 0.0, None),
    (float("nan"), 1.0, "not finite"), (2.0, float("inf"), "not finite"), (2.0, float("nan"), "not finite")])
def test_six_deviations_above_the_window_and_all_that_is_not_finite_are_bad(loss, grad_norm, problem):
    assert judge(filled(), loss, grad_norm) == (problem is None, problem, False)


def test_a_run_that_learns_suddenly_is_not_stopped_and_one_that_breaks_is():
    """The end of 127 steps of SFT on exercises in looking up, when the model found out how: three norms at 40
    deviations, each at a loss far below the window's mean, ended a sound run (dev/LOG.md)."""
    guard = Guard(CPU)
    for step in range(124):
        assert judge(guard, 1.1 - 0.006 * step, 1.2 + 0.2 * (-1) ** step)[0]
    for loss, norm in ((0.3648, 9.434), (0.3221, 8.988), (0.4177, 8.388)):
        assert judge(guard, loss, norm) == (True, None, False)
    assert judge(guard, 1.0, 60.0) == (False, "a spike", False)


def test_nothing_is_a_spike_before_there_is_a_history():
    assert judge(filled(MIN_HISTORY - 1), 100.0) == (True, None, False)
    assert judge(Guard(CPU), float("nan")) == (False, "not finite", False)


def test_the_window_forgets_and_never_learns_from_what_was_skipped():
    guard = filled()
    for _ in range(2 * WINDOW):
        assert judge(guard, 50.0)[0] is False
    assert guard.state()["num_good"] == MIN_HISTORY
    for loss in range(2 * WINDOW):
        judge(guard, 2.0 - loss / 1000)
    assert max(loss for loss, _ in guard.state()["window"]) < 2 and len(guard.state()["window"]) == WINDOW


def test_a_step_without_targets_is_no_update_and_no_trouble():
    guard = filled()
    assert judge(guard, 0.0, 0.0, has_targets=torch.tensor(False)) == (False, None, False)
    assert guard.state()["num_good"] == MIN_HISTORY


def test_a_stop_travels_with_good_and_bad_alike():
    assert judge(Guard(CPU), 2.0, is_told_to_stop=True) == (True, None, True)
    assert judge(Guard(CPU), float("nan"), is_told_to_stop=True) == (False, "not finite", True)
    assert read_flags([3 * TOLD_TO_STOP + 2, 1, 0]) == ("bad on another rank", True)


def test_the_state_goes_through_json_and_decides_the_same():
    guard = filled(WINDOW + 7)
    again = Guard(CPU, json.loads(json.dumps(guard.state())))
    assert torch.equal(again.window, guard.window) and again.state() == guard.state()
    assert judge(again, 2.7) == judge(guard, 2.7) == (False, "a spike", False)


def test_three_in_a_row_are_a_rollback_and_the_third_rollback_is_the_end():
    guard, bad = Guard(CPU), ("a spike", 9.0, 1.0)
    start = guard.state()
    for _ in range(2):
        assert [guard.note(1, *bad), guard.note(2, *bad), guard.note(3, None, 2.0, 1.0)] == [False] * 3
        assert [guard.note(step, *bad) for step in (4, 5, 6)] == [False, False, True]
        guard.roll_back(start)
        assert guard.num_bad_in_row == 0
    assert guard.num_rollbacks == 2 and not guard.note(4, *bad) and not guard.note(5, *bad)
    with pytest.raises(RunFailed, match="in a row, for the 3rd time: step 1: a spike, loss 9, gradient norm 1;"):
        guard.note(6, *bad)


# -----------------------------------------------------------------------------
# In a run

def damage(monkeypatch, is_bad, script=base_train):
    """Turn one gradient into NaN in the calls of train_step, counted from 1, that is_bad picks. Returns the batches, in
    the order they are trained on."""
    train_step, batches_seen = script.train_step, []
    def step(model, optimizer, batches, *args, **how):
        batches = list(batches)
        batches_seen.append(batches[0]["idx"].tolist() if batches else None)  # RL may have nothing to learn from
        if is_bad(len(batches_seen)):
            handle = model.lm_head.weight.register_hook(lambda grad: grad * torch.nan)
        result = train_step(model, optimizer, batches, *args, **how)
        if is_bad(len(batches_seen)):
            handle.remove()
        return result
    monkeypatch.setattr(script, "train_step", step)
    return batches_seen


def test_three_bad_steps_roll_back_skip_their_batches_and_resume_the_same(home, monkeypatch):
    flags = f"{BASE} {text_flags()} --save-every 4"
    with monkeypatch.context() as patch:
        plain = damage(patch, lambda call: False)
        train(base_train, f"{flags} --num-iterations 16 --model-tag plain")
    with monkeypatch.context() as patch:
        seen = damage(patch, lambda call: call in (6, 7, 8))
        record = train(base_train, flags)
    assert seen == plain[:14]  # 4 + 1 good, 3 bad; then 6 steps from step 4 on, with batches that follow
    lines = curve("base", "d2")
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, 11))
    events = [line for line in read_metrics(base_dir() / "runs" / "base" / "d2") if line.get("event") == "rollback"]
    assert events == [{"step": 4, "event": "rollback", "from_step": 8}]
    assert [line["step"] for line in read_launches(base_dir() / "runs" / "base" / "d2")] == [0]
    for step in (8, 4):  # after the rollback and before it: here nothing is bad any more, and the batches stay out
        interrupt("base", "d2", step)
        assert train(base_train, f"{flags} --resume auto")["weights_sha256"] == record["weights_sha256"]
        assert str(curve("base", "d2")) == str(lines)
        state = read_json(base_dir() / "runs" / "base" / "d2" / "step_00000010" / "state.json")
        assert state["loader"]["skipped"] == [4, 5, 6, 7] and state["guards"]["num_rollbacks"] == 1
    assert [line["step"] for line in read_launches(base_dir() / "runs" / "base" / "d2")] == [0, 8, 4]


@pytest.mark.slow  # five trainings
def test_a_rollback_of_sft_resumed_from_an_older_step_still_skips_its_batches(home, monkeypatch):
    train(base_train, f"{BASE} {text_flags()} --num-iterations 2")
    flags = f"{CHAT} {chat_flags()} --source base --save-every 3"
    with monkeypatch.context() as patch:
        damage(patch, lambda call: call in (7, 8, 9), chat_sft)
        record = train(chat_sft, flags)
    lines = curve("sft", "d2")
    for step in (9, 6, 3):
        interrupt("sft", "d2", step)
        assert train(chat_sft, f"{flags} --resume auto")["weights_sha256"] == record["weights_sha256"]
        assert [line for line in curve("sft", "d2") if "loss" in line] == [line for line in lines if "loss" in line]


@pytest.mark.slow  # five trainings
def test_a_rollback_of_rl_resumed_from_an_older_step_still_skips_its_questions(home, monkeypatch):
    train(base_train, f"{BASE} {text_flags()} --num-iterations 2")
    train(chat_sft, f"{CHAT} {chat_flags()} --source base --num-iterations 2")
    flags = f"{RL} --replay 12 --num-iterations 8 --save-every 3"  # so that every step has something to learn from
    with monkeypatch.context() as patch:
        damage(patch, lambda call: call in (4, 5, 6), chat_rl)
        record = train(chat_rl, flags)
    lines = [line for line in curve("rl", "d2") if "loss" in line]
    for step in (6, 3):
        interrupt("rl", "d2", step)
        assert train(chat_rl, f"{flags} --resume auto")["weights_sha256"] == record["weights_sha256"]
        assert [line for line in curve("rl", "d2") if "loss" in line] == lines
    state = read_json(base_dir() / "runs" / "rl" / "d2" / "step_00000008" / "state.json")
    assert state["loader"]["skipped"] == [3, 4, 5] and state["guards"]["num_rollbacks"] == 1


def test_a_run_that_stays_bad_ends_with_1_and_says_what_it_saw(home, monkeypatch, capsys):
    damage(monkeypatch, lambda call: call > 4)
    with pytest.raises(SystemExit) as exit_info:
        train(base_train, f"{BASE} {text_flags()} --save-every 4")
    last = capsys.readouterr().err.splitlines()[-1]
    assert exit_info.value.code == 1
    assert last.startswith("failed: 3 bad steps in a row, for the 3rd time: step 5: not finite")


def test_without_a_checkpoint_there_is_no_way_back(home, monkeypatch, capsys):
    damage(monkeypatch, lambda call: True)
    with pytest.raises(SystemExit) as exit_info:
        train(base_train, f"{BASE} {text_flags()}")
    assert exit_info.value.code == 1 and "no checkpoint to go back to" in capsys.readouterr().err.splitlines()[-1]


TWO_RANKS = """
import hashlib, json, os, sys, time
from pathlib import Path
import torch
from nanochat import watchdog
from nanochat.common import base_dir, get_dist_info
from scripts import base_train

rank, train_step, told = get_dist_info().rank, base_train.train_step, []
watchdog.MIN_LIMIT_SEC, watchdog.TIMES_SLOWEST, watchdog.POLL_SEC = 0.5, 0, 0.1

def digest(model, optimizer):
    tensors = [*model.parameters(), *optimizer.state_tensors().values(), optimizer.updates]
    return hashlib.sha256(b"".join(t.detach().numpy().tobytes() for t in tensors)).hexdigest()

def hang_until_all_have_noticed():
    while len(list(base_dir().glob("runs/base/d2/hung-step-00000005-*"))) < 2:
        time.sleep(0.05)

def step(model, optimizer, batches, *args, **how):
    before = digest(model, optimizer)
    if len(told) == 4 and rank == 1:
        hang_until_all_have_noticed()
    if len(told) == 3 and rank == 1:
        handle = next(model.blocks.parameters()).register_hook(lambda grad: grad * torch.nan)
    result = train_step(model, optimizer, batches, *args, **how)
    if len(told) == 3 and rank == 1:
        handle.remove()
    told.append({"is_changed": digest(model, optimizer) != before, "batch": batches[0]["idx"].tolist(),
                 "problem": result.problem, "lr_mult": how["lr_mult"], "num_updates": optimizer.num_updates})
    return result

base_train.train_step = step
base_train.main(base_train.build_parser().parse_args(sys.argv[2:]))
with open(f"{sys.argv[1]}-{rank}.json", "w") as f:
    json.dump(told, f)
"""


def test_a_nan_in_one_ranks_gradient_changes_nothing_and_a_hang_of_one_shows_where_all_are(home, tmp_path):
    """Rank 1 gets the NaN in step 4 and hangs in step 5."""
    script = tmp_path / "two_ranks.py"
    script.write_text(TWO_RANKS)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", str(script),
               str(tmp_path / "told"), *f"{BASE} {text_flags()} --num-iterations 6".split()]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=240,
                          env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)})
    assert done.returncode == 0, done.stderr[-3000:]
    ranks = [json.loads(Path(f"{tmp_path}/told-{rank}.json").read_text()) for rank in range(2)]
    for told in ranks:
        assert [step["is_changed"] for step in told] == [True, True, True, False, True, True]
        assert [step["num_updates"] for step in told] == [1, 2, 3, 3, 4, 5]
        assert [step["problem"] for step in told] == [None, None, None, "not finite", None, None]
        assert [step["lr_mult"] for step in told] == pytest.approx([1, 1, 1, 1 - 0.95 / 4, 1 - 1.9 / 4, 1 - 2.85 / 4])
    batches = [step["batch"] for told in ranks for step in told]
    assert all(batches.count(batch) == 1 for batch in batches)
    run_dir = base_dir() / "runs" / "base" / "d2"
    stacks = [(run_dir / f"hung-step-00000005-rank-{rank}.txt").read_text() for rank in range(2)]
    for rank, text in enumerate(stacks):
        assert f"rank {rank} of 2: step 5 has taken" in text and text in done.stderr
    assert "in train_step" in stacks[0] and "in hang_until_all_have_noticed" in stacks[1]
