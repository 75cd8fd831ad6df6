"""Truth: the items themselves. Events, not clocks, say how far the thread has come."""

import subprocess
import sys
import threading
from itertools import count, islice
from pathlib import Path

import pytest
import torch

from nanochat.prefetch import AHEAD, THREAD_NAME, Prefetch

CPU = torch.device("cpu")


def numbered(until=None):
    return (((torch.tensor(i), None), i) for i in (count() if until is None else range(until)))


def loader_threads():
    return [thread for thread in threading.enumerate() if thread.name == THREAD_NAME]


def test_items_come_in_order_as_they_are_and_then_end():
    tensors = [((torch.arange(3), None), {"n": i}) for i in range(20)]
    found = list(Prefetch(iter(tensors), CPU))
    assert [rest for _, rest in found] == [{"n": i} for i in range(20)]
    assert all(here[0] is there[0] and here[1] is None for (here, _), (there, _) in zip(found, tensors))  # no copy


def test_the_thread_runs_ahead_and_no_further_than_the_queue_is_long():
    made, is_full = [], threading.Event()

    def items():
        for i in count():
            made.append(i)
            if i == AHEAD:  # made, and waiting for room
                is_full.set()
            yield (), i
    ahead = Prefetch(items(), CPU)
    assert is_full.wait(60)
    ahead.close()
    assert len(made) <= AHEAD + 2  # close makes room for the one that waited, and the thread looks up after one more


class Broken(Exception):
    pass


def test_an_error_in_the_thread_is_raised_as_itself_after_what_was_made_before_it():
    error = Broken("row 3")

    def items():
        yield from islice(numbered(), 3)
        raise error
    ahead = Prefetch(items(), CPU)
    assert [next(ahead)[1] for _ in range(3)] == [0, 1, 2]
    for _ in range(2):  # and again, instead of a wait that never ends
        with pytest.raises(Broken) as found:
            next(ahead)
        assert found.value is error
    assert "items" in [entry.name for entry in found.traceback], "the traceback leads into the thread"


@pytest.mark.parametrize("num_read", [0, 1, AHEAD + 3])
def test_no_thread_is_left_by_close_or_by_the_last_reference(num_read):
    before = loader_threads()  # of runs that failed in other tests, whose frames pytest keeps
    for end in (lambda ahead: ahead.close(), lambda ahead: None):
        ahead = Prefetch(numbered(), CPU)
        assert [next(ahead)[1] for _ in range(num_read)] == list(range(num_read))
        assert len(loader_threads()) == len(before) + 1
        end(ahead)
        del ahead
        assert loader_threads() == before


@pytest.mark.gpu
def test_what_arrives_on_a_busy_gpu_is_what_was_sent():
    """Pinned buffers and device memory go around while a long queue of work keeps the training stream behind."""
    device, num_items = torch.device("cuda", 0), 200
    items = (((torch.full((64, 2049), i), None), i) for i in range(num_items))
    busy, sums = torch.randn(4096, 4096, device=device), []
    for (batch, nothing), i in Prefetch(items, device):
        for _ in range(5):
            busy = (busy @ busy).clamp(-1, 1)
        assert nothing is None and batch.device == device
        sums.append((batch - i).abs().sum())  # looked at only when all is queued
    assert len(sums) == num_items and torch.stack(sums).sum().item() == 0


@pytest.mark.slow  # two interpreters that import torch
@pytest.mark.parametrize("ending, code", [("pass", 0), ("raise SystemExit(7)", 7)])
def test_a_process_ends_while_its_loader_waits_for_room(ending, code):
    program = ("import itertools, torch; from nanochat.prefetch import Prefetch; "
               "ahead = Prefetch((((), i) for i in itertools.count()), torch.device('cpu')); next(ahead); " + ending)
    done = subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[1], capture_output=True, text=True,
                          timeout=240)
    assert (done.returncode, done.stderr) == (code, "")
