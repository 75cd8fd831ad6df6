"""MBPP: 974 short Python programs asked for in a sentence, with three tests each (Austin et al. 2021, arXiv 2108.07732).

The tests are part of the question, as in the paper: without them nobody could know the function's name.
"""

from nanochat.task import Example
from tasks.code import code_of, fenced, passes
from tasks.rows import RowsTask, Source

SPLITS = {name: name for name in ("train", "validation", "test", "prompt")}


class MBPP(RowsTask):
    kind, max_tokens = "generate", 512
    source = Source("mbpp", "google-research-datasets/mbpp", "full", SPLITS)

    def example(self, row: dict) -> Example:
        tests = "\n".join(row["test_list"])
        question = f"{row['text'].strip()}\n\nAnswer with one Python code block. It must pass:\n\n{fenced(tests)}"
        code = row["code"].replace("\r\n", "\n")
        return Example({"messages": [{"role": "user", "content": question}]}, answer=code,
                       meta={"question": row["text"], "solution": fenced(code), "id": row["task_id"],
                             "test": f"{row.get('test_setup_code') or ''}\n{tests}"})

    def grade(self, example: Example, text: str) -> float:
        return float(passes(code_of(text), example.meta["test"]))
