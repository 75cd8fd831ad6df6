"""Second questions: each answer follows from the turn before, wordings are held out, the same answer again is wrong."""

import random
import re

import pytest

from nanochat.conversation import visible_text
from nanochat.tinyworld import SPLITS, core, expand, split_of
from nanochat.tinyworld_facts import FACTS, plain, singular
from nanochat.tinyworld_followups import (AGAIN_ASKS, FOLLOWED, HERO_ASKS, MOOD_ASKS, MORE_ASKS, ONE_MORE_ASKS, ONWARD,
                                          ONWARD_ASKS, STEP_ASKS, SUM_ASKS, THING_ASKS, WORD_ASKS, followup)
from nanochat.tinyworld_formats import LISTS
from nanochat.tinyworld_grade import grade, last_number
from nanochat.tinyworld_tales import HEROES, MORE_HEROES

ALL_ASKS = (THING_ASKS, *ONWARD_ASKS.values(), SUM_ASKS, *STEP_ASKS.values(), WORD_ASKS, AGAIN_ASKS, MOOD_ASKS,
            HERO_ASKS, MORE_ASKS, ONE_MORE_ASKS)


def drawn(split, kind=None, count=600):
    found = (followup(random.Random(f"{split}/{i}"), split) for i in range(count))
    return [item for item in found if kind in (None, item.meta["kind"])]


def said(item, number):
    """The assistant's number-th answer, tool calls left out."""
    return visible_text(item.conversation[2 * number + 1]["content"])


@pytest.mark.parametrize("split", SPLITS)
def test_every_kind_is_asked_and_its_answer_is_right(split):
    items = drawn(split)
    assert {item.meta["kind"] for item in items} == set(FOLLOWED)
    assert all(grade("followup", item.answer, item.meta, said(item, -1)) == 1.0 for item in items)
    longest = max(len(item.conversation) for item in items)
    assert longest == (8 if split == "train" else 4)


@pytest.mark.parametrize("asks", ALL_ASKS)
def test_how_a_followup_is_worded_belongs_to_its_split(asks):
    train, val, test = ({core(form) for form in expand(*forms)} for forms in (asks.shared, asks.val, asks.test))
    assert train and val and test and not (train & val or train & test or val & test)


@pytest.mark.parametrize("kind", ["another thing", "one further", "another sum", "another word", "more of a list"])
def test_the_same_answer_again_is_wrong(kind):
    """Save by chance: two words may both have one a."""
    stale = [item for item in drawn("test", kind) if said(item, 0).split()[-2:] != said(item, 1).split()[-2:]]
    assert len(stale) > 20
    assert not [item for item in stale if grade("followup", item.answer, item.meta, said(item, 0))]


def test_another_fact_of_the_same_kind_is_told():
    for item in drawn("train", "another thing"):
        kind, key = item.meta["of"]["kind"], item.meta["of"]["key"]
        named = plain(key.partition(" of ")[2] or key).lower()
        assert named in item.meta["question"].lower()
        assert item.answer == plain(FACTS[kind].answers[key]) and singular(item.answer) in singular(said(item, -1))


def test_a_step_further_begins_where_the_last_ended():
    for item in drawn("train", "one further"):
        kind, key = item.meta["of"]["kind"], item.meta["of"]["key"]
        assert kind in ONWARD and key in said(item, -2)


def test_sums_go_on_with_the_result_or_with_the_numbers_asked():
    steps = 0
    for item in drawn("train", "another sum", 1500):
        a, op, b = re.fullmatch(r"(\d+)([-+*])(\d+)", item.meta["of"]["expression"]).groups()
        asked = re.findall(r"\d+", item.meta["question"])
        assert asked == [a, b] or asked == [b] and int(a) == last_number(said(item, -2))
        assert last_number(said(item, -1)) == {"+": int(a) + int(b), "-": int(a) - int(b), "*": int(a) * int(b)}[op]
        steps += asked == [b]
    assert steps > 50


def test_a_list_goes_on_where_it_ended():
    for item in drawn("train", "more of a list", 1500):
        things = ", ".join(said(item, number).rstrip(".").lower() for number in (0, 1)).split(", ")
        assert tuple(things) in {tuple(thing.lower() for thing in known[:len(things)]) for known in LISTS.values()}
        assert len(things) == len(set(things))


def test_another_story_is_another_one():
    for item in drawn("train", "another story", 600):
        first, second = (said(item, number).lower().split() for number in (0, 1))
        hero = max(HEROES + MORE_HEROES, key=second.count)
        assert first[:3] != second[:3] and (hero not in first or hero == item.meta["of"]["wish"]["hero"])


@pytest.mark.parametrize("split", SPLITS)
def test_numbers_and_words_are_of_the_split(split):
    for item in drawn(split):
        meta = item.meta["of"]
        if "expression" in meta:
            a, b = sorted(map(int, re.findall(r"\d+", meta["expression"])))
            assert split_of("pair", a, b) == split
        if "word" in meta and split != "train":
            assert split_of("word", meta["word"]) == split


@pytest.mark.parametrize("split", SPLITS)
def test_text_shows_no_seams(split):
    for item in drawn(split):
        if item.meta["kind"] != "another word":  # letters are named: "count a in"
            for message in item.conversation:
                assert not re.search(r"[{}\[\]|]|  |\b[Aa] [aeiou]", visible_text(message["content"])), item
