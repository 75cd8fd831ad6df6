"""Decoding beside upstream nanochat's engine: same shape, random weights, greedy, several samples of one prompt.

    python -m dev.upstream_speed --upstream ../upstream --depth 12 --vocab-size 32768 --batch-sizes 1,16

Every contender is a process of its own, because both packages are called nanochat. They load once and then decode in
turn, one at a time, so that what else the machine does meets all of them alike. Ours are the dtypes of --dtypes,
upstream's fp32 and bf16, as shipped: with what our compute_init sets, its bf16 gains too (dev/LOG.md). Ratios are to the
better of those two. Timed is decoding alone, from each row's first token.
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONTEXT = 1024


def build_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upstream", required=True, help="a checkout of karpathy/nanochat")
    parser.add_argument("--depth", type=int, default=12, help="layers (default %(default)s)")
    parser.add_argument("--vocab-size", type=int, default=32768, help="ids (default %(default)s)")
    parser.add_argument("--batch-sizes", default="1,16", help="rows, comma list (default %(default)s)")
    parser.add_argument("--dtypes", default="bfloat16,int8", help="of ours, comma list (default %(default)s)")
    parser.add_argument("--prompt-len", type=int, default=128, help="tokens (default %(default)s)")
    parser.add_argument("--decode-len", type=int, default=96, help="tokens (default %(default)s)")
    parser.add_argument("--no-compile", action="store_true", help="ours eager (default: compiled)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contender (default %(default)s)")
    parser.add_argument("--contender", help=argparse.SUPPRESS)  # "upstream float32": this process is one
    return parser


# -----------------------------------------------------------------------------
# The contenders: (number of rows) -> (seconds, tokens)

def upstream_decoder(args, dtype: str):
    os.environ["NANOCHAT_DTYPE"] = dtype
    config = our_config(args)
    for name in [name for name in sys.modules if name.startswith("nanochat")]:
        del sys.modules[name]
    sys.path.insert(0, str(Path(args.upstream).resolve()))
    import torch
    from nanochat.engine import Engine
    from nanochat.gpt import GPT, GPTConfig
    model = GPT(GPTConfig(sequence_len=CONTEXT, vocab_size=args.vocab_size, n_layer=args.depth, n_head=config.n_head,
                          n_kv_head=config.n_kv_head, n_embd=config.n_embd, window_pattern="L"))
    model.init_weights()
    for block in model.transformer.h:  # zeros until trained
        torch.nn.init.normal_(block.attn.c_proj.weight, 0, 0.02)
        torch.nn.init.normal_(block.mlp.c_proj.weight, 0, 0.02)

    class NoSpecials:
        def encode_special(self, text):
            return -1

        def get_bos_token_id(self):
            return -1
    engine = Engine(model, NoSpecials())

    def decode(num_rows: int) -> tuple[float, int]:
        prompt = [7 * i % args.vocab_size for i in range(args.prompt_len)]
        columns = engine.generate(prompt, num_samples=num_rows, max_tokens=args.decode_len, temperature=0.0)
        next(columns)  # prefill; its tokens are the first of each row
        begin = time.perf_counter()
        count = sum(len(tokens) for tokens, _ in columns)
        return time.perf_counter() - begin, count
    return decode


def our_config(args):
    from nanochat.scaling import model_config
    return model_config(args.depth, vocab_size=args.vocab_size, max_seq_len=CONTEXT)


def our_decoder(args, dtype: str):
    import torch
    from nanochat import bench
    from nanochat.common import choose_dtype, compute_init
    device = compute_init("cpu")
    tokenizer = bench.shape_tokenizer(args.vocab_size)
    begin = time.perf_counter()
    engine = bench.build_engine(bench.random_model(our_config(args)), tokenizer,
                                choose_dtype(dtype, device, can_be_int8=True), device, max(sizes(args)),
                                use_compile=not args.no_compile)
    how = "loaded" if args.no_compile else "loaded and compiled"
    print(f"ours {dtype}: {how} in {time.perf_counter() - begin:.1f} s", file=sys.stderr)

    def decode(num_rows: int) -> tuple[float, int]:
        prompt, = bench.random_prompts(tokenizer, 1, args.prompt_len)
        timing = bench.measure(engine, [prompt] * num_rows, args.decode_len)
        return timing.decode_sec, timing.num_decoded
    return decode


def sizes(args) -> list[int]:
    return [int(size) for size in args.batch_sizes.split(",")]


def contend(args):
    """Answer every line on stdin, a number of rows, with seconds and tokens."""
    who, dtype = args.contender.split()
    decode = {"upstream": upstream_decoder, "ours": our_decoder}[who](args, dtype)
    for line in sys.stdin:
        print(*decode(int(line)), flush=True)


# -----------------------------------------------------------------------------
# The contest

class Contender:
    def __init__(self, name: str):
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "dev.upstream_speed", *sys.argv[1:], "--contender", name], cwd=ROOT,
            text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=None if name.startswith("ours") else subprocess.DEVNULL)

    def tok_per_sec(self, num_rows: int) -> float:
        self.process.stdin.write(f"{num_rows}\n")
        self.process.stdin.flush()
        while len(words := self.process.stdout.readline().split()) != 2:  # upstream greets on stdout
            assert self.process.poll() is None, f"{self.name} ended with {self.process.returncode}"
        return float(words[1]) / float(words[0])

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def print_speeds(num_rows: int, speeds: dict[str, list[float]]):
    theirs = [name for name in speeds if name.startswith("upstream")]
    best = max(theirs, key=lambda name: statistics.median(speeds[name]))
    for name, values in speeds.items():
        ratios = sorted(mine / other for mine, other in zip(values, speeds[best]))
        print(f"{num_rows:4} rows  {name:<18} {statistics.median(values):9,.1f} tok/s "
              f"({min(values):,.1f} to {max(values):,.1f})   "
              f"{statistics.median(ratios):5.2f} times {best} ({ratios[0]:.2f} to {ratios[-1]:.2f})", flush=True)


def main(args):
    with contextlib.ExitStack() as stack:
        names = ["upstream float32", "upstream bfloat16", *(f"ours {dtype}" for dtype in args.dtypes.split(","))]
        contenders = [stack.enter_context(contextlib.closing(Contender(name))) for name in names]
        for num_rows in sizes(args):
            speeds = {name: [] for name in names}
            for number in range(args.rounds + 1):
                for contender in contenders:
                    speed = contender.tok_per_sec(num_rows)
                    print(f"    round {number}, {num_rows} rows, {contender.name}: {speed:,.1f} tok/s", file=sys.stderr)
                    if number:  # the first warms up
                        speeds[contender.name].append(speed)
            print_speeds(num_rows, speeds)


if __name__ == "__main__":
    arguments = build_parser().parse_args()
    contend(arguments) if arguments.contender else main(arguments)
