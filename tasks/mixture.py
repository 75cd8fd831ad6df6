"""Several tasks as one: mixed, with epochs or weights, or one after the other.

Both say for every index which item of which task it is, drawn once from a seed, and hand on examples, conversations to
train on, and the grader. Left out: weights that change during training; build the next mixture instead.
"""

import dataclasses
import random

from nanochat.common import UserError
from nanochat.task import Example, Task


class Sequence(Task):
    """All items of the first task, then all of the second, ... A task given twice comes twice."""
    name = "sequence"

    def __init__(self, tasks: list[Task]):
        if not tasks:
            raise UserError(f"a {self.name} of no tasks; give one at least")
        self.tasks = list(tasks)
        self.places = self.order([(number, i) for number, task in enumerate(tasks) for i in range(len(task))])

    def order(self, places: list[tuple[int, int]]) -> list[tuple[int, int]]:
        return places

    @property
    def kind(self) -> str:
        """Of all of them. UserError when they differ: such a mixture trains, but is evaluated task by task."""
        kinds = sorted({task.kind for task in self.tasks})
        if len(kinds) > 1:
            raise UserError(f"a {self.name} of kinds {', '.join(kinds)} has no kind of its own; evaluate its tasks")
        return kinds[0]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Example:
        number, i = self.places[index]
        example = self.tasks[number][i]
        return dataclasses.replace(example, meta={**example.meta, "task": number})

    def training_chat(self, index: int) -> dict:
        number, i = self.places[index]
        return self.tasks[number].training_chat(i)

    def grade(self, example: Example, text: str) -> float:
        return self.tasks[example.meta["task"]].grade(example, text)


class Mixture(Sequence):
    """Items of all tasks in random order, each task `epochs` times (2.5: everything twice, half of it a third time), or
    `size` items in all, shared out by `weights`. What is not a whole epoch is the beginning of a permutation."""
    name = "mixture"

    def __init__(self, tasks: list[Task], *, epochs: list[float] | None = None, weights: list[float] | None = None,
                 size: int | None = None, seed: int = 0):
        if epochs is not None and (weights is not None or size is not None):
            raise UserError("a mixture by epochs or by weights and size, not by both")
        if (weights is None) != (size is None):
            raise UserError("weights and size of a mixture belong together")
        for name, values in (("epochs", epochs), ("weights", weights)):
            if values is not None and (len(values) != len(tasks) or min(values) < 0 or not 0 < sum(values) < 1e9):
                raise UserError(f"{name} {values}: one number for each of {len(tasks)} tasks, none negative, not all 0")
        self.seed = seed
        self.counts = shares(weights, size) if weights is not None else [
            round(epoch * len(task)) for epoch, task in zip(epochs or [1.0] * len(tasks), tasks)]
        super().__init__(tasks)

    def order(self, places: list[tuple[int, int]]) -> list[tuple[int, int]]:
        drawn = []
        for number, (task, count) in enumerate(zip(self.tasks, self.counts)):
            rounds = -(-count // len(task)) if len(task) else 0
            items = [i for turn in range(rounds) for i in permutation(len(task), f"{self.seed}/{number}/{turn}")]
            drawn += [(number, i) for i in items[:count]]
        random.Random(f"{self.seed}/order").shuffle(drawn)
        return drawn


def permutation(n: int, seed: str) -> list[int]:
    order = list(range(n))
    random.Random(seed).shuffle(order)
    return order


def shares(weights: list[float], size: int) -> list[int]:
    """`size` shared out by weight in whole numbers, what rounding leaves to the largest remainders.

    >>> shares([1, 1, 2], 10)
    [3, 2, 5]
    """
    exact = [weight * size / sum(weights) for weight in weights]
    counts = [int(share) for share in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: counts[i] - exact[i])
    for i in by_remainder[:size - sum(counts)]:
        counts[i] += 1
    return counts
