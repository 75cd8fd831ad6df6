"""Multipliers as pure functions of the step: learning rate, Muon momentum, weight decay.

A step counts from 0 to num_steps - 1. Every multiplier of a rate lies in [0, 1] at every step, whatever
the accumulation: upstream counted micro-batches against optimizer steps and reached -127 (nanochat #775).
"""


def lr_multiplier(step: int, num_steps: int, *, warmup_steps: int, warmdown_frac: float, final_frac: float) -> float:
    """Linear warmup, flat, then linear warmdown over the last warmdown_frac of the run to final_frac
    (the WSD shape of MiniCPM, arXiv:2404.06395, with a linear tail)."""
    warmup_steps = min(warmup_steps, num_steps)
    warmdown_steps = round(warmdown_frac * num_steps)
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    remaining = num_steps - step
    if remaining >= warmdown_steps:
        return 1.0
    return final_frac + (1.0 - final_frac) * remaining / warmdown_steps


def linear_to_zero(step: int, num_steps: int) -> float:
    """1 at the first step, 1 / num_steps at the last: for RL, whose runs are short."""
    return 1.0 - step / num_steps


def muon_momentum(step: int, *, ramp_steps: int = 300, start: float = 0.85, end: float = 0.95) -> float:
    """Nesterov momentum, ramped while the first gradients are large (modded-nanogpt, record 9)."""
    return start + (end - start) * min(step / ramp_steps, 1.0)
