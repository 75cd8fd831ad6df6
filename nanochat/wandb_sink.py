"""Metrics to Weights & Biases, beside metrics.jsonl: the same keys, and one run there for one run here.

The id is drawn once and kept in the run's folder (wandb.json), so a run that was killed goes on in the same place. What
wandb had taken when a process was killed only wandb knows, it sends and writes late: so a resumed run offers what
metrics.jsonl holds, from the first row that wandb does not have. Offline it has none, and each launch leaves a whole
run in wandb/ of the base directory, to be sent with `wandb sync`.

Rows there cannot be taken back: after a rollback the steps that were bad stay, and the next row is the first new one.
"""

import os
import uuid
from pathlib import Path

from nanochat.common import UserError, base_dir, print0
from nanochat.files import read_json, write_json


class WandbSink:
    """Of rank 0. Package and account are needed to make one; what fails later is said once and stops nothing."""

    def __init__(self, name: str, run_dir: Path, *, stage: str, config: dict, is_new: bool):
        self.path = run_dir / "wandb.json"
        has_id = not is_new and self.path.exists()
        self.id = read_json(self.path)["id"] if has_id else uuid.uuid4().hex[:8]
        self.wandb_run = connect(name, self.id, job_type=stage, group=run_dir.name, config=config)
        self.step = self.wandb_run.step  # the first row it can take

    def begin(self, history: list[dict]):
        """Once the run's folder is claimed and its metrics are cut back to where this launch goes on."""
        write_json(self.path, {"id": self.id})
        for metrics in history:
            self.log(metrics)

    def log(self, metrics: dict):
        """metrics["step"] is the row; several calls fill one row."""
        if self.wandb_run is None or metrics["step"] < self.step:
            return
        self.step = metrics["step"]
        try:
            self.wandb_run.log(metrics, step=self.step)
        except Exception as error:  # whatever it is, it is no reason to stop training
            print0(f"wandb is left out from step {self.step} on ({error}); metrics.jsonl has everything")
            self.wandb_run = None

    def finish(self):
        if self.wandb_run:
            try:
                self.wandb_run.finish()
            except Exception as error:
                print0(f"wandb could not be finished ({error}); metrics.jsonl has everything")


def connect(name: str, run_id: str, **what):
    """Start or continue a run there. WANDB_MODE=offline, WANDB_PROJECT and the others work as wandb says."""
    try:
        import wandb
    except ImportError:
        raise UserError(f"--wandb {name}: the package is not installed; pip install wandb, or leave the flag "
                        "out: metrics.jsonl holds the same") from None
    base_dir().mkdir(parents=True, exist_ok=True)
    try:
        return wandb.init(project=os.environ.get("WANDB_PROJECT") or "nanochat", name=name, id=run_id, resume="allow",
                          dir=str(base_dir()), allow_val_change=True, **what)
    except Exception as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise UserError(f"--wandb {name}: {reason}; log in once with `wandb login`, set WANDB_MODE=offline, or leave "
                        "the flag out") from None
