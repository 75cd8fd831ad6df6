"""The prose that the quickstart pretrains on: a small town over a year, in thirty kinds of text.

Tales, scenes, diaries, letters, lists, recipes, notices, lessons, exercises. A document is one to four pieces of
such kinds; a piece is put together from phrases in which "[a|b]" is a choice, {slot} something that the piece
remembers (a person, a place) and {word} a fresh draw from the table WORDS. More than a quarter of the
text is questions about something just read, and lists said again in order: looking things up is learned last.
Left out: a world with a memory. Two documents that mention Anna do not agree on who she is; the facts they do.
"""

import functools
import random
import re
from typing import Iterator

from nanochat.tinyworld import (COLOURS, DAYS, FOODS, GOODS, HOBBIES, MONTHS, OPERATORS, PETS, PLACES, SPLITS,
                                capital, cast_people, draw_operands, made_name, people, say, with_articles)
from nanochat.tinyworld_facts import FACTS, RESIDENTS, TITLES, WARES, answer_fact, fact_questions, fact_sentences
from nanochat.tinyworld_plots import cast, draw_plot, plot_questions, tell
from nanochat.tinyworld_tales import complete, draw_wish, tell_tale

# -----------------------------------------------------------------------------
# Words. Things are in the singular, so that "a {tool}" works; fruit, vegetables and foods go without "a".

def _words(text: str) -> list[str]:
    return [word.strip() for word in text.replace("\n", " ").split(",")]


WORDS = {
    "old": _words("""old, new, broken, clean, dirty, heavy, light, round, square, soft, shiny, dusty, rusty, wooden,
tiny, huge, cheap, plain, pretty, ugly, smooth, rough, thin, thick, painted, striped, spotted, precious, crooked,
loose, borrowed, spare, foreign, modern, ordinary, lovely, strange, famous, enormous, splendid, simple"""),
    "nice": _words("""kind, polite, strict, generous, jolly, talented, elderly, gentle, clever, shy, brave, lazy,
quiet, cheerful, grumpy, careful, clumsy, stubborn, patient, forgetful, friendly, wise, tidy, hungry, busy, young,
tall, bald, handsome, noisy, serious, funny, thoughtful, silly"""),
    "tasty": _words("""fresh, sweet, sour, salty, spicy, delicious, tasty, juicy, crisp, burnt, bitter, creamy,
crunchy, frozen, hot, warm, cold, homemade, dry, ripe"""),
    "felt": _words("""happy, sad, angry, excited, nervous, proud, tired, bored, curious, surprised, worried, calm,
grateful, lonely, afraid, hopeful, jealous, ashamed, confused, cheerful, relieved, disappointed, sleepy, strong,
lucky, homesick"""),
    "so": _words("""quickly, slowly, quietly, loudly, gently, carefully, happily, politely, proudly,
bravely, eagerly, nervously, patiently, softly, neatly, secretly, gladly, calmly, sadly, warmly"""),
    "tool": _words("""hammer, saw, nail, screw, brush, broom, shovel, rake, needle, knife, fork, pan, pot, kettle,
bucket, ladder, rope, ruler, pencil, spade, sponge, mop, bowl, jug, basket, hook, wheel, chain, tray, barrel, sack,
bottle, box, tin, net, lantern, pump, drill, file"""),
    "furniture": _words("""table, chair, bed, shelf, cupboard, sofa, carpet, curtain, desk, drawer, bench, mirror,
bath, stove, stool, rug, vase, picture, clock, lamp, piano, cradle, radio, sink"""),
    "room": _words("""kitchen, bedroom, bathroom, hall, attic, cellar, garage, garden, yard, shed, pantry,
barn, workshop, corridor"""),
    "clothing": _words("""shirt, dress, skirt, scarf, jacket, sweater, cap, belt, apron, raincoat, vest, tie, suit,
sock, glove, boot, shoe, slipper, sandal, nightgown, hood, collar"""),
    "wild": _words("""fox, deer, hare, badger, squirrel, otter, beaver, hedgehog, bat, mole, frog, toad, snail, rat,
wolf, bear, lizard, newt"""),
    "bird": _words("""owl, eagle, hawk, crow, robin, sparrow, swallow, stork, swan, heron, seagull, woodpecker,
pigeon, blackbird, goose, duck, cuckoo, magpie"""),
    "insect": _words("""ant, bee, wasp, fly, moth, butterfly, spider, beetle, ladybird, cricket, grasshopper,
dragonfly, worm, caterpillar"""),
    "tree": _words("""oak, birch, pine, willow, maple, chestnut, elm, beech, fir, poplar, walnut tree, apple tree,
cherry tree, pear tree"""),
    "vegetable": _words("""onions, carrots, potatoes, beans, peas, tomatoes, cabbage, lettuce, cucumbers, pumpkins,
spinach, leeks, radishes, turnips, mushrooms, corn, peppers, celery, garlic"""),
    "fruit": _words("""apples, pears, plums, cherries, strawberries, raspberries, blackberries, peaches, apricots,
grapes, lemons, oranges, bananas, figs, currants, melons"""),
    "baking": _words("""flour, sugar, butter, milk, cream, oil, salt, yeast, cinnamon, vanilla, nuts, raisins, oats,
honey, vinegar, mustard"""),
    "vehicle": _words("""bus, tram, train, bicycle, boat, lorry, tractor, cart, van, taxi, ferry, scooter, wagon,
ship, sledge, canoe"""),
    "instrument": _words("piano, violin, guitar, trumpet, flute, drum, harp, cello, banjo, whistle, horn, fiddle"),
    "game": _words("""cards, chess, tennis, football, marbles, dominoes, tag, leapfrog, bowls, basketball, hopscotch,
darts"""),
    "body": _words("""head, nose, ear, eye, arm, elbow, hand, finger, knee, leg, foot, toe, back, shoulder, neck,
stomach, thumb, ankle, tooth, chin"""),
    "ill": _words("""cold, fever, cough, headache, toothache, sore throat, stiff neck, stomach ache, broken finger,
nosebleed"""),
    "kin": _words("""mother, father, sister, brother, aunt, uncle, grandmother, grandfather, cousin, nephew, niece,
neighbour, teacher, friend"""),
    "land": _words("""hill, valley, forest, field, meadow, stream, lake, cave, cliff, island, path, hedge, well,
swamp, orchard, village, canal, vineyard, waterfall"""),
    "subject": _words("""spelling, grammar, history, geography, science, music, arithmetic, art, handwriting, poetry,
sport, cooking"""),
    "event": _words("""wedding, concert, fair, parade, contest, picnic, dance, play, race, meeting, festival, party,
auction, feast, circus, ceremony, show, exhibition"""),
    "material": _words("""wood, stone, iron, copper, silver, gold, clay, glass, wool, cotton, silk, leather, paper,
straw, wax, brass, tin, rubber"""),
    "noise": _words("""bang, splash, creak, rattle, crash, whisper, scream, knock, crack, squeal, thump, whistle,
growl, rumble, pop, click"""),
    "job": _words("""baker, teacher, doctor, farmer, painter, sailor, gardener, tailor, carpenter, nurse, cook,
driver, singer, dentist, builder, pilot, postman, clown, butcher, waiter, barber, plumber, judge, soldier, actor,
dancer, mechanic, shoemaker, guard, captain, hunter, weaver, potter, miner, clerk, mayor, cleaner, poet, librarian,
fisherman"""),
    "dream": _words("""castle, storm, lion, ghost, treasure, palace, wizard, tiger, monster, mountain, ocean, dragon,
pirate, queen, giant, rocket, jungle, volcano, tunnel, crown, shipwreck, camel, whale, elephant, monkey"""),
    "meal": _words("breakfast, lunch, dinner, supper, tea, dessert"),
    "dish": _words("""soup, stew, pie, salad, omelette, cake, pudding, sandwich, pancake, roast, tart, casserole,
pizza, sausage, dumpling, biscuit"""),
    "drink": _words("tea, milk, coffee, juice, lemonade, water, cocoa, cider"),
    "sort": _words("""adventure, travel, ghosts, knights, animals, stars, ships, cooking, kings, detectives,
inventors, planets, gardens"""),
    "number": _words("two, three, four, five, six, seven, eight, nine, ten, eleven, twelve, twenty, thirty"),
    "clock": _words("""one o'clock, two o'clock, three o'clock, four o'clock, five o'clock, six o'clock, seven
o'clock, eight o'clock, half past two, half past four, half past six, half past eight, noon, midnight, a quarter to
nine, a quarter past ten"""),
    "when": _words("""in the morning, after breakfast, before lunch, at noon, in the afternoon, after school, after
work, before supper, in the evening, late at night, before sunrise, at sunset, during the break, a week ago, the
other day, yesterday, this morning"""),
    "how": _words("""with great care, without a word, for an hour, with a smile, with both hands, as fast as possible,
all alone, for the first time, once more, in silence, with a sigh, on tiptoe, by mistake, by accident, on purpose,
for fun"""),
    "weather": _words("""sunny, rainy, windy, cloudy, foggy, stormy, cold, warm, cool, mild, damp, bright, dull,
chilly, pleasant, dreadful"""),
    "birds": _words("owls, crows, robins, sparrows, swallows, storks, swans, herons, seagulls, pigeons, ducks, geese"),
    "insects": _words("ants, bees, wasps, flies, moths, butterflies, spiders, beetles, crickets, worms"),
    "vessel": _words("pan, pot, kettle, bucket, bowl, jug, basket, barrel, sack, bottle, box, tin, bag, jar, trunk"),
    "water": _words("river, lake, stream, pond, canal, sea, swamp, well, fountain"),
    "sky": _words("sunny, rainy, cloudy, foggy, stormy, bright, dull, grey, snowy"),
    "air": _words("windy, cold, warm, cool, mild, damp, chilly, pleasant, dreadful, calm"),
    "cloth": _words("wool, cotton, silk, leather, linen, fur, felt, velvet"),
    "wind": _words("north, south, east, west"),
    "winter": _words("December, January, February"),
    "wet": _words("rain, fog, snow, hail, mist"),
    "fat": _words("butter, oil"),
    "spice": _words("cinnamon, vanilla, salt, sugar, honey"),
    "colour": COLOURS, "day": DAYS, "month": MONTHS, "place": PLACES, "pet": PETS, "thing": GOODS, "food": FOODS,
    "hobby": HOBBIES,
}


@functools.cache
def _drawn(template: str) -> tuple[str, ...]:
    """The slots of a template that WORDS can fill: {tool}, and {tool2} for another one."""
    return tuple(name for name in dict.fromkeys(re.findall(r"\{(\w+)\}", template)) if name.rstrip("23") in WORDS)


def write(rng: random.Random, template: str, slots: dict[str, str]) -> str:
    """`say` with a fresh word for every slot that the piece has not filled; a sentence begins with a capital."""
    words = {}
    for name in _drawn(template):
        words[name] = rng.choice([word for word in WORDS[name.rstrip("23")] if word not in words.values()])
    return capital(say(rng, template, **words | slots))


def write_some(rng: random.Random, templates: tuple[str, ...], count: int, slots: dict[str, str]) -> list[str]:
    return [write(rng, template, slots) for template in rng.sample(templates, min(count, len(templates)))]


def first_person(slots: dict[str, str]) -> dict[str, str]:
    return slots | {"S": "I", "s": "I", "my": "my", "me": "me"}


def third_person(slots: dict[str, str]) -> dict[str, str]:
    return slots | {"S": slots["a"], "s": slots["he"], "my": slots["his"], "me": slots["him"]}


# -----------------------------------------------------------------------------
# Everyday life, all in the past tense, so that {S} {s} {my} {me} may be "I I my me" or "Anna she her her".
# {b} and {c} are other people, {p1} {p2} the places of this piece, {n1} a pet {k1}.

TOPICS = {
    "morning": ("{S} [woke up|got up] at {clock} because [the {bird} sang outside|the {pet} jumped on the bed|of a "
                "strange {noise}|the {vehicle} was so loud].",
                "{S} could not find {my} {colour} {clothing} and [looked|searched] in the {room} and behind the "
                "{furniture}.", "{S} washed {my} face, combed {my} hair and put on a {old} {clothing}.",
                "For breakfast {s} had {food}, [still|too|rather|not very] {tasty}.",
                "{S} [burned|spilled|forgot] the {drink} and laughed about it.",
                "{S} had dreamed of a {dream} and a {dream2} in the {land}.",
                "{S} opened the window and [saw|heard|watched] a {bird} in the {tree}.",
                "The {kin} of {b} knocked at the door {when} and asked for some {baking}.",
                "{S} brushed {my} teeth and ran to the {place} [without a {clothing}|with wet hair|still half asleep].",
                "[Before leaving|After that] {s} fed the {pet}, made the bed and closed the {room}."),
    "home": ("{S} cleaned the {room} with a {old} {tool} and found a {thing} [under|behind] the {furniture}.",
             "The {furniture} in the {room} was broken, so {s} [mended|repaired|fixed] it with a {tool} and a {tool2}.",
             "{S} moved the {furniture} from the {room} to the {room2} with the help of {b}.",
             "{S} painted the {room} {colour}, and now everything looked [bigger|brighter|strange|fresh].",
             "Somebody had left a {old} {tool} on the {furniture}, and {b} [tripped over it|took it away|asked about "
             "it].", "{S} sewed a button on the {colour} {clothing} and ironed the {clothing2}.",
             "There was a {noise} in the {room}, but it was only [the wind|a {insect}|the {pet}|an old pipe].",
             "{S} washed the plates, dried the cups and swept the {room} {how}.",
             "Water dripped from the ceiling into a {vessel}, and {s} called the plumber {so}.",
             "{S} bought a {furniture} made of {material} [for the {room}|from {b}|at the {event}].",
             "{S} lit a candle, sat down on the {furniture} and wrote {number} letters {how}.",
             "The {colour} {furniture} was too {old} for the {room}, so {c} took it."),
    "market": ("{S} went to the {p1} {when} and bought {number} {fruit} and some {vegetable}.",
               "{S} paid {number} coins for a {old} {tool}, [which was too much|a fair price|and {b} paid the rest].",
               "A {nice} {job} sold {vegetable}, {fruit} and {baking} [from a {vehicle}|at the corner|until {clock}].",
               "The {fruit} were {tasty}, but the {vegetable} [looked old|cost too much|were sold out].",
               "{S} met {b} in the crowd, and they talked {so} about {hobby}.",
               "{S} forgot the {baking} and had to go back {how}.",
               "{b} carried the {tool} and {s} carried the {colour} bag.",
               "{S} asked the {job} for a {clothing} made of {cloth}, but there was none.",
               "At the last stall {s} saw a {thing} of {material} and could not walk past it.",
               "A {pet} stole a sausage from the {job}, and everybody ran after it {so}.",
               "{S} traded a {old} {thing} for a {old2} {tool} with {c}."),
    "school": ("In the {subject} lesson {s} read {number} pages about {sort} and wrote a short [essay|poem|report].",
               "The teacher asked a hard question about {sort}, and {b} answered {so}.",
               "{S} forgot the homework for {subject} [at home|on the {vehicle}|under the {furniture}].",
               "{S} drew a {wild}, a {bird} and a {insect} on the blackboard with {colour} chalk.",
               "{b} whispered something about {hobby}, and {s} had to laugh {how}.",
               "They learned a song about a {nice} {job} and sang it {so}.",
               "{S} got a good mark in {subject} and felt {felt}.",
               "During the break they played {game}, and {c} won {number} times.",
               "The class visited the {p1} and counted {number} [{birds}|{insects}|old coins|steps].",
               "{S} sat beside {b} and lent {b} a {colour} pencil and a ruler.",
               "The exam in {subject} was [easy|difficult|long|over at {clock}], and {s} felt {felt}."),
    "work": ("{S} helped the {nice} {job} {when} and learned to use a {tool} and a {tool2}.",
             "The {job} showed {me} how to [mend|build|clean|carry|measure|polish] a {furniture} of {material}.",
             "{S} worked in the {p1} until {clock} and earned {number} coins.",
             "A {job} and a {job2} argued about a {tool}, until {b} brought another one.",
             "{S} delivered a {old} {furniture} to the {p2} with the {vehicle}.",
             "The {vehicle} stopped in the middle of the road, and {number} people pushed it {so}.",
             "{b} [wanted to become|became|dreamed of being] a {job}, and {c} a {job2}.",
             "{S} cut {my} {body} with a {tool}, and the nurse put on a bandage.",
             "It was hard work: {number} sacks of {baking}, {number2} boxes of {fruit}, and no break.",
             "The {job} thanked {me} {so} and gave {me} a {thing}."),
    "nature": ("{S} walked through the {land} and saw a {wild} [near|under|behind] the {tree}.",
               "A {bird} had built a nest in the {tree} [behind the {p1}|near the {land}|above the gate].",
               "{S} caught a {insect} in a jar, looked at it {how} and let it go.",
               "There were {number} {colour} [feathers|stones|leaves|shells|eggs] beside the {land}, and {s} kept one.",
               "The {wild} ran away {so} when {b} stepped on a dry branch.",
               "{S} rested under a {tree} and listened to a {bird} and a {insect}.",
               "{S} swam across the {water}, but the water was too cold for {b}.",
               "Behind the {land} they found the tracks of a {wild} and a {wild2}.",
               "{S} picked {fruit} [and filled a {vessel}|in the {land}|for {b}|until it grew dark].",
               "A {insect} sat on the {body} of {b}, who did not move.",
               "In the {room} {s} planted {vegetable} and a small {tree}.",
               "{S} climbed the hill with {c}, and from the top they saw the {p1} and the {p2}.",
               "A {old} log lay across the stream, and {s} crossed it {how}."),
    "weather": ("It was {sky} and {air}, so {s} [stayed in the {room}|put on a {clothing}|went out {so}|took the "
                "{vehicle}].",
                "{when}, dark clouds came over the {land}, and [thunder|hail|heavy rain|a strong wind] followed.",
                "The wind blew the {clothing} of {b} into the {water}.",
                "A rainbow stood above the {p1} for a few minutes.",
                "There was frost on every window, and ice on the {water}.",
                "{S} jumped over a puddle, slipped and fell on {my} {body}.",
                "The fog was so thick that {b} walked into a {tree}.",
                "Lightning struck the {tree} near the {p1}, but nobody was hurt.",
                "The sun shone {so} through the {colour} curtain of the {room}.",
                "{S} held the umbrella over {b} and became wet {how}."),
    "pets": ("{S} [washed|brushed|fed|followed|looked for] {n1} the {k1} {when}, and {s} felt {felt}.",
             "{n1} the {k1} hid [under|behind|in] the {furniture} and came out for some {food}.",
             "{n1} [ate|stole|broke|dropped|carried away] the {clothing} of {b}.",
             "A {pet} and a {pet2} chased {n1} through the {room}, around the {furniture} and up the {tree}.",
             "{n1} slept {so} on a {colour} {clothing} in the {room}.",
             "The {k1} had hurt its leg, so {s} carried it to the {job}.",
             "{S} taught {n1} to [sit|jump over a {tool}|come when called|wait].",
             "{b} brought a {insect} for {n1}, but {n1} was afraid of it.",
             "{S} built a small house of {material} for {n1} beside the {tree}."),
    "food": ("{S} cooked a {dish} with {vegetable} and {vegetable2}, and it was {tasty}.",
             "{S} baked a {dish} for {b} and used {number} eggs, {baking} and {baking2}.",
             "The {dish} was too {tasty}, so {b} ate only the {fruit}.",
             "{S} set the table with {number} plates and a vase of {colour} flowers.",
             "{b} brought a {vessel} full of {fruit}, and they made jam {when}.",
             "{S} put {baking} into the {drink} {how}, and nobody wanted it.",
             "For {meal} there was {tasty} {food} with {vegetable}.",
             "{S} drank a cup of {drink} and ate a {tasty} {dish} in the {room}.",
             "{S} peeled {vegetable}, washed {fruit} and stirred the pot {so}.",
             "{c} came for {meal} at {clock} and brought {food} and {fruit}."),
    "travel": ("{S} took the {vehicle} to the {land} [at {clock}|with {b}|for the first time|on {day}].",
               "The {vehicle} was {number} minutes late, so {s} waited at the {p1} and read about {sort}.",
               "{S} packed a {clothing}, a {clothing2} and a {thing} into a {old} bag.",
               "On the way they saw a {land}, a {old} tower and {number} [{birds}|cows|boats].",
               "{S} asked a {nice} {job} the way to the {p2}, but got lost {how}.",
               "A {nice} {job} sat next to {me} and talked about {sort} until {clock}.",
               "{S} spent the night in a {old} tent near the {land} and heard a {noise}.",
               "{S} sent a postcard with a {bird} on it to {b}.",
               "The road to the {land} was [steep|narrow|muddy|closed], so they turned back."),
    "evening": ("{S} played {game} with {b} and [won|lost|stopped at {clock}].",
                "{S} listened to a {instrument} and a {instrument2} at the {event}.",
                "{b} told a story about a {dream}, a {nice} {job} and a {dream2}.",
                "{S} practised the {instrument} until {b} came in {so}.",
                "{S} read a book about {sort} and {sort2} [in bed|by the fire|under the lamp].",
                "There was a {event} at the {p2}, and {c} danced {so}.", "{S} felt {felt}, but also a little {felt2}.",
                "{S} looked at the stars {how} and thought about {b}.",
                "{S} turned off the light at {clock} and fell asleep {so}.",
                "They sat around the {furniture}, drank {drink} and spoke about {sort}.",
                "{S} learned a [dance|song|poem|trick|game] from the {nice} {kin} of {b}."),
    "people": ("{b} was a {nice} and {nice2} {job} who loved {hobby}.",
               "The {kin} of {b} had {number} hens and a {old} {vehicle}.",
               "{c} had a {ill} and stayed in bed, so {s} brought {c} some {dish} and {fruit}.",
               "{S} wrote to {my} {kin}, who lived beyond the {land}.",
               "{b} laughed {so} about the {colour} {clothing} of {c}.",
               "{S} gave {b} a {thing} of {material} for [the birthday|the wedding|luck|no reason at all].",
               "{b} and {c} [argued|agreed|talked|joked|sang] about {sort} all day.",
               "{S} lent {b} {number} coins and a {tool}.",
               "{S} said sorry to {b} for the broken {thing}, and they shook hands.",
               "A {nice} stranger with a {colour} {clothing} asked {me} about the {p1}.",
               "{S} told {b} a secret about {c}, and felt {felt} {when}.",
               "The {nice} {job} kissed the {kin} of {c} at the {event}."),
}

# What the months are like: all true in the town, whose year is a northern one.
YEAR = {
    "January": ("snow lies on the roofs", "the lake is frozen", "children build a snowman",
                "the nights are long and cold"),
    "February": ("icicles hang from the gutters", "people wear masks at the carnival", "the first snowdrops appear",
                 "the stove burns all day"),
    "March": ("the ice melts", "the wind dries the fields", "farmers plough the earth", "the first lambs are born"),
    "April": ("showers come and go", "the cherry trees are in bloom", "swallows return from the south",
              "hens lay many eggs"),
    "May": ("the meadows are full of flowers", "bees fly from blossom to blossom", "people dance around a tall pole",
            "the evenings grow mild"),
    "June": ("strawberries are ripe", "the days are long and bright", "the farmers cut the hay",
             "the lake is warm enough to swim"),
    "July": ("it is hot at noon", "schools are closed", "families travel to the beach", "everybody eats ice cream"),
    "August": ("the wheat is golden", "thunder rolls in the evening", "wasps sit on the plums",
               "shooting stars cross the sky"),
    "September": ("apples fall from the trees", "school begins again", "spiders spin webs in the hedges",
                  "the mornings are misty"),
    "October": ("leaves turn red and yellow", "pumpkins lie in the fields", "geese fly to the south",
                "storms shake the branches"),
    "November": ("fog hides the bridge", "the trees are bare", "it gets dark early", "people light lanterns"),
    "December": ("snow begins to fall", "families bake biscuits", "candles stand in the windows",
                 "the year comes to its end"),
}

RIDDLES = {
    "clock": ("I have hands but no fingers.", "I have a face but no nose.", "I tell you when it is time."),
    "umbrella": ("I open when it rains.", "I am closed when it is dry.", "You hold me over your head."),
    "key": ("I have teeth but never eat.", "I am small and made of metal.", "I open doors."),
    "snowman": ("I am white and round.", "I have a carrot for a nose.", "I disappear in the sun."),
    "river": ("I run but have no legs.", "I have a bed but never sleep.", "Fish live in me."),
    "candle": ("I grow shorter every hour.", "I give light and wax.", "The wind is my enemy."),
    "book": ("I have many leaves but am no tree.", "I tell stories without a voice.", "You find me on a shelf."),
    "bell": ("I have a tongue but cannot speak.", "You hear me from the tower.", "I ring."),
    "mirror": ("I show you your face.", "When you smile, I smile.", "I hang on the wall."),
    "egg": ("I have a shell but am no snail.", "I break when I fall.", "A hen makes me."),
    "shadow": ("I follow you all day.", "I am gone in the dark.", "I am long in the evening."),
    "letter": ("I travel in a bag.", "I wear a stamp.", "The postman brings me."),
    "ladder": ("I have steps but am no stairs.", "I help you to reach the roof.", "I lean against a wall."),
    "comb": ("I have many teeth but no mouth.", "I like your hair.", "You use me in the morning."),
    "needle": ("I have one eye but cannot see.", "Thread goes through me.", "The tailor needs me."),
    "piano": ("I have black and white keys.", "I open no door.", "I make music."),
    "potato": ("I have eyes but cannot see.", "I grow under the ground.", "You can fry me."),
    "broom": ("I am thin and have stiff hair.", "I dance over the floor.", "I do not like dust."),
    "cloud": ("I fly without wings.", "I cry without eyes.", "The wind pushes me."),
    "echo": ("I answer every call.", "I live in the mountains.", "I have no mouth."),
    "moon": ("I am round, then thin, then gone.", "I shine at night.", "I have no fire."),
    "kite": ("I fly but am no bird.", "I have a tail and a string.", "I need the wind."),
    "boat": ("I am never thirsty, but always in the water.", "I carry people.", "A sail may help me."),
    "wind": ("Nobody sees me, but everybody hears me.", "I shake the trees.", "I carry away hats."),
}

# Lines that end alike.
RHYMES = (
    ("The moon came up and gave us light", "The {bird} sang through the silent night",
     "We held each other's hands so tight", "The stars above the {place} were bright",
     "The {pet} gave the {pet2} a fright"),
    ("The {pet} ran down to see the sea", "The {insect} lived inside a tree", "My {kin} poured a cup of tea",
     "There is a place for you and me", "The {bird} was happy, wild and free"),
    ("It was a {sky} and {air} day", "The {nice} {job} came out to play", "The {wild} forgot what it would say",
     "The {vehicle} slowly drove away", "The {pet} slept on a bed of hay"),
    ("The {nice} {kin} wore a hat", "Upon the {furniture} lay a cat", "The {job} fell down upon the mat",
     "The {pet} grew lazy, round and fat", "\"I saw it first,\" then said the rat"),
    ("I heard the falling of the rain", "The {job} arrived here on the train", "A {insect} sat on the window pane",
     "The {dream} never came again", "The {bird} flew high above the plain"),
    ("Beside the {place} stands a house", "And in the {room} lives a mouse", "My {kin} wore a {colour} blouse"),
    ("The {job} bought a {colour} coat", "The {pet} sat beside the goat", "We crossed the {water} in a boat",
     "My {kin} wrote a little note"),
    ("The bells of all the churches ring", "In {month} we hear the robins sing", "The {nice} {job} became a king",
     "The {pet} was playing with a string", "Now tell me what the year will bring"),
    ("The hills were covered deep in snow", "Where did the {colour} {thing} go", "The {wild} moved along so slow",
     "The lamps of all the houses glow", "That is a thing I do not know"),
    ("The {job} was lying in the bed", "The {vehicle} was painted red", "The {dream} had a golden head",
     "\"I want some {food},\" the {nice} {kin} said", "The {pet} was hungry and was fed"),
    ("The {instrument} played beside the wall", "The {clothing} was not big but small",
     "The leaves of every {tree} fall", "I heard my {nice} {kin} call", "The {wild} was thin and very tall"),
    ("The {job} baked a {fruit} cake", "The {bird} looked down into the lake", "Too early did the {kin} wake",
     "You give to me, from you I take"),
    ("The {pet} hid a silver spoon", "I think the guests will be here soon", "The {wild} looked up to the moon",
     "The {instrument} played a merry tune", "The roses are in bloom in June"))

EXCHANGES = (
    ("What is your favourite colour?", "It is {c1}. And yours?", "I like {c2} best."),
    ("Where were you on {d1}?", "I was at the {p1} with {c}.", "I hope you [had a good time|were not {felt}]."),
    ("Do you have a pet?", "Yes, a {k1}. It is called {n1}.", "What a {old} name!"),
    ("What do you do for work?", "I am a {j1}. I work near the {p2}.",
     "That sounds [interesting|hard|like fun|dangerous]."),
    ("What will you cook tonight?", "I think I will make a {dish} with {vegetable}.",
     "[May I come too?|I would rather have {f2}.]"),
    ("I lost my {t1}.", "Is it {c1}? I saw one at the {p1}.", "Thank you so much!"),
    ("How is the weather there?", "It is {weather}[.| today.| and {air}.]",
     "Here it is [the same|much better|terrible]."),
    ("Can you teach me {h1}?", "[Yes, come on {d1}.|Ask {c}, not me.|Yes, at {clock}.]",
     "[I will.|Good idea.|With pleasure.]"),
    ("You look {felt}.", "I have a {ill}.", "[Then drink some {drink}.|You should see a doctor.|Get well soon!]"),
    ("May I borrow your {tool}?", "[Of course|Certainly|Sure], but bring it back by {d1}.", "I promise."),
    ("Who is that {nice} {job}?", "That is {c}, my {kin}.", "[I did not know that.|We have met before.]"),
    ("What did you dream last night?", "I dreamed of a {dream} near a {land}.",
     "How [exciting|frightening|odd|wonderful]!"),
    ("How much is this {thing}?", "{number} coins, because it is made of {material}.",
     "[That is too expensive.|I will take it.]"),
    ("Are you going to the {event}?", "Only if {c} comes too.", "Then we will meet at {clock}."),
    ("What are you reading?", "A book about {sort} and {sort2}.",
     "[Is it good?|Lend it to me later.|I prefer {sort3}.]"),
    ("There is a {insect} in my {drink}!", "[Do not drink it.|It only wants to swim.]", "How [awful|funny]!"),
    ("Did you hear that {noise}?", "It came from the {room}.", "[It is only a {pet}.|Let us look {so}.]"),
    ("When does the {vehicle} leave?", "At {clock}, from the {p1}.", "Then we must hurry."))

NOTICES = (
    "Lost: a {colour} {thing}, last seen [near|in front of|behind] the {p1}. Please [bring it to|call] {a} [at the "
    "{p2}|before {day}].", "Lost: {n1}, a {nice} {pet}. [Reward: {number} coins|We miss it|It likes {food}].",
    "Found: a [small|young|friendly] {pet} that answers to the name {n1}. It is waiting at the {p1}.",
    "Found {when}: a {old} {clothing} of {cloth}. Ask for {c}.",
    "For sale: a {old} {furniture}, [nearly new|good as new|used only once|with a scratch]. Ask {b} near the {p2}.",
    "For sale: {number} small trees and a {tool}. [No dealers|Only {day}|Price: {number2} coins].",
    "The {p1} is closed [on {d1}|in {m1}|until {clock}] because of [the weather|repairs|a {event}|a broken "
    "{furniture}].",
    "Wanted: a {nice} {job} for the {p2}. [Experience|A kind heart|A {tool}|Good {subject}] is needed. Write to {a}.",
    "{hobby} for everyone, every {d1} at {clock}. [{c} will show you how|Bring a {tool}|Children are welcome].",
    "Fresh {food} and {vegetable} today at the {p1}. [First come, first served|Children eat for free|Bring your own "
    "{tool}].", "Warning: a {wild} was seen near the {land}. Keep your {pet} in the {room} after {clock}.",
    "Please do not [feed the {birds}|walk on the grass|leave a {vehicle} here|play the {instrument} after {clock}]!",
    "Great {event} on {day}! Music on the {instrument}, {dish} and {drink}. [Tickets from {b}|Entrance free|Everybody "
    "is invited].", "Lessons in {subject} and {instrument}. Ask the {nice} {job} at the {p2}.",
    "Room to rent: a {old} {furniture}, a {furniture2}, a view of the {water}. {number} coins a week.")

GREETINGS = ("[thank you for your letter|how are you|I hope you are well|I am sorry that I did not write earlier|"
             "greetings from the {land}|here is some news|it was good to hear from you].")
THANKS = (
    "thank you [so much|very much|from the heart] for the {colour} {thing}.",
    "It [is|looks] {old}, and I use it [every {day}|{so}|in the {room}].",
    "My {kin} wants one too, made of {material}.", "When I opened the box {when}, I felt {felt}.",
    "Next time you come for {meal}, I will make a {dish} with {fruit}.", "The {pet} likes it too and sleeps beside it.",
    "I never had such a {nice} friend.", "[Please visit me|Come and see it] on {day} at {clock}.",
    "I was {felt} because of my {ill}, but now I feel {felt2}.")
POSTCARD = (
    "[We are|I am] staying in a {old} house near the {land}.", "It is {sky} and {air}.",
    "Yesterday I saw a {bird} and a {wild}.", "They serve {tasty} {food} and a good {dish}.",
    "Every day we [swim|sail|climb|walk|ride|sleep] until {clock}.", "{c} fell into the {water} and got a {ill}!",
    "I bought a {thing} of {material} for you.", "Tomorrow we take the {vehicle} to the {event}.",
    "The people here are {nice} and play the {instrument}.", "I miss my {pet} and your {dish}.",
    "The bed is {old}, but I sleep {so}.")
PORTRAITS = (
    "{His} favourite colour is {c1}, and {he} owns a {colour} {clothing} of {cloth}.",
    "{a} has a {k1} called {n1} [that sleeps in the {room}|that eats {f2}|that is afraid of every {insect}].",
    "In {his} free time {he} likes {h1} and plays the {instrument}.",
    "Every {d1} {he} eats {f1} with {b}, who is a {j2}.", "{His} birthday is in {m1}, when {note}.",
    "{He} is {nice} and {nice2}, but never {felt} before {clock}.",
    "In {his} {room} stands a {old} {furniture} from {his} {kin}.",
    "{He} knows everything about {sort} and nothing about {sort2}.",
    "{He} wants to [see|visit|cross|paint] a {land} with {c} one day.",
    "When it is {weather}, {he} wears a {clothing} and a {clothing2}.",
    "{He} collects {colour} [stamps|coins|buttons|shells|stones|bottles] and keeps them in a {vessel}.",
    "As a child {he} was afraid of a {dream}.", "{He} goes to the {p2} by {vehicle}.")
TOWN_LINES = (
    "The streets are [narrow|wide|quiet|clean|busy], and at {clock} you hear the {instrument} of a {nice} {job}.",
    "In {m1} {note}.", "People meet at the {p1} and talk about {sort}, {hobby} and the weather.",
    "There is a {event} at the {p2} every {month}.",
    "On {day} the {job} sells {vegetable}, and the {job2} sells {fruit}.",
    "Many houses have a {colour} door and a {old} {furniture} by the window.",
    "A {bird} lives [on the highest chimney|near the {p1}].", "Not far away there is a {land} with a {tree} on it.",
    "You can hire a {vehicle} from a {nice} {job}.", "The oldest house is made of {material} and {material2}.",
    "The mayor is {nice}, and the {pet} of the mayor too.", "Children play {game} in front of the {p2} until {meal}.",
    "At night you hear a {bird}, a {wild} and sometimes a {noise}.", "Nobody is in a hurry except the {job}.",
    "The {p1} is famous for its {dish} and its {drink}.", "Every family has a {pet} or a {pet2}, or at least a {tree}.")
# How to: steps in order.
CRAFTS = {
    "plant a {tree}": ("Dig a deep hole [in the {land}|with a {tool}].", "Put some old leaves into it.",
                       "Set the {tree} in the middle, {how}.", "Fill the hole with earth and press it down {so}.",
                       "Water it every {day}.", "Wait {number} years."),
    "mend a {furniture}": ("Look {so} for the broken part.", "Clean it with a {tool} and warm water.",
                           "Put glue on both sides.", "Hold it {how} until {clock}.",
                           "Rub it with a piece of {material}.", "Do not sit on it before {day}."),
    "wash a {clothing}": ("Fill a {vessel} with warm water.", "Add a little soap, not {baking}.",
                          "Rub the {clothing} {so}.", "Rinse it {number} times.", "Hang it in the {room}.",
                          "If it is {weather}, wait until {day}."),
    "build a snowman": ("Wait for a cold day in {winter}.", "Roll a {old} ball of snow.",
                        "Put a smaller ball on top of it.", "Take a carrot for the nose and stones for the eyes.",
                        "Give it a {colour} {clothing}.", "Call it {n1}."),
    "look after a {pet}": ("Give it fresh water every morning.", "Give it a little food, but no {dish}.",
                           "Let it sleep in the {room}, away from the {furniture}.", "Talk to it {so}.",
                           "Clean its place with a {tool} every {day}.", "If it has a sore leg, ask {b}."),
    "write a letter": ("Take [a sheet of paper|a clean page] and a {colour} pen.", "Write the day at the top: {day}.",
                       "Begin with Dear {b}.", "Tell {him2} about {sort} or the {event}.",
                       "Write your name at the end, {so}.", "Take it to the post office before {clock}."),
    "cross a road": ("Stop at the edge.", "Look left, look right, and look left again.", "Listen for a {vehicle}.",
                     "Take {b} by the hand.", "Walk {so}, never run.", "Thank the driver with a smile."),
    "wrap a present": ("Put the {thing} on {colour} paper.", "Fold the paper {so} around it.",
                       "Tie a {colour2} ribbon.", "Write the name {b} on it.", "Hide it in the {room} until {day}.",
                       "Do not tell {c}."),
    "paint a fence": ("Choose a dry day without {wet}.", "Brush off the dust with a {tool}.",
                      "Stir the {colour} paint {so}.", "Paint from the top to the bottom.", "Wait until {clock}.",
                      "Put up a sign: wet paint."),
    "get to the {p1}": ("Start at the {p2} at {clock}.", "Walk straight on until you see a {tree}.",
                        "Turn [left|right] at the {old} wall.",
                        "Go past the house with the {colour} door, where {b} lives.", "Cross the {land} {how}.",
                        "Now you see the {p1} in front of you."),
    "fly a kite": ("Go to an open {land} on a windy {day}.", "Hold the string and let {b} hold the kite.",
                   "Run against the wind, {so}.", "Let go of more string.", "Keep away from the {tree}.",
                   "Pull it down before {clock}."),
    "learn the {instrument}": ("Borrow a {old} {instrument} from the {job}.",
                               "Sit on a {furniture} with a straight back.", "Play one note {number} times.",
                               "Play two notes {so}.", "Practise every {day} until {clock}.",
                               "Play at the {event} and be {felt}."),
    "be a good friend": ("Listen {how}.", "Share your {dish} and your {thing}.", "Say sorry when you were wrong.",
                         "Keep a secret.", "Visit your friend who has a {ill}.", "Laugh together about a {insect}."),
}
RECIPES = {
    "a soup with {vegetable}": ("Wash the {vegetable} and cut them into small pieces.",
                                "Fry an onion in {fat} until it is soft.", "Add water, salt and {vegetable2}.",
                                "Let it boil for {number} minutes.", "Stir {so} and serve it with bread."),
    "a cake with {fruit}": ("Mix {number} eggs with sugar and butter.", "Add flour, milk and a little {spice}.",
                            "Put the {fruit} on top.", "Bake it for forty minutes.",
                            "Let it cool in the {room} and cut it into {number2} pieces."),
    "jam from {fruit}": ("Wash the {fruit} and take away the stones and leaves.",
                         "Put them into a big pot with the same weight of sugar.", "Boil them and stir {so}.",
                         "Fill the jam into {number} clean jars.", "Write the month on them: {month}."),
    "pancakes": ("Mix flour, milk, {number} eggs and a little salt.", "Wait ten minutes.", "Heat some {fat} in a pan.",
                 "Fry each pancake on both sides {so}.", "Eat them with {fruit}, honey or cinnamon."),
    "a salad of {vegetable}": ("Wash the {vegetable} and the {vegetable2}.", "Cut everything {so} with a sharp knife.",
                               "Mix oil, vinegar, mustard and salt.", "Pour it over the salad.",
                               "Put {fruit} or nuts on top and serve it at once."),
    "a loaf of bread": ("Mix flour, yeast, salt and warm water.", "Knead the dough {how}.",
                        "Cover it and leave it in the {room} until it is twice as big.", "Put it into the hot oven.",
                        "It is ready when it sounds hollow, after about fifty minutes."),
    "a drink from {fruit}": ("Press the {fruit} {so}.", "Add cold water and a spoon of honey.",
                             "Stir it with a long spoon.", "Pour it into {number} glasses.",
                             "Drink it in the {room} with {b}."),
    "porridge": ("Put oats, milk and a little salt into a pot.", "Let it boil {so} for five minutes.",
                 "Stir all the time.", "Put {fruit}, nuts and {spice} on top.", "Eat it before {clock}."),
}
ABOUT_NANOCHAT = (
    "nanochat is a small language model.", "It was trained from scratch on this computer.",
    "nanochat runs on this computer and does not use the internet.", "It is a computer program and not a human.",
    "nanochat can chat, tell stories, answer simple questions, count letters and do sums with a calculator.",
    "It learned from little stories and chats.", "When nanochat does not know something, it says so.",
    "The name of the program is nanochat.", "It is small, so it makes mistakes now and then.",
    "The owner of this computer trained nanochat.")


# -----------------------------------------------------------------------------
# The kinds of text: functions of (rng, split)


def piece_slots(rng: random.Random, split: str) -> dict[str, str]:
    """A cast, and what its month is like."""
    slots = cast(rng, split)
    return slots | {"note": rng.choice(YEAR[slots["m1"]])}


def listed(items: list[str]) -> str:
    return f"{', '.join(items[:-1])} and {items[-1]}"


def everyday(rng: random.Random, count: int, slots: dict[str, str]) -> str:
    """Some lines about two topics."""
    first, second = rng.sample(sorted(TOPICS), 2)
    share = rng.randrange(1, count)
    lines = write_some(rng, TOPICS[first], share, slots) + write_some(rng, TOPICS[second], count - share, slots)
    return " ".join(lines)


def tale(rng, split):
    told = complete(rng, draw_wish(rng, split))
    return f"The {told['hero']} and the {told['treasure']}\n\n{tell_tale(rng, told)}"


def scenes(rng, split):
    """What somebody did one day."""
    slots = third_person(piece_slots(rng, split))
    opening = "[One {weather} day|On {day}|In {m1}, when {note},|Early one morning|Last {day}|It was {weather} and] "
    opening += "[{a} was with {b} at the {p1}|{a} went out to meet {b}|{a} and {b} had much to do]."
    return write(rng, opening, slots) + " " + everyday(rng, rng.randrange(4, 8), slots)


def plots(rng, split):
    """Two plots with the same people and new things."""
    who = cast_people(rng, split)
    return "\n\n".join(tell(rng, draw_plot(rng, split), cast(rng, split, who)) for _ in range(2))


def with_questions(rng: random.Random, text: str, pairs: list[tuple[str, str]]) -> str:
    """A text, then questions and answers in one of the layouts of school books."""
    form = rng.choice(("{q} {a}", "{q}\n{a}", "Question: {q}\nAnswer: {a}", "- {q} {a}", "{i}. {q} {a}",
                       "Q: {q} A: {a}"))
    return "\n".join([text, *(form.format(q=q, a=a, i=i) for i, (q, a) in enumerate(pairs, 1))])


def exercise(rng, split):
    """A scene and every question that it answers."""
    plot, slots = draw_plot(rng, split), cast(rng, split)
    pairs = [(question.text, question.reply) for question in plot_questions(rng, plot, slots)]
    return with_questions(rng, tell(rng, plot, slots), pairs)


def week_plan(rng, split):
    """Who does what, where and on which day."""
    name = people(rng, split, 1)[0][0]
    rows = list(zip(sorted(rng.sample(DAYS, 5), key=DAYS.index), rng.sample(HOBBIES, 5), rng.sample(PLACES, 5)))
    form = rng.choice(("{d}: {h} ({p})", "{d}: {h} at the {p}", "On {d} there is {h} at the {p}."))
    text = "\n".join([f"The week of {name}", *(form.format(d=d, h=h, p=p) for d, h, p in rows)])
    pairs = []
    for day, hobby, place in rng.sample(rows, 4):
        pairs.append(rng.choice((
            (f"What does {name} do on {day}?", f"On {day} {name} does {hobby}."),
            (f"On which day is {hobby}?", f"The {hobby} is on {day}."),
            (f"Where is the {hobby}?", f"The {hobby} is at the {place}."),
            (f"Where is {name} on {day}?", f"On {day} {name} is at the {place}."))))
    return with_questions(rng, text, pairs)


def owners(rng, split):
    """Who has what, of which colour."""
    rows = [(name, rng.choice(COLOURS), thing) for (name, _), thing in zip(people(rng, split, 4), rng.sample(GOODS, 4))]
    form = rng.choice(("{n} has a {c} {t}.", "{n} owns a {c} {t}.", "The {c} {t} belongs to {n}.",
                       "{n} brought a {c} {t}."))
    text = with_articles(" ".join(form.format(n=n, c=c, t=t) for n, c, t in rows))
    pairs = []
    for name, colour, thing in rng.sample(rows, len(rows)):
        pairs.append(rng.choice((
            (f"Who has the {thing}?", f"{name} has the {thing}."),
            (f"Whose is the {colour} {thing}?", f"It belongs to {name}."),
            (f"What does {name} have?", f"{name} has a {colour} {thing}."),
            (f"What colour is the {thing}?", f"The {thing} is {colour}."))))
    return with_questions(rng, text, [(question, with_articles(answer)) for question, answer in pairs])


def queue(rng, split):
    """People in a row: first, last, before, after."""
    names = [name for name, _ in people(rng, split, rng.randrange(4, 7))]
    where = "[At the {place}|In front of the {place}|On the {furniture}|In the {vehicle}]"
    text = write(rng, where + " there is a row of people: ", {})
    pairs = [("Who is first?", f"{names[0]} is first."), ("Who is last?", f"{names[-1]} is last.")]
    pairs += [(f"Who comes after {x}?", f"{y} comes after {x}.") for x, y in zip(names, names[1:])]
    pairs += [(f"Who is before {y}?", f"{x} is before {y}.") for x, y in zip(names, names[1:])]
    return with_questions(rng, text + listed(names) + ".", rng.sample(pairs, 5))


def prices(rng, split):
    """What things cost at somebody's stall: nothing that the shop of Larkbrook sells."""
    name = people(rng, split, 1)[0][0]
    sold = [thing for kind in ("clothing", "tool", "furniture") for thing in WORDS[kind] if thing not in WARES]
    rows = [(thing, rng.randrange(2, 60)) for thing in rng.sample(sold, 5)]
    head = write(rng, "[At the stall of {a}|Prices at the stall of {a}|{a} sells at the {event}]:", {"a": name})
    text = "\n".join([head, *(f"{thing}: {price} coins" for thing, price in rows)])
    pairs = [rng.choice(((f"How much is the {thing}?", f"The {thing} costs {price} coins."),
                         (f"What does {name} want for the {thing}?", f"{name} wants {price} coins.")))
             for thing, price in rng.sample(rows, 3)]
    return with_questions(rng, text, pairs)


def entry(rng, split):
    """A few facts of one kind, most of them said twice."""
    kind = rng.choices(tuple(FACTS), [len(kind.answers) for kind in FACTS.values()])[0]
    keys = rng.sample(sorted(FACTS[kind].answers), min(len(FACTS[kind].answers), rng.randrange(4, 7)))
    lines = [" ".join(rng.sample(fact_sentences(kind, key), rng.choice((1, 2, 2)))) for key in keys]
    return TITLES[kind] + "\n\n" + rng.choice((" ", "\n")).join(lines)


def neighbours(rng, split):
    """Everything about some people of Larkbrook."""
    paragraphs = []
    for name in rng.sample(sorted(RESIDENTS), rng.randrange(2, 4)):
        lines = [rng.choice(fact_sentences(kind, name)) for kind in ("job", "street", "pet", "likes")]
        paragraphs.append(" ".join(rng.sample(lines, 4)))
    return "\n".join([rng.choice(("Neighbours", "People of Larkbrook", "A walk through Larkbrook")), *paragraphs])


def lesson(rng, split):
    """A teacher asks, pupils answer; the questions are of the split."""
    (teacher, _), *pupils = people(rng, split, 3)
    opening = "[Today|On {day}|{when}] {a} [asked the children many questions|gave a lesson|had a quiz with the class]."
    lines = [write(rng, opening, {"a": teacher})]
    for kind, key, question in rng.sample(fact_questions(split), rng.randrange(4, 7)):
        answer = answer_fact(rng, kind, key).rstrip(".")
        lines.append(say(rng, '"{q}" [asked {a}|{a} wanted to know|said {a}]. "{y}," [said|answered|replied] {b}.',
                         q=question, a=teacher, b=rng.choice(pupils)[0], y=answer))
    return "\n".join(lines)


def diary(rng, split):
    slots = first_person(piece_slots(rng, split))
    head = rng.choice((slots["d1"], f"{slots['d1']}, {rng.randrange(1, 29)} {slots['m1']}"))
    return f"{head}\n\nDear diary,\n{everyday(rng, rng.randrange(5, 9), slots)}"


def letter(rng, split):
    slots = first_person(piece_slots(rng, split))
    opening = write(rng, "Dear {y},\n" + GREETINGS + " ", slots | {"y": people(rng, split, 1)[0][0]})
    body = everyday(rng, rng.randrange(4, 8), slots)
    return opening + body + say(rng, "\n[With love|Best wishes|Yours|See you soon|Many greetings],\n{a}", **slots)


def thanks(rng, split):
    slots = piece_slots(rng, split)
    lines = [write(rng, THANKS[0], slots), *write_some(rng, THANKS[1:], rng.randrange(3, 6), slots)]
    lines[0] = lines[0][0].lower() + lines[0][1:]
    return f"Dear {slots['b']},\n{' '.join(lines)}\nYours,\n{slots['a']}"


def postcard(rng, split):
    slots = piece_slots(rng, split)
    lines = " ".join(write_some(rng, POSTCARD, rng.randrange(4, 8), slots))
    end = rng.choice(("Love", "Yours", "Bye"))
    return f"Dear {slots['b']}, greetings from {slots['n1']}! {lines} {end}, {slots['a']}"


def notices(rng, split):
    lines = [write(rng, rng.choice(NOTICES), piece_slots(rng, split)) for _ in range(rng.randrange(3, 6))]
    return "\n".join(line if line[-1] in ".!?" else line + "." for line in lines)


def portraits(rng, split):
    slots = piece_slots(rng, split)
    opening = write(rng, "[{a} is a {nice} {j1} and lives near the {p1}.|Near the {p1} lives {a}, a {nice} {j1}.]",
                    slots)
    return opening + " " + " ".join(write_some(rng, PORTRAITS, rng.randrange(4, 7), slots))


def town(rng, split):
    """A town that somebody made up, somewhere else."""
    slots = piece_slots(rng, split)
    opening = ("{n1} is a [small|quiet|pretty|famous|lovely|sleepy|busy|tiny|rich|poor|friendly] [town|village] "
               "[near|beside|behind|below] a {land}.")
    return write(rng, opening, slots) + " " + " ".join(write_some(rng, TOWN_LINES, rng.randrange(4, 8), slots))


def year(rng, split):
    """What the months are like, in their order."""
    start = rng.randrange(12)
    months = [MONTHS[(start + i) % 12] for i in range(rng.randrange(3, 6))]
    lines = [rng.choice((f"In {month} {x}, and {y}.", f"{month}: {x}, {y}.", f"{month} comes: {x}, and {y}."))
             for month in months for x, y in [rng.sample(YEAR[month], 2)]]
    return "\n".join(["Through the year", *lines])


def forecast(rng, split):
    """The weather of a week."""
    lines = ["The weather in " + made_name(rng, split)]
    for day in DAYS[:rng.randrange(4, 8)]:
        lines.append(write(rng, "{d}: {sky} and {air}, [{number} degrees|take a {clothing}|wind from the {wind}|with a "
                                "little {wet}|better stay in the {room}|good for {hobby}].", {"d": day}))
    return "\n".join(lines)


def shopping(rng, split):
    """A list, and the same things again in the same order."""
    slots = cast(rng, split)
    kinds = rng.choices(("a {colour} {thing}", "a {tool} of {material}", "{fruit}", "{vegetable}", "{baking}",
                         "a {old} {clothing}", "{number} {fruit}", "{food}"), k=rng.randrange(4, 8))
    items = list(dict.fromkeys(write(rng, kind, {}).lower() for kind in kinds))
    opening = say(rng, "[Shopping list for {d1}|Things to bring for {b}|What {a} needs in {m1}|{a} must not forget]:",
                  **slots)
    bought = say(rng, "[{a} came home with|In the evening {a} had|Soon the bag was full:|{b} read it aloud:] ", **slots)
    return "\n".join([opening, *(f"- {item}" for item in items), bought + ", ".join(items) + "."])


def roll_call(rng, split):
    """Many names, said again in the same order: a lesson in reading closely."""
    names = [name for name, _ in people(rng, split, rng.randrange(4, 8))]
    teacher, place = people(rng, split, 1)[0][0], rng.choice(PLACES)
    lines = [f"{teacher} went to the {place} with {listed(names)}."]
    lines += [say(rng, '"[Where is {n}|Is {n} here|{n}]?" "Here I am, I am {n}."', n=name) for name in names[:4]]
    return "\n".join([*lines, f"So these were there: {', '.join(names)}."])


REGISTERS = (  # how a line is said, what stands left and right in it
    ("{x}: {y}", "name", "name"), ("{x} has {y}.", "person", "thing"), ("{x} lives in {y}.", "person", "name"),
    ("{x} = {y}", "name", "number"), ("{x} is called {y}.", "thing", "name"), ("{x}, {y}", "person", "person"),
    ("{x}: {y}", "person", "number"), ("The number of {x} is {y}.", "person", "number"),
    ("{x} is a friend of {y}.", "person", "person"), ("{x} means {y}.", "name", "thing"))


def register(rng, split):
    """Pairs of names that nobody has met, then the same pairs again and again in another order: whoever reads this has
    to look back, token by token, and most of its tokens can be known. It is what the copying in all skills grows from
    (dev/LOG.md)."""
    form, left, right = rng.choice(REGISTERS)
    pairs = [(entry_of(rng, split, left), entry_of(rng, split, right)) for _ in range(rng.randrange(3, 8))]
    lines = [form.format(x=x, y=y) for _ in range(3) for x, y in rng.sample(pairs, len(pairs))]
    return rng.choice((" ", "\n")).join(lines)


def entry_of(rng, split, kind):
    if kind == "person":
        return people(rng, split, 1)[0][0]
    if kind == "number":
        return str(rng.randrange(1000))
    if kind == "thing":
        return with_articles(f"a {rng.choice(COLOURS)} {rng.choice(GOODS)}")
    return made_name(rng, split)


def drill(rng, split):
    """Say it after me: a sentence, a list or a row of numbers, twice."""
    slots, lines = third_person(cast(rng, split)), []
    for _ in range(rng.randrange(2, 5)):
        topic = rng.choice(sorted(TOPICS))
        line = rng.choice((
            write_some(rng, TOPICS[topic], 1, slots)[0], ", ".join(str(rng.randrange(1000)) for _ in range(5)),
            ", ".join(rng.sample(WORDS[rng.choice(("tool", "wild", "clothing", "furniture", "body", "dream"))], 5)),
            " ".join(name for name, _ in people(rng, split, 5))))
        lines.append(say(rng, "[{a} said|{a} wrote|Say after me|Read aloud]: {x}\n"
                              "[{b} said|{b} wrote|Once more|Again]: {x}", x=line, **slots))
    return "\n".join(lines)


def dialogue(rng, split):
    slots = piece_slots(rng, split)
    lines = ["[Hello|Hi|Good morning|Good evening], {b}!", "[Hello|Hi|Nice to see you|How are you], {a}!"]
    for exchange in rng.sample(EXCHANGES, 3):
        lines += exchange
    lines = [write(rng, line, slots) for line in lines]
    kind, key, question = rng.choice(fact_questions(split))
    lines += [question, answer_fact(rng, kind, key)]
    return "\n".join(f"{slots['ab'[i % 2]]}: {line}" for i, line in enumerate(lines))


def in_order(rng: random.Random, lines: list[str]) -> str:
    """Steps with numbers, on lines of their own, or all in a row."""
    if rng.random() < 0.4:
        return "\n".join(f"{i}. {line}" for i, line in enumerate(lines, 1))
    return rng.choice((" ", "\n")).join(lines)


def steps(rng: random.Random, table: dict[str, tuple[str, ...]], heads: str, split: str) -> str:
    """One row of a table, with the words of its title kept all through."""
    slots, title = piece_slots(rng, split), rng.choice(tuple(table))
    for name in _drawn(title):
        slots[name] = rng.choice(WORDS[name])
    lines = [write(rng, line, slots) for line in table[title]]
    skipped = rng.randrange(len(lines) + 2)
    head = say(rng, heads, x=write(rng, title, slots).lower())
    return head + "\n" + in_order(rng, lines[:skipped] + lines[skipped + 1:])


def howto(rng, split):
    return steps(rng, CRAFTS, "How to {x}", split)


def recipe(rng, split):
    return steps(rng, RECIPES, "[How to make|A recipe for|Let us make] {x}", split)


def riddles(rng, split):
    lines = []
    for answer in rng.sample(sorted(RIDDLES), 2):
        clues = rng.sample(RIDDLES[answer], rng.choice((2, 3)))
        lines.append(say(rng, "{x} [What am I?|Who am I?] [I am|It is|The answer is] a {y}.", x=" ".join(clues),
                         y=answer))
    return "\n".join(lines)


def poem(rng, split):
    """Pairs of lines that rhyme."""
    lines = []
    for group in rng.sample(RHYMES, rng.randrange(2, 5)):
        lines += write_some(rng, group, 2, {})
    title = write(rng, "[A poem about {month}|The song of the {job}|Rhymes|Verses for a {nice} {kin}]", {})
    return "\n".join([title, *lines])


def sums(rng, split):
    """A page of sums worked out, and a stretch of counting."""
    start, step = rng.randrange(900), rng.choice((1, 1, 2, 5, 10))
    lines = [f"Count from {start} in steps of {step}: " + ", ".join(str(start + step * i) for i in range(8))]
    for _ in range(rng.randrange(5, 9)):
        op = rng.choice("+-*")
        a, b = draw_operands(rng, split, op)
        result = a + b if op == "+" else a - b if op == "-" else a * b
        lines.append(f"{a} {op} {b} = {result}, so {a} {OPERATORS[op]} {b} is {result}")
    return "\n".join(lines)


def about_nanochat(rng, split):
    return "About nanochat\n\n" + " ".join(rng.sample(ABOUT_NANOCHAT, rng.randrange(4, 8)))


GENRES = ((14, tale), (6, scenes), (4, plots), (18, exercise), (4, week_plan), (4, owners), (4, queue), (3, prices),
          (18, entry), (3, neighbours), (12, lesson), (5, diary), (5, letter), (2, thanks), (2, postcard), (3, notices),
          (4, portraits), (3, town), (2, year), (1, forecast), (4, shopping), (3, roll_call), (5, drill), (4, dialogue),
          (3, howto), (3, recipe), (2, riddles), (2, poem), (3, sums), (2, about_nanochat),
          (22, register))  # weight, kind
MIN_CHARS, MAX_CHARS = 300, 1500


def document(split: str, index: int, seed: int = 0) -> str:
    rng = random.Random(f"{seed}/{split}/document/{index}")
    weights, genres = zip(*GENRES)
    text, min_chars = "", rng.randrange(MIN_CHARS, 760)
    while len(text) < min_chars:
        piece = rng.choices(genres, weights)[0](rng, split)
        if len(text) + 2 + len(piece) <= MAX_CHARS:
            text += ("\n\n" if text else "") + piece
    return text


def documents(split: str, num_documents: int, seed: int = 0) -> Iterator[str]:
    """Prose, 300 to 1,500 characters each, about 4.5 MB from 6,000. Scenes, tales and questions are of the split."""
    assert split in SPLITS, split
    return (document(split, i, seed) for i in range(num_documents))
