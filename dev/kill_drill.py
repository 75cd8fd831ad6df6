"""Disturb a training run until it ends, and compare it with one that nobody disturbed.

    python -m dev.kill_drill --kills 25 --ranks 2 --dtype bfloat16
    python -m dev.kill_drill --kills 12 --stage rl
    python -m dev.kill_drill --kills 12 --way term|damage|disk

The ways: kill -9, to all processes or to one rank; SIGTERM; kill -9 and then a byte flipped in, or an end cut off, the
newest checkpoint; a disk that fills in a save and has room again later (a small tmpfs, so root alone can do it), at
last one that stays full until the end. Every launch is the same command with --resume auto. Two in five moments aim at
a save in progress, two at steps past the newest checkpoint, one anywhere; where it really happened is read from the
disk afterwards. At the end the curve, the loader's state and the weights must be the undisturbed run's to the bit. On a
CPU, with a tiny model in a temporary folder.
"""

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from nanochat.checkpoint import step_paths, step_problem
from nanochat.files import read_json
from nanochat.run import read_metrics, runs_dir
from nanochat.tinyworld_chats import conversations
from nanochat.tinyworld_prose import documents
from nanochat.tokenizer import Tokenizer

ROOT = Path(__file__).resolve().parents[1]
AIMS = ("save", "step", "save", "step", "anywhere")
STEPS_PER_KILL = 8       # more than a launch makes before it is killed
SAVE_EVERY = 2
LAUNCH_TIMEOUT_SEC = 3600  # for a machine that has other things to do
IN_SAVE, PAST, ELSEWHERE = "in a save", "past the newest checkpoint", "elsewhere"
MODULES = {"base": "scripts.base_train", "sft": "scripts.chat_sft", "rl": "scripts.chat_rl"}
BASE = "--depth 2 --max-seq-len 64 --total-batch-size 1024 --eval-tokens 512 --device-batch-size 4"
SFT = "--total-batch-size 1024 --device-batch-size 4"
RL = ("--skills letters --prompts-per-step 2 --num-samples 3 --max-new-tokens 12 --eval-items 2 --temperature 1.5 "
      "--device-batch-size 4")


class Target(NamedTuple):
    """The run that is disturbed."""
    stage: str
    flags: list[str]         # without --model-tag
    ranks: int
    dir: Path
    stderr: Path             # of its newest launch


class Disk(NamedTuple):
    """What a run's folder shows."""
    temporary: set[str]      # step folders that are not committed
    newest: int              # step, 0 when there is none
    inode: int | None        # of the metrics, which a resumed launch rewrites
    logged: int              # newest step in the metrics


# -----------------------------------------------------------------------------
# Launching and looking

def launch(target: Target, tag: str) -> subprocess.Popen:
    command = [sys.executable, "-m", MODULES[target.stage], *target.flags, "--model-tag", tag]
    if target.ranks > 1:
        command[1:2] = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={target.ranks}", "-m"]
    with open(target.stderr, "w") as err:
        return subprocess.Popen(command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, start_new_session=True,
                                stdout=subprocess.DEVNULL, stderr=err)


def finish(target: Target, tag: str):
    code = launch(target, tag).wait(timeout=LAUNCH_TIMEOUT_SEC)
    assert code == 0, target.stderr.read_text()[-3000:]


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
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait(timeout=LAUNCH_TIMEOUT_SEC)


def look(run_dir: Path) -> Disk:
    metrics = run_dir / "metrics.jsonl"
    return Disk({path.name for path in run_dir.glob("step_*.tmp-*")},
                max((int(path.name[5:]) for path in step_paths(run_dir)), default=0),
                metrics.stat().st_ino if metrics.exists() else None, last_step(metrics))


def last_step(metrics: Path) -> int:
    """Of the last whole line."""
    lines = metrics.read_bytes().splitlines(keepends=True) if metrics.exists() else []
    return next((json.loads(line)["step"] for line in reversed(lines) if line.endswith(b"\n")), 0)


def has_begun(before: Disk, now: Disk) -> bool:
    """A launch that has begun has rewritten the metrics that it found."""
    return now.inode != before.inode


def where(before: Disk, now: Disk) -> str:
    """Where a launch stands, or was killed."""
    if now.temporary - before.temporary:
        return IN_SAVE
    return PAST if has_begun(before, now) and now.logged > now.newest else ELSEWHERE


def wait_until(process: subprocess.Popen, is_there, timeout_sec: float = LAUNCH_TIMEOUT_SEC):
    deadline = time.monotonic() + timeout_sec
    while time.monotonic() < deadline and process.poll() is None and not is_there():
        time.sleep(0.001)


def wait_for(aim: str, process: subprocess.Popen, run_dir: Path, before: Disk, rng: random.Random):
    """Until the launch has made up to two checkpoints and stands where the aim says, and a random moment longer."""
    wanted = {"save": IN_SAVE, "step": PAST}.get(aim)
    if wanted:
        enough = before.newest + rng.randrange(3) * SAVE_EVERY
        wait_until(process, lambda: look(run_dir).newest >= enough)
        wait_until(process, lambda: where(before, look(run_dir)) == wanted)
    else:
        far = before.newest + STEPS_PER_KILL
        wait_until(process, lambda: look(run_dir).newest > far, rng.uniform(0, 8))
    time.sleep(rng.uniform(0, 0.01))


# -----------------------------------------------------------------------------
# The ways to disturb it, once each: launch, wait, strike, and return what was struck

def strike_kill(target: Target, aim: str, rng: random.Random) -> str:
    before = look(target.dir)
    process = launch(target, target.dir.name)
    wait_for(aim, process, target.dir, before, rng)
    kill(process, rng.choice((None, *range(target.ranks))) if target.ranks > 1 else None)
    return where(before, look(target.dir))


def strike_term(target: Target, aim: str, rng: random.Random) -> str:
    """Asked to stop in its loop, it must have saved its last step and say so."""
    before = look(target.dir)
    process = launch(target, target.dir.name)
    wait_for(aim, process, target.dir, before, rng)
    place = where(before, look(target.dir))
    process.terminate()
    code, err = process.wait(timeout=LAUNCH_TIMEOUT_SEC), target.stderr.read_text()
    if "finishing this step" not in err:
        return "before it listened"
    now = look(target.dir)
    assert f"stopped by SIGTERM after step {now.newest}, saved in" in err, err[-3000:]
    assert now.newest == now.logged > before.newest and not now.temporary and (target.ranks > 1 or code == 143)
    return place


def strike_damage(target: Target, aim: str, rng: random.Random) -> str:
    """Killed when it has an older checkpoint too, then its newest one spoilt. The next launch must name and skip it."""
    before, spoilt = look(target.dir), [path for path in step_paths(target.dir) if step_problem(path, with_hashes=True)]
    process = launch(target, target.dir.name)
    wait_until(process, lambda: look(target.dir).newest >= 2 * SAVE_EVERY)
    wait_for(aim, process, target.dir, before, rng)
    kill(process, None)
    err = target.stderr.read_text()
    assert all(f"skipping {path}: " in err for path in spoilt), err[-3000:]
    path = rng.choice(sorted(step_paths(target.dir)[-1].iterdir()))
    data = bytearray(path.read_bytes())
    place = rng.randrange(len(data))
    is_cut = rng.random() < 0.5
    if is_cut:
        del data[place:]
    else:
        data[place] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
    return f"{'cut' if is_cut else 'flipped'} {re.sub('[0-9]+', 'k', path.stem)}"


def strike_disk(target: Target, aim: str, rng: random.Random) -> str:
    """The disk fills in a save: nothing of it stays, and the next save, with room again, succeeds. Then killed."""
    before = look(target.dir)
    process = launch(target, target.dir.name)
    wait_until(process, lambda: (now := look(target.dir)).newest > 0 and where(before, now) == PAST)
    older = {path.name for path in step_paths(target.dir)}
    fill_disk(target.dir, rng)
    failed = wait_for_failed_save(process, target)
    assert not list(target.dir.glob(f"step_{failed:08d}*")), "something of the failed save stayed"
    assert older <= {path.name for path in step_paths(target.dir)}, "an older checkpoint is gone"
    resize_disk(target.dir, ROOMY)
    wait_until(process, lambda: look(target.dir).newest > failed)
    assert look(target.dir).newest > failed, target.stderr.read_text()[-3000:]
    wait_for(aim, process, target.dir, before, rng)
    kill(process, None)
    message = re.search(r"could not save step \d+: (.*); training goes on", target.stderr.read_text())[1]
    return "in tensors" if "os error 28" in message else "in a small file"


def end_on_a_full_disk(target: Target, rng: random.Random):
    """The run's last save fails: exit code 1, and the step to go on from."""
    before = look(target.dir)
    process = launch(target, target.dir.name)
    wait_until(process, lambda: where(before, look(target.dir)) == PAST)
    fill_disk(target.dir, rng)
    code, err = process.wait(timeout=LAUNCH_TIMEOUT_SEC), target.stderr.read_text()
    assert code == 1 and f"--resume auto from step_{look(target.dir).newest:08d}" in err.splitlines()[-1], err[-3000:]
    resize_disk(target.dir, ROOMY)


def wait_for_failed_save(process: subprocess.Popen, target: Target) -> int:
    wait_until(process, lambda: "could not save step" in target.stderr.read_text())
    err = target.stderr.read_text()
    assert "could not save step" in err, err[-3000:]
    return int(re.search(r"could not save step (\d+)", err)[1])


STRIKES = {"kill": strike_kill, "term": strike_term, "damage": strike_damage, "disk": strike_disk}


# -----------------------------------------------------------------------------
# A small disk

ROOMY = 2 ** 28  # bytes


@contextlib.contextmanager
def small_disk(folder: Path):
    """A tmpfs at the folder. PermissionError where nobody may mount one."""
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOMY}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        raise PermissionError("mounting a tmpfs needs root")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def resize_disk(folder: Path, num_bytes: int):
    mount = next(path for path in (folder, *folder.parents) if path.is_mount())
    subprocess.run(["mount", "-o", f"remount,size={num_bytes}", str(mount)], check=True)


def fill_disk(run_dir: Path, rng: random.Random):
    """Leave room for a part of a checkpoint: some of the tensors, or all of them and some of the small files."""
    size = {path.name: path.stat().st_size for path in step_paths(run_dir)[-1].iterdir()}
    tensors = sum(num_bytes for name, num_bytes in size.items() if name.endswith(".safetensors"))
    small = sum(4096 + num_bytes for name, num_bytes in size.items() if not name.endswith(".safetensors"))
    room = rng.choice((rng.randrange(tensors), tensors + rng.randrange(small // 2)))
    resize_disk(run_dir, shutil.disk_usage(run_dir).used + room)


# -----------------------------------------------------------------------------
# The drill

def prepare_text(folder: Path) -> Path:
    """A tokenizer where a base directory has it, and a text to train on."""
    texts = list(documents("train", 150))
    (folder / "tokenizer").mkdir()
    Tokenizer.train(texts, 512).save(folder / "tokenizer" / "tokenizer.json")
    text = folder / "text.jsonl"
    text.write_text("".join(json.dumps({"text": document}) + "\n" for document in texts))
    return text


def prepare(folder: Path, stage: str, dtype: str) -> list[str]:
    """A tokenizer, data, and the models that the stage starts from. Returns the flags of every launch."""
    os.environ["NANOCHAT_BASE_DIR"] = str(folder)
    text, chats = prepare_text(folder), folder / "chats.jsonl"
    chats.write_text("".join(json.dumps(chat) + "\n" for chat in conversations("train", 200, 0)))
    flags = {"base": [*BASE.split(), "--data", str(text)], "rl": RL.split(),
             "sft": [*SFT.split(), "--source", "base", "--data", str(chats)]}
    for source in {"base": [], "sft": ["base"], "rl": ["base", "sft"]}[stage]:
        finish(Target(source, [*flags[source], "--num-iterations", "4"], 1, folder, folder / "err.txt"), "straight")
        shutil.copytree(runs_dir(source) / "straight", runs_dir(source) / "struck")
    return [*flags[stage], "--dtype", dtype]


def drill(*, kills: int, ranks: int = 1, dtype: str = "float32", seed: int = 0, stage: str = "base",
          way: str = "kill") -> dict:
    """Returns {what was struck: how often}. Asserts that nothing can be told from the run that nobody disturbed."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as disks:
        folder = Path(name)
        if way == "disk":
            disks.enter_context(small_disk(folder / "runs"))
        flags = [*prepare(folder, stage, dtype), "--num-iterations", str(STEPS_PER_KILL * kills + 10), "--save-every",
                 str(SAVE_EVERY), "--keep-last", "3", "--eval-every", "5", "--resume", "auto"]
        target = Target(stage, flags, ranks, runs_dir(stage) / "struck", folder / "err.txt")
        finish(target, "straight")
        landed = Counter()
        for number in range(kills):
            landed[STRIKES[way](target, AIMS[number % len(AIMS)], rng)] += 1
            assert not (target.dir / "result.json").exists(), f"the run ended with strike {number + 1}"
        if way == "disk":
            end_on_a_full_disk(target, rng)
        finish(target, "struck")
        compare(runs_dir(stage) / "straight", target.dir)
    return dict(landed)


def compare(straight: Path, struck: Path):
    assert curve(struck) == curve(straight), "the curves differ"
    results = [read_json(run_dir / "result.json") for run_dir in (straight, struck)]
    assert results[0]["weights_sha256"] == results[1]["weights_sha256"], "the weights differ"
    loaders = [read_json(Path(result["checkpoint"]) / "state.json").get("loader") for result in results]
    assert loaders[0] == loaders[1], "documents were lost or repeated"
    assert not look(struck).temporary, "half a checkpoint was left behind"


def curve(run_dir: Path) -> list[dict]:
    return [{key: value for key, value in line.items() if key not in ("tok_per_sec", "dt_sec")}
            for line in read_metrics(run_dir)]


def build_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--stage", default="base", choices=list(MODULES))
    parser.add_argument("--way", default="kill", choices=list(STRIKES))
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    return parser


def main(args):
    start = time.monotonic()
    landed = drill(**vars(args))
    print(f"{args.kills} x {args.way}, {args.stage}, {args.ranks} rank(s), {args.dtype}, "
          f"{time.monotonic() - start:.0f} s: curve, documents and weights equal to the bit")
    for place, count in sorted(landed.items(), key=lambda item: -item[1]):
        print(f"{count:>4}  {place:<28}{'#' * count}")


if __name__ == "__main__":
    main(build_parser().parse_args())
