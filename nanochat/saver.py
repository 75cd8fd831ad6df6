"""Saving while training goes on.

`save` copies weights, moments and state to host memory and returns; a thread writes the copy, hashes it and commits it
as checkpoint.py says. Training meets the thread again at the next save and at the end, so one save is in progress at
most. A save that fails (a full disk) is named in one line, its temporary folder goes, older steps stay, and training
goes on to the next save; only the last one must succeed.

Costs a copy of this rank's share in host memory: weights and moments, 12 bytes per parameter on one rank.
"""

import os
import shutil
import signal
import threading
import time
import uuid
from pathlib import Path

import torch.distributed as dist
from safetensors import SafetensorError

from nanochat.checkpoint import (commit_step, load_step, newest_step, remove_step, step_paths, step_problem,
                                 weights_sha256, write_step)
from nanochat.common import SAVE_THREAD, RunFailed, get_dist_info, print0
from nanochat.run import Run


class Saver:
    """Made, and used, by all ranks alike. `saved` is the newest committed step, or None."""

    def __init__(self, run: Run, *, model, optimizer, tokenizer, saved: Path | None = None,
                 keep_last: int | None = None):
        self.run, self.model, self.optimizer, self.tokenizer = run, model, optimizer, tokenizer
        self.saved, self.keep_last = saved, keep_last
        self.rank, _, world = get_dist_info()
        self.thread: threading.Thread | None = None
        self.problem: str | None = None         # why the newest save failed
        self.error: BaseException | None = None  # a mistake of ours, raised again in the training thread
        self.blocked_sec = 0.0                  # of training, in this launch
        # The thread's own group: collectives of two threads in one group could meet in another order on each rank.
        self.group = dist.new_group(backend="gloo") if world > 1 else None
        if self.rank == 0:
            remove_temporary(run.dir)
        self.launch = _launch_id()

    def save(self, step: int, state: dict):
        """Returns once everything is copied. `state` is JSON: where loader, meter and guards stand."""
        start = time.perf_counter()
        self.wait()
        weights = _to_host(dict(self.model.named_parameters())) if self.rank == 0 else None
        state = {"step": step, "num_updates": self.optimizer.num_updates, **state}
        work = (step, _to_host(self.optimizer.state_tensors()), weights, state)
        self.thread = threading.Thread(target=self._run, args=work, name=SAVE_THREAD)
        self.thread.start()
        self.blocked_sec += time.perf_counter() - start

    def wait(self):
        """Until the save in progress has ended, well or not."""
        if self.thread:
            self.thread.join()
            self.thread = None
        if self.error:
            raise self.error

    def roll_back(self) -> dict:
        """Weights, moments and metrics of the newest step again. Returns its state."""
        self.wait()
        self.saved = newest_step(self.run.dir)
        if self.saved is None:
            raise RunFailed("bad steps in a row, and no checkpoint to go back to; start again with --save-every, "
                            "or with lower rates")
        state = load_step(self.model, self.optimizer, self.saved)
        self.run.cut_metrics(state["step"])
        return state

    def finish(self) -> Path | None:
        """After the last save: the step that holds it."""
        start = time.perf_counter()
        self.wait()
        self.blocked_sec += time.perf_counter() - start
        if self.problem:
            raise RunFailed(f"the last save failed ({self.problem}); make room and go on with --resume auto "
                            f"from {self.saved.name if self.saved else 'the start'}")
        return self.saved

    def stop(self, step: int, signum: int | None):
        """End the process as a signal asks: with what it was asked for, once the last save is safe."""
        signum = signum or signal.SIGTERM  # another rank was told
        path = self.finish()
        print0(f"stopped by {signal.Signals(signum).name} after step {step}, saved in {path}; "
               "the same command with --resume auto goes on from there")
        raise SystemExit(128 + signum)

    def record(self) -> dict:
        path = self.finish()
        return {"checkpoint": str(path), "weights_sha256": weights_sha256(path), "save_blocked_sec": self.blocked_sec}

    # ---- in the thread

    def _run(self, *work):
        try:
            self._write(*work)
        except BaseException as error:
            self.error = error

    def _write(self, step, moments, weights, state):
        final = self.run.dir / f"step_{step:08d}"
        temp = final.with_name(f"{final.name}.tmp-{self.launch}")
        self.problem = self._agree(lambda: write_step(temp, moments, weights, state, run=self.run,
                                                      tokenizer=self.tokenizer))
        if self.problem is None:
            self.problem = self._agree(lambda: self._commit(temp, final) if self.rank == 0 else None)
        if self.problem is None:
            self.saved = final
        if self.rank == 0 and self.problem:
            shutil.rmtree(temp, ignore_errors=True)
            print0(f"could not save step {step}: {self.problem}; training goes on")
        elif self.rank == 0 and self.keep_last:
            keep_newest(self.run.dir, self.keep_last)

    def _commit(self, temp: Path, final: Path):
        self.run.sync_metrics()  # a run that goes on from this step cannot write its curve so far again
        commit_step(temp, final)

    def _agree(self, work) -> str | None:
        """Do this rank's work. Returns, on every rank, the first problem that any rank had with its disk."""
        problem = None
        try:
            work()
        except (OSError, SafetensorError) as error:  # safetensors writes in Rust, a full disk is its own error there
            problem = str(error)
        if self.group is None:
            return problem
        problems = [None] * dist.get_world_size()
        dist.all_gather_object(problems, problem, group=self.group)
        return next((problem for problem in problems if problem), None)


def _launch_id() -> str:
    """One random name for all ranks, so that two launches never write into the same folder."""
    name = [uuid.uuid4().hex[:8]]
    if get_dist_info().world > 1:
        dist.broadcast_object_list(name)
    return name[0]


def _to_host(tensors: dict) -> dict:
    return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}


def keep_newest(run_dir: Path, num_steps: int):
    """Delete all valid steps but the newest ones. What is broken stays, for a person to look at."""
    valid = [path for path in step_paths(run_dir) if step_problem(path) is None]
    for path in valid[:-num_steps]:
        remove_step(path)


def remove_temporary(run_dir: Path):
    """What launches that were killed left behind."""
    for path in run_dir.glob("step_*.tmp-*"):
        shutil.rmtree(path, ignore_errors=True)


class StopSignal:
    """Remembers SIGTERM or SIGINT, so that the step in progress is finished and saved. Ctrl-C under torchrun reaches a
    rank twice, from the terminal and from torchrun; the third signal ends the process as it stands."""

    def __init__(self):
        self.signum: int | None = None
        self.num_received = 0
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, self._receive)

    def _receive(self, signum, frame):
        self.num_received += 1
        if self.num_received > 2:
            raise KeyboardInterrupt
        if self.signum is None and get_dist_info().rank == 0:
            os.write(2, b"finishing this step, then saving\n")  # print is not safe in a handler
        self.signum = self.signum or signum
