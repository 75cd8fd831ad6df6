"""Token ids in, token ids and text out: one engine for chat, evaluation, RL and the server.

A step admits waiting requests while rows are free, prefills their prompts but for the last id, then feeds one id
to every running row and samples the next. So sampling happens in one place, n samples of a prompt share its
prefill, and what a tool returns is fed through the same door as what was sampled. A row that ends makes room at once.

Requests enter through `submit` from any thread. The steps are driven by the engine's own thread after `start`, else
by whoever waits in `generate` or `stream`. What goes wrong for one request ends that request alone.
Left out: paging, prefix reuse between requests, prefill mixed into decode steps, other tools than the calculator.

B rows, T time, C channels, V vocab.
"""

import copy
import itertools
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import SystemRandom
from typing import NamedTuple

import torch
import torch.nn as nn

from nanochat.calculator import CalculatorError, calculate
from nanochat.checkpoint import load_model
from nanochat.common import UserError, choose_dtype, compute_init
from nanochat.kvcache import KVCache
from nanochat.sampling import derive_seed, sample
from nanochat.text_stream import TextStream, merge_parts

PREFILL_TOKENS = 4096  # padded ids in one forward pass over prompts or over scored texts
SCORE_ROWS = 512       # logits alive at once when scoring: 64 MB at 32,768 ids
POLL_SEC = 0.1         # how long to wait for the engine's thread before asking whether it still lives


@dataclass(frozen=True)
class SamplingParams:
    max_tokens: int = 256         # ids generated at most, tool output included; the context may end it sooner
    temperature: float = 1.0      # 0 is greedy
    top_k: int = 0                # 0 is no limit
    top_p: float = 1.0            # 1 is no limit
    stop: tuple[str, ...] = ()    # end at any of these in the text; they may span tokens and are never emitted
    seed: int | None = None       # None: another one for every request
    logprobs: bool = False        # of every sampled id, under temperature 1 and no filter
    n: int = 1                    # samples per prompt, each with a seed derived from (seed, its number)

    def __post_init__(self):
        stop = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)
        object.__setattr__(self, "stop", stop)
        _require("max_tokens", self.max_tokens, int, lambda x: x >= 1, "at least 1")
        _require("temperature", self.temperature, (int, float), lambda x: 0 <= x <= 100, "a number from 0 to 100")
        _require("top_k", self.top_k, int, lambda x: x >= 0, "at least 0, which is no limit")
        _require("top_p", self.top_p, (int, float), lambda x: 0 < x <= 1, "above 0 and at most 1, which is no limit")
        _require("seed", self.seed, (int, type(None)), lambda x: True, "an integer or None")
        _require("n", self.n, int, lambda x: x >= 1, "at least 1")
        for text in stop:
            _require("stop", text, str, lambda x: x, "strings that are not empty")


def _require(name: str, value, types, is_in_range: Callable, accepted: str):
    if isinstance(value, bool) or not isinstance(value, types) or not is_in_range(value):
        raise UserError(f"{name} {value!r}: {accepted}")


class Delta(NamedTuple):
    """What is new in a stream. A delta with a finish_reason is the last."""
    parts: list[dict]                 # pieces of conversation parts, valid UTF-8
    num_tokens: int                   # ids generated so far
    finish_reason: str | None = None  # "stop" | "length" | "abort" | "error"
    error: str | None = None


@dataclass
class Completion:
    ids: list[int]                  # everything generated, tool output and the ending special token included
    text: str                       # the text parts, joined
    parts: list[dict]               # conversation parts
    logprobs: list[float] | None    # per id, 0 where forced; None unless asked for
    forced: list[bool]              # per id, True for tool output
    finish_reason: str              # "stop" | "length" | "abort" | "error"
    error: str | None = None


class Score(NamedTuple):
    logprobs: list[float]  # of every id of the continuation
    is_greedy: bool        # each of them is the most likely one


class Request:
    """One answer in the making. The n samples of a prompt are n requests that share its list."""

    numbers = itertools.count()

    def __init__(self, prompt: list[int], params: SamplingParams, seed: int, tokenizer, on_delta=None):
        self.id = next(self.numbers)
        self.prompt, self.params, self.seed = prompt, params, seed
        self.ids, self.logprobs, self.forced = [], [], []
        self.parts = []
        self.splice = deque()   # tool output, to be fed in place of samples
        self.code_start = None  # index into ids of the open tool call
        self.text = TextStream(tokenizer, params.stop)
        self.on_delta = on_delta
        self.finish_reason = self.error = None
        self.done = threading.Event()

    @property
    def last_id(self) -> int:
        return self.ids[-1] if self.ids else self.prompt[-1]

    def emit(self, pieces: list[dict]):
        merge_parts(self.parts, pieces)
        if self.on_delta and (pieces or self.finish_reason):
            self.on_delta(Delta(pieces, len(self.ids), self.finish_reason, self.error))

    def finish(self, reason: str, error: str | None = None, pieces: list[dict] = ()):
        """The last thing that happens to a request. It cannot fail: what its listener raises becomes its error."""
        self.finish_reason, self.error = reason, error
        try:
            self.emit([*pieces, *self.text.finish()])
        except Exception as raised:
            self.finish_reason, self.error = "error", error or _describe(raised)
        self.done.set()

    def completion(self) -> Completion:
        text = "".join(part["text"] for part in self.parts if part["type"] == "text")
        return Completion(self.ids, text, self.parts, self.logprobs if self.params.logprobs else None, self.forced,
                          self.finish_reason, self.error)


class Engine:
    """Serves one model. `generate`, `stream`, `submit`, `abort` and `score` may be called from any thread."""

    def __init__(self, model, tokenizer, *, max_rows: int = 64, max_context: int | None = None,
                 dtype: torch.dtype | None = None, device: torch.device | None = None):
        """max_rows requests run at once, others wait; max_context (default: the model's) bounds prompt + answer.
        dtype defaults to what the model computes in."""
        config = model.config
        assert tokenizer.vocab_size == config.vocab_size, f"{tokenizer.vocab_size} ids, model: {config.vocab_size}"
        self.max_rows, self.max_context = max_rows, max_context or config.sequence_len
        assert self.max_context <= config.sequence_len, f"{self.max_context} > {config.sequence_len}"
        self.tokenizer = tokenizer
        self.device = device or model.lm_head.weight.device
        self.dtype = dtype or model.activation_dtype or model.lm_head.weight.dtype
        self.model = inference_copy(model, self.dtype, self.device)
        self.cache = KVCache(config, max_rows, self.max_context, device=self.device, dtype=self.dtype)
        special = tokenizer.special
        self._python_start, self._python_end = special["<|python_start|>"], special["<|python_end|>"]
        self._output_start, self._output_end = special["<|output_start|>"], special["<|output_end|>"]
        # A model that samples any other special is done, be it that it starts to write its own tool output.
        self._ends = set(special.values()) - {self._python_start, self._python_end}
        self._rows: list[Request] = []     # row i of the cache belongs to request i
        self._sampling: dict | None = None  # settings of the running rows as tensors, None when rows changed
        self._waiting: deque[Request] = deque()
        self._inbox: list[Request] = []    # this and the next two are shared between threads, guarded by _wake
        self._aborted: set[int] = set()
        self._is_closing = False
        self._wake = threading.Condition()
        self._stepping = threading.Lock()  # held while rows, cache or weights change
        self._thread: threading.Thread | None = None

    # -------------------------------------------------------------------------
    # Asking

    def generate(self, prompts: list[list[int]], params: SamplingParams | list[SamplingParams]
                 ) -> list[list[Completion]]:
        """n completions for every prompt, in order. A prompt that cannot run yields completions with an error.

        params: one for all, or one per prompt. One seed for all means the same noise for every prompt.
        """
        params = [params] * len(prompts) if isinstance(params, SamplingParams) else params
        groups = [self._new_requests(prompt, p) for prompt, p in zip(prompts, params, strict=True)]
        for prompt, group in zip(prompts, groups):
            if problem := self._problem(prompt):
                for request in group:
                    request.finish("error", problem)
        requests = [request for group in groups for request in group]
        self._enqueue([request for request in requests if not request.finish_reason])
        try:
            for request in requests:
                while not request.done.is_set():
                    if self.is_alive():
                        request.done.wait(POLL_SEC)
                    else:
                        self.step()
        finally:
            self.abort(*(request.id for request in requests if not request.finish_reason))
        return [[request.completion() for request in group] for group in groups]

    def stream(self, prompt: list[int], params: SamplingParams) -> Iterator[Delta]:
        """Deltas of one answer as they come. Closing the iterator aborts. Raises UserError like `submit`, at once."""
        self._require_servable(prompt, params)
        return self._stream(prompt, params)

    def _stream(self, prompt, params):
        deltas = queue.SimpleQueue()
        request_id = self.submit(prompt, params, deltas.put)
        try:
            finish_reason = None
            while finish_reason is None:
                try:
                    delta = deltas.get(timeout=POLL_SEC) if self.is_alive() else deltas.get_nowait()
                    finish_reason = delta.finish_reason
                    yield delta
                except queue.Empty:
                    if not self.is_alive():
                        self.step()
        finally:
            self.abort(request_id)

    def submit(self, prompt: list[int], params: SamplingParams, on_delta: Callable[[Delta], None]) -> int:
        """Queue one request and return its id. on_delta is called from the thread that drives the steps and must not
        wait for the engine; its last delta has a finish_reason. Raises UserError for a prompt that cannot run."""
        self._require_servable(prompt, params)
        request, = self._new_requests(prompt, params, on_delta)
        self._enqueue([request])
        return request.id

    def abort(self, *request_ids: int):
        """Ends them at the next step; ids that are unknown or finished do nothing."""
        with self._wake:
            self._aborted.update(request_ids)

    @torch.inference_mode()
    def score(self, pairs: list[tuple[list[int], list[int]]]) -> list[Score]:
        """For (prefix ids, continuation ids), both not empty: how likely the continuation is. Does not disturb
        running requests."""
        for prefix, continuation in pairs:
            if not prefix or not continuation or len(prefix) + len(continuation) > self.max_context:
                raise UserError(f"score: {len(prefix)} + {len(continuation)} ids; neither may be empty, "
                                f"together at most {self.max_context}")
        scores = [None] * len(pairs)
        order = sorted(range(len(pairs)), key=lambda i: len(pairs[i][0]) + len(pairs[i][1]))
        for start, stop in _groups([len(pairs[i][0]) + len(pairs[i][1]) for i in order]):
            batch = order[start:stop]
            for i, score in zip(batch, self._score_batch([pairs[i] for i in batch])):
                scores[i] = score
        return scores

    def load_weights(self, model):
        """Serve these weights from now on. Nothing may be running."""
        with self._stepping:
            self._receive()
            assert not self._rows and not self._waiting, "load_weights while requests are running"
            self.model = inference_copy(model, self.dtype, self.device)

    # -------------------------------------------------------------------------
    # The engine's own thread

    def start(self):
        assert not self.is_alive(), "the engine is already running"
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def is_alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def close(self):
        """Stop the thread after its current step and abort what is left."""
        with self._wake:
            self._is_closing = True
            self._wake.notify_all()
        if self._thread:
            self._thread.join()
        with self._stepping:
            self._receive()
            self._rows += self._waiting
            self._waiting.clear()
            self._end_rows("abort")

    def _run(self):
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._is_closing or self._inbox or self._waiting or self._rows)
                if self._is_closing:
                    return
            self.step()

    # -------------------------------------------------------------------------
    # A step

    @torch.inference_mode()
    def step(self):
        """Receive, admit, decode. An exception of the model ends the running requests and not the engine."""
        with self._stepping:
            try:
                self._receive()
                self._admit()
                if self._rows:
                    self._decode()
            except BaseException as error:
                self._end_rows("error", _describe(error))
                if not isinstance(error, Exception):
                    raise

    def _receive(self):
        with self._wake:
            self._waiting.extend(self._inbox)
            self._inbox.clear()
            aborted, self._aborted = self._aborted, set()
        if aborted:
            for request in (*self._waiting, *self._rows):
                if request.id in aborted:
                    request.finish("abort")
            self._waiting = deque(request for request in self._waiting if not request.finish_reason)
            self._retire()

    def _admit(self):
        """Give free rows to the longest waiting, then fill their caches with all of the prompt but its last id."""
        num_new = min(self.max_rows - len(self._rows), len(self._waiting))
        if num_new == 0:
            return
        arrivals = [self._waiting.popleft() for _ in range(num_new)]
        row_of = {id(request.prompt): row for row, request in enumerate(self._rows)}
        first = {id(r.prompt): r for r in reversed(arrivals) if id(r.prompt) not in row_of}
        leaders = sorted(first.values(), key=lambda r: len(r.prompt))
        followers = [r for r in arrivals if first.get(id(r.prompt)) is not r]  # their prompt is in another row
        num_running = len(self._rows)
        self._rows += leaders + followers
        self._sampling = None
        for start, stop in _groups([len(r.prompt) - 1 for r in leaders]):
            self._prefill(num_running + start, num_running + stop)
        row_of |= {id(r.prompt): row for row, r in enumerate(leaders, start=num_running)}
        for row, r in enumerate(followers, start=num_running + len(leaders)):
            self.cache.copy(row_of[id(r.prompt)], row, len(r.prompt) - 1)

    def _prefill(self, start: int, stop: int):
        """Fill rows start..stop, padded on the right, in chunks of PREFILL_TOKENS."""
        prompts = [request.prompt[:-1] for request in self._rows[start:stop]]
        longest = max(len(prompt) for prompt in prompts)
        chunk = max(1, PREFILL_TOKENS // len(prompts))
        self.cache.lengths[start:stop] = [0] * len(prompts)
        for begin in range(0, longest, chunk):
            end = min(begin + chunk, longest)
            idx = self._padded([prompt[begin:end] for prompt in prompts])
            self.model(idx, cache=self.cache.view(start, stop, end - begin))
            self.cache.lengths[start:stop] = [min(len(prompt), end) for prompt in prompts]

    def _decode(self):
        """Feed every row its last id and give it its next."""
        idx = torch.tensor([[request.last_id] for request in self._rows], device=self.device)
        view = self.cache.view(0, len(self._rows), 1)
        hidden = self.model(idx, cache=view)[:, -1]
        self._sampling = self._sampling or self._sampling_tensors()
        sampled = sample(self.model.logits(hidden), positions=view.lengths, **self._sampling)
        ids = sampled.ids.tolist()  # the step's one wait for the device
        logprobs = [0.0] * len(ids) if sampled.logprobs is None else sampled.logprobs.tolist()
        for row, request in enumerate(self._rows):
            self.cache.lengths[row] += 1
            try:
                self._advance(request, ids[row], logprobs[row])
            except Exception as error:
                request.finish("error", _describe(error))
        self._retire()

    def _sampling_tensors(self) -> dict:
        """Per-row settings of the running rows; a filter that no row uses is None."""
        params = [request.params for request in self._rows]

        def column(values, dtype, off):
            return None if all(v == off for v in values) else torch.tensor(values, dtype=dtype, device=self.device)

        return {"seeds": torch.tensor([request.seed for request in self._rows], device=self.device),
                "temperature": column([p.temperature for p in params], torch.float32, 0),
                "top_k": column([min(p.top_k, self.tokenizer.vocab_size) for p in params], torch.int64, 0),
                "top_p": column([p.top_p for p in params], torch.float32, 1),
                "with_logprobs": any(p.logprobs for p in params)}

    def _advance(self, request: Request, id: int, logprob: float):
        """Take one id into the answer: a forced one if any waits, else the sampled one."""
        is_forced = bool(request.splice)
        if is_forced:
            id, logprob = request.splice.popleft(), 0.0
        request.ids.append(id)
        request.forced.append(is_forced)
        request.logprobs.append(logprob)
        pieces = request.text.push(id)
        if (id in self._ends and not is_forced) or request.text.is_stopped:
            request.finish("stop", pieces=pieces)
        elif len(request.ids) >= min(request.params.max_tokens, self.max_context - len(request.prompt)):
            request.finish("length", pieces=pieces)
        else:
            self._use_tool(request, id)
            request.emit(pieces)

    def _use_tool(self, request: Request, id: int):
        """Note where a call begins; when it ends, queue its result. A refusal is a result too: the model sees it."""
        if id == self._python_start and request.code_start is None:
            request.code_start = len(request.ids)
        elif id == self._python_end and request.code_start is not None:
            code = self.tokenizer.decode_bytes(request.ids[request.code_start:-1]).decode("utf-8", "replace")
            request.code_start = None
            try:
                result = calculate(code)
            except CalculatorError as error:
                result = str(error)
            request.splice.extend([self._output_start, *self.tokenizer.encode(result), self._output_end])

    def _retire(self):
        """Free the rows of finished requests: the last row moves into the gap."""
        for row in reversed(range(len(self._rows))):
            if self._rows[row].finish_reason:
                last = self._rows.pop()
                if row < len(self._rows):
                    self._rows[row] = last
                    self.cache.copy(len(self._rows), row, self.cache.lengths[len(self._rows)])
                self._sampling = None

    def _end_rows(self, reason: str, error: str | None = None):
        for request in self._rows:
            if not request.finish_reason:
                request.finish(reason, error)
        self._rows.clear()
        self._sampling = None

    # -------------------------------------------------------------------------
    # Pieces of the above

    def _problem(self, prompt: list[int]) -> str | None:
        """Why this prompt cannot run."""
        vocab_size = self.tokenizer.vocab_size
        if not prompt:
            return "the prompt is empty; start it with bos"
        if len(prompt) >= self.max_context:
            return f"the prompt has {len(prompt)} ids; at most {self.max_context - 1} leave room for an answer"
        if not all(isinstance(i, int) and 0 <= i < vocab_size for i in prompt):
            return f"the prompt holds something that is not an id from 0 to {vocab_size - 1}"
        return None

    def _require_servable(self, prompt: list[int], params: SamplingParams):
        if problem := self._problem(prompt):
            raise UserError(problem)
        if params.n != 1:
            raise UserError(f"n {params.n}: a stream is one answer; use n=1 or generate")

    def _new_requests(self, prompt: list[int], params: SamplingParams, on_delta=None) -> list[Request]:
        seed = SystemRandom().getrandbits(64) if params.seed is None else params.seed
        prompt = list(prompt)
        return [Request(prompt, params, derive_seed(seed, i), self.tokenizer, on_delta) for i in range(params.n)]

    def _enqueue(self, requests: list[Request]):
        with self._wake:
            self._inbox += requests
            self._wake.notify_all()

    def _padded(self, rows: list[list[int]]):
        """(B, T) ids, zeros on the right."""
        longest = max(len(row) for row in rows)
        return torch.tensor([row + [0] * (longest - len(row)) for row in rows], device=self.device)

    def _score_batch(self, pairs) -> Iterator[Score]:
        hidden = self.model(self._padded([prefix + continuation[:-1] for prefix, continuation in pairs]))
        hidden = torch.cat([row[len(prefix) - 1:len(prefix) + len(continuation) - 1]
                            for row, (prefix, continuation) in zip(hidden, pairs)])
        targets = torch.tensor([id for _, continuation in pairs for id in continuation], device=self.device)
        logprobs, is_greedy = [], []
        for h, t in zip(hidden.split(SCORE_ROWS), targets.split(SCORE_ROWS)):
            logits = self.model.logits(h)
            logprobs += (logits.gather(1, t[:, None]).squeeze(1) - logits.logsumexp(dim=-1)).tolist()
            is_greedy += (logits.argmax(dim=-1) == t).tolist()
        start = 0
        for _, continuation in pairs:
            stop = start + len(continuation)
            yield Score(logprobs[start:stop], all(is_greedy[start:stop]))
            start = stop


def _groups(lengths: list[int]) -> Iterator[tuple[int, int]]:
    """Cut ascending lengths into (start, stop) of at most PREFILL_TOKENS padded ids, or of a single longer row."""
    start = 0
    for stop in range(1, len(lengths) + 1):
        if stop == len(lengths) or (stop + 1 - start) * lengths[stop] > PREFILL_TOKENS:
            yield start, stop
            start = stop


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def inference_copy(model: nn.Module, dtype: torch.dtype, device: torch.device) -> nn.Module:
    """The model with weights and tables cast once, uncompiled; tensors that need no cast are shared with it."""
    cast = {id(x): x.detach().to(device, dtype) for x in model.buffers()}
    cast |= {id(p): nn.Parameter(p.detach().to(device, dtype), requires_grad=False) for p in model.parameters()}
    twin = copy.deepcopy(model, memo=cast)
    twin.activation_dtype = None
    return twin


def load_chat_engine(source: str | None = None, model_tag: str | None = None, step: int | None = None,
                     device_type: str | None = None, dtype: str | None = None, max_rows: int = 8):
    """(engine, tokenizer, info) of a saved step, see `checkpoint.load_model`; strings as the flags bring them."""
    device = compute_init(device_type)
    dtype = choose_dtype(dtype, device)
    model, tokenizer, info = load_model(source, model_tag, step, device=device, dtype=dtype)
    return Engine(model, tokenizer, max_rows=max_rows, dtype=dtype, device=device), tokenizer, info
