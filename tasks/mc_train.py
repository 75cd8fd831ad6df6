"""More multiple choice to train on: OpenBookQA (Mihaylov et al. 2018), CommonsenseQA (Talmor et al. 2018), BoolQ
(Clark et al. 2019), in the rows of AI2's OLMo: {"query": "Question: ...\\nAnswer:", "choices": [...], "gold": 1}.

From a folder only; the hub's copies have rows of their own kinds.
"""

from nanochat.common import UserError
from nanochat.task import Example
from tasks.multiple_choice import choice_example
from tasks.rows import RowsTask, Source

STEMS = {"openbookqa": "openbookqa", "commonsense_qa": "csqa", "boolq": "boolq"}
CHANCE = {"openbookqa": 0.25, "commonsense_qa": 0.2, "boolq": 0.62}  # DCLM's baselines: BoolQ says yes to 62%
SPLITS = {name: name for name in ("train", "validation", "test")}


class ChoiceTraining(RowsTask):
    kind = "choice"

    def __init__(self, name: str, split: str, data: str | None = None):
        if name not in STEMS:
            raise UserError(f"multiple-choice set {name!r}: choose one of {', '.join(STEMS)}")
        self.source = Source(name, splits=SPLITS, folder="mc_train", stem=STEMS[name])
        self.chance = CHANCE[name]
        super().__init__(split, data)

    def example(self, row: dict) -> Example:
        question = row["query"].removeprefix("Question: ").removesuffix("\nAnswer:").replace("\nQuestion: ", "\n\n")
        return choice_example(question, row["choices"], row["gold"])
