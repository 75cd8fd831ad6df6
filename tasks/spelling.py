"""SpellingBee and simple spelling: letters of words, which tokens hide, over any word list, in several phrasings.

SpellingBee asks how often a letter occurs. The solution spells the word and counts aloud, then lets the calculator
count too: spelling is what a model of tokens has to learn, and the call checks it. SimpleSpelling asks for the letters
alone, as practice. Words are kept apart by their hash: a word of "test" (one in 20) or "validation" (one in 20) is
never asked in "train". Left out: languages other than the word list's.
"""

import functools
import hashlib
import os
import random
import re
from pathlib import Path

from nanochat.common import UserError
from nanochat.task import Example, Task, require_split
from tasks.rows import task_data_dir

SPLITS = ("train", "validation", "test")
ONE_IN = 20
MIN_LETTERS, MAX_LETTERS = 3, 15
FROM_WORD = 0.8  # share of questions whose letter is one of the word's
SYSTEM_WORDS = "/usr/share/dict/words"

COUNT_QUESTIONS = (
    "How many {letter} are in {word}?", "How many times does the letter {letter} occur in the word {word}?",
    "Count the letter {letter} in {word}.", "In the word {word}, how many letters are {letter}?",
    "how often is there a {letter} in {word}", "What is the number of {letter}'s in '{word}'?",
    "Tell me how many times you see {letter} in \"{word}\".", "The word is {word}. How many times does it have {letter}?",
    "I wrote {word}. How many {letter}s did I write?", "Number of {letter} in {word}, please.",
)
SPELL_QUESTIONS = (
    "Spell the word {word}.", "How do you spell {word}?", "Which letters is {word} made of?", "spell {word}",
    "Give me the letters of '{word}' one by one.", "Take {word} apart, letter by letter.",
    "What are the letters of the word \"{word}\", in order?", "Please spell {word} for me.",
)


class Words(Task):
    """`size` questions about random words of one split; a larger size keeps the smaller one's as its beginning."""
    kind = "generate"

    def __init__(self, split: str, data: str | None = None, *, words: list[str] | None = None, size: int = 1000,
                 seed: int = 0):
        """words None: words/*.txt of the data folder, else the system's list."""
        self.split = require_split(self.name, split, SPLITS)
        known = usable_words(words) if words is not None else read_words(task_data_dir(data))
        self.words = [word for word in known if split_of(word) == split]
        if not self.words:
            raise UserError(f"{self.name}: no word for split {split!r}; give a list with more words of {MIN_LETTERS} to "
                            f"{MAX_LETTERS} letters")
        self.alphabet = sorted({letter for word in known for letter in word})
        self.size, self.seed = size, seed

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> Example:
        index = range(self.size)[index]
        rng = random.Random(f"{self.name}/{self.split}/{self.seed}/{index}")
        return self.ask(rng, rng.choice(self.words))


class SpellingBee(Words):
    name = "spelling_bee"

    def ask(self, rng: random.Random, word: str) -> Example:
        letter = rng.choice(word if rng.random() < FROM_WORD else self.alphabet)
        question = rng.choice(COUNT_QUESTIONS).format(word=word, letter=letter)
        return Example({"messages": [{"role": "user", "content": question}]}, answer=word.count(letter),
                       meta={"solution": count_aloud(word, letter), "word": word, "letter": letter})

    def grade(self, example: Example, text: str) -> float:
        """By the last number in the text."""
        found = re.findall(r"\d+", text)
        return float(bool(found) and int(found[-1][:9]) == example.answer)


class SimpleSpelling(Words):
    name = "simple_spelling"

    def ask(self, rng: random.Random, word: str) -> Example:
        question = rng.choice(SPELL_QUESTIONS).format(word=word)
        return Example({"messages": [{"role": "user", "content": question}]}, answer=", ".join(word),
                       meta={"solution": ", ".join(word), "word": word})

    def grade(self, example: Example, text: str) -> float:
        """By what stands after the last colon, any signs between the letters."""
        letters = re.findall(r"\w+", text.rpartition(":")[2].lower())
        return float(letters == list(example.meta["word"]))


def count_aloud(word: str, letter: str) -> list[dict]:
    spelled, count = [], 0
    for here in word:
        count += here == letter
        spelled.append(f"{here} ({count})" if here == letter else here)
    return [{"type": "text", "text": f"{', '.join(spelled)}. The calculator says: "},
            {"type": "python", "text": f'"{word}".count("{letter}")'}, {"type": "python_output", "text": str(count)},
            {"type": "text", "text": f"So {word} has {letter} {count} time{'s' * (count != 1)}: {count}"}]


def split_of(word: str) -> str:
    part = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big") % ONE_IN
    return {0: "test", 1: "validation"}.get(part, "train")


def usable_words(words: list[str]) -> tuple[str, ...]:
    lowered = (word.strip().lower() for word in words)
    return tuple(dict.fromkeys(word for word in lowered if word.isalpha() and MIN_LETTERS <= len(word) <= MAX_LETTERS))


@functools.lru_cache(maxsize=4)
def read_words(data: str | None) -> tuple[str, ...]:
    """Of a data folder without lists, and without a folder, the system's."""
    files = sorted(Path(data, "words").glob("*.txt")) if data and os.path.isdir(data) else []
    if not files and os.path.isfile(SYSTEM_WORDS):
        files = [Path(SYSTEM_WORDS)]
    if not files:
        raise UserError(f"no word list: neither words/*.txt in {data or 'a --task-data folder'} nor {SYSTEM_WORDS}; "
                        "put a list there, one word a line")
    try:
        return usable_words([line for file in files for line in file.read_text(encoding="utf-8").splitlines()])
    except UnicodeDecodeError:
        raise UserError(f"{files[0]}: not UTF-8 text; convert it first, e.g. with iconv -t utf-8") from None
