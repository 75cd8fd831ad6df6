"""The HTTP edge: the page, OpenAI's chat completions over one engine, and who may talk to them.

The engine runs in its own thread and calls back with deltas; everything here runs on one event loop that never waits
for a token, so /health answers while answers stream. A request is checked before it costs anything, waits in a bounded
queue, and is taken out of the engine when its client goes away. What can be wrong is said with a status as long as no
byte is out, and as an error event after that.

Left out: CORS (the page is served from here), TLS, several models; a pool of replicas is another program.
"""

import asyncio
import hmac
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from nanochat import api
from nanochat.api import ApiError
from nanochat.chat import Answer, fit_prompt
from nanochat.common import UserError
from nanochat.engine import Delta

MAX_BODY_BYTES = 1_000_000
HEARTBEAT_SEC = 5.0         # of silence, after which the stream gets a comment and the engine is looked at
SEND_TIMEOUT_SEC = 60.0     # a client that does not read for so long is gone
RETRY_AFTER_SEC = 2
LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})

UI_DIR = Path(__file__).parent / "ui"
MEDIA_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
# Trusted Types 'none': the browser itself refuses innerHTML with a string, for every script of the page.
SECURITY_HEADERS = {
    "content-security-policy":
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'",
    "x-content-type-options": "nosniff", "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


def create_app(engine, tokenizer, info: dict, *, max_pending: int = 9,
               hosts: frozenset[str] | None = frozenset(), api_key: str | None = None) -> FastAPI:
    """The app over a started engine. `max_pending` counts requests being answered or waiting; the next gets a 429.

    `hosts` are names besides localhost that a request may be addressed to; others are refused, else a foreign page
    could point its own name at us (DNS rebinding). None takes any name and needs an `api_key`. With a key everything
    but the page and /health asks for it.
    """
    assert hosts is not None or api_key, "a server that answers to any name needs a key"
    app = FastAPI(title="nanochat", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    served_model, card = api.model_id(info), api.model_card(info, engine.max_context)
    slots = Slots(max_pending)
    add_error_handlers(app)
    public_paths = {"/health"} | add_page(app)
    app.add_middleware(Guard, hosts=None if hosts is None else hosts | LOOPBACK_NAMES,
                       api_key=api_key, public_paths=public_paths)

    @app.get("/health")
    async def health():
        require_alive(engine)
        return JSONResponse({"status": "ok", "model": served_model, "in_flight": slots.num_taken})

    @app.get("/v1/models")
    async def list_models():
        return JSONResponse({"object": "list", "data": [card]})

    @app.get("/v1/models/{model}")
    async def get_model(model: str):
        require_model(model, served_model)
        return JSONResponse(card)

    @app.post("/v1/chat/completions")
    async def chat_completions(request: Request):
        body = api.parse_chat_request(await read_json_body(request))
        require_model(body.model, served_model)
        messages, params = api.to_messages(body), api.to_params(body, engine.max_context)
        require_alive(engine)
        answer = Answer()
        slots.take()
        job = None
        try:
            ids, params = await run_in_threadpool(fit_or_refuse, tokenizer, messages, params, engine.max_context)
            job = Job(engine, ids, params, request, slots)
            reply = api.Reply(served_model, len(ids), tokenizer, wants_usage=body.wants_usage, num_top=body.num_top)
            if body.stream:
                return await start_stream(job, answer, reply)
            return await whole_answer(job, answer, reply)
        finally:
            if job is None:
                slots.give_back()
            elif not job.is_streaming:
                job.close()

    return app


# -----------------------------------------------------------------------------
# Requests

async def read_json_body(request: Request) -> bytes:
    """The content type is part of the defence: a foreign page can send text/plain without asking, but not this."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise ApiError(415, "the content type must be application/json")
    too_large = ApiError(413, f"the body is larger than {MAX_BODY_BYTES:,} bytes", headers={"connection": "close"})
    with suppress(ValueError):
        if int(request.headers.get("content-length", 0)) > MAX_BODY_BYTES:
            raise too_large
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise too_large
    return body


def require_model(model: str, served_model: str):
    if model != served_model:
        raise ApiError(404, f"no model {model[:100]!r} here; this server has {served_model!r}", param="model",
                       code="model_not_found")


def require_alive(engine):
    if not engine.is_alive():
        raise ApiError(503, "the engine has stopped; restart the server", code="engine_dead")


def fit_or_refuse(tokenizer, messages: list[dict], params, max_context: int):
    try:
        return fit_prompt(tokenizer, messages, params, max_context)
    except UserError as error:
        raise ApiError(400, str(error), param="messages", code="context_length_exceeded") from None


# -----------------------------------------------------------------------------
# One request in the engine

class ClientGone(Exception):
    """The connection was closed from the other side."""


class Slots:
    """How many requests are inside. Used on the event loop alone, so a plain count will do."""

    def __init__(self, num_slots: int):
        self.num_slots, self.num_taken = num_slots, 0

    def take(self):
        if self.num_taken >= self.num_slots:
            raise ApiError(429, "the model is busy and its queue is full; try again in a moment", code="queue_full",
                           headers={"retry-after": str(RETRY_AFTER_SEC)})
        self.num_taken += 1

    def give_back(self):
        self.num_taken -= 1


class Job:
    """A request between the engine's thread, which puts its deltas here, and the event loop, which takes them."""

    def __init__(self, engine, ids: list[int], params, request: Request, slots: Slots):
        self.engine, self.slots = engine, slots
        self.is_streaming = self.is_finished = False
        self.inbox: asyncio.Queue[Delta | None] = asyncio.Queue()  # bounded by max_tokens
        self.loop = asyncio.get_running_loop()
        self.id = engine.submit(ids, params, self.on_delta)
        self.watcher = asyncio.create_task(self.watch(request))

    def on_delta(self, delta: Delta):
        with suppress(RuntimeError):  # the loop is closed when the server stops before the engine
            self.loop.call_soon_threadsafe(self.inbox.put_nowait, delta)

    async def watch(self, request: Request):
        """With the body read, the next message is the end of the connection."""
        while (await request.receive())["type"] != "http.disconnect":
            pass
        self.inbox.put_nowait(None)

    async def next(self) -> Delta | None:
        """The next delta, or None after a while of silence. Raises ClientGone, and ApiError when the engine failed:
        an answer that ended in any way but its own is never passed off as whole."""
        try:
            async with asyncio.timeout(HEARTBEAT_SEC):
                delta = await self.inbox.get()
        except TimeoutError:
            require_alive(self.engine)
            return None
        if delta is None:
            raise ClientGone
        self.is_finished = delta.finish_reason is not None
        if delta.finish_reason == "error":
            raise ApiError(500, f"the engine failed on this request: {delta.error}", code="engine_error")
        if delta.finish_reason == "abort":
            raise ApiError(503, "the answer was cut off: the server is stopping", code="aborted")
        return delta

    def close(self):
        self.watcher.cancel()
        if not self.is_finished:
            self.engine.abort(self.id)
        self.slots.give_back()


async def whole_answer(job: Job, answer: Answer, reply: api.Reply) -> Response:
    while answer.finish_reason is None:
        if delta := await job.next():
            answer.add(delta)
    return JSONResponse(reply.completion(answer))


async def start_stream(job: Job, answer: Answer, reply: api.Reply) -> Response:
    """Waits for the first delta, so that a request which fails at once still gets a status. From here on the job
    belongs to the response."""
    first = await job.next()
    job.is_streaming = True
    return EventStream(job, events(job, answer, reply, first))


async def events(job: Job, answer: Answer, reply: api.Reply, delta: Delta | None):
    yield api.sse(reply.first_chunk())
    try:
        while True:
            if delta is None:
                yield api.SSE_KEEPALIVE
            else:
                answer.add(delta)
                if delta.parts or delta.logprobs:
                    yield api.sse(reply.delta_chunk(delta))
                if delta.finish_reason:
                    break
            delta = await job.next()
        for chunk in reply.last_chunks(answer):
            yield api.sse(chunk)
    except ApiError as error:
        yield api.sse(error.body())
    yield api.SSE_DONE


class EventStream(Response):
    """Sends the events as they come. Whatever happens, the job is closed: aborted if its answer was not finished.
    (Starlette's StreamingResponse has no place for that when the client is gone before the first event.)"""
    media_type = "text/event-stream"

    def __init__(self, job: Job, events):
        super().__init__(headers={"cache-control": "no-cache", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self.job, self.events = job, events

    async def __call__(self, scope, receive, send):
        async def send_in_time(message: dict):
            async with asyncio.timeout(SEND_TIMEOUT_SEC):
                await send(message)

        try:
            await send_in_time({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async for event in self.events:
                await send_in_time({"type": "http.response.body", "body": event, "more_body": True})
            await send_in_time({"type": "http.response.body", "body": b""})
        except (ClientGone, TimeoutError, OSError):
            pass
        finally:
            self.job.close()


# -----------------------------------------------------------------------------
# The edge

class Guard:
    """Around everything: who is addressed, who asks, and the headers that keep a browser on our side."""

    def __init__(self, app, hosts: frozenset[str] | None, api_key: str | None, public_paths: set[str]):
        self.app, self.hosts, self.public_paths = app, hosts, public_paths
        self.expected = f"Bearer {api_key}".encode() if api_key else None

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        async def send_with_headers(message: dict):
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
            await send(message)

        refusal = self.refusal(Headers(scope=scope), scope["path"])
        app = error_response(refusal) if refusal else self.app
        await app(scope, receive, send_with_headers)

    def refusal(self, headers: Headers, path: str) -> ApiError | None:
        host, origin = hostname("//" + headers.get("host", "")), headers.get("origin")
        if self.hosts is not None and host not in self.hosts:
            return ApiError(403, "this server answers only to its own address", code="wrong_host")
        if origin is not None and hostname(origin) not in (self.hosts or {host}):
            return ApiError(403, "requests from other sites are refused", code="wrong_origin")
        if self.expected and path not in self.public_paths:
            given = headers.get("authorization", "").encode("latin-1")
            if not hmac.compare_digest(given, self.expected):
                return ApiError(401, "a valid API key is needed: Authorization: Bearer <key>", code="invalid_api_key",
                                headers={"www-authenticate": "Bearer"})
        return None


def hostname(url: str) -> str | None:
    """"//127.0.0.1:8000" -> "127.0.0.1"; None for what is no address, such as the origin "null"."""
    with suppress(ValueError):
        return urlsplit(url).hostname
    return None


def add_page(app: FastAPI) -> set[str]:
    """Routes for the files of ui/, read once. Returns their paths."""
    paths = set()
    for file in sorted(UI_DIR.iterdir()):
        path = "/" if file.name == "index.html" else f"/{file.name}"
        app.add_route(path, file_endpoint(file.read_bytes(), MEDIA_TYPES[file.suffix]), methods=["GET"])
        paths.add(path)
    return paths


def file_endpoint(content: bytes, media_type: str):
    async def serve(request: Request):
        return Response(content, media_type=media_type, headers={"cache-control": "no-cache"})
    return serve


def error_response(error: ApiError) -> JSONResponse:
    return JSONResponse(error.body(), status_code=error.status, headers=error.headers)


def add_error_handlers(app: FastAPI):
    """Every error leaves as OpenAI's error object, also those of the router and our own bugs."""
    @app.exception_handler(ApiError)
    async def on_api_error(request: Request, error: ApiError):
        return error_response(error)

    @app.exception_handler(ClientGone)
    @app.exception_handler(ClientDisconnect)
    async def on_client_gone(request: Request, error: Exception):
        return Response(status_code=499)  # nobody reads it

    @app.exception_handler(HTTPException)
    async def on_http_error(request: Request, error: HTTPException):
        message = {404: f"nothing at {request.url.path[:200]}", 405: f"{request.method} is not for this path"}
        return error_response(ApiError(error.status_code, message.get(error.status_code, str(error.detail)),
                                       headers=error.headers))

    @app.exception_handler(Exception)  # starlette answers with this and raises on, so the traceback is logged
    async def on_bug(request: Request, error: Exception):
        return error_response(ApiError(500, "something went wrong on our side; see the server's log", code="internal"))
