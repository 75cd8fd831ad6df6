"""Reinforcement learning on graded answers: on-policy REINFORCE against the mean of each prompt's group.

    python -m scripts.chat_rl                             # the newest SFT model, skills of the embedded world
    python -m scripts.chat_rl --skills format,comparing --num-iterations 60
    python -m scripts.chat_rl --task gsm8k --task-data tasks/
    python -m scripts.chat_rl --reward dev/reward_example.py

Each step draws new training questions, samples several answers to each in one call of the engine, grades them, and
makes one update, or several with a clipped ratio. Conversations about the other skills are replayed beside them, so
that practising one thing does not unlearn another. See policy.py for the objective.

What is practised: skills of the embedded world (--skills), tasks whose answers are generated (--task), or a file of
your own (--reward) that defines two functions:

    prompts(split)        a list of {"prompt": what the user says, ...}, for split "train" or "val"
    reward(item, answer)  a number from 0 to 1 for the text that the model answered to one of them

A reward that raises, takes longer than --reward-timeout or is no such number costs that one answer; they are counted.
If not one answer of the first validation gets a reward, nothing is trained.
dev/reward_example.py is an example.
"""

import argparse
import copy
import gc
import math
from collections import Counter

from torch.compiler import set_stance

from nanochat.checkpoint import checkpoint_bytes, load_model, model_json, record_rollback, resume
from nanochat.common import (UserError, all_reduce_sum, choose_dtype, command, compute_init, device_name, dtype_name,
                             get_dist_info, has_fast_bf16, print0)
from nanochat.conversation import render, render_prompt
from nanochat.dataloader import shuffled_order
from nanochat.engine import Engine, SamplingParams
from nanochat.files import require_free_space
from nanochat.guards import Guard
from nanochat.policy import (PolicySequence, Tally, policy_batches, policy_sequences, replay_sequences,
                             weighted_batches)
from nanochat.rollouts import (ROLLOUT_ROWS, PassAtK, describe_pass_at_k, evaluate_pass_at_k, reward_groups,
                               sample_seed)
from nanochat.run import Run, add_run_flags, peak_rss_bytes, process_seconds, run_config
from nanochat.saver import Saver, StopSignal
from nanochat.scaling import batch_sizes
from nanochat.schedules import linear_to_zero
from nanochat.task import Task
from nanochat.task_eval import TaskResult, describe_habits, evaluate_task, sha256_of_items
from nanochat.train_loop import (Meter, build_optimizer, compile_for, inherited_rates, is_due, print_step,
                                 require_interval, require_lr_frac, should_compile, train_step)
from nanochat.watchdog import Watchdog
from nanochat.tinyworld_chats import SKILLS, UNGRADED, conversation
from tasks.registry import build_task
from tasks.reward_file import RewardFile
from tasks.tinyworld import TinyWorld

MOMENTUM = 0.85           # short memory: the policy that sampled a gradient is gone after a few steps
POOL_SIZE = 5_000         # training questions per skill
REPLAY_SEED = 2           # added to --seed: SFT adds 1, so what is replayed was not in its conversations
# Beside their share (dev/LOG.md): who practises answers gives one to everything, knows a little less by heart, and in
# one seed of three did sums or stories, comparing or second questions worse.
OFTEN_REPLAYED = ("unknown", "unknown", "facts", "identity", "arithmetic", "reading", "story", "story", "comparing",
                  "followup", "followup")
MEAN_TOKENS = 32          # of a sequence that is trained on: the embedded world's; others are longer
SKILL_TOKENS = 96         # room for an answer of the embedded world
REWARD_SEC = 5.0          # for one call of a person's reward function
CLIP = 0.2                # PPO's own, arXiv:1707.06347 table 3; with several updates per batch


def build_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_run_flags(parser)
    parser.add_argument("--source", choices=["sft", "mid"], help="stage to start from (default: sft)")
    parser.add_argument("--step", type=int, help="step of that model (default: its newest)")
    parser.add_argument("--skills", help=f"comma list of {', '.join(SKILLS)} (default format)")
    parser.add_argument("--task", help="instead of skills: a comma list of tasks whose answers are generated, as "
                        "gsm8k, spelling_bee, simple_spelling")
    parser.add_argument("--task-data", help="folder with the tasks' files (default: $NANOCHAT_TASK_DATA, else the hub)")
    parser.add_argument("--reward", metavar="FILE.py", help="instead of skills: a file of your own, see above")
    parser.add_argument("--reward-timeout", type=float, help="seconds that one call of its reward may take (default 5)")
    parser.add_argument("--num-iterations", type=int, default=20, help="optimizer steps (default 20)")
    parser.add_argument("--prompts-per-step", type=int, default=16, help="questions, all ranks (default 16)")
    parser.add_argument("--num-samples", type=int, default=8, help="answers to each question (default 8)")
    parser.add_argument("--replay", type=int, help="conversations about the other skills in each step, all ranks "
                        "(default: as many as questions with --skills, else none; 0: none)")
    parser.add_argument("--max-new-tokens", type=int, help="of an answer, in validation too (default "
                        f"{SKILL_TOKENS} with --skills, else the task's own); one that is cut has the reward that its "
                        "text earns")
    parser.add_argument("--temperature", type=float, default=1.0, help="of sampling (default 1: on-policy)")
    parser.add_argument("--device-batch-size", type=int, help="rows per forward pass (default: what suits the device)")
    parser.add_argument("--updates-per-batch", type=int, default=1, help="optimizer steps on the same answers; with "
                        "several, tokens are weighed by the ratio to the policy that sampled them (default 1)")
    parser.add_argument("--clip", type=float, help="how far that ratio may move from 1 before a token has no gradient "
                        f"(default {CLIP})")
    parser.add_argument("--kl", type=float, default=0.0, help="coefficient of the KL to the starting policy, per "
                        "token, on the answers of an update; keeps a second copy of the model (default 0: none)")
    parser.add_argument("--init-lr-frac", type=float, default=0.05, help="of the SFT's peak rates (default 0.05)")
    parser.add_argument("--embedding-lr-frac", type=float, help="the same of the embeddings alone (default: the same)")
    parser.add_argument("--eval-every", type=int, help="steps between validation accuracies (default: only at the end)")
    parser.add_argument("--eval-items", type=int, default=100, help="validation questions per skill or task "
                        "(default 100)")
    parser.add_argument("--eval-samples", type=int, help="answers sampled to each of them for pass@1 to pass@N, beside "
                        "a greedy one (default: --num-samples, with --skills 0: none)")
    return parser


def check_flags(args):
    for flag in ("save_every", "eval_every"):
        require_interval("--" + flag.replace("_", "-"), getattr(args, flag))
    for flag, least in (("num_iterations", 1), ("prompts_per_step", 1), ("num_samples", 2), ("max_new_tokens", 1),
                        ("eval_items", 1), ("replay", 0), ("updates_per_batch", 1), ("eval_samples", 0)):
        if getattr(args, flag) is not None and getattr(args, flag) < least:
            raise UserError(f"--{flag.replace('_', '-')} {getattr(args, flag)}: at least {least}")
    if not 0 < args.temperature <= 2:
        raise UserError(f"--temperature {args.temperature:g}: above 0, at most 2; a group needs different answers")
    require_lr_frac("--init-lr-frac", args.init_lr_frac)
    require_lr_frac("--embedding-lr-frac", args.embedding_lr_frac)
    if not 0 <= args.kl <= 10:
        raise UserError(f"--kl {args.kl:g}: from 0, which is none, to 10; usually 0.001 to 0.1")
    if args.clip is not None and args.updates_per_batch == 1:
        raise UserError(f"--clip {args.clip:g} with one update per batch: the ratio it clips is 1; "
                        "give --updates-per-batch 2 or more")
    if args.clip is not None and not 0 < args.clip < 1:
        raise UserError(f"--clip {args.clip:g}: between 0 and 1, such as {CLIP}")
    check_source_flags(args)


def check_source_flags(args):
    given = [flag for flag in ("skills", "task", "reward") if getattr(args, flag) is not None]
    if len(given) > 1:
        raise UserError(f"--{given[0]} and --{given[1]}: one at a time")
    if args.task is None and args.task_data is not None:
        raise UserError(f"--task-data {args.task_data} without --task: nothing else reads it")
    if args.reward is None and args.reward_timeout is not None:
        raise UserError(f"--reward-timeout {args.reward_timeout:g} without --reward: other graders have no limit")
    if args.reward_timeout is not None and not 0 < args.reward_timeout <= 3600:
        raise UserError(f"--reward-timeout {args.reward_timeout:g}: seconds, above 0 and at most an hour")


def load_tasks(args) -> tuple[list[Task], dict[str, Task]]:
    """(what to train on, what to validate on by name)."""
    if args.reward is not None:
        train, val = (RewardFile(args.reward, split, args.reward_timeout or REWARD_SEC)
                      for split in ("train", "validation"))
        return [train], {train.name: val}
    if args.task is not None:
        names = args.task.split(",")
        train = [require_graded(build_task(name, "train", args.task_data)) for name in names]
        return train, {name: require_questions(build_task(name, "validation", args.task_data)) for name in names}
    skills = ("format" if args.skills is None else args.skills).split(",")
    for skill in skills:
        if skill not in SKILLS:
            raise UserError(f"--skills {skill}: choose from {', '.join(SKILLS)}")
    size = min(POOL_SIZE, args.num_iterations * args.prompts_per_step)
    return ([TinyWorld(skill, "train", size) for skill in skills],
            {skill: TinyWorld(skill, "val", args.eval_items) for skill in skills})


def require_questions(task: Task) -> Task:
    if not len(task):
        raise UserError(f"--task {task.name}: no validation question in its data, so nobody could tell what RL does; "
                        "give more rows")
    return task


def require_graded(task: Task) -> Task:
    if type(task).grade is Task.grade:
        raise UserError(f"--task {task.name}: its answers are not generated and graded; choose gsm8k, spelling_bee or "
                        "another that is")
    return task


@command
def main(args):
    check_flags(args)
    tasks, val_tasks = load_tasks(args)

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
    names, is_world = list(val_tasks), args.task is None and args.reward is None
    questions = [(task, i) for task in tasks for i in range(len(task))]
    replayed = tuple(skill for skill in (*SKILLS, *UNGRADED, *OFTEN_REPLAYED) if not is_world or skill not in names)
    num_replayed = (args.prompts_per_step if is_world else 0) if args.replay is None else args.replay
    max_new_tokens = args.max_new_tokens or (SKILL_TOKENS if is_world else max(task.max_tokens for task in tasks))
    eval_samples = (0 if is_world else args.num_samples) if args.eval_samples is None else args.eval_samples
    clip = None if args.updates_per_batch == 1 else args.clip or CLIP
    source_plan = source["config"]["settings"]["plan"]
    device_batch_size, _ = batch_sizes(config.sequence_len, 1, device.type, None, args.device_batch_size,
                                       source_plan["total_batch_size"])
    rates = inherited_rates(source_plan, source_plan["total_batch_size"], args.init_lr_frac,
                            args.embedding_lr_frac)
    last = args.num_iterations
    # About half of the answers are in groups that agree, which teach nothing, and half of the others say the same.
    num_tokens = last * (args.prompts_per_step * args.num_samples // 4 + num_replayed) * MEAN_TOKENS
    use_compile = device.type == "cpu" and should_compile(config, num_tokens, device)  # on a GPU not measured

    # -----------------------------------------------------------------------------
    # The run's folder; the settings that decide every update
    run = Run("rl", args.model_tag or source["tag"])
    settings = {"plan": {**rates, "num_iterations": last}, "source": source["weights_sha256"], "skills": names,
                "prompts_per_step": args.prompts_per_step, "num_samples": args.num_samples,
                "replay": num_replayed, "max_new_tokens": max_new_tokens, "temperature": args.temperature,
                "seed": args.seed, "dtype": dtype_name(dtype), "compile": use_compile,
                "kl": args.kl or None, "clip": clip,
                "updates_per_batch": None if clip is None else args.updates_per_batch,
                "data": None if is_world else fingerprint(questions)}
    finished = run.open(run_config(args, settings, model_json(config), device_name(device)),
                        resume=args.resume, overwrite=args.overwrite, wandb=args.wandb)
    if finished:
        print0(f"{run.stage} model {run.tag!r} is finished")
        return finished

    # -----------------------------------------------------------------------------
    # Optimizer and engine: new or where the newest checkpoint stood
    require_free_space(run.dir, 2 * checkpoint_bytes(model), "saving this model")
    optimizer = build_optimizer(model, **rates, muon_dtype=dtype if has_fast_bf16(device) else model.wte.weight.dtype)
    reference = copy.deepcopy(model) if args.kl else None  # before a checkpoint's weights come in
    saved, state = resume(run, model, optimizer, is_asked=bool(args.resume))
    saver = Saver(run, model=model, optimizer=optimizer, tokenizer=tokenizer, saved=saved, keep_last=args.keep_last)
    guard, stop, stopping = Guard(device, state.get("guards")), StopSignal(), False
    watchdog = Watchdog(run.dir)
    start_step = state["step"]
    print0(f"{', '.join(names)}: {last} steps of {args.prompts_per_step} questions x {args.num_samples} answers "
           f"from {source['source']}/{source['tag']} step {source['step']}")
    packing = {"sequence_len": config.sequence_len, "device_batch_size": device_batch_size,
               "pad_id": tokenizer.bos_id, "device": device, "fill": use_compile}
    if use_compile:
        example = PolicySequence([tokenizer.bos_id] * 2, [0, 1], [0.0, 1.0], [math.nan] * 2)
        compile_for(model, policy_batches([example], **packing)[0].inputs)
    engine = Engine(model, tokenizer, max_rows=ROLLOUT_ROWS)
    gc.freeze()  # else full collections of Python's walk through all of this, 80 ms each
    meter = Meter(last, state["meter"])
    reward_sum, gap_max = state.get("reward_sum", 0.0), state.get("gap_max", 0.0)
    before, skipped = state.get("before"), (state["loader"] or {"skipped": []})["skipped"]

    # -----------------------------------------------------------------------------
    # The loop: save, evaluate, sample answers, grade, step
    found = None
    step = saved_step = start_step
    while True:
        # once in a while, and when told to stop: save, before anything that could fail
        if step > saved_step and (stopping or is_due(step, args.save_every, last)):
            saver.save(step, {"meter": meter.state(), "reward_sum": reward_sum, "gap_max": gap_max,
                              "before": before, "loader": {"skipped": skipped}, "guards": guard.state()})
            saved_step = step
        if stopping:
            saver.stop(step, stop.signum)
        engine.load_weights(model)  # the policy of this step
        # once in a while: greedy accuracy on validation questions (the same on every rank), and pass@k (shared out)
        if step == 0 or is_due(step, args.eval_every, last):
            results = {name: evaluate_task(engine, task, max_items=args.eval_items, max_tokens=max_new_tokens)
                       for name, task in val_tasks.items()}
            if step == 0:
                require_some_grade(results)
            passes = {name: evaluate_pass_at_k(
                engine, task, SamplingParams(max_tokens=max_new_tokens, temperature=args.temperature, n=eval_samples),
                max_items=args.eval_items, seed=args.seed, rank=rank, world=world, device=device)
                for name, task in val_tasks.items()} if eval_samples else {}
            print0(f"step {step:>5}/{last} | validation")
            print_evaluation(results, passes)
            found = evaluation_record(results, passes)
            before = found if step == 0 else before
            run.log({"step": step, "event": "eval"} | found)
        if step == last:
            break
        # one step: this rank's questions, all answers in one call
        meter.start_step()
        watchdog.start_step(step + 1)
        batch = batch_of(step, skipped)  # what was rolled back is not asked again
        drawn = draw_questions(len(questions), args.prompts_per_step, args.seed, batch)
        drawn = [(i, drawn[:n].count(i)) for n, i in enumerate(drawn)][rank::world]  # a small file's come twice a step
        asked = [(questions[i][0], questions[i][0][questions[i][1]]) for i, _ in drawn]
        prompts = [render_prompt(tokenizer, example.conversation) for _, example in asked]
        params = [SamplingParams(max_tokens=max_new_tokens, temperature=args.temperature, n=args.num_samples,
                                 seed=sample_seed(args.seed, batch, i + turn * len(questions)), logprobs=1)
                  for i, turn in drawn]
        groups = engine.generate(prompts, params)
        rewards = reward_groups(asked, groups)
        sequences = []
        for prompt, completions, group in zip(prompts, groups, rewards):
            sequences += policy_sequences(prompt, completions, [reward.value for reward in group])
        chats = [conversation("train", i, args.seed + REPLAY_SEED, replayed)
                 for i in range(batch * num_replayed, (batch + 1) * num_replayed)[rank::world]]
        sequences += replay_sequences((render(tokenizer, chat) for chat in chats), config.sequence_len)
        answers = [answer for group in groups for answer in group]
        values = [reward.value for group in rewards for reward in group if reward.value is not None]
        problems = Counter(reward.problem for group in rewards for reward in group if reward.problem is not None)
        reward, num_rewards, tokens, num_cut, num_problems = all_reduce_sum(
            sum(values), len(values), sum(len(answer.ids) for answer in answers),
            sum(answer.finish_reason == "length" for answer in answers), problems.total(), device=device)
        reward /= max(1, num_rewards)
        reward_sum += reward
        batches = policy_batches(sequences, **packing)
        tally = Tally()
        lr_mult = linear_to_zero(step, last)
        for update in range(args.updates_per_batch):
            weighted = (inputs for inputs, *_ in batches) if clip is None and not args.kl else weighted_batches(
                model, reference, batches, tally, clip=clip, kl=args.kl)
            with set_stance("eager_on_recompile"):  # rows too long for `packing`'s passes, and what has no gradient
                result = train_step(model, optimizer, weighted, guard, lr_mult=lr_mult, momentum=MOMENTUM,
                                    is_told_to_stop=stop.signum is not None)
            if update == 0:  # the engine must have sampled from the policy that was trained
                for policy_batch in batches:
                    tally.add_gap(policy_batch)
            stopping = stopping or result.is_told_to_stop  # after the last of them, as a straight run would
            if result.problem:
                break
        watchdog.end_step()
        figures = tally.metrics(device)
        gap_max = max(gap_max, figures.get("logprob_gap_max", 0.0))
        metrics = meter.end_step(step + 1, result, lr_mult=lr_mult, tokens=int(tokens))
        run.log(metrics | {"reward": reward, "num_targets": result.num_targets, "num_cut": int(num_cut),
                           "num_without_reward": int(num_problems)} | figures)
        print_step(meter, metrics, every=1)
        print0(f"    mean reward {reward:.3f} of {int(num_rewards)} answers, {int(num_cut)} cut"
               + describe_figures(figures))
        if num_problems:
            print0(f"    {int(num_problems)} answers without a reward{describe_problems(problems)}")
        step += 1
        # three bad steps in a row: back to the newest checkpoint, and on with batches that were not seen yet
        if guard.note(step, result.problem, result.loss, result.grad_norm):
            state, bad_step = saver.roll_back(), step
            guard.roll_back(state["guards"])
            meter.load(state["meter"])
            between = [batch_of(number, skipped) for number in range(state["step"], bad_step)]
            record_rollback(run.dir, between)
            reward_sum, gap_max, before = state["reward_sum"], state["gap_max"], state["before"]
            skipped = sorted({*skipped, *between})
            step = saved_step = state["step"]
            run.log({"step": step, "event": "rollback", "from_step": bad_step})

    return run.finish("chat_rl", final_step=last, **meter.record(), total_sec=process_seconds(),
                      seed=args.seed, device=device_name(device), dtype=dtype_name(dtype),
                      **saver.record(), peak_rss_bytes=peak_rss_bytes(),
                      mean_reward=reward_sum / last, logprob_gap_max=gap_max, **found, before=before)


def batch_of(step: int, skipped: list[int]) -> int:
    """The number of the batch that step `step` trains on: batches are numbered from 0, those in `skipped` are left out.

    >>> [batch_of(step, [1, 2]) for step in range(3)]
    [0, 3, 4]
    """
    for batch in sorted(skipped):
        step += batch <= step
    return step


def draw_questions(num_questions: int, num_drawn: int, seed: int, step: int) -> list[int]:
    """The questions of a step: consecutive ones of a fixed order, a new order each time all have been asked."""
    first = step * num_drawn
    return [int(shuffled_order(num_questions, seed, i // num_questions)[i % num_questions])
            for i in range(first, first + num_drawn)]


def fingerprint(questions: list[tuple[Task, int]]) -> str:
    """Of all that may be asked, and of a reward file's text."""
    files = "".join(task.fingerprint for task in {task: None for task, _ in questions} if isinstance(task, RewardFile))
    return sha256_of_items([task[i] for task, i in questions]) + files


def require_some_grade(results: dict[str, TaskResult]):
    """Where every answer has failed at the start, hours of training would learn nothing and end well."""
    for name, result in results.items():
        if all(record["error"] for record in result.records):
            raise UserError(f"{name}: none of its {result.n} validation answers got a reward, such as: "
                            f"{result.records[0]['error']}; mend that and start again with --overwrite")


def evaluation_record(results: dict[str, TaskResult], passes: dict[str, dict[int, PassAtK]]) -> dict:
    """{accuracy, ci95, habits?, pass_at_k?} of greedy answers and of sampled ones, each by task."""
    record = {"accuracy": {name: result.accuracy for name, result in results.items()},
              "ci95": {name: list(result.ci95) for name, result in results.items()},
              "habits": {name: result.habits for name, result in results.items() if result.habits},
              "pass_at_k": {name: {k: p._asdict() for k, p in found.items()} for name, found in passes.items()}}
    return {key: value for key, value in record.items() if value}


def print_evaluation(results: dict[str, TaskResult], passes: dict[str, dict[int, PassAtK]]):
    for name, result in results.items():
        low, high = result.ci95
        texts = (f"{name} {100 * result.accuracy:.1f}% ({100 * low:.1f} to {100 * high:.1f}, n {result.n})",
                 describe_habits(result.habits), describe_pass_at_k(passes.get(name, {})))
        print0("    " + "; ".join(filter(None, texts)))


def describe_figures(figures: dict) -> str:
    """What there is of Tally.metrics, for the line of a step."""
    texts = {"logprob_gap": "engine off by {:.1g} nats a token", "logprob_gap_max": "{:.1g} at most",
             "kl": "KL {:.4f}", "clipped": "{:.1%} clipped"}
    return "".join(", " + text.format(figures[key]) for key, text in texts.items() if key in figures)


def describe_problems(problems: Counter) -> str:
    """The commonest, when this rank has any."""
    return "".join(f"; {count} of them: {problem}" for problem, count in problems.most_common(1))


if __name__ == "__main__":
    main(build_parser().parse_args())
