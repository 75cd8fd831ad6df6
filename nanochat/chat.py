"""One turn of a chat, the same for the command line and the HTTP edge: fit the prompt, gather the answer, time it.

It knows conversations and the engine's deltas, and nothing of terminals or HTTP.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from nanochat.conversation import fit_context, render_prompt, visible_text
from nanochat.engine import Delta, SamplingParams
from nanochat.sampling import TokenLogprobs
from nanochat.text_stream import merge_parts

# What our own chat surfaces start from. The HTTP API itself keeps OpenAI's default, temperature 1.
CHAT_PARAMS = SamplingParams(max_tokens=256, temperature=0.6)


def fit_prompt(tok, messages: list[dict], params: SamplingParams, max_context: int) -> tuple[list[int], SamplingParams]:
    """(prompt ids, params whose max_tokens fits behind them). Drops the oldest turns, see `fit_context`.

    An answer is promised the room it asks for, up to a quarter of the context; beyond that the history goes first.
    Raises UserError for what is no conversation, and when the last turn alone is too long.
    """
    room = min(params.max_tokens, max_context // 4)
    ids = render_prompt(tok, fit_context(tok, {"messages": messages}, max_context - room))
    return ids, replace(params, max_tokens=min(params.max_tokens, max_context - len(ids)))


def closed_parts(parts: list[dict]) -> list[dict]:
    """What of an answer can stand in a history: text, and tool calls whose output came. An answer that was stopped
    in the middle of a call would otherwise be no valid turn."""
    kept = []
    for part, after in zip(parts, [*parts, {"type": None}][1:], strict=True):
        if part["type"] == "text" and part["text"]:
            kept.append(part)
        elif part["type"] == "python" and part["text"] and after["type"] == "python_output":
            kept += [part, after]
    return kept


@dataclass
class Answer:
    """The deltas of one request, gathered. Made when the answer is asked for: that is when its time starts."""
    clock: Callable[[], float] = time.perf_counter  # seconds
    parts: list[dict] = field(default_factory=list)
    logprobs: list[TokenLogprobs] = field(default_factory=list)
    num_tokens: int = 0
    finish_reason: str | None = None
    error: str | None = None

    def __post_init__(self):
        self.asked_at, self.first = self.clock(), None

    def add(self, delta: Delta):
        self.last = (self.clock(), delta.num_tokens)
        if self.first is None and delta.num_tokens:
            self.first = self.last
        merge_parts(self.parts, delta.parts)
        self.logprobs += delta.logprobs
        self.num_tokens, self.finish_reason, self.error = delta.num_tokens, delta.finish_reason, delta.error

    @property
    def text(self) -> str:
        return visible_text(self.parts)

    def message(self) -> dict | None:
        """The answer as a turn of the history; None when nothing was said."""
        parts = closed_parts(self.parts)
        return {"role": "assistant", "content": parts} if parts else None

    def timings(self) -> dict:
        """{ttft_sec, tok_per_sec, num_tokens}: waiting in the queue counts towards the first token, the rate is that
        of the tokens after the first delta; null where there is nothing to measure."""
        ttft_sec = rate = None
        if self.first is not None:
            (first_at, first_tokens), (last_at, last_tokens) = self.first, self.last
            ttft_sec = round(first_at - self.asked_at, 4)
            if last_tokens > first_tokens and last_at > first_at:
                rate = round((last_tokens - first_tokens) / (last_at - first_at), 1)
        return {"ttft_sec": ttft_sec, "tok_per_sec": rate, "num_tokens": self.num_tokens}
