"""Runs of several ranks against the run of one: the same numbers, and the same end after a kill.

test_stages.py and test_guards.py hold the short ones; these are longer, or kill."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_stages import BASE, REPOSITORY, curve, text_flags

from dev import ranks
from dev.kill_drill import descendants
from nanochat.checkpoint import list_steps
from nanochat.common import base_dir
from nanochat.files import read_json

pytestmark = pytest.mark.slow


@pytest.fixture
def data(home):
    return home / "text.jsonl"


def test_one_two_and_four_ranks_end_at_the_same_weights_in_float64(data):
    runs = ranks.compare_worlds(data, "float64")
    for world in (2, 4):
        assert max(ranks.weight_differences(runs[1], runs[world]).values()) <= 1e-9
        assert ranks.loss_difference(runs[1], runs[world]) <= 1e-9
        assert runs[world].loader == runs[1].loader
        assert set(runs[world].moments_bytes) == {runs[1].moments_bytes[0] // world}


def test_one_two_and_four_ranks_follow_the_same_losses_in_fp32(data):
    runs = ranks.compare_worlds(data, "float32")
    assert max(ranks.loss_difference(runs[1], runs[world]) for world in (2, 4)) <= 1e-4


def test_a_run_goes_on_from_one_rank_to_two_and_from_two_to_four(data):
    straight, moved = ranks.resume_on_more(data)
    for run, start in zip(moved, (10, 20)):
        assert ranks.loss_difference(straight, run, start) <= 1e-9 and run.loader == straight.loader
        assert max(ranks.weight_differences(straight, run).values()) <= 1e-9


# -----------------------------------------------------------------------------
# Under torchrun

FLAGS = f"{BASE} --num-iterations 60 --save-every 4 --keep-last 3 --resume auto"


def start(tag, *how):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", *how, "-m",
               "scripts.base_train", *f"{FLAGS} {text_flags()} --model-tag {tag}".split()]
    return subprocess.Popen(command, cwd=REPOSITORY, env=os.environ | {"OMP_NUM_THREADS": "1"}, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(process):
    out, err = process.communicate(timeout=240)
    return process.returncode, out, err


def wait_for_step(tag, step):
    """Until the run has just made it, and is not over."""
    run_dir = base_dir() / "runs" / "base" / tag
    deadline = time.monotonic() + 120
    while not (run_dir / "metrics.jsonl").exists() or f'"step": {step},' not in (run_dir / "metrics.jsonl").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.002)
    assert not (run_dir / "result.json").exists()


def pid_of_rank(process, rank):
    for pid in descendants(process.pid):
        if f"\0LOCAL_RANK={rank}\0" in Path(f"/proc/{pid}/environ").read_text():
            return pid
    raise AssertionError(f"no rank {rank}")


@pytest.fixture
def straight(home):
    code, out, err = finish(start("straight"))
    assert code == 0, err[-3000:]
    return json.loads(out.splitlines()[-1])["weights_sha256"], curve("base", "straight")


def test_max_restarts_survives_the_kill_of_either_rank(straight):
    process = start("killed", "--max-restarts=3")
    for rank, step in ((1, 14), (0, 35)):
        wait_for_step("killed", step)
        os.kill(pid_of_rank(process, rank), signal.SIGKILL)
    code, out, err = finish(process)
    assert code == 0, err[-3000:]
    assert err.count("resuming at step") == 2
    assert (json.loads(out.splitlines()[-1])["weights_sha256"], curve("base", "killed")) == straight


def test_sigterm_to_the_launcher_saves_once_and_the_run_goes_on_to_the_same_end(straight):
    process = start("stopped")
    wait_for_step("stopped", 14)
    process.terminate()
    code, _, err = finish(process)
    before, *after = err.split("stopped by SIGTERM after step")
    assert code != 0 and len(after) == 1 and "Traceback" not in before  # torchrun ends with one of its own
    run_dir = base_dir() / "runs" / "base" / "stopped"
    newest = list_steps(run_dir)[-1]
    assert f"stopped by SIGTERM after step {int(newest.name[5:])}, saved in {newest}" in err
    assert read_json(newest / "state.json")["step"] == int(newest.name[5:]) < 60
    assert not list(run_dir.glob("*.tmp-*"))
    code, out, err = finish(start("stopped"))
    assert code == 0 and f"resuming at step {int(newest.name[5:])}" in err
    assert (json.loads(out.splitlines()[-1])["weights_sha256"], curve("base", "stopped")) == straight
