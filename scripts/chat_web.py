"""Serve a model: a chat page and an OpenAI-compatible API, on this machine unless told otherwise.

    python -m scripts.chat_web                          # the newest chat model, http://127.0.0.1:8000
    python -m scripts.chat_web --model-tag d4 --source sft --port 8080
    NANOCHAT_API_KEY=... python -m scripts.chat_web --host 0.0.0.0

Other machines get in only with a key: without NANOCHAT_API_KEY the server refuses to listen to them. With it every
request must carry `Authorization: Bearer <key>`, also on this machine. There is no TLS here; put a proxy in front.
"""

import argparse
import contextlib
import ipaddress
import os
import signal
import socket
import threading

from nanochat.common import UserError, command, print0
from nanochat.run import STAGES

GRACE_SEC = 3  # for open connections when the server is told to stop


def build_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1",
                        help="address to listen on (default 127.0.0.1: this machine only)")
    parser.add_argument("--port", type=int, default=8000, help="0 takes any free one (default 8000)")
    parser.add_argument("--source", choices=STAGES, help="stage of the model (default: rl, else sft, else mid)")
    parser.add_argument("--model-tag", help="name of the model (default: the newest)")
    parser.add_argument("--step", type=int, help="step of the model (default: its newest)")
    parser.add_argument("--device-type", help="cuda, mps or cpu (default: the best there is)")
    parser.add_argument("--dtype", help="float32, bfloat16 or int8 (default: bf16 where fast)")
    parser.add_argument("--compile", action="store_true", help="compile the decode step of a single answer, for speed (CPU, needs a "
                                                              "C++ compiler)")
    return parser


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, taken before the model loads: nobody should wait for that only to find the port in use."""
    if not 0 <= port <= 65535:
        raise UserError(f"--port {port}: choose one from 1 to 65535, or 0 for any free one")
    try:
        family, _, _, _, address = socket.getaddrinfo(host or "?", port, type=socket.SOCK_STREAM)[0]
    except (OSError, ValueError):  # ValueError: a label too long, a null byte
        raise UserError(f"--host {host[:100]!r}: no such address; use 127.0.0.1, "
                        "or 0.0.0.0 for all of this machine's") from None
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port that was just in use may be taken again
        sock.bind(address)
        sock.listen()
    except OSError as error:
        sock.close()
        raise UserError(f"--host {host} --port {port}: {error.strerror}; choose another --port") from None
    return sock


def own_names(host: str, sock: socket.socket, api_key: str | None) -> frozenset | None:
    """Names that requests may be addressed to besides localhost; None is any. What counts is the address bound."""
    if ipaddress.ip_address(sock.getsockname()[0].partition("%")[0]).is_loopback:
        return frozenset({host.lower()})
    if not api_key:
        raise UserError(f"--host {host} is open to other machines: set NANOCHAT_API_KEY to a secret that their "
                        "requests must carry, or use --host 127.0.0.1")
    return None


def url_of(host: str, sock: socket.socket) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{sock.getsockname()[1]}"


def serve(app, engine, sock: socket.socket):
    """Until SIGINT or SIGTERM. Stopping ends the engine first: then open streams end by themselves, with an error."""
    import uvicorn

    class Server(uvicorn.Server):
        async def shutdown(self, sockets=None):
            engine.close()
            await super().shutdown(sockets)

    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=GRACE_SEC)
    Server(config).run(sockets=[sock])


@contextlib.contextmanager
def leave_on_signals():
    """SIGINT and SIGTERM end the program with status 0, also while the model loads. While uvicorn runs it catches them
    itself, shuts down, and then passes them on to here."""
    def leave(number, frame):
        raise SystemExit(0)

    if threading.current_thread() is not threading.main_thread():  # only there can signals be handled
        yield
        return
    before = {number: signal.signal(number, leave) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@command
def main(args):
    api_key = os.environ.get("NANOCHAT_API_KEY") or None
    with leave_on_signals(), listen(args.host, args.port) as sock:
        names = own_names(args.host, sock, api_key)

        from nanochat.engine import load_chat_engine
        from nanochat.gpt import count
        from nanochat.server import create_app
        engine, tokenizer, info = load_chat_engine(args.source, args.model_tag, args.step, args.device_type, args.dtype,
                                                   use_compile=args.compile)
        info["num_params"] = count(engine.model.config)["total"]
        engine.start()
        try:
            app = create_app(engine, tokenizer, info, hosts=names, api_key=api_key)
            print0(f"{info['source']} model {info['tag']}, step {info['step']}: chat at {url_of(args.host, sock)} "
                   "(Ctrl-C stops)")
            serve(app, engine, sock)
        finally:
            engine.close()


if __name__ == "__main__":
    main(build_parser().parse_args())
