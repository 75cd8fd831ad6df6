"""A run on disk: its folder, the settings it was started with, its metrics and its result.

    $NANOCHAT_BASE_DIR/runs/<stage>/<tag>/
        config.json     argv, resolved settings, model, commit, versions, device: written once, at the start
        metrics.jsonl   one line per logged step or event, appended; cut back when a run is resumed
        launches.jsonl  one line per start of a process, with the step it began at; never cut
        result.json     the record; present = finished
        rollbacks.json  batches that were rolled back and are skipped, a list per rollback
        step_00000123/  checkpoints, see checkpoint.py
"""

import argparse
import functools
import json
import os
import platform
import shutil
import subprocess
import sys
import threading
import time
from datetime import datetime, timezone
from pathlib import Path

import torch

from nanochat.common import RunFailed, UserError, barrier, base_dir, get_dist_info
from nanochat.files import atomic_write, read_json, write_json
from nanochat.wandb_sink import WandbSink

FORMAT_VERSION = 1
STAGES = ("base", "mid", "sft", "rl")
LAUNCH_KEYS = ("argv", "world", "device", "commit", "is_dirty", "versions")
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
    group.add_argument("--wandb", metavar="NAME", type=not_empty, help="send the metrics to Weights & Biases too, as a "
                       "run of this name (needs the package; WANDB_MODE=offline needs no account)")
    group.add_argument("--device-type", help="cuda, mps or cpu (default: the best there is)")
    group.add_argument("--dtype", help="of activations: float32, bfloat16, float64 (default: bf16 where fast)")


def at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: a whole number from 1")
    return int(text)


def not_empty(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError(f"{text!r}: a name")
    return text


class Run:
    """One training run of a stage and tag. Rank 0 writes; every rank may read."""

    def __init__(self, stage: str, tag: str):
        if not tag or Path(tag).name != tag or tag.startswith("."):
            raise UserError(f"--model-tag {tag!r}: a plain folder name, such as d4")
        self.stage, self.tag = stage, tag
        self.dir = runs_dir(stage) / tag
        self.launch = {}               # what launches.jsonl says of this process
        self.sink: WandbSink | None = None
        self.pending = b""             # lines of metrics that a full disk has not taken yet
        self.lock = threading.Lock()   # of the above: a save writes them too, in its thread

    def check_tag(self, *, resume: str | None, overwrite: bool) -> bool:
        """Whether the folder holds a run. One that may be neither continued nor replaced is refused, which a script asks
        for before it prepares its data: that can take minutes."""
        if resume and overwrite:
            raise UserError("--resume and --overwrite contradict each other; give one")
        exists = (self.dir / "config.json").exists()
        if exists and not resume and not overwrite:
            raise UserError(f"{self.stage} model {self.tag!r} exists in {self.dir}; continue it with --resume auto, "
                            "replace it with --overwrite, or choose another --model-tag")
        return exists

    def open(self, config: dict, *, resume: str | None, overwrite: bool, wandb: str | None = None) -> dict | None:
        """Claim the folder. Returns the record when the run is already finished, else None.

        config["settings"] must repeat those of the run that is resumed: they decide every update. `wandb` is the name
        of the run there; without an account or the package nothing is touched.
        """
        exists = self.check_tag(resume=resume, overwrite=overwrite)
        barrier()  # every rank has looked before rank 0 writes
        if exists and resume:
            self._require_same_settings(config["settings"])
            if (self.dir / "result.json").exists():
                return read_json(self.dir / "result.json")
        if get_dist_info().rank == 0:
            is_new = not (exists and resume)
            if wandb:
                self.sink = WandbSink(wandb, self.dir, stage=self.stage, config=config, is_new=is_new)
            if is_new:
                shutil.rmtree(self.dir, ignore_errors=True)
                write_json(self.dir / "config.json", config)
        self.launch = {key: config.get(key) for key in LAUNCH_KEYS}
        barrier()
        return None

    def _require_same_settings(self, settings: dict):
        saved = read_json(self.dir / "config.json")["settings"]
        settings = json.loads(json.dumps(settings))
        for key in sorted(saved.keys() | settings.keys()):
            if saved.get(key) != settings.get(key):
                raise UserError(f"{self.stage} model {self.tag!r} was started with {key} = {saved.get(key)!r}, now it "
                                f"is {settings.get(key)!r}; use the old value, another --model-tag, or --overwrite")

    def begin(self, step: int):
        """After open, when it is known which checkpoint this launch goes on from."""
        self.cut_metrics(step)
        if get_dist_info().rank == 0:
            line = {"step": step, "time": datetime.now(timezone.utc).isoformat(timespec="seconds"), **self.launch}
            with open(self.dir / "launches.jsonl", "a") as f:
                f.write(json.dumps(line) + "\n")
            if self.sink:
                self.sink.begin(read_metrics(self.dir))

    def log(self, metrics: dict):
        """Append a line. On a full disk it waits here for the next one, and training goes on."""
        if get_dist_info().rank == 0:
            try:
                self._append(json.dumps(metrics).encode() + b"\n")
            except OSError:
                pass  # the next save needs these lines on disk, and names the problem
            if self.sink:
                self.sink.log(metrics)

    def _append(self, line: bytes):
        with self.lock, open(self.dir / "metrics.jsonl", "ab", buffering=0) as f:
            self.pending += line
            while self.pending:
                self.pending = self.pending[f.write(self.pending):]  # a disk that fills takes half of a line

    def sync_metrics(self):
        """By rank 0, before a checkpoint is committed: all lines before it are on disk, or OSError."""
        self._append(b"")
        with open(self.dir / "metrics.jsonl", "rb+") as f:
            os.fsync(f.fileno())

    def cut_metrics(self, step: int):
        """Forget what the resumed run writes again: steps after `step`, and evaluations made at it."""
        path = self.dir / "metrics.jsonl"
        if get_dist_info().rank == 0:
            text = (path.read_bytes() if path.exists() else b"") + self.pending
            atomic_write(path, b"".join(line for line in text.splitlines(keepends=True) if _is_before(line, step)))
            self.pending = b""

    def finish(self, script: str, **values) -> dict:
        """Write result.json, after which the stage counts as finished, and return the record."""
        record = new_record(script, self.stage, self.tag, status="finished", **values)
        if get_dist_info().rank == 0:
            try:
                self.sync_metrics()
                write_json(self.dir / "result.json", record)
            except OSError as error:
                raise RunFailed(f"the run's end could not be written ({error}); make room and give the same command "
                                "with --resume auto") from None
            if self.sink:
                self.sink.finish()
        barrier()
        return record


def read_metrics(run_dir: Path) -> list[dict]:
    """All whole lines: a kill, or a run that is being written, leaves half of one at the end."""
    path = run_dir / "metrics.jsonl"
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    try:
        return [json.loads(line) for line in lines if line.endswith(b"\n")]
    except ValueError as error:
        raise UserError(f"{path} is not JSON lines ({error}); remove the broken line") from None


def read_launches(run_dir: Path) -> list[dict]:
    """One {step, time, argv, world, device, commit, ...} for each start; more than one: it was resumed."""
    path = run_dir / "launches.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _is_before(line: bytes, step: int) -> bool:
    """Whether a metrics line was written before the checkpoint of `step`, or tells of a rollback to it. A line torn by
    a kill was not."""
    try:
        metrics = json.loads(line)
    except ValueError:
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


@functools.cache  # of when a run began: who commits while it trains does not change what it runs
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
