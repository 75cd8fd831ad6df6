"""Answers in an asked format: a fact as somebody wants it, a list of so many things, a word said so many times.

What is said is known from elsewhere, how it is said is learned here. Held out are the pair of content and format, and
some wordings. The calculator does what a small model cannot see: letters of a token made capital, how many things
have been said.
"""

import functools
import random
import re

from nanochat.calculator import NUMBER_WORDS
from nanochat.tinyworld import (COLOURS, DAYS, FLOWERS, FOODS, JOBS, MONTHS, OPENERS, PETS, PLACES, Asks, bare, capital,
                                just_words, say, spans, split_of)
from nanochat.tinyworld_comparing import ORDER_WORDS, RINGS
from nanochat.tinyworld_facts import FACTS, NUMBER_KINDS, fact_questions, fact_sentences
from nanochat.tinyworld_talk import Item, turns, with_tool
from nanochat.tinyworld_wordings import FORMAT_ASKS

# -----------------------------------------------------------------------------
# Facts

FORMATS = {  # format: ways to want it; {q} is the question
    "word": Asks((
        "{q} [In one word|One word only|Only one word|Just one word|One word|A single word][.|, please.]",
        "[In one word|With one word|Only one word|One word]: {q}", "{q} [Use|Say] [only one word|one word only].",
        "Answer [in|with] [one word|a single word]: {q}", "Answer [in|with] [one word|a single word]. {q}"),
        val=("{q} No more than one word.", "Be short, one word is enough: {q}"),
        test=("{q} I only want one word.", "{q} Say no more than one word.")),
    "capital letters": Asks((
        "{q} [In capital letters|Use capital letters|In big letters|Only capital letters][.|, please.]",
        "[In capital letters|In big letters|With capital letters only]: {q}",
        "{q} [Write|Shout] it in capital letters.",
        "Answer in [capital|big] letters: {q}", "Use [only |]capital letters. {q}"),
        val=("{q} I want to see capital letters only.", "Shout: {q} Capital letters, please."),
        test=("{q} Make all letters capital.", "Write in capital letters: {q}")),
    "small letters": Asks((
        "{q} [In small letters|Use small letters|Only small letters|No capital letters][.|, please.]",
        "[In small letters|With small letters only]: {q}", "Answer in small letters: {q}",
        "Use only small letters. {q}"),
        val=("{q} I want to see small letters only.",), test=("{q} Make all letters small.",)),
    "sentence": Asks((
        "{q} [In a whole sentence|Use a whole sentence|In a full sentence|Say a full sentence][.|, please.]",
        "[In a whole sentence|With a full sentence|In one whole sentence]: {q}",
        "Answer in a [whole|full] sentence: {q}",
        "{q} [Write|Say] it as a whole sentence.", "Use a [whole|full] sentence. {q}"),
        val=("{q} I want to hear a whole sentence.", "Please make a full sentence: {q}"),
        test=("{q} Not just a word, a whole sentence.", "Give me a whole sentence: {q}")),
    "twice": Asks((
        "{q} [Say it twice|Twice|Say it two times|Write it twice|Two times][.|, please.]",
        "[Say it twice|Say the answer twice|Two times]: {q}", "Say it [twice|two times]. {q}"),
        val=("{q} I want to hear it twice.",), test=("{q} Give the answer two times.", "{q} Repeat it once.")),
    "exclamation": Asks((
        "{q} [End with|Finish with|Put|Use] an exclamation mark[| at the end][.|, please.]",
        "[With an exclamation mark|End with an exclamation mark]: {q}", "End with an exclamation mark. {q}",
        "{q} With exclamation mark."),
        val=("{q} Let it end with an exclamation mark.",), test=("{q} The last sign must be an exclamation mark.",)),
    "full stop": Asks((
        "{q} [End with|Finish with|Put|Use] a full stop[| at the end][.|, please.]",
        "[With a full stop|End with a full stop]: {q}", "End with a full stop. {q}", "{q} With full stop."),
        val=("{q} Let it end with a full stop.",), test=("{q} The last sign must be a full stop.",)),
    "start": Asks((
        '{q} [Start|Begin] with [the word |]"{s}"[.|, please.]', '[Start|Begin] with [the word |]"{s}": {q}',
        '{q} Your [first word is|answer starts with] "{s}".', 'Say "{s}" first. {q}', '{q} First say "{s}".'),
        val=('{q} Let the first word be "{s}".',), test=('{q} The answer must begin with "{s}".',)),
    "number": Asks((
        "{q} [With a number only|Only a number|Just the number|Only the number|The number only][.|, please.]",
        "[With a number only|Only the number|Just a number]: {q}", "Answer with a number only: {q}",
        "{q} Use digits only.",
        "{q} [Write|Say] only the number.", "Answer [only |]with a number. {q}", "{q} Digits only[.|, please.]"),
        val=("{q} I want to see nothing but a number.",), test=("{q} No words, only a number.", "{q} Just digits.")),
    "yes or no": Asks((
        "{q} [Yes or no|Just yes or no|Only yes or no|Say yes or no|Answer yes or no][?|.|, please.]",
        "[Yes or no|Answer yes or no|Say only yes or no]: {q}", "Answer [with |]yes or no. {q}"),
        val=("{q} A yes or a no is enough.",), test=("{q} I only want a yes or a no.",)),
}
FORMATS = {form: asks.taught(FORMAT_ASKS[form]) for form, asks in FORMATS.items()}
STARTS = "Well Sure Hello Now So Oh Yes Okay Hey Listen Look Friend".split()
FORMAT_KINDS = ("capital", "sound", "baby", "opposite", "colour", "after", "before", "month", "season", "home", "food",
                "pet", "parts", "time", "price")
YES_FORMS = {  # kind: an answer that is not this one is false beyond doubt, which cannot be said of food
    "capital": "Is {y} the capital of {x}?", "opposite": "Is {y} the opposite of {x}?", "sound": "Does {x} say {y}?",
    "baby": "Is a young {n} called {y}?", "after": "Is {y} the day after {x}?", "before": "Is {y} the day before {x}?",
    "month": "Is {y} the month after {x}?", "season": "Is {x} in {y}?", "pet": "Does {x} have {y}?"}
CASES = {"capital letters": "upper", "small letters": "lower"}


@functools.cache
def format_questions(split: str) -> dict[tuple[str, str], list[str]]:
    """(kind, key) -> the split's own questions for a fact of one word, those that end with a question mark."""
    found: dict[tuple[str, str], list[str]] = {}
    for kind, key, question in fact_questions(split):
        if kind in FORMAT_KINDS and question.endswith("?") and " " not in bare(FACTS[kind].answers[key]):
            found.setdefault((kind, key), []).append(question)
    return found


@functools.cache
def format_pairs(form: str, split: str) -> tuple[tuple[str, str], ...]:
    """(kind, key) that a split may ask for in this format."""
    kinds = {"number": NUMBER_KINDS, "yes or no": YES_FORMS}.get(form, set(FORMAT_KINDS) - set(NUMBER_KINDS))
    return tuple((kind, key) for kind, key in format_questions(split)
                 if kind in kinds and split_of("format", form, kind, key) == split)


def lower_start(sentence: str, kind: str) -> str:
    """"A dog has ..." goes on as "a dog has ..."; Paris and Monday keep their capital."""
    names = tuple(name for pair in FACTS[kind].answers.items() for name in pair)
    return sentence if sentence.startswith(names) else sentence[0].lower() + sentence[1:]


def yes_or_no(rng, kind, key) -> tuple[str, str]:
    """A question about a fact, or about what only looks like one, and what it asks for."""
    answers = FACTS[kind].answers
    others = sorted(set(answers.values()) - {answers[key], key})
    asked = rng.choice((answers[key], rng.choice(others)))
    question = say(rng, YES_FORMS[kind], x=key, n=bare(key), y=asked)
    if rng.random() < 0.3:
        statement = re.sub(rf"\b{answers[key]}\b", asked, fact_sentences(kind, key)[0].rstrip("."))
        question = say(rng, "[Is it true|Is it correct|Is it so] that {s}?", s=lower_start(statement, kind))
    return question, bare(asked)


def in_format(rng, form, kind, key, start) -> str | list[dict]:
    """The answer that is right in this format. Capital and small letters and digits are the calculator's: to a model a
    word in capital letters is another one, which nobody ever said, and so is 4 for four. It gets the word behind a space,
    as it is known."""
    answer, sentence = bare(FACTS[kind].answers[key]), rng.choice(fact_sentences(kind, key)[:2])
    if form == "number":
        return with_tool(f'digits(" {answer}")', "{r}")
    if form in CASES:
        return with_tool(f'" {answer}".{CASES[form]}()', "{r}")
    return {"word": capital(answer), "sentence": sentence, "full stop": sentence,
            "exclamation": sentence.rstrip(".") + "!", "twice": f"{capital(answer)}, {answer}.", "start": f"{start}, {lower_start(sentence, kind)}"}[form]


def formatted_fact(rng, split, form) -> Item:
    kind, key = rng.choice(format_pairs(form, split))
    start, answer = rng.choice(STARTS) if form == "start" else "", bare(FACTS[kind].answers[key])
    if form == "yes or no":
        question, asked = yes_or_no(rng, kind, key)
        call, answer = f'" {answer}"==" {asked}"', "yes" if asked == answer else "no"
        reply = with_tool(call, capital(answer))
    else:
        question, reply = rng.choice(format_questions(split)[kind, key]), in_format(rng, form, kind, key, start)
    question = say(rng, FORMATS[form].draw(rng, split), q=question, s=start)
    return Item(turns(question, reply), answer,
                {"kind": form, "fact": [kind, key], "start": start, "question": question})


# -----------------------------------------------------------------------------
# Lists

LISTS = {  # what is listed: what counts
    "colours": tuple(COLOURS), "days": tuple(DAYS), "months": tuple(MONTHS), "flowers": tuple(FLOWERS),
    "animals": tuple(PETS) + tuple("cow horse pig sheep lion elephant bear fox wolf bee ant owl frog".split()),
    "fruits": tuple("apples cherries plums pears grapes melon strawberries bananas oranges lemons".split()),
    "jobs": tuple(JOBS), "places": tuple(PLACES), "countries": tuple(FACTS["capital"].answers),
    "cities": tuple(FACTS["capital"].answers.values()),
    "foods": tuple(FOODS), "things in a house": tuple(
        "lamp cup spoon mirror clock pillow blanket plate jar candle basket book chair table bed door".split()),
    "vegetables": tuple("potatoes carrots beans onions peas tomatoes cabbages pumpkins leeks".split()),
    "birds": tuple("owl duck hen parrot canary swan robin crow goose sparrow".split()),
    "drinks": tuple("water milk tea coffee juice lemonade cocoa wine".split()),
    "clothes": tuple("coat hat scarf dress shirt shoes socks gloves".split()),
    "toys": tuple("ball kite doll puzzle drum blocks marbles train".split()),
    "tools": tuple("hammer saw spade rake broom needle scissors brush".split()),
    "vehicles": tuple("car bus train boat bicycle ship tram plane".split()),
    "trees": tuple("oak birch pine willow maple beech elm ash".split()),
    "parts of the body": tuple("head arm leg hand foot nose ear eye mouth knee".split()),
    "numbers": NUMBER_WORDS[1:13], "letters": RINGS["alphabet"],
}
LIST_ASKS = {  # format: ways to want it
    "list": Asks((
        "[Name|List|Give me|Tell me|Write] {n} {what} as a list.", "[Write|Make|Give me] a list of {n} {what}.",
        "A list of {n} {what}[|, please].", "As a list: {n} {what}.", "[Name|Give me] {n} {what}, one on each line.",
        "Can you [make|write] a list of {n} {what}?", "I need a list of {n} {what}."),
        val=("List for me {n} {what}, line by line.",),
        test=("Put {n} {what} into a list.", "Show me a list with {n} {what}.")),
    "numbered list": Asks((
        "[Name|List|Give me|Write] {n} {what} as a numbered list.",
        "[Write|Make|Give me] a numbered list of {n} {what}.",
        "A numbered list of {n} {what}[|, please].", "Number {n} {what} in a list.",
        "I need a numbered list of {n} {what}."),
        val=("Make {n} {what} into a numbered list.",), test=("Put {n} {what} into a numbered list.",)),
    "commas": Asks((
        "[Name|List|Give me|Tell me|Write] {n} {what} with commas.", "[Name|Say|Write] {n} {what} in one line.",
        "{n} {what}, with commas[|, please].", "With commas: {n} {what}.", "[Name|Tell me] {n} {what}.",
        "Can you [name|tell me] {n} {what}?", "[Do you know|What are] {n} {what}?"),
        val=("Line up {n} {what} with commas.",),
        test=("Put commas between {n} {what}.", "I would like to hear {n} {what}.")),
}
LIST_ASKS = {form: asks.taught(FORMAT_ASKS[form]) for form, asks in LIST_ASKS.items()}
LONGEST_LIST = 7


@functools.cache
def list_pairs(form: str, split: str) -> tuple[tuple[str, int], ...]:
    """(what, how many) that a split may ask for in this format."""
    return tuple((what, count) for what in LISTS for count in range(2, LONGEST_LIST + 1)
                 if split_of("list of", form, what, count) == split)


def in_a_line(things: tuple[str, ...]) -> str:
    return capital(", ".join(things)) + "."


def first_of(things: tuple[str, ...], count: int) -> str:
    """What the calculator is asked for the first few of them."""
    return f'" {", ".join(things)}".split(",")[:{count}]'


def formatted_list(rng, split, form) -> Item:
    """The first few that LISTS has, the same for everybody: of things that are drawn a small model says one again and
    again. It says all it may need and the calculator keeps as many as were asked for: how many have been said, a small
    model tells right for numbers and things that it was trained on together, and 9 times in 135 for others."""
    what, count = rng.choice(list_pairs(form, split))
    things = LISTS[what][:count]
    text = {"list": "\n".join(f"- {x}" for x in things),
            "numbered list": "\n".join(f"{i}. {x}" for i, x in enumerate(things, 1)),
            "commas": in_a_line(things)}[form]
    reply = with_tool(first_of(LISTS[what][:LONGEST_LIST], count), text)
    count_word = rng.choice((NUMBER_WORDS[count], str(count)))
    question = capital(say(rng, LIST_ASKS[form].draw(rng, split), n=count_word, what=what))
    question = rng.choice(OPENERS) + question if rng.random() < 0.2 else question
    return Item(turns(question, reply), text, {
        "kind": form, "what": what, "count": count, "allowed": list(LISTS[what]), "question": question})


# -----------------------------------------------------------------------------
# A word, so many times

TIMES = {2: "[twice|two times|2 times]", 3: "[three times|3 times]", 4: "[four times|4 times]",
         5: "[five times|5 times]"}
TIMES_ASKS = Asks((
    '[Say|Write|Repeat] "{x}" {times}.', "[Say|Write] {x} {times}.", '[Can|Could] you [say|write] "{x}" {times}?',
    'I want to [hear|read] "{x}" {times}.', "Write the word {x} {times}.", "{x}, {times}, please."),
    val=('Let me hear "{x}" {times}.',), test=('Give me "{x}" {times}.',)
).taught(FORMAT_ASKS["often"])


def said_often(rng, split, form) -> Item:
    """The calculator gets the word as it was asked for: in quotes without a space, and else behind one. A word with a
    space and one without are other tokens, and half of the held-out words came out as others."""
    while True:
        word, count = rng.choice(ORDER_WORDS), rng.choice(tuple(TIMES))
        if split_of("often", word, count) == split:
            break
    times = say(rng, TIMES[count])
    question = capital(say(rng, TIMES_ASKS.draw(rng, split), x=word, times=times))
    shown, reply = f"{word} " if f'"{word}"' in question else f" {word}", " ".join([word] * count)
    return Item(turns(question, with_tool(f'"{shown}"*{count}', "{r}")), reply, {"kind": form, "question": question})


# -----------------------------------------------------------------------------
# The skill

FORM_MAKERS = dict.fromkeys(FORMATS, formatted_fact) | dict.fromkeys(LIST_ASKS, formatted_list) | {"often": said_often}

HARD_FORMS = {"capital letters": 2, "word": 2, "twice": 2, "number": 2, "often": 2}  # trained on as many times as often


def is_new(it: Item) -> bool:
    """Whether no eight words in a row are only a format and half of a question that training asks in that format:
    at most eight words in all, or a yes or no about a held-out thing that is always among them."""
    rows, is_yes_no = spans(it.meta["question"]), it.meta["kind"] == "yes or no"
    return len(rows) <= 1 or is_yes_no and all(just_words(bare(it.meta["fact"][1])) in row for row in rows)


def formatted(rng: random.Random, split: str) -> Item:
    """A fact, a list or a word, in the format that the question wants."""
    forms = tuple(FORM_MAKERS)
    form = rng.choices(forms, [HARD_FORMS.get(form, 1) for form in forms])[0] if split == "train" else rng.choice(forms)
    while True:
        it = FORM_MAKERS[form](rng, split, form)
        if split == "train" or is_new(it):
            return it
