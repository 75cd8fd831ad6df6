"""What a task is: a list of examples and, for generated answers, a grader that is also the RL reward."""

from dataclasses import dataclass, field

KINDS = ("choice", "generate", "schema", "lm")


@dataclass(frozen=True)
class Example:
    """One item. `conversation` ends in a user turn for kind "generate"; the others fill context and choices."""
    conversation: dict | None = None   # {"messages": [...]}, see conversation.py
    context: str | None = None
    choices: tuple[str, ...] = ()
    answer: object = None              # what a right answer is; its type is the task's own business
    meta: dict = field(default_factory=dict)


class Task:
    """Subclasses set name, kind, split and chance, and define __len__, __getitem__ and, to generate, grade.

    task[i] is deterministic: the same i gives the same Example in every process.
    """
    name: str
    kind: str
    split: str
    chance: float = 0.0  # accuracy of a guesser, for centring

    def __len__(self) -> int:
        raise NotImplementedError

    def __getitem__(self, index: int) -> Example:
        raise NotImplementedError

    def grade(self, example: Example, text: str) -> float:
        """Score of a generated answer in [0, 1]. `text` is the visible text, tool calls and outputs left out."""
        raise NotImplementedError
