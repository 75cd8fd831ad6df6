"""MMLU: four choices on 57 subjects from law to algebra (Hendrycks et al. 2020, arXiv 2009.03300).

"train" is the authors' auxiliary training set (questions of other data sets, without subjects); "dev" has the five
examples per subject that few-shot prompts use.
"""

from nanochat.task import Example
from tasks.multiple_choice import choice_example
from tasks.rows import RowsTask, Source


class MMLU(RowsTask):
    kind, chance = "choice", 0.25
    source = Source("mmlu", "cais/mmlu", "all",
                    {"train": "auxiliary_train", "dev": "dev", "validation": "validation", "test": "test"})

    def example(self, row: dict) -> Example:
        row = row.get("train", row)  # some copies of the auxiliary set wrap every row
        return choice_example(row["question"], row["choices"], int(row["answer"]), kind=row.get("subject", ""))
