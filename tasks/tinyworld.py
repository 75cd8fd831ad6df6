"""The skills of the small world as tasks: TinyWorld("facts") asks 500 held-out questions and grades the answers."""

import functools

from nanochat.common import UserError
from nanochat.task import Example, Task
from nanochat.tinyworld import SPLITS
from nanochat.tinyworld_chats import SKILLS, Item, item
from nanochat.tinyworld_grade import grade

MAX_TRIES = 20  # draws per wanted item before a small world counts as exhausted


def prompt_key(messages: list[dict]) -> tuple[str, ...]:
    return tuple(message["content"] for message in messages if message["role"] == "user")


@functools.lru_cache(maxsize=64)
def distinct_items(skill: str, split: str, size: int, seed: int) -> tuple[Item, ...]:
    """The first `size` items that ask something new; fewer when the world has no more of them."""
    found: dict[tuple, Item] = {}
    for index in range(size * MAX_TRIES):
        if len(found) == size:
            break
        candidate = item(skill, split, index, seed)
        found.setdefault(prompt_key(candidate.messages), candidate)
    return tuple(found.values())


class TinyWorld(Task):
    """`size` distinct items of one skill and split. A larger size keeps the smaller one's items as its beginning."""
    kind = "generate"

    def __init__(self, skill: str, split: str = "test", size: int = 500, seed: int = 0):
        if skill not in SKILLS:
            raise UserError(f"skill {skill!r}: choose one of {', '.join(SKILLS)}")
        if split not in SPLITS:
            raise UserError(f"split {split!r}: choose one of {', '.join(SPLITS)}")
        self.skill, self.split, self.name = skill, split, f"tinyworld/{skill}"
        self.items = distinct_items(skill, split, size, seed)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Example:
        it = self.items[index]
        return Example(conversation={"messages": it.messages}, answer=it.answer, meta=it.meta)

    def grade(self, example: Example, text: str) -> float:
        return grade(self.skill, example.answer, example.meta, text)
