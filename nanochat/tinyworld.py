"""A small world made of words: tables, a phrase grammar and the prose that the quickstart pretrains on.

A few hundred people, animals, things and places, about 140 everyday facts, and templates in which "[a|b]"
is a choice. Everything follows from a seed through random.Random, so every machine writes the same text.
What is held out is decided by content: `split_of` hashes a name, a pair of operands, a wish or a phrasing,
and whoever draws for "train" never gets what belongs to "val" or "test". Facts are known to all splits,
their questions are not. Conversations and graders live next door (tinyworld_chats.py, tinyworld_grade.py).
Left out: a world with a memory. Two documents that mention Anna do not agree on who she is.
"""

import functools
import hashlib
import itertools
import random
import re
from typing import Iterator, NamedTuple

SPLITS = ("train", "val", "test")

# -----------------------------------------------------------------------------
# The phrase grammar and the splits


def split_of(*content) -> str:
    """The split that a piece of content belongs to, on every machine and for ever: 80%, 10%, 10%."""
    tenth = int.from_bytes(hashlib.sha256("|".join(map(str, content)).encode()).digest()[:4], "big") % 10
    return {8: "val", 9: "test"}.get(tenth, "train")


@functools.cache
def _choices(template: str) -> tuple[list[str], ...]:
    return tuple(part.split("|") if i % 2 else [part] for i, part in enumerate(re.split(r"\[(.*?)\]", template)))


@functools.cache
def expand(*templates: str) -> tuple[str, ...]:
    """Every reading: "[big|small] cat" gives "big cat" and "small cat"."""
    return tuple("".join(parts) for template in templates for parts in itertools.product(*_choices(template)))


def say(rng: random.Random, template: str, **slots) -> str:
    """One reading at random, slots filled, "a" before a vowel turned into "an"."""
    text = "".join(part[0] if len(part) == 1 else rng.choice(part) for part in _choices(template))
    return with_articles(text.format(**slots))


def with_articles(text: str) -> str:
    return re.sub(r"\b([Aa]) (?=[aeiouAEIOU])", r"\1n ", text)


def bare(noun: str) -> str:
    return re.sub("^an? ", "", noun)


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


NOVEL_SHARE = 0.25  # of held-out items are asked in a phrasing, told in a plot, that is all their split's own


class Asks(NamedTuple):
    """Ways to ask. `shared` ones are held out together with their content, the others as phrasings of their own."""
    shared: tuple[str, ...]
    val: tuple[str, ...] = ()
    test: tuple[str, ...] = ()

    def held_out(self, split: str) -> tuple[str, ...]:
        return () if split == "train" else getattr(self, split)


# -----------------------------------------------------------------------------
# Names, places, things

GIRLS = """Anna Clara Ella Emma Eva Greta Hannah Ida Iris Jane Julia Kate Laura Lena Lily Lucy Maria Mia Molly Nina Nora
Olga Olivia Paula Rosa Ruby Ruth Sara Sofia Stella Tina Vera Alice Amy Betty Carol Daisy Diana Elsa Fiona Gina
Heidi Helen Ivy Judy Karin Leah Lisa Mary Nelly""".split()
BOYS = """Adam Ben Carl Dan David Eric Felix Finn Frank George Hugo Jack Jacob James John Jonas Karl Leo Lucas Luke
Marcus Martin Max Nick Noah Oscar Otto Paul Peter Philip Robert Sam Simon Theo Thomas Tim Tom Victor Walter Wilson
Albert Arthur Bruno Colin Dennis Edgar Fred Henry Ivan Kevin""".split()
SYLLABLES = ("Bal Bor Dar Deb Fen Gal Hol Jor Kal Kor Lav Lum Mav Mir Nar Nel Or Pel Quin Ral Rov Sel Tal Tor Ul Vel "
             "Vor Wen Yar Zan".split(), "ba bo da do fi ga go ka la li lo ma mi mo na ne no ra ri ro sa su ta "
             "tha to va via vo za zo".split())  # 900 names that nobody has: a reader must copy, not recognise

COLOURS = "red blue green yellow white black brown orange pink purple grey silver golden turquoise violet beige".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
PLACES = """market park library school bakery harbour museum station farm river beach bridge mill lighthouse playground
bookshop castle church pond zoo theatre tower inn""".split() + ["post office", "town hall"]
GOODS = """ball kite hat book lamp cup drum basket umbrella bell candle doll puzzle coat jar pen ribbon mirror clock
spoon bucket rope pillow blanket whistle flag ladder necklace teapot plate stool notebook wagon""".split()
FOODS = """bread soup cheese honey rice cake pasta salad porridge pancakes noodles strawberries apples cherries plums
potatoes carrots beans eggs fish chocolate popcorn jam pears grapes melon waffles biscuits""".split()
FLOWERS = "roses tulips daisies lilies sunflowers poppies violets pansies".split()
PETS = "cat dog parrot rabbit hamster goldfish turtle pony canary mouse goat lizard hen duck ferret hedgehog".split()
JOBS = """baker teacher doctor farmer painter sailor gardener tailor carpenter nurse cook driver singer dentist
librarian fisherman builder pilot postman clown""".split()
HOBBIES = """swimming painting reading dancing singing cooking running drawing fishing hiking skating sewing chess
gardening climbing cycling knitting football tennis photography""".split()
WEATHER = "sunny rainy windy cloudy snowy foggy stormy cold warm".split()
HEROES = """fox rabbit bear mouse owl cat dog duck frog hedgehog squirrel horse goat pig hen lamb wolf deer badger
turtle crow donkey beaver otter king queen girl boy farmer sailor baker painter wizard shepherd giant miller""".split()
TREASURES = {
    "key": "opened a little door in an old wall", "map": "showed the way to a hidden garden",
    "lamp": "shone so brightly that the whole valley woke up", "bell": "rang so sweetly that all the birds listened",
    "book": "was full of songs that nobody had heard before", "coin": "could buy warm bread for everyone",
    "kite": "flew higher than the tallest tower", "umbrella": "kept all the small birds dry in the storm",
    "drum": "could be heard on the other side of the hill", "seed": "grew into a tree with silver leaves",
    "shell": "sounded like the sea when the wind blew", "ring": "sparkled like a star in the dark",
    "flute": "played a tune that made tired feet dance", "balloon": "could carry a basket across the river",
    "ladder": "reached up to the lowest cloud", "mirror": "showed a friendly face to everybody who was lonely",
    "rope": "was long enough to pull a boat out of the mud", "hat": "was big enough for a family of mice",
    "basket": "was never empty, no matter how much they ate", "candle": "burned all night and never grew smaller",
    "letter": "told of a cousin who lived far away", "stone": "was warm even in the middle of winter",
    "feather": "could write all by itself", "whistle": "called every dog in the village"}


@functools.cache
def members(pool: tuple[str, ...], split: str, salt: str) -> tuple[str, ...]:
    """The part of a table that belongs to a split."""
    return tuple(x for x in pool if split_of(salt, x) == split)


def made_name(rng: random.Random, split: str) -> str:
    """An invented name such as Mirona or Talvo, for pets, towns, countries and now and then a person."""
    while True:
        name = rng.choice(SYLLABLES[0]) + rng.choice(SYLLABLES[1]) + rng.choice(("", "", "n", "s"))
        if split_of("name", name) == split:
            return name


def people(rng: random.Random, split: str, count: int) -> list[tuple[str, bool]]:
    """Distinct names of a split, each with is_female; one in four is invented."""
    found = {}
    while len(found) < count:
        is_female = rng.random() < 0.5
        pool = members(tuple(GIRLS if is_female else BOYS), split, "name")
        found.setdefault(rng.choice(pool) if rng.random() < 0.75 else made_name(rng, split), is_female)
    return list(found.items())


def cast_people(rng: random.Random, split: str) -> dict[str, str]:
    """Slots a, b, c: names; he, He, his, His, him for a; he2, ... for b."""
    (a, female), (b, female2), (c, _) = people(rng, split, 3)
    slots = {"a": a, "b": b, "c": c}
    for suffix, is_female in (("", female), ("2", female2)):
        for he, she in (("he", "she"), ("his", "her"), ("him", "her")):
            word = she if is_female else he
            slots |= {he + suffix: word, capital(he) + suffix: capital(word)}
    return slots


def cast(rng: random.Random, split: str, who: dict[str, str] | None = None) -> dict[str, str]:
    """Everything that a plot's slots may ask for: people, and one or two of each kind of thing."""
    slots = {"n1": made_name(rng, split), "n2": made_name(rng, split), "d1": rng.choice(DAYS), "m1": rng.choice(MONTHS),
             "w": rng.choice(WEATHER), "h1": rng.choice(HOBBIES)}
    for key, pool in {"c": COLOURS, "p": PLACES, "t": GOODS, "f": FOODS, "k": PETS, "j": JOBS, "l": FLOWERS}.items():
        slots[key + "1"], slots[key + "2"] = rng.sample(pool, 2)
    return slots | (who or cast_people(rng, split))


# -----------------------------------------------------------------------------
# Facts. Slots: {x} and {y} as in the table, {X} {Y} with a capital, {n} is x without its
# article; of "legs of a spider" {n} and {o} ({O}) are the two halves.

class FactKind(NamedTuple):
    answers: dict[str, str]
    says: tuple[str, ...]    # the first two also answer questions
    asks: Asks


def _pairs(text: str) -> dict[str, str]:
    return {x.strip(): y.strip() for x, y in (pair.split(":") for pair in text.replace("\n", " ").split(","))}


def _next_in(ring: list[str], step: int) -> dict[str, str]:
    return {x: ring[(i + step) % len(ring)] for i, x in enumerate(ring)}


OPPOSITES = _pairs("""big:small, hot:cold, fast:slow, happy:sad, day:night, up:down, open:closed, full:empty, wet:dry,
rich:poor, hard:soft, early:late, clean:dirty, loud:quiet, strong:weak, near:far""")

FACTS = {
    "capital": FactKind(
        _pairs("""France:Paris, Germany:Berlin, Italy:Rome, Spain:Madrid, Portugal:Lisbon, England:London,
Ireland:Dublin, Norway:Oslo, Sweden:Stockholm, Denmark:Copenhagen, Finland:Helsinki, Poland:Warsaw, Austria:Vienna,
Greece:Athens, Hungary:Budapest, Russia:Moscow, Egypt:Cairo, Japan:Tokyo, China:Beijing, Canada:Ottawa,
Cuba:Havana, Kenya:Nairobi"""),
        ("The capital of {x} is {y}.", "{y} is the capital of {x}.", "{x} has a capital called {y}.",
         "In {x}, the capital city is {y}.", "The capital city of {x} is called {y}.",
         "Many people visit {y}, the capital of {x}."),
        Asks(("[What is|What's|Do you know|Can you tell me|Could you tell me] the capital [|city ]of {x}?",
              "[Which|What] city is the capital of {x}?", "[Name|Tell me|Give me] the capital of {x}.",
              "What is {x}'s capital?", "{x} has which capital?",
              "I forgot the capital of {x}. What is it?", "The capital of {x}?", "Which capital [belongs to|has] {x}?",
              "I am [in|going to] {x}. What is its capital?", "What do people call the capital of {x}?",
              "I want to [see|visit] the capital of {x}. Which city is [that|it]?"),
             val=("Which city do we call the capital of {x}?", "Please name the capital city of {x}."),
             test=("I would like to know the capital of {x}.", "Say the name of the capital of {x}."))),
    "sound": FactKind(
        _pairs("""a cow:moo, a dog:woof, a cat:meow, a duck:quack, a sheep:baa, a horse:neigh, a pig:oink, a lion:roar,
a frog:croak, a bee:buzz, an owl:hoot, a snake:hiss, a mouse:squeak"""),
        ("{X} says {y}.", "The sound of {x} is {y}.", "The {n} says {y}.", "{Y} is the sound that {x} makes.",
         "When you hear {y}, it is {x}.", "{Y}, says the {n}."),
        Asks(("[What|Which] [sound|noise] does [{x}|the {n}] make?", "What does [{x}|the {n}] say?",
              "What is the sound of {x}?", "How does {x} sound?", "Tell me the sound of {x}.",
              "Which sound comes from {x}?", "Do you know [the sound of {x}|what {x} says]?",
              "What do I hear when I meet {x}?", "Can you [make|tell me] the sound of {x}?"),
             val=("What noise do we hear from {x}?",), test=("I hear {x}. Which sound is that?",))),
    "baby": FactKind(
        _pairs("""a dog:a puppy, a cat:a kitten, a cow:a calf, a sheep:a lamb, a horse:a foal, a duck:a duckling,
a hen:a chick, a bear:a cub, a pig:a piglet, a goat:a kid, a frog:a tadpole, a deer:a fawn, a goose:a gosling"""),
        ("A baby {n} is called {y}.", "A young {n} is {y}.", "The baby of {x} is {y}.",
         "{Y} is a baby {n}.", "{X} was once {y}.", "When {x} is very young, it is called {y}."),
        Asks(("What [is|do you call|do we call] [a baby|a young] {n}?", "What is a [baby|young] {n} called?",
              "What is the [name for|word for] a baby {n}?", "What is the baby of {x} called?",
              "What do people call a [baby|young] {n}?", "Tell me the word for a young {n}.",
              "{X} has a baby. What is it called?", "Do you know what a baby {n} is called?"),
             val=("Do you know the name of a baby {n}?",), test=("{X} has a baby. What do we call it?",))),
    "opposite": FactKind(
        OPPOSITES | {y: x for x, y in OPPOSITES.items()},
        ("The opposite of {x} is {y}.", "{Y} is the opposite of {x}.", "{X} is the opposite of {y}.",
         "The words {x} and {y} are opposites.", "{X} and {y} are opposites.",
         "The word {y} means the opposite of {x}."),
        Asks(("[What is|What's|Do you know|Can you tell me] the opposite of {x}?",
              "[Name|Tell me|Give me] the opposite of {x}.", "[What|Which] word is the opposite of {x}?",
              "What word means the opposite of {x}?", "The opposite of {x}?", "{X} is the opposite of what?",
              "I [need|forgot] the opposite of {x}.", "What would be the opposite of {x}?"),
             val=("Find a word that is the opposite of {x}.",), test=("I need a word for the opposite of {x}.",))),
    "colour": FactKind(
        _pairs("""grass:green, snow:white, a clear sky:blue, blood:red, a banana:yellow, a lemon:yellow, coal:black,
a carrot:orange, a strawberry:red, chocolate:brown, milk:white, an elephant:grey, a flamingo:pink,
a ripe tomato:red"""),
        ("{X} is {y}.", "The colour of {x} is {y}.", "{Y} is the colour of {x}.", "Everybody knows that {x} is {y}.",
         "If you paint {x}, take {y}.", "It is as {y} as {x}."),
        Asks(("[What|Which] [colour|color] [is|has] {x}?", "What is the [colour|color] of {x}?",
              "[Tell me|Name] the [colour|color] of {x}.", "[Do you know|Can you tell me] the [colour|color] of {x}?",
              "I [want to paint|am painting] {x}. Which colour do I [take|use]?", "{X} has which colour?"),
             val=("{X}: which colour is it?",), test=("I want to paint {x}. Which colour do I need?",))),
    "after": FactKind(
        _next_in(DAYS, 1),
        ("The day after {x} is {y}.", "{y} comes after {x}.", "After {x} comes {y}.", "{y} follows {x}.",
         "When {x} is over, it is {y}.", "One day later than {x} is {y}."),
        Asks(("[What|Which] day [comes|is] [after|right after|next after] {x}?", "What comes after {x}?",
              "What is the day after {x}?", "[Tell me|Name] the day after {x}.", "[Which|What] day follows {x}?",
              "If today is {x}, what day is tomorrow?", "Today is {x}. What day is it tomorrow?",
              "Can you tell me the day after {x}?", "{x} is over. What day comes now?", "What is one day after {x}?"),
             val=("Which day do we have after {x}?",), test=("{x} is over. Which day is next?",))),
    "before": FactKind(
        _next_in(DAYS, -1),
        ("The day before {x} is {y}.", "{y} comes before {x}.", "Before {x} comes {y}.",
         "One day earlier than {x} is {y}.", "Just before {x} we have {y}.", "{y} is the day before {x}."),
        Asks(("[What|Which] day [comes|is] [before|right before|just before] {x}?", "What comes before {x}?",
              "What is the day before {x}?", "[Tell me|Name] the day before {x}.",
              "If today is {x}, what day was yesterday?",
              "Today is {x}. What day was it yesterday?", "Can you tell me the day before {x}?",
              "It is {x}. What day was yesterday?", "What is one day before {x}?"),
             val=("Which day do we have before {x}?",), test=("It is {x}. Which day was just before it?",))),
    "month": FactKind(
        _next_in(MONTHS, 1),
        ("The month after {x} is {y}.", "{y} comes after {x}.", "After {x} comes {y}.", "{y} follows {x}.",
         "When {x} is over, {y} begins.", "One month later than {x} is {y}."),
        Asks(("[What|Which] month [comes|is] [after|right after] {x}?", "[Which|What] month follows {x}?",
              "What is the month after {x}?", "[Tell me|Name] the month after {x}.", "What comes after {x}?",
              "If it is {x} now, what is the next month?", "What is the next month after {x}?",
              "{x} is over. What month comes now?", "Can you tell me the month after {x}?"),
             val=("Which month do we have after {x}?",), test=("{x} is over. Which month is next?",))),
    "parts": FactKind(
        _pairs("""legs of a spider:eight, legs of a dog:four, legs of a bird:two, legs of an ant:six,
wheels of a bicycle:two, wheels of a car:four, fingers of a hand:five, sides of a triangle:three,
sides of a square:four, arms of an octopus:eight, legs of a horse:four, strings of a violin:four, legs of a bee:six"""),
        ("{O} has {y} {n}.", "There are {y} {n} on {o}.", "The number of {n} of {o} is {y}.",
         "You can count {y} {n} on {o}.", "{Y} {n}: that is what {o} has.", "Every child knows that {o} has {y} {n}."),
        Asks(("How many {n} [does {o} have|has {o}|are there on {o}|are on {o}|can you count on {o}]?",
              "What is the number of {n} [of|on] {o}?", "Tell me how many {n} {o} has.", "Count the {n} of {o}.",
              "Do you know how many {n} {o} has?", "{O} has how many {n}?",
              "I am [drawing|painting] {o}. How many {n} do I [draw|paint]?"),
             val=("How many {n} will I find on {o}?",), test=("I am drawing {o}. How many {n} does it need?",))),
    "time": FactKind(
        _pairs("""days of a week:7, months of a year:12, hours of a day:24, minutes of an hour:60,
seconds of a minute:60, letters of the alphabet:26, colours of the rainbow:7, seasons of a year:4, days of a year:365,
years of a century:100, players of a football team:11"""),
        ("There are {y} {n} in {o}.", "{O} has {y} {n}.", "In {o} there are {y} {n}.", "{y} {n} make {o}.",
         "Count the {n} in {o} and you get {y}.", "Every child learns that {o} has {y} {n}."),
        Asks(("How many {n} [are in|are there in|make|make up] {o}?", "How many {n} [does {o} have|has {o}]?",
              "{O} has how many {n}?", "Can you tell me how many {n} {o} has?", "Tell me how many {n} are in {o}.",
              "Do you know how many {n} {o} has?", "What is the number of {n} in {o}?", "Count the {n} in {o}."),
             val=("If I count the {n} in {o}, how many do I get?",), test=("How many {n} would you count in {o}?",))),
}


def fact_slots(kind: str, key: str) -> dict[str, str]:
    answer = FACTS[kind].answers[key]
    n, _, o = key.partition(" of ") if kind in ("parts", "time") else (bare(key), "", "")
    return {"x": key, "X": capital(key), "y": answer, "Y": capital(answer), "n": n, "o": o, "O": capital(o)}


@functools.cache
def fact_questions(split: str, is_novel: bool = False) -> tuple[tuple[str, str, str], ...]:
    """All (kind, key, question) of a split: shared phrasings, each in one split per fact by hash, or its own ones."""
    return tuple((kind, key, with_articles(form.format(**fact_slots(kind, key))))
                 for kind, (answers, _, asks) in FACTS.items() for key in answers
                 for form in (asks.held_out(split) if is_novel else expand(*asks.shared))
                 if is_novel or split_of("fact", key, form) == split)


@functools.cache
def fact_sentences(kind: str, key: str) -> tuple[str, ...]:
    """The fact in all its wordings; the first two are meant as answers."""
    return tuple(with_articles(form.format(**fact_slots(kind, key))) for form in FACTS[kind].says)


def answer_fact(rng: random.Random, kind: str, key: str) -> str:
    return rng.choice(fact_sentences(kind, key)[:2])


# -----------------------------------------------------------------------------
# Plots: short scenes that a question can be asked about, told with a cast. In a question, the answer's slot
# decides what competes with it: a slot's first letter is its kind (a b c are people).

class Plot(NamedTuple):
    scene: tuple[str, ...]
    asks: tuple[tuple[str, str, str], ...]   # question, slot that answers it, answer in a sentence


PLOTS = (
    Plot(("[On {d1}|Last {d1}|One {d1}] {a} and {b} went to the {p1}.",
          "{a} bought a {c1} {t1}[.| and was very pleased.]", "{b} [bought|chose|found] a {c2} {t2}.",
          "[Then|Afterwards|Before they went home,] they ate some {f1} together."),
         (("Who bought the {t1}?", "a", "{a} bought the {t1}."), ("What did {a} buy?", "t1", "{a} bought a {t1}."),
          ("[What|Which] colour [is|was] the {t1}?", "c1", "The {t1} was {c1}."),
          ("[What|Which] colour [is|was] the {t2}?", "c2", "The {t2} was {c2}."),
          ("What did they eat?", "f1", "They ate some {f1}."),
          ("Where did [they|{a} and {b}] go?", "p1", "They went to the {p1}."),
          ("[On which day|When] did they go [out|there]?", "d1", "They went on {d1}."))),
    Plot(("{a} [lost|could not find] {his} {t1}.", "{He} looked at the {p1}, but it was not there.",
          "[In the evening|After a while|The next morning] {b} found it at the {p2}.",
          "{a} was [so glad|so happy|so relieved] that {he} gave {b} some {f1}."),
         (("Who found the {t1}?", "b", "{b} found the {t1}."),
          ("Who [lost|was missing] the {t1}?", "a", "{a} lost the {t1}."),
          ("What did {a} lose?", "t1", "{a} lost the {t1}."),
          ("Where did {b} find it?", "p2", "{b} found it at the {p2}."),
          ("What did {b} get?", "f1", "{b} got some {f1}."),
          ("Where did {a} look?", "p1", "{a} looked at the {p1}."))),
    Plot(("{b} had a birthday on {d1}.", "{a} gave {him2} a {c1} {t1}.",
          "{c} [gave {him2}|came with|brought] a {c2} {t2}.",
          "[They all|The guests] ate {f1} and [sang|danced|laughed] until late."),
         (("Who had a birthday?", "b", "{b} had a birthday."),
          ("Who gave {b} the {t1}?", "a", "{a} gave {b} the {t1}."),
          ("What did {a} give to {b}?", "t1", "{a} gave {b} a {t1}."),
          ("[What|Which] colour was the {t2}?", "c2", "The {t2} was {c2}."),
          ("[On which day|When] was the birthday?", "d1", "The birthday was on {d1}."),
          ("What did [they|the guests] eat?", "f1", "They ate {f1}."))),
    Plot(("{a} has a {k1} called {n1}.", "{b} has a {k2} called {n2}.", "{n1} likes to sleep near the {p1}.",
          "{n2} [loves|likes to eat|always wants] {f1}."),
         (("Who has a {k1}?", "a", "{a} has a {k1}."), ("Who has a {k2}?", "b", "{b} has a {k2}."),
          ("What is the name of the {k1}?", "n1", "The {k1} is called {n1}."),
          ("What is {b}'s {k2} called?", "n2", "The {k2} is called {n2}."),
          ("What [pet|animal] does {a} have?", "k1", "{a} has a {k1}."),
          ("Where does {n1} [like to sleep|sleep]?", "p1", "{n1} sleeps near the {p1}."))),
    Plot(("{a} planted {l1} in the garden.", "{b} [helped|came to help] and planted some {l2}.",
          "[In {m1}|One morning in {m1}] the {l1} were {c1} and the {l2} were {c2}.",
          "The two friends [looked at them|sat down beside them] and ate {f1}."),
         (("Who planted the {l1}?", "a", "{a} planted the {l1}."),
          ("Who planted the {l2}?", "b", "{b} planted the {l2}."),
          ("What did {a} plant?", "l1", "{a} planted {l1}."), ("What did {b} plant?", "l2", "{b} planted {l2}."),
          ("[What|Which] colour were the {l1}?", "c1", "The {l1} were {c1}."),
          ("In which month were [they in bloom|the flowers in bloom]?", "m1", "It was in {m1}."),
          ("What did the friends eat?", "f1", "They ate {f1}."))),
    Plot(("{a} is a {j1}.", "{b}, {his} [best friend|neighbour|cousin], is a {j2}.", "They both live near the {p1}.",
          "Every {d1} they [meet for {h1}|meet and talk about {h1}][.| and drink tea.]"),
         (("Who is the {j1}?", "a", "{a} is the {j1}."), ("Who is the {j2}?", "b", "{b} is the {j2}."),
          ("What is {a}'s job?", "j1", "{a} is a {j1}."), ("What does {b} do for work?", "j2", "{b} is a {j2}."),
          ("Where do they live?", "p1", "They live near the {p1}."),
          ("[On which day|When] do they meet?", "d1", "They meet on {d1}."))),
    Plot(("{a} walked from the {p1} to the {p2}.", "It was {w} that day.",
          "On the way {he} met {b}, who [carried|was carrying|had] a {c1} {t1}.",
          "They [talked|spoke|had a long talk] about {h1}."),
         (("Who [carried|had] the {t1}?", "b", "{b} had the {t1}."), ("Whom did {a} meet?", "b", "{a} met {b}."),
          ("Where did {a} start?", "p1", "{a} started at the {p1}."),
          ("Where did {a} walk to?", "p2", "{a} walked to the {p2}."),
          ("What did {b} carry?", "t1", "{b} carried a {t1}."),
          ("[What|Which] colour was the {t1}?", "c1", "The {t1} was {c1}."),
          ("What was the weather like?", "w", "It was {w}."),
          ("What did they talk about?", "h1", "They talked about {h1}."))),
    Plot(("{a} hid a {t1} behind the {p1}.", "{b} hid a {t2} behind the {p2}.",
          "{c} searched [all day|for hours|all morning] and found only the {c1} {t1}.",
          "[As a prize|For that] {he} gave {c} some {f1}."),
         (("Who hid the {t2}?", "b", "{b} hid the {t2}."), ("Who found the {t1}?", "c", "{c} found the {t1}."),
          ("Where was the {t1}?", "p1", "The {t1} was behind the {p1}."),
          ("Where is the {t2} [hidden|now]?", "p2", "The {t2} is behind the {p2}."),
          ("What did {c} find?", "t1", "{c} found the {t1}."),
          ("What was the prize?", "f1", "The prize was some {f1}."))),
    Plot(("{a} cooked {f1} for dinner.", "{b} [made|brought|prepared] {f2}.",
          "{c} forgot the dessert, so [{c} brought|the only thing from {c} was] a {c1} {t1}.",
          "They [ate|had dinner] at the {p1} because it was {w}."),
         (("Who cooked the {f1}?", "a", "{a} cooked the {f1}."), ("What did {a} cook?", "f1", "{a} cooked {f1}."),
          ("Who forgot the dessert?", "c", "{c} forgot the dessert."),
          ("What did {c} bring?", "t1", "{c} brought a {t1}."),
          ("What came from {b}?", "f2", "{b} made {f2}."), ("Where did they eat?", "p1", "They ate at the {p1}."))),
    Plot(("{a}, {b} and {c} ran a race to the {p1}.", "{b} came first and {c} came second.",
          "{a} was last because {he} [dropped|had to carry] a {t1}.",
          "The prize was a {c1} {t2}[.| and everybody cheered.]"),
         (("Who [won|came first]?", "b", "{b} came first."), ("Who was last?", "a", "{a} was last."),
          ("Who came second?", "c", "{c} came second."), ("What was the prize?", "t2", "The prize was a {t2}."),
          ("Where did they run?", "p1", "They ran to the {p1}."),
          ("[What|Which] colour was the prize?", "c1", "The prize was {c1}."))),
)
HELD_OUT_PLOTS = {
    "train": (),
    "val": (
        Plot(("{a} painted the {t1} {c1}.", "{b} painted the {t2} {c2}.", "They worked from morning until evening.",
              "On {d1} the paint was dry."),
             (("Who painted the {t1}?", "a", "{a} painted the {t1}."),
              ("What did {b} paint?", "t2", "{b} painted the {t2}."),
              ("What colour was the {t1}?", "c1", "The {t1} was {c1}."),
              ("When was the paint dry?", "d1", "It was dry on {d1}."))),
        Plot(("{a} wrote a letter to {b}.", "In it {he} told of a {k1} that lived at the {p1}.",
              "{b} read it while eating {f1}."),
             (("Who wrote the letter?", "a", "{a} wrote the letter."),
              ("Who got the letter?", "b", "{b} got the letter."),
              ("Where did the {k1} live?", "p1", "The {k1} lived at the {p1}."),
              ("What did {b} eat?", "f1", "{b} ate {f1}.")))),
    "test": (
        Plot(("{a} borrowed a {c1} {t1} from {b}.", "{He} needed it at the {p1} on {d1}.",
              "When {he} brought it back, {he} also left a bowl of {f1} as a thank you."),
             (("Who borrowed the {t1}?", "a", "{a} borrowed the {t1}."),
              ("What did {a} borrow?", "t1", "{a} borrowed a {t1}."),
              ("Where was it needed?", "p1", "It was needed at the {p1}."),
              ("What colour was the {t1}?", "c1", "The {t1} was {c1}."))),
        Plot(("{a} has a stall that sells {f1}.", "Next to {him}, {b} sells {f2}.",
              "Today {c} came along with a {k1} and bought only {f2}."),
             (("Who sells the {f1}?", "a", "{a} sells the {f1}."), ("What did {c} buy?", "f2", "{c} bought {f2}."),
              ("Which animal came along?", "k1", "It was a {k1}."),
              ("Who sells the {f2}?", "b", "{b} sells the {f2}.")))),
}


def draw_plot(rng: random.Random, split: str) -> Plot:
    """In train a shared plot, elsewhere now and then one of the split's own; the names are always of the split."""
    own = HELD_OUT_PLOTS[split]
    return rng.choice(own if own and rng.random() < NOVEL_SHARE else PLOTS)


def tell(rng: random.Random, plot: Plot, slots: dict[str, str]) -> str:
    return " ".join(capital(say(rng, sentence, **slots)) for sentence in plot.scene)


# -----------------------------------------------------------------------------
# Tales: a hero, something that happens to a treasure, perhaps a place, perhaps a mood

EVENTS = {  # verb in a wish: what is told, a happy turn, a sad turn
    "finds": ("[One {w} morning|One {w} day] the {h} found a {t} "
              "[under a tree|behind a fence|in the tall grass].",
              "The {h} [showed it to|shared it with] the {k}, and they [took turns|used it together] every day.",
              "[But then|That night] a storm came and blew the {t} away."),
    "loses": ("[One {w} day|One {w} afternoon] the {h} lost a {t}. "
              "The {h} looked [in every corner|high and low|behind every bush].",
              "The {k} had found the {t} and gave it back.", "They searched until dark, but the {t} was gone."),
    "wants": ("The {h} wanted a {t} more than anything [else|in the world]. "
              "[Day and night|All summer long] the {h} dreamed about it.",
              "[To help|Out of kindness], the {k} gave the {h} an old {t}.",
              "But nobody had a {t} to give, and winter came."),
    "hides": ("[One dark night|One {w} day] the {h} hid a {t} [under a big root|in a deep hole], "
              "so that nobody could take it.", "The {k} knew the secret and kept it, and together they dug up the {t}.",
              "When the {h} came back, the {t} was not there any more."),
    "gives away": ("[One {w} day|One {w} morning] the {h} gave away a {t} "
                   "[to a stranger|to somebody who needed it more].",
                   "The {k} was proud of the {h} and [baked a warm cake|brought two gifts|wrote a song about it].",
                   "Soon the {h} missed the {t} and felt very lonely."),
}
MOODS = {
    "happy": ("[In the end|At last] everyone was happy, and they [danced|sang|laughed] until the stars came out.",
              "[From then on|After that] the {h} and the {k} were happy friends."),
    "sad": ("The {h} was sad and walked home alone.", "[In the end|That evening] the {h} cried a little and felt sad."),
    "funny": ("[In the end|Suddenly] the {t} fell on the {k}'s head, and everybody laughed.",
              "Then the {k} made such a funny face that they all laughed."),
    "": ("[That night|In the end] the {h} slept very well.",
         "And the {h} told everybody about it for [years|a long time]."),
}
OPENINGS = ("Once upon a time there was a [little|young|clever|shy|brave] {h}[.| who lived near the {p}.]",
            "[A long time ago|Long ago] a [little|lazy|kind|curious] {h} lived near the {p}.",
            "There was once a [small|gentle|cheerful|quiet] {h}[.| with a big heart.]")
MIDDLES = ("A {k} came by and asked, \"What [has happened|is the matter|are you doing]?\"",
           "The {h} went to the {p} to ask the {k}.",
           "A friendly {k} [saw it all|was watching from behind a bush] and came [closer|nearer].",
           "\"I must tell the {k},\" [said|thought] the {h}.")


def draw_wish(rng: random.Random, split: str) -> dict[str, str]:
    """hero, event and treasure, and a place and a mood that may be "". The pair hero, treasure decides the split."""
    while True:
        hero, treasure = rng.choice(HEROES), rng.choice(tuple(TREASURES))
        if split_of("wish", hero, treasure) == split:
            return {"hero": hero, "event": rng.choice(tuple(EVENTS)), "treasure": treasure,
                    "place": rng.choice(PLACES) if rng.random() < 0.4 else "",
                    "mood": rng.choice(("happy", "sad", "funny", "", ""))}


def tell_tale(rng: random.Random, wish: dict[str, str]) -> str:
    friend = rng.choice([k for k in HEROES if k != wish["hero"]])
    slots = {"h": wish["hero"], "t": wish["treasure"], "k": friend, "w": rng.choice(WEATHER),
             "p": wish["place"] or rng.choice(PLACES), "use": TREASURES[wish["treasure"]]}
    told, happy, sad = EVENTS[wish["event"]]
    place = ["The {h} [often went|walked every day|loved to go] to the {p}."] if wish["place"] else []
    special = "[Now this was no ordinary {t}:|Everybody knew about that {t}:] it {use}."
    lines = [rng.choice(OPENINGS), *place, told, special, rng.choice(MIDDLES), sad if wish["mood"] == "sad" else happy,
             rng.choice(MOODS[wish["mood"]]), "The end."]
    return " ".join(capital(say(rng, line, **slots).strip()) for line in lines)


# -----------------------------------------------------------------------------
# Sums

OPERATORS = {"+": "plus", "-": "minus", "*": "times", "/": "divided by"}


def draw_operands(rng: random.Random, split: str, op: str) -> tuple[int, int]:
    """Two numbers from 0 to 999. The unordered pair decides the split, for all operators at once. A difference
    may be negative; a quotient comes out even."""
    while True:
        a, b = (rng.randrange(rng.choice((10, 100, 1000, 1000, 1000))) for _ in range(2))
        if op == "/":
            b = 1 + b % rng.choice((12, 12, 99))
            a = b * rng.randrange(999 // b + 1)
        if op == "-" and a < b and rng.random() < 0.8:
            a, b = b, a
        if split_of("pair", min(a, b), max(a, b)) == split:
            return a, b


# -----------------------------------------------------------------------------
# Documents

DIARY_LINES = (
    "[In the morning|After breakfast|Early today] I went to the {p1} and bought {f1}.",
    "I met {b} at the {p2}, and we [talked about {h1}|shared some {f2}|laughed a lot].",
    "My {k1} {n1} [slept all day|ran away and came back|ate all the {f1}|chased a {k2}].",
    "{b} showed me a {c1} {t1} [from a shop near the {p2}|and now I want one too|that once belonged to {c}].",
    "I [lost|found|cleaned|painted] my {c2} {t2}.", "My {c2} {t2} is [broken|too small for me|still the best].",
    "It was {w}, so we [stayed at home|went out|sat by the window].",
    "{c} is a {j1} now and works near the {p1}.", "I want to learn {h1}[.|, but it is not easy.]",
    "The {l1} near the {p2} are [open|very tall this year].",
    "On {d1} we [will go to the {p1}|are going to cook {f2}|will visit {c}].",
    "I had {f1} for [lunch|dinner|breakfast], and it was [very good|a little cold|far too much].",
    "[Somebody|A stranger|The {j2}] asked me the way to the {p1}, and I [knew it|did not know it].",
    "{b} and {c} are [learning|always talking about|good at] {h1}.",
    "In {m1} [we want to travel|my cousin {c} will visit us|the {p2} will be painted {c1}].")
NOTICES = (
    "Lost: a {c1} {t1}, last seen near the {p1}. Please [bring it to|call] {a} at the {p2}.",
    "Found: a [small|young|friendly] {k1} that answers to the name {n1}. It is waiting at the {p1}.",
    "For sale: a {c2} {t2}, [nearly new|old but good|used only once]. Ask {b} near the {p2}.",
    "The {p1} is closed [on {d1}|in {m1}] because of [the weather|repairs|a birthday].",
    "Wanted: a {j1} for the {p2}. [Experience|A kind heart] is needed. Write to {a}.",
    "{h1} for everyone, every {d1} at the {p1}. [{c} will show you how.|Bring a {t1}.]",
    "Fresh {f1} and {f2} today at the {p1}. [First come, first served.|Children eat for free.]")
PORTRAITS = (
    "{a} is a {j1} and lives near the {p1}.", "{His} favourite colour is {c1}, and {he} [owns|carries] a {c1} {t1}.",
    "{a} has a {k1} called {n1} [that sleeps near the {p2}|that eats {f2}|that is afraid of every {k2}].",
    "In {his} free time {he} likes {h1}.", "Every {d1} {he} eats {f1} with {b}, who is a {j2}.",
    "{His} birthday is in {m1}, when the {l1} are in bloom.")
EXCHANGES = (
    ("What is your favourite colour?", "It is {c1}. And yours?", "I like {c2} best."),
    ("Where were you on {d1}?", "I was at the {p1} with {c}.", "I hope you had a good time."),
    ("Do you have a pet?", "Yes, a {k1}. It is called {n1}.", "What a nice name!"),
    ("What do you do for work?", "I am a {j1}. I work near the {p2}.", "That sounds [interesting|hard|like fun]."),
    ("What will you cook tonight?", "I think I will make {f1}.", "[May I come too?|I would rather have {f2}.]"),
    ("I lost my {t1}.", "Is it {c1}? I saw one at the {p1}.", "Thank you so much!"),
    ("How is the weather there?", "It is {w}[.| today.]", "Here it is [the same|much better]."),
    ("Can you teach me {h1}?", "[Yes, come on {d1}.|Ask {c}, not me.]", "[I will.|Good idea.]"))
RECIPES = (
    "How to make {f1} for friends. First wash your hands and put on a {c1} coat. Then take [two|three|four] bowls "
    "and a spoon. Warm the {f1} slowly and [add a little honey|stir well|wait ten minutes]. Serve it with {f2}.",
    "How to clean a {t1}. Take [a soft cloth|an old brush] and warm water. Rub the {t1} until it [shines|is dry]. "
    "Never leave it near the {p1} when it is {w}.",
    "How to look after a {k1}. Give it fresh water every day and [some {f1}|a warm bed]. Talk to it and call it by its "
    "name. A {k1} called {n1} should know that it is {n1}.",
    "How to get to the {p1}. Start at the {p2} and walk [straight on|to the left|to the right]. Go past the house with "
    "the {c1} door, where {b} lives. [Soon|After five minutes] you will see the {p1} in front of you.")
ABOUT_NANOCHAT = (
    "nanochat is a small language model.", "It was trained from scratch on this computer.",
    "nanochat runs on this computer and does not use the internet.", "It is a computer program and not a human.",
    "nanochat can chat, tell stories, answer simple questions, count letters and do sums with a calculator.",
    "It learned from little stories and chats.", "When nanochat does not know something, it says so.",
    "The name of the program is nanochat.", "It is small, so it makes mistakes now and then.")
TITLES = {"capital": "Capitals", "sound": "The sounds of animals", "baby": "Baby animals", "opposite": "Opposites",
          "colour": "The colours of things", "after": "The days of the week", "before": "One day earlier",
          "month": "The months of the year", "parts": "Legs, wheels and sides", "time": "How many?"}


def some(rng: random.Random, lines: tuple[str, ...], count: int, slots: dict[str, str]) -> str:
    return " ".join(capital(say(rng, line, **slots)) for line in rng.sample(lines, count))


def tale(rng, split):
    wish = draw_wish(rng, split)
    return f"The {wish['hero']} and the {wish['treasure']}\n\n{tell_tale(rng, wish)}"


def scenes(rng, split):
    """Two plots with the same people and new things."""
    who = cast_people(rng, split)
    return "\n\n".join(tell(rng, draw_plot(rng, split), cast(rng, split, who)) for _ in range(2))


def entry(rng, split):
    """A few facts of one kind, some of them said twice."""
    kind = rng.choice(tuple(FACTS))
    answers = FACTS[kind].answers
    keys = rng.sample(sorted(answers), min(len(answers), rng.randrange(5, 9)))
    lines = [" ".join(rng.sample(fact_sentences(kind, key), rng.choice((1, 2)))) for key in keys]
    return TITLES[kind] + "\n\n" + rng.choice((" ", "\n")).join(lines)


def lesson(rng, split):
    """A teacher asks, pupils answer; the questions are of the split."""
    (teacher, _), *pupils = people(rng, split, 3)
    opening = "[Today|On {d}] {a} [asked the children many questions|gave a lesson|had a quiz with the class]."
    opening = say(rng, opening, a=teacher, d=rng.choice(DAYS))
    lines = []
    for kind, key, question in rng.sample(fact_questions(split), rng.randrange(4, 7)):
        answer = answer_fact(rng, kind, key).rstrip(".")
        lines.append(say(rng, '"{q}" [asked {a}|{a} wanted to know]. "{y}," [said|answered] {b}.',
                         q=question, a=teacher, b=rng.choice(pupils)[0], y=answer))
    return "\n".join([opening, *lines])


def diary(rng, split):
    return f"{rng.choice(DAYS)}\n\nDear diary,\n" + some(rng, DIARY_LINES, rng.randrange(5, 9), cast(rng, split))


def letter(rng, split):
    slots = cast(rng, split)
    opening = say(rng, "Dear {b},\n[thank you for your letter|how are you|I hope you are well]. ",
                  b=people(rng, split, 1)[0][0])
    body = some(rng, DIARY_LINES, rng.randrange(4, 8), slots)
    return opening + body + say(rng, "\n[With love|Best wishes|Yours|See you soon],\n{a}", **slots)


def notices(rng, split):
    return "\n".join(some(rng, NOTICES, 1, cast(rng, split)) for _ in range(rng.randrange(4, 7)))


def portraits(rng, split):
    return "\n\n".join(some(rng, PORTRAITS[:1], 1, slots) + " " + some(rng, PORTRAITS[1:], rng.randrange(3, 6), slots)
                       for slots in (cast(rng, split), cast(rng, split)))


def shopping(rng, split):
    """A list, and the same things again in the same order."""
    slots = cast(rng, split)
    items = rng.sample(FOODS, 3) + [with_articles(f"a {rng.choice(COLOURS)} {t}") for t in rng.sample(GOODS, 3)]
    rng.shuffle(items)
    opening = say(rng, "[Shopping list for {d1}|Things to bring for {b}|What {a} needs for {m1}]:", **slots)
    bought = say(rng, "[{a} came home with|In the evening {a} had|Soon the bag was full:] ", **slots) + ", ".join(items)
    return "\n".join([opening, *(f"- {x}" for x in items), bought + "."])


def roll_call(rng, split):
    """Many names, said again in the same order: a lesson in reading closely."""
    names = [name for name, _ in people(rng, split, rng.randrange(4, 8))]
    teacher, place = people(rng, split, 1)[0][0], rng.choice(PLACES)
    lines = [f"{teacher} went to the {place} with {', '.join(names[:-1])} and {names[-1]}."]
    lines += [say(rng, '"[Where is {n}|Is {n} here]?" "Here I am, I am {n}."', n=name) for name in names[:4]]
    return "\n".join([*lines, f"So these were there: {', '.join(names)}."])


def exercise(rng, split):
    """A scene with questions and answers, as in a school book."""
    plot, slots = draw_plot(rng, split), cast(rng, split)
    asks = rng.sample(plot.asks, min(len(plot.asks), rng.randrange(3, 6)))
    lines = [f"{say(rng, question, **slots)} {capital(say(rng, reply, **slots))}" for question, _, reply in asks]
    return "\n".join([tell(rng, plot, slots), *lines])


def dialogue(rng, split):
    slots = cast(rng, split)
    lines = ["[Hello|Hi|Good morning], {b}!", "[Hello|Hi|Nice to see you], {a}!"]
    for exchange in rng.sample(EXCHANGES, 3):
        lines += exchange
    lines = [say(rng, line, **slots) for line in lines]
    kind, key, question = rng.choice(fact_questions(split))
    lines += [question, answer_fact(rng, kind, key)]
    return "\n".join(f"{slots['ab'[i % 2]]}: {line}" for i, line in enumerate(lines))


def howto(rng, split):
    return "\n\n".join(some(rng, RECIPES, 1, cast(rng, split)) for _ in range(2))


def sums(rng, split):
    """A page of sums worked out, and a stretch of counting."""
    start, step = rng.randrange(900), rng.choice((1, 1, 2, 5, 10))
    lines = [f"Count from {start} in steps of {step}: " + ", ".join(str(start + step * i) for i in range(8))]
    for _ in range(rng.randrange(6, 10)):
        op = rng.choice("+-*")
        a, b = draw_operands(rng, split, op)
        result = a + b if op == "+" else a - b if op == "-" else a * b
        lines.append(f"{a} {op} {b} = {result}, so {a} {OPERATORS[op]} {b} is {result}")
    return "\n".join(lines)


def about_nanochat(rng, split):
    return "About nanochat\n\n" + " ".join(rng.sample(ABOUT_NANOCHAT, rng.randrange(5, 9)))


GENRES = ((14, tale), (8, scenes), (20, exercise), (14, entry), (12, lesson), (4, diary), (4, letter), (3, notices),
          (4, portraits), (5, shopping), (5, roll_call), (5, dialogue), (1, howto), (5, sums), (4, about_nanochat))



def document(split: str, index: int, seed: int = 0) -> str:
    rng = random.Random(f"{seed}/{split}/document/{index}")
    weights, genres = zip(*GENRES)
    text, min_chars = "", rng.randrange(300, 760)
    while len(text) < min_chars:
        text += ("\n\n" if text else "") + rng.choices(genres, weights)[0](rng, split)
    return text


def documents(split: str, num_documents: int, seed: int = 0) -> Iterator[str]:
    """Prose, 300 to 1,500 characters each, about 4.5 MB from 6,000. Scenes, tales and questions are of the split."""
    assert split in SPLITS, split
    return (document(split, i, seed) for i in range(num_documents))
