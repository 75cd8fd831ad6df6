"""Tales with a wish: somebody asks for a hero, an event, a treasure, a place or a mood, and is told a little story.

A tale has an opening, a trouble, an attempt, a friend, a turn and an end, each drawn from many wordings and in more
than one order. The hero and the treasure are named again and again, so that a very small model can hold on to them.
A wish may leave anything open; then the tale chooses. The pair (hero, treasure) decides which split a wish belongs to.
Left out: tales with two heroes, and events that nobody can wish for alone.
"""

import functools
import random
from typing import NamedTuple

from nanochat.tinyworld import COLOURS, DAYS, MONTHS, OWN_SHARE, PLACES, WEATHER, Asks, capital, expand, say, split_of
from nanochat.tinyworld_wordings import MOOD_KINDS, MOOD_WISHES, PLACE_WISHES, STORY_ASKS

HEROES = """fox rabbit bear mouse owl cat dog duck frog hedgehog squirrel horse goat pig hen lamb wolf deer badger
turtle crow donkey beaver otter lion monkey elephant penguin dragon king queen prince princess girl boy farmer sailor
baker painter wizard shepherd giant miller robot""".split()
# Wished for in training alone, so that what is measured stays as it is.
MORE_HEROES = """pirate witch dinosaur kitten puppy superhero mermaid fairy pony turkey tiger giraffe dolphin astronaut
clown ghost dwarf elf troll vampire goblin parrot koala panda hamster ladybird snail firefighter cowboy ninja unicorn
teacher grandmother grandfather goose cow sheep camel whale spider bee butterfly nurse doctor policeman""".split()
MORE_PLACES = "island forest garden cave beach lake village meadow circus hospital kitchen hill valley palace jungle".split()
TREASURES = {
    "key": "opened a little door in an old wall", "map": "showed the way to a secret garden",
    "lamp": "shone so brightly that the whole valley woke up", "bell": "rang so sweetly that all the birds listened",
    "book": "was full of songs that nobody knew", "coin": "could buy warm bread for everyone",
    "kite": "flew higher than the tallest tower", "umbrella": "kept all the small birds dry in the storm",
    "drum": "could be heard on the other side of the hill", "seed": "grew into a tree with silver leaves",
    "shell": "sounded like the sea", "ring": "sparkled like a star in the dark",
    "flute": "played a tune that made tired feet move", "balloon": "could carry a basket across the river",
    "ladder": "reached up to the lowest cloud", "mirror": "showed a friendly face to everybody",
    "rope": "was long enough to pull a boat out of the mud", "hat": "was big enough for a family of mice",
    "basket": "was never empty", "candle": "burned all night and never grew smaller",
    "letter": "told of a cousin who lived far away", "stone": "was warm even in the middle of winter",
    "feather": "could write all by itself", "whistle": "called every dog in the village",
    "boat": "never sank, not even in a storm", "ball": "jumped higher than the roof",
    "cake": "was enough for the whole village", "clock": "sang a song at noon", "crown": "fitted every head",
    "blanket": "was as soft as a cloud"}
GROWN = "apple pear lemon carrot potato turnip flower rose sunflower tree leaf nut bone egg".split()
MORE_TREASURES = GROWN + """lantern sword shield violin guitar trumpet wand cloak bottle bucket bag box doll robot pen
pencil brush scarf shirt shoe boot sock cup plate spoon pot pan wheel cart sledge spade hammer nail pie pancake sandwich
pizza loaf carpet chair table bed flag puzzle necklace ribbon telescope camera watch piano bicycle wagon car train
ship plane rocket picture poem""".split()
USES = """brought good luck|had belonged to a queen|was older than the town|had crossed the sea|came from the moon
|was a gift from a wizard|could not be sold|had a secret name|was never twice the same|had been lost for years
|made everybody smile|hummed at night""".replace("\n", "").split("|")
UNMADE = ("coin", "seed", "shell", "letter", "stone", "feather")  # nobody makes or repairs these
WISHED_LOOKS = "golden shiny magic little old big tiny lost red blue broken strange silver wooden".split()
MOODS = ("happy", "sad", "funny", "scary", "sleepy")

# -----------------------------------------------------------------------------
# Wishes

SHAPES = ((50, "hero treasure event"), (16, "hero treasure"), (18, "hero"), (8, "treasure"), (8, ""))


@functools.cache
def wish_split(hero: str, treasure: str, place: str = "", mood: str = "") -> str:
    """The split of a wish: by its hero and treasure, and only when both are open by its place and mood."""
    return split_of("wish", hero, treasure) if hero or treasure else split_of("wish", "", "", place, mood)


MORE_TREASURES_SHARE = 0.4


def wished(names: list[str], more: list[str], split: str) -> list[str]:
    return names + more if split == "train" else names


def draw_wish(rng: random.Random, split: str) -> dict[str, str]:
    """hero, event, treasure, place, mood; "" is not wished. An event is wished only with a hero and a treasure."""
    weights, shapes = zip(*SHAPES)
    while True:
        shape = rng.choices(shapes, weights)[0]
        hero = rng.choice(wished(HEROES, MORE_HEROES, split))
        is_taught = split == "train" and rng.random() < MORE_TREASURES_SHARE
        treasure = rng.choice(MORE_TREASURES if is_taught else tuple(TREASURES))
        wish = {"hero": hero if "hero" in shape else "",
                "event": rng.choice(events_of(treasure)) if "event" in shape else "",
                "treasure": treasure if "treasure" in shape else "",
                "place": rng.choice(wished(PLACES, MORE_PLACES, split)) if rng.random() < 0.3 else "",
                "mood": rng.choice(MOODS) if rng.random() < 0.5 else ""}
        if wish_split(*(wish[key] for key in ("hero", "treasure", "place", "mood"))) == split:
            return wish


@functools.cache
def events_of(treasure: str) -> tuple[str, ...]:
    is_made = treasure not in (*UNMADE, *GROWN)
    return tuple(event for event in EVENTS if is_made or event not in ("makes", "repairs"))


# How a wish is put into words. {kind} is "sad " before the word story, {mood} ", with a sad end" after all.
EVENT_ASKS = Asks(
    ("[Tell me|Write|Write me|Make up|Please tell me|Tell us|Read me] a [|short |little |new ]{kind}story about a {h} "
     "who {e} a {t}{place}{mood}.",
     "[Can|Could|Will|Would] you [tell me|write|make up] a [|short |little ]{kind}story about a {h} who {e} a "
     "{t}{place}{mood}?",
     "[I want|I would like|Give me|I'd love|I need] a {kind}story [about|of|with] a {h} who {e} a {t}{place}{mood}.",
     "[A|One] {kind}story, please: a {h} {e} a {t}{place}{mood}.", "Tell me how a {h} {e} a {t}{place}{mood}.",
     "Do you know a {kind}story [about|with] a {h} that {e} a {t}{place}{mood}?",
     "What happens when a {h} {e} a {t}{place}? Tell me a {kind}story{mood}.",
     "A {h} {e} a {t}{place}. [Tell me the {kind}story|Make a {kind}story of it|Now tell me a {kind}story about that]{mood}.",
     "{kind}story about a {h} who {e} a {t}{place}{mood}"),
    val=("Could I hear a {kind}tale of a {h} who {e} a {t}{place}{mood}?",
         "Imagine that a {h} {e} a {t}{place} and tell a {kind}story{mood}.",
         "How about a {kind}story where a {h} {e} a {t}{place}{mood}?"),
    test=("Invent a {kind}story in which a {h} {e} a {t}{place}{mood}.",
          "My child wants a {kind}story where some {h} {e} a {t}{place}{mood}.",
          "Please write down the {kind}story of a {h} who {e} a {t}{place}{mood}."))
PAIR_ASKS = Asks(
    ("[Tell me|Write|Write me|Make up|Please tell me|Tell us] a [|short |little |new ]{kind}story [about|with] a {h} "
     "and a {t}{place}{mood}.",
     "[Can|Could|Will] you [tell me|write|make up] a [|short |little ]{kind}story about a {h} and a {t}{place}{mood}?",
     "[I want|I would like|Give me|I'd love|I need] a {kind}story [about|with] a {h} and a {t}{place}{mood}.",
     "Do you know a {kind}story [about|with] a {h} and a {t}{place}{mood}?",
     "A {kind}story with [the words|a] {h} and {t}{place}, please{mood}.",
     "The {h} and the {t}: tell me that {kind}story{place}{mood}.", "{kind}story about a {h} and a {t}{place}{mood}"),
    val=("Could I hear a {kind}tale of a {h} and a {t}{place}{mood}?",
         "How about a {kind}story of a {h} and a {t}{place}{mood}?"),
    test=("Invent a {kind}story that has a {h} and a {t} in it{place}{mood}.",
          "My child wants a {kind}story with some {h} and some {t}{place}{mood}."))
HERO_ASKS = Asks(
    ("[Tell me|Write|Write me|Make up|Please tell me|Tell us|Read me] a [|short |little |new ]{kind}story "
     "[about|with] a {h}{place}{mood}.",
     "[Can|Could|Will|Would] you [tell me|write|make up] a [|short |little ]{kind}story about a {h}{place}{mood}?",
     "[I want|I would like|Give me|I'd love|I need] a {kind}story [about|with] a {h}{place}{mood}.",
     "Do you know a {kind}story [about|with] a {h}{place}{mood}?",
     "[A|One] {kind}story about a {h}{place}, please{mood}.",
     "My favourite animal or person is the {h}. Tell me a {kind}story about one{place}{mood}.",
     "Tell me something about a {h}{place} in a {kind}story{mood}.", "{kind}story about a {h}{place}{mood}"),
    val=("Could I hear a {kind}tale of a {h}{place}{mood}?", "How about a {kind}story with a {h} in it{place}{mood}?"),
    test=("Invent a {kind}story for me, with a {h} as the hero{place}{mood}.",
          "My child wants a {kind}story about some {h}{place}{mood}."))
TREASURE_ASKS = Asks(
    ("[Tell me|Write|Write me|Make up|Please tell me|Tell us] a [|short |little |new ]{kind}story [about|with] a "
     "{t}{place}{mood}.",
     "[Can|Could|Will] you [tell me|write|make up] a [|short |little ]{kind}story about a {t}{place}{mood}?",
     "[I want|I would like|Give me|I need] a {kind}story [about|with] a {t} in it{place}{mood}.",
     "A {kind}story about a {t}{place}, please{mood}.",
     "Tell me a {kind}story about somebody who has a {t}{place}{mood}.", "{kind}story about a {t}{place}{mood}"),
    val=("Could I hear a {kind}tale of a {t}{place}{mood}?",),
    test=("Invent a {kind}story for me in which a {t} matters{place}{mood}.",))
OPEN_ASKS = Asks(
    ("[Tell me|Tell us|Write|Make up|Please tell me|Read me] a [|short |little |new |nice |good "
     "]{kind}story{place}{mood}.",
     "[Can|Could|Will|Would] you tell me a [|short |little |nice |good ]{kind}story{place}{mood}?",
     "[I want|I would like|Give me|I want to hear|I need] a [|short |little ]{kind}story{place}{mood}.",
     "[Do you know|Have you got] a {kind}story{place}{mood}?", "[A|One] {kind}story{place}, please{mood}.",
     "I am bored. Tell me a {kind}story{place}{mood}.", "It is late. Tell me a {kind}story{place}{mood}."),
    val=("Could I hear a {kind}tale{place}{mood}?", "How about a {kind}story{place}{mood}?"),
    test=("Invent a {kind}story for me{place}{mood}.", "My child wants a {kind}story{place}{mood}."))
WISH_ASKS = {what: asks.taught(STORY_ASKS[what]) for what, asks in (
    ("event", EVENT_ASKS), ("pair", PAIR_ASKS), ("hero", HERO_ASKS), ("treasure", TREASURE_ASKS), ("open", OPEN_ASKS))}
SHARED_MOOD_WISHES = {
    "happy": "[, with a happy end|, with a happy ending|, and let it end happily|, and make it happy]",
    "sad": "[, with a sad end|, with a sad ending|, and let it end sadly|, and make it sad]",
    "funny": "[, and make it funny|, and make me laugh|, with a funny end|, something to laugh about]",
    "scary": "[, and make it scary|, a little scary|, with something scary in it]",
    "sleepy": "[, for bedtime|, to fall asleep|, before I go to sleep|, because it is bedtime]",
}
SHARED_MOOD_KINDS = {"happy": "happy", "sad": "sad", "funny": "funny", "scary": "scary", "sleepy": "bedtime"}
SHARED_PLACE_WISHES = "[ near the {p}| near the {p}| at the {p}| by the {p}]"


def asks_of(wish: dict[str, str]) -> Asks:
    if wish["hero"] and wish["treasure"]:
        return WISH_ASKS["event" if wish["event"] else "pair"]
    assert not wish["event"], wish
    return WISH_ASKS["hero" if wish["hero"] else "treasure" if wish["treasure"] else "open"]


def story_question(rng: random.Random, split: str, wish: dict[str, str]) -> str:
    """The wish in words: a shared phrasing, or now and then one of the split's own."""
    asks, mood, is_before = asks_of(wish), wish["mood"], rng.random() < 0.5
    own = asks.own(split)
    form = rng.choice(own if own and rng.random() < OWN_SHARE[split] else asks.shared)
    is_before &= "{kind}" in form  # else nobody would say which mood is wished
    is_taught = split == "train" and rng.random() < 0.6
    places, kinds, moods = ((PLACE_WISHES, MOOD_KINDS, MOOD_WISHES) if is_taught else
                            (SHARED_PLACE_WISHES, SHARED_MOOD_KINDS, SHARED_MOOD_WISHES))
    text = say(rng, form, h=described(rng, wish["hero"], split), e=wish["event"], t=described(rng, wish["treasure"], split),
               kind=one_of(rng, kinds[mood]) + " " if mood and is_before else "",
               place=say(rng, one_of(rng, places), p=wish["place"]) if wish["place"] else "",
               mood=say(rng, one_of(rng, moods[mood])) if mood and not is_before else "")
    return capital(text)


def one_of(rng, wording):
    return wording if isinstance(wording, str) else rng.choice(wording)


def described(rng: random.Random, thing: str, split: str) -> str:
    """In training now and then with a word before it, as people have it: an old sailor, a golden key."""
    if not thing or split != "train" or rng.random() > 0.15:
        return thing
    return f"{rng.choice(NATURES if thing in HEROES + MORE_HEROES else WISHED_LOOKS)} {thing}"


# -----------------------------------------------------------------------------
# The parts of a tale. Slots: {h} hero, {t} treasure, {k} friend, {p} place, {p2} another, {adj} {adj2} {adj3} natures,
# {look} of the treasure, {trait} and {use} what hero and treasure did, {w} weather, {d} day, {m} month.

NATURES = """little young clever shy brave lazy kind curious gentle cheerful quiet small old hungry tired proud polite
busy careful clumsy stubborn patient nervous tall forgetful friendly grumpy wise merry bold tidy thin hopeful""".split()
LOOKS = "little old beautiful strange small lovely wonderful special magic precious pretty heavy tiny".split() + COLOURS
TRAITS = """loved to sing|never wore shoes|collected buttons|could not swim|liked long walks|always got up early
|was the smallest in the family|had never seen the sea|talked to the moon|counted the stars each night|kept a diary
|had seven cousins|slept until noon|whistled all day long|could never sit still|asked a hundred questions a day
|was afraid of thunder|knew every path in the forest|wanted to be a hero|forgot every birthday|wrote little poems
|made the best soup in town|lived all by the river|had lost a tooth""".replace("\n", "").split("|")
OPENINGS = (
    "[Once upon a time|Long ago|Many years ago|In the old days|Once] there [was|lived] a {adj} {h} who {trait}.",
    "[Once upon a time|Long ago|Many years ago|In the old days|Once] a {adj} {h} lived [near|behind|beside|not far "
    "from] the {p}.", "There was once a {adj}, {adj2} {h} [who {trait}|who lived near the {p}|from the {p}].",
    "It was a {w} [morning|afternoon|evening|night] in {m}, and a {adj} {h} [sat|stood|waited|rested] "
    "[near|behind|beside] the {p}.",
    "[Rain fell on|The wind blew around|Snow lay on|Fog hid|The sun shone on|Dark clouds hung over] the {p} when a "
    "{adj} {h} [woke up|came by|went out|passed by].",
    "\"[Good morning|Hello|What a {w} day|Wake up|Look|Listen|Ouch|Oh dear|Hurry up],\" [said|called|cried|shouted] a "
    "{adj} {h} [near|behind|outside|in front of] the {p}.",
    "\"[I have an idea|I am ready|I cannot wait|Today is my day|I am so tired],\" said the {adj} {h}, who {trait}.",
    "[Do you know|Do you remember|Have you met|Have you heard of] the {adj} {h} [who {trait}|who lived near the {p}]?",
    "What does a {adj} {h} do on a {w} {d} [in {m}|near the {p}]?",
    "[Near|Behind|Beside|Not far from] the {p} stood a [small|crooked|stone|wooden|yellow] house, and a {adj} {h} "
    "lived [in it|there].", "A {adj} {h} [walked|ran|hurried|strolled] [to|past|around] the {p} on a {w} {d}.",
    "The {adj} {h} from the {p} {trait}.", "Every {d} a {adj} {h} [went|walked|rode] to the {p}.",
    "[In {m}|Last {m}], when the days were {w}, a {adj} {h} [came|moved|travelled] to the {p}.")
SETTINGS = (
    "[Each morning|In those days] the {h} [walked|went] to the {p}.",
    "[All this|It all] happened [near|not far from] the {p}.",
    "That was near the {p}, where the {h} had a small house.")
FRIENDS = (
    "Next door lived a {adj3} {k}.",
    "[That day|Soon] a {adj3} {k} came to visit the {h}.",
    "\"[What is the matter|What happened|May I help you|What are you doing|Where are you going], {h}?\" asked a "
    "{adj3} {k}.",
    "A {adj3} {k} came by and said, \"[You look busy|You look tired|Let me help you|Tell me everything], {h}!\"",
    "At the {p2} the {h} [met|asked] a {adj3} {k}.",
    "A {adj3} {k} [saw it all|was watching from behind a bush|heard the news] and came nearer.")
SPECIALS = (
    "[Now this|This|But this] was no ordinary {t}: it {use}.", "Everybody knew about that {t}: it {use}.",
    "[People said|They say|It was said] that the {t} {use}.", "The {t} was [special|magic|famous]: it {use}.",
    "Why? The {t} {use}.", "\"This {t} is [special|magic],\" [said|whispered] the {h}.")
QUIPS = (
    "\"[Thank you|Well done|Good idea|You did it|Never give up|Now I understand], {k}!\" said the {h}.",
    "\"[Friends help each other|Nobody is perfect|It is better to share|I learned something today|What a day],\" said "
    "the {k}.")
# How it turns out, said before the turn: two kinds of sentence that follow the same one are told apart by their first
# word, else the one before was said again and again (dev/LOG.md).
LUCK = "[Hooray|What luck|How lucky|Good news]!"
NO_LUCK = "[Alas|Oh no|What a pity|Bad luck]!"


class Event(NamedTuple):
    told: tuple[str, ...]
    tries: tuple[str, ...]
    happy: tuple[str, ...]
    sad: tuple[str, ...]


EVENTS = {
    "finds": Event(
        ("[One day|That morning|In the evening|On {d}] the {h} found a {look} {t} [under a tree|behind a fence|in the "
         "tall grass|in an old box|on the path].",
         "While [looking for berries|sweeping the floor|digging in the garden], the {h} found a {look} {t}.",
         "Something lay [in the grass|under the bridge|on the stairs], and so the {h} found a {look} {t}."),
        ("The {h} asked [everybody in town|at every door] whose {t} it was.",
         "The {h} cleaned the {t} with [a soft cloth|cold water|warm soap].",
         "But who had lost the {t}? The {h} [wrote a note|walked from house to house]."),
        ("Nobody missed the {t}, so the {h} shared it with the {k}.",
         "The {t} belonged to the {k}, who let the {h} keep it.",
         "The {h} and the {k} took turns with the {t} every day."),
        ("But that night a storm came and blew the {t} away.", "Then a thief took the {t}, and the {k} could not help.",
         "But the {t} broke, and the {h} could not mend it.")),
    "loses": Event(
        ("[One day|That morning|On {d}] the {h} lost a {look} {t} [on the way home|in the dark|in the snow|at the "
         "{p2}].", "The {h} had a {look} {t}, but [one day|on {d}|after lunch] the {h} lost it.",
         "\"Where is my {t}?\" cried the {h}, who had lost it [in the forest|on the road]."),
        ("The {h} looked for the {t} [in every corner|high and low|behind every bush|under the bed].",
         "The {h} [searched until dark|turned every stone|emptied every drawer], but there was no {t}.",
         "The {h} put up a sign: \"Who has seen my {t}?\""),
        ("The {k} had found the {t} and gave it back.",
         "At last the {t} was found [under the bed|in a pocket|in the nest of a bird], and the {k} cheered.",
         "The {h} and the {k} searched together and found the {t} in the mud."),
        ("They searched until dark, but the {t} was gone.", "The {t} never came back, not even in spring.",
         "The river had carried the {t} away to the sea.")),
    "wants": Event(
        ("The {h} wanted a {look} {t} more than anything [else|in the world].",
         "[Day and night|All summer long|Since {m}] the {h} wanted a {look} {t}.",
         "\"I want a {t}!\" said the {h} [every morning|again and again|to everybody]."),
        ("The {h} worked [at the {p2}|for a farmer|all winter] to pay for a {t}.",
         "The {h} asked at the {p2}, but there was no {t} for sale.",
         "The {h} saved [ten|twenty|nine] coins, but a {t} cost more."),
        ("[To help|Out of kindness], the {k} gave the {h} an old {t}.",
         "On the birthday of the {h}, the {k} brought a {t}.",
         "Together the {h} and the {k} earned enough and bought the {t}."),
        ("But nobody had a {t} to give, and winter came.", "The {k} bought the last {t}, and the {h} got none.",
         "When the {h} came to the shop, the {t} was sold.")),
    "hides": Event(
        ("[One dark night|On {d}|Before sunrise] the {h} hid a {look} {t} [under a big root|in a deep hole|behind a "
         "loose stone|in a hollow tree].",
         "The {h} had a {look} {t} and hid it [under the floor|in the barn|in the attic].",
         "\"Nobody must see my {t},\" whispered the {h} and hid it [in a jar|in a sack|under the hay]."),
        ("But the {h} forgot where the {t} was.", "The {h} dug [here|in the garden] and there, but there was no {t}.",
         "Every night the {h} went to look at the {t}."),
        ("The {k} knew the secret, and together they dug up the {t}.",
         "At last the {h} showed the {t} to the {k}, and hid it no more.",
         "The {k} drew a plan, and so the {h} found the {t} again."),
        ("When the {h} came back, the {t} was not there any more.", "Rain filled the hole, and the {t} was ruined.",
         "Somebody had seen it, and the {t} was stolen.")),
    "gives away": Event(
        ("[One day|That morning|On {d}] the {h} gave away a {look} {t} [to a stranger|to a beggar|to a poor child].",
         "The {h} had a {look} {t} and gave it away [to somebody who needed it more|without a word].",
         "\"Take my {t}, I do not need it,\" said the {h} and gave it away [at the {p2}|with a smile]."),
        ("At home the {h} looked at the empty shelf and thought of the {t}.",
         "\"Was that wise? The {t} was your best thing,\" people said.", "The {h} tried to forget the {t}."),
        ("The {k} was proud of the {h} and brought a new {t}.",
         "A year later the {t} came back with a letter for the {h} and the {k}.",
         "The {k} heard of it and [baked a warm cake|wrote a song] about the {h} and the {t}."),
        ("Soon the {h} missed the {t} very much.", "The stranger sold the {t} the same day.",
         "The {k} had wished for the {t} too, and went away.")),
    "makes": Event(
        ("[One day|All week|On {d}] the {h} made a {look} {t} [from wood and string|from old things|for the fair|as a "
         "gift].", "The {h} had [some paper|an old box|a good idea] and made a {look} {t}.",
         "\"I will make a {t},\" said the {h} and worked [until midnight|with both hands|for three days]."),
        ("The first {t} [broke|looked wrong|fell apart], so the {h} tried again.",
         "The {h} needed [glue|nails|paint] for the {t} and had none.",
         "The {h} made the {t} too [big|small|heavy] at first."),
        ("The {k} helped, and in the evening the {t} was ready.", "The {t} was so fine that the {k} wanted one too.",
         "The {h} gave the new {t} to the {k}."),
        ("But the {t} fell down and broke in two.", "The {k} stepped on the {t} by mistake, and it broke.",
         "Nobody wanted the {t}, so it stayed in a corner.")),
    "repairs": Event(
        ("[One day|That morning|On {d}] the {h} repaired a {look} {t} [that was broken|for a neighbour|from the {p2}].",
         "The {t} was broken, so the {h} [took some tools|sat down at the table] and repaired it.",
         "\"I can mend this {look} {t},\" said the {h} and repaired it [piece by piece|with care]."),
        ("It was hard: the {t} had [a deep crack|many small parts|a big hole].",
         "The {h} needed [a nail|a screw|strong glue] for the {t} and looked everywhere.",
         "At first the {t} was [worse than before|too weak]."),
        ("The {k} held the light, and soon the {t} was as good as new.", "The {k} paid three coins for the {t}.",
         "The {h} gave the {t} back, and the {k} was amazed."),
        ("But the next day the {t} broke again.", "The owner took the {t} and did not even say thank you.",
         "The {h} worked all night, but the {t} stayed broken.")),
    "steals": Event(
        ("[One night|At midnight|On {d}] the {h} stole a {look} {t} from the {p2}.",
         "The {h} saw a {look} {t} [in a window|on a table|in a garden] and stole it.",
         "Nobody was looking, so the {h} stole a {look} {t}."),
        ("But the {h} could not sleep and thought of the {t}.", "The {h} ran home with the {t} and locked the door.",
         "\"Who took the {t}?\" asked the [people|children], and the {h} grew red."),
        ("The {h} was sorry, told the {k}, and brought the {t} back.",
         "The {h} said sorry, and the owner gave the {t} as a gift.",
         "With the {k}, the {h} carried the {t} back [the same night|before sunrise]."),
        ("The {h} was sorry, but the {t} fell into the water.",
         "The {k} learned it and would not speak to the {h} again.",
         "The {h} said sorry, but nobody trusted the {h} with a {t} any more.")),
    "trades": Event(
        ("[One day|At noon|On {d}] the {h} traded [two apples|a loaf of bread|a warm coat|a bag of nuts] for a {look} "
         "{t}.", "At the {p2} the {h} traded [an old chair|six eggs|a pot of honey] for a {look} {t}.",
         "\"My [boots|lunch|scarf] for your {t}!\" said the {h}, and so they traded."),
        ("On the way home the {h} looked at the {t} again and again.",
         "\"Was that a good trade? It is only a {t},\" said the neighbours.",
         "Now the {h} was [cold|hungry], but had a {t}."),
        ("The {k} loved the {t} and gave the {h} [supper|a warm bed|new shoes].",
         "The {t} was worth [a hundred|fifty] coins, and the {h} shared them with the {k}.",
         "The {h} and the {k} used the {t} all year."),
        ("But the {t} was broken, and the trade was over.",
         "The {h} wanted to trade the {t} back, but it was too late.",
         "The {k} laughed at the {t}, and the {h} went away.")),
    "wins": Event(
        ("[One day|On {d}|At the fair] the {h} won a {look} {t} [in a race|in a game|with a song|with a lucky number].",
         "There was a race to the {p2}, and the {h} won a {look} {t}.",
         "\"First prize!\" they called, and the {h} won a {look} {t}."),
        ("The {h} carried the {t} [through the streets|on a cushion|home].",
         "The others looked at the {t} and were silent.",
         "\"I ran faster! The {t} is mine,\" said somebody to the {h}."),
        ("The {h} cut a ribbon in two and shared the {t} with the {k}.",
         "The {k} had come last, so the {h} gave the {t} to the {k}.",
         "The {h} put the {t} on the table, and the {k} brought a cake."),
        ("But nobody wanted to play with the {h} and the {t}.",
         "It was a mistake, and the {h} had to give the {t} back.",
         "The {h} dropped the {t}, and it rolled into the river.")),
    "shares": Event(
        ("The {h} had a {look} {t} and shared it with [everybody|the children|all the neighbours].",
         "[One day|On {d}|In {m}] the {h} shared a {look} {t} with [the whole street|three hungry mice|a stranger].",
         "\"This {t} is for all of us,\" said the {h} and shared it."),
        ("Everybody wanted the {t} first, and they began to shout.",
         "There was one {t} and there were nine friends of the {h}.",
         "The {h} made a list: each had the {t} for an hour."),
        ("The {k} thanked the {h}, and there was peace about the {t}.",
         "From then on the {k} shared things too, and the {t} was for all.",
         "The {h} and the {k} had more fun with the {t} than before."),
        ("But one of them kept the {t} and ran away.", "They pulled at the {t} until it broke.",
         "The {k} never gave the {t} back to the {h}.")),
    "carries": Event(
        ("[One day|On {d}|Before sunrise] the {h} carried a {look} {t} [over the hill|through the forest|all the way] "
         "to the {p2}.", "The {h} had to carry a {look} {t} to the {p2} [before dark|before noon].",
         "A {look} {t} stood at the door, and the {h} carried it [up the stairs|to the top of the hill]."),
        ("The {t} was heavy, and the {h} had to rest.", "The road was [long|steep|muddy], and the {t} got wet.",
         "Halfway, the {h} [slipped|fell asleep] and dropped the {t}."),
        ("The {k} took one side, and so they brought the {t} there.", "The {k} had a [cart|wagon|sledge] for the {t}.",
         "The {h} arrived in time, and the {k} was waiting for the {t}."),
        ("When the {h} arrived with the {t}, the door was closed.", "In the dark the {h} lost the way and the {t}.",
         "The bridge was broken, and the {t} fell into the river.")),
    "borrows": Event(
        ("[One day|On {d}|In {m}] the {h} borrowed a {look} {t} from a [neighbour|teacher|sailor].",
         "The {h} needed a {t} and borrowed a {look} one at the {p2}.",
         "\"May I borrow your {t}?\" asked the {h}, and borrowed it [for a week|until {d}]."),
        ("The {h} used the {t} [every hour|day and night] and forgot the time.",
         "\"Bring the {t} back soon, {h},\" they had said.", "Then the {t} got a small hole, and the {h} was afraid."),
        ("The {k} helped to clean the {t}, and the {h} gave it back.",
         "The {h} brought the {t} back with [flowers|a warm cake] for the {k}.",
         "\"Keep the {t}, I have two,\" said the owner to the {h}."),
        ("The {h} lost the {t} and did not dare to say so.", "The {t} broke, and the owner was angry with the {h}.",
         "The {h} brought the {t} back too late.")),
    "paints": Event(
        ("[One day|On {d}|In {m}] the {h} painted a {t} [with red dots|blue and white|in all colours|like the night "
         "sky].", "The {h} had an old {t} and painted it [green|yellow|with golden stars|with flowers].",
         "\"This {t} looks dull,\" said the {h} and painted it [pink|purple|orange]."),
        ("The paint ran from the {t} to the feet of the {h}.", "The {t} was still wet, and the {h} had to wait.",
         "Then it began to rain on the {t}, and the {h} needed help."),
        ("The {k} held an umbrella over the {t} until it was dry.", "The {k} said that it was the finest {t} in town.",
         "Soon the {h} painted a {t} for the {k} too."),
        ("The rain washed the paint from the {t}.", "The {k} did not like the {t} and turned away.",
         "The colours turned grey, and so did the {t}.")),
    "buys": Event(
        ("[One day|On {d}|In {m}] the {h} bought a {look} {t} at the {p2} for [three|five|ten] coins.",
         "The {h} had a few coins and bought a {look} {t} [from an old sailor|from a poor widow|at the fair].",
         "\"How much is the {t}?\" asked the {h} and bought it [at once|for all that was left]."),
        ("Now the {h} had a {t}, but [no supper|no coin left].", "At home the {h} unpacked the {t}.",
         "The {h} wanted to give the {t} back, but the shop was closed."),
        ("The {k} brought supper, and they looked at the {t} together.",
         "The {h} rented the {t} to the {k} and was rich.",
         "It was the best {t} of all, and the {k} agreed with the {h}."),
        ("The {t} broke on the very first day.", "The {k} found the {t} ugly and said so to the {h}.",
         "A thief came, and the {h} saw neither coins nor {t} again.")),
}
CLOSINGS = {
    "happy": ("[In the end|At last|That evening] everyone was happy, and they [danced|sang|played] until the stars "
              "came out.", "[From then on|After that] the {h} and the {k} were happy [friends|neighbours].",
              "The {h} was so happy that [the {k} danced too|even the moon smiled|nobody went to bed].",
              "[Never before|Never] had a {h} been so [glad|happy].",
              "And the {k} [danced with joy|was glad|jumped for joy]."),
    "sad": ("The {h} was sad and walked home [alone|in the rain|without a word].",
            "[In the end|That evening|In bed] the {h} cried a little and [felt sad|looked at the moon|could not eat].",
            "[So|And so] the {h} sat alone [near the {p}|in the dark|by the window] and was sad.",
            "There were tears in the eyes of the {h}[.| for days.| and of the {k}.]"),
    "funny": ("[In the end|Suddenly|Just then] the {t} fell on the head of the {k}, and everybody laughed.",
              "Then the {k} made such a funny face that they all laughed.",
              "The {k} slipped [on a banana|in the mud], landed on the {t}, and the {h} laughed and laughed.",
              "[At that moment|Then] the {h} sneezed so loudly that the {k} giggled [for an hour|all night].",
              "And the {h} wore the {t} like a hat. How they laughed!"),
    "scary": ("[Even now|Ever since] the {h} is afraid of [the dark|noises at night|that {t}].",
              "[Then|At midnight] something knocked at the door, and the {h} and the {k} trembled.",
              "A dark shadow stood [behind|beside] the {t}, and the {h} was so scared!",
              "The {h} heard a strange howl and [shivered|hid under the bed|ran home], scared and pale."),
    "sleepy": ("[Then|That night] the {h} yawned, lay down beside the {t} and fell asleep.",
               "The {h} and the {k} were tired and soon asleep[.| under the stars.| in a warm bed.]",
               "The moon rose, and the {h} dreamed [of the {t}|of the {k}|of tomorrow] all night.",
               "Soon the {h} slept deeply, and the {t} lay [under the pillow|beside the bed]."),
    "": ("[That night|In the end] the {h} slept very well.",
         "And the {h} told everybody about the {t} for [years|weeks].",
         "To this day they [talk about|remember] the {h} and the {t} near the {p}.",
         "And if you go to the {p}, you may still see the {h}.",
         "So the {h} learned [to be careful|to share|to wait]."),
}
# A tale says its mood twice behind the same two words: right after the opening, near the question, and before the end,
# where it need only be found again. Looking back to the question over a whole tale is learnt late or never (dev/LOG.md).
HINTS = ("[It was|It was to be|It had been|This was] such a {mood} {time}.",
         "Nobody had seen such a {mood} {time} [before|for years].", "The {h} had never had such a {mood} {time}.")
ECHO = "[Such|Oh, such|And such] a {mood} {time}!"
OPEN_MOODS = MOODS + ("happy",) * 3  # of a tale whose mood is left open: most people want no sad one
TIMES = dict.fromkeys(MOODS, "day") | {"scary": "night", "sleepy": "evening"}
ENDS = ("The end.",) * 8 + ("This is the end of the story.", "That was the end.")
MIN_WORDS, MAX_WORDS = 50, 100


# -----------------------------------------------------------------------------
# Telling

def complete(rng: random.Random, wish: dict[str, str]) -> dict[str, str]:
    """The wish with what it left open. A pair that nobody wished for is always one of train's."""
    while True:
        hero, treasure = wish["hero"] or rng.choice(HEROES), wish["treasure"] or rng.choice(tuple(TREASURES))
        if (hero, treasure) == (wish["hero"], wish["treasure"]) or wish_split(hero, treasure) == "train":
            return wish | {"hero": hero, "treasure": treasure,
                           "event": wish["event"] or rng.choice(events_of(treasure)),
                           "place": wish["place"] or rng.choice(PLACES)}


def tale_slots(rng: random.Random, told: dict[str, str]) -> dict[str, str]:
    adjectives, treasure = rng.sample(NATURES, 3), told["treasure"]
    return {"h": told["hero"], "t": treasure, "p": told["place"], "use": TREASURES.get(treasure) or rng.choice(USES),
            "k": rng.choice([k for k in HEROES if k != told["hero"]]),
            "p2": rng.choice([p for p in PLACES if p != told["place"]]),
            "adj": adjectives[0], "adj2": adjectives[1], "adj3": adjectives[2], "look": rng.choice(LOOKS),
            "trait": rng.choice(TRAITS), "w": rng.choice(WEATHER), "d": rng.choice(DAYS), "m": rng.choice(MONTHS)}


@functools.cache
def openings(names_place: bool) -> tuple[tuple[str, ...], ...]:
    """The readings of each opening, all or those that name the place."""
    readings = (tuple(form for form in expand(opening) if "{p}" in form or not names_place) for opening in OPENINGS)
    return tuple(filter(None, readings))


def tale_lines(rng: random.Random, event: Event, mood: str, closings: tuple[str, ...], names_place: bool) -> list[str]:
    """The templates of one tale in order. The order is fixed and each part has its own beginnings, so that a small
    model knows from the last sentence which one is next: with a friend before or after the trouble, it went round in
    circles. A wished place is in the first sentence, next to the question: later it was forgotten (dev/LOG.md)."""
    opening = rng.choice(rng.choice(openings(names_place)))
    setting = [rng.choice(SETTINGS)] * (rng.random() < 0.15)
    trouble = [rng.choice(event.told)] + [rng.choice(SPECIALS)] * (rng.random() < 0.4)
    friend = [rng.choice(FRIENDS)]
    attempt = [rng.choice(event.tries)] * (rng.random() < 0.8)
    turn = [NO_LUCK, rng.choice(event.sad)] if mood == "sad" else [LUCK, rng.choice(event.happy)]
    quip = [rng.choice(QUIPS)] * (mood != "sad" and rng.random() < 0.25)
    end = [rng.choice(closings), ECHO, rng.choice(ENDS)]
    return [opening, rng.choice(HINTS), *setting, *trouble, *friend, *attempt, *turn, *quip, *end]


def tell_tale(rng: random.Random, wish: dict[str, str]) -> str:
    """A tale of 50 to 100 words that grants the wish and ends as one."""
    told = complete(rng, wish)
    mood = wish["mood"] or rng.choice(OPEN_MOODS)
    slots = tale_slots(rng, told) | {"mood": mood, "time": TIMES[mood]}
    closings = CLOSINGS[mood] if wish["mood"] or rng.random() < 0.5 else CLOSINGS[""]
    while True:
        lines = tale_lines(rng, EVENTS[told["event"]], mood, closings, bool(wish["place"]))
        text = " ".join(capital(say(rng, line, **slots)) for line in lines)
        if MIN_WORDS <= len(text.split()) <= MAX_WORDS:
            return text

