"""Truth: a thread that really hangs is in the report, and nothing is said of steps that only take long at first.
test_guards.py has a step that hangs on one of two ranks."""

import gc
import time

import pytest

from nanochat import watchdog as watchdog_module
from nanochat.watchdog import FIRST_LIMIT_SEC, FIRST_STEPS, MIN_LIMIT_SEC, TIMES_SLOWEST, Watchdog, report


def wait_until(is_true, seconds=30):
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(watchdog_module, "POLL_SEC", 0.01)
    monkeypatch.setattr(watchdog_module, "FIRST_LIMIT_SEC", 0.05)


def test_the_limit_follows_the_slowest_step_but_for_the_first_ones(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(watchdog_module.time, "monotonic", lambda: now[0])
    watchdog = Watchdog(tmp_path)
    limits = []
    for step, seconds in enumerate((100, 1, 200, 2, 30, 3), start=1):
        limits.append(watchdog.limit_sec())
        watchdog.start_step(step)
        now[0] += seconds
        watchdog.end_step()
    assert limits == [FIRST_LIMIT_SEC] * FIRST_STEPS + [MIN_LIMIT_SEC, MIN_LIMIT_SEC, TIMES_SLOWEST * 30]
    assert list(tmp_path.iterdir()) == []


def test_a_step_that_hangs_is_said_once_and_not_after_it_ended(tmp_path, quick, capsys):
    watchdog = Watchdog(tmp_path)
    watchdog.start_step(7)
    wait_until(lambda: watchdog.watched.deadline == float("inf"))
    time.sleep(0.2)
    watchdog.end_step()
    time.sleep(0.2)
    said = capsys.readouterr().err
    assert said.count("rank 0 of 1: step 7 has taken 0 s") == 1
    assert "test_a_step_that_hangs" in said and "thread MainThread" in said
    (path,) = tmp_path.iterdir()
    assert path.name == "hung-step-00000007-rank-0.txt" and path.read_text().strip() == said.strip()


def test_the_thread_ends_with_the_loop_that_owned_it(tmp_path, quick):
    watchdog = Watchdog(tmp_path)
    thread = watchdog.thread
    assert thread.is_alive()
    del watchdog
    gc.collect()
    wait_until(lambda: not thread.is_alive())


def test_a_full_disk_does_not_hide_the_stacks(tmp_path, capsys):
    report(tmp_path / "missing", 3, 61.0)
    said = capsys.readouterr().err
    assert "step 3 has taken 61 s" in said and "could not write this down: " in said
