"""Is an answer right? One strict grader per skill of the small world; 1.0 or 0.0, never anything between.

A grader sees the visible text only, without tool calls and their outputs. It wants what was asked and nothing that
contradicts it: listing every answer, echoing the question or hedging is wrong. It errs towards 0: a right answer in
an unforeseen wording may be refused, a wrong one should not pass. Left out: whether a story is a good one.
"""

import re
from decimal import Decimal

from nanochat.tinyworld import COLOURS, FACTS, bare

MAX_WORDS = 40           # an answer, not a list of guesses and not the story again; stories are exempt
SMALL_NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve".split()
NEGATION = re.compile(r"\b(not|never|no|nor|neither|cannot|\w+n't|unsure|maybe|perhaps|or)\b", re.I)


def words(text: str) -> list[str]:
    """Lower-case words without punctuation; "Anna's" gives anna, s."""
    return re.findall(r"[a-z0-9]+", text.lower())


def has_phrase(text: str, phrase: str) -> bool:
    """True if the words of `phrase` stand in `text` next to each other, as whole words."""
    return f" {' '.join(words(phrase))} " in f" {' '.join(words(text))} "


def sentences(text: str) -> list[str]:
    return [part for part in re.split(r"(?<=[.!?])[\"']*\s+", text.strip()) if words(part)]


def last_number(text: str) -> Decimal | None:
    """The last number as written: 1,499 is one number, 499 inside 1499 or a499 is none."""
    found = re.findall(r"(?<![\w.,])(-?\d[\d,]*(?:\.\d+)?)(?!\w)", text)
    return Decimal(found[-1].replace(",", "")) if found else None


def numbers(text: str) -> set[int]:
    """All numbers, in digits or as words up to twelve."""
    return {int(w) if w.isdigit() else SMALL_NUMBERS.index(w) for w in words(text) if w.isdigit() or w in SMALL_NUMBERS}


def says_only(text: str, answer: str, others: list[str]) -> bool:
    return has_phrase(text, answer) and not NEGATION.search(text) and not any(has_phrase(text,
                                                                                         other) for other in others)


# -----------------------------------------------------------------------------
# One function per skill: (answer, meta, text) -> bool


def grade_facts(answer, meta, text):
    """The answer, and no other subject or answer of the same kind, save what the question itself names."""
    answers, asked = FACTS[meta["kind"]].answers, meta["question"]
    if meta["kind"] in ("parts", "time"):
        return numbers(text) - numbers(asked) == numbers(answer) and not NEGATION.search(text)
    names = {bare(name) for pair in answers.items() for name in pair} | set(COLOURS if meta["kind"] == "colour" else ())
    return says_only(text, answer, [name for name in names if not has_phrase(f"{answer} {meta['key']} {asked}", name)])


HAS = {  # aspect of tinyworld_chats.IDENTITY: what the answer must say
    "name": r"\bnanochat\b", "who": r"\bnanochat\b", "other": r"\bnanochat\b",
    "maker": r"\b(trained|made|built)\b.*\b(this|your) computer\b|\bowner\b.*\b(trained|made|built)\b",
    "where": r"\b(this|your) computer\b",
    "can": r"\b(stor(y|ies)|sums?|count|questions?|chat)\b.*\b(stor(y|ies)|sums?|count|questions?|calculator)\b",
    "human": r"\b(no|not)\b.*\b(program|model)\b|\b(program|model)\b.*\bnot\b",
    "how": r"\b(trained|learned)\b.*\b(stories|chats|scratch|this computer)\b",
    "size": r"\bsmall\b.*\bmistakes\b|\bmistakes\b.*\bsmall\b",
    "internet": r"\b(no|not|never|without)\b.*\binternet\b|\bno\b.*\bthis computer\b",
}
HAS_NOT = re.compile(
    r"\b(chatgpt|openai|gpt-?\d*|siri|alexa|claude|anthropic|gemini|google|copilot|microsoft|bard|llama|meta|cortana)\b"
    r"|\b(jarvis|amazon|apple)\b"
    r"|\bi am not (nanochat|a (computer )?program|a (small )?(language )?model)\b|\bnot (called )?nanochat\b"
    r"|\b(?:my name is|i am called|call me) (?!nanochat\b)\w+"
    r"|\bi(?: am|'m) (?:an? )?(?:real )?(?:human|person|man|woman|boy|girl|robot|large|big)\b"
    r"|\byes\b.*\b(human|person|alive|internet)\b"
    r"|\bin the cloud\b|\bon a server\b|\bnever make mistakes\b|\bi use the internet\b|\bor\b")


def grade_identity(answer, meta, text):
    low = " ".join(text.lower().split())
    denied = meta["aspect"] in ("human", "other", "internet") and low.startswith("yes")
    return bool(re.search(HAS[meta["aspect"]], low)) and not HAS_NOT.search(low) and not denied


def grade_arithmetic(answer, meta, text):
    return last_number(text) == Decimal(answer)


def grade_letters(answer, meta, text):
    """The last number, in digits or as a word."""
    spelled = re.sub(r"\b(" + "|".join(SMALL_NUMBERS) + r")\b", lambda m: str(SMALL_NUMBERS.index(m[0].lower())), text,
                     flags=re.I)
    return last_number(spelled) == Decimal(answer)


def grade_told(answer, meta, text):
    """Reading and memory: the value, and none of its rivals from the same story or chat."""
    return says_only(text, answer, meta["rivals"])


MOOD_SIGNS = {"": r"", "happy": r"\b(happy|happily|happier|glad|joy|danced|celebrated)\b",
              "sad": r"\b(sad|sadly|cried|alone|lonely|tears)\b",
              "funny": r"\b(laugh\w*|funny|giggled|joke)\b"}
ENDINGS = re.compile(r"((^|[.!?][\"']?\s+)(the end|good ?night|th(is|at) (is|was) the end( of \w+ story)?)"
                     r"|happily ever after)[.!]*[\"']?$", re.I)


def grade_story(answer, meta, text):
    """At least three different sentences that mention every wished thing, the mood in the last part, and an ending."""
    lines = sentences(text)
    body = lines[:-1] if lines and len(words(lines[-1])) <= 3 else lines
    wish = meta["wish"]
    wished = all(has_phrase(" ".join(body), wish[key]) for key in ("hero", "treasure", "place") if wish[key])
    is_told = len({line for line in body if len(words(line)) >= 4}) >= 3
    return (is_told and wished and bool(ENDINGS.search(text.strip()))
            and bool(re.search(MOOD_SIGNS[wish["mood"]], " ".join(body[-3:]), re.I)))


ADMITS = re.compile(r"\b(don't|do not|cannot|can't) (know|tell|say)\b|\bno idea\b|\bnot known to me\b|\bnever heard\b"
                    r"|\bnot sure\b", re.I)
EXPLAINS = re.compile(r"\b(not|never|cannot|nobody|no one|only you|unknown|no way|no idea|sorry|\w+n't)\b"
                      r"|^(please|you (can|could)|ask me)\b", re.I)


def grade_unknown(answer, meta, text):
    """Admits it, and every clause is the admission or its reason: no number, no new name, no guess."""
    clauses = [c for c in re.split(r"[.!?;:,]|\bbut\b|\band\b|\bbecause\b|\bhowever\b|\bso\b", text) if words(c)]
    asked = set(words(meta["question"]))
    new_names = {w.lower() for c in clauses for w in re.findall(r"\b[A-Z]\w*", c.strip()[1:])} - asked - {"i"}
    has_number = any(w.isdigit() or w in SMALL_NUMBERS[2:] for w in words(text))
    all_explain = all(EXPLAINS.search(clause.strip()) for clause in clauses)
    return bool(ADMITS.search(text)) and all_explain and not new_names and not has_number


GRADERS = {"facts": grade_facts, "identity": grade_identity, "arithmetic": grade_arithmetic, "letters": grade_letters,
           "reading": grade_told, "memory": grade_told, "story": grade_story, "unknown": grade_unknown}


def grade(skill: str, answer: str, meta: dict, text: str) -> float:
    """1.0 for a right answer, else 0.0. `answer` and `meta` as in tinyworld_chats.Item, `text` what is visible."""
    said, asked = words(text), words(meta["question"])
    is_echo = len(said) > 1 and asked[-len(said):] == said
    is_long = skill != "story" and len(said) > MAX_WORDS
    is_question = skill not in ("story", "identity") and text.strip().endswith("?")
    return float(not (is_echo or is_long or is_question) and GRADERS[skill](answer, meta, text))
