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

FLAGS = f"{BASE} --num-iterations 40 --save-every 4 --keep-last 3 --resume auto"


class Launch:
    """Two ranks under torchrun; what they say goes to a file."""

    def __init__(self, tag, *how):
        self.run_dir, self.log = base_dir() / "runs" / "base" / tag, base_dir() / f"{tag}.log"
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", *how, "-m",
                   "scripts.base_train", *f"{FLAGS} {text_flags()} --model-tag {tag}".split()]
        self.process = subprocess.Popen(command, cwd=REPOSITORY, env=os.environ | {"OMP_NUM_THREADS": "1"}, text=True,
                                        stdout=subprocess.PIPE, stderr=open(self.log, "w"))

    def finish(self):
        """(exit code, record or None, what was said)"""
        out, _ = self.process.communicate(timeout=400)
        return self.process.returncode, json.loads(out.splitlines()[-1]) if out else None, self.log.read_text()

    def wait_for_step(self, step):
        """Until the run has made it, and is not over."""
        metrics = self.run_dir / "metrics.jsonl"
        deadline = time.monotonic() + 400
        while not metrics.exists() or f'"step": {step},' not in metrics.read_text():
            assert time.monotonic() < deadline and self.process.poll() is None, self.log.read_text()[-3000:]
            time.sleep(0.002)
        assert not (self.run_dir / "result.json").exists()

    def kill(self, rank):
        for pid in descendants(self.process.pid):
            if f"\0LOCAL_RANK={rank}\0" in Path(f"/proc/{pid}/environ").read_text():
                return os.kill(pid, signal.SIGKILL)
        raise AssertionError(f"no rank {rank}")


@pytest.fixture
def launch(home):
    """Launches; those that a failing test leaves behind end with it."""
    started = []
    yield lambda *how: started.append(Launch(*how)) or started[-1]
    for one in started:
        for pid in [*descendants(one.process.pid), one.process.pid] if one.process.poll() is None else []:
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def straight(launch):
    code, record, said = launch("straight").finish()
    assert code == 0, said[-3000:]
    return record["weights_sha256"], curve("base", "straight")


def test_max_restarts_survives_the_kill_of_either_rank(launch, straight):
    killed = launch("killed", "--max-restarts=3")
    for rank, step in ((1, 10), (0, 22)):
        killed.wait_for_step(step)
        killed.kill(rank)
    code, record, said = killed.finish()
    assert code == 0, said[-3000:]
    assert said.count("resuming at step") == 2
    assert (record["weights_sha256"], curve("base", "killed")) == straight


def test_sigterm_to_the_launcher_saves_once_and_the_run_goes_on_to_the_same_end(launch, straight):
    stopped = launch("stopped")
    stopped.wait_for_step(14)
    stopped.process.terminate()
    code, record, said = stopped.finish()
    before, *after = said.split("stopped by SIGTERM after step")
    assert code != 0 and record is None
    assert len(after) == 1 and "Traceback" not in before  # torchrun ends with one of its own
    newest = list_steps(stopped.run_dir)[-1]
    step = int(newest.name[5:])
    assert 14 <= step < 40 and after[0].startswith(f" {step}, saved in {newest}")
    assert not list(stopped.run_dir.glob("*.tmp-*"))
    code, record, said = launch("stopped").finish()
    assert code == 0 and f"resuming at step {step}" in said
    assert (record["weights_sha256"], curve("base", "stopped")) == straight
