"""ARC: science questions of grades 3 to 9 with three to five choices (Clark et al. 2018, arXiv 1803.05457).

Challenge holds those that word statistics and retrieval got wrong, Easy the others. Rows are read as the hub has them
(choices with labels, an answerKey) and as OLMo's copy has them (a list of choices, a gold index). The official train and
test splits share a few questions (7 of Easy, 6 of Challenge).
"""

from nanochat.common import UserError
from nanochat.task import Example
from tasks.multiple_choice import choice_example
from tasks.rows import RowsTask, Source

SPLITS = {name: name for name in ("train", "validation", "test")}
SOURCES = {level: Source(f"arc_{level.lower()}", "allenai/ai2_arc", f"ARC-{level}", SPLITS, "arc", f"ARC-{level}")
           for level in ("Easy", "Challenge")}


class ARC(RowsTask):
    kind = "choice"
    chance = 0.25  # DCLM's baseline; nearly all questions have four choices

    def __init__(self, level: str, split: str, data: str | None = None):
        if level not in SOURCES:
            raise UserError(f"ARC level {level!r}: choose one of {', '.join(SOURCES)}")
        self.source = SOURCES[level]
        super().__init__(split, data)

    def example(self, row: dict) -> Example:
        choices = row["choices"]
        if isinstance(choices, list):
            return choice_example(row["question"], choices, row["gold"])
        return choice_example(row["question"], choices["text"], list(choices["label"]).index(row["answerKey"]))
