"""Tasks by name, as the commands take them."""

from collections.abc import Callable

from nanochat.common import UserError
from nanochat.task import Task
from tasks.arc import ARC
from tasks.chats import SmolTalk
from tasks.gsm8k import GSM8K
from tasks.humaneval import HumanEval
from tasks.mbpp import MBPP
from tasks.mc_train import STEMS, ChoiceTraining
from tasks.mmlu import MMLU
from tasks.spelling import SimpleSpelling, SpellingBee

# name -> (split, data folder or None) -> Task
TASKS: dict[str, Callable[[str, str | None], Task]] = {
    "arc_easy": lambda split, data: ARC("Easy", split, data),
    "arc_challenge": lambda split, data: ARC("Challenge", split, data),
    "mmlu": MMLU, "gsm8k": GSM8K, "humaneval": HumanEval, "mbpp": MBPP,
    "spelling_bee": SpellingBee, "simple_spelling": SimpleSpelling, "smoltalk": SmolTalk,
    **{name: lambda split, data, name=name: ChoiceTraining(name, split, data) for name in STEMS}}
EVAL_TASKS = tuple(name for name in TASKS if name != "smoltalk")  # those with a right answer
CHATCORE = ("arc_easy", "arc_challenge", "mmlu", "gsm8k", "humaneval", "spelling_bee")


def build_task(name: str, split: str, data: str | None = None) -> Task:
    """UserError for an unknown name, a split that is not there, and rows that cannot be had."""
    if name not in TASKS:
        raise UserError(f"task {name!r}: choose one of {', '.join(TASKS)}")
    return TASKS[name](split, data)
