"""What must not reach the weights: a loss or gradient that is not finite, and a spike.

After the gradients are summed, one number goes around all ranks: how many hold something bad, and whether one was told
to stop. Everything before the update stays on the device: the verdict is a 0-dim tensor that switches the update off
(optim.py), and the host reads it with the loss when the step is done. A skipped step takes its batch and its place in
the schedule; weights, moments and the count for bias correction stay as they were.

A spike is a loss or gradient norm more than SIGMAS standard deviations above its mean over the last WINDOW good steps
(OLMo-core's SkipStepOptimizer, github.com/allenai/OLMo-core); a norm only while the loss is above its mean too, since
a long gradient at a low loss is a model that has just found something out (dev/LOG.md). BAD_IN_A_ROW of either kind mean
that the trouble is in the weights already: go back to the newest checkpoint, and on with batches that were not seen
yet. After that many rollbacks as MAX_ROLLBACKS the run ends, because something else is wrong.
"""

from typing import NamedTuple

import torch
import torch.distributed as dist

from nanochat.common import RunFailed, get_dist_info, print0

SIGMAS = 6.0
WINDOW = 128
MIN_HISTORY = 64      # steps before anything can be a spike: at first everything falls fast
BAD_IN_A_ROW = 3
MAX_ROLLBACKS = 3     # the one that is not made any more
TOLD_TO_STOP = 65536  # in the number that goes around; more than there are ranks


class Verdict(NamedTuple):
    is_good: torch.Tensor    # 0-dim, 1 or 0: whether the update happens
    flags: torch.Tensor      # (3,): the sum over ranks, whether all is finite here, whether something spiked here


class Guard:
    """The same on every rank. Its state is part of a checkpoint."""

    def __init__(self, device: torch.device, state: dict | None = None):
        self.dtype = torch.float32 if device.type == "mps" else torch.float64
        self.device = device
        self.seen: list[str] = []  # what was skipped, in words
        self._load(state or {"window": [], "num_good": 0, "num_bad_in_row": 0, "num_rollbacks": 0})

    def _load(self, state: dict):
        self.window = torch.zeros(WINDOW, 2, dtype=self.dtype, device=self.device)  # loss, gradient norm: a ring
        if state["window"]:
            self.window[:len(state["window"])] = torch.tensor(state["window"], dtype=self.dtype, device=self.device)
        self.num_good = torch.tensor(float(state["num_good"]), dtype=self.dtype, device=self.device)
        self.num_bad_in_row, self.num_rollbacks = state["num_bad_in_row"], state["num_rollbacks"]

    def state(self) -> dict:
        num_good = int(self.num_good.item())
        return {"window": self.window[:num_good].tolist(), "num_good": num_good,
                "num_bad_in_row": self.num_bad_in_row, "num_rollbacks": self.num_rollbacks}

    def judge(self, loss: torch.Tensor, grad_norm: torch.Tensor, has_targets: torch.Tensor, *,
              is_told_to_stop: bool) -> Verdict:
        """Before the update, with 0-dim tensors alone: nothing here waits for the device. A step without targets is
        not bad, but it is no update either, and no example of a loss."""
        values = torch.stack((loss, grad_norm)).to(self.dtype)
        is_finite = values.isfinite().all()
        is_spike = self._is_above_window(values)
        flags = (~is_finite | is_spike).to(self.dtype) + TOLD_TO_STOP * is_told_to_stop
        if get_dist_info().world > 1:
            dist.all_reduce(flags)
        is_good = (flags.remainder(TOLD_TO_STOP) == 0) & has_targets
        self._remember(values, is_good)
        return Verdict(is_good, torch.stack((flags, is_finite.to(self.dtype), is_spike.to(self.dtype))))

    def _is_above_window(self, values: torch.Tensor) -> torch.Tensor:
        count = self.num_good.clamp(max=WINDOW)
        is_filled = (torch.arange(WINDOW, device=self.window.device) < count).unsqueeze(1)
        mean = self.window.sum(dim=0) / count.clamp(min=1)
        variance = ((self.window - mean).square() * is_filled).sum(dim=0) / count.clamp(min=1)
        loss_spiked, norm_spiked = values > mean + SIGMAS * variance.sqrt()
        return (loss_spiked | norm_spiked & (values[0] > mean[0])) & (count >= MIN_HISTORY)

    def _remember(self, values: torch.Tensor, is_good: torch.Tensor):
        slot = torch.arange(WINDOW, device=self.window.device) == self.num_good % WINDOW
        self.window = torch.where(slot.unsqueeze(1) & is_good, values, self.window)
        self.num_good += is_good

    def note(self, step: int, problem: str | None, loss: float, grad_norm: float) -> bool:
        """After the step, on the host. Says what was skipped; returns whether it is time to go back."""
        if problem is None:
            self.num_bad_in_row = 0
            return False
        self.num_bad_in_row += 1
        self.seen.append(f"step {step}: {problem}, loss {loss:.4g}, gradient norm {grad_norm:.4g}")
        print0(f"skipped the update of {self.seen[-1]}")
        if self.num_bad_in_row == BAD_IN_A_ROW and self.num_rollbacks + 1 == MAX_ROLLBACKS:
            raise RunFailed(f"{BAD_IN_A_ROW} bad steps in a row, for the {MAX_ROLLBACKS}rd time: {'; '.join(self.seen)}"
                            "; look at the data, or start again with lower rates")
        return self.num_bad_in_row == BAD_IN_A_ROW

    def roll_back(self, state: dict):
        """To a checkpoint's state, but for how often that happened."""
        self._load(state | {"num_bad_in_row": 0, "num_rollbacks": self.num_rollbacks + 1})


def read_flags(flags: list[float]) -> tuple[str | None, bool]:
    """(what was bad or None, whether a rank was told to stop), from a verdict's flags on the host."""
    total, is_finite, is_spike = flags
    if total % TOLD_TO_STOP == 0:
        return None, total >= TOLD_TO_STOP
    problem = "a spike" if is_finite and is_spike else "not finite" if not is_finite else "bad on another rank"
    return problem, total >= TOLD_TO_STOP
