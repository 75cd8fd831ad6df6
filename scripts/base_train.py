"""Pretrain a model on text.

    python -m scripts.base_train --depth 4                        # a laptop, the embedded world
    python -m scripts.base_train --depth 4 --data book.txt        # your own: .txt .jsonl .parquet, or a folder
    torchrun --nproc_per_node=8 -m scripts.base_train --depth 20 --data shards/

--depth is the dial: width, heads, training tokens, batch size and learning rates follow from it (scaling.py).
Any run continues with --resume auto, equal to the bit on CPU.
"""

import argparse

from nanochat.checkpoint import build_model, checkpoint_bytes, model_json, record_rollback, resume
from nanochat.common import (UserError, choose_dtype, command, compute_init, device_name, dtype_name, get_dist_info,
                             has_compiler, has_fast_bf16, peak_flops, print0, tokenizer_path)
from nanochat.dataloader import build_loader
from nanochat.dataset import resolve_shards
from nanochat.files import require_free_space
from nanochat.gpt import count
from nanochat.guards import Guard
from nanochat.loss_eval import evaluate_bpb
from nanochat.run import Run, add_run_flags, peak_rss_bytes, process_seconds, run_config
from nanochat.saver import Saver, StopSignal
from nanochat.scaling import plan
from nanochat.schedules import lr_multiplier, muon_momentum
from nanochat.tokenizer import Tokenizer
from nanochat.train_loop import (EAGER_STEPS, Meter, build_optimizer, collect_garbage_by_hand, is_due, print_step,
                                 require_interval, should_compile, train_step)
from nanochat.watchdog import Watchdog


def build_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_run_flags(parser)
    data = parser.add_argument_group("data")
    data.add_argument("--data", help="text file, folder, or pre-tokenised shards (default: the embedded world)")
    data.add_argument("--val-data", help="validation text (default: 1%% of the documents, by hash)")
    model = parser.add_argument_group("model and length of the run")
    model.add_argument("--depth", type=int, default=4, help="layers; everything else follows (default 4)")
    model.add_argument("--max-seq-len", type=int, default=512, help="tokens per row (default 512)")
    model.add_argument("--num-iterations", type=int, help="optimizer steps (default: from the data ratio)")
    model.add_argument("--target-param-data-ratio", type=float, help="training tokens per parameter (default 12)")
    model.add_argument("--total-batch-size", type=int, help="tokens per step, all ranks (default: from the depth)")
    model.add_argument("--device-batch-size", type=int, help="rows per forward pass (default: what suits the device)")
    rates = parser.add_argument_group("rates, at the reference batch of 2^19 tokens")
    rates.add_argument("--embedding-lr", type=float, default=0.3, help="AdamW, token embedding (default 0.3)")
    rates.add_argument("--unembedding-lr", type=float, default=0.008, help="AdamW, head (default 0.008)")
    rates.add_argument("--matrix-lr", type=float, default=0.02, help="Muon, hidden matrices (default 0.02)")
    rates.add_argument("--weight-decay", type=float, default=0.28, help="of the matrices, at depth 12 (default 0.28)")
    rates.add_argument("--warmup-steps", type=int, default=20, help="linear warmup, steps (default 20)")
    rates.add_argument("--warmdown-ratio", type=float, default=0.65,
                       help="share of the run that cools down (default 0.65)")
    rates.add_argument("--final-lr-frac", type=float, default=0.05, help="multiplier at the end (default 0.05)")
    look = parser.add_argument_group("looking at it")
    look.add_argument("--eval-every", type=int, help="steps between validation losses (default: only at the end)")
    look.add_argument("--eval-tokens", type=int, default=2 ** 17, help="validation tokens (default 131072)")
    look.add_argument("--sample-every", type=int, help="steps between samples of text (default: only at the end)")
    look.add_argument("--compile", action=argparse.BooleanOptionalAction, help="compiled or eager blocks (default: "
                      "whichever ends sooner, compilation included)")
    return parser


def check_flags(args):
    for flag in ("save_every", "eval_every", "sample_every"):
        require_interval("--" + flag.replace("_", "-"), getattr(args, flag))
    if not 0 <= args.warmdown_ratio <= 1 or not 0 <= args.final_lr_frac <= 1:
        raise UserError("--warmdown-ratio and --final-lr-frac lie between 0 and 1")
    if args.warmup_steps < 0 or args.eval_tokens < 1:
        raise UserError("--warmup-steps takes 0 or more steps, --eval-tokens 1 or more tokens")
    if args.compile and not has_compiler():
        raise UserError("--compile needs a C++ compiler and none was found; install one (g++) or leave the flag out")


@command
def main(args):
    check_flags(args)

    # -----------------------------------------------------------------------------
    # Where we run, on what, and the plan
    device = compute_init(args.device_type)
    rank, _, world = get_dist_info()
    dtype = choose_dtype(args.dtype, device)
    tokenizer = Tokenizer.load(tokenizer_path())
    run_plan = plan(args.depth, vocab_size=tokenizer.vocab_size, max_seq_len=args.max_seq_len, world=world,
                    device_type=device.type, num_iterations=args.num_iterations,
                    target_param_data_ratio=args.target_param_data_ratio, total_batch_size=args.total_batch_size,
                    device_batch_size=args.device_batch_size, embedding_lr=args.embedding_lr,
                    unembedding_lr=args.unembedding_lr, matrix_lr=args.matrix_lr, weight_decay=args.weight_decay)
    config, last = run_plan.config, run_plan.num_iterations
    run = Run("base", args.model_tag or f"d{args.depth}")
    run.check_tag(resume=args.resume, overwrite=args.overwrite)
    shards = resolve_shards(args.data, args.val_data, tokenizer)  # the same text for every --seed
    use_compile = should_compile(config, run_plan.total_tokens, device) if args.compile is None else args.compile

    # -----------------------------------------------------------------------------
    # The run's folder; the settings that decide every update
    plan_json = {key: value for key, value in run_plan.to_json().items() if key not in ("config", "device_batch_size")}
    settings = {"plan": plan_json, "model": model_json(config), "data": shards.fingerprint, "seed": args.seed,
                "dtype": dtype_name(dtype), "compile": use_compile, "warmup_steps": args.warmup_steps,
                "warmdown_ratio": args.warmdown_ratio, "final_lr_frac": args.final_lr_frac}
    finished = run.open(run_config(args, settings, model_json(config), device_name(device)),
                        resume=args.resume, overwrite=args.overwrite, wandb=args.wandb)
    if finished:
        print0(f"{run.stage} model {run.tag!r} is finished")
        return finished

    # -----------------------------------------------------------------------------
    # Model, optimizer, loader: new or where the newest checkpoint stood
    model = build_model(config, device, dtype)
    model.init_weights(args.seed, tokens=tokenizer.ranks, letters=run_plan.letters)
    require_free_space(run.dir, 2 * checkpoint_bytes(model), "saving this model")
    optimizer = build_optimizer(model, embedding_lr=run_plan.embedding_lr, unembedding_lr=run_plan.unembedding_lr,
                                matrix_lr=run_plan.matrix_lr, weight_decay=run_plan.weight_decay,
                                muon_dtype=dtype if has_fast_bf16(device) else model.wte.weight.dtype)
    saved, state = resume(run, model, optimizer, is_asked=bool(args.resume))
    saver = Saver(run, model=model, optimizer=optimizer, tokenizer=tokenizer, saved=saved, keep_last=args.keep_last)
    guard, stop, stopping = Guard(device, state.get("guards")), StopSignal(), False
    watchdog = Watchdog(run.dir)
    start_step, loader_state = state["step"], state["loader"]
    loader = build_loader(shards.train, fingerprint=shards.fingerprint, seed=args.seed, sequence_len=args.max_seq_len,
                          rows_per_step=run_plan.rows_per_step, device_batch_size=run_plan.device_batch_size,
                          rank=rank, world=world, device=device, state=loader_state)
    peak = peak_flops(device_name(device))
    meter = Meter(last, state["meter"], flops_per_token=count(config)["flops_per_token"],
                  peak_flops=peak * world if peak else None)
    print0(f"{config.n_layer} layers of width {config.n_embd}, {count(config)['total']:,} parameters, "
           f"{dtype_name(dtype)} on {device_name(device)}, {'compiled' if use_compile else 'eager'}\n"
           f"{last} steps of {run_plan.total_batch_size:,} tokens = {run_plan.total_tokens:,}, "
           f"{run_plan.accumulation(world)} passes of {run_plan.device_batch_size} rows on {world} rank(s)")

    # -----------------------------------------------------------------------------
    # The loop: save, evaluate, sample, step
    val_bpb = None
    step = saved_step = start_step
    while True:
        # once in a while, and when told to stop: save, before anything that could fail
        if step > saved_step and (stopping or is_due(step, args.save_every, last)):
            saver.save(step, {"loader": loader_state, "meter": meter.state(), "guards": guard.state()})
            saved_step = step
        if stopping:
            saver.stop(step, stop.signum)
        # once in a while: validation loss (all ranks participate)
        if is_due(step, args.eval_every, last):
            val_bpb = evaluate_bpb(model, shards.val, tokenizer.token_bytes(), sequence_len=args.max_seq_len,
                                   device_batch_size=run_plan.device_batch_size, max_tokens=args.eval_tokens,
                                   rank=rank, world=world)
            run.log({"step": step, "val_bpb": val_bpb})
            print0(f"step {step:>5}/{last} | validation {val_bpb:.4f} bits per byte")
        # once in a while: what it writes by now
        if rank == 0 and is_due(step, args.sample_every, last):
            samples = sample_text(model, tokenizer, shards.val, seed=args.seed)
            run.log({"step": step, "event": "samples", "samples": samples})
            print0("\n".join(f"    {prompt}|{text}" for prompt, text in samples))
        if step == last:
            break
        # one step; the first ones are always eager, so that a resumed run switches where the straight one did
        if use_compile and step == max(start_step, EAGER_STEPS):
            model.compile_blocks()
        meter.start_step()
        watchdog.start_step(step + 1)
        lr_mult = lr_multiplier(step, last, warmup_steps=args.warmup_steps, warmdown_frac=args.warmdown_ratio,
                                final_frac=args.final_lr_frac)
        batches = []
        for _ in range(run_plan.accumulation(world)):
            x, y, loader_state = next(loader)
            batches.append({"idx": x, "targets": y})
        result = train_step(model, optimizer, batches, guard, lr_mult=lr_mult, momentum=muon_momentum(step),
                            is_told_to_stop=stop.signum is not None)
        stopping = result.is_told_to_stop
        watchdog.end_step()
        metrics = meter.end_step(step + 1, result, lr_mult=lr_mult, tokens=run_plan.total_batch_size)
        run.log(metrics)
        print_step(meter, metrics)
        collect_garbage_by_hand(step + 1 - start_step)
        step += 1
        # three bad steps in a row: back to the newest checkpoint, and on with batches that were not seen yet
        if guard.note(step, result.problem, result.loss, result.grad_norm):
            state, bad_step = saver.roll_back(), step
            record_rollback(run.dir, loader.skip_since(state["loader"]))
            guard.roll_back(state["guards"])
            meter.load(state["meter"])
            step = saved_step = state["step"]
            run.log({"step": step, "event": "rollback", "from_step": bad_step})

    return run.finish("base_train", final_step=last, **meter.record(), val_bpb=val_bpb, total_sec=process_seconds(),
                      seed=args.seed, device=device_name(device), dtype=dtype_name(dtype),
                      **saver.record(), peak_rss_bytes=peak_rss_bytes(),
                      num_params=count(config)["total"])


def sample_text(model, tokenizer, split, *, seed: int, num_samples: int = 3, prompt_tokens: int = 12) -> list:
    """[prompt, continuation] pairs that start as validation documents do; ids only, so no encoder is needed."""
    from nanochat.engine import Engine, SamplingParams
    docs = range(min(num_samples, len(split.lengths)))
    prompts = [split.tokens(doc, 0, prompt_tokens).tolist() for doc in docs]
    engine = Engine(model, tokenizer, max_rows=num_samples)
    params = SamplingParams(max_tokens=48, temperature=0.8, seed=seed)
    return [[tokenizer.decode(prompt[1:]).replace("\n", " "), answer.text.replace("\n", " ")]
            for prompt, (answer,) in zip(prompts, engine.generate(prompts, params))]


if __name__ == "__main__":
    main(build_parser().parse_args())
