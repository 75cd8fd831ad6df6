"""Measure a chat model: greedy answers to questions it has not seen, graded, and choices by likelihood.

    python -m scripts.chat_eval                                     # the newest chat model, every skill
    python -m scripts.chat_eval --source sft --skills arithmetic,letters --max-items 50
    python -m scripts.chat_eval --source rl --against sft           # and whether it got better, question by question
    python -m scripts.chat_eval --tasks chatcore --task-data tasks/ # ARC, MMLU, GSM8K, HumanEval, SpellingBee
    python -m scripts.chat_eval --tasks gsm8k,mbpp --split val --max-items 500

Without --tasks it asks the skills of the embedded world and writes chat_eval.json beside the model's checkpoints: scores,
failures by kind, samples, and a gallery of open chats for the report. With --tasks it asks those, from a folder (see
tasks/rows.py) or the hub, and writes task_eval.json. ChatCORE is the mean of its six tasks, each centred on a guesser;
when one is missing it is named and there is no mean. A model that was measured with the same settings before is not
measured again.
"""

import argparse
import time
from pathlib import Path

from nanochat.chat import closed_parts
from nanochat.checkpoint import find_step, weights_sha256
from nanochat.common import UserError, choose_dtype, command, compute_init, device_name, dtype_name, print0
from nanochat.conversation import render_prompt
from nanochat.core_eval import estimate_mean_of_groups, mean_of_centred
from nanochat.engine import SamplingParams, load_chat_engine
from nanochat.files import read_json, write_json
from nanochat.paired import compare_results
from nanochat.run import STAGES, new_record, peak_rss_bytes, process_seconds
from nanochat.task import Task
from nanochat.task_eval import TaskResult, count_failures, describe_habits, evaluate_task, in_turn
from nanochat.tinyworld_chats import SKILLS
from tasks.registry import CHATCORE, EVAL_TASKS, build_task
from tasks.rows import task_data_dir
from tasks.tinyworld import TinyWorld

FORMAT_VERSION = 3
NUM_SAMPLES = 6    # right answers kept per skill, and as many wrong ones
NUM_FAILURES = 15  # lines of the table that is printed; the file has them all
TASK_SPLITS = {"test": "test", "val": "validation"}  # of --split -> as the tasks' authors call it
CHATCORE_NAME = "chatcore"
GALLERY_TOKENS = 160

# (title, temperature, what the user says turn by turn). Greedy where one answer is right, else as people chat.
GALLERY = (
    ("hello", 0.8, ("Hello! How are you?", "What can you do?")),
    ("a story", 0.8, ("Please tell me a story.", "Another one, please.")),
    ("a story with a wish", 0.8, ("Tell me a funny story about a dragon.",)),
    ("who are you", 0.8, ("Who are you?", "Who made you?")),
    ("a sum", 0.0, ("What is 417 + 286?", "And what is 12 times 34?")),
    ("a word to count", 0.0, ("How many letters are in the word lantern?",)),
    ("a name to remember", 0.0, ("Hi! My name is Lina.", "I like apples.", "What is my name?")),
    ("typed in a hurry", 0.0, ("hi my name is tom", "ok", "whats my name")),
    ("a fact", 0.0, ("What is the opposite of hot?", "How many legs does a spider have?")),
    ("and another", 0.0, ("What sound does a dog make?", "And a cow?", "what about a horse")),
    ("something unknown", 0.0, ("What did I have for breakfast today?",)),
)


def build_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", choices=STAGES, help="stage of the model (default: rl, else sft, else mid)")
    parser.add_argument("--model-tag", help="name of the model (default: the newest)")
    parser.add_argument("--step", type=int, help="step of the model (default: its newest)")
    parser.add_argument("--skills", help=f"comma list of the embedded world's (default: all of {','.join(SKILLS)})")
    parser.add_argument("--tasks", help=f"instead of skills: chatcore, or a comma list of {','.join(EVAL_TASKS)}")
    parser.add_argument("--task-data", help="folder with the tasks' files (default: $NANOCHAT_TASK_DATA, else the hub)")
    parser.add_argument("--max-items", type=int, default=200, help="questions per skill or task (default 200)")
    parser.add_argument("--split", choices=TASK_SPLITS, default="test", help="test to report, val to choose (default test)")
    parser.add_argument("--against", help="compare with this stage, measured the same way: mid, sft, or sft/<other tag>")
    parser.add_argument("--batch-size", type=int, default=64, help="answers at once (default 64)")
    parser.add_argument("--device-type", help="cuda, mps or cpu (default: the best there is)")
    parser.add_argument("--dtype", help="float32, bfloat16, float64 or int8 (default: bf16 where fast)")
    return parser


@command
def main(args):
    for flag in ("max_items", "batch_size"):
        if getattr(args, flag) < 1:
            raise UserError(f"--{flag.replace('_', '-')} {getattr(args, flag)}: at least 1")
    skills = chosen_names(args)

    # -----------------------------------------------------------------------------
    # The model, and whether this was measured before
    device = compute_init(args.device_type)
    dtype = dtype_name(choose_dtype(args.dtype, device, can_be_int8=True))
    step_dir = find_step(args.source, args.model_tag, args.step)
    source, tag, step = step_dir.parent.parent.name, step_dir.parent.name, step_number(step_dir)
    settings = {"format_version": FORMAT_VERSION, "weights_sha256": weights_sha256(step_dir), "step": step,
                "split": args.split, "max_items": args.max_items, "dtype": dtype}
    if args.tasks:
        settings |= {"tasks": args.tasks, "task_data": task_data_dir(args.task_data)}
    path = step_dir.parent / ("task_eval.json" if args.tasks else "chat_eval.json")
    other = load_other(args.against, tag, settings, skills, path.name) if args.against is not None else None
    result = load_result(path, settings, skills)
    if result:
        print0(f"{source}/{tag} step {step} was measured before: {path}")
        for skill, score in result["skills"].items():
            print_skill(skill, **score)
    else:
        tasks, missing = load_tasks(args) if args.tasks else (
            {skill: TinyWorld(skill, args.split, args.max_items) for skill in skills}, {})
        print0(f"{source}/{tag} step {step}, {args.split} questions, {dtype} on {device}")
        engine, _, _ = load_chat_engine(source, tag, step, args.device_type, args.dtype, max_rows=args.batch_size)
        result = settings | {"names": skills} | evaluate(engine, tasks, args.max_items)
        result |= chatcore_result(result, tasks, missing) if args.tasks == CHATCORE_NAME else {}
        result |= {"seconds": process_seconds()} if args.tasks else {
            "gallery": sample_gallery(engine), "seconds": process_seconds()}
        write_json(path, result)
        print_samples(result["samples"])
        print_failures(result["failures"])
    if "chatcore" in result:
        print_chatcore(result["chatcore"], result["missing"])

    # -----------------------------------------------------------------------------
    # Question by question against another model
    comparisons = compare_results(other, result) if other else {}
    if other:
        print_comparisons(args.against, result["skills"], comparisons)
    return new_record("chat_eval", source, tag, status="finished", final_step=step, checkpoint=str(step_dir),
                      weights_sha256=settings["weights_sha256"], total_sec=result["seconds"], dtype=dtype,
                      device=device_name(device), peak_rss_bytes=peak_rss_bytes(), split=args.split,
                      max_items=args.max_items, skills=result["skills"], against=args.against,
                      comparisons=comparisons, **{key: result[key] for key in ("chatcore", "missing") if key in result})


def chosen_names(args) -> list[str]:
    """The skills or tasks that are asked for."""
    if args.tasks is None:
        if args.task_data is not None:
            raise UserError(f"--task-data {args.task_data} without --tasks: skills of the embedded world need no files")
        names, known, flag = (",".join(SKILLS) if args.skills is None else args.skills).split(","), SKILLS, "--skills"
    elif args.skills is not None:
        raise UserError("--skills and --tasks: one at a time, each has its own file")
    elif args.tasks == CHATCORE_NAME:
        return list(CHATCORE)
    else:
        names, known, flag = args.tasks.split(","), (CHATCORE_NAME, *EVAL_TASKS), "--tasks"
    for name in names:
        if name not in known or name == CHATCORE_NAME:
            raise UserError(f"{flag} {name}: choose from {', '.join(known)}")
    return names


def load_tasks(args) -> tuple[dict[str, Task], dict[str, str]]:
    """{name: task} and, of chatcore's, {name: why it is missing}. Another task that is missing is a UserError."""
    tasks, missing = {}, {}
    for name in chosen_names(args):
        try:
            tasks[name] = build_task(name, TASK_SPLITS[args.split], args.task_data)
        except UserError as error:
            if args.tasks != CHATCORE_NAME:
                raise
            missing[name] = str(error)
    if not tasks:
        raise UserError(f"--tasks {args.tasks}: none of its tasks is there; {missing[CHATCORE[0]]}")
    return tasks, missing


def load_result(path: Path, settings: dict, skills: list[str]) -> dict | None:
    """What was written for these settings and skills, if anything was."""
    result = read_json(path) if path.exists() else {}
    is_same = all(result.get(key) == value for key, value in settings.items())
    return result if is_same and result["names"] == skills else None


def load_other(against: str, tag: str, settings: dict, skills: list[str], file: str) -> dict:
    """The result to compare with. UserError unless that model's newest weights were measured with these settings."""
    stage, _, other_tag = against.partition("/")
    if stage not in STAGES:
        raise UserError(f"--against {against}: a stage ({', '.join(STAGES)}), or stage/tag for a model of another name")
    step_dir = find_step(stage, other_tag or tag, None)
    wanted = settings | {"weights_sha256": weights_sha256(step_dir), "step": step_number(step_dir)}
    result = load_result(step_dir.parent / file, wanted, skills)
    if result is None:
        asked = f"--skills {','.join(skills)}"
        if "tasks" in settings:
            asked = f"--tasks {settings['tasks']}" + (f" --task-data {data}" if (data := settings["task_data"]) else "")
        raise UserError(f"--against {against}: not measured with these settings yet; run python -m scripts.chat_eval "
                        f"--source {stage} --model-tag {step_dir.parent.name} --split {settings['split']} --max-items "
                        f"{settings['max_items']} --dtype {settings['dtype']} {asked}")
    return result


def step_number(step_dir: Path) -> int:
    return int(step_dir.name.removeprefix("step_"))


def evaluate(engine, tasks: dict[str, Task], max_items: int) -> dict:
    """{skills, items, failures, samples} of the embedded world's skills or of other tasks"""
    scores, items, failures, samples, start = {}, {}, [], [], time.monotonic()
    for num_done, (skill, task) in enumerate(tasks.items(), start=1):
        begin = time.monotonic()
        result = evaluate_task(engine, task, max_items=max_items)
        rate = result.n / (time.monotonic() - begin)
        eta_sec = (time.monotonic() - start) / num_done * (len(tasks) - num_done)
        scores[skill] = {"accuracy": result.accuracy, "n": result.n, "ci95": result.ci95}
        items[skill] = {"sha256": result.items_sha256, "scores": [int(r["score"] == 1) for r in result.records]}
        failures += [{"skill": skill, **row} for row in count_failures(result.records)]
        samples += choose_samples(skill, result)
        print_skill(skill, **scores[skill], note=f"{rate:.1f} answers/s, {eta_sec:.0f} s to go")
        if result.habits:
            scores[skill]["habits"] = result.habits
            print0(f"    {describe_habits(result.habits)}")
        if result.num_failed_grades:
            print0(f"    the grader failed on {result.num_failed_grades} of them, counted as wrong")
            scores[skill]["num_failed_grades"] = result.num_failed_grades
            print0(f"    such as: {next(r['error'] for r in result.records if r['error'])}")
    return {"skills": scores, "items": items, "failures": sorted(failures, key=lambda row: -row["count"]),
            "samples": samples}


def chatcore_result(result: dict, tasks: dict[str, Task], missing: dict[str, str]) -> dict:
    """{chatcore: {value, stderr, ci95} or None, missing: {task: reason}}. A task that nobody could grade is missing."""
    for name, score in result["skills"].items():
        if score.get("num_failed_grades") == score["n"]:
            missing[name] = "its grader failed on every answer"
    estimates = []
    for name, task in tasks.items():
        accuracy, draws = estimate_mean_of_groups([result["items"][name]["scores"]], f"chatcore/{name}")
        estimates.append((accuracy, draws, task.chance))
    return {"chatcore": None if missing else mean_of_centred(estimates)._asdict(), "missing": missing}


def choose_samples(skill: str, result: TaskResult) -> list[dict]:
    """A few right and wrong answers, of as many kinds as there are."""
    right = in_turn([r for r in result.records if r["score"] == 1], "kind", NUM_SAMPLES)
    wrong = in_turn([r for r in result.records if r["score"] < 1], "kind", NUM_SAMPLES)
    keys = ("question", "kind", "expected", "parts", "score", "error")
    return [{"skill": skill, **{key: r[key] for key in keys}} for r in right + wrong]


def sample_gallery(engine, gallery=GALLERY) -> list[dict]:
    """[{title, temperature, messages}]: the open chats with the model's answers. One that falls silent ends there."""
    chats = [{"title": title, "temperature": temperature, "messages": []} for title, temperature, _ in gallery]
    for turn in range(max(len(said) for _, _, said in gallery)):
        waiting = []
        for chat, (_, _, said) in zip(chats, gallery):
            if turn < len(said) and len(chat["messages"]) == 2 * turn:
                chat["messages"].append({"role": "user", "content": said[turn]})
                waiting.append(chat)
        answer_all(engine, waiting)
    return chats


def answer_all(engine, chats: list[dict]):
    """Appends the next answer to each. What cannot stand in a history, such as half a tool call, is dropped."""
    prompts = [render_prompt(engine.tokenizer, {"messages": chat["messages"]}) for chat in chats]
    params = [SamplingParams(max_tokens=GALLERY_TOKENS, temperature=chat["temperature"], seed=seed)
              for seed, chat in enumerate(chats)]
    for chat, (completion,) in zip(chats, engine.generate(prompts, params)):
        if parts := closed_parts(completion.parts):
            chat["messages"].append({"role": "assistant", "content": parts})


# -----------------------------------------------------------------------------
# What is printed

def print_chatcore(found: dict | None, missing: dict[str, str]):
    if found:
        low, high = found["ci95"]
        print0(f"ChatCORE {found['value']:.4f}, standard error {found['stderr']:.4f}, 95% interval {low:.4f} to {high:.4f}")
    for name, reason in missing.items():
        print0(f"no ChatCORE, {name} is missing: {reason}")


def print_skill(skill: str, accuracy: float, n: int, ci95, note: str = "", num_failed_grades: int = 0, habits=None):
    low, high = ci95
    print0(f"    {skill:<13}{100 * accuracy:6.1f}%  (95% interval {100 * low:.1f} to {100 * high:.1f}, n {n})  {note}")


def print_comparisons(against: str, skills: dict, comparisons: dict):
    print0(f"against {against}, in points, with paired 95% intervals and exact McNemar p:")
    for skill, score in skills.items():
        print_skill(skill, **score, note=difference_text(comparisons.get(skill)))


def difference_text(found: dict | None) -> str:
    """
    >>> difference_text({"difference": 0.05, "ci95": (0.01, 0.09), "p": 0.0129, "gained": 12, "lost": 2, "n": 200})
    '+5.0 points (+1.0 to +9.0), p 0.013 (12 gained, 2 lost)'
    """
    if found is None:
        return "other questions, not compared"
    low, high = found["ci95"]
    return (f"{100 * found['difference']:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f}), p {found['p']:.2g} "
            f"({found['gained']} gained, {found['lost']} lost)")


def print_failures(failures: list[dict]):
    """The commonest ways to be wrong, of all skills, with the end of one question and the beginning of its answer."""
    if failures:
        print0(f"{'failures':<11} {'kind':<14} {'manner':<13} count of kind's  such as")
    for row in failures[:NUM_FAILURES]:
        question, answer = (" ".join(str(row["example"][key]).split()) for key in ("question", "answer"))
        print0(f"{row['skill']:<11} {row['kind']:<14} {row['manner']:<13} {row['count']:>5} of {row['n_kind']:<6}  "
               f"{question[-40:]} -> {answer[:40]}")


def print_samples(samples: list[dict]):
    """One wrong answer of every skill that has any."""
    wrong = {}
    for sample in samples:
        if sample["score"] < 1:
            wrong.setdefault(sample["skill"], sample)
    for skill, sample in wrong.items():
        said = " | ".join(part["text"] if part["type"] == "text" else f"[{part['type']} {part['text']}]"
                          for part in sample["parts"])
        print0(f"{skill}, wrong:\n    asked     {indented(sample['question'])}\n    answered  {indented(said)}\n"
               f"    expected  {indented(str(sample['expected']))}")


def indented(text: str) -> str:
    return text.replace("\n", "\n" + " " * 14)


if __name__ == "__main__":
    main(build_parser().parse_args())
