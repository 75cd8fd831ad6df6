"""Second questions that lean on the first: "And a cow?", "Now add 12.", "Another one, please.", "Three more."

What comes before is an item of another skill, answered right; what follows names only what is new, so that it means
nothing by itself. How a follow-up is worded belongs to its split; numbers and words are held out as in their own skill.
Left out: follow-ups after a comparison, and any that change the subject.
"""

import functools
import random

from nanochat.calculator import NUMBER_WORDS, calculate
from nanochat.tinyworld import (
    HURRIED_SHARE, OPERATORS, Asks, capital, draw_operands, hurried, just_words, pair_split, say)
from nanochat.tinyworld_facts import FACTS, answer_fact, fact_slots, plain, questions_by_fact
from nanochat.tinyworld_formats import LISTS, LONGEST_LIST, first_of, formatted_list, in_a_line
from nanochat.tinyworld_puzzles import arithmetic, draw_word, letters, letters_answer, sum_answer
from nanochat.tinyworld_tales import (
    HEROES, MOODS, MORE_HEROES, MORE_TREASURES, SHARED_MOOD_KINDS, TREASURES, draw_wish, story_question, tell_tale,
    wish_split)
from nanochat.tinyworld_talk import Item, turns, with_tool

THANKS = "[Okay|Good|Thanks|Thank you|Nice|I see|Ok|Great|Right|Cool]"
THING_ASKS = Asks((
    "And {x}?", "[What about|How about|And what about|And how about|But what about|So what about] {x}?", "And for {x}?",
    "[Now|Next|Then][| comes|:] {x}[.|, please.|?]", "{X}?", "And {x}, [please|do you know|do you know that too]?",
    THANKS + "[,|.|!] [And|and|Now|What about|what about|And what about] {x}?",
    "[The same|Same question|Same] [for|with] {x}[.|?|, please.]", "And what is it [for|with] {x}?",
    "Do [the same|it] [for|with] {x}[.|, please.]", "And [if it is|with|if I say] {x}?",
    "I [also |]want to know [about|it for] {x}[| too].", "And {x} [then|too|as well|now]?",
    "Do you [also |]know [it|that] for {x}[| too]?", "What if [I ask about|it is] {x}?", "{x}"),
    val=("And now for {x}?", "What would you say for {x}?", "Tell me the same about {x}.", "Can you do {x} as well?"),
    test=("And then {x}, what of that?", "What is it in the case of {x}?", "Let me hear the same for {x}.",
          "Could you also do {x}?"))
ONWARD_ASKS = {  # after the answer to what comes after, or before, something
    1: Asks(("And [|what comes |what is |what comes right ]after that?", "And then[| what]?", "One [more|further][.|?]",
             "And what [comes|is] then?", "[Then|And] what?", "And the next[| one]?", "What comes [then|next]?", "Go on."),
            val=("And what follows that one?",), test=("And which one comes after this one?",)),
    -1: Asks(("And [|what was |what is |what comes |just ]before that?", "And the one before[| that]?",
              "And before [it|this]?", "What [was|comes|is] before that one?", "One [more|further] back[.|?]"),
             val=("And what was there before this?",), test=("And which one is before this one?",))}
ONWARD = {"after": 1, "month": 1, "before": -1, "month before": -1}
SUM_ASKS = Asks((
    "And {s}?", "[What about|How about|And what about|And how much is|And what is|And what's] {s}?",
    "[Now|Then|Next:] {s}[.|, please.]", THANKS + "[,|.|!] [And|and|Now|now] {s}?", "And [the sum|this one]: {s}?",
    "Do {s} [too|next|now][.|, please.]"),
    val=("And now what is {s}?", "Try {s} as well."), test=("Then how much would {s} be?", "Do another one: {s}."))
RESULT = "[it|that|this|the result|the answer|the total|that number|what you got]"
STEP_ASKS = {  # the result, and one more number
    "+": Asks(("[And|And now|Now|Then] plus {c}[?|.]", "[|Now |And |Please |Then ]add {c}[.|, please.]",
               f"[|Now |And |Then ]add {{c}} to {RESULT}[.|, please.]",
               "[And|And now] {c} more[?|.]", "Plus {c}[?|.|]", "And if I add {c}?", f"And if I add {{c}} to {RESULT}?",
               f"What is {RESULT} plus {{c}}?", f"[Increase|Raise] {RESULT} by {{c}}.", f"{{c}} more than {RESULT}[?|.|]",
               f"[Give me|I want|I need] {{c}} more than {RESULT}.", f"{RESULT} plus {{c}}[?|.|, please.]",
               "And [another|a further] {c}[?|.]", "Make it {c} [more|bigger|larger].", f"How much is {RESULT} and {{c}}?",
               "If [you add|I add] {c}, what [do you get|is it then]?", "I [get|find|buy] {c} more[.|. And now?]",
               f"With {{c}} more [than|on] {RESULT}?", f"The sum of {RESULT} and {{c}}[?|.|, please.]"),
              val=("Put {c} on top of that.", "And how much do {c} extra make?"),
              test=("And with {c} added to the result?", "Let {c} come to it.", "Count {c} further from there.")),
    "-": Asks(("[And|And now|Now|Then] minus {c}[?|.]",
               "[|Now |And |Please |Then ][take away|subtract|remove] {c}[.|, please.]",
               f"[|Now |And |Then ][take|take away|subtract|remove] {{c}} from {RESULT}[.|, please.]",
               "[And|And now] {c} less[?|.]", "Minus {c}[?|.|]", "And if I take [away {c}|{c} away]?",
               f"What is {RESULT} minus {{c}}?", f"[Lower|Reduce] {RESULT} by {{c}}.", f"{{c}} less than {RESULT}[?|.|]",
               f"[Give me|I want|I need] {{c}} less than {RESULT}.", f"{RESULT} minus {{c}}[?|.|, please.]",
               "And without {c} of [it|them]?", "Make it {c} [less|smaller].", f"[Take|Pull] {{c}} [off|out of] {RESULT}.",
               "If [you subtract|I subtract] {c}, what is left?", "I [lose|spend|give away] {c}[.|. And now?]",
               f"With {{c}} less than {RESULT}?", f"The difference of {RESULT} and {{c}}[?|.|, please.]"),
              val=("Make it {c} fewer.", "And what if {c} of those go missing?"),
              test=("And with {c} taken from the result?", "Let {c} go from it.", "Count {c} back from there.")),
    "*": Asks(("[And|And now|Now|Then] times {c}[?|.]",
               f"[|Now |And |Please |Then ]multiply {RESULT} by {{c}}[.|, please.]",
               "[And|And now] {c} times as much?", f"And {{c}} times {RESULT}?", "Times {c}[?|.|]",
               f"And if I multiply {RESULT} by {{c}}?", f"What is {RESULT} times {{c}}?",
               f"{{c}} times {RESULT}[?|.|, please.]",
               f"{RESULT} times {{c}}[?|.|, please.]", "[Give me|I want|I need] {c} times as much.",
               "Make it {c} times [as big|as much|bigger].",
               "How much are {c} of them?", "If [you multiply|I multiply] it by {c}, what [do you get|is it then]?",
               f"The product of {RESULT} and {{c}}[?|.|, please.]"),
              val=("Take that {c} times.", "And what do {c} of those make?"),
              test=("And with the result multiplied by {c}?", "Let it grow {c} times.", "Have that {c} times over."))}
STEP_SHARE = 0.6  # of what follows a sum, the rest being other sums
WORD_ASKS = Asks((
    "And [|in |for ]{w}?", "[What about|How about|And what about|And how about] {w}?", "And the word {w}?", "And with {w}?",
    "[Now|Next:|Then] [|in |for ]{w}[.|, please.|?]", THANKS + "[,|.|!] [And|and|Now|now] [|in |for ]{w}?",
    "[The same|Same] [for|with|in] [|the word ]{w}[.|, please.]", "Do {w} [too|next|now][.|, please.]"),
    val=("And now for {w}?", "Try the word {w} as well."), test=("How would it be for {w}?", "Do another word: {w}."))
AGAIN_ASKS = Asks((
    "[Another one|One more|Another|Again|More|Another story|One more story|Encore|A new one][.|, please.|!|| please|?]",
    "[Tell me|Can you tell me|Please tell me|I want|Give me|I would like] [another|another one|one more|a different one"
    "|a new one|one more story][.||, please.|?]",
    "Do you [have|know] [another|another one|one more|more of them|more stories]?",
    "[That was nice|I liked that|Lovely|Nice story|Thanks]. [Another one|One more|Another][, please.|?|!]",
    "And [another|another one|one more][?|.|, please.]", "[Please go on|More of that|I want to hear more][.|!]"),
    val=("What other story do you know?", "May I have one more?"),
    test=("Could I hear a second one?", "Please think up one more of those."))
MOOD_ASKS = Asks((
    "[Now|And now|And|Next] a {kind} one[.|, please.|?]", "Another one, but {kind}[.|, please.]",
    "[Tell me|Can you tell me|I want|Give me|I would like|Please tell me] a {kind} one[.||, please.| now.]",
    "A {kind} one[, please.|.| now.|?]", "[Do you know|Have you got] a {kind} one[| too]?"),
    val=("This time a {kind} one.",), test=("Could the next one be a {kind} one?",))
HERO_ASKS = Asks((
    "And one about a {h}[.|?|, please.]", "[Now|Another one|The next one|One more] [about|with] a {h}[.|, please.]",
    "[Tell me|Can you tell me|I want|Give me|I would like] one [about|with] a {h}[.||, please.| now.| too.]",
    "[Do you know|Have you got] one [about|with] a {h}[| too]?", "And [with|about] a {h}?", "What about a {h}?"),
    val=("This time with a {h}.",), test=("Could the next one be about a {h}?",))


MORE_ASKS = Asks((
    "{n} more[.||, please.|?]", "[And|Now|Then] {n} more[.||, please.|?| {what}.]",
    "{n} [other ones|others|new ones][.|, please.]",
    "[Name|Tell me|Give me|Can you name|Do you know] {n} more[.|| {what}.|, please.|?]",
    "[Name|Tell me|Give me] {n} [other ones|others].", THANKS + "[,|.|!] [And|Now|and] {n} more[.||, please.]"),
    val=("Go on with {n} more.",), test=("Could you add {n} more?", "I would like {n} more of them."))
ONE_MORE_ASKS = Asks((
    "[And one|One] more[.||, please.|?]", "[And another|Another] one[.||, please.|?]",
    "[Name|Tell me|Give me|Do you know] [one more|another one][.||, please.|?]",
    THANKS + "[,|.|!] [And|Now|and] one more[.||, please.]"),
    val=("Go on with one more.",), test=("Could you add one more?", "I would like one more of them."))


def worded(rng: random.Random, asks: Asks, split: str, **slots) -> str:
    """A follow-up in words of its split."""
    text = capital(say(rng, rng.choice(asks.shared if split == "train" else asks.own(split)), **slots))
    return hurried(text) if rng.random() < HURRIED_SHARE else text


# -----------------------------------------------------------------------------
# One function per kind: the first item and `count` that follow it


def after_fact(rng: random.Random, split: str, count: int) -> list[Item]:
    """The same asked of other things."""
    kind = rng.choice(tuple(FACTS))
    keys = rng.sample(tuple(FACTS[kind].answers), count + 1)
    items = [first_fact(rng, split, kind, keys[0])]
    for before, key in zip(keys, keys[1:]):
        question = worded(rng, THING_ASKS, split, x=name_of(kind, key, before), X=capital(name_of(kind, key, before)))
        items.append(fact_item(rng, kind, key, question))
    return items


def onward(rng: random.Random, split: str, count: int) -> list[Item]:
    """One step further in the week or the year, from the answer."""
    kind = rng.choice(tuple(ONWARD))
    key = rng.choice(tuple(FACTS[kind].answers))
    items = [first_fact(rng, split, kind, key)]
    for _ in range(count):
        key = FACTS[kind].answers[key]
        items.append(fact_item(rng, kind, key, worded(rng, ONWARD_ASKS[ONWARD[kind]], split)))
    return items


def first_fact(rng: random.Random, split: str, kind: str, key: str) -> Item:
    return fact_item(rng, kind, key, rng.choice(asked_of(kind, key, split)))


@functools.cache
def asked_of(kind: str, key: str, split: str) -> tuple[str, ...]:
    """A fact's questions in a split: in training the shorter half, as people begin."""
    shared, own = (questions_by_fact(split, is_own).get((kind, key), ()) for is_own in (False, True))
    return shared[:(len(shared) + 1) // 2] if split == "train" else shared + own


def name_of(kind: str, key: str, before: str) -> str:
    """As a follow-up names it: a spider, after the legs of a dog, but the wheels of a car."""
    if " of " not in key:
        return key
    slots = fact_slots(kind, key)
    return slots["o"] if slots["n"] == fact_slots(kind, before)["n"] else f"the {key}"


def fact_item(rng: random.Random, kind: str, key: str, question: str) -> Item:
    return Item(turns(question, answer_fact(rng, kind, key)), plain(FACTS[kind].answers[key]),
                {"kind": kind, "key": key, "question": question})


def after_sum(rng: random.Random, split: str, count: int) -> list[Item]:
    """Two other numbers, or one more for the result."""
    items = [first_sum(rng, split)]
    for _ in range(count):
        op, (a, b) = next_step(rng, split, items[-1].answer) if rng.random() < STEP_SHARE else (None, (0, 0))
        if op:
            question = worded(rng, STEP_ASKS[op], split, c=b)
        else:
            op = rng.choice("+-*")
            a, b = draw_operands(rng, split, op)
            question = worded(rng, SUM_ASKS, split, s=f"{a} {rng.choice((op, OPERATORS[op]))} {b}")
        content = sum_answer(rng, a, op, b)
        items.append(Item(turns(question, content), calculate(f"{a}{op}{b}"),
                          {"kind": OPERATORS[op], "expression": f"{a}{op}{b}", "question": question}))
    return items


def first_sum(rng: random.Random, split: str) -> Item:
    """Not one of a long tale, so that the row stays short."""
    while True:
        item = arithmetic(rng, split)
        if len(item.meta["question"]) < 60:
            return item


def next_step(rng: random.Random, split: str, result: str) -> tuple[str | None, tuple[int, int]]:
    """An operator and the pair it takes, the result first, of the split as every pair is; none for a result that is no
    number of up to three digits, in training five."""
    if not result.isdigit() or len(result) > (5 if split == "train" else 3):
        return None, (0, 0)
    a = int(result)
    for _ in range(50):
        op = rng.choice("++-*")
        b = rng.randrange(1, 13 if op == "*" else 100)
        if pair_split(a, b) == split:
            return op, (a, b)
    return None, (0, 0)


def after_word(rng: random.Random, split: str, count: int) -> list[Item]:
    """The same asked of other words."""
    items = [letters(rng, split)]
    kind, letter = items[0].meta["kind"], items[0].meta["letter"]
    for _ in range(count):
        word = draw_word(rng, split)
        shown = f'"{word}"' if rng.random() < 0.4 else word
        question = worded(rng, WORD_ASKS, split, w=shown)
        answer, text = letters_answer(kind, word, letter, shown)
        items.append(Item(turns(question, text), answer,
                          {"kind": kind, "word": word, "letter": letter, "question": question}))
    return items


def after_story(rng: random.Random, split: str, count: int) -> list[Item]:
    """One more story: any, in another mood, or with another hero. One alone, since stories are long."""
    wish = draw_wish(rng, split)
    items = [story_item(rng, wish, story_question(rng, split, wish), "")]
    which = rng.choice(("again", "mood", "hero"))
    wish = dict.fromkeys(wish, "")
    if which == "mood":
        wish["mood"] = rng.choice(MOODS)
        question = worded(rng, MOOD_ASKS, split, kind=SHARED_MOOD_KINDS[wish["mood"]])
    elif which == "hero":
        wish["hero"] = rng.choice(heroes_of(split))
        question = worded(rng, HERO_ASKS, split, h=wish["hero"])
    else:
        question = worded(rng, AGAIN_ASKS, split)
    return items + [story_item(rng, wish, question, items[0].answer)]


@functools.cache
def heroes_of(split: str) -> tuple[str, ...]:
    return tuple(hero for hero in HEROES if wish_split(hero, "") == split)


def story_item(rng: random.Random, wish: dict[str, str], question: str, before: str) -> Item:
    """A tale that grants the wish and is not the one before again: told greedily, it would begin with the same words
    and go on with them."""
    text = tell_tale(rng, wish)
    while is_alike(text, before, wish):
        text = tell_tale(rng, wish)
    return Item(turns(question, text), text, {"kind": "again", "wish": wish, "question": question})


def is_alike(text: str, before: str, wish: dict[str, str]) -> bool:
    """Whether a tale opens like the one before or is about somebody or something in it, but for what was wished."""
    words, words_before = (just_words(tale).split() for tale in (text, before))
    names = HEROES + MORE_HEROES, (*TREASURES, *MORE_TREASURES)
    main = {max(some, key=words.count) for some in names} - set(wish.values())
    return words[:3] == words_before[:3] or not main.isdisjoint(words_before)


def after_list(rng: random.Random, split: str, count: int) -> list[Item]:
    """More of the same, from where the list ended. One alone, and after a list in one line."""
    while True:
        first = formatted_list(rng, split, "commas")
        if first.meta["count"] <= LONGEST_LIST - 2:
            break
    what, said = first.meta["what"], first.meta["count"]
    more = rng.randrange(1, LONGEST_LIST - said + 1)
    question = worded(rng, MORE_ASKS if more > 1 else ONE_MORE_ASKS, split,
                      n=rng.choice((NUMBER_WORDS[more], str(more))), what=what)
    text = in_a_line(LISTS[what][said:said + more])
    reply = with_tool(first_of(LISTS[what][said:LONGEST_LIST], more), text)
    return [first, Item(turns(question, reply), text, {
        "kind": "commas", "count": more, "allowed": list(LISTS[what][said:]), "question": question})]


FOLLOWED = {"another thing": ("facts", after_fact, 9), "one further": ("facts", onward, 3),
            "another sum": ("arithmetic", after_sum, 8), "another word": ("letters", after_word, 3),
            "another story": ("story", after_story, 4), "more of a list": ("format", after_list, 2)}
HARD_FOLLOWUPS = {"more of a list": 4}  # trained on as many times as often: two of 29 were 280 conversations


def followup(rng: random.Random, split: str) -> Item:
    """A question, its answer and what is asked next, in training up to three times; the last is graded by its skill."""
    hard = HARD_FOLLOWUPS if split == "train" else {}
    name = rng.choices(tuple(FOLLOWED), [weight * hard.get(name, 1) for name, (*_, weight) in FOLLOWED.items()])[0]
    skill, maker, _ = FOLLOWED[name]
    items = maker(rng, split, rng.choice((1, 1, 2, 3)) if split == "train" else 1)
    last = items[-1]
    return Item(sum((item.conversation for item in items), []), last.answer,
                {"kind": name, "question": last.meta["question"], "skill": skill, "of": last.meta})
