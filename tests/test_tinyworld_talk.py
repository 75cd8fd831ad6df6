"""What nanochat says about itself, what it does not know, what it compares and how it is told to answer: four skills alike."""

import random
import re
from collections import Counter

import pytest

from nanochat.conversation import validate, visible_text
from nanochat.tinyworld import SPLITS, core, dress, spans
from nanochat.tinyworld_comparing import comparing
from nanochat.tinyworld_facts import fact_questions
from nanochat.tinyworld_formats import LISTS, formatted
from nanochat.tinyworld_grade import grade
from nanochat.tinyworld_talk import (IDENTITY, UNKNOWNS, identity, identity_forms, identity_questions, small_talk, unknown,
                                     unknown_forms, unlisted_question)

MAKERS = {"identity": identity, "unknown": unknown, "comparing": comparing, "format": formatted}
HELD_OUT = ("val", "test")
MADE = {}


def items(skill, split, count):
    """The first `count` draws, made once."""
    made = MADE.setdefault((skill, split), [])
    made += [MAKERS[skill](random.Random(f"{split}/{i}"), split) for i in range(len(made), count)]
    return made[:count]


# -----------------------------------------------------------------------------
# What is asked

@pytest.mark.parametrize("skill", MAKERS)
def test_no_held_out_question_is_asked_in_training(skill):
    train = {core(it.meta["question"]) for it in items(skill, "train", 5000)}
    for split in HELD_OUT:
        assert not {core(it.meta["question"]) for it in items(skill, split, 800)} & train


@pytest.mark.parametrize("skill", MAKERS)
def test_held_out_questions_share_no_eight_words_in_a_row_with_training(skill):
    train = set().union(*(spans(it.meta["question"]) for it in items(skill, "train", 5000)))
    for split in HELD_OUT:
        assert not [it for it in items(skill, split, 800) if spans(it.meta["question"]) & train]


@pytest.mark.parametrize("skill", MAKERS)
def test_there_are_500_distinct_questions_to_measure_with(skill):
    assert len({it.meta["question"] for it in items(skill, "test", 1500)}) >= 500


@pytest.mark.parametrize("aspect", IDENTITY)
def test_an_aspect_of_identity_is_asked_in_hundreds_of_ways(aspect):
    shared = [{core(form) for is_framed in (False, True) for form in identity_forms(aspect, split, False, is_framed)}
              for split in SPLITS]
    own = [{core(form) for form in identity_forms(aspect, split, True)} for split in SPLITS]
    assert len(shared[0]) >= 600 and len(own[0]) >= 120 and all(len(forms) >= 4 for forms in own)
    together = [form for forms in shared + own for form in forms]
    assert len(together) == len(set(together))


@pytest.mark.parametrize("aspect", IDENTITY)
def test_every_phrase_about_itself_is_met_in_training_in_several_frames(aspect):
    """A word that stands in one wording alone is held out with it, and what it asks for is never learned."""
    forms = " / ".join(identity_forms(aspect, "train", False, True))
    for phrases in IDENTITY[aspect].phrases.values():
        assert all(forms.count(phrase) >= 8 for phrase in phrases.split("|"))


def test_ignorance_is_asked_for_in_400_ways_without_invented_names():
    forms = {core(form) for kind in UNKNOWNS if kind != "name" for is_own in (False, True)
             for form in unknown_forms(kind, "train", is_own)}
    assert len(forms) >= 800 and len(unknown_forms("name", "train")) >= 40


def test_what_no_fact_tells_is_asked_for_in_the_wordings_of_facts():
    """A wording in which nothing known is asked for would tell by itself that the answer is not known."""
    rng = random.Random(0)
    known = {core(question) for split in SPLITS for is_own in (False, True)
             for *_, question in fact_questions(split, is_own)}
    drawn = [unlisted_question(rng) for _ in range(4000)]
    assert len(set(drawn)) > 3000 and not set(map(core, drawn)) & known
    plain = [question for question in drawn if question.startswith("What is the opposite of ")]
    assert 0 < len(plain) / len(drawn) < 0.01


def test_nothing_unknown_is_a_fact_or_about_itself():
    known = {core(question) for split in SPLITS for is_own in (False, True)
             for *_, question in (*fact_questions(split, is_own), *identity_questions(split, is_own))}
    unknown_cores = {core(form) for kind in UNKNOWNS for split in SPLITS for form in unknown_forms(kind, split)}
    unknown_cores |= {core(form) for kind in UNKNOWNS for form in unknown_forms(kind, "train", True)}
    assert not known & unknown_cores


def test_no_question_about_itself_belongs_to_two_aspects_or_two_splits():
    asked = {(core(question), name, split, is_own) for split in SPLITS for is_own in (False, True)
             for name, question in identity_questions(split, is_own)}
    counts = Counter(question for question, *_ in asked)
    assert set(counts.values()) == {1}, [question for question, count in counts.items() if count > 1]


@pytest.mark.parametrize("skill", MAKERS)
def test_text_shows_no_seams(skill):
    for it in items(skill, "train", 3000):
        for message in it.conversation:
            seam = r"[{}\[\]|]|  |\?\.|\b[Aa] [aeiou](?!r |ni)|\b[Aa]n [b-df-gj-np-tv-z]"
            assert not re.search(seam, visible_text(message["content"])), it
        validate({"messages": it.conversation, "id": "x", "source": "x"})
        assert it.meta["kind"] and it.meta["question"] == it.messages[-1]["content"]


@pytest.mark.parametrize("split", HELD_OUT)
def test_every_format_and_every_kind_of_comparison_is_measured(split):
    for skill in ("format", "comparing", "unknown"):
        kinds = {it.meta["kind"] for it in items(skill, "train", 5000)}
        assert kinds - {it.meta["kind"] for it in items(skill, split, 1500)} <= {"week"}  # of 15 pairs of days


def test_small_talk_is_varied_and_whole():
    rng = random.Random(0)
    chats = [small_talk(rng) for _ in range(3000)]
    assert len({chat[0]["content"] for chat in chats}) > 500
    for chat in chats:
        assert [message["role"] for message in chat] == ["user", "assistant"]
        assert not re.search(r"[{}\[\]|]|  ", chat[0]["content"] + chat[1]["content"])
    asked = {core(question) for split in HELD_OUT for is_own in (False, True)
             for _, question in identity_questions(split, is_own)}
    assert not asked & {core(chat[0]["content"]) for chat in chats}


@pytest.mark.parametrize("question", ["What's your name?", "Tell me who you are.", "Capital of Velmora?"])
def test_dress_is_only_dress(question):
    rng = random.Random(1)
    dressed = {dress(rng, question) for _ in range(500)}
    assert len(dressed) > 30 and {core(text) for text in dressed} == {core(question)}


def test_draws_follow_from_the_seed():
    for skill, maker in MAKERS.items():
        assert maker(random.Random(3), "val") == maker(random.Random(3), "val")


# -----------------------------------------------------------------------------
# Graders

@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("skill", MAKERS)
def test_references_are_right_and_echo_and_silence_are_not(skill, split):
    for it in items(skill, split, 400):
        assert grade(skill, it.answer, it.meta, visible_text(it.conversation[-1]["content"])) == 1.0, it
        for wrong in ("", "...", it.meta["question"], "I am a poem."):
            assert grade(skill, it.answer, it.meta, wrong) == 0.0, (wrong, it)


@pytest.mark.parametrize("skill", ("comparing", "format"))
def test_an_answer_to_something_else_is_wrong(skill):
    made = items(skill, "test", 300)
    for it, other in zip(made, made[7:]):
        if other.meta["kind"] != it.meta["kind"] and other.answer.lower() != it.answer.lower():
            assert grade(skill, it.answer, it.meta, visible_text(other.conversation[-1]["content"])) == 0.0, (it, other)


def about(aspect, question="?"):
    return "identity", "", {"kind": aspect, "aspect": aspect, "question": question}


def pair(winner, rival, words, yes="", question="Which?", kind="size"):
    return "comparing", winner, {"kind": kind, "rivals": [rival], "words": words, "yes": yes, "question": question}


def told(form, fact=("capital", "France"), answer="Paris", start=""):
    return "format", answer, {"kind": form, "fact": list(fact), "start": start, "question": "What is it?"}


AGE, LANGUAGE, FEELINGS, NAME, ONLINE = map(about, ("age", "language", "feelings", "name", "internet"))
HORSE = pair("horse", "cat", ["bigger", "larger"])
IS_CAT = pair("horse", "cat", ["bigger", "larger"], "no", "Is a cat bigger than a horse?")
NUMBER = pair("132", "45", ["larger", "bigger"], kind="number")
MORE = pair("132", "45", ["more"], kind="number")
CLARA = ("comparing", "Clara", {"kind": "people", "rivals": ["Anna", "Ben"], "words": ["oldest"], "yes": "",
                                "question": "Anna is 9. Clara is 30. Ben is 2. Who is the oldest?"})
CHAIN = ("comparing", "Clara", {"kind": "people in a chain", "rivals": ["Anna", "Ben"], "words": ["oldest"], "yes": "",
                                "middle": "Anna", "question": "Clara is older than Anna. Anna is older than Ben. Who is oldest?"})
SORTED = ("comparing", "9, 12, 40", {"kind": "order of numbers", "rivals": [], "words": [], "yes": "",
                                     "question": "Sort 12, 40 and 9."})
LUCK = ("unknown", "", {"kind": "future", "question": "Will it rain tomorrow?"})
COLOURS3 = ("format", "", {"kind": "list", "count": 3, "allowed": list(LISTS["colours"]), "question": "Three colours?"})
COMMAS3 = ("format", "", COLOURS3[2] | {"kind": "commas"})
LETTERS2 = ("format", "", COLOURS3[2] | {"count": 2, "allowed": list(LISTS["letters"]), "question": "Two letters?"})
OFTEN = ("format", "pen pen pen", {"kind": "often", "question": 'Say "pen" three times.'})
YES = ("format", "yes", {"kind": "yes or no", "fact": ["capital", "France"], "start": "", "question": "Is it so?"})
LEGS = told("number", ("parts", "legs of a spider"), "eight")


@pytest.mark.parametrize("case, text", [
    (AGE, "I was trained not long ago."), (AGE, "I am still very young."), (LANGUAGE, "Only English."),
    (LANGUAGE, "I do not speak French, only English."), (FEELINGS, "No, I do not feel anything."),
    (FEELINGS, "A program has no feelings."), (NAME, "nanochat!"), (ONLINE, "No. I never use the internet."),
    (ONLINE, "I work offline."), (about("human"), "I am a program, not a person."),
    (about("other"), "No, I am nanochat."), (about("language"), "I know English."),
    (HORSE, "A horse is bigger than a cat."), (HORSE, "The horse."), (HORSE, "It is the horse!"),
    (IS_CAT, "No."), (IS_CAT, "No, it is not."), (IS_CAT, "No, a horse is larger."), (NUMBER, "132"),
    (NUMBER, "The larger one is 132."), (NUMBER, "132 is bigger than 45."),
    (MORE, "132 is more than 45."), (MORE, "132 is more."), (CLARA, "Clara."), (CLARA, "It is Clara."),
    (CLARA, "Clara is the oldest of them."), (SORTED, "9, 12, 40"), (SORTED, "9 12 40."),
    (SORTED, "In order: 9, 12 and 40."), (CHAIN, "Clara."), (CHAIN, "Anna is in the middle, so the oldest is Clara."),
    (CHAIN, "In the middle is Anna, so the oldest is Clara."),
    (LUCK, "I don't know."), (LUCK, "I cannot tell. Nobody can know the future."), (LUCK, "I have no idea."),
    (LUCK, "Sorry, I do not know that. You have not told me."), (LUCK, "I can't know that, I never learned it."),
    (LUCK, "I don't know that, I'm sorry."), (LUCK, "I do not know. That is not in my small world."),
    (told("word"), "paris."), (told("word"), "Paris"), (told("capital letters"), "IT IS PARIS."),
    (told("small letters"), "it is paris."), (told("sentence"), "The city is called Paris."),
    (told("twice"), "Paris Paris"),
    (told("twice"), "It is Paris. It is Paris."), (told("exclamation"), "Paris!"), (told("full stop"), "It is Paris."),
    (told("start", start="Well"), "Well, Paris."), (LEGS, "8"), (LEGS, "8."), (YES, "yes."), (OFTEN, "Pen, pen, pen."),
    (COLOURS3, "- red\n- blue\n- green"), (COLOURS3, "- Red\n- Blue\n- White\n"), (COMMAS3, "Red, blue and green."),
    (COMMAS3, "red, blue, green"), (LETTERS2, "- a\n- b"), (LETTERS2, "- s\n- A"),
])
def test_right_answers_in_free_wording_pass(case, text):
    assert grade(*case, text) == 1.0


@pytest.mark.parametrize("case, text", [
    (AGE, "I am 5 years old."), (AGE, "I am nanochat."), (AGE, "I was born long ago."), (AGE, "I am very old."),
    (AGE, "I am young or old."), (LANGUAGE, "I speak English and French."), (LANGUAGE, "All languages, also English."),
    (LANGUAGE, "No, I speak English and French."), (LANGUAGE, "I am nanochat."), (FEELINGS, "Yes, I have feelings."),
    (FEELINGS, "I feel happy, no bad feelings."), (FEELINGS, "I am happy."), (FEELINGS, "I have many feelings."),
    (NAME, "I am Anna."), (NAME, "My name is Tom."), (ONLINE, "Yes, I use the internet."), (ONLINE, "I am online."),
    (about("human"), "I am a human, not a program."), (about("maker"), "Google made me on your computer."),
    (HORSE, "A cat."), (HORSE, "A cat is bigger than a horse."), (HORSE, "A horse and a cat."),
    (HORSE, "A horse or a cat."),
    (HORSE, "A horse is smaller than a cat."), (HORSE, "Not a horse."), (HORSE, "Yes."), (HORSE, "They are the same."),
    (HORSE, "Bigger."), (HORSE, "A horse, a cat."), (HORSE, "No, a horse is bigger."), (IS_CAT, "Yes."),
    (IS_CAT, "Yes, a horse is bigger."), (IS_CAT, "No, a cat is bigger."), (IS_CAT, "Yes and no."),
    (IS_CAT, "No, it is."),
    (NUMBER, "45"), (NUMBER, "132, 45"), (NUMBER, "1320"), (NUMBER, "45 is larger than 132."),
    (NUMBER, "132 is smaller."), (MORE, "132 is less than 45."), (MORE, "45 is more than 132."), (MORE, "45"),
    (NUMBER, "32"), (NUMBER, "132 or 45"), (CLARA, "Ben."), (CLARA, "Clara and Ben."),
    (CLARA, "Clara is the youngest."),
    (CHAIN, "Ben is in the middle, so the oldest is Clara."), (CHAIN, "Anna is in the middle, so the oldest is Anna."),
    (CHAIN, "In the middle is Ben, so the oldest is Clara."), (CHAIN, "In the middle is Anna, so the oldest is Anna."),
    (CHAIN, "Anna is in the middle."), (CHAIN, "Clara is older, so Anna."), (CLARA, "Clara is in the middle, so Anna."),
    (CLARA, "Anna is older than Clara."), (CLARA, "The oldest."), (CLARA, "Not Clara."), (CLARA, "Clara, Anna, Ben."),
    (SORTED, "12, 9, 40"), (SORTED, "9, 12"), (SORTED, "40, 12, 9"), (SORTED, "9, 12, 40, 12"), (SORTED, "9, 12, 41"),
    (LUCK, "Yes, it will rain."), (LUCK, "I don't know, but take 7."), (LUCK, "I don't know. It will not rain."),
    (LUCK, "Nobody won."), (LUCK, "It is never sunny."), (LUCK, "I don't know. Ask Anna."),
    (LUCK, "I don't know. It is red."),
    (LUCK, "I know that."), (LUCK, "I don't know and it rains."), (LUCK, "It is sunny. Nobody knows."), (LUCK, "No."),
    (LUCK, "I don't know. It is not Paris."), (LUCK, "Sorry."),
    (told("word"), "It is Paris."), (told("word"), "London"), (told("word"), "Paris Paris"),
    (told("word"), "One word."),
    (told("capital letters"), "Paris"), (told("capital letters"), "LONDON"), (told("small letters"), "Paris"),
    (told("sentence"), "Paris."), (told("sentence"), "the city is called Paris"),
    (told("sentence"), "It is called London."),
    (told("twice"), "Paris."), (told("twice"), "Paris, London."), (told("twice"), "Paris Paris Paris"),
    (told("exclamation"), "Paris."), (told("exclamation"), "London!"), (told("full stop"), "Paris!"),
    (told("full stop"), "Paris..."), (told("start", start="Well"), "Paris."),
    (told("start", start="Well"), "Well, London."),
    (told("start", start="Well"), "Well, well."), (told("start", start="Well"), "So, Paris."), (told("full stop"), "."),
    (LEGS, "eight"), (LEGS, "A spider has 8 legs."), (LEGS, "6"), (LEGS, "88"), (LEGS, "6, 8"), (YES, "No"),
    (YES, "Yes, it is."), (YES, "Yes or no"), (OFTEN, "pen pen"), (OFTEN, "pen pen pen pen"), (OFTEN, "cup cup cup"),
    (COLOURS3, "red, blue, green"), (COLOURS3, "- red\n- blue"), (COLOURS3, "- red\n- red\n- blue"),
    (COLOURS3, "- red\n- dog\n- blue"), (COLOURS3, "- red\n- blue\n- green\n- white"),
    (COLOURS3, "1. red\n2. blue\n3. green"),
    (COLOURS3, "- red blue green"), (COMMAS3, "- red\n- blue\n- green"), (COMMAS3, "red, blue"),
    (COMMAS3, "red, red, blue"),
    (COMMAS3, "Three colours."), (LETTERS2, "- a\nb"), (LETTERS2, "- a\n- "), (LETTERS2, "- a\n- ab"),
])
def test_wrong_answers_fail(case, text):
    assert grade(*case, text) == 0.0


@pytest.mark.parametrize("aspect", IDENTITY)
def test_an_aspect_of_identity_is_not_answered_by_claiming_to_be_another(aspect):
    for lie in ("I am ChatGPT, a small model made by OpenAI.", "I am a human and I make mistakes.", "Yes, I am Siri.",
                "My name is Alexa and I run on this computer.", "I don't know."):
        assert grade(*about(aspect), lie) == 0.0
