"""What must be the same in every training loop: accumulate and step, the meter, when a thing is due.

Functions and one small class, called from a loop that stays visible in its script; nothing here calls back.
"""

import gc
import math
import statistics
import time
from collections import deque
from typing import Iterable, NamedTuple

import torch
import torch.distributed as dist

from nanochat.common import UserError, get_dist_info, has_compiler, print0
from nanochat.gpt import GPT, count
from nanochat.guards import Guard, read_flags
from nanochat.optim import MuonAdamW, ParamGroup

EMA_DECAY = 0.95
# Measured at depth 4 in bf16 on the 2-core AMX machine (dev/LOG.md): 10,900 tok/s eager, 14,100 compiled.
FLOPS_EAGER_CPU = 3.4e11
COMPILE_SAVES = 0.22        # share of an eager step
COMPILE_SEC = 15.0          # with a cold cache
ETA_STEPS = 64              # the latest, by whose median the rest is foretold: one that compiled says nothing of it, and the
                            # fastest promised a third too much on cores that others share
EAGER_STEPS = 2             # before compiling: the first loss is there in seconds, and so is a mistake in the data


class StepResult(NamedTuple):
    loss: float            # nats per target, over all ranks
    grad_norm: float       # of the mean gradient
    num_targets: int
    problem: str | None = None      # why there was no update
    is_told_to_stop: bool = False   # some rank was


def train_step(model: GPT, optimizer: MuonAdamW, micro_batches: Iterable[dict], guard: Guard, *, lr_mult: float,
               momentum: float, is_told_to_stop: bool = False) -> StepResult:
    """One optimizer step over the micro-batches (keyword arguments of GPT.loss_sum) of this rank; it may have none.

    Gradients are sums of nats; they are divided once, by the number of targets of the whole step over all ranks,
    so the update does not depend on how the step was cut into passes. Only the last pass sends gradients, while it
    still runs. The host waits for the device once, at the end.
    """
    optimizer.zero_grad()
    micro_batches = list(micro_batches)
    totals = model.lm_head.weight.new_zeros(2)  # on the device: reading it there would wait for every pass
    for number, batch in enumerate(micro_batches, start=1):
        nats, num_targets = model.loss_sum(**batch)
        if number == len(micro_batches):
            optimizer.start_reducing()
        nats.backward()
        totals += torch.stack((nats.detach(), num_targets))
    optimizer.reduce_gradients()
    totals = totals.to(guard.dtype)
    if get_dist_info().world > 1:
        dist.all_reduce(totals)
    nats, num_targets = totals
    has_targets = num_targets > 0  # RL: false when no group of any rank had a winner and a loser
    grad_norm = optimizer.scale_gradients(1 / num_targets.clamp(min=1))
    loss = nats / num_targets.clamp(min=1)
    verdict = guard.judge(loss, grad_norm, has_targets, is_told_to_stop=is_told_to_stop)
    optimizer.step(lr_mult=lr_mult, momentum=momentum, is_good=verdict.is_good)
    loss, num_targets, grad_norm, *flags = torch.stack((loss, num_targets, grad_norm.to(guard.dtype),
                                                        *verdict.flags)).tolist()
    return StepResult(loss, grad_norm, int(num_targets), *read_flags(flags))


def build_optimizer(model: GPT, *, embedding_lr: float, unembedding_lr: float, matrix_lr: float, weight_decay: float,
                    muon_dtype: torch.dtype) -> MuonAdamW:
    """Muon for the blocks' matrices, AdamW for embeddings and head."""
    info = get_dist_info()
    params = dict(model.named_parameters())
    tables = {"wte.weight": embedding_lr, "lm_head.weight": unembedding_lr}
    tables |= {name: embedding_lr for name in params if name.startswith("value_embeds.")}
    groups = [ParamGroup("adamw", {name: params.pop(name)}, lr) for name, lr in tables.items()]
    groups.append(ParamGroup("muon", params, matrix_lr, weight_decay))
    return MuonAdamW(groups, rank=info.rank, world=info.world, muon_dtype=muon_dtype,
                     reduce_order=backward_order(model))


def backward_order(model: GPT) -> list[str]:
    """Parameters in the order in which a backward pass finishes their gradients: the reverse of their first use."""
    used = ["wte.weight"]
    for layer, block in enumerate(model.blocks):
        used += [f"value_embeds.{layer}.weight"] if str(layer) in model.value_embeds else []
        used += [f"blocks.{layer}.{name}" for name, _ in block.named_parameters()]
    return [*used, "lm_head.weight"][::-1]


def inherited_rates(plan: dict, total_batch_size: int, init_lr_frac: float,
                    embedding_lr_frac: float | None = None) -> dict:
    """Peak rates for a later stage: a fraction of the run it starts from, moved to its own batch size. The embeddings
    may have a fraction of their own. Weight decay, which a base model gains from and a later one loses by, stays behind
    (dev/LOG.md)."""
    scale = (total_batch_size / plan["total_batch_size"]) ** 0.5
    fractions = {"embedding_lr": embedding_lr_frac or init_lr_frac, "unembedding_lr": init_lr_frac,
                 "matrix_lr": init_lr_frac}
    return {name: plan[name] * fraction * scale for name, fraction in fractions.items()} | {"weight_decay": 0.0}


def require_lr_frac(flag: str, fraction: float | None):
    if fraction is not None and not 0 < fraction <= 10:
        raise UserError(f"{flag} {fraction:g}: above 0, usually at most 1")


def is_due(step: int, every: int | None, last: int) -> bool:
    """Whether something happens after `step` steps: None or 0 is only at the end; always at the end."""
    return step == last or bool(every) and step > 0 and step % every == 0


def require_interval(flag: str, every: int | None):
    if every is not None and every < 0:
        raise UserError(f"{flag} {every}: a number of steps, or 0 for only at the end (the old -1 is now 0)")


def should_compile(config, num_tokens: int, device: torch.device) -> bool:
    """Whether compiled blocks end sooner than eager ones, their compilation included. A pure function of the work, so
    that a resumed run decides as the first one did and stays equal to the bit."""
    if device.type == "mps" or not has_compiler():  # Triton, too, builds a stub in C
        return False
    eager_sec = num_tokens * count(config)["flops_per_token"] / FLOPS_EAGER_CPU
    return device.type == "cuda" or eager_sec * COMPILE_SAVES > COMPILE_SEC


def compile_for(model: GPT, batch: dict):
    """Compile the blocks by a pass over `batch`, for passes of its shape. Others are eager under the stance
    "eager_on_recompile", where torch would compile for each shape anew."""
    model.compile_blocks()
    nats, _ = model.loss_sum(**batch)
    nats.backward()
    model.zero_grad()


class Meter:
    """Smoothed loss, rate and ETA. `state` goes into checkpoints; wall-clock stays out of what must be equal."""

    def __init__(self, num_steps: int, state: dict | None = None, *, flops_per_token: float | None = None,
                 peak_flops: float | None = None):
        self.num_steps, self.flops_per_token, self.peak_flops = num_steps, flops_per_token, peak_flops
        self.load(state or {"ema": 0.0, "num_updates": 0, "tokens": 0, "total_sec": 0.0})
        self.timed_tokens = self.timed_sec = 0.0  # of this launch, without its first steps, which warm up and compile
        self.steps_here = 0
        self.recent_sec = deque(maxlen=ETA_STEPS)
        self.clock = time.perf_counter()

    def load(self, state: dict):
        self.ema, self.num_updates = state["ema"], state["num_updates"]
        self.tokens, self.total_sec = state["tokens"], state["total_sec"]

    def state(self) -> dict:
        return {"ema": self.ema, "num_updates": self.num_updates, "tokens": self.tokens, "total_sec": self.total_sec}

    def start_step(self):
        self.clock = time.perf_counter()

    def end_step(self, step: int, result: StepResult, *, lr_mult: float, tokens: int) -> dict:
        """The line of metrics.jsonl for the step just made; `step` counts from 1 here."""
        dt = time.perf_counter() - self.clock
        self.recent_sec.append(dt)
        self.total_sec += dt
        self.tokens += tokens
        if self.steps_here > EAGER_STEPS:
            self.timed_sec += dt
            self.timed_tokens += tokens
        self.steps_here += 1
        metrics = {"step": step, "loss": result.loss, "lr_mult": lr_mult, "grad_norm": result.grad_norm,
                   "tok_per_sec": tokens / dt, "dt_sec": dt}
        if result.problem:  # a loss that did not count, perhaps not a number
            return metrics | {"event": "skipped", "problem": result.problem}
        self.num_updates += 1
        self.ema = EMA_DECAY * self.ema + (1 - EMA_DECAY) * result.loss
        return metrics

    def record(self) -> dict:
        """The run's figures for its record: train_sec over all launches, tok_per_sec of this one."""
        return {"final_loss": self.smooth_loss, "tokens": self.tokens, "train_sec": self.total_sec,
                "tok_per_sec": self.tok_per_sec}

    @property
    def smooth_loss(self) -> float:
        """EMA of the loss, corrected for its start at zero."""
        return self.ema / (1 - EMA_DECAY ** self.num_updates) if self.num_updates else math.nan

    @property
    def tok_per_sec(self) -> float | None:
        return self.timed_tokens / self.timed_sec if self.timed_sec else None

    def progress_line(self, metrics: dict) -> str:
        rate = self.tok_per_sec or metrics["tok_per_sec"]
        remaining = (self.num_steps - metrics["step"]) * statistics.median(self.recent_sec)
        mfu = f" | mfu {100 * rate * self.flops_per_token / self.peak_flops:.1f}%" if self.peak_flops else ""
        return (f"step {metrics['step']:>5}/{self.num_steps} | loss {self.smooth_loss:.4f} | "
                f"lr x{metrics['lr_mult']:.2f} | {rate:,.0f} tok/s{mfu} | ETA {format_seconds(remaining)}")


def format_seconds(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{seconds:02}s"


def collect_garbage_by_hand(step: int):
    """The cyclic collector pauses a step by tens of milliseconds; run it between steps, rarely (upstream's habit)."""
    if step == 1:
        gc.collect()
        gc.freeze()
        gc.disable()
    elif step % 1000 == 0:
        gc.collect()


def print_step(meter: Meter, metrics: dict, every: int = 10):
    """Every step at first, so that a person sees it move, then every `every`."""
    if metrics["step"] <= 5 or is_due(metrics["step"], every, meter.num_steps):
        print0(meter.progress_line(metrics))
