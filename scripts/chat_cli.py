"""Talk to a model in the terminal.

    python -m scripts.chat_cli                           # the newest chat model; /new starts over, /quit leaves
    python -m scripts.chat_cli -p "What is 417 + 286?"   # one answer, alone on stdout
    python -m scripts.chat_cli -p "Who are you?" --json  # the same as a record

Answers stream. Ctrl-C stops an answer, what was said stays in the chat. Tool calls are shown as [12*34 = 408]; with -p
they go to stderr. Also takes its lines from a pipe, one message each.
"""

import argparse
import contextlib
import io
import os
import sys

from nanochat.chat import CHAT_PARAMS, Answer, fit_prompt
from nanochat.common import UserError, command, print0
from nanochat.engine import SamplingParams, load_chat_engine
from nanochat.run import STAGES, new_record

INTERRUPTED = 130  # exit status of a program that Ctrl-C ended
DIM, PLAIN = "\033[2m", "\033[0m"
# A model's text must not move the cursor, retitle the window or paste: control characters other than \n and \t.
CONTROLS = {code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), *range(127, 160)) if code not in (9, 10)}


def build_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-p", "--prompt", help="ask this, print the answer, leave")
    parser.add_argument("--json", action="store_true", help="with -p: print a record instead of the answer")
    parser.add_argument("--source", choices=STAGES, help="stage of the model (default: rl, else sft, else mid)")
    parser.add_argument("--model-tag", help="name of the model (default: the newest)")
    parser.add_argument("--step", type=int, help="step of the model (default: its newest)")
    parser.add_argument("--device-type", help="cuda, mps or cpu (default: the best there is)")
    parser.add_argument("--dtype", help="float32, bfloat16 or int8 (default: bf16 where fast)")
    parser.add_argument("--temperature", type=float, default=CHAT_PARAMS.temperature,
                        help="0 always takes the likeliest token (default %(default)s)")
    parser.add_argument("--top-k", type=int, default=CHAT_PARAMS.top_k,
                        help="sample from the k likeliest tokens (default %(default)s: from all)")
    parser.add_argument("--top-p", type=float, default=CHAT_PARAMS.top_p,
                        help="sample from the likeliest tokens that hold this probability (default %(default)s: all)")
    parser.add_argument("--max-tokens", type=int, default=CHAT_PARAMS.max_tokens,
                        help="longest answer (default %(default)s)")
    parser.add_argument("--seed", type=int, help="of the samples (default: another one for every answer)")
    return parser


# -----------------------------------------------------------------------------
# The terminal

def use_utf8():
    """Whatever the locale says: our text is UTF-8, and a person's stray byte becomes U+FFFD instead of an exception."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")


class Printer:
    """Writes pieces of an answer as they come: text to `out`, tool calls to `tools`, dim, as [call = output]."""

    def __init__(self, out, tools):
        self.out, self.tools, self.type = out, tools, "text"

    def show(self, piece: dict):
        if piece["type"] != self.type:
            self.switch(piece["type"])
        self.write(piece["text"])

    def switch(self, type: str):
        if self.type == "python_output" or self.type == "python" and type == "text":
            self.write("] ")
        self.type = type
        self.write({"text": "", "python": "[", "python_output": " = "}[type])

    def write(self, text: str):
        stream = self.out if self.type == "text" else self.tools
        if stream.isatty():
            text = text.translate(CONTROLS)
            if text and self.type != "text" and not os.environ.get("NO_COLOR"):
                text = DIM + text + PLAIN
        stream.write(text)
        stream.flush()

    def end(self):
        self.switch("text")
        self.write("\n")


def read_lines():
    """What the person says, line by line. At a terminal: a prompt, line editing, and Ctrl-C for an empty line."""
    if not sys.stdin.isatty():
        yield from (line.rstrip("\r\n") for line in sys.stdin)
        return
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  importing it is what gives input() its line editing
    while True:
        try:
            yield input("\n> ")
        except KeyboardInterrupt:
            print("\n/quit or Ctrl-D leaves", file=sys.stderr)
        except EOFError:
            print(file=sys.stderr)
            return


# -----------------------------------------------------------------------------
# The chat

def ask(engine, tokenizer, messages: list[dict], params: SamplingParams, show=lambda piece: None) -> Answer:
    """Stream one answer. Ctrl-C ends it and keeps what came; raises UserError when the last turn is too long."""
    ids, params = fit_prompt(tokenizer, messages, params, engine.max_context)
    answer = Answer()
    with contextlib.closing(engine.stream(ids, params)) as deltas, contextlib.suppress(KeyboardInterrupt):
        for delta in deltas:
            answer.add(delta)
            for piece in delta.parts:
                show(piece)
    return answer


def converse(engine, tokenizer, params: SamplingParams):
    messages = []
    for line in read_lines():
        match line.strip():
            case "":
                continue
            case "/quit" | "/exit":
                return
            case "/new":
                messages = []
                print0("a new chat")
                continue
        messages.append({"role": "user", "content": line})
        printer = Printer(sys.stdout, sys.stdout)
        try:
            answer = ask(engine, tokenizer, messages, params, printer.show)
        except UserError as error:
            print0(f"error: {error}")
            messages.pop()
            continue
        printer.end()
        if answer.finish_reason == "error":
            print0(f"error: {answer.error}")
        if (message := answer.message()) is None:
            messages.pop()
        else:
            messages.append(message)


def answer_once(engine, tokenizer, params: SamplingParams, args, info: dict) -> dict | None:
    if not args.prompt.strip():
        raise UserError("-p: the question is empty")
    printer = Printer(sys.stdout, sys.stderr)
    answer = ask(engine, tokenizer, [{"role": "user", "content": args.prompt}], params,
                 printer.show if not args.json else lambda piece: None)
    if not args.json:
        printer.end()
    if answer.finish_reason in (None, "error"):  # None: Ctrl-C
        print0(f"error: {answer.error}" if answer.error else "stopped")
        raise SystemExit(1 if answer.error else INTERRUPTED)
    if not args.json:
        return None
    return new_record("chat_cli", info["source"], info["tag"], status="finished", final_step=info["step"],
                      seed=args.seed, checkpoint=info["checkpoint"], weights_sha256=info["weights_sha256"],
                      prompt=args.prompt, answer=answer.text, parts=answer.parts, finish_reason=answer.finish_reason,
                      **answer.timings())


def chat(args, params: SamplingParams) -> dict | None:
    engine, tokenizer, info = load_chat_engine(args.source, args.model_tag, args.step, args.device_type, args.dtype,
                                               max_rows=1)
    if args.prompt is not None:
        return answer_once(engine, tokenizer, params, args, info)
    print0(f"{info['source']} model {info['tag']}, step {info['step']}. /new starts over, /quit leaves.")
    converse(engine, tokenizer, params)
    return None


@command
def main(args):
    if args.json and args.prompt is None:
        raise UserError("--json prints the record of one answer: give the question with -p")
    params = SamplingParams(max_tokens=args.max_tokens, temperature=args.temperature, top_k=args.top_k,
                            top_p=args.top_p, seed=args.seed)
    use_utf8()
    try:
        return chat(args, params)
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    except BrokenPipeError:  # the reader of our output has had enough, as in `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None


if __name__ == "__main__":
    main(build_parser().parse_args())
