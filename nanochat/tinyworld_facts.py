"""What is always true in the small world: about 400 facts, asked and told in many ways, and the town of Larkbrook.

A fact is (kind, key, answer), such as ("capital", "France", "Paris"). A kind has wordings that tell it (`says`) and
wordings that ask for it. Most questions are a noun phrase ("the capital of {x}") or a clause ("where {x} lives") put
into frames that all kinds share; the others are the kind's own. Every split knows every fact; which question belongs
to which split is decided by the question's words. No eight words in a row of a held-out question are asked in train.
The town's tables (TOWN, NEXT_TO, RESIDENTS, WARES) are here for everyone who tells of it.
Left out: seasons south of the equator, doubtful answers (what is the opposite of "old"?), and reasons.
"""

import functools
import random
import re
from typing import Callable, NamedTuple

from nanochat.calculator import NUMBER_WORDS
from nanochat.tinyworld import (DAYS, MONTHS, SPLITS, Asks, capital, core, expand, is_apart, spans_of_core, split_of,
                                table_of_pairs, with_articles)
from nanochat.tinyworld_wordings import FACT_ASKS, MORE_CLAUSE_FRAMES, MORE_NAME_FRAMES


class FactKind(NamedTuple):
    answers: dict[str, str]
    says: tuple[str, ...]    # the first two also answer questions
    asks: Asks


# -----------------------------------------------------------------------------
# The town

TOWN = {"town": "Larkbrook", "river": "the Tansy", "hill": "Owl Hill", "lake": "Heron Lake", "forest": "Fern Wood",
        "inn": "the Golden Hen", "ferry": "the Blue Gull"}

NEIGHBOURS = (  # every place has one neighbour, so that "what is next to ...?" has one answer
    ("bakery", "post office"), ("school", "library"), ("market", "town hall"), ("park", "playground"),
    ("harbour", "lighthouse"), ("museum", "theatre"), ("station", "inn"), ("farm", "mill"), ("castle", "tower"),
    ("church", "bookshop"))
NEXT_TO = dict(NEIGHBOURS) | {y: x for x, y in NEIGHBOURS}


class Resident(NamedTuple):
    name: str
    he: str       # he or she
    job: str
    street: str
    pet: str
    likes: str


RESIDENTS = {row[0]: Resident(*row) for row in (
    ("Mrs Plum", "she", "baker", "Rose Street", "parrot", "dancing"),
    ("Mr Reed", "he", "fisherman", "Harbour Street", "cat", "chess"),
    ("Miss Clover", "she", "teacher", "Apple Street", "rabbit", "singing"),
    ("Mr Finch", "he", "doctor", "Castle Street", "dog", "fishing"),
    ("Captain Gull", "he", "sailor", "Harbour Street", "turtle", "knitting"),
    ("Mrs Thorn", "she", "gardener", "Garden Street", "hedgehog", "painting"),
    ("Mr Oak", "he", "carpenter", "Mill Street", "duck", "swimming"),
    ("Miss Wren", "she", "singer", "Rose Street", "canary", "running"),
    ("Mr Barley", "he", "miller", "Mill Street", "goat", "football"),
    ("Mrs Page", "she", "librarian", "Apple Street", "mouse", "climbing"),
    ("Mr Stone", "he", "builder", "Castle Street", "lizard", "cooking"),
    ("Miss Cotton", "she", "tailor", "Church Street", "goldfish", "hiking"),
    ("Mr Bell", "he", "postman", "Church Street", "ferret", "reading"),
    ("Aunt Maple", "she", "cook", "Garden Street", "hen", "tennis"),
    ("Uncle Bram", "he", "shopkeeper", "Market Street", "hamster", "skating"),
    ("Mrs Winter", "she", "mayor", "Market Street", "pony", "cycling"))}


class Ware(NamedTuple):
    price: int    # in coins
    colour: str


WARES = {  # the shop of Uncle Bram
    "candle": Ware(2, "white"), "whistle": Ware(3, "silver"), "ball": Ware(4, "blue"), "cup": Ware(5, "yellow"),
    "kite": Ware(6, "red"), "bell": Ware(7, "golden"), "puzzle": Ware(8, "purple"), "book": Ware(9, "brown"),
    "hat": Ware(10, "green"), "doll": Ware(11, "pink"), "drum": Ware(12, "orange"), "umbrella": Ware(13, "black"),
    "lamp": Ware(14, "turquoise"), "teapot": Ware(15, "violet"), "mirror": Ware(16, "grey"), "clock": Ware(20, "beige")}


# -----------------------------------------------------------------------------
# Ways to ask. Slots: {x} and {y} as in the table, {X} {Y} with a capital, {n} is x without its article, {s} {S} its
# plural. Of "legs of a spider" {n} and {o} ({O}) are the two halves, and {s} is the plural of the second. A job has a
# verb {v} ({vs}), a workplace a word {at}, a ware a colour {c}.

NAME_FRAMES = (
    "[What is|What's|So what is] {it}?", "[Tell me|Please tell me|Give me] {it}.", "{it}?",
    "I [forgot|need to know|want to know] {it}.", "[Do you know|Can you tell me|Could you tell me] {it}?",
    "And {it}?", "[Name|Say] {it}.", "{it}, please.", "What might {it} be?")
CLAUSE_FRAMES = (
    "[Tell me|Please tell me|I wonder|I forgot|I want to know|I would like to know|I do not know|Guess] {it}.",
    "[Do you know|Can you tell me|Could you tell me|Do you remember|Can you say|Any idea] {it}?",
    "I am not sure {it}.", "My [friend|teacher|son] asks {it}.", "[Say|Explain] {it}.")


def asks(names: str, clauses: str, own: tuple[str, ...], val: tuple[str, ...], test: tuple[str, ...]) -> Asks:
    """All frames around the noun phrases and clauses ("/" between them), then the kind's own questions."""
    def framed(name_frames, clause_frames):
        return tuple(frame.replace("{it}", it) for frames, its in ((name_frames, names), (clause_frames, clauses))
                     for it in its.split("/") if it for frame in frames)
    clause = clauses.split("/")[0]
    return Asks(framed(NAME_FRAMES, CLAUSE_FRAMES) + own,
                val=(f"Please let me know {clause}.", f"I am asking myself {clause}.", *val),
                test=(f"Help me remember {clause}.", f"Somebody asked me {clause}.", *test),
                train=framed(MORE_NAME_FRAMES, MORE_CLAUSE_FRAMES))


def _pairs(text: str) -> dict[str, str]:
    return dict(table_of_pairs(text))


def both_ways(pairs: dict[str, str]) -> dict[str, str]:
    return pairs | {y: x for x, y in pairs.items()}


def _next_in(ring: list[str], step: int) -> dict[str, str]:
    return {x: ring[(i + step) % len(ring)] for i, x in enumerate(ring)}


def following(ring: list[str], unit: str, own: tuple[str, ...]) -> FactKind:
    """Days or months, one step on."""
    own += ("[What|Which] UNIT [comes|is] [|right |next |just ]after {x}?", "What comes [|right ]after {x}?",
            "[Which|What] UNIT follows {x}?", "{x} is over. [What|Which] UNIT comes now?",
            "What is one UNIT after {x}?",
            "What [is the next UNIT|UNIT is next] after {x}?", "After {x} comes which UNIT?", "What follows {x}?",
            "First comes {x}. What comes then?", "UNIT after {x}?", "When {x} ends, what UNIT begins?",
            "If it is {x} now, which UNIT is next?")
    asked = asks("the UNIT after {x}/the UNIT that follows {x}", "[which|what] UNIT comes after {x}", own,
                 ("Which UNIT do we have after {x}?",), ("{x} is over. Which UNIT is next?",))
    says = ("The UNIT after {x} is {y}.", "{y} comes after {x}.", "After {x} comes {y}.", "{y} follows {x}.",
            "When {x} is over, {y} begins.", "One UNIT later than {x} is {y}.", "First comes {x} and then comes {y}.")
    return of_unit(FactKind(_next_in(ring, 1), says, asked), unit)


def preceding(ring: list[str], unit: str, own: tuple[str, ...]) -> FactKind:
    """Days or months, one step back."""
    own += ("[What|Which] UNIT [comes|is] [|right |just ]before {x}?", "What comes [|right ]before {x}?",
            "[Which|What] UNIT was there before {x}?", "What is one UNIT before {x}?", "UNIT before {x}?",
            "Before {x} comes which UNIT?", "Which UNIT is followed by {x}?", "When {x} begins, what UNIT has ended?",
            "If it is {x} now, which UNIT was before?", "{x} comes after which UNIT?", "{x} follows which UNIT?",
            "Which UNIT ends when {x} begins?")
    asked = asks("the UNIT before {x}/the UNIT just before {x}", "[which|what] UNIT comes before {x}", own,
                 ("Which UNIT do we have before {x}?",), ("It is {x}. Which UNIT was just before it?",))
    says = ("The UNIT before {x} is {y}.", "{y} comes before {x}.", "Before {x} comes {y}.",
            "One UNIT earlier than {x} is {y}.", "Just before {x} we have {y}.", "{y} is the UNIT before {x}.",
            "When {x} begins, {y} has ended.")
    return of_unit(FactKind(_next_in(ring, -1), says, asked), unit)


def of_unit(kind: FactKind, unit: str) -> FactKind:
    def fill(forms):
        return tuple(form.replace("UNIT", unit) for form in forms)
    return FactKind(kind.answers, fill(kind.says), Asks(*map(fill, kind.asks)))


# -----------------------------------------------------------------------------
# The wide world

OPPOSITES = _pairs("""big:small, hot:cold, fast:slow, happy:sad, day:night, up:down, open:closed, full:empty, wet:dry,
rich:poor, hard:soft, early:late, clean:dirty, loud:quiet, strong:weak, near:far, good:bad, tall:short, heavy:light,
bright:dark, thick:thin, wide:narrow, deep:shallow, sweet:sour, left:right, easy:difficult, buy:sell, push:pull,
north:south, awake:asleep""")

DOES = _pairs("""a baker:bake bread, a teacher:teach children, a doctor:help sick people, a farmer:grow vegetables,
a painter:paint pictures, a tailor:sew clothes, a cook:cook meals, a singer:sing songs, a dentist:mend teeth,
a librarian:lend books, a fisherman:catch fish, a builder:build houses, a pilot:fly planes, a postman:bring letters""")

WIDE_WORLD = {
    "capital": FactKind(
        _pairs("""France:Paris, Germany:Berlin, Italy:Rome, Spain:Madrid, Portugal:Lisbon, England:London,
Ireland:Dublin, Norway:Oslo, Sweden:Stockholm, Denmark:Copenhagen, Finland:Helsinki, Poland:Warsaw, Austria:Vienna,
Greece:Athens, Hungary:Budapest, Russia:Moscow, Egypt:Cairo, Japan:Tokyo, China:Beijing, Canada:Ottawa,
Cuba:Havana, Kenya:Nairobi, Belgium:Brussels, Peru:Lima"""),
        ("The capital of {x} is {y}.", "{y} is the capital of {x}.", "{x} has a capital called {y}.",
         "In {x}, the capital city is {y}.", "The capital city of {x} is called {y}.",
         "Many people visit {y}, the capital of {x}."),
        asks("the capital of {x}/the capital city of {x}/{x}'s capital", "[what|which city] the capital of {x} is",
             ("[Which|What] city is the capital of {x}?", "Name the capital of {x}.", "{x} has which capital?",
              "Capital of {x}?", "Which capital belongs to {x}?", "[What|Which] capital does {x} have?",
              "I am [in|going to] {x}. What is its capital?", "What do people call the capital of {x}?",
              "I want to [see|visit] the capital of {x}. Which city is [that|it]?", "{x}: what is the capital?",
              "If I visit {x}, which city is the capital?",
              "[In|For] {x}, which city is the capital?"),
             ("Which city do we call the capital of {x}?", "My aunt lives in {x}. What is its capital called?"),
             ("The name of the capital of {x}, if you know it?", "Which city of {x} is its capital?"))),
    "sound": FactKind(
        _pairs("""a cow:moo, a dog:woof, a cat:meow, a duck:quack, a sheep:baa, a horse:neigh, a pig:oink, a lion:roar,
a frog:croak, a bee:buzz, an owl:hoot, a snake:hiss, a mouse:squeak, a hen:cluck, a crow:caw"""),
        ("{X} says {y}.", "The sound of {x} is {y}.", "The {n} says {y}.", "{Y} is the sound that {x} makes.",
         "When you hear {y}, it is {x}.", "{Y}, says the {n}."),
        asks("the sound of {x}/the [sound|noise] that {x} makes", "[what|which] [sound|noise] {x} makes/what {x} says",
             ("[What|Which] [sound|noise] [does {x}|does the {n}|do {s}] make?",
              "What [does {x}|does the {n}|do {s}] say?", "How [does {x}|do {s}] sound?",
              "[Which|What] [sound|noise] comes from {x}?", "{S} make [what|which] [sound|noise]?",
              "{S} say what?", "What do I hear when I meet {x}?", "If I hear {x}, what sound is it?",
              "Can you [make|do] the sound of {x}?", "Sound of {x}?", "What noise do you hear from {x}?"),
             ("What noise do we hear from {x}?",), ("I hear {x}. Which sound is that?",))),
    "baby": FactKind(
        _pairs("""a dog:a puppy, a cat:a kitten, a cow:a calf, a sheep:a lamb, a horse:a foal, a duck:a duckling,
a hen:a chick, a bear:a cub, a pig:a piglet, a goat:a kid, a frog:a tadpole, a deer:a fawn, a goose:a gosling,
a swan:a cygnet, a kangaroo:a joey"""),
        ("A baby {n} is called {y}.", "A young {n} is {y}.", "The baby of {x} is {y}.",
         "{Y} is a baby {n}.", "{X} was once {y}.", "When {x} is very young, it is called {y}."),
        asks("the [name|word] for a [baby|young] {n}/the baby of {x}",
             "what a [baby|young] {n} is called/what we call a [baby|young] {n}",
             ("What [is|do you call|do we call] [a baby|a young] {n}?", "What is a [baby|young] {n} called?",
              "What are [baby|young] {s} called?", "What is the baby of {x} called?", "Baby {n}?",
              "What do people call a [baby|young] {n}?", "A [baby|young] {n} is called what?",
              "{X} has a baby. What is it called?", "If {x} has a baby, what is it?",
              "[What|Which] name does a baby {n} have?"),
             ("What do people call the child of {x}?",), ("{X} has a baby. What do we call it?",))),
    "opposite": FactKind(
        both_ways(OPPOSITES),
        ("The opposite of {x} is {y}.", "{Y} is the opposite of {x}.", "{X} is the opposite of {y}.",
         "The words {x} and {y} are opposites.", "{X} and {y} are opposites.",
         "The word {y} means the opposite of {x}."),
        asks("the opposite of {x}/the opposite of the word {x}",
             "what the opposite of {x} is/[which|what] word is the opposite of {x}",
             ("[Name|Find] the opposite of {x}.", "[What|Which] word is the opposite of {x}?",
              "[What|Which] word means the opposite of {x}?", "{X} is the opposite of [what|which word]?",
              "What would be the opposite of {x}?", "Opposite of {x}?", "{X}: what is the opposite?",
              "If I say {x}, what is the opposite?", "The word is {x}. What is its opposite?",
              "How do you say the opposite of {x}?", "{X} and what are opposites?", "The opposite of {x} is what?",
              "[What|Which] word is opposite to {x}?"),
             ("Find a word that is the opposite of {x}.",), ("I need a word for the opposite of {x}.",))),
    "colour": FactKind(
        _pairs("""grass:green, snow:white, the sky:blue, blood:red, a banana:yellow, a lemon:yellow, coal:black,
a carrot:orange, a strawberry:red, chocolate:brown, milk:white, an elephant:grey, a flamingo:pink,
a tomato:red, a crow:black"""),
        ("{X} is {y}.", "The colour of {x} is {y}.", "{Y} is the colour of {x}.", "Everybody knows that {x} is {y}.",
         "If you paint {x}, take {y}.", "It is as {y} as {x}."),
        asks("the [colour|color] of {x}/the colour that {x} has", "[which|what] colour {x} is/which color {x} has",
             ("[What|Which] [colour|color] [is|has] {x}?", "[What|Which] [colour|color] does {x} have?",
              "I [want to paint|am painting] {x}. Which colour do I [take|use]?",
              "{X} has [which|what] [colour|color]?",
              "{X} is [which|what] colour?", "Colour of {x}?", "If I see {x}, which colour do I see?",
              "How would you colour {x}?", "I have no picture of {x}. What colour is it?"),
             ("{X}: which colour is it?",), ("I want to paint {x}. Which colour do I need?",))),
    "after": following(DAYS, "day", (
        "If today is {x}, what day is tomorrow?", "Today is {x}. What day is it tomorrow?",
        "Today is {x}. What is tomorrow?", "It is {x} today. Which day will tomorrow be?",
        "Yesterday was {x}. What day is today?")),
    "before": preceding(DAYS, "day", (
        "If today is {x}, what day was yesterday?", "Today is {x}. What day was it yesterday?",
        "It is {x}. What day was yesterday?", "It is {x} today. Which day was yesterday?",
        "Tomorrow is {x}. What day is today?")),
    "month": following(MONTHS, "month", (
        "Now it is {x}. What is the next month?", "Last month was {x}. What month is it now?")),
    "month before": preceding(MONTHS, "month", (
        "Now it is {x}. What was the last month?", "Next month is {x}. What month is it now?")),
    "season": FactKind(
        {month: ("winter", "spring", "summer", "autumn")[(i + 1) % 12 // 3] for i, month in enumerate(MONTHS)},
        ("The season of {x} is {y}.", "{x} is in {y}.", "{x} is a month of {y}.", "When {x} comes, it is {y}.",
         "In {x} it is {y} in our town.", "{Y} is the season of {x}."),
        asks("the season of {x}/the season in {x}", "[which|what] season {x} is in/[which|what] season it is in {x}",
             ("[Which|What] season is {x}[| in]?", "In [which|what] season is {x}?", "{x} is in [which|what] season?",
              "[Which|What] season does {x} belong to?", "[What|Which] season [is it|do we have] in {x}?",
              "It is {x}. [Which|What] season is it?", "Season of {x}?", "{x} is a month of which season?",
              "{x}: which season?", "When it is {x}, which season is it?",
              "My birthday is in {x}. Which season is that?", "I was born in {x}. What season was it?"),
             ("Which season do we call it in {x}?",), ("Which season comes to us in {x}?",))),
    "parts": FactKind(
        _pairs("""legs of a spider:eight, legs of a dog:four, legs of a bird:two, legs of an ant:six,
legs of a cat:four, wheels of a bicycle:two, wheels of a car:four, fingers of a hand:five, toes of a foot:five,
sides of a triangle:three, sides of a square:four, arms of an octopus:eight, legs of a horse:four,
strings of a violin:four, legs of a bee:six, legs of a cow:four"""),
        ("{O} has {y} {n}.", "There are {y} {n} on {o}.", "The number of {n} of {o} is {y}.",
         "You can count {y} {n} on {o}.", "{Y} {n}: that is what {o} has.", "Every child knows that {o} has {y} {n}."),
        asks("the number of {n} [of|on] {o}", "how many {n} {o} has/how many {n} {s} have/how many {n} are on {o}",
             ("How many {n} [does {o} have|do {s} have|has {o}|are there on {o}|are on {o}|can you count on {o}]?",
              "{O} has how many {n}?", "{S} have how many {n}?", "Count the {n} of {o}.", "{O}: how many {n}?",
              "I [am drawing|am painting|draw] {o}. How many {n} do I [draw|paint]?", "Number of {n} of {o}?",
              "If I see {o}, how many {n} are there?", "If I count the {n} of {o}, what do I get?"),
             ("How many {n} will I find on {o}?",), ("I am drawing {o}. How many {n} does it need?",))),
    "time": FactKind(
        _pairs("""days of a week:7, months of a year:12, hours of a day:24, minutes of an hour:60,
seconds of a minute:60, letters of the alphabet:26, colours of the rainbow:7, seasons of a year:4, days of a year:365,
weeks of a year:52, years of a century:100, players of a football team:11"""),
        ("There are {y} {n} in {o}.", "{O} has {y} {n}.", "In {o} there are {y} {n}.", "{y} {n} make {o}.",
         "Count the {n} in {o} and you get {y}.", "Every child learns that {o} has {y} {n}."),
        asks("the number of {n} in {o}", "how many {n} {o} has/how many {n} are in {o}/how many {n} make {o}",
             ("How many {n} [are in|are there in|make|make up] {o}?", "How many {n} [does {o} have|has {o}]?",
              "{O} has how many {n}?", "{O} is how many {n}?", "Count the {n} in {o}.", "{O}: how many {n}?",
              "How many {n} do I count in {o}?", "Number of {n} in {o}?", "In {o}, how many {n} are there?",
              "If I count all {n} in {o}, what do I get?", "How many {n} do we have in {o}?"),
             ("If I count the {n} in {o}, how many do I get?",), ("How many {n} would you count in {o}?",))),
    "home": FactKind(
        _pairs("""a bee:a hive, a bird:a nest, a dog:a kennel, a horse:a stable, a fox:a den, a rabbit:a burrow,
a spider:a web, a pig:a sty, a cow:a barn, a hen:a henhouse, a whale:the sea, a camel:the desert, a frog:a pond"""),
        ("{X} lives in {y}.", "The home of {x} is {y}.", "In {y} lives {x}.", "{X} has its home in {y}.",
         "If you look for {x}, look in {y}.", "{Y} is a good home for {x}."),
        asks("the home of {x}/the place where {x} lives", "where [{x} lives|{s} live]/where {x} has its home",
             ("Where [does {x}|does the {n}|do {s}] live?", "[What|Which] home does {x} have?",
              "Where is {x} at home?", "Where [can I|do I|do we] find [{x}|{s}]?", "{X} lives where?",
              "{S} live where?", "In what [does {x}|do {s}] live?", "What is the home of {x} called?",
              "What do you call the home of {x}?", "Home of {x}?", "If I look for {x}, where do I look?",
              "Where do {s} have their home?", "In which place does {x} live?"),
             ("Which place is home for {x}?",), ("Where would you look for {x}?",))),
    "work": FactKind(
        {job: does.partition(" ")[2] for job, does in DOES.items()},
        ("{X} {vs} {y}.", "The job of {x} is to {v} {y}.", "{S} {v} {y}.", "Every day {x} {vs} {y}.",
         "If you want to {v} {y}, become {x}.", "The work of {x} is easy to say: to {v} {y}."),
        asks("the [work|job] of {x}", "what {x} does/what {s} do/what the job of {x} is",
             ("What [does {x}|do {s}] do[| all day| at work| for a living]?", "{X} does what?", "{S} do what?",
              "What is the [work|job|task] of {x}?", "What kind of work does {x} do?", "What work do {s} do?",
              "I want to be {x}. What will I do?", "If I become {x}, what do I do?", "Job of {x}?",
              "How does {x} spend the day?", "What are {s} good at?", "{X}: what kind of job is that?"),
             ("What do people need {x} for?",), ("My friend is {x}. What does my friend do?",))),
    "workplace": FactKind(
        _pairs("""a baker:a bakery, a teacher:a school, a doctor:a hospital, a farmer:a farm, a librarian:a library,
a sailor:a ship, a cook:a kitchen, a gardener:a garden, an actor:a theatre, a waiter:a restaurant"""),
        ("{X} works {at} {y}.", "The workplace of {x} is {y}.", "{S} work {at} {y}.", "You can meet {x} {at} {y}.",
         "Every morning {x} goes to work {at} {y}.", "{Y} is the workplace of {x}."),
        asks("the [workplace|place of work] of {x}/the place where {x} works", "where [{x} works|{s} work]",
             ("Where [does {x}|do {s}] [|go to ]work?", "{X} works where?", "{S} work where?",
              "[What|Which] place does {x} work [at|in]?", "In which place [does {x}|do {s}] work?",
              "Where [can I|do I] [meet|find] {x} at work?", "Where does {x} go in the morning?",
              "Workplace of {x}?", "I want to be {x}. Where will I work?", "If I need {x}, where do I go?",
              "Where is {x} all day?"),
             ("Which place is the workplace of {x}?",), ("My friend is {x}. Where does my friend work?",))),
    "from": FactKind(
        _pairs("""honey:bees, milk:cows, wool:sheep, an egg:hens, silk:silkworms, rain:clouds, sunlight:the sun"""),
        ("{X} comes from {y}.", "We get {x} from {y}.", "People get {x} from {y}.", "Thanks to {y} we have {x}.",
         "There would be no {n} without {y}.", "{Y} give us {x}."),
        asks("the origin of {x}", "[where|what] {x} comes from/where we get {x} from/[what|who] gives us {x}",
             ("[Where|What] does {x} come from?", "[Who|What] gives us {x}?",
              "Where do [we|people|you] get {x}[| from]?",
              "From [what|where] do [we|people] get {x}?", "{X} comes from [what|where]?", "Where is {x} from?",
              "{X}: where does it come from?", "I like {x}. Where does it come from?",
              "Whom do we thank for {x}?", "How do we get {x}?"),
             ("Who is it that gives us {x}?",), ("From where does {x} come to us?",))),
    "made": FactKind(
        _pairs("""butter:milk, cheese:milk, bread:flour, flour:wheat, paper:wood, a table:wood, glass:sand,
a window:glass, popcorn:corn, ice:water, a candle:wax, a tyre:rubber, a brick:clay, a scarf:wool"""),
        ("{X} is made from {y}.", "People make {x} from {y}.", "{X} is made of {y}.", "You need {y} to make {x}.",
         "{Y} is what {x} is made of.", "From {y} we make {x}."),
        asks("the material of {x}", "what {x} is made [of|from]/what [we|people] make {x} from/how {x} is made",
             ("What is {x} made [of|from|out of]?", "[From|Of|Out of] what is {x} made?",
              "{X} is made [of|from] what?", "What do [we|you|people] make {x} [from|out of]?",
              "[What|Which material] do I need to make {x}?", "I want to make {x}. What do I need?",
              "{X}: what is it made of?", "How do people make {x}, and from what?", "Which material is {x}?"),
             ("From which material do we make {x}?",), ("What would you take to make {x}?",))),
    "use": FactKind(
        _pairs("""a pen:to write, a knife:to cut, a broom:to sweep, a needle:to sew, a key:to open doors,
a clock:to tell the time, an umbrella:to stay dry, a bed:to sleep, a chair:to sit, a spade:to dig, an oven:to bake,
a camera:to take pictures, a map:to find the way, soap:to wash"""),
        ("We use {x} {y}.", "You need {x} {y}.", "People use {x} {y}.", "{X} is there {y}.", "{Y}, you need {x}.",
         "It is good to have {x} {y}."),
        asks("the use of {x}", "what {x} is for/what [we|people] use {x} for/what to do with {x}/why people need {x}",
             ("What is {x} [|used |good |there ]for?", "What do [we|you|people] use {x} for?",
              "What [can|do] I do with {x}?", "What do [we|you|people] do with {x}?", "For what do we [need|use] {x}?",
              "Why do [people|we] [have|need|use] {x}?", "I [have|found|got] {x}. What can I do with it?",
              "{X} is for what?", "{X}: what is it for?", "Use of {x}?", "When do I need {x}?"),
             ("What does {x} help people to do?",), ("I bought {x}. What is it good for?",))),
    "food": FactKind(
        _pairs("""a cow:grass, a rabbit:carrots, a horse:hay, a squirrel:nuts, a panda:bamboo, a monkey:bananas,
a lion:meat, a hen:corn, a giraffe:leaves, an owl:mice, a bear:berries, a spider:flies, a cat:fish"""),
        ("{X} eats {y}.", "The food of {x} is {y}.", "{S} eat {y}.", "If you want to feed {x}, bring some {y}.",
         "A hungry {n} looks for {y}.", "{S} like {y} very much."),
        asks("the food of {x}/the food that {x} eats", "what [{x} eats|{s} eat]/what {x} likes to eat",
             ("What [does {x}|does the {n}|do {s}] [|like to |want to ]eat?", "{X} eats what?", "{S} eat what?",
              "[What|Which] food does {x} [like|want|need]?", "What [can I|do I|do we] [give|feed] [{x}|to {x}]?",
              "I have {x}. What does it eat?", "What is good food for {x}?", "What do I need to feed {x}?",
              "Food of {x}?", "Food for {x}?", "If {x} is hungry, what does it eat?", "What do {s} live on?"),
             ("What would {x} have for dinner?",), ("{X} is hungry. What do I bring?",))),
}


# -----------------------------------------------------------------------------
# Larkbrook. Forms that name the town fall away by themselves where the town is the answer.

LARKBROOK = {
    "landmark": FactKind(
        {"the " + thing: name for thing, name in TOWN.items()},
        ("{X} is called {y}.", "The name of {x} is {y}.", "Our {n} is called {y}.", "People call {x} {y}.",
         "{Y} is the name of {x}.", "{Y} is our {n}."),
        asks("the name of [the|our|your] {n}/the name of the {n} of Larkbrook",
             "what [the|our|your] {n} is called/what the {n} in Larkbrook is called",
             ("What is [the|our|your] {n} called?", "What is the {n} [in|of|near] Larkbrook called?",
              "What do [you|people] call the {n}[| here| in Larkbrook]?", "[What|Which] name does the {n} have?",
              "What's your {n} called?", "Name of the {n}?", "The {n} has which name?",
              "Has the {n} a name? Which?"),
             ("Which name do people give to the {n}?",), ("I would like to know the name of your {n}.",))),
    "next": FactKind(
        {"the " + x: "the " + y for x, y in NEXT_TO.items()},
        # An answer that may begin with either place is answered by small models with the one that was asked, twice.
        ("Next to {x} is {y}.", "Beside {x} you find {y}.", "{X} is next to {y}.", "{Y} is next to {x}.",
         "{X} stands beside {y}.", "From {x} it is one step to {y}."),
        asks("the place next to {x}/the neighbour of {x}", "[what|which place] is [next to|beside] {x}",
             ("[What|Which place|What place] [is|stands|lies] [next to|beside] {x}[|| in Larkbrook]?",
              "What [do I|can I] find [next to|beside] {x}?", "{X} is [next to|beside] what?",
              "I am at {x}. What is [next to|beside] it?", "I stand at {x}. What do I see next to it?",
              "Next to {x}?", "What is the neighbour of {x}?", "Next to {x} is what?",
              "If I am at {x}, what is next to me?"),
             ("Which place has {x} as its neighbour?",), ("I work at {x}. What can I see next to it?",))),
    "job": FactKind(
        {r.name: "the " + r.job for r in RESIDENTS.values()},
        ("{x} is {y}.", "{x} is {y} of Larkbrook.", "{x} works as {y} of the town.", "{Y} of Larkbrook is {x}.",
         "In Larkbrook, {x} is {y}.", "Everybody knows {x}, {y}."),
        asks("the [job|work] of {x}/{x}'s job", "what {x} does/what {x}'s job is/what {x} is by job",
             ("What is {x}'s [job|work]?", "What does {x} do[| for a living| for work| all day| in Larkbrook]?",
              "[What|Which] job does {x} [have|do]?", "{x} has which job?", "What does {x} work as?", "{x}'s job?",
              "As what does {x} work?", "How does {x} earn money?", "What kind of [work|job] does {x} do?",
              "Who is {x}?", "Tell me about {x}'s job.", "If I meet {x} at work, what is the job?"),
             ("For what job is {x} known?",), ("I met {x}. Which job was that?",))),
    "who": FactKind(
        {"the " + r.job: r.name for r in RESIDENTS.values()},
        ("{X} is {y}.", "{y} is {x}.", "{X} of Larkbrook is {y}.", "If you need {x}, go to {y}.",
         "{X} of our town is called {y}.", "In our town, {y} is {x}."),
        asks("the name of {x}/the name of {x} of Larkbrook", "who {x} [is|in Larkbrook is]/who works as {x}",
             ("Who is {x}[| of Larkbrook| in Larkbrook| in the town| in our town| here]?", "Who works as {x}?",
              "Who is your {n}?", "Who is the {n} of your town?", "What is {x} called?", "{x}, who is that?",
              "[What|Which] name does {x} have?", "I am looking for {x}. Who is it?", "I need {x}. Whom do I ask?",
              "In Larkbrook, who is {x}?", "Which person is {x}?", "Whom do people call {x}?",
              "Who has the job of {x}?"),
             ("Who can you say is {x} here?",), ("I want to visit {x}. Who is that?",))),
    "street": FactKind(
        {r.name: r.street for r in RESIDENTS.values()},
        ("{x} lives in {y}.", "The house of {x} is in {y}.", "{x} has a house in {y}.", "In {y} lives {x}.",
         "You can visit {x} in {y}.", "{y} is where {x} lives."),
        asks("the street of {x}/{x}'s street/the street where {x} lives",
             "where {x} lives/[which|what] street {x} lives in/where {x}'s house is",
             ("Where does {x} live?", "[Which|What] street does {x} live in?", "In [which|what] street does {x} live?",
              "Where is [{x}'s house|the house of {x}]?", "Where is {x} at home?", "Where can I [find|visit] {x}?",
              "{x} lives where?", "{x} lives in [which|what] street?", "I want to visit {x}. Where do I go?",
              "I have a letter for {x}. Which street?", "Where do I find {x}'s house?",
              "If I want to see {x}, which street is it?"),
             ("To which street do I go to see {x}?",), ("I am looking for {x}. Which street is right?",))),
    "pet": FactKind(
        {r.name: "a " + r.pet for r in RESIDENTS.values()},
        ("{x} has {y}.", "The pet of {x} is {y}.", "{x}'s pet is {y}.", "At home {x} has {y}.",
         "{x} looks after {y}.", "{Y} lives with {x}."),
        asks("the pet of {x}/{x}'s pet/the animal of {x}", "[which|what] [pet|animal] {x} has/what {x}'s pet is",
             ("[Which|What] [pet|animal|kind of pet] does {x} have?", "What is {x}'s [pet|animal]?", "{x}'s pet?",
              "[Which|What] [pet|animal] has {x}?", "{x} has [which|what] pet?", "[Which|What] animal lives with {x}?",
              "Does {x} have a pet? Which?", "I hear that {x} has a pet. What is it?", "Whom does {x} feed at home?",
              "What animal does {x} [keep|own|feed]?", "If I visit {x}, which animal do I see?"),
             ("Which animal waits at home for {x}?",), ("{x} plays with an animal at home. Which one?",))),
    "likes": FactKind(
        {r.name: r.likes for r in RESIDENTS.values()},
        ("{x} likes {y}.", "The hobby of {x} is {y}.", "{x}'s hobby is {y}.", "{x} loves {y}.",
         "In the evening {x} enjoys {y}.", "{Y} makes {x} happy."),
        asks("the hobby of {x}/{x}'s hobby",
             "what {x} [likes|loves|likes to do]/what {x}'s hobby is/what makes {x} happy",
             ("What does {x} [like|love|enjoy|like to do|love to do|do for fun]?", "[What|Which] hobby does {x} have?",
              "What is {x}'s hobby?", "{x}'s hobby?", "{x} likes what?",
              "What makes {x} happy?", "[What|Which] hobby has {x}?", "Does {x} have a hobby? Which?",
              "How does {x} have fun?", "What does {x} do after work?"),
             ("For fun, what does {x} like best?",), ("When work is over, what does {x} enjoy?",))),
    "price": FactKind(
        {with_articles("a " + ware): str(price) for ware, (price, _) in WARES.items()},
        ("{X} costs {y} coins.", "The price of {x} is {y} coins.", "You pay {y} coins for {x}.",
         "In the shop, the {c} {n} costs {y} coins.", "Uncle Bram sells {x} for {y} coins.",
         "The {n} is {c} and costs {y} coins."),
        asks("the price of [{x}|the {n}|the {c} {n}]", "how much {x} costs/how many coins {x} costs/what the {n} costs",
             ("How [much|many coins] does {x} cost?", "How much is [{x}|the {n}]?",
              "What does [{x}|the {n}|the {c} {n}] cost?", "How many coins [do I need|do I pay|must I pay] for {x}?",
              "I want to buy {x}. [How much is it|What does it cost]?", "Price of {x}?", "{X} costs how much?",
              "If I buy {x}, how much do I pay?", "How much [money|do I pay] for {x}?", "{X}: how many coins?",
              "How much is the {c} {n} in the shop?", "How much does Uncle Bram want for {x}?",
              "How much does [{x}|the {n}] cost in Larkbrook?", "For how much can I buy {x}?"),
             ("How many coins must I bring for {x}?",), ("I would like to buy {x}. How many coins is that?",))),
}
FACTS = {name: kind._replace(asks=kind.asks.taught(FACT_ASKS[name]))
         for name, kind in (WIDE_WORLD | LARKBROOK).items()}
NUMBER_KINDS = ("parts", "time", "price")
TITLES = {
    "capital": "Capitals", "sound": "The sounds of animals", "baby": "Baby animals", "opposite": "Opposites",
    "colour": "The colours of things", "after": "The days of the week", "before": "One day earlier",
    "month": "The months of the year", "month before": "One month earlier", "season": "The four seasons",
    "parts": "Legs, wheels and sides", "time": "How many?", "home": "Where animals live", "work": "What people do",
    "workplace": "Where people work", "from": "Where things come from", "made": "What things are made of",
    "use": "What things are for", "food": "What animals eat", "landmark": "Names in Larkbrook",
    "next": "A walk through Larkbrook", "job": "The people of Larkbrook", "who": "Who is who in Larkbrook",
    "street": "Who lives where in Larkbrook", "pet": "The pets of Larkbrook", "likes": "What people in Larkbrook like",
    "price": "Prices in the shop"}


# -----------------------------------------------------------------------------
# From a fact to words

PLURALS = {"mouse": "mice", "sheep": "sheep", "goose": "geese", "deer": "deer", "foot": "feet",
           "fisherman": "fishermen", "postman": "postmen"}


def plain(noun: str) -> str:
    """Without a, an, the or to."""
    return re.sub("^(an?|the|to) ", "", noun)


def plural(noun: str) -> str:
    return PLURALS.get(noun) or re.sub("([sx]|[cs]h)$", r"\1e", re.sub("([^aeiou])y$", r"\1ie", noun)) + "s"


@functools.cache
def fact_slots(kind: str, key: str) -> dict[str, str]:
    x, y = key, FACTS[kind].answers[key]
    n, _, o = key.partition(" of ") if kind in ("parts", "time") else (plain(key), "", "")
    slots = {"x": x, "y": y, "n": n, "o": o, "s": plural(plain(o or x))}
    slots |= {letter.upper(): capital(text) for letter, text in slots.items()}
    if kind == "work":
        slots["v"] = DOES[key].split()[0]
        slots["vs"] = plural(slots["v"])  # English spells bakes, teaches and flies like a plural
    if kind == "workplace":
        slots["at"] = "on" if y in ("a farm", "a ship") else "in"
    if kind == "price":
        slots["c"] = WARES[n].colour
    return slots


def phrase(kind: str, key: str, form: str) -> str:
    return capital(with_articles(form.format(**fact_slots(kind, key))))


Questions = dict[tuple[str, str, str], str]  # (kind, key, bare words) -> question


def _worded(ways: Callable[[Asks], tuple[str, ...]]) -> Questions:
    """Every fact in every reading of its ways, but for questions that give their answer away."""
    found: Questions = {}
    for kind, (answers, _, asks) in FACTS.items():
        readings = expand(*ways(asks))
        for key, answer in answers.items():
            given_away = f" {plain(answer).lower()} "
            for form in readings:
                question = phrase(kind, key, form)
                words = core(question)
                if given_away not in f" {words} ":
                    found.setdefault((kind, key, words), question)
    return found


@functools.cache
def _shared_questions() -> dict[str, Questions]:
    """Of each split, by the hash of the bare words."""
    found: dict[str, Questions] = {split: {} for split in SPLITS}
    for asked, question in _worded(lambda asks: asks.shared).items():
        found[split_of("fact", asked[-1])][asked] = question
    return found


@functools.cache
def _all_questions(split: str, is_own: bool) -> Questions:
    return _worded(lambda asks: asks.own(split)) if is_own else _shared_questions()[split]


@functools.cache
def _held_out() -> tuple[frozenset[str], frozenset[tuple[str, ...]]]:
    """The bare questions of the other splits, and their spans of eight words."""
    cores = frozenset(words for split in ("val", "test") for is_own in (False, True)
                      for *_, words in _all_questions(split, is_own))
    return cores, frozenset().union(*map(spans_of_core, cores))


@functools.cache
def fact_questions(split: str, is_own: bool = False) -> tuple[tuple[str, str, str], ...]:
    """All (kind, key, question) of a split: the shared phrasings, each in one split by its words, or its own ones."""
    return tuple((kind, key, question) for (kind, key, words), question in _all_questions(split, is_own).items()
                 if split != "train" or is_apart(words, *_held_out()))


@functools.cache
def questions_by_fact(split: str, is_own: bool) -> dict[tuple[str, str], tuple[str, ...]]:
    """(kind, key): its questions, in training the short ones first."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for kind, key, question in fact_questions(split, is_own):
        grouped.setdefault((kind, key), []).append(question)
    return {fact: tuple(sorted(questions, key=len) if split == "train" else questions)
            for fact, questions in grouped.items()}


@functools.cache
def unanswerable(kind: str, key: str) -> tuple[str, ...]:
    """All that training asks for a fact of the kind, of a key that no fact tells of. Asked for in the plainest wordings
    alone, the unknown taught that these are never to be answered ("What is the opposite of hot?")."""
    slots = {"x": key, "n": plain(key), "s": plural(plain(key))}
    slots |= {letter.upper(): capital(text) for letter, text in slots.items()}
    cores, held_out_spans = _held_out()
    forms = expand(*FACTS[kind].asks.shared, *FACTS[kind].asks.train)
    questions = dict.fromkeys(capital(with_articles(form.format(**slots))) for form in forms)
    return tuple(question for question in questions if is_apart(core(question), cores, held_out_spans))


@functools.cache
def fact_sentences(kind: str, key: str) -> tuple[str, ...]:
    """The fact in all its wordings; the first two are meant as answers."""
    return tuple(phrase(kind, key, form) for form in FACTS[kind].says)


def answer_fact(rng: random.Random, kind: str, key: str) -> str:
    return rng.choice(fact_sentences(kind, key)[:2])


# -----------------------------------------------------------------------------
# Number words, and words compared by graders

ONES, TEENS = NUMBER_WORDS[:10], NUMBER_WORDS[10:20]
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()


def in_digits(text: str) -> str:
    """Number words below a thousand as digits: "three hundred and sixty-five days" gives "365 days"."""
    def tens(match):
        return str(10 * (2 + TENS.index(match[1])) + (ONES.index(match[2]) if match[2] else 0))

    def hundreds(match):
        return str(100 * int((match[1] or "1").replace("a", "1")) + int(match[2] or 0))

    text = re.sub(rf"\b({'|'.join(TENS)})(?:[ -]({'|'.join(ONES[1:])}))?\b", tens, text.lower())
    text = re.sub(rf"\b({'|'.join(ONES + TEENS)})\b", lambda m: str((ONES + TEENS).index(m[1])), text)
    return re.sub(r"\b(?:(\d|a) )?hundred(?:(?: and)? (\d\d?)\b)?", hundreds, text)


def singular(text: str) -> str:
    """Words without the s of a plural or a verb, so that "cows" meets "cow". For comparing only: glass gives glas."""
    return re.sub(r"(?<=[a-z]{3})s\b", "", text.lower())
