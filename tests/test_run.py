"""The record of a run: every line once and whole, also over a full disk, a kill and a rollback."""

import json
import os
import subprocess

import pytest

from dev.kill_drill import resize_disk, small_disk
from nanochat import run as run_module
from nanochat.common import RunFailed
from nanochat.run import Run, read_launches, read_metrics

CONFIG = {"settings": {}, "argv": ["base_train"], "world": 1}


def open_run(resume=None):
    run = Run("base", "d2")
    run.open(CONFIG, resume=resume, overwrite=False)
    return run


def steps_on_disk(run):
    return [line["step"] for line in read_metrics(run.dir)]


@pytest.fixture
def full(empty_base_dir):
    """A run whose metrics go to a device that is always full, and what gives it room."""
    run = open_run()
    (run.dir / "metrics.jsonl").symlink_to("/dev/full")
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    return run, (run.dir / "metrics.jsonl").unlink


def test_lines_that_a_full_disk_refuses_come_with_the_next_one_that_fits(full):
    run, make_room = full
    for step in (1, 2):
        run.log({"step": step, "loss": 1.0})
    make_room()
    run.log({"step": 3, "loss": 1.0})
    assert steps_on_disk(run) == [1, 2, 3]


def test_a_checkpoint_waits_for_its_lines(full):
    run, make_room = full
    run.log({"step": 1, "loss": 1.0})
    with pytest.raises(OSError, match="No space left"):
        run.sync_metrics()
    make_room()
    run.sync_metrics()
    assert steps_on_disk(run) == [1]


def test_lines_that_wait_are_cut_back_like_those_on_disk(full):
    run, make_room = full
    for step in (1, 2, 3):
        run.log({"step": step, "loss": 1.0})
    make_room()
    run.cut_metrics(2)
    run.log({"step": 3, "loss": 2.0})
    assert [(line["step"], line["loss"]) for line in read_metrics(run.dir)] == [(1, 1.0), (2, 1.0), (3, 2.0)]


def test_a_run_whose_end_cannot_be_written_is_not_finished(full):
    run, _ = full
    run.log({"step": 1, "loss": 1.0})
    with pytest.raises(RunFailed, match="make room and give the same command with --resume auto"):
        run.finish("base_train")
    assert not (run.dir / "result.json").exists()


def test_half_a_line_that_fitted_is_completed(empty_base_dir):
    """A tmpfs gives pages of 4,096 bytes: one takes the first line and a part of the second."""
    try:
        with small_disk(empty_base_dir / "runs"):
            run = open_run()
            run.log({"step": 1, "loss": 1.0, "samples": "x" * 3000})
            disk = os.statvfs(run.dir)
            resize_disk(run.dir, (disk.f_blocks - disk.f_bfree) * disk.f_frsize)
            run.log({"step": 2, "loss": 1.0, "samples": "y" * 3000})
            assert steps_on_disk(run) == [1] and (run.dir / "metrics.jsonl").stat().st_size == 4096
            resize_disk(run.dir, 2 ** 24)
            run.log({"step": 3, "loss": 1.0})
            assert steps_on_disk(run) == [1, 2, 3]
    except PermissionError as error:
        pytest.skip(str(error))


def test_every_launch_says_where_it_began_on_what(empty_base_dir):
    open_run().begin(0)
    (empty_base_dir / "runs" / "base" / "d2" / "metrics.jsonl").write_text(
        "".join(json.dumps({"step": step, "loss": 1.0}) + "\n" for step in (1, 2, 3)) + '{"step": 4, "lo')
    run = open_run(resume="auto")
    assert steps_on_disk(run) == [1, 2, 3]  # the torn line is none
    run.begin(2)
    assert steps_on_disk(run) == [1, 2]
    launches = read_launches(run.dir)
    assert [(launch["step"], launch["argv"], launch["world"]) for launch in launches] == [(0, ["base_train"], 1),
                                                                                         (2, ["base_train"], 1)]


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Git in a new repository that run.py believes to lie in."""
    def git(*words):
        return subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=tmp_path, check=True,
                              capture_output=True, text=True).stdout.strip()
    git("init", "--quiet")
    git("commit", "--quiet", "--allow-empty", "-m", "first")
    monkeypatch.setattr(run_module, "__file__", str(tmp_path / "run.py"))
    run_module.code_version.cache_clear()
    yield git
    run_module.code_version.cache_clear()


def test_a_run_is_signed_with_the_code_it_began_with(repository):
    """A checkout that moved under a quickstart of two hours signed its stages with the newer commit."""
    began = run_module.code_version()
    assert began == {"commit": repository("rev-parse", "HEAD"), "is_dirty": False}
    repository("commit", "--quiet", "--allow-empty", "-m", "second")
    record = run_module.new_record("base_train", "base", "d2")
    assert record["commit"] == began["commit"] != repository("rev-parse", "HEAD")
