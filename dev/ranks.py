"""Train one tiny model on 1, 2 and 4 ranks, and say how far apart they end.

    python -m dev.ranks

The global batch is the same, 16 rows of 64 tokens in passes of 2 rows, so that one rank makes 8 passes a step and four
make 2. Sums are taken in another order on another number of ranks: in float64 that must not show, in fp32 and bf16 it
is reported. Then a run goes on from 1 rank to 2 and from 2 to 4. On a CPU, in a temporary folder.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file

from dev.kill_drill import ROOT, prepare_text
from nanochat.files import read_json
from nanochat.gpt import GPT
from nanochat.optim import ParamGroup, assign_owners, assign_shards
from nanochat.run import read_metrics, runs_dir
from nanochat.scaling import model_config

WORLDS = (1, 2, 4)
GROUPS = {"wte": "embedding", "value_embeds": "value embeddings", "blocks": "matrices", "lm_head": "head"}
FLAGS = ("--depth 2 --max-seq-len 64 --total-batch-size 1024 --device-batch-size 2 --eval-tokens 512 --warmup-steps 1 "
         "--matrix-lr 0.3 --embedding-lr 3 --unembedding-lr 0.3 --resume auto").split()


def launch(flags: list[str], world: int):
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={world}"] if world > 1 else []
    done = subprocess.run([sys.executable, *torchrun, "-m", "scripts.base_train", *flags], cwd=ROOT, text=True,
                          env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True)
    assert done.returncode == 0, done.stderr[-3000:]


class Trained(NamedTuple):
    losses: list[float]
    weights: dict
    loader: dict              # where it stands
    moments_bytes: list[int]  # by rank


def train(data: Path, tag: str, world: int, *, dtype: str, steps: int, save_every: int = 0) -> Trained:
    flags = [*FLAGS, "--data", str(data), "--model-tag", tag, "--dtype", dtype, "--num-iterations", str(steps),
             "--save-every", str(save_every)]
    launch(flags, world)
    run_dir = runs_dir("base") / tag
    step = run_dir / f"step_{steps:08d}"
    moments = [load_file(step / f"optim-{rank}-of-{world}.safetensors") for rank in range(world)]
    return Trained([line["loss"] for line in read_metrics(run_dir) if "loss" in line],
                   load_file(step / "model.safetensors"), read_json(step / "state.json")["loader"],
                   [moments_bytes(tensors) for tensors in moments])


def moments_bytes(tensors: dict) -> int:
    """Without what Muon remembers of rows, a number for each: it lies where the matrix lies and is not cut evenly."""
    return sum(t.numel() * t.element_size() for key, t in tensors.items() if not key.startswith("row_sq/"))


def interrupt(tag: str, step: int):
    """Leave the run as it was at `step`."""
    run_dir = runs_dir("base") / tag
    (run_dir / "result.json").unlink()
    for path in run_dir.glob("step_*"):
        if int(path.name[5:]) > step:
            shutil.rmtree(path)


def largest(differences) -> float:
    return max(map(float, differences))


def loss_difference(one: Trained, other: Trained, start: int = 0) -> float:
    assert len(one.losses) == len(other.losses)
    return largest(abs(a - b) for a, b in zip(one.losses[start:], other.losses[start:]))


def weight_differences(one: Trained, other: Trained) -> dict[str, float]:
    """{group: largest difference of any weight}"""
    return {label: largest((one.weights[name] - other.weights[name]).abs().max()
                           for name in one.weights if name.startswith(prefix))
            for prefix, label in GROUPS.items() if any(name.startswith(prefix) for name in one.weights)}


def compare_worlds(data: Path, dtype: str, steps: int = 20) -> dict[int, Trained]:
    return {world: train(data, f"{dtype}-{world}", world, dtype=dtype, steps=steps) for world in WORLDS}


def resume_on_more(data: Path, dtype: str = "float64") -> tuple[Trained, list[Trained]]:
    """30 steps straight on one rank, and with steps 11 to 20 on two and 21 to 30 on four. Returns (straight,
    [10 steps on one rank then two, 20 of these then four])."""
    straight = train(data, "straight", 1, dtype=dtype, steps=30, save_every=10)
    shutil.copytree(runs_dir("base") / "straight", runs_dir("base") / "moved")
    moved = []
    for step, world in ((10, 2), (20, 4)):
        interrupt("moved", step)
        moved.append(train(data, "moved", world, dtype=dtype, steps=30, save_every=10))
    return straight, moved


def report_worlds(dtype: str, runs: dict[int, Trained]):
    one = runs[1]
    for world, run in runs.items():
        groups = ", ".join(f"{label} {value:.1e}" for label, value in weight_differences(one, run).items())
        share = max(run.moments_bytes) / sum(one.moments_bytes)
        print(f"{dtype}, {world} rank(s): moments {share:.4f} of one rank's; losses within "
              f"{loss_difference(one, run):.1e} of {one.losses[-1]:.3f}; weights {groups}; "
              f"documents {'the same' if run.loader == one.loader else 'DIFFER'}")


def moments_per_rank(depth: int, world: int) -> tuple[float, float]:
    """Largest share of all moments that a rank holds, with shards and with whole parameters, for the dial's model."""
    with torch.device("meta"):
        params = dict(GPT(model_config(depth, vocab_size=2 ** 16, max_seq_len=2048)).named_parameters())
    matrices = {name: p for name, p in params.items() if name.startswith("blocks")}
    tables = {name: p for name, p in params.items() if name not in matrices}
    groups = [ParamGroup("adamw", tables, 0.1), ParamGroup("muon", matrices, 0.1)]
    num_moments = {name: p.numel() * (2 if name in tables else 1) for name, p in params.items()}
    sharded, whole = [0.0] * world, [0.0] * world
    for name, shards in assign_shards(groups, world).items():
        for shard in shards:
            sharded[shard.owner] += num_moments[name] * len(params[name][shard.rows]) / len(params[name])
    for name, owner in assign_owners(params, world).items():
        whole[owner] += num_moments[name]
    return max(sharded) / sum(num_moments.values()), max(whole) / sum(num_moments.values())


def main(args):
    for depth, world in ((4, 2), (12, 8), (20, 8)):
        sharded, whole = moments_per_rank(depth, world)
        print(f"depth {depth}, {world} ranks: largest share of moments {sharded:.4f}, with whole tables {whole:.4f}")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NANOCHAT_BASE_DIR"] = folder
        data = prepare_text(Path(folder))
        for dtype in args.dtypes.split(","):
            report_worlds(dtype, compare_worlds(data, dtype))
        straight, moved = resume_on_more(data)
        for run, how, start in zip(moved, ("1 to 2", "2 to 4"), (10, 20)):
            print(f"float64, resumed from {how} ranks: losses of the steps that follow within "
                  f"{loss_difference(straight, run, start):.1e}; documents "
                  f"{'the same' if run.loader == straight.loader else 'DIFFER'}")


def build_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtypes", default="float64,float32,bfloat16", help="to compare in, with commas")
    return parser


if __name__ == "__main__":
    main(build_parser().parse_args())
