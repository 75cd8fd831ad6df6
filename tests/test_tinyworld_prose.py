"""The prose: the same everywhere, rich in words, without seams, and silent about what is held out."""

import lzma
import random
import re
import shutil
import subprocess
from collections import Counter

import pytest

from nanochat.tinyworld import BOYS, GIRLS, MONTHS, SPLITS, draw_operands, made_name, split_of
from nanochat.tinyworld_facts import FACTS, fact_questions, fact_sentences
from nanochat.tinyworld_prose import GENRES, RIDDLES, WORDS, YEAR, dialogue, documents, drill, lesson, queue, shopping
from nanochat.tinyworld_tales import wish_split

HELD_OUT = ("val", "test")


@pytest.fixture(scope="module")
def train_prose():
    return list(documents("train", 6000))


@pytest.fixture(scope="module")
def megabyte(train_prose):
    return "\n".join(train_prose)[:1_000_000]


def test_seeds_and_splits_write_different_prose():
    assert len({next(iter(documents(split, 1, seed))) for split in SPLITS for seed in (0, 1)}) == 6


def test_documents_have_the_promised_sizes(train_prose):
    assert all(300 <= len(text) <= 1500 for text in train_prose)
    assert 4e6 < sum(map(len, train_prose)) < 5.5e6


def test_prose_shows_no_seams(train_prose):
    """No slot left open, no choice left unmade, no doubled space or stop, no wrong article, no space at an end."""
    seam = re.compile(r"[{}\[\]|]|  |\b[Aa] [aeiou]|\b[Aa]n (?!hour)[b-df-hj-np-tv-z]|\.\.|[,?!]\.| $|, ?$"
                      r"|(?<!:) [.,?!]", re.M)  # but for a form's "Sound: ?"
    for text in (*train_prose, *documents("val", 300), *documents("test", 300)):
        assert not seam.search(re.sub(r"^Dear .*,$|^Yours,$|^[A-Z][a-z ]+,$", "", text, flags=re.M)), text


# -----------------------------------------------------------------------------
# Richness: what issue and recipe ask of one megabyte

def test_a_megabyte_has_many_words_but_not_too_many(megabyte):
    """Names apart, which are there to be copied and betray themselves by their capitals."""
    assert 1500 <= len(set(re.findall(r"(?<![A-Za-z])[a-z]+", megabyte))) <= 2600


def test_half_of_all_four_word_spans_are_new(megabyte):
    words = re.findall(r"[a-z']+|\d+", megabyte.lower())
    spans = list(zip(words, words[1:], words[2:], words[3:]))
    assert len(set(spans)) / len(spans) >= 0.5


def test_a_megabyte_does_not_shrink_below_a_bit_and_a_half_per_byte(megabyte):
    data = megabyte.encode()
    assert 8 * len(lzma.compress(data, preset=9)) / len(data) >= 1.5
    if shutil.which("zstd"):
        packed = subprocess.run(["zstd", "-19", "-c"], input=data, capture_output=True, check=True).stdout
        assert 8 * len(packed) / len(data) >= 1.5


def test_nearly_every_word_is_met_often(train_prose):
    """A word met five times teaches nothing: three in four are met ten times in 4.5 MB."""
    met = Counter(re.findall(r"(?<![A-Za-z])[a-z]+", "\n".join(train_prose)))
    assert sum(count >= 10 for count in met.values()) / len(met) > 3 / 4


def test_every_kind_of_text_differs_from_draw_to_draw():
    for _, genre in GENRES:
        pieces = [genre(random.Random(f"{genre.__name__}{i}"), "train") for i in range(40)]
        assert len(set(pieces)) >= 35 and max(map(len, pieces)) < 900, genre.__name__


def test_tables_have_no_word_twice():
    for name, words in WORDS.items():
        assert len(set(words)) == len(words) and all(re.fullmatch(r"[A-Za-z' ]+", word) for word in words), name
    assert list(YEAR) == MONTHS and all(len(set(clues)) == 3 for clues in RIDDLES.values())


# -----------------------------------------------------------------------------
# What is asked is answered, what is repeated is repeated

def test_a_queue_answers_by_its_order():
    for i in range(50):
        text = queue(random.Random(i), "train")
        names = re.split(", | and ", text.split("\n")[0].split(": ")[1].rstrip("."))
        for after, answer in re.findall(r"comes after (\w+)\?\s(?:A(?:nswer)?: )?(\w+) comes", text):
            assert names[names.index(after) + 1] == answer
        for before, answer in re.findall(r"is before (\w+)\?\s(?:A(?:nswer)?: )?(\w+) is", text):
            assert names[names.index(before) - 1] == answer


def test_lists_and_drills_say_the_same_thing_twice():
    for i in range(50):
        lines = shopping(random.Random(i), "train").split("\n")
        items = [line.removeprefix("- ") for line in lines if line.startswith("- ")]
        assert len(items) >= 3 and lines[-1].endswith(", ".join(items) + ".")
        lines = [line.split(": ", 1)[1] for line in drill(random.Random(i), "train").split("\n")]
        assert lines[::2] == lines[1::2]


def test_sums_are_right(train_prose):
    found = re.findall(r"^(\d+) ([-+*]) (\d+) = (-?\d+),", "\n".join(train_prose), flags=re.M)
    assert len(found) > 1000
    for a, op, b, result in found:
        assert {"+": int(a) + int(b), "-": int(a) - int(b), "*": int(a) * int(b)}[op] == int(result)


def test_the_prose_tells_every_fact_in_several_wordings(train_prose):
    text = "\n".join(train_prose)
    for kind, fact_kind in FACTS.items():
        for key in fact_kind.answers:
            assert sum(sentence in text for sentence in fact_sentences(kind, key)) >= 4, (kind, key)


# -----------------------------------------------------------------------------
# Nothing that is held out leaks

def test_lessons_and_dialogues_ask_only_what_is_of_their_split():
    own = {split: {question for *_, question in fact_questions(split)} for split in SPLITS}
    for split in SPLITS:
        texts = [lesson(random.Random(i), split) for i in range(300)]
        asked = {question for text in texts for question in re.findall(r'^"([^"]+)"', text, flags=re.M)}
        asked |= {dialogue(random.Random(i), split).split("\n")[-2].split(": ", 1)[1] for i in range(100)}
        assert len(asked) > 500 and asked <= own[split]


def test_held_out_pairs_of_hero_and_treasure_are_in_no_title(train_prose):
    pairs = {pair for text in train_prose for pair in re.findall(r"^The (\w+) and the (\w+)\n\n", text, flags=re.M)}
    assert len(pairs) > 400 and {wish_split(*pair) for pair in pairs} == {"train"}


def test_held_out_names_are_met_by_nobody_in_training(train_prose):
    words = set(re.findall(r"\w+", "\n".join(train_prose)))
    held_out = {name for name in GIRLS + BOYS if split_of("name", name) != "train"}
    invented = {made_name(random.Random(i), split) for i in range(200) for split in HELD_OUT}
    assert len(held_out) > 15 and not (held_out | invented) & words


def test_held_out_operand_pairs_never_meet_in_training(train_prose):
    seen = {tuple(sorted(map(int, pair))) for pair in re.findall(r"(\d+) [-+*] (\d+)", "\n".join(train_prose))}
    drawn = [draw_operands(random.Random(f"{split}{i}"), split, "+") for split in HELD_OUT for i in range(500)]
    assert len(seen) > 1000 and not seen & {tuple(sorted(pair)) for pair in drawn}
