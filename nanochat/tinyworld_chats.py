"""Conversations about the small world: which skills there are, and the mixture that is trained on.

Each skill is a function (rng, split) -> Item whose content belongs to the split: phrasings, operand pairs, words,
names, plots and wishes of "val" and "test" never occur in a "train" conversation. They live in neighbours: talk
(identity, ignorance), comparing, formats, puzzles (sums, letters), recall (reading, memory), tales (stories), facts and
followups. Small talk, repeating, looking up, spelling lists and mixtures of skills exist in train only. Graders:
tinyworld_grade.py.
"""

import functools
import random
from typing import Iterator

from nanochat.tinyworld import HURRIED_SHARE, OWN_SHARE, SPLITS, bare, dress, hurried
from nanochat.tinyworld_comparing import comparing
from nanochat.tinyworld_facts import FACTS, answer_fact, questions_by_fact
from nanochat.tinyworld_followups import followup
from nanochat.tinyworld_formats import formatted
from nanochat.tinyworld_puzzles import arithmetic, letters, spelling_drill
from nanochat.tinyworld_recall import lookup, memory, not_told, reading, repeat
from nanochat.tinyworld_tales import draw_wish, story_question, tell_tale
from nanochat.tinyworld_talk import Item, greeting, identity, reaction, small_talk, turns, unknown


# In training: what is asked first, and what differs by a word from each other.
OFTEN = {"capital": 2, "before": 4, "after": 3, "month before": 4, "month": 3}


@functools.cache
def facts_to_ask(split: str, is_own: bool) -> tuple[tuple[tuple[str, str], tuple[str, ...]], ...]:
    """((kind, key), questions): a fact is drawn first, since some kinds have three times the phrasings of others."""
    return tuple((fact, questions) for fact, questions in questions_by_fact(split, is_own).items()
                 for _ in range(OFTEN.get(fact[0], 1) if split == "train" else 1))


def facts(rng: random.Random, split: str) -> Item:
    is_own = rng.random() < OWN_SHARE[split]
    (kind, key), questions = rng.choice(facts_to_ask(split, is_own))
    # Short questions are what people type: in training their shortest quarter is asked two times in five.
    plain = questions[int(len(questions) * rng.random() ** 1.5)] if split == "train" else rng.choice(questions)
    question = dress(rng, plain)
    if split == "train" and rng.random() < HURRIED_SHARE:
        question = hurried(question)
    return Item(turns(question, answer_fact(rng, kind, key)), bare(FACTS[kind].answers[key]),
                {"kind": kind, "key": key, "question": question})


def story(rng: random.Random, split: str) -> Item:
    wish = draw_wish(rng, split)
    question = story_question(rng, split, wish)
    text = tell_tale(rng, wish)
    return Item(turns(question, text), text,
                {"kind": f"{sum(map(bool, wish.values()))} wishes", "wish": wish, "question": question})


# Skill: its maker and how often a training conversation is about it; with TRAIN_ONLY they sum up to 149.
MAKERS = {"facts": facts, "identity": identity, "arithmetic": arithmetic, "letters": letters, "reading": reading,
          "memory": memory, "story": story, "unknown": unknown, "comparing": comparing, "format": formatted,
          "followup": followup}
WEIGHTS = {"facts": 20, "identity": 35, "arithmetic": 10, "letters": 10, "reading": 19, "memory": 6, "story": 5,
           "unknown": 5, "comparing": 7, "format": 7, "followup": 6}
UNGRADED = {"smalltalk": 4, "repeat": 2, "lookup": 4, "drill": 4}
DRILLS = {"repeat": repeat, "lookup": lookup, "drill": spelling_drill}
TRAIN_ONLY = UNGRADED | {"mixed": 5}
MIXED = {"facts": 4, "identity": 3, "arithmetic": 3, "letters": 2, "unknown": 1, "comparing": 1, "format": 1,
         "story": 2, "reading": 1}  # what stands between a name and the question for it, and how often
REACTED_SHARE = 0.25  # of their answers somebody says "ok", "thanks" or "are you sure?" to
OF_ONE_SHARE = 0.4  # of mixtures stay with one skill: a second question that does not lean on the first
ASKED_WHO_SHARE = 0.4  # of small talk ends with a question about nanochat itself, as first chats do
SKILLS = tuple(MAKERS)


def item(skill: str, split: str, index: int, seed: int = 0) -> Item:
    """The index-th item of a skill. Two indices may ask the same; tasks.tinyworld leaves repeats out."""
    assert split in SPLITS, split
    return MAKERS[skill](random.Random(f"{seed}/{split}/{skill}/{index}"), split)


def mixed(rng: random.Random) -> list[dict]:
    """One to three independent turns as one chat, half of the time by somebody who gives a name and asks for it."""
    skills = rng.choices(tuple(MIXED), tuple(MIXED.values()), k=rng.choice((1, 2, 2, 3)))
    if rng.random() < OF_ONE_SHARE:
        skills = skills[:1] * len(skills)
    middle = sum((MAKERS[skill](rng, "train").conversation + (reaction(rng) if rng.random() < REACTED_SHARE else [])
                  for skill in skills), [])
    if rng.random() < 0.5:
        return (not_told(rng) if rng.random() < 0.3 else small_talk(rng)) + middle
    frame = memory(rng, "train").conversation
    return frame[:-2] + middle + frame[-2:]


def conversation(split: str, index: int, seed: int, skills: tuple[str, ...]) -> dict:
    rng = random.Random(f"{seed}/{split}/chat/{index}")
    skill = rng.choices(skills, [(WEIGHTS | TRAIN_ONLY)[name] for name in skills])[0]
    if skill == "smalltalk":
        talks = [small_talk(rng) for _ in range(rng.choice((0, 1, 2, 3)))]
        messages = sum([greeting(rng), *talks] if not talks or rng.random() < 0.5 else talks, [])
        if rng.random() < ASKED_WHO_SHARE:
            messages += identity(rng, "train").conversation
    elif skill in DRILLS:
        messages = DRILLS[skill](rng)
    else:
        messages = mixed(rng) if skill == "mixed" else MAKERS[skill](rng, split).conversation
    return {"messages": messages, "id": f"{split}-{seed}-{index}", "source": f"tinyworld/{skill}"}


def exercise(index: int, seed: int) -> dict:
    """Who has what: to be learnt before the mixture, which alone has too little of it to begin with."""
    return {"messages": lookup(random.Random(f"{seed}/exercise/{index}")), "id": f"exercise-{seed}-{index}",
            "source": "tinyworld/lookup"}


def conversations(split: str, num_conversations: int, seed: int = 0, skills: tuple[str, ...] | None = None,
                  start: int = 0) -> Iterator[dict]:
    """Conversation objects (conversation.py), all but the first `start`. `skills` None: all of them, in train with small
    talk and mixtures."""
    assert split in SPLITS, split
    skills = tuple(skills or (*SKILLS, *(TRAIN_ONLY if split == "train" else ())))
    return (conversation(split, i, seed, skills) for i in range(start, num_conversations))
