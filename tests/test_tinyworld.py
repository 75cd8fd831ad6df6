"""The embedded world: the same everywhere, honest about what it holds out. Facts, talk, tales, prose and graders
have files of their own; here are the grammar, sums, letters, reading, memory, the mixture, and what must never leak."""

import inspect
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nanochat import tinyworld, tinyworld_plots, tinyworld_scenes, tinyworld_wordings
from nanochat.common import UserError
from nanochat.conversation import validate, visible_text
from nanochat.tinyworld import (BOYS, GIRLS, SPLITS, Asks, core, expand, is_name_of, made_name, members, person_name, spans,
                                spliced_name, split_of, with_articles)
from nanochat.tinyworld_chats import SKILLS, TRAIN_ONLY, conversations, exercise, item
from nanochat.tinyworld_doings import ACTS, COUNTED, GAVE, HABITS, PUT, SPOTTED, doings
from nanochat.tinyworld_facts import CLAUSE_FRAMES, FACTS, NAME_FRAMES
from nanochat.tinyworld_grade import grade
from nanochat.tinyworld_plots import DEEDS, OWN_PLOTS, PLOTS, STATES, cast, improvise, plot_questions, side_by_side, tell
from nanochat.tinyworld_prose import documents
from nanochat.tinyworld_puzzles import ASKS, COMMON_WORDS, RARE_WORDS, SUMS, WORDS, letters_answer
from nanochat.tinyworld_recall import (ASIDES, ASKS_WHO, MEMORIES, OWN_ANIMALS, POOLS, READING_FRAMES, in_pairs, kind_named,
                                       loosely, lookup, memory_asks, pool_of, some_names, who_at_last)
from nanochat.tinyworld_scenes import SCENES, TRAITS
from nanochat.tinyworld_tales import WISH_ASKS
from nanochat.tinyworld_wordings import (IDENTITY_ASKS, LETTER_ASKS, MEMORY_ASKS, MEMORY_TELLS, MORE_CLAUSE_FRAMES,
                                          MORE_NAME_FRAMES, MORE_READING_FRAMES, SUM_ASKS)
from tasks.tinyworld import TinyWorld

HELD_OUT = ("val", "test")


@pytest.fixture(scope="module")
def train_chats():
    return [*(exercise(i, 0) for i in range(1000)), *conversations("train", 21_000)]


@pytest.fixture(scope="module")
def train_prose():
    return list(documents("train", 3000))


def all_text(content):
    """A line per part: a call 2-7 and its output -3 are not the sum 7 -3."""
    return content if isinstance(content, str) else "\n".join(part["text"] for part in content)


def user_turns(messages):
    return [message["content"] for message in messages if message["role"] == "user"]


@pytest.fixture(scope="module")
def train_text(train_chats, train_prose):
    texts = [all_text(message["content"]) for chat in train_chats for message in chat["messages"]]
    return "\n".join(texts + train_prose)


def held_out_tasks(skill):
    return [TinyWorld(skill, split) for split in HELD_OUT]


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
from nanochat.tinyworld_prose import documents
from nanochat.tinyworld_chats import SKILLS, conversations, item
made = [*documents("train", 200, 3), *documents("test", 100, 7), *conversations("train", 1000, 3),
        *(item(s, "test", 7).conversation for s in SKILLS)]
print(hashlib.sha256(json.dumps(made).encode()).hexdigest())
"""


def test_no_phrasing_of_training_is_one_that_another_split_has_to_itself():
    rooms = {"facts": [kind.asks for kind in FACTS.values()], "letters": ASKS.values(), "sums": SUMS.values(),
             "memory": map(memory_asks, MEMORIES), "stories": WISH_ASKS.values()}
    for room, all_asks in rooms.items():
        for asks in all_asks:
            shared, val, test, train = ({core(form) for form in expand(*forms)} for forms in asks)
            assert not (shared | train) & (val | test) and not val & test, (room, val & test)
    assert Asks(("a {x}",), ("is it {x}",)).taught(("[Is it|Was it] {x}?", "b {x}")).train == ("b {x}",)


def test_the_wordings_have_the_slots_of_their_rooms():
    for kind, forms in LETTER_ASKS.items():
        wanted = {"w", "l"} if kind == "count" else {"w"}
        assert all(set(re.findall(r"{(\w+)}", form)) == wanted for form in expand(*forms)), kind
    for forms in SUM_ASKS.values():
        assert all({"a", "b"} <= set(re.findall(r"{(\w+)}", form)) <= set("abnmtgp") for form in expand(*forms))
    assert not any("{" in form for forms in IDENTITY_ASKS.values() for form in forms)
    assert all(form.count("{it}") == 1 for form in expand(
        *NAME_FRAMES, *CLAUSE_FRAMES, *MORE_NAME_FRAMES, *MORE_CLAUSE_FRAMES))
    assert all(form.count("{story}") == form.count("{question}") == 1 for form in expand(
        *READING_FRAMES, *MORE_READING_FRAMES))
    assert {slot: all(form.count("{v}") == 1 for form in expand(*forms)) for slot, forms in MEMORY_TELLS.items()} == \
        {slot: not any("{" in form for form in MEMORY_ASKS[slot]) for slot in MEMORIES}


def test_every_process_makes_the_same_world():
    both = [subprocess.Popen([sys.executable, "-c", FINGERPRINT], cwd=Path(__file__).parents[1], text=True,
                             stdout=subprocess.PIPE, env=os.environ | {"PYTHONHASHSEED": seed}) for seed in "12"]
    first, second = (process.communicate()[0] for process in both)
    assert first == second and len(first) == 65


def test_no_training_name_is_a_word_that_is_held_out_for_spelling():
    rng, held_out = random.Random(0), {word for word in RARE_WORDS if split_of("word", word) != "train"}
    assert not is_name_of("train", "Berry") and split_of("word", "berry") != "train"
    assert not {make(rng, "train").lower() for make in (made_name, spliced_name) for _ in range(10_000)} & held_out


def test_names_are_so_many_that_none_is_learnt_by_heart():
    rng = random.Random(0)
    names = [person_name(rng, "train", rng.random() < 0.5) for _ in range(5000)]
    real = [name for name in names if name in GIRLS + BOYS]
    assert 0.3 < len(real) / 5000 < 0.5 and len(set(names) - set(real)) > 2500
    assert len({made_name(rng, "train") for _ in range(2000)}) > 1900


# -----------------------------------------------------------------------------
# Conversations

def test_conversations_are_valid_and_named(train_chats):
    for chat in train_chats:
        validate(chat)
    assert len({chat["id"] for chat in train_chats}) == len(train_chats)
    assert {chat["source"] for chat in train_chats} == {f"tinyworld/{name}" for name in (*SKILLS, *TRAIN_ONLY)}


def test_conversations_show_no_seams(train_chats):
    """No slot left open, no choice left unmade, no doubled space, no wrong article. (Letters are spelled as "a b".)"""
    for chat in train_chats:
        if chat["source"].split("/")[1] in ("letters", "repeat", "lookup", "mixed", "followup"):
            continue
        for message in chat["messages"]:
            text = re.sub(r"sorted\(\[[^{}|\[\]]*\]|arg(max|min)\({[^{}|\[\]]*}|\.split\(\",\"\)\[:\d\]",
                          "", all_text(message["content"]))
            assert not re.search(r"[{}\[\]|]|  |\b[Aa] [aeiou](?!\b|ni)", text), text


def test_only_the_skills_asked_for_are_made():
    assert {chat["source"] for chat in conversations("train", 50, skills=("letters",))} == {"tinyworld/letters"}
    assert {chat["source"] for chat in conversations("test", 400)} == {f"tinyworld/{skill}" for skill in SKILLS}


def test_somebody_says_ok_to_answers_of_many_kinds(train_chats):
    """"ok" was answered "I am nanochat, a small language model ..." by a model that had hardly read it."""
    answers = [str(chat["messages"][i - 1]["content"]) for chat in train_chats
               for i, message in enumerate(chat["messages"]) if i and message["content"] in ("ok", "Ok", "okay", "Okay")]
    assert len(set(answers)) >= 20


def test_tool_calls_say_what_python_says(train_chats):
    answers = [message["content"] for chat in train_chats for message in chat["messages"]]
    calls = [content for content in answers if isinstance(content, list)]
    assert len(calls) > 1500
    named = {"argmax": lambda number_of: max(number_of, key=number_of.get),
             "argmin": lambda number_of: min(number_of, key=number_of.get),
             "digits": lambda word: int({"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "eight": 8}.get(word.strip(), word))}
    for *_, call, output, text in calls:
        result, said = eval(call["text"], named), visible_text([text])
        if isinstance(result, (bool, str, list)):
            said_by_tool = ", ".join(str(x).strip() for x in result) if isinstance(result, list) else str(result).strip()
            assert output["text"] == said_by_tool
        else:
            assert float(output["text"]) == result
        if isinstance(result, bool):
            assert re.match("Yes|No", said)[0] == ("Yes" if result else "No")
        elif call["text"].startswith(("argmax(", "argmin(")):
            assert output["text"].lower() in said.lower()
        elif ".count(" in call["text"]:
            assert re.search(rf" {result}( times?)?\.$", said)
        elif ".split(" in call["text"]:
            things = re.sub(r"^(- |\d\. )", "", said.strip(" .\n"), flags=re.M).replace("\n", ", ")
            assert things.lower() == output["text"].lower()
        else:
            assert said.rstrip(".").endswith(output["text"]) or call["text"].startswith(("max(", "min("))


# -----------------------------------------------------------------------------
# Letters

def test_two_equal_numbers_are_added_often_enough_to_be_learnt():
    """"What is 3 + 3?" was called 3+3+3 by a model that had met few sums of a number and itself, in every form."""
    sums = [item("arithmetic", "train", i).meta["expression"] for i in range(4000)]
    twins = [re.fullmatch(r"(\d+)[-+*]\1", expression) for expression in sums]
    assert len([twin for twin in twins if twin]) > 100 and len({twin[1] for twin in twins if twin}) >= 9


def test_numbers_above_999_are_met_in_training_alone():
    """1000 + 1 was 101 to a model that had met none."""
    def large(split):
        sums = [item("arithmetic", split, i).meta["expression"] for i in range(2000)]
        return [expression for expression in sums if re.search(r"\d{4}", expression)]
    assert len(large("train")) > 100 and {re.search(r"[-+*/]", expression)[0] for expression in large("train")} == set("+-*/")
    assert not large("val") and not large("test")


def test_a_letter_is_asked_for_by_its_name():
    """"How often is a in apple?" once became "an in apple", by the rule that makes an article of it."""
    asked = [it.meta for it in (item("letters", "train", i) for i in range(4000)) if it.meta["kind"] == "count"]
    vowels = [meta for meta in asked if meta["letter"] == "a"]
    assert len(vowels) > 100
    for meta in vowels:
        assert re.search(r"\b(a|as|a's)\b", meta["question"].lower().replace(meta["word"], "")), meta["question"]


def test_thousands_of_words_are_spelled():
    words = WORDS + COMMON_WORDS + RARE_WORDS
    assert len(set(words)) == len(words) > 1700 and all(re.fullmatch("[a-z]+", word) for word in words)


@pytest.mark.parametrize("kind, word, letter, call, said", [
    ("count", "robber", "b", '" r o b b e r".count("b")', "I count b in robber: it is there 2 times."),
    ("count", "tea", "x", '" t e a".count("x")', "I count x in tea: it is there 0 times."),
    ("count", "strawberry", "w", '" s t r a w b e r r y".count("w")', "I count w in strawberry: it is there 1 time."),
    ("length", "banana", "", '" b a n a n a".count(" ")', "I count the letters of banana: there are 6.")])
def test_what_is_spelled_is_counted_by_the_calculator(kind, word, letter, call, said):
    answer, parts = letters_answer(kind, word, letter, word)
    assert [part["text"] for part in parts[1:3]] == [call, answer] and visible_text(parts) == said


def test_worked_answers_are_right_for_all_words():
    for word in WORDS:
        for letter in "aeinrst":
            answer, parts = letters_answer("count", word, letter, word)
            assert answer == parts[2]["text"] == str(word.count(letter)), parts
            assert parts[1]["text"] == f'" {" ".join(word)}".count("{letter}")'
        first, last, length, spelling = (letters_answer(kind, word, "", f'"{word}"')
                                         for kind in ("first", "last", "length", "spell"))
        assert first[0] + last[0] == word[0] + word[-1] and int(length[0]) == len(word)
        assert length[1][2]["text"] == str(len(word)) and visible_text(length[1]).endswith(f" there are {len(word)}.")
        assert spelling[0].replace(" ", "") == word and spelling[1] == f'I spell "{word}": {" ".join(word)}.'


# -----------------------------------------------------------------------------
# Reading and memory

@pytest.mark.parametrize("plot", sum(OWN_PLOTS.values(), PLOTS))
def test_the_answer_to_a_question_is_in_the_story_and_in_the_reply_but_not_in_the_question(plot):
    for seed in range(20):
        rng = random.Random(seed)
        slots = cast(rng, "train")
        story = tell(rng, plot, slots)
        for question, slot, reply in plot_questions(rng, plot, slots):
            assert slots[slot].lower() in story.lower() and slots[slot].lower() in reply.lower(), (story, question)
            assert not re.search(rf"\b{slots[slot]}\b", question), (story, question)


@pytest.mark.parametrize("split, make, strange", [(split, make, strange) for split in SPLITS
                                                 for make in (improvise, side_by_side) for strange in (0.0, 1.0)])
def test_a_made_up_scene_answers_each_of_its_questions_once(split, make, strange):
    num_questions = 0
    for seed in range(300):
        rng = random.Random(seed)
        plot, slots = make(rng, split, strange), cast(rng, split)
        story = tell(rng, plot, slots)
        for question, slot, reply in plot_questions(rng, plot, slots):
            num_questions += 1
            assert slots[slot] in story and slots[slot] in reply
            assert not re.search(rf"\b{slots[slot]}\b", question), (story, question)
    assert num_questions > 1000


def test_side_by_side_every_question_names_one_person_or_thing_that_is_there_once():
    """The verb is everybody's, so the answer must follow from the one name in the question."""
    for seed in range(500):
        rng = random.Random(seed)
        plot, slots = side_by_side(rng, "train"), cast(rng, "train")
        story = tell(rng, plot, slots)
        for question, _, _ in plot_questions(rng, plot, slots):
            named = [value for value in slots.values() if re.search(rf"\b{value}\b", question)
                     and re.search(rf"\b{value}\b", story)]
            assert len(named) == 1 and len(re.findall(rf"\b{named[0]}\b", story)) == 1, (story, question)


def test_a_question_asked_loosely_keeps_its_words():
    rng = random.Random(0)
    for question in ("Who bought the kite?", "What did Mira buy?", "Who did Mira meet?", "On which day was it?"):
        loose = {loosely(rng, question) for _ in range(200)}
        rest = question.split(" ", 1)[1].rstrip("?")
        assert len(loose) > 10 and all(rest in text and text[-1] in "?." and text[0].isupper() for text in loose)


@pytest.mark.parametrize("question, reply", [
    ("Who bought the kite?", "The one who bought the kite is Anna."),
    ("Which person was ill?", "The one who was ill is Anna."),
    ("Say who gave Ben a lamp?", "The one who gave Ben a lamp is Anna."),
    ("Who did Ben meet?", "Ben met Anna."), ("What did Anna buy?", "Anna bought a kite.")])
def test_who_it_was_is_said_last(question, reply):
    plain = {"Who did Ben meet?": "Ben met Anna."}.get(question, "Anna bought a kite.")
    assert who_at_last(question, plain, "Anna") == reply


def five_in_a_row(texts):
    """Slots count as words, whatever their number."""
    words = [re.findall(r"\{\w+\}|[a-z']+", re.sub(r"\{(\w)\d?\}", r"{\1}", form.lower())) for form in expand(*texts)]
    return {tuple(found[i:i + 5]) for found in words for i in range(len(found) - 4)}


def test_what_training_has_to_itself_tells_and_asks_nothing_as_a_held_out_scene_does():
    def texts(scenes):
        return [text for told, asks in scenes for text in (*told, *(ask[0] for ask in asks))]
    held_out = five_in_a_row(texts(OWN_PLOTS["val"] + OWN_PLOTS["test"]))
    states = [((told,), asks) for told, asks in STATES if split_of("state", told) != "train"]
    assert not five_in_a_row(texts(SCENES)) & held_out
    assert not five_in_a_row(told for told, _ in TRAITS) & five_in_a_row(texts(states))
    assert len(SCENES) >= 150 and len(TRAITS) >= 100 and len(held_out) > 90


def test_an_exercise_in_looking_up_shows_no_seams():
    for seed in range(300):
        assert not re.search(r"[{}\[\]|]", " ".join(message["content"] for message in lookup(random.Random(seed))))


def test_two_and_two_stand_in_one_sentence():
    told = ["Tom has a red hat.", "Ben has a blue hat.", "Ida has a bag."]
    assert {in_pairs(random.Random(seed), told) for seed in range(50)} == {
        f"Tom has a red hat{link}Ben has a blue hat. Ida has a bag." for link in (" and ", ", and ", ", but ")}


def told_beside_each_other(num=400):
    for seed in range(num):
        rng = random.Random(seed)
        yield list(doings(rng, some_names(rng, rng.randrange(2, 7))))


def test_a_doing_is_answered_by_its_own_sentence_alone():
    """Whoever finds the one sentence that has all words of "Who ...?" has the answer, and nobody else did it; "it" is the
    thing before."""
    for told in told_beside_each_other():
        for doing in told:
            for question, reply, who in doing.asks:
                assert question.endswith("?") and reply.endswith(".") and reply[0].isupper(), (question, reply)
                asked = ASKS_WHO.fullmatch(question)
                words = {word for word in re.findall(r"[\w']+", asked[1] if asked else "")} - {"the", "a", "an", "some"}
                fits = [other for other in told if words <= set(re.findall(
                    r"[\w']+", other.told.replace(" it.", f" {' '.join(other.topics)}.")))]
                assert not asked or fits == [doing] and who.replace("your ", "my ").lower() in doing.told.lower(), told


def test_somebody_is_the_same_in_the_story_the_question_and_the_answer():
    """"my aunt" of the one who asks is "your aunt" in the answer."""
    asked = [ask for told in told_beside_each_other() for doing in told for ask in doing.asks]
    assert not [reply for _, reply, who in asked if re.search(r"\b[Mm]y\b", reply + who)]
    assert any("my aunt" in question for question, *_ in asked) and len({who for *_, who in asked}) > 300


def test_no_verb_that_only_held_out_scenes_have_is_practised():
    verbs = [(base, split_of("verb", kind, base)) for kind, known, *_ in DEEDS for base, _ in known]
    held_out = {base for base, _ in verbs} - {base for base, split in verbs if split == "train"}
    practised = {base for verbs, *_ in ACTS for _, base in verbs} | {
        base for table in (SPOTTED, GAVE, PUT, COUNTED) for _, base in table} | {base for _, base, _ in HABITS}
    assert len(held_out) > 20 and len(practised) > 80 and not practised & held_out


def test_strange_words_are_for_training_alone():
    """What a held-out story tells in small letters stands in the tables."""
    known = set(re.findall(r"[a-z]+", (Path(tinyworld_plots.__file__).read_text()
                                       + Path(tinyworld.__file__).read_text() + str(READING_FRAMES) + str(ASIDES))))
    told = {split: set().union(*(re.findall(r"(?<![A-Za-z])[a-z]{2,}", it.meta["prompt"]) for it in
                                 (item("reading", split, i) for i in range(400)))) for split in SPLITS}
    assert len(told["train"] - known) > 30 and not (told["val"] | told["test"]) - known


def test_verbs_are_held_out():
    def verbs(split):
        plots = [improvise(random.Random(seed), split) for seed in range(2000)]
        return {word for plot in plots for line in plot.scene for word in re.findall("[a-z]+", line)}
    assert len(verbs("val") - verbs("train")) >= 5 and len(verbs("test") - verbs("train")) >= 5


def test_a_pet_is_asked_for_as_the_animal_that_it_is():
    assert kind_named("pet_name", "Rex", "I have a cat. My dog is called Rex. My sister is Mia.") == "dog"
    assert kind_named("pet_name", "Rex", "my name is Tom. the name is Rex") == "pet"
    assert kind_named("relative", "Mia", "My aunt is Ida. My son is Mia. I have a boss.") == "son"
    asked = [it for it in (item("memory", "train", i) for i in range(1500)) if it.meta["kind"] == "pet_name"]
    named = [(it, animal) for it in asked for animal in re.findall(r"\w+", it.meta["question"]) if animal in OWN_ANIMALS]
    assert len(asked) > len(named) > 20
    for it, animal in named:
        assert animal in it.conversation[-1]["content"]
        assert animal in " ".join(message["content"] for message in it.messages[:-1:2]), it


@pytest.mark.parametrize("skill", ["reading", "memory"])
def test_rivals_are_real_alternatives(skill):
    """Each is in what was said, and an answer that names it is wrong."""
    with_rivals = [it for it in TinyWorld(skill, "test").items if it.meta["rivals"]]
    assert len(with_rivals) > 150
    for it in with_rivals:
        said = " ".join(message["content"] for message in it.messages)
        reply = it.conversation[-1]["content"]
        for rival in it.meta["rivals"]:
            assert rival.lower() in said.lower() and rival != it.answer
            assert grade(skill, it.answer, it.meta, reply.replace(it.answer, rival)) == 0.0
            assert grade(skill, it.answer, it.meta, f"{reply} Or was it {rival}?") == 0.0


def test_every_pool_has_values_of_its_own_in_every_split():
    for slot, pool in POOLS.items():
        parts = [set(pool_of(slot, split)) for split in SPLITS]
        assert all(len(part) >= 2 for part in parts) and set.union(*parts) == set(pool)
        assert sum(map(len, parts)) == len(set(pool))


@pytest.mark.parametrize("split", HELD_OUT)
def test_what_is_to_be_remembered_was_said_and_is_held_out(split):
    items = TinyWorld("memory", split, size=400).items
    told = {s: {(it.meta["kind"], it.answer) for it in TinyWorld("memory", s).items} for s in ("train", split)}
    assert not told["train"] & told[split] and {kind for kind, _ in told[split]} == set(MEMORIES)
    for it in items:
        assert any(it.answer.lower() in text.lower() for text in user_turns(it.messages)[:-1]), it


def test_who_types_no_capitals_is_answered_as_typed():
    """"hi my name is lina" was answered "Hello, hundred!" by a model whose training had told every name with a capital."""
    hurried = [it for it in (item("memory", "train", i) for i in range(400))
               if it.meta["kind"] == "name" and it.answer.lower() in it.conversation[-1]["content"]]
    assert len(hurried) > 10
    for it in hurried:
        text = "\n".join(message["content"] for message in it.conversation)
        assert it.answer not in text and it.answer.lower() in " ".join(user_turns(it.messages))
    assert all(it.answer in it.conversation[-1]["content"] for it in TinyWorld("memory", size=300).items
               if it.meta["kind"] == "name")


# -----------------------------------------------------------------------------
# Nothing that is held out leaks

@pytest.fixture(scope="module")
def train_spans(train_chats, train_prose):
    """All eight words in a row of what training says: each message and each document by itself."""
    texts = [all_text(m["content"]) for chat in train_chats for m in chat["messages"]] + train_prose
    return set().union(*map(spans, texts))


def prompt(messages):
    return tuple(core(text) for text in user_turns(messages))


@pytest.fixture(scope="module")
def train_prompts(train_chats):
    """What users say in training: all turns of a chat together, and each by itself."""
    prompts = {prompt(chat["messages"]) for chat in train_chats}
    return prompts | {(turn,) for turns in prompts for turn in turns}


@pytest.mark.parametrize("skill", SKILLS)
def test_no_held_out_question_is_asked_in_training(skill, train_prompts):
    """Memory's questions are everyone's; what was told is held out, so all user turns are compared together."""
    for task in held_out_tasks(skill):
        assert not [it for it in task.items if prompt(it.messages) in train_prompts]


def pairs_held_out(it):
    """What of an item is held out as a pair: a span that names one half says nothing about the other."""
    if "wish" in it.meta:
        return {it.meta["wish"]["hero"], it.meta["wish"]["treasure"]} - {""}
    return set(re.findall(r"\d+", it.meta.get("expression", "")))


@pytest.mark.parametrize("skill", SKILLS)
def test_no_eight_words_in_a_row_of_a_held_out_question_are_in_training(skill, train_spans):
    """A wish and the operands of a sum are held out as pairs: there a span counts when it names both halves."""
    for task in held_out_tasks(skill):
        for it in task.items:
            pair = pairs_held_out(it)
            if skill == "story" and len(pair) < 2:
                continue
            leaked = [span for span in spans(it.meta["question"]) & train_spans if pair <= set(span)]
            assert not leaked, (leaked, it.meta["question"])


def test_held_out_operand_pairs_never_meet_in_training(train_text):
    seen = {tuple(sorted(map(int, pair))) for pair in re.findall(r"(\d+) ?[-+*/x] ?(?=(\d+))", train_text)}
    for task in held_out_tasks("arithmetic"):
        pairs = {tuple(sorted(map(int, pair))) for it in task.items
                 for pair in re.findall(r"(\d+)[-+*/](?=(\d+))", it.meta["expression"])}
        assert len(pairs) > 400 and not pairs & seen


def test_held_out_words_stand_nowhere_in_training(train_text):
    tables = inspect.getsource(tinyworld_wordings) + inspect.getsource(tinyworld_scenes)  # too many to be all in train_text
    seen = set(re.findall(r"[a-z]+", (train_text + tables).lower()))
    for split in HELD_OUT:
        words = set(members(RARE_WORDS, split, "word"))
        assert len(words) > 50 and not words & seen, words & seen


def test_held_out_names_are_met_by_nobody_in_training(train_text):
    wordings = inspect.getsource(tinyworld_wordings)  # training's alone, and too many to be all in train_text
    words = set(re.findall(r"\w+", train_text + wordings))
    held_out = {name for name in GIRLS + BOYS if split_of("name", name) != "train"}
    invented = {made_name(random.Random(i), split) for i in range(200) for split in HELD_OUT}
    assert len(held_out) > 50 and not (held_out | invented) & words


# -----------------------------------------------------------------------------
# Graders of the skills made here; the others are tested with their rooms

SUM = ("arithmetic", "499", {"expression": "412+87", "question": "What is 412 + 87?"})
LESS = ("arithmetic", "-4", {"expression": "5-9", "question": "5-9"})
LETTER = ("letters", "3", {"kind": "count", "word": "strawberry", "letter": "r",
                           "question": 'How many r\'s are in "strawberry"?'})
SPELL = ("letters", "b a k e r", {"kind": "spell", "word": "baker", "letter": "", "question": "Spell baker."})
FIRST = ("letters", "b", {"kind": "first", "word": "baker", "letter": "", "question": "First letter of baker?"})
WHO = ("reading", "Anna", {"rivals": ["Ben"], "question": "Who bought the kite?"})
WHERE = ("reading", "post office", {"rivals": ["zoo"], "question": "Where did he go?"})
COUNT = ("reading", "seven", {"rivals": ["three"], "question": "How many hens are there?"})
MINE = ("memory", "Mira", {"rivals": ["blue"], "question": "What is my name?"})


@pytest.mark.parametrize("case, text", [
    (SUM, "412 plus 87 is 499."), (SUM, "499"), (SUM, "The answer is 499!"), (LESS, "5 - 9 = -4."),
    (("arithmetic", "1035", {"question": "9*115"}), "It is 1,035."),
    (LETTER, "s t r1 a w b e r2 r3 y. So r is there 3 times."), (LETTER, "There are three."),
    (SPELL, "I spell it: b a k e r."), (SPELL, 'I spell "baker": b a k e r.'), (SPELL, "b-a-k-e-r"),
    (FIRST, "I spell it: b a k e r. The first letter is b."),
    (FIRST, "b"), (WHO, "Anna."), (WHO, "It was Anna who bought it."), (WHERE, "He went to the post office."),
    (COUNT, "There are 7 hens."), (MINE, "Your name is Mira!"),
])
def test_right_answers_in_free_wording_pass(case, text):
    assert grade(*case, text) == 1.0


@pytest.mark.parametrize("case, text", [
    (SUM, "1499"), (SUM, "4990"), (SUM, "49"), (SUM, "499.5"), (SUM, "-499"), (SUM, "499 or 500"), (SUM, "412 + 87"),
    (SUM, "a499"), (SUM, "Is it 499?"), (SUM, "499, no, 498."), (SUM, ""), (LESS, "4"), (LETTER, "There are 13."),
    (LETTER, "3 or 4"), (LETTER, "4 or 3"), (LETTER, "r"), (SPELL, "b a k e"),
    (SPELL, "b a k e r s"), (SPELL, "baker"), (SPELL, "k a b e r"), (FIRST, "The first letter is a."),
    (FIRST, "It is b or a."), (FIRST, "The letters are b a."), (WHO, "Ben."), (WHO, "Anna and Ben."),
    (WHO, "Not Anna."), (WHO, "Annabel bought it."), (WHO, "Maybe Anna."), (WHERE, "To the office."),
    (WHERE, "To the zoo and the post office."), (COUNT, "There are 3 or 7."), (COUNT, "17"),
    (MINE, "Your name is Mira or Mina."), (MINE, "Miranda"), (MINE, "You are blue Mira."),
])
def test_wrong_answers_fail(case, text):
    assert grade(*case, text) == 0.0


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("skill", SKILLS)
def test_reference_answers_are_right_and_echoes_and_silence_are_not(skill, split):
    for it in TinyWorld(skill, split, size=300).items:
        assert grade(skill, it.answer, it.meta, visible_text(it.conversation[-1]["content"])) == 1.0, it
        for wrong in ("", "...", it.messages[-1]["content"], it.meta["question"]):
            assert grade(skill, it.answer, it.meta, wrong) == 0.0, (wrong, it)


# -----------------------------------------------------------------------------
# The task

@pytest.mark.parametrize("skill", SKILLS)
def test_a_task_has_500_distinct_questions_and_does_not_change(skill):
    task = TinyWorld(skill)
    prompts = [json.dumps(task[i].conversation) for i in range(len(task))]
    assert len(task) == 500 == len(set(prompts)) and task.name == f"tinyworld/{skill}" and task.kind == "generate"
    assert all(task[i].conversation["messages"][-1]["role"] == "user" for i in range(500))
    assert all(task[i].meta["kind"] for i in range(500))
    assert prompts[:20] == [json.dumps(TinyWorld(skill, size=20)[i].conversation) for i in range(20)]


def test_a_task_grades_its_own_references():
    task = TinyWorld("arithmetic", "val", size=5)
    assert [task.grade(task[i], f"It is {task[i].answer}.") for i in range(5)] == [1.0] * 5
    assert [task.grade(task[i], f"It is 1{task[i].answer.lstrip('-')}.") for i in range(5)] == [0.0] * 5


@pytest.mark.parametrize("arguments", [("juggling",), ("facts", "holdout")])
def test_an_unknown_skill_or_split_is_refused_with_the_choices(arguments):
    with pytest.raises(UserError, match="choose one of"):
        TinyWorld(*arguments)
