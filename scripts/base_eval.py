"""Measure a model on text: bits per byte, beside two codes that need no model, and what it writes.

    python -m scripts.base_eval                                     # the newest base model on its own validation text
    python -m scripts.base_eval --source sft                        # what SFT made of it, on the base model's text
    python -m scripts.base_eval --data train.jsonl --val-data book.jsonl --source sft
"""

import argparse

import torch

from nanochat.checkpoint import load_model
from nanochat.common import (UserError, activation_dtype, choose_dtype, command, compute_init, device_name, dtype_name,
                             get_dist_info, print0)
from nanochat.dataset import resolve_shards
from nanochat.engine import Engine, SamplingParams
from nanochat.files import read_json, write_json
from nanochat.loss_eval import byte_baselines, estimate_bpb, first_tokens
from nanochat.quant import round_weights
from nanochat.run import STAGES, Run, new_record, peak_rss_bytes, process_seconds, runs_dir


def build_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", choices=STAGES, default="base", help="stage of the model (default base)")
    parser.add_argument("--model-tag", help="name of the model (default: the newest)")
    parser.add_argument("--step", type=int, help="its step (default: the newest)")
    parser.add_argument("--data", help="text whose validation split is measured (default: what the base model "
                        "trained on)")
    parser.add_argument("--val-data", help="validation text, as in base_train")
    parser.add_argument("--eval-tokens", type=int, default=2 ** 20, help="at most so many tokens (default 1048576)")
    parser.add_argument("--device-batch-size", type=int, default=8, help="rows per forward pass (default 8)")
    parser.add_argument("--device-type", help="cuda, mps or cpu (default: the best there is)")
    parser.add_argument("--dtype", help="of activations: float32, bfloat16, float64 (default: bf16 where fast); or int8, "
                                        "weights as an int8 engine has them")
    parser.add_argument("--seed", type=int, default=0, help="of the samples (default 0)")
    return parser


@command
def main(args):
    for flag in ("eval_tokens", "device_batch_size"):
        if getattr(args, flag) < 1:
            raise UserError(f"--{flag.replace('_', '-')} {getattr(args, flag)}: at least 1")
    device = compute_init(args.device_type)
    rank, _, world = get_dist_info()
    dtype = choose_dtype(args.dtype, device, can_be_int8=True)
    activations = activation_dtype(dtype, device)
    model, tokenizer, info = load_model(args.source, args.model_tag, args.step, device=device, dtype=activations)
    if dtype == torch.int8:
        round_weights(model, activations)
    data, val_data = args.data, args.val_data
    if data is None and val_data is None:
        data, val_data = text_of_base(info)
    shards = resolve_shards(data, val_data, tokenizer)
    bpb = estimate_bpb(model, shards.val, tokenizer.token_bytes(), sequence_len=model.config.sequence_len,
                       device_batch_size=args.device_batch_size, max_tokens=args.eval_tokens, rank=rank, world=world)
    text = tokenizer.decode_bytes(first_tokens(shards.val, args.eval_tokens + 1).tolist())
    baselines = byte_baselines(text)
    zstd = f", zstd -19 {baselines['zstd19_bpb']:.3f}" if baselines["zstd19_bpb"] else ""
    print0(f"{info['source']}/{info['tag']} step {info['step']}: {bpb.value:.4f} bits per byte (95% interval "
           f"{bpb.ci95[0]:.4f} to {bpb.ci95[1]:.4f}) over {len(text):,} bytes "
           f"(byte frequencies {baselines['byte_unigram_bpb']:.3f}{zstd})")
    samples = sample_from_nothing(model, tokenizer, args.seed) if rank == 0 else []
    for sample in samples:
        print0(f"    {sample!r}")
    result = {"val_bpb": bpb.value, "val_bpb_ci95": bpb.ci95, "bytes": len(text), **baselines, "samples": samples,
              "step": info["step"], "weights_sha256": info["weights_sha256"], "data": shards.fingerprint,
              "seconds": process_seconds()}
    run = Run(info["source"], info["tag"])
    if rank == 0 and dtype != torch.int8:  # the report shows the model as it was trained
        write_json(run.dir / "base_eval.json", result)
    return new_record("base_eval", run.stage, run.tag, status="finished", final_step=info["step"], val_bpb=bpb.value,
                      val_bpb_ci95=bpb.ci95, weights_sha256=info["weights_sha256"], total_sec=process_seconds(),
                      seed=args.seed, device=device_name(device), dtype=dtype_name(dtype),
                      checkpoint=info["checkpoint"], peak_rss_bytes=peak_rss_bytes(), **baselines)


def text_of_base(info: dict) -> tuple[str | None, str | None]:
    """--data and --val-data of the base model that this one, whatever its stage, is named after."""
    path = runs_dir("base") / info["tag"] / "config.json"
    if info["source"] != "base" and not path.exists():
        raise UserError(f"{info['source']}/{info['tag']} has no base model of that name, so its text is not known; "
                        "give --data")
    flags = (info["config"] if info["source"] == "base" else read_json(path))["flags"]
    return flags.get("data"), flags.get("val_data")


def sample_from_nothing(model, tokenizer, seed: int, num_samples: int = 4) -> list[str]:
    """Documents the model makes up, from their first token on."""
    params = SamplingParams(max_tokens=120, temperature=0.8, seed=seed, n=num_samples)
    (completions,) = Engine(model, tokenizer, max_rows=num_samples).generate([[tokenizer.bos_id]], params)
    return [completion.text for completion in completions]


if __name__ == "__main__":
    main(build_parser().parse_args())
