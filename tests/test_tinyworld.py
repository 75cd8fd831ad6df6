"""The embedded world: the same everywhere, honest about what it holds out, graded strictly."""

import calendar
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nanochat.common import UserError
from nanochat.conversation import validate, visible_text
from nanochat.tinyworld import (BOYS, FACTS, GIRLS, SPLITS, documents, expand, fact_questions, fact_sentences,
                                made_name, split_of, with_articles)
from nanochat.tinyworld_chats import CLOSERS, IDENTITY, OPENERS, SKILLS, conversations, identity_questions
from nanochat.tinyworld_grade import grade
from tasks.tinyworld import TinyWorld

HELD_OUT = ("val", "test")


@pytest.fixture(scope="module")
def train_chats():
    return list(conversations("train", 20_000))


@pytest.fixture(scope="module")
def train_prose():
    return list(documents("train", 6000))


@pytest.fixture(scope="module")
def train_text(train_chats, train_prose):
    texts = [text for chat in train_chats for message in chat["messages"] for text in [all_text(message["content"])]]
    return "\n".join(texts + train_prose)


def all_text(content):
    return content if isinstance(content, str) else " ".join(part["text"] for part in content)


def held_out_tasks(skill):
    return [TinyWorld(skill, split) for split in HELD_OUT]


def core(question):
    """The question without what `dress` puts around it."""
    question = question.lower()
    for opener in OPENERS:
        question = question.removeprefix(opener.lower())
    for closer in CLOSERS:
        question = question.removesuffix(closer.lower())
    return question.rstrip("?. ")


# -----------------------------------------------------------------------------
# The grammar and determinism

def test_expand_gives_every_reading_in_order():
    assert expand("[big|small] cat", "a[| b]") == ("big cat", "small cat", "a", "a b")


def test_articles_follow_the_sound():
    assert with_articles("a owl saw a cat and A orange") == "an owl saw a cat and An orange"


def test_split_of_is_what_it_was_when_the_first_model_was_trained():
    assert [split_of("pair", 12, b) for b in (13, 30, 31, 69, 70)] == ["test", "val", "train", "test", "val"]


def test_four_fifths_of_all_pairs_train_and_a_tenth_each_is_held_out():
    splits = [split_of("pair", a, b) for a in range(0, 1000, 9) for b in range(a, 1000, 7)]
    shares = [splits.count(split) / len(splits) for split in SPLITS]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.01)


FINGERPRINT = """
import hashlib, json
from nanochat.tinyworld import documents
from nanochat.tinyworld_chats import SKILLS, conversations, item
made = [*documents("train", 100, 3), *conversations("train", 1000, 3),
        *(item(s, "test", 7).conversation for s in SKILLS)]
print(hashlib.sha256(json.dumps(made).encode()).hexdigest())
"""


def test_every_process_makes_the_same_world():
    prints = {subprocess.run([sys.executable, "-c", FINGERPRINT], cwd=Path(__file__).parents[1], text=True, check=True,
                             capture_output=True, env=os.environ | {"PYTHONHASHSEED": seed}).stdout for seed in "12"}
    assert len(prints) == 1 and len(prints.pop()) == 65


def test_seeds_and_splits_make_different_worlds():
    first = [next(iter(documents(split, 1, seed))) for split in SPLITS for seed in (0, 1)]
    assert len(set(first)) == 6


# -----------------------------------------------------------------------------
# Prose and conversations

def test_documents_have_the_promised_sizes(train_prose):
    assert all(300 <= len(text) <= 1500 for text in train_prose)
    assert 4e6 < sum(map(len, train_prose)) < 5.5e6


def test_text_shows_no_seams(train_prose, train_chats):
    """No slot left open, no choice left unmade, no doubled space, no wrong article. (Letters are asked for as "a".)"""
    chats = [all_text(message["content"]) for chat in train_chats for message in chat["messages"]]
    for text in (*train_prose, *(text for text in chats if '"' not in text)):
        assert not re.search(r"[{}\[\]|]|  |\b[Aa] [aeiou]|\b[Aa]n (?!hour)[b-df-hj-np-tv-z]", text), text


def test_conversations_are_valid_and_named(train_chats):
    for chat in train_chats:
        validate(chat)
    assert len({chat["id"] for chat in train_chats}) == len(train_chats)
    sources = {chat["source"] for chat in train_chats}
    assert sources == {f"tinyworld/{name}" for name in (*SKILLS, "smalltalk", "repeat", "mixed")}


def test_only_the_skills_asked_for_are_made():
    assert {chat["source"] for chat in conversations("train", 50, skills=("letters",))} == {"tinyworld/letters"}
    assert {chat["source"] for chat in conversations("test", 400)} == {f"tinyworld/{skill}" for skill in SKILLS}


def test_tool_calls_say_what_python_says(train_chats):
    answers = [message["content"] for chat in train_chats for message in chat["messages"]]
    calls = [content for content in answers if isinstance(content, list)]
    assert len(calls) > 5000
    for call, output, text in calls:
        assert float(output["text"]) == eval(call["text"]) and visible_text([text]).rstrip(".").endswith(output["text"])


def test_words_stay_few(train_prose, train_chats):
    """Invented names and words apart, which are there to be copied."""
    made = ("letters", "repeat", "mixed")
    chats = [chat for chat in train_chats if chat["source"].split("/")[1] not in made]
    text = " ".join([*train_prose, *(all_text(message["content"]) for chat in chats for message in chat["messages"])])
    assert 1000 < len(set(re.findall(r"(?<![A-Za-z])[a-z]+", text))) < 3000


# -----------------------------------------------------------------------------
# Facts are true, stated and asked in many ways

def test_days_and_months_follow_the_calendar():
    days, months = list(calendar.day_name), list(calendar.month_name)[1:]
    for i, day in enumerate(days):
        assert FACTS["after"].answers[day] == days[(i + 1) % 7] and FACTS["before"].answers[day] == days[i - 1]
    assert [FACTS["month"].answers[month] for month in months] == months[1:] + months[:1]


def test_opposites_go_both_ways():
    answers = FACTS["opposite"].answers
    assert all(answers[answers[word]] == word != answers[word] for word in answers)


def test_every_fact_has_six_wordings_and_six_questions_in_train():
    asked = [(kind, key) for kind, key, _ in fact_questions("train")]
    for kind, fact_kind in FACTS.items():
        for key in fact_kind.answers:
            assert len(set(fact_sentences(kind, key))) >= 6 and asked.count((kind, key)) >= 6, (kind, key)


def test_the_prose_tells_every_fact_in_several_wordings(train_prose):
    text = "\n".join(train_prose)
    for kind, fact_kind in FACTS.items():
        for key in fact_kind.answers:
            assert sum(sentence in text for sentence in fact_sentences(kind, key)) >= 4, (kind, key)


# -----------------------------------------------------------------------------
# Nothing that is held out leaks

@pytest.mark.parametrize("skill", SKILLS)
def test_no_held_out_question_is_asked_in_training(skill, train_chats):
    """Memory's questions are everyone's; what was told is held out, so all user turns are compared together."""
    def prompt(messages):
        return tuple(core(m["content"]) for m in messages if m["role"] == "user")
    seen = {(core(m["content"]),) for chat in train_chats for m in chat["messages"] if m["role"] == "user"}
    seen |= {prompt(chat["messages"]) for chat in train_chats}
    for task in held_out_tasks(skill):
        for it in task.items:
            if len(prompt(it.messages)) > 1 or skill != "memory":
                assert prompt(it.messages) not in seen, it.messages


def test_held_out_facts_and_identity_questions_are_in_no_prose(train_prose):
    text = "\n".join(train_prose[:2000])
    for split in HELD_OUT:
        for is_novel in (False, True):
            questions = (*fact_questions(split, is_novel), *identity_questions(split, is_novel))
            assert not [question for *_, question in questions if question in text]


def test_held_out_operand_pairs_never_meet_in_training(train_text):
    seen = {tuple(sorted(map(int, pair))) for pair in re.findall(r"(\d+) ?[-+*/x] ?(\d+)", train_text)}
    for task in held_out_tasks("arithmetic"):
        pairs = {tuple(sorted(map(int, re.findall(r"\d+", it.meta["expression"])))) for it in task.items}
        assert len(pairs) > 400 and not pairs & seen


def test_held_out_words_are_never_counted_in_training(train_text):
    seen = set(re.findall(r'"(\w+)"\.count', train_text))
    for task in held_out_tasks("letters"):
        assert not {it.meta["word"] for it in task.items} & seen


def test_held_out_names_are_met_by_nobody_in_training(train_text):
    words = set(re.findall(r"\w+", train_text))
    held_out = {name for name in GIRLS + BOYS if split_of("name", name) != "train"}
    invented = {made_name(random.Random(i), split) for i in range(200) for split in HELD_OUT}
    assert len(held_out) > 15 and not (held_out | invented) & words


def test_held_out_wishes_are_never_granted_in_training(train_chats, train_prose):
    held_out = {(it.meta["wish"]["hero"], it.meta["wish"]["treasure"]) for task in held_out_tasks("story")
                for it in task.items}
    told = {pair for text in train_prose for pair in re.findall(r"The (\w+) and the (\w+)\n\n", text)}
    stories = [all_text(chat["messages"][1]["content"]) for chat in train_chats if chat["source"] == "tinyworld/story"]
    assert len(told) > 500 and len(held_out) > 100 and len(stories) > 500
    assert not told & held_out
    for story in stories:  # the hero is named in the first sentence, the treasure as "no ordinary ..." or "that ..."
        hero = re.search(r"(?:[Tt]here was (?:once )?|ago )an? \w+ (\w+)", story)
        treasure = re.search(r"(?:no ordinary|knew about that) (\w+):", story)
        assert (hero[1], treasure[1]) not in held_out


@pytest.mark.parametrize("split", HELD_OUT)
def test_values_to_remember_are_held_out(split):
    told = {s: {(it.meta["slot"], it.answer) for it in TinyWorld("memory", s).items} for s in ("train", split)}
    assert not told["train"] & told[split] and {slot for slot, _ in told[split]} == {slot for slot, _ in told["train"]}


# -----------------------------------------------------------------------------
# Graders

@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("skill", SKILLS)
def test_reference_answers_are_right_and_echoes_and_silence_are_not(skill, split):
    task = TinyWorld(skill, split, size=300)
    for it in task.items:
        assert grade(skill, it.answer, it.meta, visible_text(it.conversation[-1]["content"])) == 1.0, it
        for wrong in ("", "...", it.messages[-1]["content"], it.meta["question"]):
            assert grade(skill, it.answer, it.meta, wrong) == 0.0, (wrong, it)


CAPITAL = ("facts", "Paris", {"kind": "capital", "key": "France", "question": "What is the capital of France?"})
OPPOSITE = ("facts", "cold", {"kind": "opposite", "key": "hot", "question": "What is the opposite of hot?"})
LEGS = ("facts", "eight", {"kind": "parts", "key": "legs of a spider", "question": "How many legs does a spider have?"})
CALF = ("facts", "calf", {"kind": "baby", "key": "a cow", "question": "What is a baby cow called?"})
NAME = ("identity", "", {"aspect": "name", "question": "What is your name?"})
MAKER = ("identity", "", {"aspect": "maker", "question": "Who made you?"})
HUMAN = ("identity", "", {"aspect": "human", "question": "Are you human?"})
CAN = ("identity", "", {"aspect": "can", "question": "What can you do?"})
SUM = ("arithmetic", "499", {"expression": "412+87", "question": "What is 412 + 87?"})
LESS = ("arithmetic", "-4", {"expression": "5-9", "question": "5-9"})
LETTER = ("letters", "3", {"word": "strawberry", "letter": "r", "question": 'How many r\'s are in "strawberry"?'})
WHO = ("reading", "Anna",
       {"rivals": ["Ben"], "question": "Anna bought a kite. Ben bought a ball. Who bought the kite?"})
WHERE = ("reading", "post office",
         {"rivals": ["zoo"], "question": "Tom went from the zoo to the post office. Where did he go?"})
MINE = ("memory", "Mira", {"rivals": ["blue"], "slot": "name", "question": "What is my name?"})
STORY = ("story", "", {"wish": {"hero": "fox", "event": "finds", "treasure": "key", "place": "", "mood": "happy"},
                       "question": "Tell me a story about a fox who finds a key, with a happy end."})
LUCK = ("unknown", "", {"question": "What are tomorrow's lottery numbers?"})
VELMORA = ("unknown", "", {"question": "What is the capital of Velmora?"})
TALE = "A fox lived in a wood. One day the fox found a key. It opened a small door. The fox was happy. The end."


@pytest.mark.parametrize("case, text", [
    (CAPITAL, "Paris."), (CAPITAL, "It's Paris!"), (CAPITAL, "the capital of france is paris"),
    (OPPOSITE, "Cold is the opposite of hot."),
    (LEGS, "A spider has 8 legs."), (LEGS, "Eight."), (CALF, "It is called a calf."), (NAME, "I am nanochat."),
    (NAME, "nanochat"),
    (MAKER, "I was trained on this computer."), (HUMAN, "No, I am a program."), (CAN, "I tell stories and do sums."),
    (SUM, "412 plus 87 is 499."), (SUM, "499"), (SUM, "The answer is 499!"), (LESS, "5 - 9 = -4."),
    (LETTER, "s t r a w b e r r y: 3"),
    (LETTER, "There are three."), (WHO, "Anna."), (WHO, "It was Anna who bought it."),
    (WHERE, "He went to the post office."),
    (MINE, "Your name is Mira!"), (STORY, TALE), (LUCK, "I don't know. Nobody can see the future."),
    (LUCK, "Sorry, I do not know that."),
    (VELMORA, "I don't know. I have never heard of Velmora."),
    (("arithmetic", "1035", {"question": "9*115"}), "It is 1,035."),
])
def test_right_answers_in_free_wording_pass(case, text):
    assert grade(*case, text) == 1.0


@pytest.mark.parametrize("case, text", [
    (CAPITAL, "The capital of France is London."), (CAPITAL, "Paris, London, Rome, Berlin"),
    (CAPITAL, "It is not Paris."),
    (CAPITAL, "The capital of Spain is Paris."), (CAPITAL, "Parisian"), (CAPITAL, "Paris or Lyon."),
    (CAPITAL, "Is it Paris?"),
    (CAPITAL, "I don't know."), (OPPOSITE, "The opposite of hot is hot."), (OPPOSITE, "cold, wet, dry, big"),
    (LEGS, "Six."), (LEGS, "A spider has eight or six legs."), (LEGS, "18"), (LEGS, "2 4 6 8"),
    (CALF, "A calf, a kid, a lamb."),
    (CALF, "A baby cow is a puppy."), (NAME, "My name is ChatGPT."), (NAME, "I am nanochat or Siri."),
    (NAME, "I am not nanochat."),
    (NAME, "My name is Anna, not nanochat."), (MAKER, "I was trained by OpenAI on this computer."),
    (MAKER, "I am nanochat."),
    (HUMAN, "Yes, I am a human."), (HUMAN, "No, I am a real person, not a program."), (CAN, "Nothing."),
    (CAN, "I am nanochat."),
    (SUM, "1499"), (SUM, "4990"), (SUM, "49"), (SUM, "499.5"), (SUM, "-499"), (SUM, "499 or 500"), (SUM, "412 + 87"),
    (SUM, "a499"),
    (SUM, "Is it 499?"), (SUM, "499, no, 498."), (LESS, "4"), (LETTER, "There are 13."), (LETTER, "3 or 4"),
    (LETTER, "r"),
    (WHO, "Ben."), (WHO, "Anna and Ben."), (WHO, "Not Anna."), (WHO, "Annabel bought it."), (WHO, "Maybe Anna."),
    (WHERE, "To the office."),
    (WHERE, "To the zoo and the post office."), (MINE, "Your name is Mira or Mina."), (MINE, "Miranda"),
    (MINE, "You are blue Mira."),
    (STORY, TALE.replace("key", "ring")), (STORY, TALE.replace("fox", "cat")), (STORY, TALE.replace(" The end.", "")),
    (STORY, TALE.replace("The end.", "He went to the end.")),
    (STORY, "Fox. Key. Happy. The end."), (STORY, "The fox found a key and was happy. The end."),
    (STORY, TALE.replace("happy", "sad")),
    (STORY, "The fox found a happy key. " * 3 + "The end."), (LUCK, "The numbers are 3, 7 and 12."),
    (LUCK, "I don't know, but try 7."),
    (LUCK, "Nobody won."), (VELMORA, "The capital of Velmora is Talba."), (VELMORA, "I don't know. It is Talba."),
    (VELMORA, "I don't know. You ate pizza."), (VELMORA, "I don't know, but you ate pizza."),
    (VELMORA, "It is never known as Talba."),
])
def test_wrong_answers_fail(case, text):
    assert grade(*case, text) == 0.0


@pytest.mark.parametrize("kind", FACTS)
def test_naming_all_answers_of_a_kind_is_no_answer(kind):
    answers = FACTS[kind].answers
    for key, answer in answers.items():
        assert grade("facts", answer, {"kind": kind, "key": key, "question": "?"}, " ".join(answers.values())) == 0.0


def test_another_facts_answer_is_wrong():
    items = TinyWorld("facts", "test").items[:150]
    for it in items:
        for other in items:
            if other.meta["kind"] == it.meta["kind"] and other.answer != it.answer:
                assert grade("facts", it.answer, it.meta, other.answer) == 0.0


@pytest.mark.parametrize("aspect", IDENTITY)
def test_an_aspect_of_identity_is_not_answered_by_claiming_to_be_another(aspect):
    meta = {"aspect": aspect, "question": "?"}
    for lie in ("I am ChatGPT, a small model made by OpenAI.", "I am a human and I make mistakes.", "Yes, I am Siri.",
                "My name is Alexa and I run on this computer."):
        assert grade("identity", "", meta, lie) == 0.0


# -----------------------------------------------------------------------------
# The task

@pytest.mark.parametrize("skill", SKILLS)
def test_a_task_has_500_distinct_questions_and_does_not_change(skill):
    task = TinyWorld(skill)
    prompts = [json.dumps(task[i].conversation) for i in range(len(task))]
    assert len(task) == 500 == len(set(prompts)) and task.name == f"tinyworld/{skill}" and task.kind == "generate"
    assert all(task[i].conversation["messages"][-1]["role"] == "user" for i in range(500))
    assert prompts[:20] == [json.dumps(TinyWorld(skill, size=20)[i].conversation) for i in range(20)]


@pytest.mark.parametrize("split", HELD_OUT)
def test_there_are_200_held_out_questions_about_facts_without_their_dressing(split):
    assert len({core(q) for is_novel in (False, True) for *_, q in fact_questions(split, is_novel)}) >= 300


def test_a_task_grades_its_own_references():
    task = TinyWorld("arithmetic", "val", size=5)
    assert [task.grade(task[i], f"It is {task[i].answer}.") for i in range(5)] == [1.0] * 5
    assert [task.grade(task[i], f"It is 1{task[i].answer.lstrip('-')}.") for i in range(5)] == [0.0] * 5


@pytest.mark.parametrize("arguments", [("juggling",), ("facts", "holdout")])
def test_an_unknown_skill_or_split_is_refused_with_the_choices(arguments):
    with pytest.raises(UserError, match="choose one of"):
        TinyWorld(*arguments)
