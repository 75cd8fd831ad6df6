"""Is an answer right? One strict grader per skill of the small world; 1.0 or 0.0, never anything between.

A grader sees the visible text only, without tool calls and their outputs. It wants what was asked and nothing that
contradicts it: listing every answer, echoing the question or hedging is wrong. It errs towards 0: a right answer in
an unforeseen wording may be refused, a wrong one should not pass. Left out: whether a story is a good one.
"""

import re
from decimal import Decimal

from nanochat.calculator import NUMBER_WORDS
from nanochat.tinyworld import COLOURS, bare
from nanochat.tinyworld_facts import FACTS, NUMBER_KINDS, in_digits, plain, singular

MAX_WORDS = 40           # an answer, not a list of guesses and not the story again; stories are exempt
SMALL_NUMBERS = NUMBER_WORDS[:13]  # up to twelve
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
    """The answer, and no other subject or answer of the same kind, save what the question itself names. Cow and cows
    are the same, 60 and sixty too."""
    answers, asked = FACTS[meta["kind"]].answers, meta["question"]
    rivals = {name.rpartition(" of ")[2] for name in answers} | set(COLOURS if meta["kind"] == "colour" else ())
    if meta["kind"] in NUMBER_KINDS:
        found = numbers(in_digits(text)) - numbers(in_digits(asked))
        is_right = found == numbers(in_digits(answer))
    else:
        rivals |= set(answers.values())
        is_right = has_phrase(singular(text), singular(plain(answer)))
    named = singular(f"{answer} {meta['key']} {asked}")
    rivals = {singular(plain(name)) for name in rivals if not has_phrase(named, singular(plain(name)))}
    return is_right and not NEGATION.search(text) and not any(has_phrase(singular(text), name) for name in rivals)


HAS = {  # aspect of tinyworld_chats.IDENTITY: what the answer must say
    "name": r"\bnanochat\b", "who": r"\bnanochat\b", "other": r"\bnanochat\b",
    "maker": r"\b(trained|made|built)\b.*\b(this|your) computer\b|\bowner\b.*\b(trained|made|built)\b",
    "where": r"\b(this|your) computer\b",
    "can": r"\b(stor(y|ies)|sums?|count|questions?|chat)\b.*\b(stor(y|ies)|sums?|count|questions?|calculator)\b",
    "human": r"\b(no|not)\b.*\b(program|model)\b|\b(program|model)\b.*\bnot\b",
    "how": r"\b(trained|learned)\b.*\b(stories|chats|scratch|this computer)\b",
    "size": r"\bsmall\b.*\bmistakes\b|\bmistakes\b.*\bsmall\b",
    "internet": r"\b(not|never|without|no)\b.*\b(internet|web|online)\b|^no\b.*\bthis computer\b|\boffline\b",
    "age": r"\b(trained|made|born|built)\b.*\b(short while|short time|not long|recently|lately)\b"
           r"|\b(very|still|so) young\b",
    "language": r"\benglish\b", "feelings": r"\b(no|not|never|without)\b.*\b(feelings?|feel)\b",
}
HAS_NOT = re.compile(
    r"\b(chatgpt|openai|gpt-?\d*|siri|alexa|claude|anthropic|gemini|google|copilot|microsoft|bard|llama|meta|cortana)\b"
    r"|\b(jarvis|amazon|apple)\b"
    r"|\bi am not (nanochat|a (computer )?program|a (small )?(language )?model)\b|\bnot (called )?nanochat\b"
    r"|\b(?:my name is|i am called|call me) (?!nanochat\b)\w+"
    r"|\bi(?: am|'m) (?:an? )?(?:real )?(?:human|person|man|woman|boy|girl|robot|large|big)\b"
    r"|\byes\b.*\b(human|person|alive|internet)\b"
    r"|\bin the cloud\b|\bon a server\b|\bnever make mistakes\b|\bi (use|am on|am connected to) the internet\b|\bor\b"
    r"|\bi (?:do |really )?(?:have|feel) (?!no\b|not\b)(?:\w+ )?(?:feelings?|happy|sad|pain|love)\b|\bi was born\b")
TONGUES = re.compile(r"\b(french|german|spanish|italian|chinese|japanese|latin|dutch|polish|russian|greek|danish"
                     r"|swedish|portuguese|turkish|all languages|many languages|every language)\b")


def grade_identity(answer, meta, text):
    low = " ".join(text.lower().split())
    claims = re.split(r"[.,;:!?]|\band\b|\bbut\b", low)
    denied = meta["aspect"] in ("human", "other", "internet", "feelings") and low.startswith("yes")
    denied |= meta["aspect"] == "age" and bool(numbers(low) or re.search(r"\b(years|(?<!not )long ago|old)\b", low))
    denied |= any(TONGUES.search(claim) and not NEGATION.search(claim) for claim in claims)
    return bool(re.search(HAS[meta["aspect"]], low)) and not HAS_NOT.search(low) and not denied


def grade_arithmetic(answer, meta, text):
    return last_number(text) == Decimal(answer)


def spelled_out(text: str) -> str:
    """The longest run of single letters: "b a k e" in "I spell it: b a k e."."""
    runs = re.findall(r"(?<!\w)(?:[a-z](?:\W+|$)){2,}", text.lower())
    return "".join(words(max(runs, key=len))) if runs else ""


def grade_letters(answer, meta, text):
    """A count: the last number, in digits or as a word. A spelling: all letters. First and last: the letter named."""
    if NEGATION.search(text):
        return False
    if meta["kind"] == "spell":
        return spelled_out(text) == "".join(words(answer))
    if meta["kind"] in ("first", "last"):
        return [word for word in words(sentences(text)[-1]) if len(word) == 1] == [answer] if words(text) else False
    spelled = re.sub(r"\b(" + "|".join(SMALL_NUMBERS) + r")\b", lambda m: str(SMALL_NUMBERS.index(m[0].lower())), text,
                     flags=re.I)
    return last_number(spelled) == Decimal(answer)


def in_words(text: str) -> str:
    """Numbers up to twelve as words."""
    return re.sub(r"\b\d{1,2}\b", lambda m: SMALL_NUMBERS[int(m[0])] if int(m[0]) <= 12 else m[0], text)


def grade_told(answer, meta, text):
    """Reading and memory: the value, and none of its rivals from the same story or chat."""
    return says_only(in_words(text), in_words(answer), [in_words(rival) for rival in meta["rivals"]])


MOOD_SIGNS = {"": r"", "happy": r"\b(happy|happily|happier|glad|joy|danced|celebrated)\b",
              "sad": r"\b(sad|sadly|cried|alone|lonely|tears)\b",
              "funny": r"\b(laugh\w*|funny|giggled|joke)\b",
              "scary": r"\b(scary|scared|afraid|frightened|fear|trembled|shivered)\b",
              "sleepy": r"\b(asleep|sleep|sleeps|slept|sleepy|dreamed|yawned)\b"}
ENDINGS = re.compile(r"((^|[.!?][\"']?\s+)(the end|good ?night|th(is|at) (is|was) the end( of \w+ story)?)"
                     r"|happily ever after)[.!]*[\"']?$", re.I)


def grade_story(answer, meta, text):
    """At least three sentences, none said twice, that mention every wished thing; the mood near the end; an ending."""
    wish = meta["wish"]
    body = [line for line in sentences(text) if not ENDINGS.match(line)]
    told = [tuple(words(line)) for line in body if len(words(line)) >= 4]
    is_told = len(told) == len(set(told)) >= 3
    wished = all(has_phrase(" ".join(body), wish[key]) for key in ("hero", "treasure", "place") if wish[key])
    return (is_told and wished and bool(ENDINGS.search(text.strip()))
            and bool(re.search(MOOD_SIGNS[wish["mood"]], " ".join(body[-3:]), re.I)))


ADMITS = re.compile(r"\b(don't|do not|cannot|can't) (know|tell|say)\b|\bno idea\b|\bnot known to me\b|\bnever heard\b"
                    r"|\bnot sure\b", re.I)
REASONS = re.compile(  # who does not know, or of what nothing is known; "it is not Paris" is a guess, not a reason
    r"^(please|you (can|could)|ask|(i am |i'm )?sorry|no idea)\b"
    r"|\b(i|my|me|nobody|no one|we)\b.*\b(not|cannot|never|no|outside)\b|\bi\b.*n't\b"
    r"|^(nobody|no one|only you)\b|\byou (have not|haven't|did not|didn't|never)\b"
    r"|\b(not known|unknown|cannot be|can't be)\b|^(this|that)( name| word)? is (not in|outside|new to|unknown)", re.I)


def grade_unknown(answer, meta, text):
    """Admits it, and every clause is the admission or its reason: no number, no new name, no guess."""
    clauses = [c for c in re.split(r"[.!?;:,]|\bbut\b|\band\b|\bbecause\b|\bhowever\b|\bso\b", text) if words(c)]
    asked = set(words(meta["question"]))
    new_names = {w.lower() for c in clauses for w in re.findall(r"\b[A-Z]\w*", c.strip()[1:])} - asked - {"i"}
    has_number = any(w.isdigit() or w in SMALL_NUMBERS[2:] for w in words(text))
    all_explain = all(ADMITS.search(clause) or REASONS.search(clause.strip()) for clause in clauses)
    return bool(ADMITS.search(text)) and all_explain and not new_names and not has_number


COMPARISONS = re.compile(r"\b(?:(?:bigg|larg|great|small|heavi|light|fast|quick|slow|old|young|tall|short|rich|poor"
                         r"|strong|weak|earli)(?:er|est)|later|last|first|more|less)\b")
BARE_YES = {"yes": ("", "it is", "that is right", "that is true"), "no": ("", "it is not", "that is wrong")}


def grade_comparing(answer, meta, text):
    """The winner alone, or more than its rival, or after who is in the middle; a yes or no must be the right one; an order
    must be the whole one."""
    if meta["kind"].startswith("order"):
        parts = answer.split(", ")
        return [w for w in words(text) if w in parts or w.isdigit()] == parts and not NEGATION.search(text)
    low = " ".join(text.lower().split())
    yes = re.match(r"(yes|no)\b[,.!]?\s*", low)
    if yes and yes[1] != meta["yes"]:
        return False
    said = low[yes.end():] if yes else low
    if yes and " ".join(words(said)) in BARE_YES[yes[1]]:
        return True
    if meta.get("middle"):
        middle = re.escape(meta["middle"].lower())
        said = re.sub(rf"^(in the middle is {middle}|{middle} is (in the middle|between them)), so ", "", said)
    for rival in meta["rivals"]:
        said = re.sub(rf"(?<=(?:er|re|ss) than )(an? |the )?{re.escape(rival.lower())}\b", "", said)
    listed = {w for w in words(said) if w.isdigit()} - {answer} or re.search(r"\b(and|both|same|equal\w*)\b", said)
    fits = set(COMPARISONS.findall(said)) <= set(meta["words"])
    return fits and not listed and says_only(said, answer, meta["rivals"])


def one_of_it(thing: str) -> str:
    """A plural's singular, so that an apple counts among apples; the letter s stays itself."""
    thing = bare(thing.strip().lower()).rstrip(".")
    return thing.removesuffix("s") or thing


def listed_right(text, meta):
    """As many different things as wanted, each of the wanted kind, each line or part of the wanted form."""
    form, allowed = meta["kind"], {one_of_it(thing) for thing in meta["allowed"]}
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    if form == "commas":
        found = re.split(r", and |, | and ", lines[0].rstrip(".!")) if len(lines) == 1 else []
    else:
        marks = ["- " if form == "list" else f"{i}. " for i in range(1, len(lines) + 1)]
        found = [line[len(mark):] if line.startswith(mark) else "" for line, mark in zip(lines, marks)]
    things = [one_of_it(thing) for thing in found]
    return len(things) == len(set(things)) == meta["count"] and set(things) <= allowed


def grade_format(answer, meta, text):
    """The right content, in the format that was asked for and in no other."""
    form, said = meta["kind"], text.strip()
    if "allowed" in meta:
        return listed_right(text, meta)
    if form in ("word", "often"):
        return words(said) == words(answer)
    if form == "yes or no":
        return words(said) == [answer]
    if form == "number":
        return bool(re.fullmatch(r"\d+\.?", said)) and numbers(said) == numbers(answer)
    spoken = words(said)
    if form == "twice":
        half = " ".join(spoken[:len(spoken) // 2])
        return spoken == words(half) * 2 and fact_is_right(answer, meta, half)
    if form == "start":
        start, _, rest = said.partition(" ")
        return words(start) == [meta["start"].lower()] and fact_is_right(answer, meta, rest)
    looks_right = {"capital letters": said == said.upper(), "small letters": said == said.lower(),
                   "sentence": len(spoken) >= 3 and said[:1].isupper() and said[-1:] in (".", "!"),
                   "full stop": said.endswith(".") and not said.endswith(".."), "exclamation": said.endswith("!")}
    return looks_right[form] and fact_is_right(answer, meta, said)


def fact_is_right(answer, meta, text):
    kind, key = meta["fact"]
    return grade_facts(answer, {"kind": kind, "key": key, "question": meta["question"]}, text)


GRADERS = {"facts": grade_facts, "identity": grade_identity, "arithmetic": grade_arithmetic, "letters": grade_letters,
           "reading": grade_told, "memory": grade_told, "story": grade_story, "unknown": grade_unknown,
           "comparing": grade_comparing, "format": grade_format}


def grade(skill: str, answer: str, meta: dict, text: str) -> float:
    """1.0 for a right answer, else 0.0. `answer` and `meta` as in tinyworld_chats.Item, `text` what is visible."""
    if skill == "followup":
        skill, meta = meta["skill"], meta["of"]
    said, asked, prompt = words(text), words(meta["question"]), words(meta.get("prompt", ""))
    is_echo = len(said) > 1 and (asked[-len(said):] == said or prompt == said)
    is_long = skill != "story" and len(said) > MAX_WORDS
    is_question = skill not in ("story", "identity") and text.strip().endswith("?")
    return float(not (is_echo or is_long or is_question) and GRADERS[skill](answer, meta, text))
