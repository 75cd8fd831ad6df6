"""Starting and stopping the server: what is refused before a model loads, and that a signal ends it cleanly."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from scripts import chat_web

ROOT = Path(__file__).resolve().parents[1]
# The command with a scripted engine in place of a model; sleeps instead of loading when told to.
PROGRAM = """
import sys, time
sys.path[:0] = ["tests"]
import nanochat.engine
from types import SimpleNamespace
from fake_engine import INFO, FakeEngine, FakeTokenizer, deltas
from nanochat.gpt import GPTConfig
def load(*args, **flags):
    if "--step" in sys.argv:
        print("loading", file=sys.stderr, flush=True)
        time.sleep(60)
    engine = FakeEngine(deltas(*["word "] * 2000), delay_sec=0.01)
    engine.model = SimpleNamespace(config=GPTConfig(64, 300, 1, 1, 1, 32, ("full",), 64))
    return engine, FakeTokenizer(), dict(INFO)
nanochat.engine.load_chat_engine = load
from scripts.chat_web import build_parser, main
main(build_parser().parse_args())
"""


@pytest.fixture
def refusal(monkeypatch, capsys):
    """refusal(*argv) -> the line on stderr; a model that gets loaded is a failure."""
    def load(*args, **flags):
        pytest.fail("the model was loaded before the address was checked")
    monkeypatch.setattr("nanochat.engine.load_chat_engine", load)
    monkeypatch.delenv("NANOCHAT_API_KEY", raising=False)

    def run(*argv):
        with pytest.raises(SystemExit) as leaving:
            chat_web.main(chat_web.build_parser().parse_args(list(argv)))
        out, err = capsys.readouterr()
        assert leaving.value.code == 2 and out == "" and err.startswith("error: ") and err.count("\n") == 1
        return err
    return run


def test_a_port_in_use_is_noticed_at_once(refusal):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        assert port in refusal("--port", port)


@pytest.mark.parametrize("port", ["-1", "65536", "99999999999"])
def test_a_port_out_of_range(refusal, port):
    assert "1 to 65535" in refusal("--port", port)


@pytest.mark.parametrize("host", ["0.0.0.0", "0", "::", "::ffff:0.0.0.0"])
@pytest.mark.parametrize("key", [None, ""])
def test_no_open_port_without_a_key(refusal, monkeypatch, host, key):
    if key is not None:
        monkeypatch.setenv("NANOCHAT_API_KEY", key)
    if ":" in host and not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    assert "NANOCHAT_API_KEY" in refusal("--host", host, "--port", "0") or "::" in host


@pytest.mark.parametrize("host", ["", "no such host", "256.1.1.1", "a" * 300])
def test_an_address_that_is_none(refusal, host):
    assert "--host" in refusal("--host", host, "--port", "0")


def test_what_is_bound_decides_and_not_what_it_is_called():
    with chat_web.listen("localhost", 0) as sock:
        assert chat_web.own_names("localhost", sock, None) == {"localhost"}
    with chat_web.listen("0.0.0.0", 0) as sock:
        assert chat_web.own_names("0.0.0.0", sock, "key") is None


def start(*argv):
    environ = {name: value for name, value in os.environ.items() if name != "NANOCHAT_API_KEY"}
    return subprocess.Popen([sys.executable, "-c", PROGRAM, *argv], cwd=ROOT, env=environ, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_a_signal_ends_the_server_and_its_open_stream():
    process = start("--port", "0")
    url = process.stderr.readline().split("chat at ")[1].split()[0]
    body = {"model": "nanochat-d4-rl", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    with httpx.stream("POST", url + "/v1/chat/completions", json=body) as response:
        lines = response.iter_lines()
        assert "assistant" in next(lines)
        process.send_signal(signal.SIGTERM)
        *_, error, _, done, _ = lines
    assert '"code":"aborted"' in error and done == "data: [DONE]"
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "", "")


def test_a_signal_while_the_model_loads_ends_it_too():
    process = start("--port", "0", "--step", "1")
    assert process.stderr.readline() == "loading\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "", "")
