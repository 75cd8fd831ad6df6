"""Reinforcement learning on graded answers: on-policy REINFORCE against the mean of each prompt's group.

    python -m scripts.chat_rl                             # the newest SFT model, skills of the embedded world
    python -m scripts.chat_rl --skills format,comparing --num-iterations 60

Each step draws new training questions, samples several answers to each in one call of the engine, grades them, and
makes one update. Conversations about the other skills are replayed beside them, so that practising one thing does not
unlearn another. See policy.py for the objective.
"""

import argparse

from nanochat.checkpoint import checkpoint_bytes, load_model, model_json, resume
from nanochat.common import (UserError, all_reduce_sum, choose_dtype, command, compute_init, device_name, dtype_name,
                             get_dist_info, has_fast_bf16, print0)
from nanochat.conversation import render, render_prompt
from nanochat.dataloader import shuffled_order
from nanochat.engine import Engine, SamplingParams
from nanochat.files import require_free_space
from nanochat.guards import Guard
from nanochat.packing import collate, pack_greedily
from nanochat.policy import policy_sequences, replay_sequences
from nanochat.run import Run, add_run_flags, peak_rss_bytes, process_seconds, run_config
from nanochat.saver import Saver, StopSignal
from nanochat.scaling import batch_sizes
from nanochat.schedules import linear_to_zero
from nanochat.task_eval import evaluate_task, safe_grade
from nanochat.train_loop import (Meter, build_optimizer, inherited_rates, is_due, print_step, require_interval,
                                 train_step)
from nanochat.tinyworld_chats import SKILLS, UNGRADED, conversation
from tasks.tinyworld import TinyWorld

MOMENTUM = 0.85           # short memory: the policy that sampled a gradient is gone after a few steps
POOL_SIZE = 5_000         # training questions per skill
REPLAY_SEED = 2           # added to --seed: SFT adds 1, so what is replayed was not in its conversations


def build_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_run_flags(parser)
    parser.add_argument("--source", choices=["sft", "mid"], help="stage to start from (default: sft)")
    parser.add_argument("--step", type=int, help="step of that model (default: its newest)")
    parser.add_argument("--skills", default="format", help=f"comma list of {', '.join(SKILLS)} (default format)")
    parser.add_argument("--num-iterations", type=int, default=20, help="optimizer steps (default 20)")
    parser.add_argument("--prompts-per-step", type=int, default=16, help="questions, all ranks (default 16)")
    parser.add_argument("--num-samples", type=int, default=8, help="answers to each question (default 8)")
    parser.add_argument("--replay", type=int, help="conversations about the other skills in each step, all ranks "
                        "(default: as many as questions; 0: none)")
    parser.add_argument("--max-new-tokens", type=int, default=96, help="of an answer (default 96)")
    parser.add_argument("--temperature", type=float, default=1.0, help="of sampling (default 1: on-policy)")
    parser.add_argument("--device-batch-size", type=int, help="rows per forward pass (default: what suits the device)")
    parser.add_argument("--init-lr-frac", type=float, default=0.05, help="of the SFT's peak rates (default 0.05)")
    parser.add_argument("--eval-every", type=int, help="steps between validation accuracies (default: only at the end)")
    parser.add_argument("--eval-items", type=int, default=100, help="validation questions per skill (default 100)")
    return parser


def check_flags(args) -> list[str]:
    for flag in ("save_every", "eval_every"):
        require_interval("--" + flag.replace("_", "-"), getattr(args, flag))
    for flag, least in (("num_iterations", 1), ("prompts_per_step", 1), ("num_samples", 2), ("max_new_tokens", 1),
                        ("eval_items", 1), ("replay", 0)):
        if getattr(args, flag) is not None and getattr(args, flag) < least:
            raise UserError(f"--{flag.replace('_', '-')} {getattr(args, flag)}: at least {least}")
    if not 0 < args.temperature <= 2:
        raise UserError(f"--temperature {args.temperature:g}: above 0, at most 2; a group needs different answers")
    if not 0 < args.init_lr_frac <= 10:
        raise UserError(f"--init-lr-frac {args.init_lr_frac:g}: above 0, usually at most 1")
    skills = args.skills.split(",")
    for skill in skills:
        if skill not in SKILLS:
            raise UserError(f"--skills {skill}: choose from {', '.join(SKILLS)}")
    return skills


@command
def main(args):
    skills = check_flags(args)

    # -----------------------------------------------------------------------------
    # The model to start from, and the questions
    device = compute_init(args.device_type)
    rank, _, world = get_dist_info()
    dtype = choose_dtype(args.dtype, device)
    model, tokenizer, source = load_model(args.source or "sft", args.model_tag, args.step, device=device, dtype=dtype)
    config = model.config
    if args.prompts_per_step % world:
        raise UserError(f"--prompts-per-step {args.prompts_per_step}: a multiple of the {world} ranks, "
                        f"such as {max(1, args.prompts_per_step // world) * world}")
    tasks = [TinyWorld(skill, "train", min(POOL_SIZE, args.num_iterations * args.prompts_per_step)) for skill in skills]
    questions = [(task, i) for task in tasks for i in range(len(task))]
    replayed = tuple(skill for skill in (*SKILLS, *UNGRADED) if skill not in skills)
    num_replayed = args.prompts_per_step if args.replay is None else args.replay
    source_plan = source["config"]["settings"]["plan"]
    device_batch_size, _ = batch_sizes(config.sequence_len, 1, device.type, None, args.device_batch_size,
                                       source_plan["total_batch_size"])
    rates = inherited_rates(source_plan, source_plan["total_batch_size"], args.init_lr_frac) | {"weight_decay": 0.0}
    last = args.num_iterations

    # -----------------------------------------------------------------------------
    # The run's folder; the settings that decide every update
    run = Run("rl", args.model_tag or source["tag"])
    settings = {"plan": {**rates, "num_iterations": last}, "source": source["weights_sha256"], "skills": skills,
                "prompts_per_step": args.prompts_per_step, "num_samples": args.num_samples,
                "replay": num_replayed, "max_new_tokens": args.max_new_tokens, "temperature": args.temperature, "seed": args.seed,
                "dtype": dtype_name(dtype)}
    finished = run.open(run_config(args, settings, model_json(config), device_name(device)),
                        resume=args.resume, overwrite=args.overwrite, wandb=args.wandb)
    if finished:
        print0(f"{run.stage} model {run.tag!r} is finished")
        return finished

    # -----------------------------------------------------------------------------
    # Optimizer and engine: new or where the newest checkpoint stood
    require_free_space(run.dir, 2 * checkpoint_bytes(model), "saving this model")
    optimizer = build_optimizer(model, **rates, muon_dtype=dtype if has_fast_bf16(device) else model.wte.weight.dtype)
    saved, state = resume(run, model, optimizer, is_asked=bool(args.resume))
    saver = Saver(run, model=model, optimizer=optimizer, tokenizer=tokenizer, saved=saved, keep_last=args.keep_last)
    guard, stop, stopping = Guard(device, state.get("guards")), StopSignal(), False
    start_step = state["step"]
    engine = Engine(model, tokenizer, max_rows=128)
    meter = Meter(last, state["meter"])
    reward_sum, num_skipped = state.get("reward_sum", 0.0), state.get("num_skipped", 0)
    print0(f"{', '.join(skills)}: {last} steps of {args.prompts_per_step} questions x {args.num_samples} answers "
           f"from {source['source']}/{source['tag']} step {source['step']}")

    # -----------------------------------------------------------------------------
    # The loop: save, evaluate, sample answers, grade, step
    accuracy = None
    step = saved_step = start_step
    while True:
        # once in a while, and when told to stop: save, before anything that could fail
        if step > saved_step and (stopping or is_due(step, args.save_every, last)):
            saver.save(step, {"meter": meter.state(), "reward_sum": reward_sum, "num_skipped": num_skipped,
                              "guards": guard.state()})
            saved_step = step
        if stopping:
            saver.stop(step, stop.signum)
        engine.load_weights(model)  # the policy of this step
        # once in a while: greedy accuracy on validation questions (the same on every rank)
        if step == 0 or is_due(step, args.eval_every, last):
            accuracy = {skill: evaluate_task(engine, TinyWorld(skill, "val", args.eval_items)).accuracy
                        for skill in skills}
            run.log({"step": step, "event": "eval", "accuracy": accuracy})
            shown = ", ".join(f"{skill} {100 * value:.1f}%" for skill, value in accuracy.items())
            print0(f"step {step:>5}/{last} | validation {shown}")
        if step == last:
            break
        # one step: this rank's questions, all answers in one call
        meter.start_step()
        batch = step + num_skipped  # what was rolled back is not asked again
        drawn = draw_questions(len(questions), args.prompts_per_step, args.seed, batch)[rank::world]
        examples = [(questions[i][0], questions[i][0][questions[i][1]]) for i in drawn]
        prompts = [render_prompt(tokenizer, example.conversation) for _, example in examples]
        params = [SamplingParams(max_tokens=args.max_new_tokens, temperature=args.temperature, n=args.num_samples,
                                 seed=sample_seed(args.seed, batch, i)) for i in drawn]
        groups = engine.generate(prompts, params)
        sequences, rewards_here = [], []
        for (task, example), prompt, completions in zip(examples, prompts, groups):
            rewards = [safe_grade(task, example, completion) for completion in completions]
            sequences += policy_sequences(prompt, completions, rewards)
            rewards_here += rewards
        tokens_here = sum(len(completion.ids) for group in groups for completion in group)
        chats = [conversation("train", i, args.seed + REPLAY_SEED, replayed)
                 for i in range(batch * num_replayed, (batch + 1) * num_replayed)[rank::world]]
        sequences += replay_sequences((render(tokenizer, chat) for chat in chats), config.sequence_len)
        reward, num_answers, tokens = all_reduce_sum(sum(rewards_here), len(rewards_here), tokens_here, device=device)
        reward_sum += reward / num_answers
        rows = pack_greedily(sequences, config.sequence_len)
        batches = (collate(rows[i:i + device_batch_size], config.sequence_len, tokenizer.bos_id).to(device)._asdict()
                   for i in range(0, len(rows), device_batch_size))
        lr_mult = linear_to_zero(step, last)
        result = train_step(model, optimizer, batches, guard, lr_mult=lr_mult, momentum=MOMENTUM,
                            is_told_to_stop=stop.signum is not None)
        stopping = result.is_told_to_stop
        metrics = meter.end_step(step + 1, result, lr_mult=lr_mult, tokens=int(tokens))
        run.log(metrics | {"reward": reward / num_answers, "num_targets": result.num_targets})
        print_step(meter, metrics, every=1)
        print0(f"    mean reward {reward / num_answers:.3f}")
        step += 1
        # three bad steps in a row: back to the newest checkpoint, and on with batches that were not seen yet
        if guard.note(step, result.problem, result.loss, result.grad_norm):
            state, bad_step = saver.roll_back(), step
            guard.roll_back(state["guards"])
            meter.load(state["meter"])
            reward_sum, num_skipped = state["reward_sum"], num_skipped + bad_step - state["step"]
            step = saved_step = state["step"]
            run.log({"step": step, "event": "rollback", "from_step": bad_step})

    return run.finish("chat_rl", final_step=last, **meter.record(), total_sec=process_seconds(),
                      seed=args.seed, device=device_name(device), dtype=dtype_name(dtype),
                      **saver.record(), peak_rss_bytes=peak_rss_bytes(),
                      mean_reward=reward_sum / last, accuracy=accuracy)


def draw_questions(num_questions: int, num_drawn: int, seed: int, step: int) -> list[int]:
    """The questions of a step: consecutive ones of a fixed order, a new order each time all have been asked."""
    first = step * num_drawn
    return [int(shuffled_order(num_questions, seed, i // num_questions)[i % num_questions])
            for i in range(first, first + num_drawn)]


def sample_seed(seed: int, step: int, question: int) -> int:
    """Depends on what is asked and when, not on which rank asks."""
    return (seed * 1_000_003 + step) * 1_000_003 + question


if __name__ == "__main__":
    main(build_parser().parse_args())
