"""What the small world compares and puts in order: sizes, weights, speeds, numbers, the calendar, people and words.

The calculator does it, of numbers that are asked about or known. Tables are rows of rising size, like the charts on a
wall at school, and what is known of a thing is the number of its row; things in one row are not compared. Held out are
the pair or the order that is asked for, the names of people, and some wordings. Left out: equality, and differences,
which are sums (tinyworld_puzzles.py).
"""

import functools
import itertools
import random

from nanochat.tinyworld import (COLOURS, DAYS, FLOWERS, FOODS, GOODS, JOBS, MONTHS, PETS, PLACES, Asks, capital, dress,
                                just_words, pair_split, people, say, spans, split_of, table)
from nanochat.tinyworld_facts import plain
from nanochat.tinyworld_talk import Item, turns, with_tool
from nanochat.tinyworld_wordings import COMPARING_ASKS, TELLINGS

# -----------------------------------------------------------------------------
# Two things, by a chart

def _rows(text: str) -> tuple[tuple[str, ...], ...]:
    return tuple(map(table, text.split("<")))


ANIMAL_SIZES = _rows("""an ant < a bee, a fly < a snail < a mouse, a sparrow < a hamster < a squirrel, a pigeon
< a rabbit, a hen, a duck < a cat < a fox, a dog < a sheep, a goat, a wolf < a pig, a lion, a bear, a donkey
< a cow, a horse, a camel < a giraffe, a hippo < an elephant < a whale""")
THING_SIZES = _rows("""a crumb < a pea < a cherry < an egg < an orange < a melon, a football < a chair < a bed
< a car < a bus < a house < a castle < a mountain < the moon < the sun""")
WEIGHTS = _rows("""a feather < a coin < an egg < an apple < a book < a brick < a chair < a bicycle < a piano < a car
< a bus < a ship""")
SPEEDS = (_rows("""a snail < a turtle < a mouse, a hen, a pig < an elephant < a cat, a rabbit, a fox
< a horse, a lion < a cheetah"""), _rows("a bicycle < a tractor < a car, a bus, a train < a plane < a rocket"))
SCALES = {  # kind: tables, words for more, words for less
    "size": ((ANIMAL_SIZES, THING_SIZES), ("bigger", "larger"), ("smaller",)),
    "weight": ((ANIMAL_SIZES, WEIGHTS), ("heavier",), ("lighter",)),
    "speed": (SPEEDS, ("faster", "quicker"), ("slower",)),
}
PAIR_ASKS = Asks((
    "[Which|What] is {more}[,|:] {x} or {y}?", "[Which one|Which of the two|Which of them] is {more}, {x} or {y}?",
    "Is {x} or {y} {more}?", "[Tell me|Say|I wonder|I want to know] [which|what] is {more}, {x} or {y}.",
    "{X} or {y}: [which|which one|what] is {more}?", "Compare {x} and {y}. [Which|What|Which one] is {more}?",
    "[Do you know|Can you tell me] [which|what] is {more}, {x} or {y}?", "Is it {x} or {y} that is {more}?",
    "[I have|I see|Here are|Think of|Take] {x} and {y}. [Which|Which one|What] is {more}?",
    "Of {x} and {y}, which is {more}?", "Name the {more} one: {x} or {y}.", "What is {more}? {X} or {y}?",
    "If I see {x} and {y}, which is {more}?", "Which is the {more} one, {x} or {y}?", "{more}: {x} or {y}?",
    "Between {x} and {y}, [which|which one] is {more}?", "[who|which] is {more} {x} or {y}"),
    val=("Given {x} and {y}, which one is {more}?", "{X} and {y}: say the {more} one.",
         "Decide what is {more}, {x} or {y}."),
    test=("Pick the {more} one of {x} and {y}.", "Out of {x} and {y}, what is {more}?",
          "Would you call {x} or {y} {more}?",
          "Choose the {more} one: {x}, {y}.")
).taught(COMPARING_ASKS["pair"])
YES_ASKS = Asks((
    "Is {x} {more} than {y}?",
    "[Do you think|Would you say|Can you tell me if|Is it true that] {x} is {more} than {y}?",
    "{X} is {more} than {y}, [right|true or false|yes or no|is that so]?",
    "[Am I right|Is it right] that {x} is {more} than {y}?",
    "Yes or no: is {x} {more} than {y}?", "True or false: {x} is {more} than {y}.",
    "Tell me if {x} is {more} than {y}.",
    "My friend says that {x} is {more} than {y}. Is [that|she|he] right?",
    "I think that {x} is {more} than {y}. Am I right?",
    "Could {x} be {more} than {y}?", "Tell me, is {x} {more} than {y}?", "Is {x} really {more} than {y}?"),
    val=("Would it be right to say that {x} is {more} than {y}?", "{X} is {more} than {y}. Correct?"),
    test=("Is it right that {x} is {more} than {y}?", "They say {x} is {more} than {y}. Do you agree?")
).taught(COMPARING_ASKS["yes"])


@functools.cache
def scale_pairs(kind: str, split: str) -> tuple[tuple[str, str], ...]:
    """(less, more) of a split by the unordered pair, under all kinds at once."""
    return tuple((x, y) for rows in SCALES[kind][0] for low, high in itertools.combinations(rows, 2)
                 for x in low for y in high if split_of("compare", *sorted((x, y))) == split)


@functools.cache
def chart(kind: str) -> dict[str, int]:
    """The number of each thing's row."""
    return {thing: number for rows in SCALES[kind][0] for number, row in enumerate(rows, 1) for thing in row}


def extreme(is_most: bool, numbers) -> str:
    """What the calculator is asked for the largest or the smallest of some numbers."""
    return f"{'max' if is_most else 'min'}({','.join(map(str, numbers))})"


def whose_extreme(is_most: bool, numbers: dict[str, int]) -> str:
    """What the calculator is asked for the name of it."""
    named = ",".join(f'"{name}":{number}' for name, number in numbers.items())
    return f"arg{'max' if is_most else 'min'}({{{named}}})"


def compared(rng, split, kind, low, high, words, number_of) -> Item:
    """One question about a pair, which or whether, with {more} or less of it. `words`: for more, for less; number_of
    says by which number either is compared."""
    is_more = rng.random() < 0.6
    word = rng.choice(words[not is_more])
    winner, loser = (high, low) if is_more else (low, high)
    x, y = rng.sample((low, high), 2)
    is_yes_no = rng.random() < 0.25
    form = (YES_ASKS if is_yes_no else PAIR_ASKS).draw(rng, split)
    question = say(rng, form, x=x, y=y, X=capital(x), more=word)
    than = f" than {loser}" if rng.random() < 0.3 else ""
    yes = ("yes" if x == winner else "no") if is_yes_no else ""
    answer = capital(f"{yes and yes + ', '}{winner} is {word}{than}.")
    question = dress(rng, capital(question))
    number = {thing: number_of(thing) for thing in (x, y)}
    if yes:
        call = f"{number[x]}{'>' if is_more else '<'}{number[y]}"
    else:
        call = extreme(is_more, (x, y)) if kind == "number" else whose_extreme(is_more, number)
    return Item(turns(question, with_tool(call, answer)), plain(winner), {
        "kind": f"{kind} yes or no" if yes else kind, "rivals": [plain(loser)], "words": list(words[not is_more]),
        "yes": yes, "question": question})


def scales(rng, split):
    kind = rng.choices(tuple(SCALES), (3, 1, 2))[0]
    _, *words = SCALES[kind]
    return compared(rng, split, kind, *rng.choice(scale_pairs(kind, split)), words, chart(kind).get)


# -----------------------------------------------------------------------------
# Numbers

MAX_IN_CHARTS = 26  # rows, days, months, letters


def draw_numbers(rng: random.Random, split: str, count: int) -> list[int]:
    """Different numbers, rising. In train every pair of them is, elsewhere the outer pair is the split's, and not of two
    small ones, which stand side by side in training's charts and calendars too."""
    tops = (20, 100, 1000, 1000) + ((100_000,) if split == "train" else ())
    while True:
        top = rng.choice(tops)
        numbers = sorted(rng.sample(range(top), count))
        if split != "train" and numbers[-1] <= MAX_IN_CHARTS:
            continue
        pairs = itertools.combinations(numbers, 2) if split == "train" else [(numbers[0], numbers[-1])]
        if all(pair_split(*pair) == split for pair in pairs):
            return numbers


def number_pair(rng, split):
    low, high = draw_numbers(rng, split, 2)
    words = ("larger", "bigger", "greater"), ("smaller",)
    if split == "train" and rng.random() < 0.3:
        words = ("more",), ("less",)
    return compared(rng, split, "number", str(low), str(high), words, int)


THREE_ASKS = Asks((
    "[Which|What] is the {most}[,|:] {a}, {b} or {c}?", "[Which|What] number is the {most}: {a}, {b} or {c}?",
    "[Tell me|Say|Name|Find|Pick] the {most} [number|one]: {a}, {b}, {c}.", "{a}, {b}, {c}: which is the {most}?",
    "[Here are|I have|Take|Look at] {a}, {b} and {c}. [Which|What|Which number|Which one] is the {most}?",
    "Of {a}, {b} and {c}, which is the {most}?", "[Which|What] is the {most} number of {a}, {b} and {c}?",
    "The {most} of {a}, {b} and {c}?", "I wonder which is the {most}, {a}, {b} or {c}."),
    val=("Choose the {most} number among {a}, {b} and {c}.", "Given {a}, {b} and {c}, which is the {most}?"),
    test=("Out of {a}, {b} and {c}, which is the {most}?", "Which one is the {most} here: {a}, {b}, {c}?")
).taught(COMPARING_ASKS["three"])


def number_of_three(rng, split):
    numbers = draw_numbers(rng, split, 3)
    word = rng.choice(("largest", "biggest", "smallest"))
    answer = numbers[0] if word == "smallest" else numbers[-1]
    a, b, c = rng.sample(numbers, 3)
    question = dress(rng, say(rng, THREE_ASKS.draw(rng, split), most=word, a=a, b=b, c=c))
    reply = rng.choice(("{r} is the " + word + ".", f"The {word} is {{r}}."))
    return Item(turns(question, with_tool(extreme(word != "smallest", (a, b, c)), reply)), str(answer), {
        "kind": "number of three", "rivals": [str(n) for n in numbers if n != answer],
        "words": ["smallest"] if word == "smallest" else ["largest", "biggest"], "yes": "", "question": question})


# -----------------------------------------------------------------------------
# Days, months and letters

RINGS = {"week": tuple(DAYS), "year": tuple(MONTHS), "alphabet": tuple("abcdefghijklmnopqrstuvwxyz")}
NOT_ASKED = ("Sunday", "a", "i")  # Sunday is first or last, as one likes; the letters a and i are words too
RING_ASKS = Asks((
    "[Which|What] comes {more} in the {ring}[,|:] {x} or {y}?", "[Which|What] is {more} in the {ring}[,|:] {x} or {y}?",
    "[Does|So, does] {x} or {y} come {more} in the {ring}?", "{x} or {y}: [which|what] comes {more} in the {ring}?",
    "[Tell me|Say|I wonder] which comes {more} in the {ring}, {x} or {y}.", "In the {ring}, is {x} or {y} {more}?",
    "[Think of|Take|Look at] {x} and {y}. [Which|What] is {more} in the {ring}?",
    "In the {ring}, what comes {more}, {x} or {y}?",
    "[Of|Between] {x} and {y}, [which|what] comes {more} in the {ring}?",
    "Which do I meet {more} in the {ring}, {x} or {y}?"),
    val=("Given {x} and {y}, which is {more} in the {ring}?", "Decide: {x} or {y}, {more} in the {ring}?"),
    test=("Out of {x} and {y}, which comes {more} in the {ring}?", "Which of {x} and {y} stands {more} in the {ring}?")
).taught(COMPARING_ASKS["ring"])


@functools.cache
def ring_pairs(ring: str, split: str) -> tuple[tuple[str, str], ...]:
    asked = [thing for thing in RINGS[ring] if thing not in NOT_ASKED]
    return tuple(pair for pair in itertools.combinations(asked, 2) if split_of("ring", *pair) == split)


def calendar_or_alphabet(rng, split):
    """Which of two days, months or letters comes first."""
    ring = rng.choices([ring for ring in RINGS if ring_pairs(ring, split)],
                       [weight for ring, weight in zip(RINGS, (1, 3, 2)) if ring_pairs(ring, split)])[0]
    early, late = rng.choice(ring_pairs(ring, split))
    words = rng.choice((("first", "earlier"), ("later", "last")))
    word = rng.choice(words[:1] if words[0] == "later" else words)
    winner, loser = (late, early) if words[0] == "later" else (early, late)
    x, y = rng.sample((early, late), 2)
    question = dress(rng, capital(say(rng, RING_ASKS.draw(rng, split), ring=ring, x=x, y=y, X=capital(x), more=word)))
    reply = f"{winner} comes {word}." if ring != "alphabet" else f"The letter {winner} comes {word}."
    call = whose_extreme(winner == late, {thing: RINGS[ring].index(thing) + 1 for thing in (x, y)})
    return Item(turns(question, with_tool(call, reply)), winner,
                {"kind": ring, "rivals": [loser], "words": list(words), "yes": "", "question": question})


# -----------------------------------------------------------------------------
# Three in order

ORDER_ASKS = Asks((
    "[Put|Sort|Say|Write|Place] {a}, {b} and {c} {order}.", "[Put|Sort|Say|Write] these {order}: {a}, {b}, {c}.",
    "[Can|Could] you [put|sort|say|write] {a}, {b} and {c} {order}?", "Sort: {a}, {b}, {c}, {order}.",
    "{a}, {b}, {c}: [put them|sort them|write them|say them] {order}.", "{a}, {b}, {c}, {order}.",
    "[Here are|I have] {a}, {b} and {c}. [Put|Sort|Write] them {order}."),
    val=("Bring {a}, {b} and {c} into line {order}.", "List {a}, {b} and {c} {order}."),
    test=("Arrange {a}, {b} and {c} {order}.", "Give me {a}, {b} and {c} {order}.")
).taught(COMPARING_ASKS["order"])
RISING = ("in rising order", "with the smallest first", "from small to large")
FALLING = ("in falling order", "with the largest first", "from large to small")
ALPHABETICAL = ("in alphabetical order", "in ABC order", "by the alphabet")
ORDER_WORDS = tuple(sorted(x for x in {*COLOURS, *FLOWERS, *FOODS, *GOODS, *JOBS, *PETS, *PLACES} if x.isalpha()))


def order(rng, split):
    """Three numbers from small to large or back, or three words by their first letters. Which way is said first: at the
    end of the call the question is far. Words stand behind a space, as they are known; on a line of their own they are
    the calculator's to the token, where behind a space "basket" came out as any word."""
    if rng.random() < 0.5:
        ordered, is_falling = [str(n) for n in draw_numbers(rng, split, 3)], rng.random() < 0.4
        ordered, name = (ordered[::-1], rng.choice(FALLING)) if is_falling else (ordered, rng.choice(RISING))
    else:
        ordered, name, is_falling = [], rng.choice(ALPHABETICAL), False
        while len({word[0] for word in ordered}) < 3 or split_of("order", *ordered) != split:
            ordered = sorted(rng.sample(ORDER_WORDS, 3))
    a, b, c = rng.choice([mixed for mixed in itertools.permutations(ordered) if list(mixed) != ordered])
    question = dress(rng, capital(say(rng, ORDER_ASKS.draw(rng, split), a=a, b=b, c=c, order=name)))
    if a.isdigit():
        kind, which_way = "order of numbers", "From large to small:" if is_falling else "From small to large:"
        call, reply = f"sorted([{a},{b},{c}]{',reverse=True' if is_falling else ''})", " {r}."
    else:
        kind, which_way, call = "order of words", "By the alphabet:", f'sorted(" {a}, {b}, {c}".split(","))'
        reply = "\n{r}."
    return Item(turns(question, with_tool(call, reply, which_way)), ", ".join(ordered), {
        "kind": kind, "rivals": [], "words": [], "yes": "", "question": question})


# -----------------------------------------------------------------------------
# People

TOLD = (  # what is told of each, in other words, the words for the most and for the least, the range
    ("{n} is {v}", "age", ("oldest",), ("youngest",), range(5, 90)),
    ("{n} measures {v} centimetres", "height", ("tallest",), ("shortest", "smallest"), range(90, 200)),
    ("{n} has {v} coins", "coins", ("richest",), ("poorest",), range(2, 99)),
    ("{n} ran {v} metres", "ran", ("fastest", "quickest"), ("slowest",), range(100, 500)))
CHAINS = (("older", "oldest", "youngest"), ("taller", "tallest", "shortest"), ("faster", "fastest", "slowest"),
          ("stronger", "strongest", "weakest"), ("richer", "richest", "poorest"))
PEOPLE_ASKS = Asks((
    "{told} [So who|Now who|Who|And who] is [the |]{most}?", "{told} [Which one|Which of them|Who of them] is {most}?",
    "{told} [Name|Find|Tell me] the {most}.", "{told} The {most} is who?", "{told} Who is the {most} one?",
    "[Tell me who|Do you know who|Say who|I wonder who] is the {most}: {told}", "Who is {most}? {told}",
    "[Listen:|Think:|A riddle:|Look:] {told} Who is [the |]{most}?", "Find the {most} of these three: {told}",
    "Which of these three is the {most}? {told}", "[Who|Which one] is the {most} here? {told}"),
    val=("{told} Name the {most} one.", "{told} Who would be {most}?", "Point out the {most}: {told}"),
    test=("{told} Pick out the {most}.", "{told} Whom do you call {most}?", "Guess who is the {most}: {told}")
).taught(COMPARING_ASKS["people"])


def told_numbers(rng, split, names) -> tuple[str, list[str], tuple, tuple, dict[str, int]]:
    """A telling, the names from least to most, the words for both ends, and the numbers as they were told."""
    line, told_of, most, least, values = rng.choice(TOLD)
    if split == "train" and rng.random() < 0.5:
        line = rng.choice(TELLINGS[told_of])
    values = dict(zip(names, rng.sample(values, len(names))))
    lines = [say(rng, line, n=n, v=v) for n, v in values.items()]
    told = rng.choice((f"{', '.join(lines[:-1])} and {lines[-1]}.", ". ".join(lines) + "."))
    return told, sorted(names, key=values.get), most, least, values


def told_chain(rng, split, names) -> tuple[str, list[str], tuple, tuple, dict[str, int]]:
    more, most, least = rng.choice(CHAINS)
    lines = [f"{high} is {more} than {low}." for low, high in itertools.pairwise(names)]
    return " ".join(rng.sample(lines, len(lines))), names, (most,), (least,), {}


def two_or_three_people(rng, split):
    """Who is oldest, or, in training, older. Of a chain it says first who is in the middle, the one who was named twice:
    then either end is one step away. Where a name is copied it stands where it stood: behind a space in the call, as in
    the telling, and first in the answer, as in the result. With and without a space it is other tokens."""
    are_two = split == "train" and rng.random() < 0.3
    names = [name for name, _ in people(rng, split, 2 if are_two else 3)]
    tell_of = rng.choice((told_numbers, told_numbers, told_chain))
    told, ranked, most, least, numbers = tell_of(rng, split, names)
    if are_two:  # "oldest" is "older"
        most, least = (tuple(word.removesuffix("st") + "r" for word in words) for words in (most, least))
    words, winner = rng.choice(((most, ranked[-1]), (least, ranked[0])))
    word = rng.choice(words)
    content = f"The {word} is {winner}."
    middle = "" if numbers or are_two else ranked[1]
    if numbers:
        call = whose_extreme(words == most, {f" {name}": number for name, number in numbers.items()})
        content = with_tool(call, f"{{r}} is the {word}.")
    elif middle:
        content = f"In the middle is {middle}, so the {word} is {winner}."
    form = rng.choice(PEOPLE_ASKS.train) if are_two else PEOPLE_ASKS.draw(rng, split)  # of three, some of the others say
    question = capital(say(rng, form, told=told, most=word))
    return Item(turns(question, content), winner, {
        "kind": "people" if numbers else "people in a chain", "words": list(words), "yes": "", "middle": middle,
        "rivals": [name for name in names if name != winner], "question": question})


# -----------------------------------------------------------------------------
# The skill

def is_own(it: Item) -> bool:
    """Whether every eight words in a row of the question hold what is held out: a name, or all that is compared."""
    parts = it.answer.split(", ") + it.meta["rivals"]
    enough = any if it.meta["kind"].startswith("people") else all
    return all(enough(just_words(part) in span for part in parts) for span in spans(it.meta["question"]))


def comparing(rng: random.Random, split: str) -> Item:
    """Bigger, faster, earlier, larger, oldest: which of two or three, or put them in order."""
    makers = (scales, number_pair, number_of_three, calendar_or_alphabet, order, two_or_three_people)
    maker = rng.choices(makers, (5, 3, 2, 2, 2, 3))[0]
    while True:
        it = maker(rng, split)
        if split == "train" or is_own(it):
            return it
