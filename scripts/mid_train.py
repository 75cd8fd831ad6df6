"""Midtraining: teach a base model the shape of conversations, with the loss on everything.

    python -m scripts.mid_train                          # the newest base model, the embedded world's chats and text
    python -m scripts.mid_train --data chats.jsonl --text-data book.txt
    python -m scripts.mid_train --tasks smoltalk,mc_train:2,gsm8k:2,spelling --text-data shards/

Rendered conversations and plain documents are mixed as documents of one stream, cut into full rows as in pretraining:
the model learns what users say, what tools answer and when turns end, before SFT narrows the loss to its own turns.
"""

import argparse

import numpy as np

from nanochat.chatdata import load_chat_data
from nanochat.checkpoint import checkpoint_bytes, load_model, model_json, record_rollback, resume
from nanochat.common import (UserError, choose_dtype, command, compute_init, device_name, dtype_name, get_dist_info,
                             has_fast_bf16, print0)
from nanochat.dataloader import MemoryDocuments, build_loader
from nanochat.dataset import resolve_shards
from nanochat.files import require_free_space
from nanochat.gpt import count
from nanochat.guards import Guard
from nanochat.loss_eval import evaluate_bpb
from nanochat.run import Run, add_run_flags, peak_rss_bytes, process_seconds, run_config
from nanochat.saver import Saver, StopSignal
from nanochat.scaling import batch_sizes
from nanochat.schedules import lr_multiplier
from nanochat.train_loop import (Meter, build_optimizer, collect_garbage_by_hand, inherited_rates, is_due, print_step,
                                 require_interval, require_lr_frac, should_compile, train_step)
from nanochat.watchdog import Watchdog
from tasks.training import TASKS_HELP, load_mixture

MOMENTUM = 0.95
NUM_GENERATED = 3_000  # conversations of the embedded world, without --data or --tasks


def build_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_run_flags(parser)
    parser.add_argument("--step", type=int, help="step of the base model to start from (default: its newest)")
    parser.add_argument("--data", help="conversations, JSON lines (default: the embedded world's)")
    parser.add_argument("--tasks", help=TASKS_HELP)
    parser.add_argument("--task-data", help="folder with the tasks' files (default: $NANOCHAT_TASK_DATA, else the hub)")
    parser.add_argument("--val-data", help="validation conversations (default: the tasks' validation splits, 1%% of "
                        "--data)")
    parser.add_argument("--text-data", help="text to mix in: file, folder or shards (default: the embedded world's)")
    parser.add_argument("--text-ratio", type=float, default=0.2,
                        help="share of tokens that are plain text (default 0.2)")
    parser.add_argument("--num-iterations", type=int, help="optimizer steps (default: one pass over the conversations)")
    parser.add_argument("--total-batch-size", type=int, help="tokens per step, all ranks (default: the base model's)")
    parser.add_argument("--device-batch-size", type=int, help="rows per forward pass (default: what suits the device)")
    parser.add_argument("--init-lr-frac", type=float, default=1.0, help="of the base model's peak rates (default 1)")
    parser.add_argument("--warmdown-ratio", type=float, default=0.65,
                        help="share of the run that cools down (default 0.65)")
    parser.add_argument("--final-lr-frac", type=float, default=0.05, help="multiplier at the end (default 0.05)")
    parser.add_argument("--eval-every", type=int, help="steps between validation losses (default: only at the end)")
    return parser


def check_flags(args):
    for flag in ("save_every", "eval_every"):
        require_interval("--" + flag.replace("_", "-"), getattr(args, flag))
    if not (0 <= args.warmdown_ratio <= 1 and 0 <= args.final_lr_frac <= 1 and 0 <= args.text_ratio < 1):
        raise UserError("--warmdown-ratio and --final-lr-frac lie between 0 and 1, --text-ratio from 0 to below 1")
    require_lr_frac("--init-lr-frac", args.init_lr_frac)
    if args.num_iterations is not None and args.num_iterations < 1:
        raise UserError(f"--num-iterations {args.num_iterations}: at least 1")
    if args.text_data is not None and args.text_ratio == 0:
        raise UserError(f"--text-data {args.text_data} with --text-ratio 0: no text is read; leave one of them out")


@command
def main(args):
    check_flags(args)

    # -----------------------------------------------------------------------------
    # The base model, and the documents to train on
    device = compute_init(args.device_type)
    rank, _, world = get_dist_info()
    dtype = choose_dtype(args.dtype, device)
    model, tokenizer, source = load_model("base", args.model_tag, args.step, device=device, dtype=dtype)
    config = model.config
    run = Run("mid", args.model_tag or source["tag"])
    run.check_tag(resume=args.resume, overwrite=args.overwrite)
    mixture = load_mixture(args.tasks, args.task_data, has_data=args.data is not None, num_world=NUM_GENERATED,
                           seed=args.seed)
    chats = load_chat_data(args.data, args.val_data, tokenizer, max_tokens=config.sequence_len, seed=args.seed,
                           num_generated=NUM_GENERATED, mixture=mixture)
    documents = [chat.ids for chat in chats.train]
    chat_tokens = sum(map(len, documents))
    text_fingerprint = None
    if args.text_ratio:
        shards = resolve_shards(args.text_data, None, tokenizer)
        documents += text_documents(shards.train, chat_tokens * args.text_ratio / (1 - args.text_ratio))
        text_fingerprint = shards.fingerprint
    val = MemoryDocuments([chat.ids for chat in chats.val])
    base_plan = source["config"]["settings"]["plan"]
    device_batch_size, total_batch_size = batch_sizes(config.sequence_len, world, device.type, args.total_batch_size,
                                                      args.device_batch_size, base_plan["total_batch_size"])
    last = args.num_iterations or max(1, sum(map(len, documents)) // total_batch_size)
    rates = inherited_rates(base_plan, total_batch_size, args.init_lr_frac)
    rates["weight_decay"] = base_plan["weight_decay"]  # pretraining goes on; without was not tried
    use_compile = should_compile(config, last * total_batch_size, device)

    # -----------------------------------------------------------------------------
    # The run's folder; the settings that decide every update
    settings = {"plan": {**rates, "total_batch_size": total_batch_size, "num_iterations": last},
                "source": source["weights_sha256"], "data": chats.fingerprint, "text": text_fingerprint,
                "text_ratio": args.text_ratio, "seed": args.seed, "dtype": dtype_name(dtype), "compile": use_compile,
                "warmdown_ratio": args.warmdown_ratio, "final_lr_frac": args.final_lr_frac}
    finished = run.open(run_config(args, settings, model_json(config), device_name(device)),
                        resume=args.resume, overwrite=args.overwrite, wandb=args.wandb)
    if finished:
        print0(f"{run.stage} model {run.tag!r} is finished")
        return finished

    # -----------------------------------------------------------------------------
    # Optimizer and loader: new or where the newest checkpoint stood
    require_free_space(run.dir, 2 * checkpoint_bytes(model), "saving this model")
    optimizer = build_optimizer(model, **rates, muon_dtype=dtype if has_fast_bf16(device) else model.wte.weight.dtype)
    saved, state = resume(run, model, optimizer, is_asked=bool(args.resume))
    saver = Saver(run, model=model, optimizer=optimizer, tokenizer=tokenizer, saved=saved, keep_last=args.keep_last)
    guard, stop, stopping = Guard(device, state.get("guards")), StopSignal(), False
    watchdog = Watchdog(run.dir)
    start_step, loader_state = state["step"], state["loader"]
    if use_compile:
        model.compile_blocks()
    rows_per_step = total_batch_size // config.sequence_len
    loader = build_loader(MemoryDocuments(documents), fingerprint=chats.fingerprint, seed=args.seed,
                          sequence_len=config.sequence_len, rows_per_step=rows_per_step,
                          device_batch_size=device_batch_size, rank=rank, world=world, device=device,
                          state=loader_state)
    meter = Meter(last, state["meter"], flops_per_token=count(config)["flops_per_token"])
    print0(f"{len(chats.train):,} conversations and {len(documents) - len(chats.train):,} documents: {last} steps of "
           f"{total_batch_size:,} tokens from base/{source['tag']} step {source['step']}")

    # -----------------------------------------------------------------------------
    # The loop: save, evaluate, step
    val_bpb = None
    step = saved_step = start_step
    while True:
        # once in a while, and when told to stop: save, before anything that could fail
        if step > saved_step and (stopping or is_due(step, args.save_every, last)):
            saver.save(step, {"loader": loader_state, "meter": meter.state(), "guards": guard.state()})
            saved_step = step
        if stopping:
            saver.stop(step, stop.signum)
        # once in a while: validation loss on conversations (all ranks participate)
        if is_due(step, args.eval_every, last):
            val_bpb = evaluate_bpb(model, val, tokenizer.token_bytes(), sequence_len=config.sequence_len,
                                   device_batch_size=device_batch_size, max_tokens=2 ** 17, rank=rank, world=world)
            run.log({"step": step, "val_bpb": val_bpb})
            print0(f"step {step:>5}/{last} | validation {val_bpb:.4f} bits per byte of conversation")
        if step == last:
            break
        # one step
        meter.start_step()
        watchdog.start_step(step + 1)
        lr_mult = lr_multiplier(step, last, warmup_steps=0, warmdown_frac=args.warmdown_ratio,
                                final_frac=args.final_lr_frac)
        batches = []
        for _ in range(rows_per_step // (device_batch_size * world)):
            x, y, loader_state = next(loader)
            batches.append({"idx": x, "targets": y})
        result = train_step(model, optimizer, batches, guard, lr_mult=lr_mult, momentum=MOMENTUM,
                            is_told_to_stop=stop.signum is not None)
        stopping = result.is_told_to_stop
        watchdog.end_step()
        metrics = meter.end_step(step + 1, result, lr_mult=lr_mult, tokens=total_batch_size)
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

    return run.finish("mid_train", final_step=last, **meter.record(), **chats.record(), val_bpb=val_bpb,
                      total_sec=process_seconds(), seed=args.seed, device=device_name(device), dtype=dtype_name(dtype),
                      **saver.record(), peak_rss_bytes=peak_rss_bytes())


def text_documents(split, num_tokens: float) -> list:
    """The first documents of a split, about num_tokens of them together; all when there are fewer."""
    num_docs = int(np.searchsorted(np.cumsum(split.lengths), num_tokens)) + 1
    return [split.tokens(doc, 0, int(split.lengths[doc])) for doc in range(min(num_docs, len(split.lengths)))]


if __name__ == "__main__":
    main(build_parser().parse_args())
