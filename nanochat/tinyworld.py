"""A small world made of words: the phrase grammar, what is held out, and the tables that every room draws from.

"[a|b]" is a choice and {x} a slot. Everything follows from a seed through random.Random, so every machine writes the
same text. What is held out is decided by content: `split_of` hashes a name, a pair of operands, a wish or a phrasing,
and whoever draws for "train" never gets what belongs to "val" or "test". The rooms: tinyworld_facts (what is true
everywhere, and the town), _plots and _tales (scenes and stories), _prose (documents), _talk, _puzzles and _recall
(skills), _wordings and _scenes (what training has to itself), _chats (the mixture) and _grade. Left out: a world with
a memory. Beside the townspeople of the facts, two documents that mention Anna do not agree on who she is.
"""

import functools
import hashlib
import itertools
import random
import re
from typing import NamedTuple

SPLITS = ("train", "val", "test")

# -----------------------------------------------------------------------------
# The phrase grammar and the splits


def split_of(*content) -> str:
    """The split that a piece of content belongs to, on every machine and for ever: 80%, 10%, 10%."""
    tenth = int.from_bytes(hashlib.sha256("|".join(map(str, content)).encode()).digest()[:4], "big") % 10
    return {8: "val", 9: "test"}.get(tenth, "train")


@functools.cache
def _choices(template: str) -> tuple[list[str], ...]:
    return tuple(part.split("|") if i % 2 else [part] for i, part in enumerate(re.split(r"(?s)\[(.*?)\]", template)))


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


def table(text: str) -> tuple[str, ...]:
    """The entries of "red, dark blue", written over any number of lines."""
    return tuple(" ".join(text.split()).split(", "))


def table_of_pairs(text: str) -> tuple[tuple[str, str], ...]:
    """The entries of "buy:bought, pick up:picked up"."""
    return tuple(tuple(entry.split(":")) for entry in table(text))


OWN_SHARE = {"train": 0.4, "val": 0.25, "test": 0.25}  # of questions are worded as only their split does


class Asks(NamedTuple):
    """Ways to ask. `shared` ones are held out together with their content; besides, every split has some to itself, so
    that training can be asked in more ways and what is measured stays the same."""
    shared: tuple[str, ...]
    val: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    train: tuple[str, ...] = ()

    def own(self, split: str) -> tuple[str, ...]:
        return getattr(self, split)

    def taught(self, more: tuple[str, ...]) -> "Asks":
        """With more ways that training has to itself, but for those that another split has to itself."""
        others = {core(form) for form in expand(*self.val, *self.test)}
        return self._replace(train=self.train + tuple(
            form for form in more if others.isdisjoint(map(core, expand(form)))))

    def draw(self, rng: random.Random, split: str, content: tuple[str, ...] | None = None) -> str:
        """A wording for content that is itself held out: any shared one, now and then one of the split's own. Where
        `content` names the slots that hold it, a shared one with eight words in a row without it stays in train."""
        own = self.own(split)
        if own and rng.random() < OWN_SHARE[split]:
            return rng.choice(own)
        is_free = split == "train" or content is None
        return rng.choice(self.shared if is_free else _without_long_stretches(self.shared, content))


@functools.cache
def _without_long_stretches(templates: tuple[str, ...], content: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(form for form in expand(*templates)
                 if all(set(window) & set(content) for window in _eight_in_a_row(form)))


def _eight_in_a_row(form: str) -> list[list[str]]:
    words = re.findall(r"\{\w+\}|[a-z0-9]+", form.lower().replace("'", ""))
    return [words[i:i + 8] for i in range(len(words) - 7)]


# -----------------------------------------------------------------------------
# How people write

OPENERS = ("Hello! ", "Hi! ", "Hey! ", "Quick question: ", "I have a question. ", "Please help me. ",
           "Tell me something: ", "Okay. ", "Good morning! ", "One more thing. ", "Next question: ", "I am curious. ",
           "Now tell me: ", "Please: ", "Hello nanochat. ", "Excuse me. ", "Good evening. ", "My turn. ", "Hmm. ",
           "Another question: ", "Hi there! ", "Listen. ", "Thanks. ", "Yo. ", "Well... ", "Um... ", "By the way: ",
           "Let me ask you something. ", "Can I ask you a question? ", "Just asking: ", "Here is my question: ",
           "Dear nanochat, please help: ", "Hey nanochat! ", "Sorry to bother you. ", "Good day! ", "Greetings. ",
           "Before I forget: ", "Oh! ", "Fine. ", "Great. ", "Cool. ", "Haha. ", "For my homework: ",
           "A little question: ", "Today I want to know: ", "Right. ", "Ok. ", "Nice. ", "Wait. ", "Let us see. ",
           "First question: ", "The last question: ", "I always wanted to ask: ", "Help me out: ", "Be so kind. ",
           "You know what? ", "Attention! ", "Tell me quickly: ", "Once more: ", "Serious question: ", "I am bored. ",
           "Excuse my question: ", "Hello there. ", "Me again. ")
CLOSERS = (" Thanks!", " Thank you.", " Please.", " I want to know.", " Be brief.", " Pls.", " Thanks a lot.",
           " I am curious.", " Just tell me.", " It is for school.", " My friend wants to know.", " Please tell me.",
           " Thanks in advance.", " Take your time.", " That would be nice.", " I really want to know.",
           ", by the way?", ", if I may ask?", ", please?", " Thx.", " Cheers!", " I would be glad.",
           " It is important.", " No jokes, please.", ", dear?")


def just_words(text: str) -> str:
    """Lower-case words, apostrophes and all other marks gone: "What's that?" is "whats that"."""
    return " ".join(re.findall(r"[a-z0-9]+", text.lower().replace("'", "")))


def _one_of(texts: tuple[str, ...]) -> str:
    """A pattern for any of them, the longest first: "Hi there!" before "Hi!"."""
    return "|".join(sorted(map(just_words, texts), key=len, reverse=True))


OPENED = re.compile(f"(?:(?:{_one_of(OPENERS)}) )+")
CLOSED = re.compile(f"(?: (?:{_one_of(CLOSERS)}))+$")
LAST_WORDS = tuple({just_words(closer).split()[-1] for closer in CLOSERS})  # to search nowhere in vain


def core(question: str) -> str:
    """The plain question without what `dress` puts around it: what decides whether it is held out."""
    kept = just_words(question)
    opened = OPENED.match(kept)
    kept = kept[opened.end():] if opened else kept
    return CLOSED.sub("", kept) if kept.endswith(LAST_WORDS) else kept


def dress(rng: random.Random, question: str) -> str:
    """Now and then a greeting before, a thank you after, no capitals, no question mark or two of them."""
    style = rng.random()
    if style < 0.08:
        return hurried(question)
    if style < 0.11:
        return re.sub(r"\b(what|who|how|where|i)'(s|m)\b", r"\1\2", hurried(question)) + rng.choice(
            ("", "?", "??", " pls"))
    if style < 0.13:
        return question.rstrip("?") + "??" if question.endswith("?") else question.rstrip(".")
    if style < 0.45:
        question = rng.choice(OPENERS) + question
    closer = rng.choice(CLOSERS) if rng.random() < 0.1 else ""
    return question.rstrip("?.") + closer if closer.startswith(",") else question + closer


HURRIED_SHARE = 0.25  # of what training's chats tell and ask is typed so, beside what `dress` does


def hurried(text: str) -> str:
    """No capitals and no full stop: how a first chat begins ("hi my name is lina")."""
    return text.lower().rstrip("?.")


def spans(question: str) -> set[tuple[str, ...]]:
    """All eight words in a row of the bare question."""
    return spans_of_core(core(question))


def spans_of_core(bare_words: str) -> set[tuple[str, ...]]:
    words = bare_words.split()
    return {tuple(words[i:i + 8]) for i in range(len(words) - 7)}


def is_apart(bare_words: str, cores: set[str], held_out_spans: set[tuple[str, ...]]) -> bool:
    """Whether a question's bare words (`core`) are none of `cores` and no eight of them in a row are held out."""
    return bare_words not in cores and not spans_of_core(bare_words) & held_out_spans


# -----------------------------------------------------------------------------
# Names, places, things

GIRLS = """Anna Clara Ella Emma Eva Greta Hannah Ida Iris Jane Julia Kate Laura Lena Lily Lucy Maria Mia Molly Nina Nora
Olga Olivia Paula Rosa Ruby Ruth Sara Sofia Stella Tina Vera Alice Amy Betty Carol Daisy Diana Elsa Fiona Gina
Heidi Helen Ivy Judy Karin Leah Lisa Mary Nelly Ada Agnes Aisha Alma Amanda Andrea Angela Anja Astrid Barbara Bella
Camilla Carmen Cecilia Chloe Claire Clea Cora Dana Dora Edith Elena Elisa Elizabeth Ellen Erika Esther Fatima Flora
Frida Gloria Grace Hana Hazel Hilda Holly Ingrid Irene Isabel Jana Jasmin Jenny Jill Joan Johanna Josie Judith June
Katja Kim Kira Kirsten Layla Lea Leila Lottie Luisa Lydia Mabel Maggie Mai Malin Margot Marie Marion Martha Matilda
Maya Mei Melanie Mila Mona Nadia Naomi Natalie Noor Odette Pamela Pia Polly Priya Rachel Rebecca Renate Rita Roberta
Romy Rosie Sabine Sally Sandra Selma Signe Silvia Sonja Sophie Susan Svea Sylvie Tamara Tara Tessa Thea Tilda Tove
Una Ursula Valerie Veronika Viola Wanda Wilma Yara Yasmin Yoko Yvonne Zara Zelda Zoe""".split()
BOYS = """Adam Ben Carl Dan David Eric Felix Finn Frank George Hugo Jack Jacob James John Jonas Karl Leo Lucas Luke
Marcus Martin Max Nick Noah Oscar Otto Paul Peter Philip Robert Sam Simon Theo Thomas Tim Tom Victor Walter Wilson
Albert Arthur Bruno Colin Dennis Edgar Fred Henry Ivan Kevin Aaron Abel Ahmed Alan Alex Alfred Ali Amir Andrew Anton
Axel Basil Bert Bill Bjorn Bob Boris Brian Caleb Casper Charles Chris Clive Conrad Cyril Daniel Derek Diego Dominic
Donald Duncan Edmund Edward Elias Elliot Emil Enzo Ernest Ethan Fabian Francis Gabriel Gareth Georg Gilbert Glen
Gordon Graham Greg Gustav Hamid Hans Harold Harry Hassan Hector Herbert Howard Ian Isaac Jan Jasper Jeremy Jim Joe
Joel Jorge Joseph Juan Jules Julian Kai Keith Kenneth Klaus Kurt Lars Laszlo Leon Leonard Lewis Liam Linus Lorenz
Magnus Malik Manuel Mark Mats Matthew Maurice Micha Miguel Milo Mohamed Moritz Nathan Neil Nigel Nils Norman Olaf Oleg
Oliver Omar Owen Pablo Patrick Pavel Pedro Quentin Rafael Ralph Raymond Rene Richard Roger Roland Rolf Rory Rudolf
Samir Sean Sebastian Stefan Steven Sven Toby Tony Tristan Ulrich Uwe Vincent Wayne Wendell Werner William Xavier Yusuf
Zack""".split()
NAME_HEADS = """Al Bal Bel Bor Bri Cal Cor Da Dar Del Deb El Es Fa Fen Fi Gal Gri Hal Hol Ja Jor Kal Kel Kor La Lav Lum
Ma Mav Mir Mo Nar Nel No Or Os Pel Per Quin Ral Re Ro Rov Sa Sel Shi Tal Tel Tor Tri Ul Va Vel Vor Wen Wi Yar Ze Zan
Dun Fer Gar Hen Kip Len Mur Nob Pip Rus Sten Tim Wal""".split()
NAME_MIDDLES = """ba be bi bo da de di do fa fe fi ga ge go ka ke ki ko la le li lo ma me mi mo na ne ni no pa pe pi po
ra re ri ro sa se si so ta te ti to tha va ve vi vo za ze zo""".split()
NAME_TAILS = ("", "", "", "", "n", "s", "l", "r", "k", "nd", "ra", "la", "ta", "mi", "do", "by", "ton", "lin", "rin",
              "bel")

ONSETS = "b c d f g h j k l m n p r s t v w y z br ch dr fl gr kn pr sh st th tr".split()
VOWELS = "a e i o u a e i o u ai ee ou".split()
CODAS = ("", "", "", *"lmnrstkpx")

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
QUANTITIES = "two three four five six seven eight nine ten eleven twelve twenty".split()
WEATHER = "sunny rainy windy cloudy snowy foggy stormy cold warm".split()
@functools.cache
def members(pool: tuple[str, ...], split: str, salt: str) -> tuple[str, ...]:
    """The part of a table that belongs to a split."""
    return tuple(x for x in pool if split_of(salt, x) == split)


def is_name_of(split: str, name: str) -> bool:
    """In training no name may be a word that is held out for spelling, such as Berry."""
    return split_of("name", name) == split and (split != "train" or split_of("word", name.lower()) == "train")


def made_name(rng: random.Random, split: str) -> str:
    """An invented name such as Mirona or Talvo: 60,000 of them, so that no tokenizer learns them whole and a reader
    must copy the pieces, as with the names that nobody foresaw; in training now and then one of any syllables, whose
    pieces are single letters more often."""
    while True:
        if split == "train" and rng.random() < STRANGE_NAME_SHARE:
            name = capital("".join(_syllable(rng) for _ in range(rng.choice((2, 2, 3)))))
        else:
            name = rng.choice(NAME_HEADS) + rng.choice(NAME_MIDDLES) + rng.choice(NAME_TAILS)
        if is_name_of(split, name):
            return name


STRANGE_NAME_SHARE = 0.2  # of training's invented names


def _syllable(rng: random.Random) -> str:
    return rng.choice(ONSETS) + rng.choice(VOWELS) + rng.choice(CODAS)


def spliced_name(rng: random.Random, split: str) -> str:
    """The head of one person's name and the tail of another's, such as Haneth: pieces as in any real name."""
    pool = GIRLS + BOYS
    while True:
        head, tail = rng.choice(pool), rng.choice(pool)
        name = head[:rng.randrange(2, max(3, len(head) - 1))] + tail[rng.randrange(1, max(2, len(tail) - 1)):]
        if 4 <= len(name) <= 9 and is_name_of(split, name):
            return name


def person_name(rng: random.Random, split: str, is_female: bool) -> str:
    kind = rng.random()
    if kind < 0.4:
        return rng.choice(members(tuple(GIRLS if is_female else BOYS), split, "name"))
    return made_name(rng, split) if kind < 0.7 else spliced_name(rng, split)


def people(rng: random.Random, split: str, count: int) -> list[tuple[str, bool]]:
    """Distinct names of a split, each with is_female; a third is real, the others are invented."""
    found = {}
    while len(found) < count:
        is_female = rng.random() < 0.5
        found.setdefault(person_name(rng, split, is_female), is_female)
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


# -----------------------------------------------------------------------------
# Sums

OPERATORS = {"+": "plus", "-": "minus", "*": "times", "/": "divided by"}


def pair_split(a: int, b: int) -> str:
    """The split of two numbers, in whichever order and for all operators at once."""
    return split_of("pair", min(a, b), max(a, b))


def draw_operands(rng: random.Random, split: str, op: str) -> tuple[int, int]:
    """Two numbers of the split from 0 to 999. A difference may be negative; a quotient comes out even."""
    while True:
        a, b = (rng.randrange(rng.choice((10, 100, 1000, 1000, 1000))) for _ in range(2))
        if op == "/":
            b = 1 + b % rng.choice((12, 12, 99))
            a = b * rng.randrange(999 // b + 1)
        if op == "-" and a < b and rng.random() < 0.8:
            a, b = b, a
        if pair_split(a, b) == split:
            return a, b
