"""GSM8K: word problems of grade school whose solutions say which sums they do (Cobbe et al. 2021, arXiv 2110.14168).

The data set marks every sum where it is needed: "48/2 = <<48/2=24>>24 clips". Here it becomes a call of the
calculator: text "48/2 = ", python "48/2", its output "24", text "24 clips", the output being what our calculator says,
since that is what the engine will put there. Marks that it refuses or disagrees with are dropped; the number stays in
the text. The answer follows "####".

Official are train and test. "validation" is one in fifteen of the official training problems, chosen by the hash of
the question and left out of "train": what to choose by, without looking at the test.
"""

import hashlib
import math
import re

from nanochat.calculator import CalculatorError, calculate
from nanochat.task import Example, require_split
from tasks.rows import RowsTask, Source

ONE_IN = 15
MARK = re.compile(r"<<([^<>=]*)=([^<>]*)>>")
NUMBER = re.compile(r"-?(?:\d[\d,]*(?:\.\d+)?|\.\d+)")
INSTRUCTION = "Give the final answer as a number after ####."
SPLITS = {"train": "train", "validation": "train", "test": "test"}  # ours -> the official one it is of


class GSM8K(RowsTask):
    kind, max_tokens = "generate", 512
    source = Source("gsm8k", "openai/gsm8k", "main", {"train": "train", "test": "test"})

    def __init__(self, split: str, data: str | None = None):
        super().__init__(SPLITS[require_split("gsm8k", split, SPLITS)], data)
        if split != "test":
            self.rows = [row for row in self.rows if is_held_out(row) == (split == "validation")]
        self.split = split

    def example(self, row: dict) -> Example:
        question = f"{row['question'].strip()}\n\n{INSTRUCTION}"
        return Example({"messages": [{"role": "user", "content": question}]}, answer=final_number(row["answer"]),
                       meta={"question": row["question"], "solution": tool_parts(row["answer"])})

    def grade(self, example: Example, text: str) -> float:
        return float(is_same_number(final_number(text), example.answer))

    def habits(self, text: str, parts: list[dict]) -> dict[str, bool]:
        """A call that the calculator refuses is no use of it.

        >>> GSM8K.habits(None, "So it is 7.", [])
        {'uses the calculator': False, 'ends with ####': False}
        """
        _, mark, after = text.rpartition("####")
        return {"uses the calculator": any(part["type"] == "python_output" and NUMBER.fullmatch(part["text"])
                                            for part in parts),
                "ends with ####": bool(mark and NUMBER.fullmatch(after.strip()))}


def is_held_out(row: dict) -> bool:
    return int.from_bytes(hashlib.sha256(row["question"].encode()).digest()[:8], "big") % ONE_IN == 0


def final_number(text: str) -> str | None:
    """The number after the last ####, else the last one in the text, without thousands separators.

    >>> final_number("12 + 1,000 = 1,012\\n#### 1,012"), final_number("So it is $7."), final_number("none")
    ('1012', '7', None)
    """
    _, mark, after = text.rpartition("####")
    found = NUMBER.findall(after)
    return (found[0] if mark else found[-1]).replace(",", "") if found else None


def is_same_number(a: str | None, b: str | None) -> bool:
    return a is not None and b is not None and math.isclose(float(a), float(b), rel_tol=1e-9, abs_tol=1e-9)


def tool_parts(solution: str) -> list[dict]:
    """The solution as parts of an assistant turn.

    >>> [part["text"] for part in tool_parts("He has 2*3=<<2*3=6>>6.")]
    ['He has 2*3=', '2*3', '6', '6.']
    """
    parts, start = [], 0
    for mark in MARK.finditer(solution):
        add_text(parts, solution[start:mark.start()])
        if (result := checked_sum(*mark.groups())) is not None:
            parts += [{"type": "python", "text": mark[1].strip()}, {"type": "python_output", "text": result}]
        start = mark.end()
    add_text(parts, solution[start:])
    return parts


def add_text(parts: list[dict], text: str):
    if parts and parts[-1]["type"] == "text":
        parts[-1]["text"] += text
    elif text:
        parts.append({"type": "text", "text": text})


def checked_sum(expression: str, claimed: str) -> str | None:
    """What the calculator says to it; None when it refuses, or says something else than the mark does."""
    try:
        result = calculate(expression.strip())
        return result if math.isclose(float(result), float(claimed.replace(",", "")), rel_tol=0.01) else None
    except (CalculatorError, ValueError):
        return None
