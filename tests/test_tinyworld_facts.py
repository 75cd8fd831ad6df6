"""The facts are true, told and asked in many ways, held out by their words, and graded strictly."""

import calendar
import random
import re

import pytest

from nanochat.tinyworld import BOYS, COLOURS, GIRLS, GOODS, HOBBIES, PETS, PLACES, SPLITS, core, spans
from nanochat.tinyworld_facts import (
    FACTS, NEIGHBOURS, NEXT_TO, NUMBER_KINDS, RESIDENTS, TITLES, TOWN, WARES, answer_fact, fact_questions,
    fact_sentences, in_digits, plain, plural, singular)
from nanochat.tinyworld_grade import grade

HELD_OUT = ("val", "test")
ALL = [(kind, key) for kind in FACTS for key in FACTS[kind].answers]


def held_out_questions():
    return [question for split in HELD_OUT for is_own in (False, True)
            for *_, question in fact_questions(split, is_own)]


def score(kind, key, question, text):
    """As a task grades it: the answer without its article."""
    answer = re.sub("^an? ", "", FACTS[kind].answers[key])
    return grade("facts", answer, {"kind": kind, "key": key, "question": question}, text)


# -----------------------------------------------------------------------------
# True

def test_there_are_about_four_hundred_facts_and_every_kind_has_a_title():
    assert 340 <= len(ALL) <= 420 and set(TITLES) == set(FACTS)


def test_days_months_and_seasons_follow_the_calendar():
    days, months = list(calendar.day_name), list(calendar.month_name)[1:]
    for i, day in enumerate(days):
        assert FACTS["after"].answers[day] == days[(i + 1) % 7] and FACTS["before"].answers[day] == days[i - 1]
    for i, month in enumerate(months):
        assert FACTS["month"].answers[month] == months[(i + 1) % 12]
        assert FACTS["month before"].answers[month] == months[i - 1]
    seasons = FACTS["season"].answers
    assert [[month for month in months if seasons[month] == season] for season in ("spring", "summer", "autumn")] == [
        months[2:5], months[5:8], months[8:11]]


def test_opposites_go_both_ways():
    answers = FACTS["opposite"].answers
    assert len(answers) == 60 and all(answers[answers[word]] == word != answers[word] for word in answers)


def test_neighbours_are_symmetric_and_unique_places_of_the_world():
    assert len(NEXT_TO) == 2 * len(NEIGHBOURS) == 20 and set(NEXT_TO) <= set(PLACES)
    assert all(NEXT_TO[NEXT_TO[place]] == place != NEXT_TO[place] for place in NEXT_TO)


def test_residents_have_jobs_and_pets_of_their_own_and_names_that_nobody_else_has():
    people = list(RESIDENTS.values())
    assert len(people) == 16 and all(name == person.name for name, person in RESIDENTS.items())
    for column in ("name", "job", "pet", "likes"):
        assert len({getattr(person, column) for person in people}) == 16, column
    words = {word for person in people for word in person.name.split()}
    assert not words & {*GIRLS, *BOYS}
    assert {person.pet for person in people} <= set(PETS) and {person.likes for person in people} <= set(HOBBIES)
    assert {person.he for person in people} == {"he", "she"}


def test_wares_are_goods_with_prices_of_their_own():
    assert set(WARES) <= set(GOODS) and {ware.colour for ware in WARES.values()} <= set(COLOURS)
    assert len({ware.price for ware in WARES.values()}) == len(WARES) == 16


@pytest.mark.parametrize("noun, many", [("cow", "cows"), ("mouse", "mice"), ("fox", "foxes"), ("monkey", "monkeys"),
                                        ("canary", "canaries"), ("fly", "flies"), ("teach", "teaches")])
def test_plurals_are_spelled_as_in_a_dictionary(noun, many):
    assert plural(noun) == many


# -----------------------------------------------------------------------------
# Told and asked

def test_every_fact_has_six_wordings_and_many_questions_in_train():
    asked = [(kind, key) for is_own in (False, True) for kind, key, _ in fact_questions("train", is_own)]
    for kind, key in ALL:
        assert len(set(fact_sentences(kind, key))) >= 6 and asked.count((kind, key)) >= 80, (kind, key)


def test_every_kind_has_three_phrasings_of_its_own_in_val_and_in_test():
    for kind, fact_kind in FACTS.items():
        shared, val, test, _ = (set(forms) for forms in fact_kind.asks)
        assert min(len(val), len(test)) >= 3 and not shared & val and not (shared | val) & test, kind


def test_answers_are_one_short_sentence_that_tells_the_fact():
    for kind, key in ALL:
        for draw in range(4):
            text = answer_fact(random.Random(draw), kind, key)
            assert len(text.split()) <= 12 and re.fullmatch(r"[^.]+\.", text), text
            assert score(kind, key, "?", text) == 1.0, text


@pytest.mark.parametrize("kind", sorted(FACTS))
def test_no_word_begins_both_the_asked_thing_and_its_answer(kind):
    """"The mill is next to the farm." beside "The farm is next to the mill.": a model said "The mill is next to the
    mill." (955b67d)."""
    first_words = {"x": set(), "y": set()}
    for key in FACTS[kind].answers:
        for form, sentence in zip(FACTS[kind].says[:2], fact_sentences(kind, key)):
            if form[0] == "{":
                first_words["y" if form[1].lower() == "y" else "x"].add(sentence.split()[0])
    assert not first_words["x"] & first_words["y"]


def test_texts_show_no_seams():
    """No slot left open, no choice left unmade, no doubled space or word, no wrong article."""
    texts = [text for kind, key in ALL for text in fact_sentences(kind, key)] + held_out_questions()
    texts += [question for is_own in (False, True) for *_, question in fact_questions("train", is_own)]
    for text in texts:
        assert not re.search(r"[{}\[\]|/]|  |\b[Aa] [aeiou]|\b[Aa]n (?!hour)[b-df-hj-np-tv-z]", text), text
        assert not re.search(r"\b(\w+) \1\b", text) and re.match("[A-Z0-9]", text) and text[-1] not in " ,:;", text


def test_no_question_gives_its_answer_away():
    for split in SPLITS:
        for kind, key, question in (*fact_questions(split), *fact_questions(split, True)):
            assert not re.search(rf"\b{re.escape(plain(FACTS[kind].answers[key]))}\b", question, re.I), question


# -----------------------------------------------------------------------------
# Held out

def test_no_held_out_question_and_no_eight_words_of_one_are_asked_in_train():
    train = [question for is_own in (False, True) for *_, question in fact_questions("train", is_own)]
    train_cores, train_spans = set(map(core, train)), set().union(*map(spans, train))
    for question in held_out_questions():
        assert core(question) not in train_cores and not spans(question) & train_spans, question


def test_val_and_test_ask_different_questions():
    val, test = ({core(question) for is_own in (False, True) for *_, question in fact_questions(split, is_own)}
                 for split in HELD_OUT)
    assert not val & test and min(len(val), len(test)) >= 500


def test_held_out_phrasings_use_words_that_training_uses_too():
    told = " ".join([question for *_, question in fact_questions("train")]
                    + [text for kind, key in ALL for text in fact_sentences(kind, key)])
    known = set(core(told).split())
    elsewhere = {"let", "asking", "myself", "help", "somebody", "asked", "aunt", "child", "friend", "waits", "plays",
                 "dinner", "known", "met", "bought", "best", "drawing"}  # everyday words of the stories and chats
    assert {word for question in held_out_questions() for word in core(question).split()} - known <= elsewhere


# -----------------------------------------------------------------------------
# Graded

@pytest.mark.parametrize("number, text", [
    (365, "three hundred and sixty-five"), (60, "sixty"), (24, "twenty four"), (12, "Twelve"), (100, "a hundred"),
    (100, "one hundred"), (999, "nine hundred ninety-nine"), (20, "20"), (11, "eleven")])
def test_number_words_become_digits(number, text):
    assert in_digits(f"It has {text} days.") == f"it has {number} days."


def test_lists_of_number_words_are_not_added_up():
    assert in_digits("two four six twenty") == "2 4 6 20"


def test_singular_meets_plural():
    assert singular("Cows and bees") == "cow and bee" and singular("Mrs Plum") == "mrs plum"


RIGHT = [
    ("capital", "France", "Paris."), ("capital", "France", "It's Paris!"), ("opposite", "hot", "Cold."),
    ("parts", "legs of a spider", "It has 8."), ("time", "days of a year", "Three hundred and sixty-five days."),
    ("time", "minutes of an hour", "An hour has sixty minutes."), ("sound", "a cow", "A cow moos."),
    ("home", "a whale", "In the sea."), ("from", "milk", "From a cow."), ("use", "a pen", "You write with it."),
    ("next", "the bakery", "The post office."), ("job", "Mrs Plum", "Mrs Plum is a baker."),
    ("who", "the baker", "That is Mrs Plum."), ("pet", "Mr Reed", "A cat."), ("street", "Mr Oak", "In Mill Street."),
    ("likes", "Captain Gull", "Knitting!"), ("price", "a kite", "Six coins."), ("landmark", "the river", "The Tansy.")]
WRONG = [
    ("capital", "France", "The capital of France is London."), ("capital", "France", "The capital of Spain is Paris."),
    ("capital", "France", "It is not Paris."), ("capital", "France", "Paris or Lyon."),
    ("capital", "France", "Parisian"),
    ("opposite", "hot", "The opposite of hot is hot."), ("opposite", "hot", "Cold, wet, dry."),
    ("parts", "legs of a spider", "Six or eight."), ("parts", "legs of a spider", "A dog has eight legs."),
    ("time", "days of a year", "300 65"), ("time", "minutes of an hour", "sixty or sixty-one"),
    ("baby", "a cow", "A calf, a kid, a lamb."), ("baby", "a cow", "A baby pig is a calf."),
    ("from", "milk", "From cows and sheep."), ("next", "the bakery", "The school is next to the post office."),
    ("job", "Mrs Plum", "Mr Reed is the baker."), ("job", "Mrs Plum", "Mrs Plum is the baker and the singer."),
    ("who", "the baker", "Mrs Plum and Mr Reed."), ("pet", "Mr Reed", "A cat and a dog."),
    ("pet", "Mr Reed", "I don't know."), ("street", "Mr Oak", "Mill Street in Rose Street."),
    ("likes", "Captain Gull", "Captain Gull likes chess."), ("price", "a kite", "Six, seven or eight coins."),
    ("price", "a kite", "A candle costs 6 coins."), ("landmark", "the river", "The Tansy is the hill.")]


@pytest.mark.parametrize("kind, key, text", RIGHT)
def test_right_answers_in_free_wording_pass(kind, key, text):
    assert score(kind, key, "?", text) == 1.0


@pytest.mark.parametrize("kind, key, text", WRONG)
def test_wrong_answers_fail(kind, key, text):
    assert score(kind, key, "?", text) == 0.0


@pytest.mark.parametrize("kind", FACTS)
def test_naming_all_answers_of_a_kind_is_no_answer(kind):
    answers = FACTS[kind].answers
    for key in answers:
        assert score(kind, key, "?", " ".join(sorted(set(answers.values())))) == 0.0


@pytest.mark.parametrize("kind", FACTS)
def test_another_facts_answer_and_another_facts_sentence_are_wrong(kind):
    answers = FACTS[kind].answers
    for key, answer in answers.items():
        for other in answers:
            if answers[other] != answer:
                assert score(kind, key, "?", answers[other]) == 0.0
                is_same_pair = kind in ("opposite", "next") and answers[other] == key
                assert is_same_pair or score(kind, key, "?", fact_sentences(kind, other)[0]) == 0.0, (key, other)


@pytest.mark.parametrize("split", SPLITS)
def test_reference_answers_are_right_and_echoes_are_not(split):
    rng = random.Random(split)
    for kind, key, question in rng.sample(fact_questions(split), 500):
        assert score(kind, key, question, answer_fact(rng, kind, key)) == 1.0
        assert score(kind, key, question, question) == score(kind, key, question, "...") == 0.0, question


def test_number_kinds_are_those_whose_answers_are_numbers():
    assert NUMBER_KINDS == tuple(kind for kind in FACTS if all(re.search(r"\d", in_digits(answer))
                                                               for answer in FACTS[kind].answers.values()))


def test_the_town_is_called_by_one_name():
    assert all(TOWN["town"] in text for text in fact_sentences("landmark", "the town"))
