"""HumanEval: 164 Python functions to write from signature and docstring (Chen et al. 2021, arXiv 2107.03374).

An answer may be the whole function or, as the paper's models gave it, the body that continues the prompt.
"""

import re

from nanochat.task import Example
from tasks.code import code_of, fenced, passes
from tasks.rows import RowsTask, Source

INSTRUCTION = "Complete this Python function. Answer with the whole function in one code block."


class HumanEval(RowsTask):
    kind, max_tokens = "generate", 512
    source = Source("humaneval", "openai/openai_humaneval", None, {"test": "test"}, other_names={"test": "HumanEval"})

    def example(self, row: dict) -> Example:
        return Example({"messages": [{"role": "user", "content": f"{INSTRUCTION}\n\n{fenced(row['prompt'])}"}]},
                       answer=row["canonical_solution"],
                       meta={"question": row["prompt"], "solution": fenced(row["prompt"] + row["canonical_solution"]),
                             "id": row["task_id"], "test": row["test"], "entry_point": row["entry_point"]})

    def grade(self, example: Example, text: str) -> float:
        prompt, entry_point = example.meta["question"], example.meta["entry_point"]
        return float(passes(whole_program(prompt, entry_point, code_of(text)),
                            f"{example.meta['test']}\n\ncheck({entry_point})"))


def whole_program(prompt: str, entry_point: str, code: str) -> str:
    """The prompt stays in front of a whole function too: it has imports and helpers that the function may use."""
    if re.search(rf"^(async )?def {re.escape(entry_point)}\b", code, re.MULTILINE):
        return f"{prompt.rstrip()}\n    pass\n\n{code}"
    return prompt + code
