"""What a saved step is, and which one to load.

A step folder is self-contained: chat, evaluation and export need nothing else.

    step_00000123/
        model.safetensors            fp32 masters by parameter name
        optim-<k>-of-<n>.safetensors moments of the shards that rank k owned; any number of ranks reads any n
        state.json                   step, loader, meter, optimizer updates: where the run stood
        config.json  tokenizer.json  the run's, copied
        manifest.json                {format_version, files: {name: [bytes, sha256]}, weights_sha256}, written last

Ranks write into step_*.tmp-<launch>/; renaming that folder is the only commit point, so a kill at any moment leaves
either the whole step or none of it. Sizes are checked whenever steps are listed, hashes when one is loaded.
No pickle anywhere: safetensors and JSON.
"""

import os
import re
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import torch

from nanochat.common import UserError, get_dist_info, print0
from nanochat.files import fsync_dir, read_json, sha256_file, write_json
from nanochat.gpt import GPT, GPTConfig
from nanochat.run import FORMAT_VERSION, STAGES, Run, runs_dir
from nanochat.tokenizer import Tokenizer

CHAT_STAGES = ("rl", "sft", "mid")  # the best to talk to first


def write_step(temp: Path, moments: dict, weights: dict | None, state: dict, *, run: Run, tokenizer: Tokenizer):
    """This rank's files of a step: its moments; on rank 0, which has weights, everything else but the manifest."""
    from safetensors.torch import save_file
    info = get_dist_info()
    temp.mkdir(parents=True, exist_ok=True)
    save_file(moments, temp / f"optim-{info.rank}-of-{info.world}.safetensors")
    if weights is not None:
        save_file(weights, temp / "model.safetensors")
        write_json(temp / "state.json", state)
        shutil.copy(run.dir / "config.json", temp / "config.json")
        tokenizer.save(temp / "tokenizer.json")


def commit_step(temp: Path, final: Path):
    """By rank 0, when all ranks have written."""
    files = {}
    for path in sorted(temp.iterdir()):
        with open(path, "rb+") as f:
            os.fsync(f.fileno())
        files[path.name] = [path.stat().st_size, sha256_file(path)]
    write_json(temp / "manifest.json", {"format_version": FORMAT_VERSION, "files": files,
                                        "weights_sha256": files["model.safetensors"][1]})
    if final.exists():
        remove_step(final)  # the same step saved by an earlier, resumed life of this run
    temp.rename(final)
    fsync_dir(final.parent)


def remove_step(path: Path):
    """Renamed first: half a step must not look like one."""
    doomed = path.with_name(f"{path.name}.tmp-removed")
    path.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


# -----------------------------------------------------------------------------
# Finding a step

def list_steps(run_dir: Path) -> list[Path]:
    """Valid step folders, oldest first. Bad ones are named on stderr and left out; temporary ones are ignored."""
    steps = []
    for path in step_paths(run_dir):
        problem = step_problem(path)
        if problem:
            print0(f"skipping {path}: {problem}")
        else:
            steps.append(path)
    return steps


def step_paths(run_dir: Path) -> list[Path]:
    """Whatever is named like a step, oldest first."""
    return sorted(path for path in run_dir.glob("step_*") if re.fullmatch(r"step_\d{8}", path.name))


def step_problem(step_dir: Path, *, with_hashes: bool = False) -> str | None:
    """Why this folder cannot be trusted, or None. Sizes always, contents on request."""
    try:
        manifest = read_json(step_dir / "manifest.json")
        version = manifest["format_version"]
        files = [(name, size, sha256) for name, (size, sha256) in manifest["files"].items()]
        is_whole = manifest["weights_sha256"] == manifest["files"]["model.safetensors"][1]
    except (OSError, UserError, KeyError, TypeError, ValueError, AttributeError, IndexError):
        return "its manifest.json is missing or unreadable"
    if version != FORMAT_VERSION:
        return f"format version {version}, this code reads {FORMAT_VERSION}"
    if not is_whole:
        return "its manifest.json contradicts itself"
    for name, size, sha256 in files:
        path = step_dir / name
        if not path.is_file() or path.stat().st_size != size:
            return f"{name} is missing or not {size:,} bytes"
        if with_hashes and sha256_file(path) != sha256:
            return f"{name} does not match its sha256"
    return None


def newest_step(run_dir: Path) -> Path | None:
    """The newest step that passes every check, hashes included."""
    for path in reversed(list_steps(run_dir)):
        problem = step_problem(path, with_hashes=True)
        if problem is None:
            return path
        print0(f"skipping {path}: {problem}")
    return None


def find_step(source: str | tuple[str, ...] | None, tag: str | None, step: int | None) -> Path:
    """The step that --source, --model-tag and --step choose; source may be several stages, best first.
    By default the newest tag's rl, else sft, else mid."""
    stages = (source,) if isinstance(source, str) else source or CHAT_STAGES
    if not set(stages) <= set(STAGES):
        raise UserError(f"--source {source}: choose one of {', '.join(STAGES)}")
    runs = {(run_dir.name, stage): run_dir for stage in stages for run_dir in sorted(runs_dir(stage).glob("*"))
            if any(run_dir.glob("step_*/manifest.json"))}
    existing = ", ".join(f"{stage}/{name}" for name, stage in runs) or f"none yet in {runs_dir('*')}"
    if tag is not None and tag not in {name for name, _ in runs}:
        raise UserError(f"--model-tag {tag}: no such model of stage {' or '.join(stages)}; there are: {existing}")
    if not runs:
        raise UserError(f"no trained model of stage {' or '.join(stages)} yet in {runs_dir('*')}; "
                        "train one with bash runs/quickstart.sh")
    tag = tag or max(runs, key=lambda key: _last_written(runs[key]))[0]
    for stage in stages:
        run_dir = runs.get((tag, stage))
        path = run_dir and (run_dir / f"step_{step:08d}" if step is not None else newest_step(run_dir))
        if step is not None and run_dir and not path.is_dir():
            steps = ", ".join(str(int(p.name[5:])) for p in list_steps(run_dir))
            raise UserError(f"--step {step}: {stage}/{tag} has no such step; there are: {steps}")
        if path:
            return path
    raise UserError(f"no valid checkpoint among {existing}; train again with --overwrite")


def _last_written(run_dir: Path) -> float:
    return max(path.stat().st_mtime for path in run_dir.glob("step_*/manifest.json"))


# -----------------------------------------------------------------------------
# Loading

class LoadedModel(NamedTuple):
    model: GPT
    tokenizer: Tokenizer
    info: dict  # source, tag, step, weights_sha256, config (the run's), checkpoint (path)


def load_model(source: str | tuple[str, ...] | None, model_tag: str | None, step: int | None, *, device: torch.device,
               dtype: torch.dtype) -> LoadedModel:
    """Weights in fp32 (float64 for a float64 dtype) and activations in `dtype`, checked against the hashes."""
    path = find_step(source, model_tag, step)
    problem = step_problem(path, with_hashes=True)
    if problem:
        raise UserError(f"{path}: {problem}; choose another --step or train again")
    config = read_json(path / "config.json")
    model = build_model(GPTConfig(**config["model"]), device, dtype)
    load_weights(model, path)
    info = {"source": path.parent.parent.name, "tag": path.parent.name, "step": int(path.name[5:]),
            "weights_sha256": weights_sha256(path), "config": config, "checkpoint": str(path)}
    return LoadedModel(model, Tokenizer.load(path / "tokenizer.json"), info)


def build_model(config: GPTConfig, device: torch.device, dtype: torch.dtype) -> GPT:
    """Masters are fp32 whatever the activations' dtype, except float64 throughout for float64."""
    model = GPT(config, activation_dtype=dtype)
    return (model.double() if dtype == torch.float64 else model).to(device)


def load_weights(model: GPT, step_dir: Path):
    from safetensors.torch import load_file
    model.load_state_dict(load_file(step_dir / "model.safetensors"))


def load_optimizer(optimizer, step_dir: Path):
    from safetensors.torch import load_file
    tensors = {}
    for path in step_dir.glob("optim-*.safetensors"):
        tensors |= load_file(path)
    optimizer.load_state_tensors(tensors, read_json(step_dir / "state.json")["num_updates"])


def resume(run: Run, model: GPT, optimizer, *, is_asked: bool) -> tuple[Path | None, dict]:
    """Load the newest valid step of a run into model and optimizer and cut its metrics back to that step.

    Returns (step folder, state.json); (None, a state at step 0) when there is none or nobody asked.
    """
    saved = newest_step(run.dir) if is_asked else None
    if saved is None:
        forget_rollbacks(run.dir)
        state = {"step": 0, "loader": None, "meter": None}
    else:
        state = load_step(model, optimizer, saved)
        apply_rollbacks(run.dir, state)
    run.begin(state["step"])
    return saved, state


def load_step(model: GPT, optimizer, step_dir: Path) -> dict:
    """Weights and moments. Returns its state.json."""
    load_weights(model, step_dir)
    load_optimizer(optimizer, step_dir)
    state = read_json(step_dir / "state.json")
    print0(f"resuming at step {state['step']}")
    return state


# A rollback is on disk before training goes on: a launch that ends before its next save must not come back to the bad
# batches, nor a third rollback pass for the first. So these lists join the state of whatever step is resumed.
ROLLBACKS = "rollbacks.json"


def record_rollback(run_dir: Path, skipped: list[int]):
    """Of a run that just went back: the batches it leaves out."""
    if get_dist_info().rank == 0:
        write_json(run_dir / ROLLBACKS, [*read_rollbacks(run_dir), skipped])


def read_rollbacks(run_dir: Path) -> list[list[int]]:
    return read_json(run_dir / ROLLBACKS) if (run_dir / ROLLBACKS).exists() else []


def forget_rollbacks(run_dir: Path):
    if get_dist_info().rank == 0:
        (run_dir / ROLLBACKS).unlink(missing_ok=True)


def apply_rollbacks(run_dir: Path, state: dict):
    """To a state.json, in place."""
    rollbacks = read_rollbacks(run_dir)
    if rollbacks:
        state["guards"]["num_rollbacks"] = len(rollbacks)
        loader = state["loader"]
        loader["skipped"] = sorted({*loader["skipped"], *(batch for skipped in rollbacks for batch in skipped)})


def weights_sha256(step_dir: Path) -> str:
    return read_json(step_dir / "manifest.json")["weights_sha256"]


def checkpoint_bytes(model: GPT) -> int:
    """About what one save writes: masters, and for every parameter one or two moments."""
    params = sum(p.numel() * p.element_size() for p in model.parameters())
    return 3 * params


def model_json(config: GPTConfig) -> dict:
    return asdict(config)
