"""Token ids in, token ids and text out: one engine for chat, evaluation, RL and the server.

There are no phases. Every request has ids, of which some are computed, and a step computes more of them: for a running
answer the one that was sampled last, for a prompt a chunk, all side by side in one forward pass under one budget of
tokens. Where all ids of a request are computed, its next is sampled. So requests join and leave at any step, and one
that lost its blocks to another, or was forked from a sample of the same prompt, or waited for a tool, simply has more to
compute. Blocks, sharing and what is remembered of earlier requests: kvcache.py.

Requests enter through `submit` from any thread. The steps are driven by the engine's own thread after `start`, else
by whoever waits in `generate`, `stream` or `score`. What goes wrong for one request ends that request alone. Tools run
in a thread of their own; a request that waits for one gives up its place and keeps its blocks.
Left out: CUDA graphs, penalties.

B rows, T time, C channels, V vocab.
"""

import gc
import itertools
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import SystemRandom
from typing import NamedTuple

import torch

from nanochat.calculator import CalculatorError, calculate
from nanochat.checkpoint import load_model
from nanochat.common import (UserError, activation_dtype, choose_dtype, compute_init, in_short_thread,
                             require_compiler)
from nanochat.kvcache import BLOCK, BlockPool, PagedCache, StepCache, choose_num_blocks
from nanochat.sampling import TokenLogprobs, derive_seed, sample
from nanochat.served import ServedGPT
from nanochat.text_stream import TextStream, merge_parts

STEP_TOKENS = 2048     # computed in one step, at most
LIVE_TOKENS = 64       # of prompts, at first, while somebody listens to a running answer
MIN_LIVE_TOKENS = 16   # prompts get on, however slow
LIVE_SLOWDOWN = 1.6    # such a step may take so many times as long as one of answers alone
SCORE_ROWS = 512       # logits alive at once when scoring: 64 MB at 32,768 ids
MAX_LOGPROBS = 20      # OpenAI's bound
TOOL_SEC = 60.0        # a tool that has said nothing by then has failed
POLL_SEC = 0.1         # how long to wait for the engine's thread before asking whether it still lives


@dataclass(frozen=True)
class SamplingParams:
    max_tokens: int = 256         # ids generated at most, tool output included; the context may end it sooner
    temperature: float = 1.0      # 0 is greedy
    top_k: int = 0                # 0 is no limit
    top_p: float = 1.0            # 1 is no limit
    min_p: float = 0.0            # least probability, as a share of the likeliest id's; 0 is no limit
    stop: tuple[str, ...] = ()    # end at any of these in the text; they may span tokens and are never emitted
    seed: int | None = None       # None: another one for every request
    logprobs: int = 0             # k > 0: of every sampled id and of the k likeliest, at temperature 1, without filters
    n: int = 1                    # samples per prompt, each with a seed derived from (seed, its number)

    def __post_init__(self):
        stop = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)
        object.__setattr__(self, "stop", stop)
        _require("max_tokens", self.max_tokens, int, lambda x: x >= 1, "at least 1")
        _require("temperature", self.temperature, (int, float), lambda x: 0 <= x <= 100, "a number from 0 to 100")
        _require("top_k", self.top_k, int, lambda x: x >= 0, "at least 0, which is no limit")
        _require("top_p", self.top_p, (int, float), lambda x: 0 < x <= 1, "above 0 and at most 1, which is no limit")
        _require("min_p", self.min_p, (int, float), lambda x: 0 <= x <= 1, "a number from 0, which is no limit, to 1")
        _require("seed", self.seed, (int, type(None)), lambda x: True, "an integer or None")
        _require("logprobs", self.logprobs, int, lambda x: 0 <= x <= MAX_LOGPROBS, f"from 0 to {MAX_LOGPROBS}")
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
    logprobs: list[TokenLogprobs] = []  # where asked for: of the sampled ids whose whole text is out, in text parts


@dataclass
class Completion:
    ids: list[int]                  # everything generated, tool output and the ending special token included
    text: str                       # the text parts, joined
    parts: list[dict]               # conversation parts
    logprobs: list[float] | None    # per id, 0 where forced; None unless asked for
    forced: list[bool]              # per id, True for tool output
    finish_reason: str              # "stop" | "length" | "abort" | "error"
    error: str | None = None
    top_logprobs: list[list[tuple[int, float]]] | None = None  # per id: (id, logprob) of the likeliest; [] where forced


class Score(NamedTuple):
    logprobs: list[float]  # of every id of the continuation
    is_greedy: bool        # each of them is the most likely one


class Request:
    """One answer in the making, or one text to score (then `num_scored` ids at the end of its prompt are looked up).

    The n samples of a prompt, and continuations of one prefix, fork from the first of them: they wait until it has
    computed `fork_at` ids and share its blocks.
    """

    numbers = itertools.count()

    def __init__(self, prompt: list[int], params: SamplingParams, seed: int, tokenizer, on_delta=None, *,
                 num_scored: int = 0, leader: "Request | None" = None):
        self.id = next(self.numbers)
        self.prompt, self.params, self.seed = prompt, params, seed
        self.ids, self.logprobs, self.top_logprobs, self.forced = [], [], [], []
        self.unsent: list[tuple[int, TokenLogprobs]] = []  # (where its text ends, ...) of ids of text parts
        self.parts = []
        self.tokens = list(prompt)                  # prompt and answer
        self.num_computed = 0                       # of tokens, keys and values in the blocks of `table`
        self.table, self.numbers = [], []           # blocks; numbers of those that can be found again
        self.num_scored, self.leader = num_scored, leader
        self.fork_at = len(prompt) - (num_scored or 0) - 1
        self.is_greedy = True                       # of a scored one: so far
        self.code_start = None  # index into ids of the open tool call
        self.parked_at = 0.0    # when its tool was called
        self.text = TextStream(tokenizer, params.stop)
        self.on_delta = on_delta
        self.is_read = bool(on_delta or params.stop)  # as it comes; else its text is made at the end, all at once
        self.finish_reason = self.error = None
        self.done = threading.Event()

    @property
    def num_pending(self) -> int:
        return len(self.tokens) - self.num_computed

    def may_start(self) -> bool:
        leader = self.leader
        return leader is None or leader.finish_reason is not None or leader.num_computed >= self.fork_at

    def emit(self, pieces: list[dict]):
        merge_parts(self.parts, pieces)
        if self.on_delta and (pieces or self.finish_reason):
            out = [logprobs for end, logprobs in self.unsent if end <= self.text.num_emitted]
            del self.unsent[:len(out)]
            self.on_delta(Delta(pieces, len(self.ids), self.finish_reason, self.error, out))

    def finish(self, reason: str, error: str | None = None, pieces: list[dict] = ()):
        """The last thing that happens to a request. It cannot fail: what its listener raises becomes its error."""
        self.finish_reason, self.error = reason, error
        try:
            pieces = pieces if self.is_read else self.text.push(*self.ids)
            self.emit([*pieces, *self.text.finish()])
        except Exception as raised:
            self.finish_reason, self.error = "error", error or _describe(raised)
        self.done.set()

    def completion(self) -> Completion:
        text = "".join(part["text"] for part in self.parts if part["type"] == "text")
        logprobs, tops = (self.logprobs, self.top_logprobs) if self.params.logprobs else (None, None)
        return Completion(self.ids, text, self.parts, logprobs, self.forced, self.finish_reason, self.error, tops)


class Engine:
    """Serves one model. `generate`, `stream`, `submit`, `abort` and `score` may be called from any thread."""

    def __init__(self, model, tokenizer, *, max_rows: int = 64, max_context: int | None = None,
                 dtype: torch.dtype | None = None, device: torch.device | None = None, num_blocks: int | None = None,
                 use_prefix_cache: bool = True, step_tokens: int = STEP_TOKENS, live_tokens: int = LIVE_TOKENS,
                 tool: Callable[[str], str] = calculate, use_compile: bool = False):
        """max_rows requests run at once, others wait; max_context (default: the model's) bounds prompt + answer.
        dtype defaults to what the model computes in, int8 is of its weights (quant.py); num_blocks to what memory allows.
        `tool` gets the code of a call and returns what the model is told; a CalculatorError is told too, anything else
        ends the request. use_compile takes seconds here and makes a single row on a CPU faster (served.py)."""
        config = model.config
        assert tokenizer.vocab_size == config.vocab_size, f"{tokenizer.vocab_size} ids, model: {config.vocab_size}"
        self.max_rows, self.max_context = max_rows, max_context or config.sequence_len
        assert self.max_context <= config.sequence_len, f"{self.max_context} > {config.sequence_len}"
        self.tokenizer = tokenizer
        self.device = device or model.lm_head.weight.device
        self.dtype = dtype or model.activation_dtype or model.lm_head.weight.dtype
        self.use_compile = use_compile
        self.model = ServedGPT(model, self.dtype, self.device, use_compile=use_compile)
        activations = activation_dtype(self.dtype, self.device)
        num_blocks = num_blocks or choose_num_blocks(config, max_rows, self.max_context, self.device, activations)
        assert num_blocks > -(-self.max_context // BLOCK), f"{num_blocks} blocks do not hold {self.max_context} tokens"
        self.pool = BlockPool(num_blocks, use_prefix_cache=use_prefix_cache)
        self.cache = PagedCache(config, num_blocks, device=self.device, dtype=activations)
        self.step_tokens, self.live_tokens = step_tokens, live_tokens
        self._answers_sec = None  # a step of answers alone, smoothed
        self.num_preemptions = 0
        self._tool = tool
        special = tokenizer.special
        self._python_start, self._python_end = special["<|python_start|>"], special["<|python_end|>"]
        self._output_start, self._output_end = special["<|output_start|>"], special["<|output_end|>"]
        # A model that samples any other special is done, be it that it starts to write its own tool output.
        self._special = set(special.values())
        self._ends = self._special - {self._python_start, self._python_end}
        self._running: list[Request] = []  # the longest running first
        self._parked: list[Request] = []   # waiting for their tool
        self._sampling: tuple = (None, {})  # settings as tensors, and of which requests
        self._waiting: deque[Request] = deque()
        self._results: list[tuple[Request, str | BaseException]] = []  # of tools
        self._inbox: list[Request] = []    # this, the one above and the next two are shared, see _wake
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
        self._finish_all(requests)
        return [[request.completion() for request in group] for group in groups]

    def _finish_all(self, requests: list[Request]):
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
            self._wake.notify_all()

    def score(self, pairs: list[tuple[list[int], list[int]]]) -> list[Score]:
        """For (prefix ids, continuation ids), both not empty: how likely the continuation is. Runs beside other
        requests; a prefix that comes several times is computed once."""
        for prefix, continuation in pairs:
            if not prefix or not continuation or len(prefix) + len(continuation) > self.max_context:
                raise UserError(f"score: {len(prefix)} + {len(continuation)} ids; neither may be empty, "
                                f"together at most {self.max_context}")
            if problem := self._stray_id([*prefix, *continuation]):
                raise UserError(f"score: {problem}")
        leaders, requests = {}, []
        for prefix, continuation in pairs:
            request = Request([*prefix, *continuation], SamplingParams(), 0, self.tokenizer,
                              num_scored=len(continuation), leader=leaders.get(tuple(prefix)))
            leaders.setdefault(tuple(prefix), request)
            request.tokens.pop()  # nothing follows the last id
            requests.append(request)
        self._finish_all(requests)
        if failed := next((request for request in requests if request.error), None):
            raise RuntimeError(f"score: {failed.error}")
        return [Score(request.logprobs, request.is_greedy) for request in requests]

    def load_weights(self, model):
        """Serve these weights from now on. Nothing may be running."""
        with self._stepping:
            self._receive()
            assert not (self._running or self._waiting or self._parked), "load_weights while requests are running"
            self.pool.forget()
            self.model = ServedGPT(model, self.dtype, self.device, use_compile=self.use_compile)

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
            self._running += [*self._parked, *self._waiting]
            self._parked.clear()
            self._waiting.clear()
            self._end_running("abort")

    def _run(self):
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._is_closing or self._inbox or self._aborted or self._results
                                    or self._waiting or self._running, POLL_SEC if self._parked else None)
                if self._is_closing:
                    return
            self.step()

    # -------------------------------------------------------------------------
    # A step

    @torch.inference_mode()
    def step(self):
        """Receive, schedule, compute, sample. An exception of the model ends the running requests, not the engine."""
        with self._stepping:
            try:
                self._receive()
                if batch := self._schedule():
                    begin = time.perf_counter()
                    self._compute(batch)
                    self._pace(batch, time.perf_counter() - begin)
                elif self._parked and not self.is_alive():
                    with self._wake:
                        self._wake.wait_for(lambda: self._results or self._inbox or self._aborted, POLL_SEC)
            except BaseException as error:
                self._end_running("error", _describe(error))
                if not isinstance(error, Exception):
                    raise

    def _receive(self):
        with self._wake:
            self._waiting.extend(self._inbox)
            self._inbox.clear()
            aborted, self._aborted = self._aborted, set()
            results, self._results = self._results, []
        for request, result in results:
            if not request.finish_reason:
                self._parked.remove(request)
                self._waiting.appendleft(request)
                self._attempt(request, self._take_result, result)
        for request in (*self._waiting, *self._running, *self._parked) if aborted else ():
            if request.id in aborted and not request.finish_reason:
                request.finish("abort")
        for request in self._parked:
            if not request.finish_reason and time.monotonic() - request.parked_at > TOOL_SEC:
                request.finish("error", f"the tool did not answer in {TOOL_SEC:.0f} s")
        self._retire()

    def _schedule(self) -> list[tuple[Request, int]]:
        """(request, how many of its ids to compute), in ascending order of the number: answers come before prompts,
        the longest running first, and what is left of the budget admits who waits."""
        answering, prompts = [], []
        for request in self._running:
            (answering if request.num_pending == 1 else prompts).append(request)
        is_heard = any(r.on_delta for r in answering)
        budget = len(answering) + int(self.live_tokens) if is_heard else max(self.step_tokens, len(answering) + 1)
        chosen = {}
        num_preemptions = self.num_preemptions
        for request in answering + prompts:
            num_new = min(request.num_pending, budget)
            still_runs = num_preemptions == self.num_preemptions or request in self._running
            if num_new and still_runs and self._make_room(request, num_new):
                chosen[request] = num_new
                budget -= num_new
        self._admit(chosen, budget)
        running = set(self._running)  # a later one may have taken an earlier one's blocks
        return sorted(((r, n) for r, n in chosen.items() if r in running), key=lambda pair: pair[1])

    def _admit(self, chosen: dict[Request, int], num_left: int):
        """The longest waiting whose blocks are there. Nobody's are taken, save, when nothing runs, those of requests
        whose tools may say nothing for long."""
        for request in list(self._waiting):
            if len(self._running) >= self.max_rows or num_left <= 0:
                break
            if not request.may_start():
                continue
            self._find_beginning(request)
            num_missing = len(request.tokens) // BLOCK + 2 - len(request.table)  # + 1 to write on, + 1 for a copy
            if num_missing > self.pool.num_available and self._running:
                self._drop_blocks(request)
                break
            self._waiting.remove(request)
            self._running.append(request)
            num_new = min(request.num_pending, num_left)
            if self._make_room(request, num_new):
                chosen[request] = num_new
                num_left -= num_new

    def _find_beginning(self, request: Request):
        """Share the blocks of what others computed: those of its leader, with the begun last one, or known ones."""
        if request.table:
            return  # it comes back from its tool
        leader, limit = request.leader, request.fork_at if request.num_scored else len(request.tokens) - 1
        if leader and leader.table and leader.num_computed >= request.fork_at and not request.ids:
            request.table = leader.table[:-(-request.fork_at // BLOCK)]
            request.numbers = leader.numbers[:request.fork_at // BLOCK]
            request.num_computed = request.fork_at
            self.pool.share(request.table)
        else:
            request.table, request.numbers, request.num_computed = self.pool.find(request.tokens, limit)

    def _make_room(self, request: Request, num_new: int) -> bool:
        """Blocks of its own for the next num_new ids. False when it had to give up its place for them."""
        first = request.num_computed // BLOCK
        if first < len(request.table) and self.pool.is_read_only(request.table[first]):
            shared = request.table[first]
            if (own := self._take_block(request)) is None:
                return False
            self.cache.copy_block(shared, own)
            request.table[first] = own
            self.pool.release([shared])
        while len(request.table) * BLOCK < request.num_computed + num_new:
            if (block := self._take_block(request)) is None:
                return False
            request.table.append(block)
        return True

    def _take_block(self, request: Request) -> int | None:
        """When none is left, who waits for a tool gives up its blocks, then the latest arrival its place."""
        while (block := self.pool.take()) is None:
            self.num_preemptions += 1
            holder = next((r for r in (*self._parked, *self._waiting) if r.table), None)
            if holder:
                self._drop_blocks(holder)
                continue
            victim = self._running.pop()
            self._drop_blocks(victim)
            self._waiting.appendleft(victim)
            if victim is request:
                return None
        return block

    def _drop_blocks(self, request: Request):
        self.pool.release(request.table)
        request.table, request.numbers, request.num_computed = [], [], 0

    def _compute(self, batch: list[tuple[Request, int]]):
        """One forward pass; then scores and samples, and the step's one wait for the device."""
        step = StepCache(self.cache, [(r.table, r.num_computed, n) for r, n in batch])
        ids = [id for r, n in batch for id in r.tokens[r.num_computed:r.num_computed + n]]
        hidden = self.model.forward(torch.tensor(ids, device=self.device), step)
        last_rows, answering, end = [], [], 0
        for request, num_new in batch:
            end += num_new
            before, request.num_computed = request.num_computed, request.num_computed + num_new
            self.pool.register(request.table, request.numbers, request.tokens, request.num_computed)
            if request.num_scored:
                self._attempt(request, self._score_rows, hidden[end - num_new:end], before)
            elif request.num_pending == 0:
                last_rows.append(end - 1)
                answering.append(request)
        if answering:
            self._sample(answering, hidden if len(last_rows) == len(ids) else hidden[last_rows])
        self._retire()

    def _pace(self, batch: list[tuple[Request, int]], seconds: float):
        """Adapt how much of prompts a step takes while somebody listens: its cost depends on model and machine."""
        num_answering = sum(n == 1 for _, n in batch)
        if num_answering == len(batch):
            self._answers_sec = seconds if self._answers_sec is None else 0.9 * self._answers_sec + 0.1 * seconds
        elif self._answers_sec and any(r.on_delta for r, _ in batch[:num_answering]):
            change = min(max(LIVE_SLOWDOWN * self._answers_sec / seconds, 0.5), 1.2)
            if change < 1 or sum(n for _, n in batch[num_answering:]) >= int(self.live_tokens):
                self.live_tokens = min(max(self.live_tokens * change, MIN_LIVE_TOKENS), self.step_tokens)

    def _sample(self, requests: list[Request], hidden):
        """When it fails for all together, each is tried alone, and whose own fault it was ends alone."""
        try:
            taken = self._draw(requests, hidden)
        except Exception as error:
            if len(requests) == 1:
                return requests[0].finish("error", _describe(error))
            for request, row in zip(requests, hidden.split(1)):
                self._sample([request], row)
            return
        for request, token in zip(requests, taken):
            self._attempt(request, self._take_id, token)

    def _draw(self, requests: list[Request], hidden) -> list[TokenLogprobs]:
        if self._sampling[0] != requests:
            self._sampling = (requests, self._sampling_tensors(requests))
        positions = torch.tensor([len(r.tokens) for r in requests], device=self.device)
        sampled = sample(self.model.logits(hidden), positions=positions, **self._sampling[1])
        return sampled.to_host([request.params.logprobs for request in requests])

    def _attempt(self, request: Request, act: Callable, *arguments):
        """What goes wrong here is this request's own affair."""
        try:
            act(request, *arguments)
        except Exception as error:
            request.finish("error", _describe(error))

    def _score_rows(self, request: Request, hidden, before: int):
        """hidden (T, C) of the positions from `before` on; each foretells the next id of the prompt."""
        skip = max(0, request.fork_at - before)
        for h in hidden[skip:].split(SCORE_ROWS) if skip < len(hidden) else ():
            start = request.fork_at + 1 + len(request.logprobs)
            targets = torch.tensor(request.prompt[start:start + len(h)], device=self.device)
            logits = self.model.logits(h)
            chosen = logits.gather(1, targets[:, None]).squeeze(1)
            request.logprobs += (chosen - logits.logsumexp(dim=-1)).tolist()
            request.is_greedy &= bool((logits.argmax(dim=-1) == targets).all())
        if request.num_pending == 0:
            request.finish("stop")

    def _sampling_tensors(self, requests: list[Request]) -> dict:
        """Per-row settings; a filter that no row uses is None, and what every row has is told once."""
        params = [request.params for request in requests]
        temperatures = {p.temperature for p in params}

        def column(values, dtype, off):
            return None if all(v == off for v in values) else torch.tensor(values, dtype=dtype, device=self.device)

        return {"seeds": torch.tensor([request.seed for request in requests], device=self.device),
                "temperature": temperatures.pop() if temperatures in ({0}, {1}) else
                torch.tensor([p.temperature for p in params], dtype=torch.float32, device=self.device),
                "top_k": column([min(p.top_k, self.tokenizer.vocab_size) for p in params], torch.int64, 0),
                "top_p": column([p.top_p for p in params], torch.float32, 1),
                "min_p": column([p.min_p for p in params], torch.float32, 0),
                "num_logprobs": max(p.logprobs for p in params)}

    def _take_id(self, request: Request, taken: TokenLogprobs, is_forced: bool = False):
        """One more id of the answer."""
        id = taken.id
        request.tokens.append(id)
        request.ids.append(id)
        request.forced.append(is_forced)
        request.logprobs.append(taken.logprob)
        request.top_logprobs.append(taken.top)
        pieces = request.text.push(id) if request.is_read else []
        if request.on_delta and request.params.logprobs and request.text.type == "text" and id not in self._special:
            request.unsent.append((request.text.num_read, taken))
        if (id in self._ends and not is_forced) or request.text.is_stopped:
            request.finish("stop", pieces=pieces)
        elif len(request.ids) >= request.params.max_tokens or len(request.tokens) >= self.max_context:
            request.finish("length", pieces=pieces)
        else:
            if not is_forced:
                self._use_tool(request, id)
            if pieces:
                request.emit(pieces)

    def _use_tool(self, request: Request, id: int):
        """Note where a call begins; when it ends, hand it to the tool's thread."""
        if id == self._python_start and request.code_start is None:
            request.code_start = len(request.ids)
        elif id == self._python_end and request.code_start is not None:
            code = self.tokenizer.decode_bytes(request.ids[request.code_start:-1]).decode("utf-8", "replace")
            request.code_start = None
            self._running.remove(request)
            self._parked.append(request)
            request.parked_at = time.monotonic()
            # a thread of its own: a tool that hangs keeps no other call, and no exit, waiting
            threading.Thread(target=self._call_tool, args=(request, code), name="tool", daemon=True).start()

    def _call_tool(self, request: Request, code: str):
        """In the tool's thread. A refusal is a result too: the model sees it."""
        try:
            result = self._tool(code)
        except CalculatorError as error:
            result = str(error)
        except BaseException as error:
            result = error
        with self._wake:
            self._results.append((request, result))
            self._wake.notify_all()

    def _take_result(self, request: Request, result: str | BaseException):
        if isinstance(result, BaseException):
            raise RuntimeError(f"the tool failed: {_describe(result)}")
        for id in (self._output_start, *self.tokenizer.encode(result), self._output_end):
            if not request.finish_reason:
                self._take_id(request, TokenLogprobs(id, 0.0, []), is_forced=True)

    def _retire(self):
        """Finished requests give back their blocks."""
        for requests in (self._running, self._waiting, self._parked):
            if finished := [request for request in requests if request.finish_reason]:
                for request in finished:
                    requests.remove(request)
                    self.pool.register(request.table, request.numbers, request.tokens, request.num_computed,
                                       is_end=True)
                    self._drop_blocks(request)

    def _end_running(self, reason: str, error: str | None = None):
        for request in self._running:
            if not request.finish_reason:
                request.finish(reason, error)
        self._retire()

    # -------------------------------------------------------------------------
    # Pieces of the above

    def _problem(self, prompt: list[int]) -> str | None:
        """Why this prompt cannot run."""
        if not prompt:
            return "the prompt is empty; start it with bos"
        if len(prompt) >= self.max_context:
            return f"the prompt has {len(prompt)} ids; at most {self.max_context - 1} leave room for an answer"
        return self._stray_id(prompt)

    def _stray_id(self, ids: list[int]) -> str | None:
        vocab_size = self.tokenizer.vocab_size
        if not all(isinstance(i, int) and 0 <= i < vocab_size for i in ids):
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
        first = Request(prompt, params, derive_seed(seed, 0), self.tokenizer, on_delta)
        return [first, *(Request(prompt, params, derive_seed(seed, i), self.tokenizer, leader=first)
                         for i in range(1, params.n))]

    def _enqueue(self, requests: list[Request]):
        with self._wake:
            self._inbox += requests
            self._wake.notify_all()


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def load_chat_engine(source: str | None = None, model_tag: str | None = None, step: int | None = None,
                     device_type: str | None = None, dtype: str | None = None, max_rows: int = 8, *,
                     use_compile: bool = False):
    """(engine, tokenizer, info) of a saved step, see `checkpoint.load_model`; strings as the flags bring them."""
    device = compute_init(device_type)
    if use_compile:
        require_compiler(device)
    dtype = choose_dtype(dtype, device, can_be_int8=True)

    def load():
        model, tok, info = load_model(source, model_tag, step, device=device, dtype=activation_dtype(dtype, device))
        return Engine(model, tok, max_rows=max_rows, dtype=dtype, device=device, use_compile=use_compile), tok, info
    loaded = in_short_thread(load)
    gc.freeze()  # a full collection walks through all that was imported and loaded: 80 ms in the middle of an answer
    return loaded
