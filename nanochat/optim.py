"""Muon for the hidden matrices, AdamW for the rest, in one class for 1 to N ranks.

Muon (Jordan et al., 2024) replaces a matrix's momentum by the nearest orthogonal matrix, found with a few
matmuls (Polar Express, arXiv:2505.16932), and evens out how far its rows move (NorMuon, arXiv:2510.05491).

Every matrix of Muon, and every N-th part of the rows of an AdamW table, is a shard with one owner, which alone keeps
its moments and updates it: its gradient is summed onto the owner, the owner steps, the owner broadcasts. So optimizer
memory falls as 1/N (ZeRO-1, arXiv:1910.02054), and a rank of 1 runs the same lines without the communication.

In a step's last backward pass a gradient leaves as soon as it is whole, while the pass goes on; new weights leave
while the next shards are updated. Gradients stay whole on every rank, because the passes before add to them there.
"""

from collections import deque
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from types import EllipsisType
from typing import NamedTuple

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


def even_out_rows(directions, row_sq, is_good, *, beta: float = 0.95):
    """(N, rows, cols), each row divided by the root of the mean square that `row_sq`, N of (rows, 1), remembers of it; a
    matrix keeps its norm. Orthogonalised, some neurons still move several times as far as others (arXiv:2510.05491)."""
    means = directions.square().mean(dim=-1, keepdim=True)
    for memory, mean in zip(row_sq, means):
        memory.lerp_(torch.where(is_good, mean, memory), 1 - beta)
    inverse = 1 / (torch.stack(row_sq) + 1e-10)
    kept = means.sum(dim=-2, keepdim=True) / (means * inverse).sum(dim=-2, keepdim=True).clamp(min=1e-20)
    return directions * (inverse * kept).sqrt()


class Shard(NamedTuple):
    """What one rank owns of a parameter: `rows` of it, or all (...)."""
    name: str
    rows: slice | EllipsisType
    owner: int

    @property
    def key(self) -> str:
        """Its name in checkpoints: the parameter's, with the first row's number where others hold the rest."""
        return self.name if self.rows is ... else f"{self.name}@{self.rows.start}"


class MuonAdamW:
    """One step: `zero_grad`, backward passes with `start_reducing` before the last, `reduce_gradients`,
    `scale_gradients` (gradients may be sums, that makes them means), `step`.

    muon_dtype is what the orthogonalisation runs in: bf16 where it is fast, else the weights' own. reduce_order lists
    the parameters as backward passes finish their gradients; any order is right, a wrong one waits.
    """

    def __init__(self, groups: list[ParamGroup], *, rank: int = 0, world: int = 1,
                 muon_dtype: torch.dtype = torch.float32, reduce_order: list[str] | None = None):
        self.groups = groups
        self.rank, self.world = rank, world
        self.muon_dtype = muon_dtype
        self.params = {name: p for group in groups for name, p in group.params.items()}
        self.shards = assign_shards(groups, world)
        self.owned = [shard for shards in self.shards.values() for shard in shards if shard.owner == rank]
        device = next(iter(self.params.values())).device
        self.updates = torch.zeros((), device=device)  # made so far; torch's kernel wants fp32, exact to 2^24
        kinds = {name: group.kind for group in groups for name in group.params}
        self.state = {shard.key: _new_state(kinds[shard.name], self._weight(shard)) for shard in self.owned}
        self.reduce_order = reduce_order or list(self.params)
        assert sorted(self.reduce_order) == sorted(self.params)
        self._await_gradients()
        if world > 1:
            for name, p in self.params.items():
                p.register_post_accumulate_grad_hook(partial(self._on_gradient, name))

    def zero_grad(self):
        for p in self.params.values():
            p.grad = None

    # ---- gradients, onto their owners

    def start_reducing(self):
        """From here on no pass but the one that comes adds to a gradient."""
        self.is_last_pass = True

    @torch.no_grad()
    def reduce_gradients(self):
        """Until every owner has the sum over ranks. A rank that had nothing to learn from adds zeros."""
        for p in self.params.values():
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        while self.unsent and self.world > 1:
            self._send_gradient(self.unsent.popleft())
        for work in self.works:
            work.wait()
        self._await_gradients()

    def _await_gradients(self):
        self.is_last_pass, self.whole, self.unsent, self.works = False, set(), deque(self.reduce_order), []

    def _on_gradient(self, name, _):
        """Collectives must start in the same order on every rank, so a gradient that is early waits for its turn."""
        if self.is_last_pass:
            self.whole.add(name)
            while self.unsent and self.unsent[0] in self.whole:
                self._send_gradient(self.unsent.popleft())

    def _send_gradient(self, name: str):
        grad = self.params[name].grad
        self.works += [dist.reduce(grad[shard.rows], shard.owner, async_op=True) for shard in self.shards[name]]

    @torch.no_grad()
    def scale_gradients(self, scale) -> torch.Tensor:
        """By a number or a 0-dim tensor. Returns the global norm afterwards, a 0-dim tensor."""
        grads = [self._grad(shard).mul_(scale) for shard in self.owned]
        if self.world == 1:
            return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(grads)))
        zero = torch.zeros((), dtype=torch.float64, device=self.updates.device)  # a square of fp32 may not fit fp32
        square = sum((norm.double().square() for norm in (torch._foreach_norm(grads) if grads else [])), start=zero)
        dist.all_reduce(square)
        return square.sqrt()

    # ---- the update, by owners

    @torch.no_grad()
    def step(self, *, lr_mult: float, momentum: float, is_good: torch.Tensor):
        """One update with the reduced gradients if is_good, a 0-dim bool tensor; else nothing changes, not even by
        gradients that are not finite. Decided on the device: the host does not wait."""
        works = []
        for group in self.groups:
            for names in _by_shape(group.params):  # the same on every rank, as collectives need it
                shards = [shard for name in names for shard in self.shards[name]]
                owned = [shard for shard in shards if shard.owner == self.rank]
                if owned and group.kind == "adamw":
                    self._adamw(group, owned, group.lr * lr_mult, is_good)
                elif owned:
                    self._muon(group, owned, group.lr * lr_mult, momentum, is_good)
                if self.world > 1:
                    works += [dist.broadcast(self._weight(shard), shard.owner, async_op=True) for shard in shards]
        self.updates += is_good
        for work in works:
            work.wait()

    @property
    def num_updates(self) -> int:
        return int(self.updates.item())

    def _weight(self, shard: Shard) -> torch.Tensor:
        return self.params[shard.name][shard.rows]

    def _grad(self, shard: Shard) -> torch.Tensor:
        return self.params[shard.name].grad[shard.rows]

    def _adamw(self, group, owned, lr, is_good):
        """Adam with bias correction and decoupled decay (arXiv:1711.05101), by torch's fused kernel: one pass over
        memory instead of ten. found_inf was made for gradient scalers and skips all of it."""
        states = [self.state[shard.key] for shard in owned]
        adamw([self._weight(shard) for shard in owned], [self._grad(shard) for shard in owned],
              [s["exp_avg"] for s in states], [s["exp_avg_sq"] for s in states], [],
              [self.updates.clone() for _ in owned], fused=True, found_inf=1 - is_good.float(), amsgrad=False,
              maximize=False, lr=lr, beta1=group.betas[0], beta2=group.betas[1], weight_decay=group.weight_decay,
              eps=group.eps)

    def _muon(self, group, owned, lr, momentum, is_good):
        """Nesterov momentum, orthogonalised in one batch, for matrices of one shape; scaled so that tall and wide ones
        move their outputs alike: sqrt(max(1, rows / cols)). In a bad step the buffer stands in for the gradient, so
        that it stays as it is and its direction is finite, and that direction and the decay count for nothing."""
        updates = []
        for shard in owned:
            buffer = self.state[shard.key]["momentum"]
            grad = torch.where(is_good, self._grad(shard), buffer)
            updates.append(grad.lerp(buffer.lerp_(grad, 1 - momentum), momentum))
        rows, cols = updates[0].shape
        directions = orthogonalize(torch.stack(updates), self.muon_dtype)
        row_sq = [self.state[shard.key]["row_sq"] for shard in owned]
        directions = even_out_rows(directions, row_sq, is_good).mul_(is_good)
        for shard, direction in zip(owned, directions):
            p = self._weight(shard)
            p.mul_(p.new_ones(()).masked_fill_(is_good, 1 - lr * group.weight_decay))
            p.add_(direction, alpha=-lr * max(1, rows / cols) ** 0.5)

    # ---- in checkpoints

    def state_tensors(self) -> dict[str, torch.Tensor]:
        """This rank's moments by "<moment>/<shard's key>"."""
        return {f"{moment}/{key}": tensor for key, state in self.state.items() for moment, tensor in state.items()}

    def load_state_tensors(self, tensors: dict[str, torch.Tensor], num_updates: int):
        """Takes what this rank owns from any superset of it, such as all files of another world size."""
        self.updates.fill_(num_updates)
        whole = join_shards(tensors)
        for shard in self.owned:
            for moment, tensor in self.state[shard.key].items():
                saved = whole[f"{moment}/{shard.name}"][shard.rows]
                assert saved.shape == tensor.shape, (shard, saved.shape)
                tensor.copy_(saved)


def assign_shards(groups: list[ParamGroup], world: int) -> dict[str, list[Shard]]:
    """{parameter: its shards}, the same on every rank. Tables of AdamW are cut into even parts, one for each rank;
    matrices stay whole, because Muon needs all of one, and go largest first to the rank that has least."""
    cut = {name: _row_shards(name, p.size(0), world) for group in groups for name, p in group.params.items()
           if world > 1 and group.kind == "adamw" and p.dim() > 1}
    whole = {name: p for group in groups for name, p in group.params.items() if name not in cut}
    owners = assign_owners(whole, world)
    return {name: cut.get(name) or [Shard(name, ..., owners[name])] for group in groups for name in group.params}


def _row_shards(name: str, num_rows: int, world: int) -> list[Shard]:
    edges = [num_rows * rank // world for rank in range(world + 1)]
    return [Shard(name, slice(*edge), rank) for rank, edge in enumerate(pairwise(edges)) if edge[0] < edge[1]]


def assign_owners(params: dict[str, torch.Tensor], world: int) -> dict[str, int]:
    """Largest first to the rank that has least, so the shares are even."""
    load, owner = [0] * world, {}
    for name in sorted(params, key=lambda name: (-params[name].numel(), name)):
        owner[name] = load.index(min(load))
        load[owner[name]] += params[name].numel()
    return owner


def join_shards(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Moments of whole parameters from those of their shards."""
    parts: dict[str, dict[int, torch.Tensor]] = {}
    for key, tensor in tensors.items():
        name, _, first_row = key.partition("@")
        parts.setdefault(name, {})[int(first_row or 0)] = tensor
    return {name: torch.cat([found[row] for row in sorted(found)]) if len(found) > 1 else found[0]
            for name, found in parts.items()}


def _new_state(kind: str, weight) -> dict[str, torch.Tensor]:
    if kind == "adamw":
        return {"exp_avg": torch.zeros_like(weight), "exp_avg_sq": torch.zeros_like(weight)}
    return {"momentum": torch.zeros_like(weight), "row_sq": weight.new_zeros(len(weight), 1)}


def _by_shape(params) -> list[list[str]]:
    shapes: dict[tuple, list[str]] = {}
    for name, p in params.items():
        shapes.setdefault(tuple(p.shape), []).append(name)
    return list(shapes.values())
