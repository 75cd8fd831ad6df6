"""The wire format without HTTP. The outside truth is the official client's own types, and what clients really send."""

import copy
import json
import random

import pytest
from fake_engine import INFO, call, deltas
from openai.types import Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from nanochat import api
from nanochat.api import ApiError
from nanochat.chat import Answer
from nanochat.engine import Delta, SamplingParams

USER = {"role": "user", "content": "hi"}


def parse(**fields):
    return api.parse_chat_request(json.dumps({"model": "m", "messages": [USER], **fields}).encode())


def refusal(body=None, **fields):
    with pytest.raises(ApiError) as caught:
        request = api.parse_chat_request(body) if body is not None else parse(**fields)
        api.to_messages(request), api.to_params(request, 512)
    assert caught.value.status == 400
    return caught.value


def messages(*given):
    return api.to_messages(parse(messages=given))


def answered(*pieces, **ending):
    answer = Answer()
    for delta in deltas(*pieces, **ending):
        answer.add(delta)
    return answer


# -----------------------------------------------------------------------------
# Requests

def test_a_bare_request_takes_openais_defaults():
    assert api.to_params(parse(), 512) == SamplingParams(max_tokens=512, temperature=1.0, top_p=1.0)
    assert api.to_params(parse(temperature=None, max_tokens=None, stop=None, seed=None), 512).max_tokens == 512


def test_every_setting_reaches_the_engine():
    request = parse(max_completion_tokens=9, temperature=0.25, top_p=0.5, top_k=7, min_p=0.125, seed=-3,
                    stop=["a", "b"], logprobs=True, top_logprobs=3)
    assert api.to_params(request, 512) == SamplingParams(max_tokens=9, temperature=0.25, top_p=0.5, top_k=7, min_p=0.125,
                                                         seed=-3, stop=("a", "b"), logprobs=3)
    assert api.to_params(parse(logprobs=True), 512).logprobs == 1
    assert api.to_params(parse(logprobs=False, top_logprobs=0), 512).logprobs == 0
    assert api.to_params(parse(stop="end", max_tokens=10 ** 6), 512) == SamplingParams(max_tokens=512, stop=("end",))


def test_two_different_limits_are_refused():
    assert api.to_params(parse(max_tokens=5, max_completion_tokens=5), 512).max_tokens == 5
    with pytest.raises(ApiError, match="differ"):
        api.to_params(parse(max_tokens=5, max_completion_tokens=6), 512)


@pytest.mark.parametrize("fields, param", [
    ({"messages": []}, "messages"), ({"messages": "hi"}, "messages"), ({"messages": [USER] * 501}, "messages"),
    ({"messages": [{"role": "tool", "content": "4"}]}, "messages[0].role"),
    ({"messages": [USER, {"role": "assistant", "content": 5}]}, "messages[1].content"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
     "messages[0].content[0].type"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": " "}]}, "messages"),
    ({"messages": [{**USER, "parts": []}]}, "messages[0].parts"),
    ({"messages": [{**USER, "tool_calls": [{"id": "1"}]}]}, "messages[0].tool_calls"),
    ({"messages": [{**USER, "colour": "red"}]}, "messages[0].colour"),
    ({"messages": [USER, {"role": "assistant", "content": "yes"}]}, "messages"),
    ({"messages": [USER, {"role": "system", "content": "late"}, USER]}, "messages"),
    ({"messages": [{"role": "assistant", "content": "I begin"}, USER]}, "messages"),
    ({"messages": [{"role": "user", "content": "x" * 200_001}]}, "messages"),
    ({"model": None}, "model"), ({"temperature": 2.1}, "temperature"), ({"temperature": -0.1}, "temperature"),
    ({"temperature": "0.5"}, "temperature"), ({"temperature": True}, "temperature"), ({"top_p": 0}, "top_p"),
    ({"top_k": -1}, "top_k"), ({"max_tokens": 0}, "max_tokens"), ({"max_tokens": 2.5}, "max_tokens"),
    ({"seed": 2 ** 63}, "seed"), ({"seed": 1e308}, "seed"), ({"stop": ["a"] * 5}, "stop"), ({"stop": ""}, "stop"),
    ({"stream": "yes"}, "stream"), ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
    ({"n": 2}, "n"), ({"n": True}, "n"), ({"n": 10 ** 6}, "n"), ({"tools": [{"type": "function"}]}, "tools"),
    ({"tool_choice": "required"}, "tool_choice"), ({"response_format": {"type": "json_object"}}, "response_format"),
    ({"logprobs": 5}, "logprobs"), ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
    ({"top_logprobs": 5}, "top_logprobs"), ({"logprobs": True, "top_logprobs": -1}, "top_logprobs"),
    ({"logprobs": True, "top_logprobs": True}, "top_logprobs"), ({"min_p": 1.1}, "min_p"), ({"min_p": -0.1}, "min_p"),
    ({"logit_bias": {"5": 1}}, "logit_bias"),
    ({"presence_penalty": 0.1}, "presence_penalty"), ({"frequency_penalty": -1}, "frequency_penalty"),
    ({"modalities": ["audio"]}, "modalities"), ({"temprature": 1}, "temprature"),
])
def test_what_cannot_be_done_is_refused_by_name(fields, param):
    assert refusal(**fields).param == param


@pytest.mark.parametrize("body", [
    b"", b"[]", b"null", b"{", b"\xff\xfe", b'"x"', b"[" * 100_000, b'{"model":"m","messages":[{"role":"user",',
    b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    b'{"model":"m","messages":[{"role":"user","content":"\\ud800"}]}',
    b'{"model":"m","messages":[{"role":"user","content":"hi"}],"temperature":NaN}',
    b'{"model":"m","messages":[{"role":"user","content":"hi"}],"temperature":-Infinity}',
    b'{"model":"m","messages":[{"role":"user","content":"hi"}],"temperature":1e999}',
    b'{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":' + b"9" * 5000 + b"}",
])
def test_bodies_that_break_parsers_are_refused(body):
    assert refusal(body).body()["error"]["type"] == "invalid_request_error"


def test_fields_that_change_nothing_are_ignored():
    request = parse(user="u", metadata={"a": "b"}, store=True, service_tier="auto", reasoning_effort="low", tools=[],
                    n=1, tool_choice="none", response_format={"type": "text"}, logprobs=False, logit_bias={},
                    presence_penalty=0, frequency_penalty=0.0, top_logprobs=None, parallel_tool_calls=True,
                    modalities=["text"])
    assert api.to_params(request, 512) == SamplingParams(max_tokens=512)


def test_no_json_value_anywhere_gets_past_as_anything_but_a_refusal():
    """Random values in random places of a full request: accepted or a 400 that names something, never another error."""
    rng = random.Random(0)
    values = [None, True, -1, 0, 1, 2 ** 80, 1e308, -0.0, "", "x", "\ud83d", "\u2028", [], [[]], {}, {"type": "text"},
              [None], [{"type": "text", "text": "x"}], USER, [USER]]
    full = {"model": "m", "messages": [USER, {"role": "assistant", "content": [{"type": "text", "text": "a"}],
            "parts": [{"type": "text", "text": "a"}]}, USER], "temperature": 1, "top_p": 1, "top_k": 1, "seed": 1,
            "stop": ["x"], "stream": True, "stream_options": {"include_usage": True}, "max_tokens": 5, "tools": None,
            "n": 1, "user": "u", "logprobs": True, "top_logprobs": 2, "min_p": 0.5}
    num_accepted = 0
    for _ in range(3000):
        request = json.loads(json.dumps(full))
        for _ in range(rng.choice([1, 1, 2])):
            place = request
            while True:
                key = rng.choice(list(place) if isinstance(place, dict) else range(len(place)))
                if not isinstance(place[key], (dict, list)) or not place[key] or rng.random() < 0.3:
                    break
                place = place[key]
            place[key] = copy.deepcopy(rng.choice(values))
        try:
            parsed = api.parse_chat_request(json.dumps(request).encode())
            api.to_messages(parsed), api.to_params(parsed, 512)
            num_accepted += 1
        except ApiError as error:
            assert error.status == 400 and error.message
            json.dumps(error.body()).encode()
    assert 100 < num_accepted < 2500  # the test does reach both sides


# -----------------------------------------------------------------------------
# Messages

def test_developer_is_system_and_turns_of_one_role_are_one():
    assert messages({"role": "system", "content": "a"}, {"role": "developer", "content": "b"}, USER,
                    {"role": "user", "content": [{"type": "text", "text": "c"}, {"type": "text", "text": "d"}]}) == [
        {"role": "system", "content": "a\n\nb"}, {"role": "user", "content": "hi\n\nc\nd"}]


def test_an_answer_that_said_nothing_is_left_out():
    for empty in ({"content": ""}, {"content": None}, {"parts": []}, {"parts": [{"type": "python", "text": "1+"}]}):
        assert messages(USER, {"role": "assistant", **empty}, USER) == [{"role": "user", "content": "hi\n\nhi"}]


def test_our_own_answer_sent_back_keeps_its_tool_call():
    """What the official client appends to its history is the message as it came, with its nulls and our parts."""
    answer = answered("so ", *call("6*7", "42"), "42")
    completion = ChatCompletion.model_validate(api.Reply("m", 5).completion(answer))
    said = completion.choices[0].message.model_dump(exclude_unset=True)
    assert said["parts"][1] == {"type": "python", "text": "6*7"} and said["refusal"] is None
    assert messages(USER, said, USER)[1] == answer.message()


def test_an_answer_cut_off_inside_a_call_can_be_sent_back():
    answer = answered("so ", {"type": "python", "text": "6*"}, finish_reason="length")
    said = api.Reply("m", 5).completion(answer)["choices"][0]["message"]
    assert messages(USER, said, USER)[1]["content"] == [{"type": "text", "text": "so "}]


def test_parts_that_contradict_the_content_are_refused():
    said = {"role": "assistant", "content": "4", "parts": [{"type": "text", "text": "5"}]}
    assert refusal(messages=[USER, said, USER]).param == "messages[1].parts"


# -----------------------------------------------------------------------------
# Responses

def test_the_official_types_accept_our_responses():
    answer = answered("so ", *call("6*7", "42"), "42")
    reply = api.Reply("m", 5)
    completion = ChatCompletion.model_validate(reply.completion(answer))
    assert completion.choices[0].message.content == "so 42" and completion.choices[0].finish_reason == "stop"
    usage = {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}
    assert completion.usage.model_dump(exclude_unset=True) == usage
    delta = Delta([{"type": "text", "text": "x"}], 1)
    for chunk in (reply.first_chunk(), reply.delta_chunk(delta), *reply.last_chunks(answer)):
        ChatCompletionChunk.model_validate(chunk)
        assert chunk["usage"] is None or chunk["choices"] == []
    Model.model_validate(api.model_card(INFO, 512))


def test_a_model_card_does_not_tell_where_the_files_are():
    card = api.model_card({**INFO, "checkpoint": "/home/somebody/runs", "config": {"argv": ["/home/somebody"]}}, 512)
    assert "somebody" not in json.dumps(card) and card["id"] == "nanochat-d4-rl"


def test_an_event_is_one_line_in_every_clients_eyes():
    event = api.sse({"text": "a\u2028b\u2029c\x85d\ne é 🦊"})
    assert event.isascii() and event.decode().count("\n") == 2
    assert len(event.decode().splitlines()) == 2  # what splits at U+2028 must not find one
    assert json.loads(event.removeprefix(b"data: ")) == {"text": "a\u2028b\u2029c\x85d\ne é 🦊"}
