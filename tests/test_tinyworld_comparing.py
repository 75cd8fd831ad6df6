"""What is compared: who wins by Python, and what the calculator is asked."""

import functools
import random
import re
import string

from nanochat.tinyworld import DAYS, MONTHS, split_of
from nanochat.tinyworld_comparing import chart, comparing
from nanochat.tinyworld_facts import plain


@functools.cache
def comparisons(split, count):
    return [comparing(random.Random(f"{split}/{i}"), split) for i in range(count)]


def told_of(it):
    """Name: number, in the order of the question, where each number stands behind its name."""
    number_of = {name: int(re.search(rf"\b{name}\b.*?(\d+)", it.meta["question"])[1]) for name in [it.answer, *it.meta["rivals"]]}
    assert len(set(number_of.values())) == len(number_of)
    return number_of


def test_numbers_to_compare_are_held_out_as_sums_are():
    for split in ("val", "test"):
        for it in comparisons(split, 800):
            if it.meta["kind"].startswith("number "):
                continue
            if it.meta["kind"] == "number":
                pair = sorted((int(it.answer), int(it.meta["rivals"][0])))
                assert split_of("pair", *pair) == split
    for it in comparisons("train", 3000):
        if it.meta["kind"] == "number of three":
            numbers = sorted(map(int, [it.answer, *it.meta["rivals"]]))
            assert {split_of("pair", a, b) for a in numbers for b in numbers if a < b} == {"train"}


def test_winners_really_win():
    """Against Python: numbers by size, months by the calendar, orders by sorting, people by what is told."""
    for it in comparisons("train", 3000):
        kind, question, words = it.meta["kind"], it.meta["question"].lower(), it.meta["words"]
        if kind in ("number", "number of three", "number yes or no"):
            numbers = list(map(int, [it.answer, *it.meta["rivals"]]))
            assert int(it.answer) == (min if words[0] in ("smaller", "smallest", "less") else max)(numbers)
        if kind == "year":
            earlier = MONTHS.index(it.answer) < MONTHS.index(it.meta["rivals"][0])
            assert earlier == ("first" in words)
        if kind.startswith("order"):
            parts = it.answer.split(", ")
            is_falling = "falling" in question or "largest first" in question or "large to small" in question
            key = int if kind == "order of numbers" else str
            assert parts == sorted(parts, key=key, reverse=is_falling)
        if kind == "people":
            told = told_of(it)
            is_least = set(words) & {word + end for word in ("young", "short", "small", "poor", "slow") for end in ("er", "est")}
            assert it.answer == (min if is_least else max)(told, key=told.get)


def test_what_the_calculator_is_asked_decides_who_wins():
    """It gets what is compared in the order of the question, with the numbers that are told or of a chart or a calendar;
    its result is the winner, or whether it is so."""
    calendars = {"year": MONTHS, "week": DAYS, "alphabet": string.ascii_lowercase}
    for it in comparisons("train", 3000):
        kind, question = it.meta["kind"].removesuffix(" yes or no"), it.meta["question"]
        if kind == "people in a chain":
            continue
        call, result = (part["text"] for part in it.conversation[-1]["content"] if part["type"] != "text")
        names = it.answer.split(", ") + it.meta["rivals"]
        if kind in calendars:
            number_of = {thing: number for number, thing in enumerate(calendars[kind], 1)}
        elif kind == "people":
            number_of = told_of(it)
        elif kind in ("size", "weight", "speed"):
            number_of = {thing: number for thing, number in chart(kind).items() if plain(thing) in names}
        else:
            number_of = {name: name for name in names}
        asked = sorted(number_of, key=lambda name: (name not in names and plain(name) not in names, found_at(name, question)))
        asked = asked[:len(names)]
        if it.meta["yes"]:
            assert re.split("[<>]", call) == [str(number_of[name]) for name in asked]
            assert result == {"yes": "True", "no": "False"}[it.meta["yes"]]
        elif kind.startswith(("number", "order")):
            assert re.findall(r"\d+|(?<= )\w+", call) == asked and result == it.answer
        else:
            space = " " if kind == "people" else ""
            assert call[6:] == "({" + ",".join(f'"{space}{name}":{number_of[name]}' for name in asked) + "})", it
            assert plain(result) == it.answer


def found_at(name, question):
    found = re.search(rf"\b{name}\b", question, re.I)
    return found.start() if found else len(question)


def test_chains_of_people_have_one_end():
    for it in comparisons("train", 3000):
        if it.meta["kind"] == "people in a chain":
            pairs = re.findall(r"(\w+) is \w+er than (\w+)", it.meta["question"])
            over, under = ({pair[i] for pair in pairs} for i in (0, 1))
            is_least = it.meta["words"][0].startswith(("young", "short", "slow", "weak", "poor"))
            assert {it.meta["middle"]} == (over & under or {""})
            assert {it.answer} == (under - over if is_least else over - under)
