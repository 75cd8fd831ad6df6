"""Look for the evaluations in the training text: questions of which 13 words in a row stand there.

    python -m scripts.contamination                                     # what the newest base model trained on
    python -m scripts.contamination --source sft --task-data tasks/
    python -m scripts.contamination --data shards/ --core-data eval_bundle --tasks gsm8k,mmlu

Looked for are the tasks of chat_eval and CORE, those that can be had; the others are named. What a model trained on gives
contamination.json beside its checkpoints, which the report card prints; a text given by --data only the record.
"""

import argparse
import itertools
from collections.abc import Iterator
from pathlib import Path

from nanochat.checkpoint import find_step, weights_sha256
from nanochat.common import UserError, base_dir, command, print0
from nanochat.contamination import Evaluation, Searcher, build_evaluation, findings, item_texts
from nanochat.conversation import read_chats, read_jsonl, visible_text
from nanochat.core_eval import load_core
from nanochat.dataset import find_text
from nanochat.files import read_json, write_json
from nanochat.run import new_record, peak_rss_bytes, process_seconds
from nanochat.task import Task
from tasks.registry import EVAL_TASKS, build_task
from tasks.rows import task_data_dir
from tasks.training import training_conversations

SPLITS = {"test": "test", "val": "validation"}
SOURCES = ("base", "mid", "sft")  # rl trains on its own answers


def build_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", choices=SOURCES, help="stage whose training text is looked at (default base)")
    parser.add_argument("--model-tag", help="name of the model (default: the newest)")
    parser.add_argument("--data", help="look at this text or chat file, or folder of text, instead")
    parser.add_argument("--tasks", help=f"comma list of core,{','.join(EVAL_TASKS)} (default: all that can be had)")
    parser.add_argument("--split", choices=SPLITS, default="test", help="of the tasks (default test); core has one only")
    parser.add_argument("--task-data", help="folder with the tasks' files (default: $NANOCHAT_TASK_DATA, else the hub)")
    parser.add_argument("--core-data", help="CORE's unpacked bundle (default: core/ of that folder, else eval_bundle/ of the "
                                            "base directory)")
    return parser


@command
def main(args):
    if args.data is not None and (args.source or args.model_tag):
        raise UserError("--data and a model (--source, --model-tag): one at a time")
    step_dir = find_step(args.source or "base", args.model_tag, None) if args.data is None else None
    documents = documents_of(Path(args.data)) if args.data is not None else training_documents(step_dir, args.task_data)
    evaluations, missing = load_evaluations(args)
    searcher = Searcher(evaluations)
    searcher.search(documents)

    found = findings(searcher)
    for name, record in found["evaluations"].items():
        words = f": {record['shown'][0]['words']}" if record["shown"] else ""
        print0(f"    {name:<38}{record['hit']:>5} of {record['checked']} items{words}")
    for name, reason in missing.items():
        print0(f"    {name}: not looked for, {reason}")
    print0(f"{found['documents']:,} documents, {found['text_bytes']:,} bytes")
    stage, tag, sha256 = None, None, None
    if step_dir:
        stage, tag, sha256 = step_dir.parent.parent.name, step_dir.parent.name, weights_sha256(step_dir)
        write_json(step_dir.parent / "contamination.json", {
            "format_version": 1, "weights_sha256": sha256, "findings": found, "missing": missing,
            "seconds": process_seconds()})
    return new_record("contamination", stage, tag, status="finished", weights_sha256=sha256, total_sec=process_seconds(),
                      peak_rss_bytes=peak_rss_bytes(), findings=found, missing=missing)


# -----------------------------------------------------------------------------
# What was trained on

def training_documents(step_dir: Path, task_data: str | None) -> Iterator[str]:
    stage, flags = step_dir.parent.parent.name, read_json(step_dir / "config.json")["flags"]
    data, val_data = flags.get("data"), flags.get("val_data")
    if stage == "base":
        return find_text(data, val_data).documents()[0]
    text, tasks = flags.get("text_data"), flags.get("tasks")
    if data is None and text is None and tasks is None:
        raise UserError(f"--source {stage}: {step_dir.parent.name} trained on chats of the embedded world, which are made up "
                        "as they are needed; give a file with --data")
    chats = training_conversations(tasks, task_data or flags.get("task_data")) if tasks else iter(())
    return itertools.chain(documents_of(Path(data)) if data else (), documents_of(Path(text)) if text else (),
                           messages_of(chats))


def documents_of(path: Path) -> Iterator[str]:
    """A file of conversations message by message, anything else as text."""
    if path.name.endswith((".jsonl", ".jsonl.gz")) and is_chat(path):
        return messages_of(read_chats(path))
    return find_text(str(path)).documents()[0]


def messages_of(chats: Iterator[dict]) -> Iterator[str]:
    return (visible_text(message["content"]) for chat in chats for message in chat["messages"])


def is_chat(path: Path) -> bool:
    first = next((row for _, row in read_jsonl(path)), None)
    return isinstance(first, list) or isinstance(first, dict) and "messages" in first


# -----------------------------------------------------------------------------
# What is looked for

def load_evaluations(args) -> tuple[list[Evaluation], dict[str, str]]:
    """(evaluations, {name: why it is missing}). One that is asked for by name and missing is a UserError."""
    names = ("core", *EVAL_TASKS) if args.tasks is None else args.tasks.split(",")
    evaluations, missing = [], {}
    for name in names:
        if name not in ("core", *EVAL_TASKS):
            raise UserError(f"--tasks {name}: choose from core, {', '.join(EVAL_TASKS)}")
        try:
            for task in load_tasks(name, args):
                texts = (item_texts(task, i) for i in range(len(task)))
                evaluations.append(build_evaluation(f"core/{task.name}" if name == "core" else name, texts))
        except UserError as error:
            if args.tasks is not None:
                raise
            missing[name] = str(error)
    if not evaluations:
        raise UserError(f"none of {', '.join(names)} is there; {missing[names[0]]}")
    return evaluations, missing


def load_tasks(name: str, args) -> list[Task]:
    if name != "core":
        return [build_task(name, SPLITS[args.split], args.task_data)]
    data = task_data_dir(args.task_data)
    return load_core(args.core_data or (f"{data}/core" if data else base_dir() / "eval_bundle"))


if __name__ == "__main__":
    main(build_parser().parse_args())
