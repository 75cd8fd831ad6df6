"""Somebody did something: what the exercises in looking up tell side by side, beside who owns what.

Strangers ask about two people who did different things ("Nora cut a pie. The cat slept on the sofa. Who cut the
pie?"), and exercises that tell one relation of everybody never need the verb. Here each does something else. Tables
of verbs and things; a verb that only a held-out scene has is in none of them.
"""

import random
from typing import NamedTuple

from nanochat.tinyworld import DAYS, capital, people, table, table_of_pairs, with_articles

# -----------------------------------------------------------------------------
# Who, and what they do

OTHERS = table("""
Mum, Dad, Grandma, Grandpa, Aunt Vera, Uncle Paul, Mrs Brown, Mr Green, Doctor Hill, Captain Finn, the teacher, the
boy, the girl, the old man, the old woman, the neighbour, the king, the queen, the prince, the princess, the baby,
the postman, the baker, the farmer, the nurse, the judge, the thief, the pirate, the giant, the wizard, the clerk,
the stranger, my sister, my brother, my cousin, my friend, my uncle, my aunt, the cat, the dog, the mouse, the
rabbit, the parrot, the hen, the pony, the goat, the monkey, the robot, the doll, the bear, the lion, the elephant,
the penguin, the tiger, the hedgehog, the duck""")

WRITTEN = table("""
letter, poem, diary, newspaper, magazine, recipe, map, postcard, novel, report, song, list, note, fairy tale, comic""")
BUILT = table("""
shed, fence, wall, table, chair, shelf, bench, cupboard, door, gate, roof, kennel, raft, tent, ramp, desk, cradle,
stable, snowman, sandcastle, tree house, bird house""")
CARRIED = table("""
hammer, nail, camera, radio, telephone, watch, ring, coin, wallet, purse, key, bag, suitcase, bottle, mug, knife,
fork, pan, kettle, brush, comb, towel, carpet, vase, pillow case, chess set, teddy bear, computer, pencil, ruler,
globe, microscope, telescope, compass, calendar, stamp, medal, crown, sword, shield, treasure chest""")
ACTS = (  # verbs (past, base), what stands before the thing, things
    (table_of_pairs("ate:eat, cut:cut, tasted:taste, shared:share, sliced:slice, wrapped up:wrap up"),
     "a ", table("""
pie, tart, loaf, pizza, pancake, bagel, pretzel, sandwich, sausage, pudding, dumpling, bun, omelette, doughnut,
waffle, brownie, roll, gingerbread man, birthday cake, cheese roll, apple pie, steak, lobster""")),
    (table_of_pairs("wore:wear, sewed:sew, folded:fold, ironed:iron, tore:tear, tried on:try on, dyed:dye"),
     "a ", table("""
sweater, scarf, jacket, skirt, shirt, dress, cap, vest, shawl, apron, cloak, poncho, tie, belt, blouse, jumper,
raincoat, swimsuit, bathrobe, nightgown, woollen hat, straw hat""")),
    (table_of_pairs("drank:drink, poured:pour, spilled:spill, heated:heat, brewed:brew"), "some ", table("""
tea, coffee, juice, lemonade, cocoa, water, cider, broth, syrup, orange juice, hot milk, mint tea, ginger ale""")),
    (table_of_pairs("played:play, tuned:tune, practised:practise, heard:hear"), "the ", table("""
violin, piano, flute, guitar, trumpet, cello, harp, accordion, banjo, trombone, organ, recorder, clarinet, drum""")),
    (table_of_pairs("planted:plant, watered:water, trimmed:trim, dug up:dig up"), "a ", table("""
oak, pine, birch, willow, bush, cactus, fern, hedge, vine, rose bush, cherry tree, lemon tree, apple tree""")),
    (table_of_pairs("met:meet, fed:feed, chased:chase, painted:paint, rescued:rescue, tamed:tame"), "a ", table("""
fox, owl, deer, badger, squirrel, wolf, frog, snake, swan, goose, crow, robin, beetle, spider, camel, giraffe, zebra,
seal, whale, dolphin, snail, butterfly, moth, donkey, sheep, cow, pig, kitten, puppy, dragon""")),
    (table_of_pairs("rode:ride, drove:drive, parked:park, hired:hire, crashed:crash, towed:tow"), "a ", table("""
bike, tractor, van, lorry, truck, bus, taxi, scooter, motorbike, sledge, cart, car, train, boat, ship, balloon""")),
    (table_of_pairs("read:read, wrote:write, copied:copy, hid:hide, translated:translate, posted:post"), "a ", WRITTEN),
    (table_of_pairs("built:build, sawed:saw, broke:break, mended:mend, cleaned:clean, varnished:varnish"), "a ", BUILT),
    (table_of_pairs("bought:buy, sold:sell, found:find, lost:lose, kept:keep, chose:choose, dropped:drop, won:win"),
     "a ", CARRIED),
    (table_of_pairs("studied:study, learned:learn, taught:teach, explained:explain"), "", table("""
history, geography, maths, Latin, French, Spanish, Chinese, music, biology, physics, poetry, grammar, spelling""")),
    (table_of_pairs("threw:throw, hit:hit, caught:catch, rolled:roll"), "the ", table("""
football, tennis ball, snowball, stone, apple, pebble, log, barrel, hoop, dice, egg, coconut""")),
    (table_of_pairs("visited:visit, left:leave, reached:reach, described:describe, guarded:guard"), "the ", table("""
palace, temple, desert, volcano, hospital, station, circus, jungle, island, waterfall, cave, factory, hotel, cinema,
bank, chapel, lake, forest, mountain, village, garden""")),
    (table_of_pairs("missed:miss, cancelled:cancel, delayed:delay, enjoyed:enjoy"), "the ", table("""
flight, ferry, concert, lesson, party, match, film, wedding, picnic, parade, race, meeting, fair, play, show, trip""")),
    (table_of_pairs("closed:close, locked:lock, unlocked:unlock, knocked at:knock at"), "the ", table("""
front door, back door, window, garden gate, cellar, safe, drawer, garage, cage, box, trunk, barn""")),
)
SPOTTED = table_of_pairs("""
slept:sleep, sat:sit, waited:wait, stood:stand, lay:lie, cried:cry, sang:sing, danced:dance, rested:rest, fell
asleep:fall asleep, got lost:get lost, had lunch:have lunch, did homework:do homework""")
SPOTS = table("""
on the sofa, under the table, behind the curtain, in the kitchen, in the attic, in the bathtub, on the balcony, by
the fire, under the bed, on the stairs, in the garage, in the hall, on the roof, beside the pond, in the tall grass,
under the oak, in a hammock, on the swing, at the bus stop, in the tent, on the carpet, behind the shed, near the
fountain, in the cellar, in the bathroom, next to the stove, on the train, in the waiting room, in front of the
mirror, between two trees, on the beach, at the dentist's, in the lift, on the ship, in the corner, outside the shop,
inside the barn, on a bench, in the classroom, at the station, in bed, on the bridge""")
HABITS = tuple((does, do, table(things)) for does, do, things in (
    ("gathers", "gather", "stamps, shells, coins, buttons, postcards, leaves, stones, dolls, insects, autographs"),
    ("speaks", "speak", "French, Spanish, Dutch, Polish, Greek, Turkish, Arabic, Hindi, Japanese, Swedish"),
    ("plays", "play", "chess, football, tennis, cards, hockey, golf, volleyball, dominoes, the piano, the drums"),
    ("dislikes", "dislike", "spinach, garlic, onions, cabbage, mushrooms, olives, homework, loud music, rain, Mondays"),
    ("fears", "fear", "spiders, snakes, ghosts, thunder, heights, the dark, wasps, deep water, big dogs, mice"),
    ("sells", "sell", "fruit, flowers, fish, bread, cars, shoes, toys, furniture, tickets, ice cream"),
    ("teaches", "teach", "maths, history, music, drawing, swimming, judo, biology, dancing, cooking, singing"),
    ("studies", "study", "law, medicine, the stars, old coins, plants, birds, bees, volcanoes, whales, rocks"),
    ("drives", "drive", "a taxi, a bus, a lorry, a tram, a fire engine, an ambulance, a tractor, a sports car"),
    ("drinks", "drink", "tea, coffee, cocoa, milk, apple juice, lemonade, hot water, tomato juice"),
    ("grows", "grow", "tomatoes, pumpkins, lettuce, roses, onions, herbs, corn, garlic, grapes, lemons"),
    ("needs", "need", "glasses, a rest, a new coat, some money, a haircut, a ticket, good advice, a bandage"),
    ("wants", "want", "a puppy, a bicycle, a holiday, a day off, peace and quiet, a tree house, a guitar"),
    ("repairs", "repair", "clocks, bicycles, shoes, radios, roofs, boats, cameras, violins")))
RANKS = table("""
older, younger, taller, shorter, faster, slower, stronger, weaker, richer, poorer, bigger, smaller, braver, louder,
kinder, wiser""")
GIVEN = WRITTEN + CARRIED
GAVE = table_of_pairs("""
gave:give, threw:throw, lent:lend, sold:sell, brought:bring, handed:hand""")
PUT = table_of_pairs("put:put, left:leave, kept:keep, placed:place, stored:store")
WHERE_PUT = table("""
in the drawer, on the shelf, under the pillow, in the basket, behind the clock, in the oven, in the fridge, on the
windowsill, under the carpet, in the cupboard, on the desk, in the suitcase, behind the books, in the wardrobe, in
the shed, in the pocket, on the table, under the bench, in the trunk, on top of the piano""")
COUNTED = table_of_pairs("""
picked:pick, counted:count, sold:sell, bought:buy, saw:see, ate:eat, found:find, drew:draw""")
MANY = table("""
apples, lemons, peaches, oranges, figs, nuts, eggs, radishes, onions, peppers, tomatoes, cucumbers, raspberries,
cookies, sweets, buns, oysters, mushrooms, sunflowers, chestnuts, potatoes, olives""")


# -----------------------------------------------------------------------------
# A doing: told, and asked about

class Doing(NamedTuple):
    told: str
    asks: list[tuple[str, str, str]]  # question, answer in a sentence, who did it
    topics: set[str]  # in no other doing that is told beside it


DAY_SHARE = 0.25  # of what is done once is said to be done on a day


def _yours(who: str) -> str:
    """Whom the answer is about: "my aunt" of the one who asks is "your aunt"."""
    return who.replace("my ", "your ")


def _act(rng: random.Random, x: str) -> Doing:
    verbs, before, things = rng.choice(ACTS)
    (did, do), thing = rng.choice(verbs), rng.choice(things)
    reply = f"{_yours(x)} {did} {before}{thing}."
    the_thing = f"the {thing}" if before else thing
    who = (f"Who {did} {the_thing}?", reply, x)
    if rng.random() >= DAY_SHARE:
        return Doing(f"{x} {did} {before}{thing}.", [who, (f"What did {x} {do}?", reply, x)], {thing})
    day = rng.choice(DAYS)
    when = rng.choice((f"When did {x} {do} {the_thing}?", f"On which day did {x} {do} it?"))
    told = rng.choice((f"On {day} {x} {did} {before}{thing}.", f"{x} {did} {before}{thing} on {day}."))
    return Doing(told, [who, (when, f"It was on {day}.", x), (f"What did {x} {do} on {day}?", reply, x)], {thing, day})


def _spot(rng: random.Random, x: str) -> Doing:
    spot = rng.choice(SPOTS)
    if rng.random() < 0.3:
        reply = f"{_yours(x)} is {spot}."
        return Doing(f"{x} is {spot}.", [(f"Where is {x}?", reply, x), (f"Who is {spot}?", reply, x)], {spot})
    did, do = rng.choice(SPOTTED)
    reply = f"{_yours(x)} {did} {spot}."
    asks = [(f"Where did {x} {do}?", reply, x), (f"Who {did} {spot}?", reply, x), (f"Who {did}?", reply, x)]
    return Doing(f"{x} {did} {spot}.", asks, {did, spot})


def _habit(rng: random.Random, x: str) -> Doing:
    does, do, things = rng.choice(HABITS)
    thing = rng.choice(things)
    reply = f"{_yours(x)} {does} {thing}."
    asks = [(f"What does {x} {do}?", reply, x), (f"Who {does} {thing}?", reply, x)]
    return Doing(f"{x} {does} {thing}.", asks, {thing})


def _gift(rng: random.Random, x: str) -> Doing:
    (gave, give), thing, (to, _) = rng.choice(GAVE), rng.choice(GIVEN), people(rng, "train", 1)[0]
    reply = f"{_yours(x)} {gave} {to} a {thing}."
    return Doing(f"{x} {gave} {to} a {thing}.", [
        (f"Who {gave} {to} a {thing}?", reply, x), (f"What did {x} {give} {to}?", reply, x),
        (f"To whom did {x} {give} the {thing}?", reply, x), (f"What did {to} get?", f"{to} got a {thing}.", to)
    ], {thing})


def _hiding_place(rng: random.Random, x: str) -> Doing:
    (put, base), thing, spot = rng.choice(PUT), rng.choice(GIVEN), rng.choice(WHERE_PUT)
    reply = f"{_yours(x)} {put} the {thing} {spot}."
    return Doing(f"{x} {put} the {thing} {spot}.", [
        (f"Where did {x} {base} the {thing}?", reply, x), (f"Where is the {thing}?", f"The {thing} is {spot}.", x),
        (f"Who {put} the {thing} {spot}?", reply, x), (f"What did {x} {base} {spot}?", reply, x)], {thing})


def _count(rng: random.Random, x: str) -> Doing:
    (did, do), many, n = rng.choice(COUNTED), rng.choice(MANY), rng.randrange(2, 60)
    reply = f"{_yours(x)} {did} {n} {many}."
    return Doing(f"{x} {did} {n} {many}.", [
        (f"How many {many} did {x} {do}?", reply, x), (f"Who {did} the {many}?", reply, x),
        (f"What did {x} {do}?", reply, x)], {many})


def _handed_on(rng: random.Random, x: str, y: str) -> tuple[Doing, Doing]:
    """Two did something to the same thing, which the second sentence calls "it"."""
    verbs, before, things = rng.choice([act for act in ACTS if act[1]])
    (did, do), (did2, do2) = rng.sample([verb for verb in verbs if " " not in verb[0]], 2)
    thing = rng.choice(things)
    replies = f"{_yours(x)} {did} the {thing}.", f"{_yours(y)} {did2} the {thing}."
    return (Doing(f"{x} {did} {before}{thing}.", [(f"Who {did} the {thing}?", replies[0], x),
                                                  (f"What did {x} {do}?", replies[0], x)], {thing}),
            Doing(f"{y} {did2} it.", [(f"Who {did2} the {thing}?", replies[1], y),
                                      (f"What did {y} {do2}?", replies[1], y)], {thing}))


def _rank(rng: random.Random, x: str) -> Doing:
    """What a chain is made of ("Ben is older than Tom. Sara is older than Ben."), to be asked for from either end."""
    more, (y, _) = rng.choice(RANKS), people(rng, "train", 1)[0]
    reply = f"{_yours(x)} is {more} than {y}."
    return Doing(f"{x} is {more} than {y}.", [
        (f"Who is {more} than {y}?", reply, x), (f"Than whom is {x} {more}?", reply, x),
        (f"{x} is {more} than whom?", reply, x)], {y})


MAKERS = (_act, _act, _act, _act, _spot, _spot, _habit, _gift, _hiding_place, _count, _rank)
ALIKE_SHARE = 0.2  # of the exercises everybody does the same kind of thing
HANDED_ON_SHARE = 0.25  # of the exercises tell of a thing that two did something to, one after the other


def somebody(rng: random.Random, names: list[str], others_share: float = 0.35) -> list[str]:
    """`names`, some of them turned into a relative, somebody by what they are, or an animal."""
    others = rng.sample(OTHERS, len(names))
    return [other if rng.random() < others_share else name for name, other in zip(names, others)]


def doings(rng: random.Random, names: list[str]) -> list[Doing]:
    """One of each, no two about the same thing but for two that follow each other."""
    who, pair = somebody(rng, names), ()
    if rng.random() < HANDED_ON_SHARE:
        pair = _handed_on(rng, who.pop(), who.pop())
    found, topics = [], set().union(*(doing.topics for doing in pair))
    alike = rng.choice(MAKERS) if rng.random() < ALIKE_SHARE else None
    for x in who:
        doing = (alike or rng.choice(MAKERS))(rng, x)
        while doing.topics & topics:
            doing = (alike or rng.choice(MAKERS))(rng, x)
        topics |= doing.topics
        found.append(doing)
    at = rng.randrange(len(found) + 1)
    return [_in_sentences(doing) for doing in (*found[:at], *pair, *found[at:])]


def _in_sentences(doing: Doing) -> Doing:
    return doing._replace(told=capital(with_articles(doing.told)), asks=[
        tuple(map(with_articles, (question, capital(reply), _yours(x)))) for question, reply, x in doing.asks])
