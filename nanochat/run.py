"""A run on disk: its folder, the settings it was started with, its metrics and its result.

    $NANOCHAT_BASE_DIR/runs/<stage>/<tag>/
        config.json     argv, resolved settings, model, commit, versions, device: written once, at the start
        metrics.jsonl   one line per logged step or event, appended
        result.json     the record; present = finished
        rollbacks.json  batches that were rolled back and are skipped, a list per rollback
        step_00000123/  checkpoints, see checkpoint.py
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

import torch

from nanochat.common import UserError, barrier, base_dir, get_dist_info
from nanochat.files import atomic_write, read_json, write_json

FORMAT_VERSION = 1
STAGES = ("base", "mid", "sft", "rl")
RECORD_KEYS = ("status", "final_step", "final_loss", "val_bpb", "weights_sha256", "tokens", "total_sec", "tok_per_sec",
               "peak_rss_bytes", "device", "dtype", "seed", "checkpoint")


def runs_dir(stage: str) -> Path:
    return base_dir() / "runs" / stage


def add_run_flags(parser):
    """The flags that every training stage shares."""
    group = parser.add_argument_group("run")
    group.add_argument("--model-tag", help="name of the model on disk (default: d<depth>, or the newest source's)")
    group.add_argument("--seed", type=int, default=0, help="of weights, data order and samples (default 0)")
    group.add_argument("--resume", choices=["auto"], help="continue the newest valid checkpoint of this tag; "
                       "starts when there is none, reprints the result when the run is finished")
    group.add_argument("--overwrite", action="store_true", help="delete what this tag holds and start again")
    group.add_argument("--save-every", type=int, help="steps between checkpoints (default: only at the end)")
    group.add_argument("--keep-last", type=at_least_one, help="newest checkpoints to keep (default: all)")
    group.add_argument("--device-type", help="cuda, mps or cpu (default: the best there is)")
    group.add_argument("--dtype", help="of activations: float32, bfloat16, float64 (default: bf16 where fast)")


def at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: a whole number from 1")
    return int(text)


class Run:
    """One training run of a stage and tag. Rank 0 writes; every rank may read."""

    def __init__(self, stage: str, tag: str):
        if not tag or Path(tag).name != tag or tag.startswith("."):
            raise UserError(f"--model-tag {tag!r}: a plain folder name, such as d4")
        self.stage, self.tag = stage, tag
        self.dir = runs_dir(stage) / tag

    def open(self, config: dict, *, resume: str | None, overwrite: bool) -> dict | None:
        """Claim the folder. Returns the record when the run is already finished, else None.

        config["settings"] must repeat those of the run that is resumed: they decide every update.
        """
        if resume and overwrite:
            raise UserError("--resume and --overwrite contradict each other; give one")
        exists = (self.dir / "config.json").exists()
        barrier()  # every rank has looked before rank 0 writes
        if exists and not resume and not overwrite:
            raise UserError(f"{self.stage} model {self.tag!r} exists in {self.dir}; continue it with --resume auto, "
                            "replace it with --overwrite, or choose another --model-tag")
        if exists and resume:
            self._require_same_settings(config["settings"])
            if (self.dir / "result.json").exists():
                return read_json(self.dir / "result.json")
        elif get_dist_info().rank == 0:
            shutil.rmtree(self.dir, ignore_errors=True)
            write_json(self.dir / "config.json", config)
        barrier()
        return None

    def _require_same_settings(self, settings: dict):
        saved = read_json(self.dir / "config.json")["settings"]
        settings = json.loads(json.dumps(settings))
        for key in sorted(saved.keys() | settings.keys()):
            if saved.get(key) != settings.get(key):
                raise UserError(f"{self.stage} model {self.tag!r} was started with {key} = {saved.get(key)!r}, now it "
                                f"is {settings.get(key)!r}; use the old value, another --model-tag, or --overwrite")

    def log(self, metrics: dict):
        if get_dist_info().rank == 0:
            with open(self.dir / "metrics.jsonl", "a") as f:
                f.write(json.dumps(metrics) + "\n")

    def cut_metrics(self, step: int):
        """Forget what the resumed run writes again: steps after `step`, and evaluations made at it."""
        path = self.dir / "metrics.jsonl"
        if get_dist_info().rank == 0 and path.exists():
            lines = path.read_text().splitlines(keepends=True)
            atomic_write(path, "".join(line for line in lines if _is_before(line, step)))

    def finish(self, script: str, **values) -> dict:
        """Write result.json, after which the stage counts as finished, and return the record."""
        record = new_record(script, self.stage, self.tag, status="finished", **values)
        if get_dist_info().rank == 0:
            write_json(self.dir / "result.json", record)
        barrier()
        return record


def read_metrics(run_dir: Path) -> list[dict]:
    path = run_dir / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _is_before(line: str, step: int) -> bool:
    """Whether a metrics line was written before the checkpoint of `step`, or tells of a rollback to it. A line torn by
    a kill was not."""
    try:
        metrics = json.loads(line)
    except json.JSONDecodeError:
        return False
    return metrics["step"] < step or (metrics["step"] == step
                                      and ("loss" in metrics or metrics.get("event") == "rollback"))


def run_config(args, settings: dict, model: dict, device: str) -> dict:
    """What config.json says about a run: enough to tell why two curves differ."""
    return {"format_version": FORMAT_VERSION, "argv": sys.argv, "flags": vars(args), "settings": settings,
            "model": model, "device": device, "world": get_dist_info().world, **code_version(),
            "versions": {"python": platform.python_version(), "torch": torch.__version__}}


def new_record(script: str, stage: str | None, tag: str | None, **values) -> dict:
    """The last line of stdout of every script. Keys that do not apply are null."""
    return {"format_version": FORMAT_VERSION, "script": script, "stage": stage, "tag": tag,
            **dict.fromkeys(RECORD_KEYS), "peak_rss_bytes": peak_rss_bytes(), **code_version(), **values}


def code_version() -> dict:
    """{commit, is_dirty} of the repository this file lies in; nulls outside git."""
    def git(*words):
        return subprocess.run(["git", *words], cwd=Path(__file__).parent, capture_output=True, text=True,
                              check=True).stdout
    try:
        return {"commit": git("rev-parse", "HEAD").strip(), "is_dirty": bool(git("status", "--porcelain").strip())}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "is_dirty": None}


def process_seconds() -> float:
    """Wall clock since this process was started, interpreter and imports included; without /proc, CPU seconds."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()  # proc(5): starttime is field 22
        return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except OSError:
        return time.process_time()


def peak_rss_bytes() -> int | None:
    """Largest resident size this process has had; None where the resource module does not exist."""
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
