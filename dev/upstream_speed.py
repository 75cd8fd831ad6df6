"""Decoding beside upstream nanochat's engine: same shape, random weights, greedy, several samples of one prompt.

    python -m dev.upstream_speed --upstream ../upstream --depth 12 --vocab-size 32768 --batch-sizes 1,16

Every contender is a process of its own, because both packages are called nanochat. They load once and then answer in
turn, one at a time, so that what else the machine does meets all of them alike. Ours are the dtypes of --dtypes,
upstream's fp32 and bf16; ratios are to the better of upstream's two. Timed is decoding alone, from each row's first token on.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

UPSTREAM_DTYPES = ("float32", "bfloat16")
CONTEXT = 1024


def build_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upstream", required=True, help="a checkout of karpathy/nanochat")
    parser.add_argument("--depth", type=int, default=12)
    parser.add_argument("--vocab-size", type=int, default=32768)
    parser.add_argument("--batch-sizes", default="1,16")
    parser.add_argument("--dtypes", default="bfloat16,int8", help="of ours (default %(default)s)")
    parser.add_argument("--prompt-len", type=int, default=128)
    parser.add_argument("--decode-len", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--contend", nargs=2, metavar=("WHO", "DTYPE"), help=argparse.SUPPRESS)
    return parser


# -----------------------------------------------------------------------------
# One contender: answers every line "batch size" with a line of seconds and tokens

def upstream_decoder(args, dtype: str):
    os.environ["NANOCHAT_DTYPE"] = dtype
    sys.path.insert(0, args.upstream)
    import torch
    from nanochat.engine import Engine
    from nanochat.gpt import GPT, GPTConfig
    heads = args.heads
    model = GPT(GPTConfig(sequence_len=CONTEXT, vocab_size=args.vocab_size, n_layer=args.depth, n_head=heads,
                          n_kv_head=heads, n_embd=args.width, window_pattern="L"))
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
    torch.set_flush_denormal(True)

    def decode(num_rows: int, prompt: list[int]) -> tuple[float, int]:
        tokens = engine.generate(prompt, num_samples=num_rows, max_tokens=args.decode_len, temperature=0.0)
        next(tokens)
        begin = time.perf_counter()
        count = sum(len(column) for column, _ in tokens)
        return time.perf_counter() - begin, count
    return decode


def our_decoder(args, dtype: str):
    from nanochat import bench
    from nanochat.common import compute_init
    from nanochat.scaling import model_config
    device = compute_init("cpu")
    config = model_config(args.depth, vocab_size=args.vocab_size, max_seq_len=CONTEXT)
    tokenizer = bench.shape_tokenizer(args.vocab_size)
    model = bench.random_model(config)
    engine = bench.build_engine(model, tokenizer, dtype, device, max_rows=64)

    def decode(num_rows: int, prompt: list[int]) -> tuple[float, int]:
        timing = bench.measure(engine, [prompt] * num_rows, args.decode_len)
        return timing.decode_sec, timing.num_decoded
    return decode
