"""Truth: whatever goes wrong while a step is being written, the steps before it stay and training goes on."""

import signal
import threading

import pytest
import torch
from test_checkpoint import saved_run, small_model, small_optimizer, tokenizer  # noqa: F401, the fixture
from test_stages import BASE, curve, text_flags, train

from nanochat import saver as saver_module
from nanochat.checkpoint import list_steps, newest_step, resume
from nanochat.common import RunFailed, base_dir
from nanochat.saver import Saver, StopSignal
from scripts import base_train


def names(run):
    return sorted(path.name for path in run.dir.glob("step_*"))


def build_saver(tokenizer, steps=(5,), **how):
    run, model, optimizer = saved_run(tokenizer, steps=steps)
    return Saver(run, model=model, optimizer=optimizer, tokenizer=tokenizer, saved=newest_step(run.dir), **how)


def test_what_changes_after_save_returns_is_not_in_the_step(tokenizer, monkeypatch):
    saver = build_saver(tokenizer)
    may_write, write_step = threading.Event(), saver_module.write_step
    monkeypatch.setattr(saver_module, "write_step",
                        lambda *args, **how: may_write.wait(10) and write_step(*args, **how))
    before = saver.model.wte.weight.detach().clone()
    saver.save(6, {"loader": 1})
    saver.model.wte.weight.data += 1
    saver.optimizer.state["wte.weight"]["exp_avg"] += 1
    assert not (saver.run.dir / "step_00000006").exists()
    may_write.set()
    assert saver.finish().name == "step_00000006"
    model = small_model(tokenizer)
    optimizer = small_optimizer(model)
    resume(saver.run, model, optimizer, is_asked=True)
    assert torch.equal(model.wte.weight, before)
    assert not torch.equal(optimizer.state["wte.weight"]["exp_avg"], saver.optimizer.state["wte.weight"]["exp_avg"])


def fail_once(monkeypatch, name, error):
    """The next call of saver.<name> fails; those after it work."""
    real, left = getattr(saver_module, name), [error]
    def call(*args, **how):
        real(*args, **how) if name == "write_step" or not left else None
        if left:
            raise left.pop()
    monkeypatch.setattr(saver_module, name, call)


@pytest.mark.parametrize("name", ["write_step", "commit_step"])
def test_a_full_disk_is_named_and_the_next_save_works(tokenizer, monkeypatch, capsys, name):
    saver = build_saver(tokenizer)
    fail_once(monkeypatch, name, OSError(28, "No space left on device"))
    saver.save(6, {})
    saver.wait()
    assert names(saver.run) == ["step_00000005"] and saver.saved.name == "step_00000005"
    assert "could not save step 6: [Errno 28] No space left on device; training goes on" in capsys.readouterr().err
    saver.save(7, {})
    assert saver.finish().name == "step_00000007" and names(saver.run) == ["step_00000005", "step_00000007"]


def test_a_run_whose_last_save_failed_has_failed(tokenizer, monkeypatch):
    saver = build_saver(tokenizer)
    fail_once(monkeypatch, "write_step", OSError(28, "No space left on device"))
    saver.save(6, {})
    with pytest.raises(RunFailed, match="last save failed .*No space.*--resume auto from step_00000005"):
        saver.finish()


def test_a_mistake_of_ours_in_the_thread_is_raised_in_training(tokenizer, monkeypatch):
    saver = build_saver(tokenizer)
    fail_once(monkeypatch, "write_step", ZeroDivisionError())
    saver.save(6, {})
    with pytest.raises(ZeroDivisionError):
        saver.wait()


def test_keep_last_deletes_the_oldest_and_never_counts_a_broken_one(tokenizer):
    saver = build_saver(tokenizer, steps=(5, 10, 15), keep_last=2)
    (saver.run.dir / "step_00000010" / "manifest.json").unlink()
    saver.save(20, {})
    saver.finish()
    assert names(saver.run) == ["step_00000010", "step_00000015", "step_00000020"]
    assert [path.name for path in list_steps(saver.run.dir)] == ["step_00000015", "step_00000020"]


def test_what_a_killed_launch_left_is_removed(tokenizer):
    run, _, _ = saved_run(tokenizer, steps=(5,))
    (run.dir / "step_00000007.tmp-0badcafe").mkdir()
    build_saver(tokenizer)
    assert names(run) == ["step_00000005"]


def test_a_save_in_progress_outlives_a_failing_evaluation(home, monkeypatch):
    """nanochat: 29 hours gone to an out-of-memory in the evaluation."""
    monkeypatch.setattr(base_train, "evaluate_bpb", lambda *args, **how: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train(base_train, f"{BASE} {text_flags()} --eval-every 4 --save-every 4")
    assert newest_step(base_dir() / "runs" / "base" / "d2").name == "step_00000004"


@pytest.mark.parametrize("signum, code", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_finishes_the_step_saves_and_the_run_goes_on_to_the_same_end(home, monkeypatch, capsys, signum, code):
    flags, handler = f"{BASE} {text_flags()} --eval-every 4", signal.getsignal(signum)
    straight, expected = train(base_train, flags), curve("base", "d2")
    with monkeypatch.context() as patch:
        patch.setattr(base_train, "print_step", lambda _, metrics: metrics["step"] == 3 and signal.raise_signal(signum))
        with pytest.raises(SystemExit) as exit_info:
            train(base_train, f"{flags} --overwrite")
    assert exit_info.value.code == code
    assert f"stopped by {signum.name} after step 4, saved in" in capsys.readouterr().err
    assert signal.getsignal(signum) == handler
    resumed = train(base_train, f"{flags} --resume auto")
    assert resumed["weights_sha256"] == straight["weights_sha256"] and curve("base", "d2") == expected


def test_a_third_signal_does_not_wait():
    handlers = {signum: signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGINT)}
    stop = StopSignal()
    try:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        assert stop.signum == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    finally:
        for signum, handler in handlers.items():
            signal.signal(signum, handler)


def test_a_disk_that_fills_in_a_save_leaves_the_older_step_and_exit_code_1(home, monkeypatch, capsys):
    write_step = saver_module.write_step
    def write(temp, moments, weights, state, **how):
        write_step(temp, moments, weights, state, **how)
        if state["step"] > 5:
            raise OSError(28, "No space left on device")
    monkeypatch.setattr(saver_module, "write_step", write)
    with pytest.raises(SystemExit) as exit_info:
        train(base_train, f"{BASE} {text_flags()} --save-every 5")
    assert exit_info.value.code == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("failed: the last save failed") and "--resume auto from step_00000005" in last


def test_time_blocked_by_saves_is_in_the_record(home):
    record = train(base_train, f"{BASE} {text_flags()} --save-every 1 --keep-last 1")
    assert 0 < record["save_blocked_sec"] < record["total_sec"]
    run_dir = base_dir() / "runs" / "base" / "d2"
    assert [path.name for path in list_steps(run_dir)] == ["step_00000010"]
