"""Did the model train on the test? Runs of 13 words that an evaluation's items share with the training text.

GPT-3's test (Brown et al. 2020, appendix C): words are lowercased and their punctuation dropped, and an item that has
13 in a row in common with the training text is suspect; an item of 8 to 12 words is looked for whole, a shorter one
not at all. An item's texts (question, each choice, solution) are looked for one by one, so no run spans two of them. Runs that
more than MAX_ITEMS items of an evaluation share are its wording (instructions, a passage with many questions) and are
left out. Every hash that matches is checked against the words themselves.

Words are runs of ASCII letters and digits and of bytes beyond ASCII, typographic punctuation apart: cheap enough for
hundreds of megabytes, and the same for every script that puts spaces between words. Left out: paraphrases and translations,
which share no words, and a judgment; a hit may be a proverb.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from nanochat.conversation import visible_text
from nanochat.task import Task

N, MIN_WORDS = 13, 8
MAX_ITEMS = 10        # an item's run that so many others have too says nothing about the item
NUM_SHOWN = 20        # items per evaluation that are kept with their words
FILTER_BITS = 24      # of a hash: a bitmap of 16 MB says no to almost all runs of the training text
CHUNK_BYTES = 1 << 20
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # odd, so that powers of it keep all 64 bits

KEPT = bytes(byte if byte >= 128 or chr(byte).isalnum() else 32 for byte in range(256)).lower()
TYPOGRAPHIC = re.compile(rb"\xe2\x80[\x80-\xbf]|\xc2[\xa0-\xbf]|\xe3\x80[\x80-\x82]")  # quotes, dashes, spaces


def words_of(text: str) -> list[bytes]:
    """
    >>> words_of("Don\u2019t  stop: 3.5 \u00c4pfel!")
    [b'don', b't', b'stop', b'3', b'5', b'\\xc3\\x84pfel']
    """
    return TYPOGRAPHIC.sub(b" ", text.encode("utf-8", "replace")).translate(KEPT).split()


def run_hashes(words: np.ndarray, n: int) -> np.ndarray:
    """uint64 of every n words in a row, from the words' own hashes; arithmetic is modulo 2^64."""
    total = np.zeros(max(0, len(words) - n + 1), dtype=np.uint64)
    for i in range(n):
        total = total * MULTIPLIER + words[i:i + len(total)]
    return total ^ (total >> np.uint64(29))


def word_hashes(words: list[bytes]) -> np.ndarray:
    """Python's own, which differ from process to process; what is found does not depend on them."""
    return np.fromiter(map(hash, words), dtype=np.int64, count=len(words)).astype(np.uint64)


# -----------------------------------------------------------------------------
# What to look for

@dataclass
class Evaluation:
    """One evaluation's runs of words, and which of them the training text has."""
    name: str
    num_items: int
    num_checked: int                        # items with a run of their own that is long enough
    items: list[int]                        # of which runs_of holds the runs
    runs_of: list[list[bytes]]
    found: dict[bytes, int] = field(default_factory=dict)  # run -> number of documents that have it

    def as_record(self) -> dict:
        """{items, checked, hit, mostly, share, shown}; mostly: half of the item's runs and more were found."""
        hits = [(i, [run for run in runs if run in self.found], len(runs))
                for i, runs in zip(self.items, self.runs_of) if any(run in self.found for run in runs)]
        hits.sort(key=lambda hit: -len(hit[1]) / hit[2])
        shown = [{"item": i, "share": len(found) / n, "documents": max(self.found[run] for run in found),
                  "words": found[0].decode("utf-8", "replace")} for i, found, n in hits[:NUM_SHOWN]]
        return {"items": self.num_items, "checked": self.num_checked, "hit": len(hits),
                "mostly": sum(2 * len(found) >= n for _, found, n in hits),
                "share": len(hits) / self.num_checked if self.num_checked else None, "shown": shown}


def build_evaluation(name: str, items: Iterable[list[str]]) -> Evaluation:
    """items: the texts of each, such as question and answer."""
    runs_of = [sorted({run for text in texts for run in runs_of_text(words_of(text))}) for texts in items]
    frequency = Counter(run for runs in runs_of for run in runs)
    kept = [[run for run in runs if frequency[run] <= MAX_ITEMS] for runs in runs_of]
    checked = [i for i, runs in enumerate(kept) if runs]
    return Evaluation(name, len(runs_of), len(checked), checked, [kept[i] for i in checked])


def runs_of_text(words: list[bytes]) -> list[bytes]:
    """Words joined by spaces: as tuples they would take several times the memory, and CORE has millions."""
    if len(words) < N:
        return [b" ".join(words)] if len(words) >= MIN_WORDS else []
    return [b" ".join(words[i:i + N]) for i in range(len(words) - N + 1)]


def item_texts(task: Task, index: int) -> list[str]:
    """What of an item would give its answer away: the question as its authors wrote it, the choices, the solution.
    Text that goes on in its right answer is one with it; few-shot examples are left out."""
    example, meta = task[index], task[index].meta
    if task.kind == "schema":
        return [context + " " + meta["continuation"] for context in example.choices]
    if example.context is not None:
        right = example.choices[example.answer] if task.kind == "choice" else example.answer
        return [example.context + " " + right, *example.choices]
    asked = [meta["question"]] if "question" in meta else [
        visible_text(message["content"]) for message in example.conversation["messages"]]
    answers = [example.answer] if isinstance(example.answer, str) else []
    return [*asked, *meta.get("options", ()), *answers, visible_text(meta.get("solution", ""))]


# -----------------------------------------------------------------------------
# Looking

class Searcher:
    """Give it documents; it notes which runs of the evaluations they have."""

    def __init__(self, evaluations: list[Evaluation]):
        self.evaluations, self.num_documents, self.num_bytes = evaluations, 0, 0
        self.owners: dict[bytes, tuple[Evaluation, ...]] = {}
        for evaluation in evaluations:
            alone = (evaluation,)
            for run in {run for runs in evaluation.runs_of for run in runs}:
                self.owners[run] = self.owners[run] + alone if run in self.owners else alone
        by_length: dict[int, list[bytes]] = {}
        for run in self.owners:
            by_length.setdefault(run.count(b" ") + 1, []).append(run)
        self.wanted = [RunTable(n, runs) for n, runs in by_length.items()]

    def search(self, documents: Iterable[str]):
        """Documents are hashed many at a time; a run that spans two of them is not one."""
        batch, size = [], 0
        for document in documents:
            batch.append(document)
            size += len(document)
            if size >= CHUNK_BYTES:
                self._search_batch(batch)
                batch, size = [], 0
        self._search_batch(batch)

    def _search_batch(self, documents: list[str]):
        lists = [words_of(document) for document in documents]
        words = [word for one in lists for word in one]
        ends = np.cumsum([len(one) for one in lists])
        hashes = word_hashes(words)
        self.num_documents += len(documents)
        self.num_bytes += sum(len(document.encode("utf-8", "replace")) for document in documents)
        found = set()
        for table in self.wanted:
            for start in table.candidates(hashes):
                end, number = start + table.n, int(np.searchsorted(ends, start, side="right"))
                run = b" ".join(words[start:end])
                if end <= ends[number] and run in self.owners:
                    found.add((number, run))
        for _, run in found:
            for evaluation in self.owners[run]:
                evaluation.found[run] = evaluation.found.get(run, 0) + 1


class RunTable:
    """Which of many hashes are those of wanted runs: a bitmap first, then a sorted array."""

    def __init__(self, n: int, runs: list[bytes]):
        self.n = n
        parts = [runs[start:start + 10_000] for start in range(0, len(runs), 10_000)]
        words = (word_hashes([word for run in part for word in run.split()]) for part in parts)
        self.hashes = np.unique(np.concatenate([run_hashes(hashes, n)[::n] for hashes in words]))
        self.bitmap = np.zeros(1 << FILTER_BITS, dtype=bool)
        self.bitmap[self.hashes >> np.uint64(64 - FILTER_BITS)] = True

    def candidates(self, words: np.ndarray) -> list[int]:
        """Starts of runs whose hash is wanted."""
        hashes = run_hashes(words, self.n)
        starts = np.flatnonzero(self.bitmap[hashes >> np.uint64(64 - FILTER_BITS)])
        places = np.searchsorted(self.hashes, hashes[starts])
        is_same = self.hashes[np.minimum(places, len(self.hashes) - 1)] == hashes[starts]
        return starts[is_same].tolist()


def findings(searcher: Searcher) -> dict:
    """What the report card prints."""
    return {"n": N, "min_words": MIN_WORDS, "documents": searcher.num_documents, "text_bytes": searcher.num_bytes,
            "evaluations": {evaluation.name: evaluation.as_record() for evaluation in searcher.evaluations}}
