"""How fast a model answers: time to the first token, time per token, tokens per second, each beside what is possible.

    python -m scripts.infer_bench --random --depth 12 --vocab-size 32768 --batch-sizes 1,16   # a shape, untrained
    python -m scripts.infer_bench --model-tag d4 --dtype bfloat16,int8 --batch-sizes 1,16,64  # a trained model
    python -m scripts.infer_bench --random --depth 12 --vs transformers                       # beside Hugging Face

The bounds are measured in the same run: read bandwidth by summing a matrix by rows, FLOP/s by a square matmul. A decode
step cannot be faster than its bytes (weights, and the keys and values its rows see) over the bandwidth: MBU is the
share reached. A prefill cannot be faster than its FLOPs over the machine's: MFU. Answers are greedy and never end early.
"""

import argparse
import statistics
import time

import torch

from nanochat import bench
from nanochat.checkpoint import load_model
from nanochat.common import (UserError, activation_dtype, choose_dtype, command, compute_init, device_name, dtype_name,
                             get_dist_info, print0, require_compiler)
from nanochat.engine import SamplingParams
from nanochat.gpt import count
from nanochat.kvcache import free_bytes
from nanochat.run import STAGES, new_record, peak_rss_bytes, process_seconds
from nanochat.scaling import model_config
from nanochat.tokenizer import MIN_VOCAB_SIZE

MAX_TOKENS = 1 << 17   # of prompt and answer
MAX_ROWS = 4096
TURN_LEN = 32          # new tokens of a chat's turn


def build_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    group = parser.add_argument_group("model")
    group.add_argument("--random", action="store_true", help="random weights of a shape, instead of a trained model")
    group.add_argument("--depth", type=int, help="with --random: layers, 64 channels each (default 12)")
    group.add_argument("--vocab-size", type=int, help="with --random: ids (default 32768)")
    group.add_argument("--source", choices=STAGES, help="stage of a trained model (default: rl, else sft, else mid)")
    group.add_argument("--model-tag", help="its name (default: the newest)")
    group.add_argument("--step", type=int, help="its step (default: the newest)")
    group.add_argument("--device-type", help="cuda, mps or cpu (default: the best there is)")
    group.add_argument("--compile", action="store_true", help="compile the step of a single row first (CPU)")
    group.add_argument("--dtype", help="comma list of float32, bfloat16, float64, int8 (default: bf16 where fast)")
    group = parser.add_argument_group("work")
    group.add_argument("--batch-sizes", default="1,16", help="comma list of answers at once (default %(default)s)")
    group.add_argument("--prompt-len", type=int, default=128, help="tokens of a prompt (default %(default)s)")
    group.add_argument("--decode-len", type=int, default=96, help="tokens of an answer (default %(default)s)")
    group.add_argument("--turns", type=int, default=4,
                       help="of a chat whose past stays in the prefix cache; 0 for none (default %(default)s)")
    group.add_argument("--repeats", type=int, default=3, help="of which the median is reported (default %(default)s)")
    group.add_argument("--vs", choices=["transformers"], help="the same shape through its generate, in the same run")
    return parser


@command
def main(args):
    check(args)
    device = compute_init(args.device_type)
    if args.compile:
        require_compiler(device)
    names = args.dtype.split(",") if args.dtype is not None else [None]
    dtypes = [choose_dtype(name, device, can_be_int8=True) for name in names]
    batch_sizes = parse_batch_sizes(args.batch_sizes)
    transformers = import_transformers() if args.vs else None
    model, tokenizer, info = load(args, device)
    config = model.config
    print0(f"{info['source'] or 'random'} {info['tag']}: depth {config.n_layer}, width {config.n_embd}, "
           f"{config.n_head} heads, {config.vocab_size:,} ids, {count(config)['total']:,} parameters, "
           f"on {device_name(device)}, "
           f"{torch.get_num_threads()} threads")

    rows, turns = [], []
    for dtype in dtypes:
        limits = bench.measure_limits(device, activation_dtype(dtype, device))
        print0(f"\n{dtype_name(dtype)}: reads {limits.bytes_per_sec / 1e9:.1f} GB/s, multiplies "
               f"{limits.flops_per_sec / 1e9:,.0f} GFLOP/s")
        begin = time.perf_counter()
        engine = bench.build_engine(model, tokenizer, dtype, device, max(batch_sizes), use_compile=args.compile)
        load_sec = time.perf_counter() - begin
        print0(f"  weights cast{' and steps compiled' if args.compile else ''} in {load_sec:.1f} s")
        print0(HEADER)
        for num_rows in batch_sizes:
            row = measure_row(engine, limits, num_rows, args)
            rows.append(row | {"dtype": dtype_name(dtype), "load_sec": load_sec})
            print_row(rows[-1])
        if args.turns:
            turns.append({"dtype": dtype_name(dtype), "turns": measure_turns(engine, args)})
            print_turns(turns[-1]["turns"])
    others = [measure_transformers(transformers, config, device, dtype, num_rows, args)
              for dtype in dtypes for num_rows in batch_sizes] if transformers else []
    print_others(rows, others)
    return new_record("infer_bench", info["source"], info["tag"], status="finished", final_step=info["step"],
                      weights_sha256=info["weights_sha256"], checkpoint=info["checkpoint"], seed=0,
                      total_sec=process_seconds(), device=device_name(device), dtype=",".join(map(dtype_name, dtypes)),
                      peak_rss_bytes=peak_rss_bytes(), num_params=count(config)["total"], depth=config.n_layer,
                      vocab_size=config.vocab_size, prompt_len=args.prompt_len, decode_len=args.decode_len,
                      num_threads=torch.get_num_threads(), is_compiled=args.compile, rows=rows, turns=turns,
                      transformers=others)


# -----------------------------------------------------------------------------
# What is measured

def check(args):
    if get_dist_info().world > 1:
        raise UserError("infer_bench runs one process; start it with python -m, not torchrun")
    for flag, least in (("prompt_len", 1), ("decode_len", 2), ("turns", 0), ("repeats", 1)):
        if not least <= getattr(args, flag) <= MAX_TOKENS:
            raise UserError(f"--{flag.replace('_', '-')} {getattr(args, flag)}: from {least} to {MAX_TOKENS}")
    trained = [flag for flag in ("source", "model_tag", "step") if getattr(args, flag) is not None]
    shape = [flag for flag in ("depth", "vocab_size") if getattr(args, flag) is not None]
    for flag in trained if args.random else shape:
        raise UserError(f"--{flag.replace('_', '-')} is for {'a trained model' if args.random else 'random weights'}: "
                        f"{'leave it out with' if args.random else 'give'} --random{'' if args.random else ' too'}")


def parse_batch_sizes(text: str) -> list[int]:
    sizes = [int(word) if word.isascii() and word.isdecimal() else 0 for word in text.split(",")]
    if not all(1 <= size <= MAX_ROWS for size in sizes):
        raise UserError(f"--batch-sizes {text!r}: whole numbers from 1 to {MAX_ROWS}, such as 1,16")
    return sizes


def longest_row(args) -> int:
    return max(args.prompt_len + args.decode_len, args.prompt_len + args.turns * 2 * TURN_LEN)


def load(args, device: torch.device):
    """(model, tokenizer, info); random weights where asked for."""
    if not args.random:
        model, tokenizer, info = load_model(args.source, args.model_tag, args.step, device=device, dtype=torch.float32)
        if longest_row(args) > model.config.sequence_len:
            raise UserError(f"--prompt-len {args.prompt_len}, --decode-len {args.decode_len}, --turns {args.turns} "
                            f"need rows of {longest_row(args)}; this model takes {model.config.sequence_len}")
        return model, tokenizer, info
    depth, vocab_size = args.depth if args.depth is not None else 12, args.vocab_size or 32768
    if not MIN_VOCAB_SIZE <= vocab_size <= bench.MAX_VOCAB_SIZE or args.vocab_size == 0:
        raise UserError(f"--vocab-size {args.vocab_size}: from {MIN_VOCAB_SIZE} to {bench.MAX_VOCAB_SIZE}")
    config = model_config(depth, vocab_size=vocab_size, max_seq_len=max(16, longest_row(args)))
    needed, free = 4 * count(config)["total"], free_bytes(torch.device("cpu"))
    if free is not None and 2 * needed > free:
        raise UserError(f"--depth {depth}: {needed / 2**30:,.1f} GiB of fp32 weights, and as much again to serve them; "
                        f"{free / 2**30:,.1f} are free")
    tag = f"d{depth}"
    return (bench.random_model(config).to(device), bench.shape_tokenizer(vocab_size),
            dict.fromkeys(("source", "step", "weights_sha256", "checkpoint")) | {"tag": tag})


def measure_row(engine, limits, num_rows: int, args) -> dict:
    """One line of the table: medians over the repeats, after one that warms up."""
    prompts = [bench.random_prompts(engine.tokenizer, num_rows, args.prompt_len, seed) for seed in range(args.repeats + 1)]
    timings = [bench.measure(engine, some, args.decode_len) for some in prompts][1:]
    speeds = [t.tok_per_sec for t in timings]
    ttft, tpot = (statistics.median(values) for values in zip(*((t.ttft_sec, t.tpot_sec) for t in timings)))
    least_ttft = limits.prefill_sec(engine.model.config, num_rows * args.prompt_len)
    least_tpot = limits.decode_sec(engine, num_rows, timings[0].context)
    return {"batch_size": num_rows, "tok_per_sec": statistics.median(speeds),
            "tok_per_sec_range": [min(speeds), max(speeds)],
            "ttft_sec": ttft, "tpot_sec": tpot, "mbu": least_tpot / tpot, "mfu": least_ttft / ttft,
            "bound": {"tok_per_sec": num_rows / least_tpot, "ttft_sec": least_ttft, "tpot_sec": least_tpot},
            "step_bytes": round(least_tpot * limits.bytes_per_sec), "bytes_per_sec": limits.bytes_per_sec,
            "flops_per_sec": limits.flops_per_sec, "weight_bytes": engine.model.weight_bytes(),
            "cache_bytes": engine.cache.kv.nbytes}


def measure_turns(engine, args) -> list[dict]:
    """A chat: each turn's prompt is all that was said and TURN_LEN new tokens, of which the beginning is cached."""
    ids, turns = [], []
    for turn in range(args.turns):
        num_new = args.prompt_len if turn == 0 else TURN_LEN
        ids = ids + bench.random_prompts(engine.tokenizer, 1, num_new, seed=1000 + turn)[0]
        hits = engine.pool.num_hit_tokens
        timing = bench.measure(engine, [ids], TURN_LEN)
        turns.append({"prompt_len": len(ids), "cached": engine.pool.num_hit_tokens - hits, "ttft_sec": timing.ttft_sec})
        ids = ids + engine.generate([ids], SamplingParams(max_tokens=TURN_LEN, temperature=0))[0][0].ids
    return turns


# -----------------------------------------------------------------------------
# Hugging Face

def import_transformers():
    try:
        import transformers
    except ImportError as error:
        raise UserError(f"--vs transformers: {error}; install the extra `hf` of pyproject.toml") from None
    return transformers


def measure_transformers(transformers, config, device: torch.device, dtype: torch.dtype, num_rows: int, args) -> dict:
    """A Llama of the same depth, width, heads and ids with random weights; its three MLP matrices hold what our two do.
    Decoding is a whole generate less one of a single token."""
    dtype = activation_dtype(dtype, device)
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(
        vocab_size=config.padded_vocab_size, hidden_size=config.n_embd, intermediate_size=8 * config.n_embd // 3,
        num_hidden_layers=config.n_layer, num_attention_heads=config.n_head, num_key_value_heads=config.n_kv_head,
        max_position_embeddings=longest_row(args), tie_word_embeddings=False)).to(device, dtype).eval()
    ids = torch.randint(0, 256, (num_rows, args.prompt_len), device=device)

    def seconds(num_tokens: int) -> float:
        return bench.best_sec(lambda: model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, pad_token_id=0, min_new_tokens=num_tokens,
            max_new_tokens=num_tokens), device, args.repeats)

    ttft = seconds(1)
    tpot = (seconds(args.decode_len) - ttft) / (args.decode_len - 1)
    return {"batch_size": num_rows, "dtype": dtype_name(dtype), "tok_per_sec": num_rows / tpot, "ttft_sec": ttft,
            "tpot_sec": tpot, "version": transformers.__version__}


# -----------------------------------------------------------------------------
# Tables

HEADER = "  rows      tok/s  (possible)   TTFT ms (possible)   TPOT ms (possible)    MBU    MFU   weights MiB  cache MiB"


def print_row(row: dict):
    bound = row["bound"]
    print0(f"{row['batch_size']:6} {row['tok_per_sec']:10,.0f} {bound['tok_per_sec']:11,.0f} "
           f"{1e3 * row['ttft_sec']:9.1f} {1e3 * bound['ttft_sec']:10.1f} "
           f"{1e3 * row['tpot_sec']:9.2f} {1e3 * bound['tpot_sec']:10.2f} {row['mbu']:6.0%} {row['mfu']:6.0%} "
           f"{row['weight_bytes'] / 2**20:13,.0f} {row['cache_bytes'] / 2**20:10,.0f}")


def print_turns(turns: list[dict]):
    for number, turn in enumerate(turns, 1):
        print0(f"  turn {number}: {turn['prompt_len']} ids, {turn['cached']} of them cached, first token after "
               f"{1e3 * turn['ttft_sec']:.1f} ms")


def print_others(rows: list[dict], others: list[dict]):
    for ours, other in zip(rows, others):
        ratio = ours["tok_per_sec"] / other["tok_per_sec"]
        print0(f"  transformers {other['version']}, {other['dtype']}, {other['batch_size']} rows: "
               f"{other['tok_per_sec']:,.0f} tok/s, TTFT {1e3 * other['ttft_sec']:.1f} ms; ours in {ours['dtype']} "
               f"{ratio:.2f} times as fast")


if __name__ == "__main__":
    main(build_parser().parse_args())
