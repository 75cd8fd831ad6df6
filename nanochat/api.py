"""The wire format: OpenAI's chat completions as pydantic models, and the conversions to and from our own words.

Pure: bytes and dataclasses in, dicts and bytes out; server.py does the HTTP. Requests are read strictly. A field that
would change the answer and that we do not have is refused by name, never dropped; fields that change nothing are
ignored. Extensions, which OpenAI's clients carry along untouched: `top_k` and `min_p` in a request, `parts` in messages
and deltas (text and tool calls in order; `content` is their text alone), `timings` where the answer ends. `logprobs`
are those of the tokens of `content`, without the special ones between and behind them.

Source: the request and response types of the official openai client, 2026. Left out: n > 1, tools that the client
runs, response formats, /v1/completions, /v1/responses.
"""

import json
import time
import uuid
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nanochat.chat import CHAT_PARAMS, Answer, closed_parts
from nanochat.common import UserError
from nanochat.conversation import validate
from nanochat.engine import MAX_LOGPROBS, Delta, SamplingParams
from nanochat.sampling import TokenLogprobs

MAX_MESSAGES = 500
MAX_CHARS = 200_000         # of all messages together; tokenising them takes well under a second
MAX_CONTENT_PARTS = 200     # of one message

# Hints, labels and bookkeeping of OpenAI's own service: without effect on what the answer says.
IGNORED = {"user", "safety_identifier", "metadata", "store", "service_tier", "prompt_cache_key", "prompt_cache_options",
           "prompt_cache_retention", "reasoning_effort", "verbosity", "parallel_tool_calls", "prediction"}
# What we cannot do, with the values that ask for nothing and are therefore accepted (null always is).
UNSUPPORTED = {
    "tools": [[]], "tool_choice": ["none", "auto"], "functions": [[]], "function_call": ["none", "auto"],
    "response_format": [{"type": "text"}], "logit_bias": [{}],
    "frequency_penalty": [0], "presence_penalty": [0], "repetition_penalty": [1], "min_tokens": [0],
    "n": [1], "best_of": [1], "modalities": [["text"]], "audio": [], "web_search_options": [], "moderation": [],
}
MESSAGE_IGNORED = {"name", "refusal", "annotations"}
MESSAGE_UNSUPPORTED = {"tool_calls": [[]], "function_call": [], "tool_call_id": [], "audio": []}


# -----------------------------------------------------------------------------
# Errors

ERROR_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error", 500: "server_error",
               503: "server_error"}


class ApiError(Exception):
    """An answer that is no answer: OpenAI's error object under an HTTP status."""

    def __init__(self, status: int, message: str, *, param: str | None = None, code: str | None = None,
                 headers: dict | None = None):
        super().__init__(message)
        self.status, self.message, self.param, self.code, self.headers = status, message, param, code, headers or {}

    def body(self) -> dict:
        return {"error": {"message": self.message, "type": ERROR_TYPES.get(self.status, "invalid_request_error"),
                          "param": self.param, "code": self.code}}


# -----------------------------------------------------------------------------
# Requests

class Strict(BaseModel):
    """No "7" for 7, no NaN; unknown fields are kept, for `_refuse_unsupported` to look at."""
    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)


class TextPart(Strict):
    type: Literal["text"]
    text: str


class AnswerPart(Strict):
    type: Literal["text", "python", "python_output"]
    text: str


class Message(Strict):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | Annotated[list[TextPart], Field(max_length=MAX_CONTENT_PARTS)] | None = None
    parts: Annotated[list[AnswerPart], Field(max_length=MAX_CONTENT_PARTS)] | None = None


class StreamOptions(Strict):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None     # accepted and not done: it pads chunks, on networks we do not cross


StopString = Annotated[str, Field(min_length=1, max_length=200)]


class ChatRequest(Strict):
    model: str
    messages: Annotated[list[Message], Field(min_length=1, max_length=MAX_MESSAGES)]
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=-2**63, lt=2**63)] | None = None
    stop: StopString | Annotated[list[StopString], Field(max_length=4)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_LOGPROBS)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    @property
    def wants_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)

    @property
    def num_top(self) -> int | None:
        """How many alternatives beside each token's own logprob; None: no logprobs at all."""
        return self.top_logprobs or 0 if self.logprobs else None


MODELS = (TextPart, AnswerPart, Message, StreamOptions, ChatRequest)
FIELD_NAMES = {name for model in MODELS for name in model.model_fields}


def parse_chat_request(body: bytes) -> ChatRequest:
    """Raises ApiError 400 that names the field."""
    try:
        request = ChatRequest.model_validate_json(body)
    except ValidationError as error:
        # of the branches of a union, the one that got furthest is the one that was meant
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        problem = max(problems, key=lambda problem: len(problem["loc"]))
        param = _param(problem["loc"])
        message = f"{param}: {problem['msg']}" if param else f"the body must be one JSON object: {problem['msg']}"
        raise ApiError(400, message, param=param) from None
    _refuse_unsupported(request, IGNORED, UNSUPPORTED)
    for i, message in enumerate(request.messages):
        _refuse_unsupported(message, MESSAGE_IGNORED, MESSAGE_UNSUPPORTED, f"messages[{i}].")
    if sum(_num_chars(message) for message in request.messages) > MAX_CHARS:
        raise ApiError(400, f"the messages have more than {MAX_CHARS:,} characters; send fewer or shorter ones",
                       param="messages", code="context_length_exceeded")
    return request


def _param(loc: tuple) -> str | None:
    """("messages", 0, "content", "list[TextPart]", 1, "text") -> "messages[0].content[1].text"."""
    param = ""
    for item in loc:
        if isinstance(item, int):
            param += f"[{item}]"
        elif item in FIELD_NAMES:  # the others name a branch of a union
            param += f".{item}" if param else item
    return param or None


def _refuse_unsupported(values: Strict, ignored: set, unsupported: dict, prefix: str = ""):
    for name, value in values.model_extra.items():
        if name in ignored or value is None and name in unsupported:
            continue
        param = prefix + name[:100]
        if name not in unsupported:
            raise ApiError(400, f"{param}: there is no such field", param=param, code="unknown_parameter")
        if not any(type(value) is not bool and value == neutral or value is neutral for neutral in unsupported[name]):
            raise ApiError(400, f"{param}: not supported by this server; leave it out", param=param,
                           code="unsupported_parameter")


def _num_chars(message: Message) -> int:
    parts = [*(message.content if isinstance(message.content, list) else []), *(message.parts or [])]
    return sum(len(part.text) for part in parts) + (len(message.content) if isinstance(message.content, str) else 0)


def to_messages(request: ChatRequest) -> list[dict]:
    """The messages of a conversation that waits for an answer. developer is system; turns of one role in a row become
    one, a blank line between them; an assistant turn that says nothing is left out. Raises ApiError 400."""
    messages = []
    for i, message in enumerate(request.messages):
        role = "system" if message.role == "developer" else message.role
        content = _content(message, f"messages[{i}]")
        if role == "assistant" and not content:
            continue
        if messages and messages[-1]["role"] == role:
            content = _joined(messages.pop()["content"], content)
        messages.append({"role": role, "content": content})
    try:
        validate({"messages": messages})
    except UserError as error:
        raise ApiError(400, str(error), param="messages") from None
    if messages[-1]["role"] != "user":
        raise ApiError(400, "the last message must be from the user", param="messages")
    return messages


def _content(message: Message, where: str) -> str | list[dict]:
    text = message.content
    if isinstance(text, list):
        text = "\n".join(part.text for part in text)
    if message.parts is None:
        if text is None and message.role != "assistant":
            raise ApiError(400, f"{where}.content: missing", param=f"{where}.content")
        return text if text and text.strip() else ""
    if message.role != "assistant":
        raise ApiError(400, f"{where}.parts: only an assistant message has parts", param=f"{where}.parts")
    parts = [{"type": part.type, "text": part.text} for part in message.parts]
    if text is not None and text != "".join(part["text"] for part in parts if part["type"] == "text"):
        raise ApiError(400, f"{where}.parts: their text differs from content; send parts or content alone",
                       param=f"{where}.parts")
    return closed_parts(parts)


def _joined(first: str | list[dict], second: str | list[dict]) -> str | list[dict]:
    if isinstance(first, str) and isinstance(second, str):
        return first + "\n\n" + second
    first, second = ([{"type": "text", "text": content}] if isinstance(content, str) else content
                     for content in (first, second))
    return [*first, {"type": "text", "text": "\n\n"}, *second]


def to_params(request: ChatRequest, max_context: int) -> SamplingParams:
    """Without a limit of its own an answer may fill the context, as at OpenAI."""
    limits = {limit for limit in (request.max_completion_tokens, request.max_tokens) if limit is not None}
    if len(limits) > 1:
        raise ApiError(400, "max_tokens and max_completion_tokens differ; send one", param="max_tokens")
    if request.top_logprobs and not request.logprobs:
        raise ApiError(400, "top_logprobs: needs logprobs: true", param="top_logprobs")
    max_tokens = min([max_context, *limits])
    stop = [request.stop] if isinstance(request.stop, str) else request.stop or []
    given = {name: getattr(request, name) for name in ("temperature", "top_p", "top_k", "min_p", "seed")}
    return SamplingParams(max_tokens=max_tokens, stop=tuple(stop),
                          logprobs=max(1, request.num_top) if request.logprobs else 0,
                          **{name: value for name, value in given.items() if value is not None})


# -----------------------------------------------------------------------------
# Responses

class Reply:
    """Everything sent in answer to one request carries the same id, time and model. Logprobs are sent with num_top
    alternatives, and not at all when it is None."""

    def __init__(self, model: str, num_prompt_tokens: int, tokenizer=None, *, wants_usage: bool = True,
                 num_top: int | None = None):
        self.head = {"id": f"chatcmpl-{uuid.uuid4().hex[:24]}", "created": int(time.time()), "model": model}
        self.num_prompt_tokens, self.wants_usage = num_prompt_tokens, wants_usage
        self.tokenizer, self.num_top = tokenizer, num_top

    def usage(self, answer: Answer) -> dict:
        return {"prompt_tokens": self.num_prompt_tokens, "completion_tokens": answer.num_tokens,
                "total_tokens": self.num_prompt_tokens + answer.num_tokens}

    def completion(self, answer: Answer) -> dict:
        message = {"role": "assistant", "content": answer.text, "refusal": None, "parts": answer.parts}
        choice = {"index": 0, "message": message, "logprobs": self.logprobs(answer.logprobs),
                  "finish_reason": answer.finish_reason}
        return {**self.head, "object": "chat.completion", "choices": [choice], "usage": self.usage(answer),
                "timings": answer.timings()}

    def logprobs(self, tokens: list[TokenLogprobs]) -> dict | None:
        if self.num_top is None:
            return None
        return {"refusal": None, "content": [
            {**self.token(token.id, token.logprob),
             "top_logprobs": [self.token(*top) for top in token.top[:self.num_top]]} for token in tokens]}

    def token(self, id: int, logprob: float) -> dict:
        """A special token has a name and no bytes."""
        return {"token": self.tokenizer.decode([id]), "logprob": logprob,
                "bytes": list(self.tokenizer.decode_bytes([id])) or None}

    def chunk(self, delta: dict, finish_reason: str | None = None, logprobs: dict | None = None, **extra) -> dict:
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}
        usage = {"usage": None} if self.wants_usage else {}
        return {**self.head, "object": "chat.completion.chunk", "choices": [choice], **usage, **extra}

    def first_chunk(self) -> dict:
        return self.chunk({"role": "assistant", "content": ""})

    def delta_chunk(self, delta: Delta) -> dict:
        text = "".join(part["text"] for part in delta.parts if part["type"] == "text")
        return self.chunk({"content": text, "parts": delta.parts}, logprobs=self.logprobs(delta.logprobs))

    def last_chunks(self, answer: Answer) -> list[dict]:
        chunks = [self.chunk({}, answer.finish_reason, timings=answer.timings())]
        if self.wants_usage:
            chunks.append({**self.chunk({}), "choices": [], "usage": self.usage(answer)})
        return chunks


def sse(value: dict) -> bytes:
    """One server-sent event. Escaped to ASCII: some clients split lines at U+2028, and no surrogate can break it."""
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"


SSE_DONE = b"data: [DONE]\n\n"
SSE_KEEPALIVE = b": keepalive\n\n"


def model_id(info: dict) -> str:
    return f"nanochat-{info['tag']}-{info['source']}"


def model_card(info: dict, max_context: int) -> dict:
    """An entry of /v1/models. `nanochat` is for our own page: what is served, and the settings it starts from. Of
    `info` only these keys leave the house: it also holds paths."""
    served = {key: info.get(key) for key in ("tag", "source", "step", "num_params")}
    defaults = {name: getattr(CHAT_PARAMS, name) for name in ("temperature", "top_p", "max_tokens")}
    return {"id": model_id(info), "object": "model", "created": 0, "owned_by": "nanochat", "max_model_len": max_context,
            "nanochat": {**served, "defaults": defaults}}
