"""A step that hangs says where: every rank prints the stacks of its threads, and leaves them in the run's folder.

When one rank stops, the others wait for it in a collective, so each of them passes its limit too and the stacks lie
side by side: the one that is not in a collective is the one to look at. It is said once a step and the step goes on
waiting, for it may only be slow; what ends a collective for good is its own timeout (torch: 10 minutes over NCCL, 30
over gloo), after which torchrun starts again.
"""

import math
import sys
import threading
import time
import traceback
import weakref
from pathlib import Path

from nanochat.common import get_dist_info

FIRST_STEPS = 3          # they compile, warm up and fill caches
FIRST_LIMIT_SEC = 480.0  # theirs, and less than NCCL waits
TIMES_SLOWEST = 10       # the limit later: so many times the slowest step so far, the first ones left out,
MIN_LIMIT_SEC = 60.0     # and at least this
POLL_SEC = 1.0


class Watchdog:
    """Call start_step and end_step around each step. A thread of its own looks at the clock."""

    def __init__(self, run_dir: Path):
        self.steps_here, self.slowest_sec = 0, 0.0
        self.watched = _Watched(run_dir)
        is_over = threading.Event()
        weakref.finalize(self, is_over.set)  # a loop that raised drops us, and the thread ends
        self.thread = threading.Thread(target=_watch, args=(self.watched, is_over), name="watchdog", daemon=True)
        self.thread.start()

    def limit_sec(self) -> float:
        if self.steps_here < FIRST_STEPS:
            return FIRST_LIMIT_SEC
        return max(MIN_LIMIT_SEC, TIMES_SLOWEST * self.slowest_sec)

    def start_step(self, step: int):
        self.watched.start(step, self.limit_sec())

    def end_step(self):
        self.steps_here += 1
        if self.steps_here > FIRST_STEPS:
            self.slowest_sec = max(self.slowest_sec, time.monotonic() - self.watched.started)
        self.watched.stop()


class _Watched:
    """What the thread reads. It does not hold the watchdog, whose end is the thread's."""

    def __init__(self, run_dir: Path):
        self.run_dir = run_dir
        self.stop()

    def start(self, step: int, limit_sec: float):
        self.step, self.started = step, time.monotonic()
        self.deadline = self.started + limit_sec

    def stop(self):
        self.deadline = math.inf


def _watch(watched: _Watched, is_over: threading.Event):
    while not is_over.wait(POLL_SEC):
        if time.monotonic() > watched.deadline:
            watched.stop()
            report(watched.run_dir, watched.step, time.monotonic() - watched.started)


def report(run_dir: Path, step: int, seconds: float):
    """All stacks of this process, to stderr in one write and to hung-step-<step>-rank-<rank>.txt."""
    rank, _, world = get_dist_info()
    text = (f"rank {rank} of {world}: step {step} has taken {seconds:.0f} s and still goes on; its threads are in\n"
            f"{stacks()}")
    print(text, file=sys.stderr, flush=True)
    try:
        (run_dir / f"hung-step-{step:08d}-rank-{rank}.txt").write_text(text)
    except OSError as error:  # a full disk may be why it hangs
        print(f"rank {rank} could not write this down: {error}", file=sys.stderr, flush=True)


def stacks() -> str:
    """Of every thread but the caller's, innermost call last."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return "".join(f"  thread {names.get(ident, ident)}\n{''.join(traceback.format_stack(frame))}"
                   for ident, frame in sys._current_frames().items() if ident != threading.get_ident())
