"""A person's own task in one file of Python: what to ask, and what an answer is worth. `dev/reward_example.py` is one.

    def prompts(split):          # "train", or "val" for what is measured and never trained on
        return [{"prompt": "Spell cat.", "letters": "cat"}, ...]

    def reward(item, answer):    # one of those, and the text that the model said to it
        return 1.0               # a number from 0 to 1, where 1 is right

"prompt" is what the user says, or a list of messages that ends with the user; the rest of an item is the file's own
business and anything that JSON holds. The file runs in processes of its own, so that a function that raises, never
returns, kills its process or returns NaN costs one answer its reward and nothing else. That is no sandbox: the file may
do all that its owner may; programs that a model wrote belong in nanochat.sandbox.
"""

import contextlib
import hashlib
import json
import os
import queue
import selectors
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path

from nanochat.common import UserError
from nanochat.conversation import validate
from nanochat.task import Example, Task, require_split

SPLITS = {"train": "train", "validation": "val"}  # ours -> what the file's function is told
LOAD_SEC = 300.0    # for its imports, which may be a model, and for prompts()
NUM_PROCESSES = 4   # calls at once: one that hangs keeps a quarter of the others waiting
ROOT = Path(__file__).resolve().parents[1]


class RewardError(RuntimeError):
    """The file's function gave no value: what it did instead."""


class RewardFile(Task):
    """The file's prompts of one split. grade may be called from several threads and raises RewardError."""
    kind = "generate"

    def __init__(self, path: str, split: str, timeout_sec: float):
        if not os.path.isfile(path) or not path.endswith(".py"):
            raise UserError(f"--reward {path}: not a .py file that is there; dev/reward_example.py is an example")
        self.name, self.timeout_sec = Path(path).stem, timeout_sec
        self.split = require_split(self.name, split, SPLITS)
        self.idle = queue.SimpleQueue()
        for _ in range(NUM_PROCESSES):
            self.idle.put(RewardProcess(path))
        try:
            self.items = self.call("prompts", SPLITS[split], timeout_sec=LOAD_SEC)
        except RewardError as error:
            raise UserError(f"--reward {path}: prompts({SPLITS[split]!r}): {error}") from None
        self.conversations = [as_conversation(path, item) for item in require_items(path, self.items)]
        text = json.dumps(self.items) + Path(path).read_text(encoding="utf-8")
        self.fingerprint = hashlib.sha256(text.encode()).hexdigest()

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Example:
        return Example(self.conversations[index], meta={"item": self.items[index]})

    def grade(self, example: Example, text: str) -> float:
        return self.call("reward", example.meta["item"], text, timeout_sec=self.timeout_sec)

    def call(self, name: str, *arguments, timeout_sec: float):
        process = self.idle.get()
        try:
            return process.call(name, arguments, timeout_sec)
        finally:
            self.idle.put(process)


def require_items(path: str, items) -> list:
    if not isinstance(items, list) or not items:
        raise UserError(f"--reward {path}: prompts() returned {repr(items)[:60]}; expected a list, not empty")
    return items


def as_conversation(path: str, item) -> dict:
    prompt = item.get("prompt") if isinstance(item, dict) else None
    conversation = {"messages": [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt}
    try:
        validate(conversation)
        if conversation["messages"][-1]["role"] != "user":
            raise UserError("the last message must be the user's")
    except UserError as error:
        raise UserError(f'--reward {path}: prompts() returned {repr(item)[:60]}; expected '
                        f'{{"prompt": what the user says, ...}} ({error})') from None
    return conversation


class RewardProcess:
    """Started at its first call, and again after one that ended badly."""

    def __init__(self, path: str):
        self.path, self.process = os.path.abspath(path), None

    def call(self, name: str, arguments: tuple, timeout_sec: float):
        if self.process is None or self.process.poll() is not None:
            self.start()
        request = json.dumps([name, arguments, timeout_sec]) + "\n"
        with contextlib.suppress(BrokenPipeError):  # it died while idle: read says so
            self.process.stdin.write(request.encode())
            self.process.stdin.flush()
        return self.read(timeout_sec)

    def start(self):
        self.process = subprocess.Popen([sys.executable, "-m", "tasks.reward_child", self.path, str(LOAD_SEC)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, start_new_session=True)
        self.end = weakref.finalize(self, kill, self.process)
        try:
            self.read(LOAD_SEC)
        except RewardError:
            self.end()  # it would answer calls with half a file
            raise

    def read(self, timeout_sec: float):
        """The value of its next line."""
        line, deadline = b"", time.monotonic() + timeout_sec
        with selectors.DefaultSelector() as ready:
            ready.register(self.process.stdout, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not ready.select(max(0.0, deadline - time.monotonic())):
                    self.end()
                    raise RewardError(f"no value within {timeout_sec:g} s")
                data = os.read(self.process.stdout.fileno(), 1 << 16)
                if not data:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        self.process.wait(1.0)  # the exit code is to be its own, not our signal's
                    self.end()
                    raise RewardError(f"its process ended with exit code {self.process.returncode}")
                line += data
        reply = json.loads(line)
        if "error" in reply:
            raise RewardError(reply["error"])
        return reply["value"]


def kill(process: subprocess.Popen):
    """With everything that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(BrokenPipeError):
            pipe.close()
