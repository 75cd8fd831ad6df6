"""Metrics to Weights & Biases, beside metrics.jsonl: the same keys, and one run there for one run here.

The id is drawn once and kept in the run's folder, so a run that was killed goes on in the same place. A row there
cannot be taken back, so what was sent once is not sent again: steps that a resumed run repeats (on a CPU they are the
same to the bit) and those after a rollback, up to where it had been. metrics.jsonl has the latter; wandb keeps the
curve that went wrong, and the next step it gets is the first new one.

wandb.json holds {id, step, keys}: the last row that had been sent when metrics.jsonl was cut back.
"""

import os
import uuid
from pathlib import Path

from nanochat.common import UserError, base_dir, print0
from nanochat.files import read_json, write_json


class WandbSink:
    """Of rank 0. Network, account and package are needed to make one; what fails later is said once."""

    def __init__(self, name: str, run_dir: Path, *, stage: str, config: dict, history: list[dict] | None):
        """`history` is what metrics.jsonl holds, None for a new run; if wandb has seen nothing of it, it is sent now."""
        self.path = run_dir / "wandb.json"
        sent = read_json(self.path) if history is not None and self.path.exists() else None
        self.id = sent["id"] if sent else uuid.uuid4().hex[:8]
        self.step, self.keys = (sent["step"], set(sent["keys"])) if sent else (-1, set())  # of the newest row
        self.wandb_run = connect(name, self.id, job_type=stage, group=run_dir.name, config=config)
        for metrics in history or []:
            self._note(metrics) if sent else self.log(metrics)

    def log(self, metrics: dict):
        """metrics["step"] is the row; keys that it has already, and rows before it, are left out."""
        if self.wandb_run and self._note(metrics):
            try:
                self.wandb_run.log(metrics, step=self.step)
            except Exception as error:  # whatever it is, it is no reason to stop training
                print0(f"wandb is left out from step {self.step} on ({error}); metrics.jsonl has everything")
                self.wandb_run = None

    def _note(self, metrics: dict) -> bool:
        """Move to this row. Returns whether it brings anything new."""
        if metrics["step"] > self.step:
            self.step, self.keys = metrics["step"], set()
        is_new = metrics["step"] == self.step and not metrics.keys() <= self.keys
        if is_new:
            self.keys |= metrics.keys()
        return is_new

    def remember(self):
        """Before metrics.jsonl, which says the same, is cut back."""
        write_json(self.path, {"id": self.id, "step": self.step, "keys": sorted(self.keys)})

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
        reason = " ".join(str(error).split())
        raise UserError(f"--wandb {name}: {reason}; log in once with `wandb login`, or set WANDB_MODE=offline") from None
