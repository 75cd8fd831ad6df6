"""Tales grant what was wished, are held out by content, and do not show their template."""

import random
import re

import pytest

from nanochat.tinyworld import PLACES, SPLITS, expand
from nanochat.tinyworld_grade import grade, has_phrase
from nanochat.tinyworld_tales import (EVENTS, HEROES, MOODS, SHARED_MOOD_KINDS, SHARED_MOOD_WISHES, TREASURES, UNMADE,
                                      WISH_ASKS, complete, draw_wish, events_of, story_question, tell_tale, wish_split)
from nanochat.tinyworld_wordings import MOOD_KINDS, MOOD_WISHES

HELD_OUT = ("val", "test")
FOX = {"hero": "fox", "event": "finds", "treasure": "key", "place": "mill", "mood": "happy"}
NOTHING = dict.fromkeys(FOX, "")


def told(split, count=500):
    """(wish, question, tale), as a task would draw them."""
    for i in range(count):
        rng = random.Random(f"{split}{i}")
        wish = draw_wish(rng, split)
        yield wish, story_question(rng, split, wish), tell_tale(rng, wish)


@pytest.mark.parametrize("split", SPLITS)
def test_every_tale_grants_its_wish_and_no_question_does(split):
    for wish, question, tale in told(split):
        meta = {"wish": wish, "question": question}
        assert grade("story", "", meta, tale) == 1.0, (wish, tale)
        for wrong in ("", question, "The end.", tale.rsplit(". ", 2)[0], " ".join(tale.split()[:9]) + ". The end."):
            assert grade("story", "", meta, wrong) == 0.0, (wish, wrong)


@pytest.mark.parametrize("mood", MOODS)
def test_a_tale_fails_without_any_wished_thing(mood):
    for i in range(50):
        wish = FOX | {"mood": mood}
        tale = tell_tale(random.Random(i), wish)
        meta = {"wish": wish, "question": "A story, please."}
        assert grade("story", "", meta, tale) == 1.0
        for key in ("hero", "treasure", "place"):
            assert grade("story", "", meta, tale.replace(wish[key], "thing")) == 0.0


@pytest.mark.parametrize("text", [
    "The fox found a key at the mill. The fox found a key at the mill. They met. The fox was happy. The end.",
    "A fox lived at the mill. The fox was happy to find a key. " + "One day it began to rain and did not stop. " * 3
    + "The end.",
    "A fox lived at the mill. It was happy. Then the fox found a key. Night came and it was dark. The fox went home. "
    "It closed the door. The end.",
    "A fox lived at the mill. The fox found a key. Everyone was happy."])
def test_repeating_oneself_the_mood_too_early_and_no_end_fail(text):
    assert grade("story", "", {"wish": FOX, "question": "?"}, text) == 0.0


def test_a_wish_that_leaves_everything_open_is_granted_by_any_tale():
    for i in range(50):
        tale = tell_tale(random.Random(i), NOTHING)
        assert grade("story", "", {"wish": NOTHING, "question": "Tell me a story."}, tale) == 1.0


def test_tales_are_short_and_name_hero_and_treasure_again_and_again():
    for i in range(300):
        wish = FOX | {"event": random.Random(i).choice(tuple(EVENTS))}
        tale = tell_tale(random.Random(i), wish)
        assert 50 <= len(tale.split()) <= 100 and len(re.findall(r"[.!?]", tale)) <= 16
        assert tale.count("fox") >= 2 and tale.count("key") >= 2, tale


def test_tales_show_no_seams():
    """No slot left open, no choice left unmade, no doubled space, no wrong article, no sentence in lower case."""
    for split in SPLITS:
        for wish, question, tale in told(split, 300):
            for text in (tale, question):
                assert not re.search(r"[{}\[\]|]|  |\b[Aa] [aeiou]|\b[Aa]n (?!hour)[b-df-hj-np-tv-z]|\.\.", text), text
            assert not re.search(r"[.!?] [a-z]", tale), tale


@pytest.mark.parametrize("wish", [FOX, NOTHING, NOTHING | {"hero": "owl"}], ids=["full", "open", "hero"])
def test_first_sentences_of_one_wish_differ(wish):
    firsts = {re.split(r"(?<=[.!?])", tell_tale(random.Random(i), wish))[0] for i in range(200)}
    assert len(firsts) >= 180


def test_the_same_seed_tells_the_same_tale():
    assert tell_tale(random.Random(3), FOX) == tell_tale(random.Random(3), FOX) != tell_tale(random.Random(4), FOX)


@pytest.mark.parametrize("split", SPLITS)
def test_wishes_belong_to_their_split_and_name_their_parts(split):
    shapes = set()
    for wish, question, _ in told(split):
        assert wish_split(wish["hero"], wish["treasure"], wish["place"], wish["mood"]) == split
        shapes.add(tuple(key for key in ("hero", "event", "treasure") if wish[key]))
        assert all(has_phrase(question, wish[key]) for key in ("hero", "event", "treasure", "place") if wish[key])
    assert shapes == {("hero", "event", "treasure"), ("hero", "treasure"), ("hero",), ("treasure",), ()}


@pytest.mark.parametrize("split", SPLITS)
def test_a_wished_mood_is_asked_for(split):
    """Some questions have no place before the word story, and it was lost."""
    for wish, question, _ in told(split):
        if mood := wish["mood"]:
            said = (SHARED_MOOD_KINDS[mood], *MOOD_KINDS[mood], *expand(SHARED_MOOD_WISHES[mood], *MOOD_WISHES[mood]))
            assert any(wording.strip().lower() in question.lower() for wording in said), (mood, question)


def test_a_wished_place_is_in_the_first_sentence():
    for i in range(300):
        assert "mill" in re.split(r"(?<=[.!?])\"? ", tell_tale(random.Random(i), FOX))[0]


@pytest.mark.parametrize("split", SPLITS)
def test_what_a_tale_chooses_by_itself_is_never_held_out(split):
    for wish, *_ in told(split):
        chosen = complete(random.Random(1), wish)
        assert all(chosen[key] == wish[key] for key in wish if wish[key] or key == "mood")
        is_wished = wish["hero"] and wish["treasure"]
        assert wish_split(chosen["hero"], chosen["treasure"]) == (split if is_wished else "train")


def test_questions_of_train_are_not_asked_elsewhere():
    asked = {split: {question.lower() for _, question, _ in told(split, 1500)} for split in SPLITS}
    assert not asked["train"] & (asked["val"] | asked["test"])
    assert min(map(len, asked.values())) > 1000


def test_a_wish_can_be_phrased_in_many_ways():
    for asks in WISH_ASKS.values():
        shared = set(expand(*asks.shared))
        assert len(shared) >= 40 and asks.val and asks.test
        assert not shared & set(expand(*asks.val, *asks.test)) and not set(asks.val) & set(asks.test)


def test_events_are_many_and_nobody_makes_a_stone():
    assert len(EVENTS) >= 12 and set(UNMADE) < set(TREASURES)
    assert "makes" in events_of("kite") and not {"makes", "repairs"} & set(events_of("stone"))
    assert all(len(lines) >= 3 for event in EVENTS.values() for lines in event)
    assert not set(PLACES) & (set(HEROES) | set(TREASURES))
