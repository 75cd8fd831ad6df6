"""A scripted engine for the tests of the chat surfaces: no model, the same interface, its own threads."""

import contextlib
import itertools
import socket
import threading
import time

import uvicorn

from nanochat.engine import Delta
from nanochat.server import create_app
from nanochat.tokenizer import SPECIAL_TOKENS


def text(piece: str) -> dict:
    return {"type": "text", "text": piece}


def call(expression: str, output: str) -> list[list[dict]]:
    """Pieces of a tool call as the engine streams them: the expression in two bites, then the output."""
    middle = len(expression) // 2
    return [[{"type": "python", "text": expression[:middle]}], [{"type": "python", "text": expression[middle:]}],
            [{"type": "python_output", "text": output}]]


def deltas(*pieces, finish_reason="stop", error=None) -> list[Delta]:
    """One Delta per piece (a str, a part or a list of parts), one token each; the last one finishes."""
    as_parts = [[text(p)] if isinstance(p, str) else p if isinstance(p, list) else [p] for p in pieces]
    script = [Delta(parts, number, None, None) for number, parts in enumerate(as_parts, start=1)]
    return [*script, Delta([], len(pieces), finish_reason, error)]


class FakeEngine:
    """Answers every request with `script`, a list of deltas or a function of the prompt's text, when `gate` is open."""
    max_context = 2048

    def __init__(self, script=(), delay_sec: float = 0.0):
        self.script, self.delay_sec = script, delay_sec
        self.gate, self.alive = threading.Event(), True
        self.gate.set()
        self.prompts, self.params, self.aborted, self.num_running = [], [], [], 0
        self.ids = itertools.count(1)

    def is_alive(self) -> bool:
        return self.alive

    def start(self):
        pass

    def close(self):
        self.alive = False
        self.gate.set()

    def stream(self, prompt, params):
        self.prompts.append(prompt)
        self.params.append(params)
        yield from self.script_for(prompt)

    def submit(self, prompt, params, on_delta) -> int:
        request_id = next(self.ids)
        self.prompts.append(prompt)
        self.params.append(params)
        threading.Thread(target=self.run, args=(request_id, prompt, on_delta), daemon=True).start()
        return request_id

    def abort(self, request_id: int):
        self.aborted.append(request_id)

    def script_for(self, prompt) -> list[Delta]:
        return self.script(bytes(i for i in prompt if i < 256).decode()) if callable(self.script) else self.script

    def run(self, request_id, prompt, on_delta):
        pause = threading.Event()
        for delta in self.script_for(prompt):
            self.gate.wait()
            if self.delay_sec:
                pause.wait(self.delay_sec)
            if request_id in self.aborted or not self.alive:
                return on_delta(Delta([], delta.num_tokens, "abort", None))
            on_delta(delta)


class FakeTokenizer:
    """Bytes are ids; the specials follow."""
    special = {name: 256 + i for i, name in enumerate(SPECIAL_TOKENS)}
    bos_id = special["<|bos|>"]

    def encode(self, string: str) -> list[int]:
        return list(string.encode())


INFO = {"tag": "d4", "source": "rl", "step": 120, "num_params": 3_100_000}


@contextlib.contextmanager
def serving(engine, tokenizer=None, **settings):
    """The base URL of a real server over `engine`, in a thread of this process."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        app = create_app(engine, tokenizer or FakeTokenizer(), INFO, **settings)
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
        thread.start()
        try:
            wait_until(lambda: server.started)
            yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        finally:
            engine.close()
            server.should_exit = True
            thread.join()


def wait_until(condition, limit_sec: float = 20.0):
    """Polls; the limit is for a broken build, no test depends on how long it takes."""
    give_up = time.monotonic() + limit_sec
    while not condition():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.005)
