"""The process in which a person's reward file runs: `python -m tasks.reward_child FILE`, started by reward_file.py.

A line of JSON comes in ([function, arguments, seconds]), one goes out ({"value": ...} or {"error": "..."}), the first
of them when the file is loaded. What the file prints goes to stderr. The alarm is for a parent that is gone: the kernel
ends a process that is still busy some seconds after its time, whatever it is busy with.
"""

import contextlib
import importlib.util
import json
import os
import signal
import sys
import traceback
from pathlib import Path

GRACE_SEC = 10


class NoNumber(ValueError):
    """What the file's reward is."""


def main(path: str, load_sec: str):
    requests, replies = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    module = []
    reply(replies, load, (path, module), float(load_sec))
    for line in requests:
        name, arguments, timeout_sec = json.loads(line)
        reply(replies, call, (module[0], name, arguments), timeout_sec)


def load(path: str, module: list):
    """The file as a module; its neighbours can be imported."""
    sys.path.insert(0, str(Path(path).resolve().parent))
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    module.append(importlib.util.module_from_spec(spec))
    spec.loader.exec_module(module[0])
    for name in ("prompts", "reward"):
        if not callable(getattr(module[0], name, None)):
            raise TypeError(f"it defines no function {name}")


def call(module, name: str, arguments: list):
    value = getattr(module, name)(*arguments)
    if name == "prompts":
        return value
    try:
        return float(value)  # of a bool, or a number of numpy or torch
    except (TypeError, ValueError):
        raise NoNumber(f"{name}() returned {repr(value)[:60]}, not a number from 0 to 1") from None


def reply(replies, function, arguments: tuple, timeout_sec: float):
    set_alarm(int(timeout_sec) + GRACE_SEC)
    try:
        text = json.dumps({"value": function(*arguments)})
    except Exception as error:
        text = json.dumps({"error": describe(error)})
    set_alarm(0)
    replies.write(text + "\n")
    replies.flush()


def set_alarm(seconds: int):
    with contextlib.suppress(AttributeError):  # Windows has none
        signal.alarm(seconds)


def describe(error: Exception) -> str:
    """With the last line of the person's file that led to it; none where Python could not even read or call it."""
    if isinstance(error, NoNumber):
        return " ".join(str(error).split())  # an array's repr has several lines
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__)
             if os.path.realpath(frame.filename) == os.path.realpath(sys.argv[1])]
    where = f" (line {lines[-1]})" if lines else ""
    return " ".join(f"{type(error).__name__}: {error}{where}".split())


if __name__ == "__main__":
    main(*sys.argv[1:])
