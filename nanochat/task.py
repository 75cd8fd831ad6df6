"""What a task is: a list of examples and, for generated answers, a grader that is also the RL reward."""

from dataclasses import dataclass, field

from nanochat.common import UserError

KINDS = ("choice", "generate", "schema", "lm")


@dataclass(frozen=True)
class Example:
    """One item, asked in a conversation that ends in a user turn, or as plain text.

    kind       asked as                     choices                answer
    choice     conversation or context      what may follow        index of the right one
    schema     choices, one after another   contexts               index of the right one; meta["continuation"] follows
    lm         conversation or context      none                   the text that follows
    generate   conversation                 none                   the task's own business, see grade

    meta["preamble"] is text before a context (few-shot examples), meta["solution"] a right answer to generate.
    """
    conversation: dict | None = None   # {"messages": [...]}, see conversation.py
    context: str | None = None
    choices: tuple[str, ...] = ()
    answer: object = None
    meta: dict = field(default_factory=dict)


class Task:
    """Subclasses set name, kind, split and chance, and define __len__, __getitem__ and, to generate, grade.

    task[i] is deterministic: the same i gives the same Example in every process.
    """
    name: str
    kind: str
    split: str
    chance: float = 0.0    # accuracy of a guesser, for centring
    max_tokens: int = 256  # room for a generated answer

    def __len__(self) -> int:
        raise NotImplementedError

    def __getitem__(self, index: int) -> Example:
        raise NotImplementedError

    def grade(self, example: Example, text: str) -> float:
        """Score of a generated answer in [0, 1]. `text` is the visible text, tool calls and outputs left out."""
        raise NotImplementedError

    def habits(self, text: str, parts: list[dict]) -> dict[str, bool]:
        """Which of the habits that the task teaches an answer shows, by name, whether it is right or not. parts are its
        text, tool calls and outputs as the engine gives them."""
        return {}

    def training_chat(self, index: int) -> dict:
        """The conversation with a right answer, to train on."""
        example = self[index]
        answer = example.choices[example.answer] if self.kind == "choice" else (
            example.answer if self.kind == "lm" else example.meta["solution"])
        return {"messages": [*example.conversation["messages"], {"role": "assistant", "content": answer}],
                "source": self.name}


class NoSuchSplit(UserError):
    """The data set has no such split."""


def require_split(name: str, split: str, known) -> str:
    """`split`, or a NoSuchSplit that names those there are."""
    if split not in known:
        raise NoSuchSplit(f"{name}: no split {split!r}; there {'is' if len(known) == 1 else 'are'} {', '.join(known)}")
    return split


def centred(accuracy: float, chance: float) -> float:
    """0 for a guesser, 1 for one who knows everything; negative below chance.

    >>> centred(0.625, 0.25)
    0.5
    """
    return (accuracy - chance) / (1 - chance)
