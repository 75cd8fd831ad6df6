"""Kill a training run at random moments until it ends, and compare it with one that nobody disturbed.

    python -m dev.kill_drill --kills 25 --ranks 2 --dtype bfloat16

Every launch gets kill -9, to all of its processes or to one rank, then starts again with --resume auto. Two in five
kills aim at a save in progress, two at steps past the newest checkpoint, one anywhere; where a kill really landed is
read from the disk afterwards. At the end the curve, the loader's state and the weights must be the undisturbed run's
to the bit. On a CPU; the tiny model and its data are made in a temporary folder.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from nanochat.checkpoint import step_paths
from nanochat.files import read_json
from nanochat.run import read_metrics, runs_dir
from nanochat.tinyworld_prose import documents
from nanochat.tokenizer import Tokenizer

ROOT = Path(__file__).resolve().parents[1]
AIMS = ("save", "step", "save", "step", "anywhere")
STEPS_PER_KILL = 6       # more than a launch makes before it is killed
SAVE_EVERY = 2
LAUNCH_TIMEOUT_SEC = 120
IN_SAVE, PAST, ELSEWHERE = "in a save", "past the newest checkpoint", "elsewhere"


def prepare(folder: Path) -> Path:
    """A tokenizer and a text to train on."""
    os.environ["NANOCHAT_BASE_DIR"] = str(folder)
    texts = list(documents("train", 150))
    (folder / "tokenizer").mkdir()
    Tokenizer.train(texts, 512).save(folder / "tokenizer" / "tokenizer.json")
    (folder / "text.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return folder / "text.jsonl"


def launch(flags: list[str], ranks: int) -> subprocess.Popen:
    command = [sys.executable, "-m", "scripts.base_train", *flags]
    if ranks > 1:
        command[1:2] = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={ranks}", "-m"]
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, text=True, start_new_session=True)


def descendants(pid: int) -> list[int]:
    """Children, theirs and so on, from /proc."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [found for child in map(int, children) for found in (child, *descendants(child))]


def kill(process: subprocess.Popen, only_one: int | None):
    """kill -9 to everything, or to the rank only_one alone, whose launcher then ends the others."""
    below = descendants(process.pid)
    victims = [process.pid, *below] if only_one is None or not below else [below[only_one % len(below)]]
    for pid in victims:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    process.communicate(timeout=LAUNCH_TIMEOUT_SEC)


class Disk(NamedTuple):
    """What a run's folder shows."""
    temporary: set[str]      # step folders that are not committed
    newest: int              # step, 0 when there is none
    inode: int | None        # of the metrics, which a resumed launch rewrites
    logged: int              # newest step in the metrics


def look(run_dir: Path) -> Disk:
    metrics = run_dir / "metrics.jsonl"
    return Disk({path.name for path in run_dir.glob("step_*.tmp-*")},
                max((int(path.name[5:]) for path in step_paths(run_dir)), default=0),
                metrics.stat().st_ino if metrics.exists() else None, last_step(metrics))


def last_step(metrics: Path) -> int:
    """Of the last whole line."""
    lines = metrics.read_bytes().splitlines(keepends=True) if metrics.exists() else []
    return next((json.loads(line)["step"] for line in reversed(lines) if line.endswith(b"\n")), 0)


def where(before: Disk, now: Disk) -> str:
    """Where a launch stands, or was killed. One that has begun has rewritten the metrics that it found."""
    if now.temporary - before.temporary:
        return IN_SAVE
    has_begun = now.inode != before.inode
    return PAST if has_begun and now.logged > now.newest else ELSEWHERE


def wait_for(aim: str, process: subprocess.Popen, run_dir: Path, before: Disk, rng: random.Random):
    """Until the launch stands where the aim says, and a random moment longer."""
    wanted = {"save": IN_SAVE, "step": PAST}.get(aim)
    deadline = time.monotonic() + (LAUNCH_TIMEOUT_SEC if wanted else rng.uniform(0, 8))
    while time.monotonic() < deadline and process.poll() is None:
        if wanted and where(before, look(run_dir)) == wanted:
            break
        time.sleep(0.001)
    time.sleep(rng.uniform(0, 0.01))


def curve(run_dir: Path) -> list[dict]:
    return [{key: value for key, value in line.items() if key not in ("tok_per_sec", "dt_sec")}
            for line in read_metrics(run_dir)]


def finish(flags: list[str], ranks: int):
    process = launch(flags, ranks)
    _, err = process.communicate(timeout=600)
    assert process.returncode == 0, err[-3000:]


def drill(*, kills: int, ranks: int, dtype: str, seed: int) -> dict:
    """Returns {where: number of kills}. Asserts that nothing can be told from the run that nobody disturbed."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        text = prepare(Path(folder))
        flags = ["--data", str(text), "--dtype", dtype, "--num-iterations", str(STEPS_PER_KILL * kills + 10),
                 "--save-every", str(SAVE_EVERY), "--keep-last", "3", "--eval-every", "5", "--resume", "auto",
                 *"--depth 2 --max-seq-len 64 --total-batch-size 1024 --eval-tokens 512 --device-batch-size 4".split()]
        straight, killed = runs_dir("base") / "straight", runs_dir("base") / "killed"
        finish([*flags, "--model-tag", "straight"], ranks)
        landed = Counter()
        for number in range(kills):
            before = look(killed)
            process = launch([*flags, "--model-tag", "killed"], ranks)
            wait_for(AIMS[number % len(AIMS)], process, killed, before, rng)
            assert not (killed / "result.json").exists(), f"the run ended before kill {number + 1}"
            kill(process, rng.choice((None, *range(ranks))) if ranks > 1 else None)
            landed[where(before, look(killed))] += 1
        finish([*flags, "--model-tag", "killed"], ranks)
        compare(straight, killed)
    return dict(landed)


def compare(straight: Path, killed: Path):
    assert curve(killed) == curve(straight), "the curves differ"
    results = [read_json(run_dir / "result.json") for run_dir in (straight, killed)]
    assert results[0]["weights_sha256"] == results[1]["weights_sha256"], "the weights differ"
    loaders = [read_json(Path(result["checkpoint"]) / "state.json")["loader"] for result in results]
    assert loaders[0] == loaders[1], "documents were lost or repeated"


def build_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    return parser


def main(args):
    start = time.monotonic()
    landed = drill(kills=args.kills, ranks=args.ranks, dtype=args.dtype, seed=args.seed)
    print(f"{args.kills} kills, {args.ranks} rank(s), {args.dtype}, {time.monotonic() - start:.0f} s: "
          "curve, documents and weights equal to the bit")
    for place in (IN_SAVE, PAST, ELSEWHERE):
        print(f"{landed.get(place, 0):>4}  {place:<28}{'#' * landed.get(place, 0)}")


if __name__ == "__main__":
    main(build_parser().parse_args())
