"""Muon for the hidden matrices, AdamW for the rest, in one class for 1 to N ranks.

Muon (Jordan et al., 2024) replaces a matrix's momentum by the nearest orthogonal matrix, found with a few
matmuls (Polar Express, arXiv:2505.16932). Each parameter has one owner rank, which alone keeps its
moments and updates it: gradients are summed over ranks, owners step, owners broadcast. So optimizer memory
falls as 1/N, and a rank of 1 runs the same lines without the communication.
Left out: overlap of communication with compute, and gradients that live on their owner only.
"""

from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch.optim.adamw import adamw

# Quintic coefficients of five Polar Express iterations for inputs with singular values in [1e-3, 1], safety factor
# 2e-2 (arXiv:2505.16932, algorithm 1): afterwards every singular value lies within 0.3 of 1.
POLAR_EXPRESS = (
    (8.156554524902461, -22.48329292557795, 15.878769915207462),
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
)


@dataclass(frozen=True)
class ParamGroup:
    """Parameters that share their rule and settings."""
    kind: str                      # "adamw" or "muon"
    params: dict[str, torch.nn.Parameter]
    lr: float                      # peak, multiplied by the schedule
    weight_decay: float = 0.0      # decoupled: each step removes lr * weight_decay of the weight
    betas: tuple[float, float] = (0.8, 0.95)
    eps: float = 1e-10


def orthogonalize(matrices, dtype: torch.dtype):
    """(N, rows, cols) -> same shape: each U S V^T becomes about U V^T. Computed in `dtype`, bf16 is enough."""
    x = matrices.to(dtype)
    is_tall = x.size(-2) > x.size(-1)
    if is_tall:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) * 1.02 + 1e-6)
    for a, b, c in POLAR_EXPRESS:
        gram = x @ x.mT
        polynomial = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        x = torch.baddbmm(x, polynomial, x, beta=a)
    return (x.mT if is_tall else x).to(matrices.dtype)


class MuonAdamW:
    """`reduce_gradients`, then `step`, consume p.grad of every parameter. Gradients may be sums: grad_scale turns them
    into means.

    muon_dtype is what the orthogonalisation runs in: bf16 where it is fast, else the weights' own.
    """

    def __init__(self, groups: list[ParamGroup], *, rank: int = 0, world: int = 1,
                 muon_dtype: torch.dtype = torch.float32):
        self.groups = groups
        self.rank, self.world = rank, world
        self.muon_dtype = muon_dtype
        self.params = {name: p for group in groups for name, p in group.params.items()}
        self.owner = assign_owners(self.params, world)
        device = next(iter(self.params.values())).device
        self.updates = torch.zeros((), device=device)  # made so far; torch's kernel wants fp32, exact to 2^24
        self.state = {name: {key: torch.zeros_like(p) for key in _state_keys(group.kind)}
                      for group in groups for name, p in group.params.items() if self.owner[name] == rank}

    @torch.no_grad()
    def reduce_gradients(self, grad_scale) -> torch.Tensor:
        """Sum over ranks and scale, by a number or a 0-dim tensor. Returns the global norm, a 0-dim tensor."""
        self._sum_gradients()
        grads = [p.grad.mul_(grad_scale) for p in self.params.values()]
        return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(grads)))

    @torch.no_grad()
    def step(self, *, lr_mult: float, momentum: float, is_good: torch.Tensor):
        """One update with the reduced gradients if is_good, a 0-dim bool tensor; else nothing changes, not even by
        gradients that are not finite. Decided on the device: the host does not wait."""
        for group in self.groups:
            owned = {name: p for name, p in group.params.items() if self.owner[name] == self.rank}
            if group.kind == "adamw":
                self._adamw(group, owned, group.lr * lr_mult, is_good)
            else:
                self._muon(group, owned, group.lr * lr_mult, momentum, is_good)
        self.updates += is_good
        self._share_parameters()

    @property
    def num_updates(self) -> int:
        return int(self.updates.item())

    def zero_grad(self):
        for p in self.params.values():
            p.grad = None

    def _adamw(self, group, owned, lr, is_good):
        """Adam with bias correction and decoupled decay (arXiv:1711.05101), by torch's fused kernel: one pass over
        memory instead of ten. found_inf was made for gradient scalers and skips all of it."""
        states = [self.state[name] for name in owned]
        adamw(list(owned.values()), [p.grad for p in owned.values()], [s["exp_avg"] for s in states],
              [s["exp_avg_sq"] for s in states], [], [self.updates.clone() for _ in owned],
              fused=True, found_inf=1 - is_good.float(), amsgrad=False, maximize=False, lr=lr, beta1=group.betas[0],
              beta2=group.betas[1], weight_decay=group.weight_decay, eps=group.eps)

    def _muon(self, group, owned, lr, momentum, is_good):
        """Nesterov momentum, orthogonalised in one batch per shape, scaled so that tall and wide matrices move
        their outputs alike: sqrt(max(1, rows / cols)). In a bad step the buffer stands in for the gradient, so that
        it stays as it is and its direction is finite, and that direction and the decay count for nothing."""
        for names in _by_shape(owned):
            updates = []
            for name in names:
                buffer = self.state[name]["momentum"]
                grad = torch.where(is_good, owned[name].grad, buffer)
                updates.append(grad.lerp(buffer.lerp_(grad, 1 - momentum), momentum))
            rows, cols = updates[0].shape
            directions = orthogonalize(torch.stack(updates), self.muon_dtype).mul_(is_good)
            for name, direction in zip(names, directions):
                p = owned[name]
                p.mul_(p.new_ones(()).masked_fill_(is_good, 1 - lr * group.weight_decay))
                p.add_(direction, alpha=-lr * max(1, rows / cols) ** 0.5)

    def _sum_gradients(self):
        if self.world > 1:
            for work in [dist.all_reduce(p.grad, async_op=True) for p in self.params.values()]:
                work.wait()

    def _share_parameters(self):
        if self.world > 1:
            for work in [dist.broadcast(p.data, self.owner[name], async_op=True) for name, p in self.params.items()]:
                work.wait()

    def state_tensors(self) -> dict[str, torch.Tensor]:
        """This rank's moments by "<moment>/<parameter>", the same names at any world size."""
        return {f"{key}/{name}": tensor for name, state in self.state.items() for key, tensor in state.items()}

    def load_state_tensors(self, tensors: dict[str, torch.Tensor], num_updates: int):
        """Takes what this rank owns from any superset of it, such as all files of another world size."""
        self.updates.fill_(num_updates)
        for key, tensor in self.state_tensors().items():
            tensor.copy_(tensors[key])


def assign_owners(params: dict[str, torch.Tensor], world: int) -> dict[str, int]:
    """Largest first to the rank that has least, so the shares are even; the same on every rank."""
    load, owner = [0] * world, {}
    for name in sorted(params, key=lambda name: (-params[name].numel(), name)):
        owner[name] = load.index(min(load))
        load[owner[name]] += params[name].numel()
    return owner


def _state_keys(kind: str) -> tuple[str, ...]:
    return {"adamw": ("exp_avg", "exp_avg_sq"), "muon": ("momentum",)}[kind]


def _by_shape(params) -> list[list[str]]:
    shapes: dict[tuple, list[str]] = {}
    for name, p in params.items():
        shapes.setdefault(tuple(p.shape), []).append(name)
    return list(shapes.values())
