"""Batches that are ready before training asks: made ahead in a thread and, on CUDA, copied while the GPU computes.

The thread reads, packs and collates; a bounded queue holds what it made. On CUDA it also starts the copy, from pinned
memory and on a stream of its own; the training stream waits for that copy's event, the host for nothing. A pinned
buffer is not overwritten too early: torch's host allocator gives one out again when the copies from it have ended.
An error in the thread is raised by `next` as it is, after the batches made before it.
"""

import queue
import threading
import weakref
from typing import Iterator

import torch

AHEAD = 4  # batches: two to copy and compute on, two for a step that takes longer to pack than the last ones
THREAD_NAME = "loader"


class Prefetch:
    """Iterates over `items`, pairs of (tensors, anything): a tuple of host tensors or Nones arrives on `device`, the
    rest as it is. The thread ends with close(), with the last reference to this object, or with the process."""

    def __init__(self, items: Iterator[tuple[tuple, object]], device: torch.device):
        self._device = device
        self._ready: queue.Queue = queue.Queue(maxsize=AHEAD)
        self._error: BaseException | None = None
        is_ended = threading.Event()
        thread = threading.Thread(target=_make, args=(items, device, self._ready, is_ended), name=THREAD_NAME,
                                  daemon=True)  # else the interpreter would wait for it before it runs the finalizer
        self.close = weakref.finalize(self, _end, thread, self._ready, is_ended)
        thread.start()

    def __iter__(self):
        return self

    def __next__(self) -> tuple[tuple, object]:
        assert self.close.alive, "the loader was closed"
        if self._error is None:
            item = self._ready.get()
            if not isinstance(item, BaseException):
                return _receive(*item[0], self._device), item[1]
            self._error = item
        raise self._error


def _make(items, device: torch.device, ready: queue.Queue, is_ended: threading.Event):
    """In the thread, which knows the queue but not the Prefetch: it must not keep that alive."""
    stream = torch.cuda.Stream(device) if device.type == "cuda" else None
    try:
        for tensors, rest in items:
            if is_ended.is_set():
                return
            ready.put((_send(tensors, device, stream), rest))
        ready.put(StopIteration())
    except BaseException as error:
        ready.put(error)


def _end(thread: threading.Thread, ready: queue.Queue, is_ended: threading.Event):
    is_ended.set()
    while not ready.empty():  # the thread puts at most one more: there is room for it now
        ready.get_nowait()
    if thread is not threading.current_thread():  # where the garbage collector happened to run
        thread.join()


def _send(tensors: tuple, device: torch.device, stream) -> tuple[tuple, object]:
    """(tensors, event at which they have arrived). Without a stream nothing is copied yet."""
    if stream is None:
        return tensors, None
    with torch.cuda.stream(stream):  # also makes `device` the thread's own, which would be GPU 0 on every rank
        tensors = tuple(x if x is None else x.pin_memory().to(device, non_blocking=True) for x in tensors)
        return tensors, stream.record_event()


def _receive(tensors: tuple, event, device: torch.device) -> tuple:
    if event is None:
        return tuple(x if x is None else x.to(device) for x in tensors)
    stream = torch.cuda.current_stream(device)
    stream.wait_event(event)
    for x in tensors:
        if x is not None:
            x.record_stream(stream)  # born on the other stream, which must not reuse its memory while we compute
    return tensors
