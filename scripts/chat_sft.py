"""Supervised fine-tuning: the loss on what the assistant says, and on nothing else.

    python -m scripts.chat_sft                          # the newest midtrained model, the embedded world's chats
    python -m scripts.chat_sft --source base --data chats.jsonl
    python -m scripts.chat_sft --tasks smoltalk,gsm8k:4,spelling,chats.jsonl:2 --task-data tasks/
    python -m scripts.chat_sft --stage mid --tasks exercises   # a base model practises one thing before all others

Whole conversations are packed into rows of the model's own length and attend only within themselves. Every row
has targets, and the loss is divided by the supervised tokens of the whole step over all ranks.
"""

import argparse
import math

from nanochat.chatdata import load_chat_data
from nanochat.checkpoint import checkpoint_bytes, load_model, model_json, record_rollback, resume
from nanochat.common import (UserError, choose_dtype, command, compute_init, device_name, dtype_name, get_dist_info,
                             has_fast_bf16, print0)
from nanochat.files import require_free_space
from nanochat.gpt import count
from nanochat.guards import Guard
from nanochat.loss_eval import evaluate_chat_loss
from nanochat.packing import build_chat_loader, collate, pack_greedily, rows_per_epoch
from nanochat.run import Run, add_run_flags, peak_rss_bytes, process_seconds, run_config
from nanochat.saver import Saver, StopSignal
from nanochat.scaling import batch_sizes
from nanochat.schedules import lr_multiplier
from nanochat.train_loop import (Meter, build_optimizer, collect_garbage_by_hand, inherited_rates, is_due, print_step,
                                 require_interval, require_lr_frac, should_compile, train_step)
from nanochat.watchdog import Watchdog
from tasks.training import TASKS_HELP, load_mixture

MOMENTUM = 0.95
NUM_GENERATED = 100_000  # conversations of the embedded world, without --data or --tasks


def build_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_run_flags(parser)
    parser.add_argument("--source", choices=["base", "mid"], help="stage to start from (default: mid, else base)")
    parser.add_argument("--stage", choices=["mid", "sft"], default="sft",
                        help="stage that the model is saved as; mid, from a base model, is to be tuned on (default sft)")
    parser.add_argument("--step", type=int, help="step of that model (default: its newest)")
    parser.add_argument("--data", help="conversations, JSON lines (default: the embedded world's)")
    parser.add_argument("--tasks", help=TASKS_HELP)
    parser.add_argument("--task-data", help="folder with the tasks' files (default: $NANOCHAT_TASK_DATA, else the hub)")
    parser.add_argument("--val-data", help="validation conversations (default: the tasks' validation splits, 1%% of "
                        "--data)")
    parser.add_argument("--max-seq-len", type=int, help="tokens per row, at most the model's (default: the model's)")
    parser.add_argument("--num-iterations", type=int, help="optimizer steps (default: one pass over the conversations)")
    parser.add_argument("--total-batch-size", type=int, help="tokens per step, all ranks (default: the base model's)")
    parser.add_argument("--device-batch-size", type=int, help="rows per forward pass (default: what suits the device)")
    parser.add_argument("--init-lr-frac", type=float, default=0.5,
                        help="of the peak rates of the stage it starts from (default 0.5)")
    parser.add_argument("--embedding-lr-frac", type=float, help="the same of the embeddings alone (default: the same)")
    parser.add_argument("--warmdown-ratio", type=float, default=1.0,
                        help="share of the run that cools down (default 1)")
    parser.add_argument("--eval-every", type=int, help="steps between validation losses (default: only at the end)")
    return parser


def check_flags(args):
    for flag in ("save_every", "eval_every"):
        require_interval("--" + flag.replace("_", "-"), getattr(args, flag))
    if not 0 <= args.warmdown_ratio <= 1:
        raise UserError(f"--warmdown-ratio {args.warmdown_ratio:g}: between 0 and 1")
    require_lr_frac("--init-lr-frac", args.init_lr_frac)
    require_lr_frac("--embedding-lr-frac", args.embedding_lr_frac)
    if args.num_iterations is not None and args.num_iterations < 1:
        raise UserError(f"--num-iterations {args.num_iterations}: at least 1")
    if args.stage == "mid" and args.source == "mid":
        raise UserError("--stage mid --source mid: a midtrained model is made from a base model; give --source base")


@command
def main(args):
    check_flags(args)

    # -----------------------------------------------------------------------------
    # The model to start from, and the conversations
    device = compute_init(args.device_type)
    rank, _, world = get_dist_info()
    dtype = choose_dtype(args.dtype, device)
    sources = ("base",) if args.stage == "mid" else ("mid", "base")
    model, tokenizer, source = load_model(args.source or sources, args.model_tag, args.step, device=device,
                                          dtype=dtype)
    config = model.config
    run = Run(args.stage, args.model_tag or source["tag"])
    run.check_tag(resume=args.resume, overwrite=args.overwrite)
    sequence_len = config.sequence_len if args.max_seq_len is None else args.max_seq_len
    if not 16 <= sequence_len <= config.sequence_len:
        raise UserError(f"--max-seq-len {args.max_seq_len}: from 16 to the model's {config.sequence_len} tokens")
    mixture = load_mixture(args.tasks, args.task_data, has_data=args.data is not None, num_world=NUM_GENERATED,
                           seed=args.seed + 1)
    chats = load_chat_data(args.data, args.val_data, tokenizer, max_tokens=sequence_len, seed=args.seed + 1,
                           num_generated=NUM_GENERATED, mixture=mixture)
    source_plan = source["config"]["settings"]["plan"]
    device_batch_size, total_batch_size = batch_sizes(sequence_len, world, device.type, args.total_batch_size,
                                                      args.device_batch_size, source_plan["total_batch_size"])
    rows_per_step = total_batch_size // sequence_len
    last = args.num_iterations or math.ceil(rows_per_epoch(chats.train, sequence_len, args.seed) / rows_per_step)
    rates = inherited_rates(source_plan, total_batch_size, args.init_lr_frac, args.embedding_lr_frac)
    use_compile = should_compile(config, last * total_batch_size, device)

    # -----------------------------------------------------------------------------
    # The run's folder; the settings that decide every update
    settings = {"plan": {**rates, "total_batch_size": total_batch_size, "num_iterations": last},
                "source": source["weights_sha256"], "max_seq_len": sequence_len, "data": chats.fingerprint,
                "seed": args.seed, "dtype": dtype_name(dtype), "compile": use_compile,
                "warmdown_ratio": args.warmdown_ratio}
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
    loader = build_chat_loader(chats.train, fingerprint=chats.fingerprint, seed=args.seed,
                               sequence_len=sequence_len, rows_per_step=rows_per_step,
                               device_batch_size=device_batch_size, pad_id=tokenizer.bos_id, rank=rank, world=world,
                               device=device, state=loader_state)
    meter = Meter(last, state["meter"], flops_per_token=count(config)["flops_per_token"])
    print0(f"{len(chats.train):,} conversations: {last} steps of {total_batch_size:,} tokens "
           f"from {source['source']}/{source['tag']} step {source['step']}")

    # -----------------------------------------------------------------------------
    # The loop: save, evaluate, step
    val_loss = None
    step = saved_step = start_step
    while True:
        # once in a while, and when told to stop: save, before anything that could fail
        if step > saved_step and (stopping or is_due(step, args.save_every, last)):
            saver.save(step, {"loader": loader_state, "meter": meter.state(), "guards": guard.state()})
            saved_step = step
        if stopping:
            saver.stop(step, stop.signum)
        # once in a while: loss on held-out answers (all ranks participate)
        if is_due(step, args.eval_every, last):
            rows = pack_greedily(chats.val, sequence_len)[rank::world]
            val_loss = evaluate_chat_loss(model, (collate(rows[i:i + device_batch_size], sequence_len,
                                                          tokenizer.bos_id).to(device)
                                                  for i in range(0, len(rows), device_batch_size)))
            run.log({"step": step, "val_loss": val_loss})
            print0(f"step {step:>5}/{last} | validation {val_loss:.4f} nats per answer token")
        if step == last:
            break
        # one step
        meter.start_step()
        watchdog.start_step(step + 1)
        lr_mult = lr_multiplier(step, last, warmup_steps=0, warmdown_frac=args.warmdown_ratio, final_frac=0.0)
        batches = []
        for _ in range(rows_per_step // (device_batch_size * world)):
            batch, loader_state = next(loader)
            batches.append(batch._asdict())
        result = train_step(model, optimizer, batches, guard, lr_mult=lr_mult, momentum=MOMENTUM,
                            is_told_to_stop=stop.signum is not None)
        stopping = result.is_told_to_stop
        watchdog.end_step()
        metrics = meter.end_step(step + 1, result, lr_mult=lr_mult, tokens=total_batch_size)
        run.log(metrics | {"num_targets": result.num_targets})
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

    return run.finish("chat_sft", final_step=last, **meter.record(), **chats.record(), val_loss=val_loss,
                      total_sec=process_seconds(), seed=args.seed, device=device_name(device), dtype=dtype_name(dtype),
                      **saver.record(), peak_rss_bytes=peak_rss_bytes())


if __name__ == "__main__":
    main(build_parser().parse_args())
