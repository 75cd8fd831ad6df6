"""What to train on, by name: "smoltalk,gsm8k:4,spelling:0.5,chats.jsonl:2" becomes a mixture and what validates it.

An entry is a task, a group of tasks, `world` (the embedded world), `exercises` (its exercises in who has what), or a
path of conversations: .jsonl, .jsonl.gz, .parquet, or a folder of them. A number after its colon is how many epochs of
it (default 1). With N% after every entry they are shares of the conversations, and the mixture is as large as it gets
without showing one twice.

Training splits train and validation splits validate; test splits are never opened. A set without a validation split
lends 1% of its training conversations, chosen by their hash, so that copies stay on one side.
"""

import hashlib
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from nanochat.chatdata import NUM_VAL
from nanochat.common import UserError, print0
from nanochat.task import NoSuchSplit, Task
from nanochat.tinyworld_chats import SKILLS, TRAIN_ONLY, conversation, exercise
from tasks.chats import CHAT_SUFFIXES, CustomChats
from tasks.mc_train import STEMS
from tasks.mixture import Mixture, Sequence, permutation
from tasks.registry import TASKS, build_task
from tasks.spelling import SimpleSpelling, SpellingBee

GROUPS = {"arc": ("arc_easy", "arc_challenge"), "spelling": ("spelling_bee", "simple_spelling"),
          "mc_train": tuple(STEMS)}
WORLD, EXERCISES = "world", "exercises"
WORDS = {task.name: task for task in (SpellingBee, SimpleSpelling)}
NUM_WORD_QUESTIONS = 10_000  # in one epoch of a spelling task, which has as many as one asks for
NUM_EXERCISES = 16_000       # and of the exercises
MAX_EPOCHS = 1000
VALIDATION_ONE_IN = 100
TRAINABLE = tuple(name for name in TASKS if name != "humaneval")  # it has a test split alone
TASKS_HELP = ("conversations of tasks and files, mixed: comma list of NAME or PATH, each with :EPOCHS or :SHARE%% if you "
              "like, such as gsm8k:4,spelling,chats.jsonl; names are "
              f"{', '.join((WORLD, EXERCISES, *GROUPS, *TRAINABLE))}")


class Entry(NamedTuple):
    """One part of the mixture, as it was asked for."""
    name: str
    amount: float   # epochs, or percent of the conversations
    is_share: bool


class Chats(NamedTuple):
    """What to train and to validate on, conversation by conversation."""
    train: Task
    val: Task
    name: str

    def training(self) -> Iterator[dict]:
        return (self.train.training_chat(i) for i in range(len(self.train)))

    def validation(self) -> Iterator[dict]:
        return (self.val.training_chat(i) for i in range(len(self.val)))


class Subset(Task):
    """Some items of another task."""

    def __init__(self, task: Task, indices: list[int]):
        self.task, self.indices, self.kind = task, indices, task.kind

    def __len__(self) -> int:
        return len(self.indices)

    def training_chat(self, index: int) -> dict:
        return self.task.training_chat(self.indices[index])


class World(Task):
    """The conversations that chat_sft and mid_train make up when they are given none."""
    kind, name = "lm", WORLD

    def __init__(self, split: str, size: int, seed: int):
        self.split, self.size, self.seed = split, size, seed
        self.skills = (*SKILLS, *(TRAIN_ONLY if split == "train" else ()))

    def __len__(self) -> int:
        return self.size

    def training_chat(self, index: int) -> dict:
        return conversation(self.split, range(self.size)[index], self.seed, self.skills)


class Exercises(Task):
    """Who has what, asked and answered: what a small model has to practise before it can read."""
    kind, name = "lm", EXERCISES

    def __init__(self, size: int, seed: int):
        self.size, self.seed = size, seed

    def __len__(self) -> int:
        return self.size

    def training_chat(self, index: int) -> dict:
        return exercise(range(self.size)[index], self.seed)


# -----------------------------------------------------------------------------
# The mixture

def load_mixture(spec: str | None, task_data: str | None, *, has_data: bool, num_world: int, seed: int) -> Chats | None:
    """The conversations that --tasks names; None without it. has_data: whether --data was given too."""
    if spec is None:
        if task_data is not None:
            raise UserError(f"--task-data {task_data} without --tasks: say which tasks, for instance --tasks gsm8k")
        return None
    if has_data:
        raise UserError("--data and --tasks: one of them; a file of conversations may stand in --tasks too")
    return build_mixture(spec, task_data, num_world=num_world, seed=seed)


def build_mixture(spec: str, task_data: str | None, *, num_world: int, seed: int) -> Chats:
    """UserError for what cannot be understood or had. num_world: conversations in an epoch of the embedded world."""
    entries = parse_entries(spec)
    sides = [entry_sides(entry.name, task_data, num_world, seed) for entry in entries]
    train, val = [side[0] for side in sides], [side[1] for side in sides]
    for entry, task in zip(entries, train):
        if not entry.is_share and round(entry.amount * len(task)) < 1:
            raise UserError(f"--tasks {entry.name}:{entry.amount:g}: less than one of its {len(task)} conversations")
    if entries[0].is_share:
        weights = [entry.amount for entry in entries]
        size = int(min(len(task) * sum(weights) / weight for task, weight in zip(train, weights)))
        mixture = Mixture(train, weights=weights, size=size, seed=seed)
    else:
        mixture = Mixture(train, epochs=[entry.amount for entry in entries], seed=seed)
    for entry, task, count in zip(entries, train, mixture.counts):
        print0(f"{entry.name}: {count:,} conversations from {len(task):,}")
    return Chats(mixture, Mixture(val), spec)


def training_conversations(spec: str, task_data: str | None) -> Iterator[dict]:
    """All that --tasks may have trained on, whatever share it was, but for the embedded world: to look for evaluations
    in it."""
    for entry in parse_entries(spec):
        if entry.name not in (WORLD, EXERCISES):
            train, _ = entry_sides(entry.name, task_data, num_world=0, seed=0)
            yield from (train.training_chat(i) for i in range(len(train)))


def parse_entries(spec: str) -> list[Entry]:
    """
    >>> parse_entries("gsm8k:2,spelling")
    [Entry(name='gsm8k', amount=2.0, is_share=False), Entry(name='spelling', amount=1.0, is_share=False)]
    """
    entries = [parse_entry(text.strip()) for text in spec.split(",")]
    if len({entry.is_share for entry in entries}) > 1:
        raise UserError(f"--tasks {spec}: a share in percent for every entry or for none")
    total = sum(entry.amount for entry in entries)
    if entries[0].is_share and not math.isclose(total, 100, abs_tol=0.5):
        raise UserError(f"--tasks {spec}: the shares come to {total:g}%, not to 100%")
    members = [member for entry in entries for member in GROUPS.get(entry.name, (entry.name,))]
    for member in members:
        if members.count(member) > 1:
            raise UserError(f"--tasks {spec}: {member} is in it twice; for two epochs write {member}:2")
    return entries


def parse_entry(text: str) -> Entry:
    name, colon, amount = text.rpartition(":")
    if not colon:
        name, amount = text, "1"
    is_share = amount.endswith("%")
    try:
        number = float(amount.removesuffix("%"))
    except ValueError:
        raise UserError(f"--tasks {text}: after the colon a number of epochs such as 2 or 0.5, or a share such as "
                        "30%") from None
    if not 0 < number <= (100 if is_share else MAX_EPOCHS):
        raise UserError(f"--tasks {text}: above 0, at most {'100%' if is_share else f'{MAX_EPOCHS} epochs'}")
    return Entry(require_name(name), number, is_share)


def require_name(name: str) -> str:
    """A name that is known, or a path that may hold conversations."""
    known = (WORLD, EXERCISES, *GROUPS, *TRAINABLE)
    looks_like_path = "/" in name or name.endswith(CHAT_SUFFIXES) or os.path.isdir(name)
    if name not in known and not (name and looks_like_path):
        raise UserError(f"--tasks {name!r}: a file or folder of conversations ({', '.join(CHAT_SUFFIXES)}), or one of "
                        f"{', '.join(known)}")
    return name


# -----------------------------------------------------------------------------
# Both sides of an entry

def entry_sides(name: str, task_data: str | None, num_world: int, seed: int) -> tuple[Task, Task]:
    """(training, at most NUM_VAL validation conversations)"""
    if name in GROUPS:
        train, val = zip(*(entry_sides(member, task_data, num_world, seed) for member in GROUPS[name]))
        return Sequence(list(train)), Sequence(list(val))
    if name == WORLD:
        return World("train", num_world, seed), World("val", NUM_VAL, 0)
    if name == EXERCISES:
        return hold_out(Exercises(NUM_EXERCISES, seed))
    if name in WORDS:
        return (WORDS[name]("train", task_data, size=NUM_WORD_QUESTIONS, seed=seed),
                WORDS[name]("validation", task_data, size=NUM_VAL))
    if name not in TASKS:
        return hold_out(CustomChats(Path(name).expanduser()))
    train = build_task(name, "train", task_data)
    try:
        val = build_task(name, "validation", task_data)
    except NoSuchSplit:
        return hold_out(train)
    return train, first_of(val, range(len(val)))


def hold_out(task: Task) -> tuple[Subset, Subset]:
    """(training, validation): 1% by hash, at least one. Rows that are no conversation are left out, and said."""
    digests = {}
    for i in range(len(task)):
        try:
            digests[i] = digest_of(task.training_chat(i))
        except UserError as error:
            problem = str(error)
    if len(digests) < len(task):
        print0(f"{task.name}: {len(task) - len(digests):,} of {len(task):,} rows left out, such as {problem}")
    different = set(digests.values())
    if len(different) < 2:
        raise UserError(f"--tasks {task.name}: {len(different)} different conversation(s) in it, too few to hold one out")
    held_out = {d for d in different if int.from_bytes(d[:8], "big") % VALIDATION_ONE_IN == 0} or {min(different)}
    train, val = ([i for i, digest in digests.items() if (digest in held_out) == is_val] for is_val in (False, True))
    return Subset(task, train), first_of(task, val)


def first_of(task: Task, indices) -> Subset:
    """NUM_VAL of them at most, the same every time."""
    order = permutation(len(indices), "validation")
    return Subset(task, [indices[i] for i in order[:NUM_VAL]])


def digest_of(chat: dict) -> bytes:
    return hashlib.sha256(json.dumps(chat["messages"], sort_keys=True).encode()).digest()
