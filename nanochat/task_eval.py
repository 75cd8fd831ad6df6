"""How a task is evaluated: which items, how they are asked and graded, and how sure the result is.

All prompts to be answered go to the engine in one call, which keeps its rows full; choices and continuations are judged
by likelihood.py. A grader that raises or returns no number in [0, 1] gives its item 0 and is counted. Wrong answers are
sorted by what was asked (`kind_of`) and by how they are wrong (`manner_of`). Left out: graders that hang, which would
need a process of their own; ours are string functions, and code is run by sandbox.py, which has a time limit.
"""

import hashlib
import json
import math
import random
import re
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from nanochat.conversation import render_prompt, visible_text
from nanochat.engine import Completion, Engine, SamplingParams
from nanochat.likelihood import judge
from nanochat.task import Example, Task


@dataclass
class TaskResult:
    name: str
    accuracy: float               # mean score
    n: int                        # items asked
    ci95: tuple[float, float]     # Wilson
    records: list[dict]           # per item: index, question, kind, expected, answer, parts, score, manner, error
    items_sha256: str             # of all questions and answers in order: equal if the same was asked
    num_failed_grades: int        # of the zeros in it, how many are the grader's fault
    habits: dict[str, float]      # share of the answers that show each of Task.habits


def evaluate_task(engine: Engine, task: Task, *, max_items: int | None = None, seed: int = 0,
                  max_tokens: int | None = None, temperature: float = 0.0) -> TaskResult:
    """Ask `max_items` items, or all, and grade the answers. The same items for the same seed; a larger max_items asks
    the same and more. max_tokens (None: the task's own) and temperature are for generated answers."""
    indices = choose_items(len(task), max_items, seed)
    examples = [task[i] for i in indices]
    if task.kind == "generate":
        params = SamplingParams(max_tokens=max_tokens or task.max_tokens, temperature=temperature, seed=seed)
        answers = generate_answers(engine, task, examples, params)
    else:
        answers = likely_answers(engine, task, examples)
    records = [{"index": i, "question": question_text(example), "kind": kind_of(example),
                "expected": expected_answer(task, example), "answer": answer.text, "parts": answer.parts,
                "score": answer.score, "manner": manner_of(example, answer.text) if answer.score < 1 else None,
                "error": answer.error}
               for i, example, answer in zip(indices, examples, answers)]
    total, n = sum(answer.score for answer in answers), len(answers)
    return TaskResult(name=task.name, accuracy=total / n if n else 0.0, n=n, ci95=wilson_interval(total, n),
                      records=records, items_sha256=sha256_of_items(examples),
                      num_failed_grades=sum(answer.is_ungraded for answer in answers),
                      habits=share_of_habits([task.habits(answer.text, answer.parts) for answer in answers]))


def share_of_habits(shown: list[dict[str, bool]]) -> dict[str, float]:
    """
    >>> share_of_habits([{"shows work": True}, {"shows work": False}])
    {'shows work': 0.5}
    """
    return {name: sum(habits[name] for habits in shown) / len(shown) for name in (shown[0] if shown else ())}


def describe_habits(habits: dict[str, float]) -> str:
    """
    >>> describe_habits({"shows work": 0.5, "is polite": 1.0})
    'shows work 50.0%, is polite 100.0%'
    """
    return ", ".join(f"{name} {100 * share:.1f}%" for name, share in habits.items())


class Answer(NamedTuple):
    text: str
    parts: list[dict]
    score: float
    error: str | None
    is_ungraded: bool  # the grader failed


def generate_answers(engine: Engine, task: Task, examples: list[Example], params: SamplingParams) -> list[Answer]:
    prompts = [render_prompt(engine.tokenizer, example.conversation) for example in examples]
    completions = [group[0] for group in engine.generate(prompts, params)]
    grades = [grade(task, example, completion) for example, completion in zip(examples, completions)]
    return [Answer(c.text, c.parts, g.score, c.error or g.failure, g.failure is not None)
            for c, g in zip(completions, grades)]


def likely_answers(engine: Engine, task: Task, examples: list[Example]) -> list[Answer]:
    return [Answer(verdict.text, [{"type": "text", "text": verdict.text}], verdict.score,
                   "the prompt did not fit and lost its beginning" if verdict.is_cut else None, False)
            for verdict in judge(engine, task.kind, examples)]


def expected_answer(task: Task, example: Example):
    """What a right answer is, as a reader wants it: of choices the text, not the index."""
    return example.choices[example.answer] if task.kind in ("choice", "schema") else example.answer


def choose_items(num_items: int, max_items: int | None, seed: int) -> list[int]:
    """The beginning of a permutation that depends on the seed alone; all in order when nothing is left out."""
    if max_items is None or max_items >= num_items:
        return list(range(num_items))
    order = list(range(num_items))
    random.Random(seed).shuffle(order)
    return order[:max_items]


def question_text(example: Example) -> str:
    """What was asked; of several turns all, each with its role."""
    if example.conversation is None:
        return example.meta["continuation"] if example.context is None else example.context
    messages = example.conversation["messages"]
    if Counter(message["role"] for message in messages) == {"user": 1}:
        return messages[0]["content"]
    return "\n".join(f"{message['role']}: {visible_text(message['content'])}" for message in messages)


def sha256_of_items(examples: list[Example]) -> str:
    """Of items in conversations: the messages and the answer; the choices are in the messages."""
    asked = [[example.conversation["messages"], example.answer] if example.conversation else
             [example.meta.get("preamble"), example.context, example.choices, example.answer] for example in examples]
    return hashlib.sha256(json.dumps(asked, default=str).encode()).hexdigest()


# -----------------------------------------------------------------------------
# Failures

NO_ANSWER, DOES_NOT_KNOW, RIVAL, OTHER = "no answer", "I don't know", "a rival", "other"
ADMITS = re.compile(r"\b(don't|do not|can't|cannot) (know|tell|say)\b|\bno idea\b", re.I)  # tinyworld_grade's is finer


def kind_of(example: Example) -> str:
    """What sort of question of its task it is; "" for tasks that have only one."""
    return str(example.meta.get("kind", ""))


def manner_of(example: Example, text: str) -> str:
    """How a wrong answer is wrong. A rival is another answer to the same question, of those in meta["rivals"]."""
    if not text.strip():
        return NO_ANSWER
    if ADMITS.search(text):
        return DOES_NOT_KNOW
    rivals = filter(None, (plain_words(str(rival)) for rival in example.meta.get("rivals", ())))
    return RIVAL if any(f" {rival} " in f" {plain_words(text)} " for rival in rivals) else OTHER


def plain_words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def count_failures(records: list[dict]) -> list[dict]:
    """[{kind, manner, count, n_kind, example}], most frequent first: wrong answers of a kind and manner, of how many
    questions of that kind, and the first of them with {question, expected, answer}."""
    asked = Counter(record["kind"] for record in records)
    groups: dict[tuple, list] = {}
    for record in records:
        if record["score"] < 1:
            groups.setdefault((record["kind"], record["manner"]), []).append(record)
    rows = [{"kind": kind, "manner": manner, "count": len(group), "n_kind": asked[kind],
             "example": {key: group[0][key] for key in ("question", "expected", "answer")}}
            for (kind, manner), group in groups.items()]
    return sorted(rows, key=lambda row: -row["count"])


def in_turn(rows: list[dict], key: str, most: int) -> list[dict]:
    """The first row of every value of `key`, then the second of every one, up to `most`."""
    groups: dict[str, list] = {}
    for row in rows:
        groups.setdefault(row[key], []).append(row)
    return [group[i] for i in range(len(rows)) for group in groups.values() if i < len(group)][:most]


# -----------------------------------------------------------------------------
# Grades

class Grade(NamedTuple):
    score: float
    failure: str | None  # what went wrong in the grader


def grade(task: Task, example: Example, completion: Completion) -> Grade:
    """The task's score of an answer's visible text. An answer that failed has 0."""
    if completion.error is not None:
        return Grade(0.0, None)
    try:
        score = float(task.grade(example, completion.text))
    except Exception as error:
        return Grade(0.0, f"grader: {type(error).__name__}: {error}")
    if not 0 <= score <= 1:
        return Grade(0.0, f"grader: score {score}, not in 0 to 1")
    return Grade(score, None)


def wilson_interval(k: float, n: int, z: float = 1.96) -> tuple[float, float]:
    """Score interval of a proportion (Wilson 1927): k successes, or the sum of scores in [0, 1], of n.

    >>> tuple(round(x, 4) for x in wilson_interval(81, 263))
    (0.2553, 0.3662)
    """
    if n == 0:
        return 0.0, 1.0
    p, z2 = k / n, z * z
    center = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = z / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return max(0.0, center - half), min(1.0, center + half)
