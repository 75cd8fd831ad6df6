"""CORE: the mean of 22 few-shot tasks, each centred on a guesser (DataComp-LM, Li et al. 2024, arXiv 2406.11794).

Tasks, shots and delimiters are those of the bundle's core.yaml, the baselines those of its eval_meta_data.csv. Prompts
are put together as mosaicml/llm-foundry does it, on which DCLM runs (construct_context @ 019c58a): fields stripped,
examples one per line, each context followed by the delimiter. Jeopardy is five tasks by category, examples from the
same category, whose mean counts (mlfoundations/dclm, eval/eval_openlm_ckpt.py @ 07d7ad3).

A guesser's accuracy and the baseline are not always the same: BoolQ is centred on the share of yes, language
identification on one in eleven although four choices are given.

Which examples an item is shown depends on the task and the item alone, not on what else is evaluated, so a subset's
items have the prompts they have in the full set (llm-foundry draws from one generator in turn). Intervals: standard
errors per task, and a bootstrap over items, which has no width where all answers are right or all wrong. Left out: the
spread between training runs, which is larger (upstream's seven runs of one recipe: 0.2512 to 0.2677) and which no
evaluation of one model can see.
"""

import math
import random
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nanochat.common import UserError
from nanochat.conversation import read_jsonl
from nanochat.engine import Engine
from nanochat.likelihood import judge
from nanochat.task import Example, Task, centred
from nanochat.task_eval import choose_items

SEED = 1234          # of subsets, few-shot examples and bootstrap; one number, so that CORE is one thing
BOOTSTRAP = 10_000
CHUNK_ITEMS = 64     # scored in one call of the engine; lost at most when an evaluation is killed
EXAMPLE_DELIMITER = "\n"


@dataclass(frozen=True)
class CoreSpec:
    label: str
    file: str          # below eval_data/
    kind: str
    num_fewshot: int
    baseline: float
    delimiter: str = " "


ANSWER = "\nAnswer: "
CORE = (
    CoreSpec("hellaswag_zeroshot", "language_understanding/hellaswag.jsonl", "choice", 0, 0.25),
    CoreSpec("jeopardy", "world_knowledge/jeopardy_all.jsonl", "lm", 10, 0.0, ANSWER),
    CoreSpec("bigbench_qa_wikidata", "world_knowledge/bigbench_qa_wikidata.jsonl", "lm", 10, 0.0),
    CoreSpec("arc_easy", "world_knowledge/arc_easy.jsonl", "choice", 10, 0.25, ANSWER),
    CoreSpec("arc_challenge", "world_knowledge/arc_challenge.jsonl", "choice", 10, 0.25, ANSWER),
    CoreSpec("copa", "commonsense_reasoning/copa.jsonl", "choice", 0, 0.5),
    CoreSpec("commonsense_qa", "commonsense_reasoning/commonsense_qa.jsonl", "choice", 10, 0.2),
    CoreSpec("piqa", "commonsense_reasoning/piqa.jsonl", "choice", 10, 0.5, ANSWER),
    CoreSpec("openbook_qa", "commonsense_reasoning/openbook_qa.jsonl", "choice", 0, 0.25),
    CoreSpec("lambada_openai", "language_understanding/lambada_openai.jsonl", "lm", 0, 0.0),
    CoreSpec("hellaswag", "language_understanding/hellaswag.jsonl", "choice", 10, 0.25),
    CoreSpec("winograd", "language_understanding/winograd_wsc.jsonl", "schema", 0, 0.5),
    CoreSpec("winogrande", "language_understanding/winogrande.jsonl", "schema", 0, 0.5),
    CoreSpec("bigbench_dyck_languages", "symbolic_problem_solving/bigbench_dyck_languages.jsonl", "lm", 10, 0.0),
    CoreSpec("agi_eval_lsat_ar", "symbolic_problem_solving/agi_eval_lsat_ar.jsonl", "choice", 3, 0.2),
    CoreSpec("bigbench_cs_algorithms", "symbolic_problem_solving/bigbench_cs_algorithms.jsonl", "lm", 10, 0.0),
    CoreSpec("bigbench_operators", "symbolic_problem_solving/bigbench_operators.jsonl", "lm", 10, 0.0),
    CoreSpec("bigbench_repeat_copy_logic", "symbolic_problem_solving/bigbench_repeat_copy_logic.jsonl", "lm", 10, 0.0),
    CoreSpec("squad", "reading_comprehension/squad.jsonl", "lm", 10, 0.0),
    CoreSpec("coqa", "reading_comprehension/coqa.jsonl", "lm", 0, 0.0),
    CoreSpec("boolq", "reading_comprehension/boolq.jsonl", "choice", 10, 0.62, ANSWER),
    CoreSpec("bigbench_language_identification", "language_understanding/bigbench_language_identification.jsonl",
             "choice", 10, 0.091),
)


# -----------------------------------------------------------------------------
# Tasks

class CoreTask(Task):
    """One of the 22 with its few-shot prompts."""
    split = "test"

    def __init__(self, spec: CoreSpec, rows: list[dict]):
        self.spec, self.name, self.kind, self.chance = spec, spec.label, spec.kind, spec.baseline
        self.rows = [stripped(row) for row in rows]
        self.groups: dict[str, list[int]] = {}  # category -> its items
        for i, row in enumerate(self.rows):
            self.groups.setdefault(row.get("category", ""), []).append(i)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Example:
        row = self.rows[index]
        preamble = self.preamble(index)
        meta = {"preamble": preamble, "kind": row.get("category", "")}
        before = EXAMPLE_DELIMITER if preamble else ""
        if self.kind == "schema":
            choices = tuple(before + option + self.spec.delimiter for option in row["context_options"])
            return Example(choices=choices, answer=row["gold"], meta={**meta, "continuation": row["continuation"]})
        if self.kind == "choice":
            return Example(context=before + row["query"] + self.spec.delimiter, choices=tuple(row["choices"]),
                           answer=row["gold"], meta=meta)
        return Example(context=before + row["context"] + self.spec.delimiter, answer=row["continuation"], meta=meta)

    def preamble(self, index: int) -> str:
        """Solved examples other than this one and of its category, fewer than wanted when there are no more."""
        group, wanted = self.groups[self.rows[index].get("category", "")], self.spec.num_fewshot
        rng = random.Random(f"{SEED}/{self.name}/{index}")
        drawn = rng.sample(group, min(wanted + 1, len(group)))  # one more, as the item itself may be among them
        return EXAMPLE_DELIMITER.join(self.solved(self.rows[i]) for i in [i for i in drawn if i != index][:wanted])

    def solved(self, row: dict) -> str:
        if self.kind == "schema":
            return row["context_options"][row["gold"]] + self.spec.delimiter + row["continuation"]
        if self.kind == "choice":
            return row["query"] + self.spec.delimiter + row["choices"][row["gold"]]
        return row["context"] + self.spec.delimiter + row["continuation"]


def stripped(row: dict) -> dict:
    def strip(value):
        return [strip(item) for item in value] if isinstance(value, list) else (
            value.strip() if isinstance(value, str) else value)
    return {key: strip(value) for key, value in row.items()}


def load_core(folder: Path | str, labels: list[str] | None = None) -> list[CoreTask]:
    """The tasks of an unpacked evaluation bundle, in CORE's order; UserError for a file that is missing or torn."""
    folder = Path(folder)
    root = folder / "eval_data" if (folder / "eval_data").is_dir() else folder
    return [CoreTask(spec, read_core_rows(root / spec.file, spec.kind)) for spec in CORE
            if labels is None or spec.label in labels]


KEYS = {"choice": ("query", "choices", "gold"), "lm": ("context", "continuation"),
        "schema": ("context_options", "continuation", "gold")}


def read_core_rows(path: Path, kind: str) -> list[dict]:
    if not path.is_file():
        raise UserError(f"{path}: no such file; --core-data wants DCLM's evaluation bundle (eval_bundle.zip, unpacked), "
                        "the folder with eval_data/")
    rows = []
    for line_number, row in read_jsonl(path):
        if not isinstance(row, dict) or not all(key in row for key in KEYS[kind]):
            raise UserError(f"{path}:{line_number}: expected {', '.join(KEYS[kind])}, got {repr(row)[:60]}")
        options = row.get("choices") or row.get("context_options") or []
        if kind != "lm" and row["gold"] not in range(len(options)):
            raise UserError(f"{path}:{line_number}: gold {row['gold']} of {len(options)} options")
        rows.append(row)
    if not rows:
        raise UserError(f"{path}: no rows in it")
    return rows


# -----------------------------------------------------------------------------
# Scores

class Estimate(NamedTuple):
    value: float
    stderr: float
    ci95: tuple[float, float]  # bootstrap over items, 2.5 to 97.5%


@dataclass
class CoreTaskResult:
    label: str
    accuracy: Estimate
    centred: Estimate
    n: int
    num_cut: int              # items whose prompt lost its beginning
    records: list[dict]       # per item: index, category, score, chosen, logprobs, is_cut
    draws: np.ndarray         # bootstrap accuracies


def evaluate_core_task(engine: Engine, task: CoreTask, *, max_items: int | None = None) -> CoreTaskResult:
    """All items, or a subset that is the same for every model and grows with max_items."""
    return task_result(task, [record for chunk in chunks_of(task, max_items) for record in score_chunk(engine, task, chunk)])


def chunks_of(task: CoreTask, max_items: int | None) -> list[list[int]]:
    """The items that are asked, by what is scored side by side. Who scores a chunk, and after which, changes no bit."""
    indices = choose_items(len(task), max_items, SEED)
    return [indices[i:i + CHUNK_ITEMS] for i in range(0, len(indices), CHUNK_ITEMS)]


def score_chunk(engine: Engine, task: CoreTask, indices: list[int]) -> list[dict]:
    verdicts = judge(engine, task.kind, [task[i] for i in indices])
    return [{"index": i, "category": task.rows[i].get("category", ""), "score": verdict.score,
             "chosen": verdict.text, "logprobs": verdict.logprobs, "is_cut": verdict.is_cut}
            for i, verdict in zip(indices, verdicts)]


def task_result(task: CoreTask, records: list[dict]) -> CoreTaskResult:
    groups: dict[str, list[float]] = {}
    for record in records:
        groups.setdefault(record["category"], []).append(record["score"])
    accuracy, draws = estimate_mean_of_groups(list(groups.values()), f"{SEED}/{task.name}")
    return CoreTaskResult(label=task.name, accuracy=accuracy, centred=centre(accuracy, task.chance), n=len(records),
                          num_cut=sum(record["is_cut"] for record in records), records=records, draws=draws)


def estimate_mean_of_groups(groups: list[list[float]], seed: str) -> tuple[Estimate, np.ndarray]:
    """The mean of the groups' means of 0/1 scores, and BOOTSTRAP draws of it.

    A resample of n scores of which k are 1 has Binomial(n, k/n) ones, so none need be drawn one by one.
    """
    sizes, means = [len(group) for group in groups], [sum(group) / len(group) for group in groups]
    variance = sum(p * (1 - p) / n for p, n in zip(means, sizes)) / len(groups) ** 2
    rng = np.random.default_rng(list(seed.encode()))
    draws = sum(rng.binomial(n, p, BOOTSTRAP) / n for p, n in zip(means, sizes)) / len(groups)
    return Estimate(sum(means) / len(means), math.sqrt(variance), interval(draws)), draws


def interval(draws: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(draws, (0.025, 0.975))
    return float(low), float(high)


def centre(accuracy: Estimate, chance: float) -> Estimate:
    low, high = (centred(end, chance) for end in accuracy.ci95)
    return Estimate(centred(accuracy.value, chance), accuracy.stderr / (1 - chance), (low, high))


def mean_of_centred(results: list[tuple[Estimate, np.ndarray, float]]) -> Estimate:
    """Of (accuracy, its bootstrap draws, chance) per task; tasks count the same whatever their size."""
    values = [centred(accuracy.value, chance) for accuracy, _, chance in results]
    variance = sum((accuracy.stderr / (1 - chance)) ** 2 for accuracy, _, chance in results) / len(results) ** 2
    draws = sum(centred(draws, chance) for _, draws, chance in results) / len(results)
    return Estimate(sum(values) / len(values), math.sqrt(variance), interval(draws))


def core_metric(tasks: list[CoreTask], results: list[CoreTaskResult]) -> Estimate | None:
    """CORE; None unless all 22 were measured: a mean of fewer is another metric."""
    if [result.label for result in results] != [spec.label for spec in CORE]:
        return None
    return mean_of_centred([(result.accuracy, result.draws, task.chance) for task, result in zip(tasks, results)])
