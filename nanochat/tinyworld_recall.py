"""What was said a moment ago: questions about a new story, things a person tells about themselves, repeating.

All of it is copying from the conversation, so names are mostly invented and no value is likelier than another. In
train one story or one chat is asked about several times, since the answers are what teaches to look back and a story
costs its tokens only once. Held-out items ask once.
"""

import functools
import hashlib
import random
import re

from nanochat.tinyworld import (COLOURS, DAYS, FLOWERS, FOODS, GOODS, HOBBIES, HURRIED_SHARE, JOBS, MONTHS, OWN_SHARE,
                                PETS, PLACES, Asks, capital, dress, hurried, is_name_of, made_name, people, person_name,
                                say)
from nanochat.tinyworld_doings import doings
from nanochat.tinyworld_grade import NEGATION
from nanochat.tinyworld_plots import cast, draw_plot, plot_questions, tell
from nanochat.tinyworld_puzzles import draw_word, made_word
from nanochat.tinyworld_talk import DONT_KNOW, Item, small_talk, turns
from nanochat.tinyworld_wordings import LEADS, MEMORY_ASKS, MEMORY_TELLS, MORE_READING_FRAMES, TAILS, WHO_ASKS

# -----------------------------------------------------------------------------
# Reading

READING_FRAMES = (
    "{story} {question}", "{story} {question}", "{story}\n\n{question}", "{story}\n{question}",
    "Read this story. {story} {question}", "Here is a little story: {story}\nQuestion: {question}",
    "{story}\nNow answer: {question}", "Story: {story}\n\n{question}", "I will tell you something. {story} {question}",
    "Listen: {story} So, {question}", "{story} Now tell me: {question}", "Text: {story}\nQuestion: {question}\nAnswer:",
    "I have a question about this text. {story} {question}", "Answer from the story. {story} {question}",
    "{question} Here is the story: {story}", "Please read: {story} {question}")
ASIDES = ("[The sun was shining.|It was a quiet day.|Nobody was in a hurry.|There were clouds in the sky.]",
          "[The birds were singing.|A clock struck ten.|Somebody was laughing.|It smelled of summer.]",
          "[The streets were still empty.|Leaves were falling.|A dog barked somewhere.|It had been a long week.]")
KINDS = {"a": "person", "b": "person", "c": "person", "p": "place", "t": "thing", "f": "food", "k": "animal",
         "j": "job", "l": "flower", "q": "number", "d": "day", "m": "month", "h": "hobby", "n": "name", "w": "weather"}


def in_frame(rng: random.Random, split: str, story: str, question: str) -> str:
    is_own = split == "train" and rng.random() < OWN_SHARE[split]
    return say(rng, rng.choice(MORE_READING_FRAMES if is_own else READING_FRAMES), story=story, question=question)


def loosely(rng: random.Random, question: str) -> str:
    """Asked less plainly, in training alone: held-out questions have no such words."""
    first, rest = question.split(" ", 1)
    style = rng.random()
    if first == "Who" and rest.split()[0] not in ("did", "does", "do") and style < 0.5:
        return rng.choice(WHO_ASKS).format(rest.rstrip("?"))
    if style < 0.75 and first in ("Who", "What", "Which", "Where", "When", "How", "Whose", "On", "In"):
        return f"{rng.choice(LEADS)} {first.lower()} {rest}"
    return question.rstrip("?") + rng.choice(TAILS)


ASKS_WHO = re.compile(r"(?:Who|Which person|Say who|So who|Who was it that) (?!did |does |do |could not )(.*)\?")


def who_at_last(question: str, reply: str, name: str) -> str:
    """"Who bought the kite?" is answered "The one who bought the kite is Anna.": what was asked is said again before
    the name, which a small model finds better from there than from the question. Not of what somebody did not do."""
    asked = ASKS_WHO.fullmatch(question)
    return f"The one who {asked[1]} is {name}." if asked and not NEGATION.search(question) else reply


LOOSE_SHARE = 0.2  # of the questions in training
STRANGE_SHARE = 0.08  # of the verbs and of the things in training are none


def strange_things(rng: random.Random) -> dict[str, str]:
    """Slots of a cast for things that there are not."""
    return {slot: made_name(rng, "train").lower() for slot in ("t1", "t2", "t3")}


def slot_kind(slot: str) -> str:
    """What a plot's slot holds: "a" is a person, "c1" a colour."""
    return "colour" if slot in ("c1", "c2", "c3") else KINDS[slot[0]]


def rivals(slots: dict[str, str], slot: str, text: str, question: str) -> list[str]:
    """The other values in the text that could answer: of the same kind, not named in the question."""
    names = [name for name in slots if name in ("a", "b", "c", "w") or name[1:].isdigit()]
    return sorted({slots[name] for name in names if slot_kind(name) == slot_kind(slot)
                   and slots[name] != slots[slot] and slots[name] in text and slots[name] not in question})


def reading(rng: random.Random, split: str) -> Item:
    """One question about a new story; in train up to eight, one after the other."""
    strange = STRANGE_SHARE if split == "train" else 0.0
    plot, slots = draw_plot(rng, split, strange), cast(rng, split)
    if rng.random() < strange:
        slots |= strange_things(rng)
    story = tell(rng, plot, slots)
    if rng.random() < 0.3:
        story = say(rng, rng.choice(ASIDES)) + " " + story
    count = 1 if split != "train" else rng.choice((1, 4, 6, 8))
    conversation = []
    asked = plot_questions(rng, plot, slots)
    for question, slot, reply in asked[:count]:
        reply = who_at_last(question, reply, slots[slot])
        if split == "train" and rng.random() < LOOSE_SHARE:
            question = loosely(rng, question)
        prompt = question if conversation else in_frame(rng, split, story, question)
        conversation += turns(prompt, reply)
    return Item(conversation, slots[slot],
                {"kind": slot_kind(slot), "rivals": rivals(slots, slot, story, question), "question": question,
                 "prompt": prompt})


# -----------------------------------------------------------------------------
# Memory. {v} is what was told. Values are held out for each slot; the questions are shared, some are held out.

KIN = """son daughter aunt uncle mother father neighbour teacher boss wife husband cousin grandmother grandfather baby
niece nephew""".split()
_KIN = "|".join(KIN)
MEMORIES = {  # slot: statements, replies, questions, answers
    "name": (("[My name is|I am|I'm|Call me|I am called|You can call me|my name's|They call me] {v}.",
              "Hello, [I am|I'm|my name is] {v}.", "I'm {v}, nice to meet you.", "{v} is my name.",
              "Please call me {v}.", "[|Hi, |Hello, ]{v} here.", "[People|Friends|All] call me {v}.", "I go by {v}.",
              "The name is {v}.", "This is {v} [speaking|writing].", "My first name is {v}."),
             "[Nice to meet you|Hello|Pleased to meet you|Welcome|Good to meet you], {v}!",
             Asks(("[What is|What's|Whats] my name?", "[Do you|Can you] [still |]remember my name?", "Who am I?",
                   "[Say|Tell me] my name.", "What am I called?", "What do people call me?",
                   "What did I say my name was?", "Do you [still |]know my name?", "What was my name[| again]?",
                   "Did you forget my name?", "And my name is?", "How am I called?",
                   "Can you tell me what my name is?", "What was I called?", "Say my name.", "Which name do I have?",
                   "[Do you|Can you] recall my name?", "So what is my name?", "What name do I go by?"),
                  val=("Can you still tell me my name?", "Which name is mine?"),
                  test=("Which name did I give you?", "Do you still know who I am?")),
             "[Your name is|You are] {v}."),
    "colour": (("My [favourite|favorite] [colour|color] is {v}.", "I like the [colour|color] {v} [best|most].",
                "I love {v}, it is my colour.", "I [adore|prefer] the colour {v}.", "No colour is nicer than {v}.",
                "[The best colour is {v}|For me, {v} is the best colour]."),
               "[{v} is a lovely colour!|I will remember {v}.|Nice choice!]",
               Asks(("[What is|What's] my [favourite|favorite] [colour|color]?",
                     "Which [colour|color] do I [like|love] [best|most]?",
                     "Do you remember my favourite colour?", "What [colour|color] did I say I like?",
                     "My favourite colour is what?", "Tell me my favourite colour.", "Which colour do I prefer?"),
                    val=("Which colour did I tell you about?",), test=("Remind me of my favourite colour.",)),
               "Your favourite colour is {v}."),
    "food": (("My favourite food is {v}.", "I [love|like] to eat {v}.", "I could eat {v} every day.",
              "I eat {v} [all the time|whenever I can].", "Give me {v} and I am happy.", "My best meal is {v}."),
             "[That sounds good!|I will remember that.|Yummy!]",
             Asks(("[What is|What's] my favourite food?", "What do I [like|love] to eat?",
                   "Do you remember my favourite food?", "Which food do I [like|love] [best|most]?",
                   "What food did I tell you about?", "What do I eat with joy?", "Which meal do I like?"),
                  val=("What would I eat every day?",), test=("Remind me of the food I like.",)),
             "[You like to eat|Your favourite food is] {v}."),
    "pet": (("I have a {v}.", "My pet is a {v}.", "I live with a {v}.", "There is a {v} in my house.",
             "I got a {v} last year.", "We have a {v} at home.", "I own a {v}.", "I share my home with a {v}."),
            "[How nice!|I like animals.|A {v}, how nice!]",
            Asks(("[What|Which] [pet|animal] do I have?", "Do you remember my pet?", "[What is|What's] my pet?",
                  "What animal did I tell you about?", "What kind of animal do I have?", "What animal do I own?"),
                 val=("Which animal lives with me?",), test=("What kind of pet do I have?",)),
            "You have a {v}."),
    "pet_name": (("My [dog|cat|rabbit|parrot|pony|hen] is called {v}.",
                  "The name of my [dog|cat|hamster|goat|duck] is {v}.",
                  "I have a [dog|cat|turtle|horse|mouse] called {v}.", "My [dog|cat]'s name is {v}.",
                  "We [named|called] our [dog|cat|pony|hamster] {v}.", "Our [puppy|kitten|dog|rabbit] is {v}."),
                 "[{v} is a nice name!|What a nice name!|Say hello to {v}!]",
                 Asks(("What is [my pet|my animal] called?", "[What is|What's] the name of my pet?",
                       "Do you remember the name of my pet?", "[What is|What's] my pet's name?",
                       "What did I call my pet?", "How is my pet called?", "What did we name our pet?",
                       "Which name has my pet got?"),
                      val=("Which name does my pet have?",), test=("Can you tell me my pet's name?",)),
                 "Your pet is called {v}."),
    "town": (("I live in {v}.", "My [home|town] is {v}.", "I come from {v}.", "I was born in {v}.", "I am from {v}.",
              "My house is in {v}.", "I am from a [village|town|city|place] called {v}.", "I grew up in {v}.",
              "Home is {v} for me.", "I moved to {v}."),
             "[{v} sounds nice!|I hope you like it there.|I will remember that.]",
             Asks(("Where do I [live|come from]?", "[What|Which] town do I [live in|come from]?",
                   "Do you remember [my town|where I live]?", "Where is my home?", "What is my town called?",
                   "Tell me where I live.", "[What|Which] [village|city|place] [am I from|do I live in]?"),
                  val=("Where am I from?",), test=("In which place do I live?",)),
             "You [live in|come from] {v}."),
    "job": (("I am a {v}.", "I work as a {v}.", "By trade I am a {v}.", "I earn my money as a {v}.",
             "My job is {v}.", "I make my living as a {v}.", "They pay me as a {v}."),
            "[That is a good job!|That sounds interesting.|A {v}, how interesting!]",
            Asks(("[What is|What's] my job?", "What do I do for work?", "Do you remember my job?",
                  "What do I work as?", "What do I do all day?", "What did I say my job was?",
                  "What do I do for a living?", "What is my work?"),
                 val=("How do I earn my money?",), test=("Which job do I have?",)),
            "You are a {v}."),
    "hobby": (("My hobby is {v}.", "I [like|love|enjoy] {v}.", "In my free time I enjoy {v}.",
               "{v} is what I like to do.", "I spend my [evenings|Sundays] with {v}.", "I am fond of {v}."),
              "[{v} is fun!|That sounds like fun.|I will remember that.]",
              Asks(("[What is|What's] my hobby?", "What do I [like|love|enjoy] to do?", "Do you remember my hobby?",
                    "What do I do in my free time?", "What did I say my hobby was?", "How do I spend my Sundays?"),
                   val=("What do I do for fun?",), test=("Which hobby do I have?",)),
              "Your hobby is {v}."),
    "like": (("I [like|love] {v}.", "I like {v} [a lot|very much].", "I am fond of {v}.", "There is nothing like {v}."),
             "[I will remember that.|How nice!|Good to know.|{v}, how nice!]",
             Asks(("What do I [like|love]?", "Do you remember what I like?", "What did I say I like?",
                   "What do I like so much?", "Tell me what I like."),
                  val=("What is it that I like?",), test=("Can you tell me what I like?",)),
             "You like {v}."),
    "age": (("I am {v} years old.", "My age is {v}.", "I have just turned {v}.", "I am {v}."),
            "[That is a good age!|I will remember that.|{v}, that is a good age!]",
            Asks(("How old am I?", "[What is|What's] my age?", "Do you remember my age?", "Do you know how old I am?",
                  "How old did I say I was?", "Tell me my age."),
                 val=("How many years old am I?",), test=("Which age did I tell you?",)),
            "You are {v} years old."),
    "number": (("My lucky number is {v}.", "Please remember the number {v}.", "The number of my house is {v}.",
                "Keep the number {v} in mind.", "Remember {v}."),
               "[I will remember {v}.|I will keep it in mind.|All right, {v}.]",
               Asks(("[What|Which] number did I [tell you|say|give you]?", "Do you remember my number?",
                     "What was my number?", "Tell me my number.", "[What is|What's] my number?"),
                    val=("Which number should you keep in mind?",), test=("Can you repeat my number?",)),
               "Your number is {v}."),
    "sister": (("My sister is called {v}.", "I have a sister, {v}.", "{v} is my sister.", "My sister's name is {v}.",
                "My [big|little|older] sister is {v}.", "My sister {v} is [here|visiting me|at home]."),
               "[{v} is a nice name!|Say hello to {v}!|I will remember that.]",
               Asks(("What is my sister called?", "[What is|What's] my sister's name?", "Who is my sister?",
                     "What is the name of my sister?", "Do you remember my sister's name?",
                     "What is my [big|little] sister called?"),
                    val=("Which name does my sister have?",), test=("Can you tell me my sister's name?",)),
               "Your sister is called {v}."),
    "brother": (("My brother is called {v}.", "I have a brother, {v}.", "{v} is my brother.",
                 "My brother's name is {v}.", "My [big|little|older] brother is {v}.",
                 "My brother {v} is [here|visiting me|at home]."),
                "[{v} is a nice name!|Say hello to {v}!|I will remember that.]",
                Asks(("What is my brother called?", "[What is|What's] my brother's name?", "Who is my brother?",
                      "What is the name of my brother?", "Do you remember my brother's name?",
                      "What is my [big|little] brother called?"),
                     val=("Which name does my brother have?",), test=("Can you tell me my brother's name?",)),
                "Your brother is called {v}."),
    "relative": ((f"My [{_KIN}] is called {{v}}.", f"My [{_KIN}] {{v}} is [here|visiting me|at home].",
                  f"{{v}} is my [{_KIN}].", f"The name of my [{_KIN}] is {{v}}.", f"I have a [{_KIN}] called {{v}}."),
                 "[{v} is a nice name!|Say hello to {v}!|I will remember that.]",
                 Asks(("What is my relative called?", "[What is|What's] my relative's name?", "Who is my relative?",
                       "What is the name of my relative?", "Do you remember my relative's name?"),
                      val=("Which name does my relative have?",), test=("Can you tell me my relative's name?",)),
                 "Your relative is called {v}."),
    "friend": (("My [best |]friend is [called |]{v}.", "{v} is my [best |]friend.", "I have a friend called {v}.",
                "I often play with my friend {v}."),
               "[It is good to have a friend.|{v} is a nice name!|I will remember that.]",
               Asks(("What is my friend called?", "Who is my [best |]friend?", "[What is|What's] my friend's name?",
                     "What is the name of my friend?", "Do you remember my friend's name?"),
                    val=("Which name does my friend have?",), test=("Can you tell me my friend's name?",)),
               "Your friend is called {v}."),
    "keys": (("My keys are at the {v}.", "I left my keys at the {v}.", "I put my keys down at the {v}.",
              "My keys must be at the {v}."),
             "[I will remember that.|All right, your keys are at the {v}.|Good to know.]",
             Asks(("Where are my keys?", "Where did I [leave|put] my keys?", "Do you remember where my keys are?",
                   "I cannot find my keys. Where are they?", "Tell me where my keys are."),
                  val=("In which place are my keys?",), test=("Can you tell me where I left my keys?",)),
             "Your keys are at the {v}."),
    "birthday": (("My birthday is in {v}.", "I was born in {v}.", "I have my birthday in {v}.",
                  "In {v} it is my birthday."),
                 "[I will remember that.|{v} is a good month!|How nice!]",
                 Asks(("When is my birthday?", "In [which|what] month is my birthday?", "When was I born?",
                       "Do you remember my birthday?", "In which month was I born?"),
                      val=("Which month is my birthday month?",), test=("Can you tell me my birthday month?",)),
                 "Your birthday is in {v}."),
    "flower": (("My favourite flowers are {v}.", "I like {v} most of all flowers.", "I grow {v} in my garden.",
                "The flowers that I love are {v}."),
               "[How pretty!|{v} are pretty.|I will remember that.]",
               Asks(("What are my favourite flowers?", "Which flowers do I [like|love][| most]?",
                     "Do you remember my favourite flowers?", "Which flowers did I tell you about?"),
                    val=("Which flowers make me happy?",), test=("Remind me of the flowers I like.",)),
               "Your favourite flowers are {v}."),
    "want": (("I want to buy a {v}.", "I wish for a {v}.", "I need a new {v}.", "What I want most is a {v}."),
             "[A {v} is a good thing to have.|I will remember that.|I hope you get it.]",
             Asks(("What do I [want|want to buy|need|wish for]?", "What did I say I want?",
                   "Do you remember what I want?", "Which thing do I want?"),
                  val=("Which thing would I like to have?",), test=("Remind me of what I want.",)),
             "You want a {v}."),
    "day": (("I am going away on {v}.", "My party is on {v}.", "I have a free day on {v}.",
             "We will meet on {v}, please remember."),
            "[I will remember {v}.|All right, {v}.|{v} is a good day.]",
            Asks(("[Which|What] day did I [tell you|say|name]?", "[What|Which] day was it that I told you?",
                  "Do you remember the day I told you?", "What was the day I told you?"),
                 val=("Which day should you keep in mind?",), test=("Can you repeat the day I told you?",)),
            "The day was {v}."),
}
POOLS = {"colour": COLOURS, "food": FOODS, "pet": PETS, "job": JOBS, "hobby": HOBBIES, "keys": PLACES,
         "birthday": MONTHS, "flower": FLOWERS, "like": FOODS + FLOWERS, "want": GOODS, "day": DAYS,
         "age": [str(n) for n in range(5, 99)], "number": [str(n) for n in range(1000)]}
PERSONS = ("name", "sister", "brother", "friend", "relative")
ALIKE = (("town", "birthday"), ("like", "hobby"), ("like", "food"), ("like", "flower"))  # told in the same words
NAME_WEIGHT = 6  # of 1 for the other slots: what people try first


@functools.cache
def pool_of(slot: str, split: str) -> list[str]:
    """A slot's values in a split: by the order of their hashes, so that even seven days give each split some."""
    ranked = sorted(POOLS[slot], key=lambda value: hashlib.sha256(f"{slot}|{value}".encode()).digest())
    few = max(2, len(ranked) // 10)
    return {"test": ranked[:few], "val": ranked[few:2 * few], "train": ranked[2 * few:]}[split]


OPEN_SLOTS = ("food", "pet", "job", "hobby", "flower", "want", "like")
ANY_WORD_SHARE = 0.3  # of these in training are any word: who knows a dozen jobs calls an electrician a plumber


NICKNAME_SHARE = 0.15  # of those who say in training what they are called are called like a word


def nickname(rng: random.Random) -> str:
    """Any word or its first letters: "hi my name is tom" was "Hello, tomorrow!" to a model that had never met a word's
    beginning by itself."""
    while True:
        name = capital(draw_word(rng, "train", made_share=0.2)[:rng.choice((3, 4, None))])
        if is_name_of("train", name):
            return name


def memory_value(rng: random.Random, slot: str, split: str) -> str:
    if slot == "name" and split == "train" and rng.random() < NICKNAME_SHARE:
        return nickname(rng)
    if slot in PERSONS:
        return person_name(rng, split, slot == "sister" or slot != "brother" and rng.random() < 0.5)
    if slot in OPEN_SLOTS and split == "train" and rng.random() < ANY_WORD_SHARE:
        return draw_word(rng, split, made_share=0.2)
    return rng.choice(pool_of(slot, split)) if slot in POOLS else made_name(rng, split)


def told(rng: random.Random, split: str, slot: str, value: str) -> list[dict]:
    statements, replies, _, _ = MEMORIES[slot]
    if split == "train" and rng.random() < OWN_SHARE[split]:
        statements = MEMORY_TELLS[slot]
    return turns(capital(say(rng, rng.choice(statements), v=value)), capital(say(rng, replies, v=value)))


@functools.cache
def memory_asks(slot: str) -> Asks:
    return MEMORIES[slot][2].taught(MEMORY_ASKS[slot])


def telling(rng: random.Random, split: str, values: dict[str, str]) -> list[list[dict]]:
    """What is told, a part per exchange; now and then two or three things in one breath."""
    parts = [told(rng, split, slot, value) for slot, value in values.items()]
    while len(parts) > 1 and rng.random() < 0.4:
        (first, _), (second, reply) = parts[:2]
        parts[:2] = [turns(f"{first['content']} {second['content']}", reply["content"])]
    return parts


def in_a_hurry(rng: random.Random, exchange: list[dict], values: dict[str, str]) -> list[dict]:
    """The same by somebody who types no capitals, half of the time no commas either, and is answered with what was typed:
    "hi my name is lina" and "Hello, lina!"."""
    user, reply = (message["content"] for message in exchange)
    for value in values.values():
        reply = re.sub(rf"\b{re.escape(value)}\b", value.lower(), reply)
    user = hurried(user)
    return turns(re.sub("[,']", "", user) if rng.random() < 0.5 else user, reply)


OWN_ANIMALS = "dog cat rabbit parrot pony hen hamster goat duck turtle horse mouse puppy kitten bird".split()
NAMED_ANIMAL_SHARE = 0.6  # in training the pet is asked for as the animal that it is: "What is my dog called?"
BY_KIND = {  # slot: what its questions call it, what it may be called instead
    "pet_name": (re.compile(r"\b(pet|animal)\b"), OWN_ANIMALS), "relative": (re.compile(r"\brelative\b"), KIN)}


def kind_named(slot: str, name: str, told: str) -> str:
    """Which animal or relative somebody said has this name; "pet" where they did not say."""
    sentence = next(sentence for sentence in re.split(r"(?<=[.!?]) ", told) if name in sentence)
    found = re.search(rf"\b({'|'.join(BY_KIND[slot][1])})\b", sentence)
    return found[0] if found else "pet"


def is_asked_by_kind(rng: random.Random, split: str, slot: str) -> bool:
    return slot == "relative" or slot == "pet_name" and split == "train" and rng.random() < NAMED_ANIMAL_SHARE


def exchange_about(rng: random.Random, split: str, slot: str, value: str, told_all: str) -> list[dict]:
    """What was told is asked for, and answered."""
    question, reply = say(rng, memory_asks(slot).draw(rng, split, ())), say(rng, MEMORIES[slot][3], v=value)
    if is_asked_by_kind(rng, split, slot):
        kind = kind_named(slot, value, told_all)
        question, reply = (BY_KIND[slot][0].sub(kind, text) for text in (question, reply))
    return turns(dress(rng, capital(question)), capital(reply))


def slots_to_tell(rng: random.Random) -> list[str]:
    """One to three, no two that one sentence could tell."""
    weights = [NAME_WEIGHT if slot == "name" else 1 for slot in MEMORIES]
    slots = list(dict.fromkeys(rng.choices(tuple(MEMORIES), weights, k=rng.choice((1, 2, 2, 3)))))
    for one, other in ALIKE:
        if one in slots and other in slots:
            slots.remove(other)
    return slots


def memory(rng: random.Random, split: str) -> Item:
    """Up to three things are told, then something else happens, then one is asked for; in train often all."""
    slots = slots_to_tell(rng)
    values = {slot: memory_value(rng, slot, split) for slot in slots}
    parts = telling(rng, split, values)
    told_all = " ".join(message["content"] for part in parts for message in part[::2])
    parts += [small_talk(rng) for _ in range(rng.choice((0, 0, 1, 2)))]
    asked = rng.sample(slots, len(slots) if split == "train" and rng.random() < 0.6 else 1)
    for slot in asked:
        parts.append(exchange_about(rng, split, slot, values[slot], told_all))
    question = parts[-1][0]["content"]
    if split == "train" and rng.random() < HURRIED_SHARE:
        parts = [in_a_hurry(rng, part, values) for part in parts]
    others = [value for name, value in values.items() if name != slot and value != values[slot]]
    return Item(sum(parts, []), values[slot], {"kind": slot, "rivals": others, "question": question})


def not_told(rng: random.Random) -> list[dict]:
    """Something is told and something else is asked, so that memory does not turn into guessing."""
    slots = rng.sample(tuple(MEMORIES), 2)
    parts = telling(rng, "train", {slots[1]: memory_value(rng, slots[1], "train")}) if rng.random() < 0.6 else []
    question = say(rng, memory_asks(slots[0]).draw(rng, "train"))
    if is_asked_by_kind(rng, "train", slots[0]):
        general, kinds = BY_KIND[slots[0]]
        question = general.sub(rng.choice(kinds), question)
    question = dress(rng, question)
    return sum(parts, []) + turns(question, f"{rng.choice(DONT_KNOW)} You have not told me that.")


# -----------------------------------------------------------------------------
# Repeating and looking up: not measured, but copying is what sums, reading and memory are made of

REPEATS = ("[Repeat|Say|Write] after me: {x}", "[Please repeat|Repeat|Say|Write|Copy] this: {x}", "Please say {x}",
           "Say {x}", "[Can|Could] you [say|repeat|write] {x}?", "Echo: {x}", "Now say {x}")


def repeat(rng: random.Random) -> list[dict]:
    makers = (lambda: made_name(rng, "train"), lambda: people(rng, "train", 1)[0][0], lambda: made_word(rng),
              lambda: str(rng.randrange(1000)), lambda: f'"{made_word(rng)}"', lambda: rng.choice(GOODS))
    text = rng.choice((" ", ", ", " and ")).join(rng.choice(makers)() for _ in range(rng.choice((1, 2, 3, 4, 6))))
    return turns(say(rng, rng.choice(REPEATS), x=text), text)


LOOKUPS = (  # what is told of {x}, how it is asked for, forwards and backwards
    ("{x} lives in {y}.", "name", (("Where does {x} live?", "{x} lives in {y}."),
                                   ("Who lives in {y}?", "{x} lives in {y}."))),
    ("{x} has a {y}.", "thing", (("What does {x} have?", "{x} has a {y}."), ("Who has the {y}?", "{x} has the {y}."))),
    ("{x}'s number is {y}.", "number", (("What is {x}'s number?", "{x}'s number is {y}."),
                                        ("Whose number is {y}?", "{y} is {x}'s number."))),
    ("{x}'s dog is called {y}.", "name", (("What is {x}'s dog called?", "{x}'s dog is called {y}."),
                                          ("Whose dog is {y}?", "{y} is {x}'s dog."))),
    ("{x} is at the {y}.", "place", (("Where is {x}?", "{x} is at the {y}."), ("Who is at the {y}?", "{x} is there."))),
    ("{x} is the {y}.", "job", (("Who is the {y}?", "{x} is the {y}."), ("What is {x}?", "{x} is the {y}."))),
    ("{x} likes {y}.", "hobby", (("What does {x} like?", "{x} likes {y}."), ("Who likes {y}?", "{x} likes {y}."))),
    *((f"{{x}} has a {{y}} {thing}.", "colour", (
        (f"Whose {thing} is {{y}}?", f"{{x}}'s {thing} is {{y}}."),
        (f"Who has the {{y}} {thing}?", f"{{x}} has the {{y}} {thing}."),
        (f"What colour is {{x}}'s {thing}?", f"{{x}}'s {thing} is {{y}}.")))
      for thing in ("hat", "coat", "bag", "bike")),
    *((f"{{x}} {did} {{y}}.", "word", ((f"What did {{x}} {do}?", f"{{x}} {did} {{y}}."),
                                       (f"Who {did} {{y}}?", f"{{x}} {did} {{y}}.")))
      for did, do in (("wrote", "write"), ("said", "say"), ("read", "read"), ("drew", "draw"), ("sang", "sing"),
                      ("chose", "choose"), ("spelled", "spell"), ("learned", "learn"))))
FAMILIAR = tuple(name for name, _ in people(random.Random("familiar"), "train", 12))
FAMILIAR_SHARE = 0.7  # of the exercises are about these few: looking up is learnt in half of the steps (dev/LOG.md)


DOINGS_SHARE = 0.5  # of the exercises tell what somebody did, the others what is whose


def some_names(rng: random.Random, count: int) -> list[str]:
    is_familiar = rng.random() < FAMILIAR_SHARE
    return rng.sample(FAMILIAR, count) if is_familiar else [name for name, _ in people(rng, "train", count)]


def different_words(rng: random.Random, count: int) -> list[str]:
    found: dict[str, None] = {}
    while len(found) < count:
        found.setdefault(draw_word(rng, "train", made_share=0.1))
    return list(found)


def values_of(rng: random.Random, kind: str, count: int) -> list[str]:
    """As many different values of a kind that somebody may own, be or like."""
    return {"name": lambda: [made_name(rng, "train") for _ in range(count)], "thing": lambda: rng.sample(GOODS, count),
            "number": lambda: [str(n) for n in rng.sample(range(1000), count)],
            "place": lambda: rng.sample(PLACES, count), "job": lambda: rng.sample(JOBS, count),
            "hobby": lambda: rng.sample(HOBBIES, count), "colour": lambda: rng.sample(COLOURS, count),
            "word": lambda: different_words(rng, count)}[kind]()


def ownings(rng: random.Random, names: list[str]) -> list[tuple[str, tuple[str, str, str]]]:
    """Of each person the same is told with another value: (sentence, (question, answer, who))."""
    form, kind, asks = rng.choice(LOOKUPS)
    told = []
    for x, y in zip(names, values_of(rng, kind, len(names))):
        question, reply = (say(rng, line, x=x, y=y) for line in rng.choice(asks))
        told.append((say(rng, form, x=x, y=y), (question, reply, x)))
    return told


IN_PAIRS_SHARE = 0.3  # of the exercises on what is whose


def in_pairs(rng: random.Random, sentences: list[str]) -> str:
    """Two and two of them in one sentence: "Tom has a red hat and Ben has a blue hat." All begin with a name."""
    link = rng.choice((" and ", ", and ", ", but "))
    return " ".join(link.join(line.rstrip(".") for line in sentences[i:i + 2]) + "."
                    for i in range(0, len(sentences), 2))


def lookup(rng: random.Random) -> list[dict]:
    """Two to six people and one thing about each; every one of them is asked for, one by one or all in one breath. From
    a thousand different things it is learnt here who has what, which reading needs and does not teach (dev/LOG.md)."""
    names, are_doings = some_names(rng, rng.randrange(2, 7)), rng.random() < DOINGS_SHARE
    if are_doings:
        told = [(doing.told, rng.choice(doing.asks)) for doing in doings(rng, names)]
    else:
        told = ownings(rng, names)
    exchanges = [(question, who_at_last(question, reply, x)) for _, (question, reply, x) in rng.sample(told, len(told))]
    if rng.random() < 0.5:
        exchanges = [tuple(" ".join(lines) for lines in zip(*exchanges))]
    (question, reply), *others = exchanges
    sentences = [sentence for sentence, _ in told]
    is_paired = not are_doings and rng.random() < IN_PAIRS_SHARE
    text = in_pairs(rng, sentences) if is_paired else " ".join(sentences)
    return turns(in_frame(rng, "train", text, question), reply) + sum((turns(*exchange) for exchange in others), [])
