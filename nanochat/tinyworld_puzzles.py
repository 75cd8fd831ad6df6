"""Sums and letters: what nanochat works out instead of knowing.

A sum goes to the calculator, and the sentence after it repeats the result. To count letters a word is spelled, which a
small model learns for words it never saw, and the calculator counts what was spelled. Operand pairs and words are held
out by content, wordings by themselves.
"""

import random

from nanochat.calculator import NUMBER_WORDS
from nanochat.tinyworld import (COLOURS, DAYS, FLOWERS, FOODS, GOODS, HOBBIES, JOBS, OPERATORS, PETS, PLACES,
                                Asks, capital, draw_operands, dress, members, pair_split, people, say, split_of)
from nanochat.tinyworld_talk import Item, turns, with_tool
from nanochat.tinyworld_wordings import LETTER_ASKS, SUM_ASKS

# -----------------------------------------------------------------------------
# Arithmetic

SUMS = {
    "+": Asks((
        "[What is|What's|How much is|Whats] {a} [+|plus|and] {b}?", "{a} + {b}", "{a}+{b}", "{a} + {b} = ?",
        "{a} plus {b}?", "{a} + {b} = ", "[Calculate|Compute|Work out|Solve] {a} [+|plus] {b}.",
        "[Add|Please add|Add up] {a} [and|to] {b}.", "[Can|Could] you add {a} [and|to] {b}?",
        "What is the [sum|total] of {a} and {b}?", "[Give me|Find|Tell me] the [sum|total] of {a} and {b}.",
        "If I [add|put together] {a} and {b}, what do I get?", "What [does|do] {a} and {b} make?",
        "How much do {a} and {b} make together?", "I have {a} and {b}. How much is that [together|in all]?",
        "What do I get if I add {b} to {a}?", "I need to add {a} and {b}.", "{b} more than {a} is what?",
        "[Do|Can] you know what {a} plus {b} [is|makes]?", "What number is {b} more than {a}?",
        "{n} [has|had|counts] {a} {t} and [gets|buys|finds|is given] {b} more. How many {t} "
        "[does {n} have|are there] now?",
        "{n} [has|bought|found|sold] {a} {t} and {m} [has|bought|found|sold] {b}. How many {t} [do they have together|"
        "is that in all|are there together]?",
        "There are {a} {t} at the {p} and {b} {t} at home. How many {t} are there [in all|together|altogether]?",
        "{n} walks {a} steps before lunch and {b} steps after lunch. How many steps is that[| in all]?",
        "A {g} costs {a} coins and a lamp costs {b}. How much do [they|both] cost together?",
        "{a} children came [in the morning|on Monday] and {b} came later. How many children came?",
        "{n} saved {a} coins and then got {b} more. How many coins [is that|does {n} have]?",
        "{n} is {a} years old. How old will {n} be in {b} years?",
        "[Start|Begin] with {a} and [add|go on by] {b}.", "Take {a}, then add {b}. What do you get?",
        "{a} and {b} more is what?", "Count {b} further from {a}. Where [do I end|am I]?",
        "{n} [picked|made|sent] {a} {t}, {m} [picked|made|sent] {b}. What is that together?",
        "Sum of {a} and {b}?", "The total of {a} and {b}, please.", "{a} added to {b} gives?", "{a} plus {b} equals?",
        "I have {a} {t} and my [uncle|friend|sister] gives me {b} more. How many [{t} |]do I have now?",
        "We are {a} people and {b} more come. How many are we?", "[Sum up|Join] {a} and {b}.",
        "I am {a} and my [brother|friend] is {b} years older. How old is he?", "Add {a} + {b} for me.",
        "[Yesterday|This morning] I read {a} pages, today {b}. How many pages is that?",
        "{a} {t} here and {b} {t} there make how many?", "Could you add up {a} and {b}?",
        "I [found|bought|won] {a} {t}, then {b} [others|more]. How many in all?"),
        val=("What do you get when you put {a} and {b} together?", "Put {a} on top of {b}. What is the result?",
             "{n} brought {a} {t} and {m} brought {b}. How many is that?"),
        test=("Can you tell me the total of {a} and {b}?", "I am adding {a} and {b}. What comes out?",
              "{n} counted {a} {t} and then {b} more. How many {t} is that?")),
    "-": Asks((
        "[What is|What's|How much is|Whats] {a} [-|minus] {b}?", "{a} - {b}", "{a}-{b}", "{a} - {b} = ?",
        "{a} minus {b}?", "{a} - {b} = ", "[Calculate|Compute|Work out|Solve] {a} [-|minus] {b}.",
        "[Subtract|Take|Please subtract|Take away] {b} from {a}.", "[Can|Could] you subtract {b} from {a}?",
        "What is the difference [of|between] {a} and {b}?", "[Give me|Find|Tell me] the difference of {a} and {b}.",
        "What is left if I take {b} [away |]from {a}?", "What is {a} [less|without] {b}?",
        "How much is {a} when you take away {b}?", "If I [subtract|take away] {b} from {a}, what do I get?",
        "What do I get if I take {b} from {a}?", "What number is {b} less than {a}?",
        "How much [more|bigger] is {a} than {b}?", "I have {a} and lose {b}. What is left?",
        "{n} had {a} {t} and [sold|lost|gave away|broke|ate] {b}. How many {t} [are left|does {n} have now]?",
        "There were {a} people at the {p} and {b} [went home|left]. How many [stayed|are still there]?",
        "A shop had {a} {t} and sold {b}. How many {t} are [left|still there]?",
        "A book has {a} pages. {n} has read {b} of them. How many pages are left?",
        "{n} [has|had] {a} coins and [pays|spends|spent] {b}. How many coins are left?",
        "{n} wants to walk {a} steps and has walked {b}. How many are left?",
        "There are {a} {t}, and {n} takes {b} of them. How many remain?",
        "A {g} costs {a} coins, but {n} has only {b}. How many coins are missing?",
        "[Start|Begin] with {a} and take away {b}.", "Take {a}, then remove {b}. What do you get?",
        "From {a}, count {b} back. Where [do I end|am I]?", "What stays of {a} without {b}?",
        "{n} [picked|made|cooked] {a} {t} and {b} were [bad|sold|given away]. How many are left?",
        "Difference of {a} and {b}?", "{a}, but {b} less. How much is that?", "{a} minus {b} equals?",
        "I had {a} coins and [lost|spent|gave away] {b}. How [many|much] do I have left?", "{a} take away {b}?",
        "I am {a} and my [sister|friend] is {b}. How many years are between us?", "What is {a} reduced by {b}?",
        "{n} is {a}, {m} is {b}. How much older is {n}?", "Of {a} {t}, {b} are broken. How many are left?",
        "It is {a} steps to the {p}, I have walked {b}. How many are left?", "Take {b} off {a}.",
        "My book has {a} pages, and I have read {b}. How many are left?",
        "[My mother|Grandpa|My friend] had {a} {t} and used {b}. How many are left?"),
        val=("How much remains of {a} if I take away {b}?", "Start at {a} and go back by {b}. Where am I?",
             "{n} baked {a} buns and {b} were eaten. How many are left?"),
        test=("Can you tell me what {a} minus {b} is?", "I am taking {b} away from {a}. What is left?",
              "There were {a} {t} and {n} took {b}. How many {t} are left?")),
    "*": Asks((
        "[What is|What's|How much is|Whats] {a} [*|times|x|multiplied by] {b}?", "{a} * {b}", "{a}*{b}", "{a} x {b}",
        "{a} times {b}?", "{a} * {b} = ?", "{a}x{b}", "[Calculate|Compute|Work out|Solve] {a} [*|times] {b}.",
        "[Multiply|Please multiply] {a} [by|with|and] {b}.", "[Can|Could] you multiply {a} [by|and] {b}?",
        "What is the product of {a} and {b}?", "[Give me|Find|Tell me] the product of {a} and {b}.",
        "If I multiply {a} by {b}, what do I get?", "What do I get if I take {a} times {b}?",
        "How much is {a} multiplied by {b}?", "{n} buys {a} bags of {b} {t}. How many {t} is that?",
        "There are {a} boxes with {b} {t} in each. How many {t} are there[| in all]?",
        "{n} packs {a} bags and puts {b} {t} in each bag. How many {t} is that?",
        "A room has {a} rows of {b} chairs. How many chairs are there?",
        "One {g} costs {a} coins. How much do {b} of them cost?",
        "{n} walks {a} steps every day. How many steps is that in {b} days?",
        "Each of {a} children has {b} {t}. How many {t} do they have?",
        "{a} trees have {b} birds each. How many birds are there?",
        "Take {a} and multiply it by {b}.", "Make {a} {b} times as big.", "{a} taken {b} times is what?",
        "[{n} and friends|The farmers] fill {a} bags with {b} {t} each. How many is that?",
        "{a} children get {b} {t} each. How many {t} do they need?", "Product of {a} and {b}?",
        "{a} [bags|boxes|baskets] of {b} {t} each: how many {t}?", "{a} multiplied by {b} equals?",
        "A [bus|boat|ship] takes {a} people. How many people do {b} of them take?", "{a} groups of {b} are how many?",
        "Every [week|day] I save {a} coins. How many coins is that after {b}?", "{a} times {b} equals?",
        "If one {g} is {a} coins, what do {b} cost?", "[We|They] have {a} tables with {b} seats each. How many seats?",
        "A farmer has {a} rows of {b} trees. How many trees?", "I buy {a} {t} for {b} coins each. How much do I pay?"),
        val=("Tell me {a} multiplied with {b}.", "Take {a} and make it {b} times as much.",
             "{a} people have {b} {t} each. How many {t} is that?"),
        test=("Can you tell me what {a} times {b} is?", "I am multiplying {a} by {b}. What comes out?",
              "{n} has {a} baskets with {b} {t} in each. How many {t} are there?")),
    "/": Asks((
        "[What is|What's|How much is|Whats] {a} [/|divided by|over] {b}?", "{a} / {b}", "{a}/{b}", "{a} / {b} = ?",
        "[Calculate|Compute|Work out|Solve] {a} [/|divided by] {b}.", "[Divide|Please divide] {a} by {b}.",
        "[Can|Could] you divide {a} by {b}?", "{a} divided by {b}?",
        "Split {a} into {b} equal parts. How big is one part?", "How many times does {b} go into {a}?",
        "If I divide {a} by {b}, what do I get?",
        "Share {a} [{t} |]among {b} children. How many does each get?",
        "{a} {t} are shared equally by {b} children. How many {t} does each child get?",
        "{n} puts {a} {t} into {b} boxes, the same number in each. How many {t} are in one box?",
        "{b} friends share {a} coins. How much does each one get?",
        "Cut {a} into {b} equal pieces.", "What is {a} shared by {b}?", "How often does {b} fit into {a}?",
        "{a} {t} lie on {b} plates, as many on each. How many on one plate?",
        "{a} children stand in {b} rows, as many in each. How many in one row?",
        "{a} coins for {b} people: how many for each?", "{a} over {b}?", "{a} divided by {b} equals?",
        "We are {b} friends and have {a} {t}. How many for each of us?",
        "{a} {t} in {b} equal groups: how many in one?",
        "I have {a} coins for {b} days. How many a day?", "A rope of {a} metres in {b} equal parts: how long is one?",
        "[Share|Split|Divide] {a} {t} [between|among] {b} people. How many each?", "What is one of {b} parts of {a}?",
        "{b} players get {a} cards, each as many. How many does one get?"),
        val=("Give me {a} split by {b}.", "{a} people sit at {b} tables, the same number at each. How many at one?"),
        test=("{a} {t} go into {b} boxes equally. How many {t} are in one box?",
              "Can you tell me {a} divided by {b}?")),
}
SUMS = {op: asks.taught(SUM_ASKS[op]) for op, asks in SUMS.items()}
SUM_ANSWERS = ("{a} {word} {b} is {r}.", "{a} {op} {b} = {r}.", "The answer is {r}.", "That makes {r}.")
COUNTABLE = tuple(food for food in FOODS if food.endswith("s")) + tuple(thing + "s" for thing in GOODS)


# What people try first is 2+2, and of a thousand other sums two add a number to itself: a model that had seen few wrote
# 2+2+2. Of training's sums, how many have small numbers, of these how many twice the same, and how many no spaces.
SMALL_SHARE, TWIN_SHARE, UNSPACED_SHARE = 0.2, 0.25, 0.15
LARGE_SHARE = 0.1  # have a number above 999: to a model that had seen none 1000 + 1 was 101


def small_operands(rng: random.Random, op: str) -> tuple[int, int]:
    """Two numbers up to 12 of training, often the same."""
    while True:
        a, b = rng.randrange(13), rng.randrange(13)
        b = a if rng.random() < TWIN_SHARE else b
        if op == "-" and a < b:
            a, b = b, a
        if op == "/":
            a, b = a * b, b or 1
        if pair_split(a, b) == "train":
            return a, b


def large_operands(rng: random.Random, op: str) -> tuple[int, int]:
    """Two numbers of training up to 99,999, the larger one above 999."""
    while True:
        a, b = rng.randrange(1000, 10 ** rng.choice((4, 4, 5))), rng.randrange(10 ** rng.choice((1, 2, 3, 4)))
        if op == "*":
            b %= 100
        if op == "/":
            b = 1 + b % 99
            a -= a % b
        if op == "+" and rng.random() < 0.5:
            a, b = b, a
        if pair_split(a, b) == "train":
            return a, b


def operands(rng: random.Random, split: str, op: str) -> tuple[int, int]:
    size = rng.random() if split == "train" else 1.0
    if size < SMALL_SHARE:
        return small_operands(rng, op)
    return large_operands(rng, op) if size < SMALL_SHARE + LARGE_SHARE else draw_operands(rng, split, op)


def arithmetic(rng: random.Random, split: str) -> Item:
    if rng.random() < 0.08:
        return long_sum(rng, split)
    op = rng.choices(tuple(OPERATORS), (3, 3, 3, 2))[0]
    a, b = operands(rng, split, op)
    n, m = (name for name, _ in people(rng, split, 2))
    in_words = a <= 20 and b <= 20 and rng.random() < 0.5
    shown = {"a": NUMBER_WORDS[a], "b": NUMBER_WORDS[b]} if in_words else {"a": a, "b": b}
    form = SUMS[op].draw(rng, split, ("{a}", "{b}", "{n}", "{m}"))
    question = capital(say(rng, form, **shown, n=n, m=m, t=rng.choice(COUNTABLE), g=rng.choice(GOODS),
                           p=rng.choice(PLACES)).strip())
    if split == "train" and rng.random() < UNSPACED_SHARE:
        question = question.replace(f"{a} {op} {b}", f"{a}{op}{b}")
    question = dress(rng, question) if len(question) > 14 else question
    content = sum_answer(rng, a, op, b)
    return Item(turns(question, content), content[1]["text"],
                {"kind": OPERATORS[op], "expression": f"{a}{op}{b}", "question": question})


def sum_answer(rng: random.Random, a: int, op: str, b: int) -> list[dict]:
    return with_tool(f"{a}{op}{b}", rng.choice(SUM_ANSWERS).format(a=a, b=b, op=op, word=OPERATORS[op], r="{r}"))


def long_sum(rng: random.Random, split: str) -> Item:
    """Three numbers. Both neighbouring pairs belong to the split."""
    a, b = draw_operands(rng, split, "+")
    while True:
        c = rng.randrange(rng.choice((10, 100, 1000)))
        if pair_split(b, c) == split:
            break
    op = rng.choice("+++-*")
    gap = rng.choice(("", " "))
    expression = f"{a}+{b}{op}{c}"
    shown = f"{a}{gap}+{gap}{b}{gap}{op}{gap}{c}"
    question = say(rng, "[What is {s}?|{s}|{s} = ?|Calculate {s}.|Work out {s}.|How much is {s}?]", s=shown)
    content = with_tool(expression, rng.choice(SUM_ANSWERS[2:]))
    return Item(turns(question, content), content[1]["text"],
                {"kind": "three numbers", "expression": expression, "question": question})


# -----------------------------------------------------------------------------
# Letters

WORDS = tuple(sorted({word.lower() for pool in (COLOURS, DAYS, FLOWERS, FOODS, GOODS, HOBBIES, JOBS, PETS, PLACES)
                      for word in pool if word.isalpha()} | set("""
able about above accident across actor adventure advice afraid afternoon again alone along alphabet always among angel
angry animal ankle answer anybody apple apron around arrive asleep attic aunt autumn awake awful baker balloon bamboo
banana bandage barber barn barrel bath beach beaver because become bedroom beetle before behind believe belong belt
bench beside better between beyond bicycle birch birthday biscuit bitter blackboard blanket blossom blouse board boat
body border bottle bottom bowl branch brave breakfast breath bridge bright bring broken broom brother brush bucket
build burrow busy butter butterfly button cabbage calm camel camera candle canoe captain careful carpet castle cave
ceiling celery cellar cello century chain chair chalk champion chart chase cheap check cheerful cheetah cherry
chestnut child chimney chocolate choice church cinnamon circus clay clean clerk clever cliff climb cloud clover coal
coffee collar colour computer concert copper corner cotton cough court cousin cradle crash cream cricket crisp crown
crumb cupboard curious curtain cushion dairy dance december deep delicious dentist describe desert dessert diary
difficult dinner disappear divide doctor dolphin donkey dragon drawer dream dress duckling dusty eagle early earth
echo edge elbow elephant eleven else empty enemy engine enjoy enormous enough enter equal even evening every except
excuse expensive expert explain false family famous father feast feather fence ferry festival fever fiddle field film
final finger first fishing flamingo flock floor flour flute foggy follow football foreign forest forget forgive forty
found fountain fourteen free fresh friend friendly fright frozen funny future galaxy game garage garden garlic gentle
ghost giraffe glass glasses glove glue golden goose grammar grandmother grasshopper grateful gravity great greet
ground group grow guard guess guitar hail hammer hamster handsome hang harbour harp hawk headache heart heavy hedge
hero hidden hill history hole hollow homework honey hood hook hopeful hospital hour huge human hundred hungry hunter
hurry ice idea inside iron island jacket jam jar jelly join joke jolly judge juice jump jungle kangaroo keen kettle
kick kind kitchen kitten knife knock lake lamb language lantern large laser late laugh lazy leader leaf learn least
leather leave left lemon lemonade lentil lesson lettuce library life light lightning lily linen lion list listen
little lizard loaf log lonely long loose lorry loud lovely lucky lunch machine magic magpie mail main make march
market match material matter mayor meadow measure medal medicine melon merry metal middle mild milk mind minus minute
mirror missing mist mistake model modern mole moment monkey monster moral morning moth mother mountain mouse mud
museum music mustard nail narrow near needle neighbour nephew nest never nice night noble noisy none north nose
nothing number nurse oak ocean october octopus office often old omelette onion only open orchard order ordinary organ
ostrich otter outside oven owner oxygen pack page pain paint palace pale pancake paper parade park party pasta path
patient peace pencil penguin people perfect person phone physics piano picnic picture piece pigeon pilot pink pirate
pizza place plain plate please plough plum plumber pocket poem poetry point polish polite pond pony poor popcorn
porridge possible post potato present president press pretty price prince princess private prize problem program
promise proud pudding puddle pull pump puppy push quack quarter queen question quick quiet quiz rabbit race radio rain
rainbow rally rather rattle raven ready real really reason recipe remember report rest restaurant return reward ribbon
rice rich riddle ride right ring ripe river roast robin robot rock rocket roll roof room root rose rough round row
rubber rubbish rude ruler rumble sack sad sail salad salt same sand sandwich sausage scarf school science scooter
score scratch screw seal search season second secret seed sell send sentence serious serve shadow shallow share shark
sharp sheep shelf shell shine shirt shiver shoe short shoulder shout shovel shut shy silence silk silly silver simple
since singer sink sister sixteen size skirt sky sledge sleep slipper slow small smart smell smile smooth snail snake
snow soap sock soft soil soldier solve somebody son song soon sorry sort soul sound soup south spade sparrow speak
special spend spider spin spinach splash sponge spoon sport spring square squeak squirrel stable stairs stamp stand
star start station stay steam steel steep step still stir stomach stone stool storm story stove straight strange straw
strawberry stream street strength strict string strong stubborn study subtract suddenly sugar sum summer sunny sunrise
sunset supper sure swallow swamp swan sweater sweep sweet table tadpole tail tailor tall tart task taste tea teacher
teapot telephone tennis tent terrible test thank theatre thick thief thin thing thirsty thirteen thought thread throat
thumb thunder ticket tidy tie tiger tight timber time tiny tired toad toe together tomato tomorrow tongue tooth top
total touch towel tower town track tractor trade train travel tray treasure tree triangle trick trip true trumpet
trunk trust tunnel turkey turn turquoise turtle twelve twenty twice ugly uncle under understand until use valley van
vanilla vase veil velvet very vest view village vine vinegar violin visit vitamin voice volcano wagon wait walk wall
walnut want war warm warning wash wasp water waterfall wave wax weak wear weather wedding week welcome west whale
wheat wheel while whisper whole wide wife wild willow wind window winner winter wise wish with wizard wolf woman
wonder wonderful wood wool word work world worm worry worth wrap write wrong yard year yellow yesterday young zebra
zero zoo""".split())))
# What the world is told with. To a tokenizer most are one piece, whose letters a model knows by heart or not at all; in
# quotes or made up a word falls into pieces that are spelled one by one.
COMMON_WORDS = tuple("""
address adult after against agree ahead alarm album allow aloud already also ancient animals another answered answers
apricots argue argued arrived asked asks author away baby back badge badger bags bake baked bald bananas banjo
baseball bathroom battery bear became been bees began beginning begins belongs below best bigger bird blackberries
blew bloom boil boiled bold books boot bored born borrow borrowed both bought boxes brass bravely break brick broke
brought brushed built bush butcher buys calculator calendar call called calmly came canal cannot capital care
carefully carried carrot carry cart casserole cats caught change chased chat chats cheer cheered chest children chilly
choir chose cider circle city clap class cleaned climbed closed clouds cloudy clumsy cocoa coin coins cold collects
color colours combed come comes complete cooked cool corn corridor cost costs could count counted country cousins cows
crayon creature cried crooked cross crossed crow crowd crystal cups currants cygnet damp danced dark daughter days
deer degrees deliver delivered desk detectives dirty dish does door doors double doubt down drank dreadful dreamed
drew dried drill drink dripped dropped drove ducks dull each eagerly earlier earned easily easy eats eight elderly
empire ended enjoyed enjoys envelope event everybody everyone everything exact exam example extra eyes face factory
fair fall families farmers fast favourite fear feared feed feeds feel fell felt fetched fields figs figure file find
five flat flies flight flowers followed follows food foot forgetful forgot fork fortune four freed friends frog from
front frost full gardens gave gently gets ghosts giant girl give given glad gladly goats goes going gold good grass
greetings grew grows grumpy hair half hall hand handed handle hands happen happened happily happy hard have head hear
heard held help helped hens here hire hobby holiday home honest hope horn horse hotel hours house houses hugged hung
hurt imagine important increase ink inspect internet into invent inventors invited ironed jumped just keep keeps kept
keyboard king kings kiss knew knights knocked know knows land last later laughed learned learns leaves leeks legs
lemons lend lent lessons letter letters level liberty licence lies like liked likes liquid listened live lived lives
local locker look looked looks lost louder loudly love loved loves luck made makes many maple mark master maybe meal
means meet meets melons melt memory mend mention menu message method mice midnight might miller minutes miss missed
mistakes month months moon more move moved much mushrooms must name nanochat nearer neatly neck need needed needs
neighbours nervous nervously news newt next nickname niece nightgown nine nobody noise noon notice nuts oats older
oldest once onions opened opposite opposites oranges ordered other over owns packed pages paid painted pair pantry
parcel partner pass passage passed past patiently peaches pear peas pebble peeled pets photographed picked pickle
pictures pine plan planets plant planted plates play played plays pleasant plus poet pointed politely pool poplar
postcard power practised precious prepared print produce proper proudly prune pulled pumpkins pupil purse pushed
questions quickly quietly quite radishes raincoat rainy raisins rake rang raspberries read receive record relax rent
rented repaired replied reply rested result rhyme road rode rubbed runs rust rusty sacks sadly safe said sale salmon
sandal sang sauce saved says scared scary screen searched seasons seat secretly seen sells sent served seven several
sewed shared shed shepherd ship ships shone shook shop shopkeeper should show showed sides sing sings sits skill
sleeps sleepy sleeve slept slice slipped slowly smaller smelled sneeze snowman snowy sofa softly sold some something
sometimes songs sore sounds sour space speaks speed spell spent spilled spoiled spoke spot stall stands stars statue
stayed staying steps stick sting stirred stole stones stood stopped store stories stormy stranger streets strings
struck student stuff such suggest suit suitcase sums surprise surprised swam swept swim swing sword syrup system take
tale talent talented talk talked taller tank tap taught tax taxi teach teaches teeth tell than thanked that them then
there these they things think thirty this those three threw through throw tickets tickled times today told tomatoes
tonight took tool toss tossed touched toy tracks traded traffic trained travelled treat trees tried truck truth turned
turnips type tyre upset upstairs used usual vineyard visited visitor waited waiter waiting walked walks wanted wants
warmly washed watch watched watching wears weekend weeks weigh well went were what wheels when where which whispered
will windy wishes without woke wooden words wore worked workplace works workshop would wrote yawn yawned years yeast
your yours
""".split())
# These stand nowhere else in the world, so a held-out one is new to tokenizer and model alike.
RARE_WORDS = tuple("""
ability absent accept account acorn acrobat active actress airplane airport alley alligator almost amazing anchor
angle annual anthem antler apartment apricot aquarium arcade archer area armchair army arrow artichoke artist
asparagus athlete avenue avocado award bacon bagel baggage bagpipe balance balcony ballet banner bargain basement
basin beehive berry blizzard blueberry bonfire bonnet bossy bracelet breeze bubble buckle budget buffalo bugle
bumblebee bundle burger cabin cactus cage camp canvas canyon caravan career cargo carriage cartoon cashew cauliflower
chapter charm cheek chicken chimpanzee clarinet classic classroom cloak coach coast cobbler cockpit coconut collect
comet comfort comma committee common compass cottage courage crane creek crew crocodile cruise crust cucumber curve
custard cutlery cyclone damage dandelion danger daring dawn daylight dazzle debate decide decorate delight depend
detail diamond different digital dinosaur dipper direct discover distance doorbell drift drummer dungeon eager earring
easel eastern education effect effort eggplant either elastic elder electric elegant eleventh embark ember emerald
employ energy entire escape estate excellent excite exercise expect explore express eyebrow fable fabric fairy
faithful fancy fashion fierce firefly fireplace flame flannel flash flavour float folder forever fossil frame freedom
freeze frequent fruit furniture gallery gallop gather gazelle general ginger glacier glide glitter globe goal goodness
gorilla gown grain grape graph grasp gravel greedy grill grocery guest guide gymnast habit hallway hamburger happiness
hardly harmony harvest hatch haunted hazard hazelnut health heather heaven height helicopter helmet herb herring
hiccup highway hockey horizon hornet horror household humble hummingbird hurricane iceberg icicle ideal igloo include
indoor infant insect instead interest invite ivory jaguar jazz jeans jellyfish jewel jigsaw journey juggle junior
kayak keeper kettledrum kingdom kingfisher kiosk kneel knight knot koala lace lamppost laughter laundry lawn layer
leek legend leopard lift lobster logic lollipop luggage lullaby lumber magazine magnet mammal mammoth manager mango
manner mansion manual marathon marble marmalade marsh mascot mask massive medium melody member meteor midday million
minnow mitten moist mosquito moss motor movement muffin mule muscle mushroom mustache mystery napkin native nature
naughty neat newspaper nibble noodle nutmeg oatmeal obey object observe obvious occupy olive opera opinion optician
orbit orchestra otherwise outdoor outfit oval overcoat oyster paddle paddock palm pant panther papaya pardon parent
parsley parsnip passenger paste pattern pause pavement peach peacock peanut pearl pedal pelican pepper perch perfume
petal photo pillar pinch pineapple pitch planet plaster player plenty poison polar police popular porch portrait
poster pottery powder practice prairie pride prison professor project protect public pulse pumpkin punch puppet
pure pyramid quality quarrel quilt raccoon radish railway raisin ranch range rapid raspberry reflect refuse region
reindeer rescue rhubarb rhythm rise rooster rotten route royal runner rural saddle sardine satellite scale scarecrow
scene scissors sculpture seaside seesaw seldom sense separate shape shelter shore shower shrimp sideways sight signal
siren skeleton sketch skin slide smoke snowflake soccer solid spaghetti spark spear speech spice spill spiral spray
squash stadium stage steak stem stitch stretch strip stripe submarine subway success sunflower super supply support
surf surround swift swimmer sycamore symbol tangerine target tear tease temple tender term theme thermometer thistle
thousand throne timid tissue title toast toboggan token torch tornado tortoise tough tour trail transfer trap trial
tribe trombone trophy trouble trousers tube tulip tuna turnip twelfth twig twin twist ukulele umpire unicorn uniform
unit universe unless unlock upper urgent valentine valuable value vault vegetable verb verse vet virtue vote vowel
voyage vulture waffle wage waist walrus waste wealth weapon weasel wheelbarrow whirlpool whiskers wicked windmill wing
wisdom witch wreath wrist yacht yell yogurt yolk youth zigzag zipper zone""".split())
ASKS = {
    "count": Asks((
        "How many {l}'s are [|there ]in [|the word ]{w}?", "How many {l}s [are|are there] in {w}?",
        "How many times [does|will] [|the letter ]{l} appear in [|the word ]{w}?",
        "Count the [letter {l}|{l}'s|{l}s] in [|the word ]{w}.", "How many {l}'s does {w} have?",
        "How often [does the letter {l} occur|is the letter {l} used|is {l}] in {w}?",
        "How many letters {l} [has the word|are in the word|are in] {w}?", "[Can|Could] you count the {l}'s in {w}?",
        "What is the number of {l}'s in {w}?", "{w}: how many {l}'s?", "How many {l} in {w}?",
        "Tell me how many {l}'s are in {w}.", "I want to know how many {l}'s {w} has.",
        "Look at the word {w}. How many {l}'s do you see?", "Is there any letter {l} in {w}, and how many?",
        "Do you know how many times {l} is in {w}?", "In {w}, how many {l}'s are there?", "Number of {l}'s in {w}?",
        "[Find|Give me] the number of {l}'s in {w}.", "{l}'s in {w}?", "{w} [has|contains] how many {l}'s?",
        "Go through {w} and count the {l}'s.", "Check {w} for the letter {l}. How many?", "count {l} in {w}",
        "Does {w} have more than one {l}?", "Is {l} [once or twice|more than once] in {w}?",
        "Word: {w}. Letter: {l}. How many?", "The letter {l} in {w}: how many times?",
        "How many of the letters in {w} are {l}?", "How often does {w} use [the letter |]{l}?",
        "How many times do I write {l} when I write {w}?", "When I spell {w}, how often do I need {l}?",
        "I see {w}. How many {l}'s has it?", "Is there any {l} in {w}?", "How many {l}'s did you count in {w}?",
        "[Please count|Count up] how often {l} comes in {w}."),
        val=("If I look at {w}, how many times do I see the letter {l}?", "Please count every {l} of the word {w}."),
        test=("Tell me how many {l}'s {w} has.", "Take the word {w}. How often is {l} in it?")),
    "spell": Asks((
        "How do you spell {w}?", "Spell [|the word ]{w}.", "How is {w} spelled?",
        "[Can|Could] you spell {w}[| for me]?",
        "How do I [spell|write] [|the word ]{w}?", "Spell {w} for me.", "Please spell {w}.",
        "What are the letters of {w}?", "Which letters are in {w}?", "Spell out {w}.", "{w}: spell it.",
        "{w}, letter by letter[|, please].", "[Give me|List|Say] the letters of {w}.", "Spelling of {w}?",
        "Say the letters in {w} [one by one|in order].", "Which letters make [up |]{w}?", "Let us spell {w}.",
        "[Break|Take] {w} apart into letters.", "I cannot spell {w}. [Help me.|Can you?]", "You spell {w} how?",
        "[Show|Tell] me the spelling of {w}.", "How does one [write|spell] {w}?", "What letters do I need for {w}?",
        "Write {w} with spaces between the letters.", "Spell it: {w}", "A word to spell: {w}"),
        val=("Tell me how to spell {w}.",), test=("I want to spell {w}. How do I do it?",)),
    "length": Asks((
        "How many letters [does {w} have|are in {w}|has the word {w}|are there in {w}]?",
        "Count [all |]the letters [in|of] {w}.", "How long is the word {w}?", "What is the length of {w}?",
        "[Can|Could] you count the letters of {w}?", "The word {w} has how many letters?", "{w}: how many letters?",
        "How many letters are [used in|inside|needed for] {w}?", "{w} has how many letters?", "count the letters: {w}",
        "[Number of letters|Letter count] [of|in] {w}?", "[Find|Give me] the number of letters in {w}.",
        "How many characters [has|are in] {w}?", "Is {w} a long word? How many letters?",
        "Count how many letters {w} has.", "Of how many letters is {w} made?", "How long is {w}[| in letters]?"),
        val=("Tell me how many letters {w} has.",), test=("How many letters do I need to write {w}?",)),
    "first": Asks((
        "What is the first letter of {w}?", "What letter does {w} [start|begin] with?",
        "With which letter does {w} [start|begin]?", "Which letter is at the start of {w}?", "First letter of {w}?",
        "{w} [starts|begins] with what letter?", "Name the first letter of {w}.", "Which letter comes first in {w}?",
        "What is {w}'s first letter?", "Say the letter that {w} begins with.",
        "At the start of {w}, what letter is it?", "The beginning of {w} is which letter?",
        "In {w}, what is the first letter?", "Start of {w}, which letter?"),
        val=("Tell me the first letter of {w}.",), test=("The word {w} begins with which letter?",)),
    "last": Asks((
        "What is the last letter of {w}?", "What letter does {w} end with?", "With which letter does {w} end?",
        "Which letter is at the end of {w}?", "Last letter of {w}?",
        "{w} ends [with|in] what letter?", "Name the last letter of {w}.", "Which letter comes last in {w}?",
        "What is {w}'s last letter?", "Say the letter that {w} ends with.", "At the end of {w}, what letter is it?",
        "The end of {w} is which letter?", "In {w}, what is the last letter?", "End of {w}, which letter?"),
        val=("Tell me the last letter of {w}.",), test=("The word {w} ends with which letter?",)),
}
ASKS = {kind: asks.taught(LETTER_ASKS[kind]) for kind, asks in ASKS.items()}
KIND_WEIGHTS = {"count": 60, "spell": 14, "length": 14, "first": 6, "last": 6}


def made_word(rng: random.Random) -> str:
    """The head of one word and the tail of another, such as "marrow": never seen before, so it must be spelled."""
    pool = WORDS + members(RARE_WORDS, "train", "word")
    while True:
        head, tail = rng.choice(pool), rng.choice(pool)
        word = head[:rng.randrange(2, len(head))] + tail[rng.randrange(1, len(tail) - 1):]
        if 4 <= len(word) <= 12 and split_of("word", word) == "train":
            return word


def letters_answer(kind: str, word: str, letter: str, shown: str) -> tuple[str, str | list[dict]]:
    """(what the grader looks for, the worked answer). It says the word once more, as it was asked, since the layers that
    see eight tokens read its letters only where it stands right before them. The calculator counts what was spelled: of
    the letters told once more with a number behind each, a small model drops one where two are alike (dev/LOG.md)."""
    spaced = " ".join(word)
    if kind == "count":
        count = word.count(letter)
        times = "time" if count == 1 else "times"
        return str(count), with_tool(f'" {spaced}".count("{letter}")', f" it is there {{r}} {times}.",
                                     f"I count {letter} in {shown}:")
    if kind == "length":
        return str(len(word)), with_tool(f'" {spaced}".count(" ")', " there are {r}.", f"I count the letters of {shown}:")
    spelling = f"I spell {shown}: {spaced}."
    if kind == "spell":
        return spaced, spelling
    letter = word[0] if kind == "first" else word[-1]
    return letter, f"{spelling} The {kind} letter is {letter}."


FAMILIAR_WORDS = WORDS + COMMON_WORDS
FAMILIAR_WEIGHTS = tuple(map(len, FAMILIAR_WORDS))  # a long token's letters take more practice


def draw_word(rng: random.Random, split: str, made_share: float = 0.5) -> str:
    """Held out: a rare word. In train also a familiar one, and a share of words that are none."""
    if split != "train":
        return rng.choice(members(RARE_WORDS, split, "word"))
    if rng.random() < made_share:
        return made_word(rng)
    return rng.choice(FAMILIAR_WORDS + members(RARE_WORDS, split, "word"))


def letters(rng: random.Random, split: str) -> Item:
    word = draw_word(rng, split)
    kind = rng.choices(tuple(KIND_WEIGHTS), tuple(KIND_WEIGHTS.values()))[0]
    letter = rng.choice(word if rng.random() < 0.85 else "abcdefghijklmnopqrstuvwxyz")
    shown = f'"{word}"' if rng.random() < 0.6 else word
    form = ASKS[kind].draw(rng, split, ("{w}",)).replace("{l}", "{{l}}")  # filled in last: "a in" is no "an in"
    question = dress(rng, say(rng, form, w=shown).format(l=letter))
    answer, text = letters_answer(kind, word, letter, shown)
    return Item(turns(question, text), answer, {"kind": kind, "word": word, "letter": letter, "question": question})


DRILLS = ("[Spell|Please spell|Spell out] {x}.", "Spell [all of these|these words|them all]: {x}.", "{x}: spell all.",
          "[How do you|Can you] spell {x}?", "[Say|Write] the letters of {x}.")


def spelling_drill(rng: random.Random) -> list[dict]:
    """Several words in one answer, not measured: a token's letters for a part of what a question costs. Mostly of familiar
    words: behind a space such a word is a single token, whose letters are harder to read than those of pieces."""
    number = rng.choice((3, 4, 6, 8))
    if rng.random() < 0.7:
        words = rng.choices(FAMILIAR_WORDS, FAMILIAR_WEIGHTS, k=number)
    else:
        words = [draw_word(rng, "train") for _ in range(number)]
    answer = ", ".join(f"{word}: {' '.join(word)}" for word in words)
    return turns(capital(say(rng, rng.choice(DRILLS), x=", ".join(words))), f"I spell {answer}.")
