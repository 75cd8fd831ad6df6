"""The HTTP edge over a scripted engine: exact bytes, every status, and clients that come and go."""

import json
import logging
import re
import socket
from concurrent.futures import ThreadPoolExecutor

import httpx
import openai
import pytest
import torch
from fake_engine import INFO, FakeEngine, FakeTokenizer, call, deltas, serving, wait_until
from starlette.testclient import TestClient

from nanochat import server
from nanochat.conversation import render_prompt
from nanochat.engine import Delta, Engine, SamplingParams
from nanochat.gpt import GPT, GPTConfig
from nanochat.server import MAX_BODY_BYTES, create_app
from nanochat.tokenizer import Tokenizer

MODEL = "nanochat-d4-rl"
USER = {"role": "user", "content": "What is 6*7?"}
ASK = {"model": MODEL, "messages": [USER]}
PATH = "/v1/chat/completions"
ANSWER = deltas("So: ", *call("6*7", "42"), "42 \u2028é🦊")


def tiny_tokenizer_and_model():
    """(tokenizer, random model in float64, prompt of USER)."""
    tok = Tokenizer.train(["the cat sat on the mat, 12 + 34 = 46"] * 3, vocab_size=280)
    config = GPTConfig(sequence_len=96, vocab_size=tok.vocab_size, n_layer=1, n_head=2, n_kv_head=2, n_embd=16,
                       layer_types=("full",), window=96)
    model = GPT(config)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.empty(p.shape).normal_(0, 0.3, generator=torch.Generator().manual_seed(0)))
        model.lm_head.weight[min(tok.special.values()):] = 0  # no special is ever the likeliest
    return tok, model.double(), render_prompt(tok, {"messages": [USER]})


def client_of(engine, tokenizer=None, **settings) -> TestClient:
    return TestClient(create_app(engine, tokenizer or FakeTokenizer(), INFO, **settings), raise_server_exceptions=False,
                      base_url="http://127.0.0.1:8000")


def events(text: str) -> list:
    """Data of server-sent events, read by the book and not by our own reader."""
    found = [line[6:] for block in text.split("\n\n") for line in block.split("\n") if line.startswith("data: ")]
    return [json.loads(data) if data != "[DONE]" else data for data in found]


def error_of(response, status: int) -> dict:
    assert response.status_code == status, response.text
    assert set(response.json()) == {"error"} and set(response.json()["error"]) == {"message", "type", "param", "code"}
    assert response.json()["error"]["message"]
    return response.json()["error"]


# -----------------------------------------------------------------------------
# Answers

def test_the_stream_byte_for_byte():
    with client_of(FakeEngine(ANSWER)) as client:
        response = client.post(PATH, json={**ASK, "stream": True, "stream_options": {"include_usage": True}})
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert (response.headers["cache-control"], response.headers["x-accel-buffering"]) == ("no-cache", "no")
    body = re.sub(r'"id":"chatcmpl-[0-9a-f]{24}","created":\d{10}', '"id":"ID","created":0', response.text)
    body = re.sub(r'"ttft_sec":[\d.e-]+,"tok_per_sec":[\d.]+', '"ttft_sec":T,"tok_per_sec":R', body)
    head = ('data: {"id":"ID","created":0,"model":"nanochat-d4-rl","object":"chat.completion.chunk","choices":'
            '[{"index":0,"delta":%s,"logprobs":null,"finish_reason":%s}],"usage":null%s}\n\n')
    assert body == (
        head % ('{"role":"assistant","content":""}', "null", "")
        + head % ('{"content":"So: ","parts":[{"type":"text","text":"So: "}]}', "null", "")
        + head % ('{"content":"","parts":[{"type":"python","text":"6"}]}', "null", "")
        + head % ('{"content":"","parts":[{"type":"python","text":"*7"}]}', "null", "")
        + head % ('{"content":"","parts":[{"type":"python_output","text":"42"}]}', "null", "")
        + head % (r'{"content":"42 \u2028\u00e9\ud83e\udd8a",'
                  r'"parts":[{"type":"text","text":"42 \u2028\u00e9\ud83e\udd8a"}]}', "null", "")
        + head % ("{}", '"stop"', ',"timings":{"ttft_sec":T,"tok_per_sec":R,"num_tokens":5}')
        + 'data: {"id":"ID","created":0,"model":"nanochat-d4-rl","object":"chat.completion.chunk","choices":[],'
          '"usage":{"prompt_tokens":16,"completion_tokens":5,"total_tokens":21}}\n\n'
        + "data: [DONE]\n\n")


def test_the_whole_answer_equals_the_streamed_one():
    with client_of(FakeEngine(ANSWER)) as client:
        whole = client.post(PATH, json=ASK).json()
        chunks = events(client.post(PATH, json={**ASK, "stream": True}).text)
    assert chunks.pop() == "[DONE]"
    streamed = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert "".join(delta.get("content", "") for delta in streamed) == whole["choices"][0]["message"]["content"]
    assert whole["choices"][0]["message"]["parts"] == [
        {"type": "text", "text": "So: "}, {"type": "python", "text": "6*7"}, {"type": "python_output", "text": "42"},
        {"type": "text", "text": "42 \u2028é🦊"}]
    # bos, user_start, 12 bytes, user_end, assistant_start = 16
    assert whole["usage"] == {"prompt_tokens": 16, "completion_tokens": 5, "total_tokens": 21}
    assert whole["timings"]["num_tokens"] == 5
    assert len({chunk["id"] for chunk in chunks}) == 1 and "usage" not in chunks[0]


def test_the_official_client_with_base_url_alone_changed():
    with serving(FakeEngine(ANSWER)) as url, openai.OpenAI(base_url=url + "/v1", api_key="unused") as client:
        answer = client.chat.completions.create(model=MODEL, messages=[USER], max_tokens=50, seed=1)
        assert answer.choices[0].message.content == "So: 42 \u2028é🦊" and answer.usage.completion_tokens == 5
        stream = client.chat.completions.create(model=MODEL, messages=[USER], stream=True,
                                                stream_options={"include_usage": True}, extra_body={"top_k": 5})
        chunks = list(stream)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == "So: 42 \u2028é🦊"
        assert chunks[-2].choices[0].finish_reason == "stop" and chunks[-1].usage.total_tokens == 21
        again = client.chat.completions.create(model=MODEL, messages=[USER, answer.choices[0].message, USER])
        assert again.usage.prompt_tokens > 2 * answer.usage.prompt_tokens
        assert [model.id for model in client.models.list()] == [MODEL] == [client.models.retrieve(MODEL).id]
        with pytest.raises(openai.NotFoundError) as not_found:
            client.chat.completions.create(model="gpt-4o", messages=[USER])
        assert (not_found.value.code, not_found.value.param) == ("model_not_found", "model")
        with pytest.raises(openai.BadRequestError) as bad:
            client.chat.completions.create(model=MODEL, messages=[USER], n=3)
        assert bad.value.param == "n"


def test_the_official_client_reads_logprobs_whole_and_streamed():
    """Against the full forward: the engine is real, its model random, and the answer ends in the middle of a text."""
    tok, model, prompt = tiny_tokenizer_and_model()
    engine = Engine(model, tok, max_rows=2)
    ids = engine.generate([prompt], SamplingParams(max_tokens=12, temperature=0))[0][0].ids
    engine.start()
    settings = dict(model=MODEL, messages=[USER], max_tokens=12, temperature=0, logprobs=True)
    with serving(engine, tok) as url, openai.OpenAI(base_url=url + "/v1", api_key="unused") as client:
        whole = client.chat.completions.create(**settings, top_logprobs=3, extra_body={"min_p": 0.1}).choices[0]
        chunks = list(client.chat.completions.create(**settings, top_logprobs=3, stream=True))
        alone = client.chat.completions.create(**settings).choices[0].logprobs.content
        assert client.chat.completions.create(**{**settings, "logprobs": False}).choices[0].logprobs is None
        for bad in ({"top_logprobs": 21}, {"logprobs": False, "top_logprobs": 2}):
            with pytest.raises(openai.BadRequestError) as refused:
                client.chat.completions.create(**{**settings, **bad})
            assert refused.value.param == "top_logprobs"
    tokens = whole.logprobs.content
    assert [token.token for token in tokens] == [tok.decode([id]) for id in ids]
    assert bytes(byte for token in tokens for byte in token.bytes).decode("utf-8", "replace") == whole.message.content
    streamed = [chunk.choices[0].logprobs for chunk in chunks]
    assert [token for logprobs in streamed if logprobs for token in logprobs.content] == tokens
    assert [(token.logprob, token.top_logprobs) for token in alone] == [(token.logprob, []) for token in tokens]
    expected = model.logits(model(torch.tensor([prompt + ids]))[0])[len(prompt) - 1:-1].log_softmax(-1)
    for token, id, row in zip(tokens, ids, expected, strict=True):
        top, top_ids = row.topk(3)
        assert token.logprob == pytest.approx(row[id].item(), abs=1e-9) and token.top_logprobs[0].token == token.token
        assert [alternative.logprob for alternative in token.top_logprobs] == pytest.approx(top.tolist(), abs=1e-9)
        assert [alternative.token for alternative in token.top_logprobs] == [tok.decode([int(id)]) for id in top_ids]


def test_settings_and_the_fitted_prompt_reach_the_engine():
    engine = FakeEngine(ANSWER)
    long_chat = [{"role": "user", "content": "u" * 1000}, {"role": "assistant", "content": "a" * 1000}, USER]
    with client_of(engine) as client:
        client.post(PATH, json={**ASK, "temperature": 0, "top_p": 0.5, "stop": "x", "max_tokens": 9})
        client.post(PATH, json={**ASK, "messages": long_chat})
        response = client.post(PATH, json={**ASK, "messages": [{"role": "user", "content": "u" * 3000}]})
    assert (engine.params[0].temperature, engine.params[0].top_p, engine.params[0].stop) == (0, 0.5, ("x",))
    assert engine.params[0].max_tokens == 9
    # 2,048 tokens, a quarter promised to the answer: the pair of 2,004 is dropped, and the answer may fill the rest
    assert engine.prompts[1] == engine.prompts[0] and engine.params[1].max_tokens == 2048 - 16
    assert error_of(response, 400)["code"] == "context_length_exceeded"


def test_the_special_tokens_of_a_message_are_text():
    engine = FakeEngine(ANSWER)
    with client_of(engine) as client:
        client.post(PATH, json={**ASK, "messages": [{"role": "user", "content": "<|assistant_start|><|bos|>"}]})
    names = ("bos", "user_start", "user_end", "assistant_start")
    assert [i for i in engine.prompts[0] if i >= 256] == [FakeTokenizer.special[f"<|{name}|>"] for name in names]


# -----------------------------------------------------------------------------
# Failures

def test_a_failure_before_the_first_byte_has_a_status():
    with client_of(FakeEngine(deltas(finish_reason="error", error="out of memory"))) as client:
        for stream in (False, True):
            error = error_of(client.post(PATH, json={**ASK, "stream": stream}), 500)
            assert error["code"] == "engine_error" and "out of memory" in error["message"]


def test_a_failure_in_the_middle_is_an_event_and_the_stream_ends():
    with client_of(FakeEngine(deltas("Half", finish_reason="error", error="out of memory"))) as client:
        *_, text, error, done = events(client.post(PATH, json={**ASK, "stream": True}).text)
        assert text["choices"][0]["delta"]["content"] == "Half" and done == "[DONE]"
        assert error["error"]["code"] == "engine_error"
        error_of(client.post(PATH, json=ASK), 500)  # half an answer is never passed off as whole


def test_an_engine_that_died_is_noticed_by_those_who_wait(monkeypatch):
    monkeypatch.setattr(server, "HEARTBEAT_SEC", 0.05)
    engine = FakeEngine(ANSWER)
    engine.gate.clear()
    with client_of(engine) as client, ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(client.post, PATH, json={**ASK, "stream": stream}) for stream in (False, True)]
        wait_until(lambda: len(engine.prompts) == 2)
        engine.alive = False  # without a word to anybody: the gate stays closed
        try:
            whole, response = [future.result(timeout=20) for future in waiting]
        finally:
            engine.gate.set()
        error_of(whole, 503)
        if response.status_code == 200:  # a heartbeat had opened the stream
            assert [*events(response.text)][-2]["error"]["code"] == "engine_dead"
        else:
            error_of(response, 503)
        for response in (client.get("/health"), client.post(PATH, json=ASK)):
            assert error_of(response, 503)["code"] == "engine_dead"


def test_a_silent_stream_is_kept_alive(monkeypatch):
    monkeypatch.setattr(server, "HEARTBEAT_SEC", 0.02)
    engine = FakeEngine(ANSWER)
    engine.gate.clear()
    with serving(engine) as url, httpx.stream("POST", url + PATH, json={**ASK, "stream": True}) as response:
        lines = response.iter_lines()
        assert any(line == ": keepalive" for line in lines)
        engine.gate.set()
        assert list(lines)[-2:] == ["data: [DONE]", ""]


def test_a_bug_of_ours_is_an_error_object_too():
    engine = FakeEngine(ANSWER)
    engine.submit = lambda *_: 1 / 0
    with client_of(engine) as client:
        assert error_of(client.post(PATH, json=ASK), 500)["code"] == "internal"
        assert client.get("/health").json()["in_flight"] == 0


# -----------------------------------------------------------------------------
# Many clients

def test_health_answers_while_an_answer_streams():
    def stalls_after_the_first_delta(prompt):
        yield ANSWER[0]
        engine.gate.clear()
        yield from ANSWER[1:]

    engine = FakeEngine(stalls_after_the_first_delta)
    with serving(engine) as url, httpx.stream("POST", url + PATH, json={**ASK, "stream": True}) as response:
        lines = response.iter_lines()
        assert "assistant" in next(lines)
        assert httpx.get(url + "/health").json() == {"status": "ok", "model": MODEL, "in_flight": 1}
        engine.gate.set()
        assert list(lines)[-2] == "data: [DONE]"


def test_the_tenth_request_in_flight_is_turned_away():
    engine = FakeEngine(ANSWER)
    engine.gate.clear()
    with serving(engine) as url, ThreadPoolExecutor(9) as pool, httpx.Client(base_url=url) as client:
        inside = [pool.submit(httpx.post, url + PATH, json={**ASK, "stream": bool(i % 2)}) for i in range(9)]
        wait_until(lambda: client.get("/health").json()["in_flight"] == 9)
        wait_until(lambda: len(engine.prompts) == 9)
        refused = client.post(PATH, json=ASK)
        assert error_of(refused, 429)["type"] == "rate_limit_error" and int(refused.headers["retry-after"]) >= 1
        assert len(engine.prompts) == 9
        engine.gate.set()
        assert [future.result().status_code for future in inside] == [200] * 9
        assert client.post(PATH, json=ASK).status_code == 200
        assert client.get("/health").json()["in_flight"] == 0


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_is_taken_out_of_the_engine(stream):
    """Twenty clients hang up while they wait: each is aborted and its place is free again."""
    engine = FakeEngine(ANSWER)
    engine.gate.clear()
    with serving(engine) as url, httpx.Client(base_url=url) as client:
        for number in range(20):
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(url + PATH, json={**ASK, "stream": stream}, timeout=httpx.Timeout(5, read=0.02))
            wait_until(lambda: len(engine.aborted) == number + 1)
        wait_until(lambda: client.get("/health").json()["in_flight"] == 0)
        assert sorted(engine.aborted) == list(range(1, 21))
        engine.gate.set()
        assert client.post(PATH, json=ASK).status_code == 200


def test_a_client_that_leaves_in_the_middle_of_a_stream():
    engine = FakeEngine(lambda prompt: deltas(*["word "] * 500), delay_sec=0.001)
    with serving(engine) as url:
        with httpx.stream("POST", url + PATH, json={**ASK, "stream": True}) as response:
            for line, _ in zip(response.iter_lines(), range(10)):
                assert not line.startswith("data: [DONE]")
        wait_until(lambda: engine.aborted == [1])
        wait_until(lambda: httpx.get(url + "/health").json()["in_flight"] == 0)


def test_a_finished_answer_is_not_aborted():
    engine = FakeEngine(ANSWER)
    with client_of(engine) as client:
        client.post(PATH, json=ASK), client.post(PATH, json={**ASK, "stream": True})
    assert engine.aborted == []


def test_an_answer_cut_off_by_the_engine_is_never_passed_off_as_whole():
    aborted = [Delta([{"type": "text", "text": "Ha"}], 1, None, None), Delta([], 1, "abort", None)]
    with client_of(FakeEngine(aborted)) as client:
        error_of(client.post(PATH, json=ASK), 503)
        assert events(client.post(PATH, json={**ASK, "stream": True}).text)[-2]["error"]["code"] == "aborted"


# -----------------------------------------------------------------------------
# The edge

@pytest.mark.parametrize("method, path, kwargs, status", [
    ("GET", "/nothing", {}, 404), ("GET", "/v1/models/other", {}, 404), ("GET", "/../pyproject.toml", {}, 404),
    ("GET", "/%2e%2e/server.py", {}, 404), ("GET", "/docs", {}, 404), ("GET", "/openapi.json", {}, 404),
    ("GET", PATH, {}, 405), ("POST", "/health", {}, 405), ("OPTIONS", PATH, {}, 405), ("DELETE", "/v1/models", {}, 405),
    ("POST", PATH, {"content": b"{}", "headers": {"content-type": "text/plain"}}, 415),
    ("POST", PATH, {"content": b"{}"}, 415),
    ("POST", PATH, {"content": b"{", "headers": {"content-type": "application/json"}}, 400),
    ("POST", PATH, {"json": {**ASK, "tools": [{"type": "function"}]}}, 400),
    ("POST", PATH, {"json": {**ASK, "messages": [{"role": "user", "content": "u" * 3000}]}}, 400),
    ("POST", PATH, {"json": {**ASK, "model": "gpt-4o"}}, 404),
    ("POST", PATH, {"json": {**ASK, "user": "x" * MAX_BODY_BYTES}}, 413),
    ("POST", PATH, {"content": (b"[" * 1000 for _ in range(1001)), "headers": {"content-type": "application/json"}},
     413),
    ("GET", "/health", {"headers": {"host": "evil.example"}}, 403),
    ("GET", "/", {"headers": {"host": "evil.example:8000"}}, 403),
    ("GET", "/health", {"headers": {"host": "127.0.0.1.evil.example"}}, 403),
    ("GET", "/health", {"headers": {"host": ""}}, 403),
    ("POST", PATH, {"json": ASK, "headers": {"origin": "https://evil.example"}}, 403),
    ("POST", PATH, {"json": ASK, "headers": {"origin": "null"}}, 403),
])
def test_every_refusal_is_an_error_object(method, path, kwargs, status):
    engine = FakeEngine(ANSWER)
    with client_of(engine) as client:
        response = client.request(method, path, **kwargs)
        error_of(response, status)
        assert "content-security-policy" in response.headers and "access-control-allow-origin" not in response.headers
    assert engine.prompts == []


def test_a_real_client_that_sends_too_much_gets_to_read_why():
    with serving(FakeEngine(ANSWER)) as url:
        for content in (b"[" * 3_000_000, (b"[" * 50_000 for _ in range(60))):
            response = httpx.post(url + PATH, content=content, headers={"content-type": "application/json"})
            error_of(response, 413)


def test_a_body_that_is_announced_too_large_is_not_waited_for():
    with serving(FakeEngine(ANSWER)) as url:
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=20) as sock:
            sock.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
                         b"content-length: 5000000000\r\n\r\n{")
            assert sock.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_a_client_that_leaves_while_it_sends_is_no_error_of_ours(caplog):
    log = logging.getLogger("uvicorn.error")
    with serving(FakeEngine(ANSWER)) as url, httpx.Client(base_url=url) as client:
        log.setLevel("ERROR")
        log.addHandler(caplog.handler)
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=20) as sock:
            sock.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
                         b"content-length: 50\r\n\r\n{")
        for _ in range(3):  # the connection that was closed first is handled first
            assert client.get("/health").json()["in_flight"] == 0
    log.removeHandler(caplog.handler)
    assert caplog.messages == []


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8000", "localhost:99", "LOCALHOST", "[::1]:8000",
                                  "box.local:8000"])
def test_our_own_names_are_answered(host):
    with client_of(FakeEngine(ANSWER), hosts=frozenset({"box.local"})) as client:
        assert client.get("/health", headers={"host": host, "origin": f"http://{host}"}).status_code == 200


def test_with_a_key_everything_but_the_page_asks_for_it():
    with client_of(FakeEngine(ANSWER), hosts=None, api_key="sesame") as client:
        for path in ("/", "/app.js", "/style.css", "/health"):
            assert client.get(path, headers={"host": "any.example"}).status_code == 200
        error_of(client.get("/v1/models"), 401)
        for wrong in ("", "Bearer ", "sesame", "Bearer sesam", "Bearer sesame2", "bearer sesame", b"Bearer s\xe9same"):
            for path in ("/v1/models", "/nothing", PATH):
                error_of(client.get(path, headers={"authorization": wrong}), 401)
        assert client.get("/v1/models", headers={"authorization": "Bearer sesame"}).status_code == 200
        foreign = {"authorization": "Bearer sesame", "host": "chat.example", "origin": "https://evil.example"}
        error_of(client.get("/v1/models", headers=foreign), 403)
        assert client.get("/v1/models", headers={**foreign, "origin": "https://chat.example"}).status_code == 200


def test_a_server_for_any_name_without_a_key_is_our_own_mistake():
    with pytest.raises(AssertionError):
        create_app(FakeEngine(), FakeTokenizer(), INFO, hosts=None)


def test_the_page_is_whole_and_closed():
    """Everything it loads is served, nothing is inline, nothing comes from elsewhere."""
    with client_of(FakeEngine()) as client:
        page = client.get("/")
        assert page.headers["content-type"].startswith("text/html")
        policy = dict(rule.split(" ", 1) for rule in page.headers["content-security-policy"].split("; "))
        assert policy["default-src"] == "'none'" and policy["script-src"] == "'self'" == policy["style-src"]
        loaded = re.findall(r'(?:src|href)="(/[^"]*)"', page.text)
        assert {"/app.js", "/style.css"} <= set(loaded)
        sources = {path: client.get(path).text for path in loaded}
        for imported in re.findall(r'from "\.(/[\w.]+)"', sources["/app.js"]):
            sources[imported] = client.get(imported).text
    assert len(sources) >= 4
    for text in (page.text, *sources.values()):
        found = re.findall(r"https?://[^\s\"'`)]+", text)
        assert set(found) <= {"http://www.w3.org/2000/svg"}, found
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", text)
    assert not re.search(r"<script(?![^>]*src)|\son\w+=|\sstyle=", page.text)


def test_many_at_once_get_their_own_answers():
    """Answers must not cross: sixty requests over nine places, each asks for its own number back."""
    engine = FakeEngine(lambda prompt: deltas(*re.findall(r"\d", prompt)))
    with serving(engine, max_pending=60) as url, ThreadPoolExecutor(20) as pool, httpx.Client(base_url=url) as client:
        def ask(number):
            messages = [{"role": "user", "content": f"say {number}"}]
            text = client.post(PATH, json={**ASK, "messages": messages, "stream": True}).text
            return "".join(e["choices"][0]["delta"].get("content", "") for e in events(text)[:-1])
        assert list(pool.map(ask, range(1000, 1060))) == [str(n) for n in range(1000, 1060)]
        assert client.get("/health").json()["in_flight"] == 0


# -----------------------------------------------------------------------------
# The real engine

def test_the_real_engine_answers_the_same_through_http():
    """A random model in float64: seeded answers over HTTP, nine at once, equal those of `generate`."""
    tok, model, prompt = tiny_tokenizer_and_model()
    engine = Engine(model, tok, max_rows=2)
    expected = [engine.generate([prompt], SamplingParams(max_tokens=20, seed=seed))[0][0] for seed in range(9)]
    assert len({completion.text for completion in expected}) > 1
    engine.start()
    with client_of(engine, tokenizer=tok) as client, ThreadPoolExecutor(9) as pool:
        def ask(seed):
            return client.post(PATH, json={**ASK, "max_tokens": 20, "seed": seed}).json()
        for body, completion in zip(pool.map(ask, range(9)), expected):
            assert body["choices"][0]["message"]["parts"] == completion.parts
            assert body["usage"]["completion_tokens"] == len(completion.ids)
            assert body["usage"]["prompt_tokens"] == len(prompt)
    engine.close()
